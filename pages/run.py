"""Run: what did this run show, and can it be believed?"""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

import desk
from data.errors import NotFound
from pages.components import banner, escape, figures, frame, objectives, phases, runs, states, tables
from slo import numbers
from slo.model import RunRef, RunView


def main() -> None:
    """The run named in the address, or the latest ones to choose from."""
    service, run_id = desk.current().service, st.query_params.get("run")
    if not run_id:
        st.title("Runs", anchor=False)
        runs.choose(service.runs(limit=50))
        return
    try:
        view = service.run_view(run_id, frame.scope().phase)
    except NotFound as error:
        states.not_found(error)
        runs.choose(service.runs(limit=50))
        return
    _run(view)


def _run(view: RunView) -> None:
    _heading(view.run)
    if view.verdict:
        _judged_by(view, view.verdict.phase)
        banner.verdict(view.verdict, runs.name(view.run) or "This run")
    else:
        states.no_config()
    st.subheader("Measurement", anchor=False)
    banner.measurement(view.measurement, view.run.requests)
    if view.verdict:
        objectives.show(view.verdict)
    if view.measurement.state == "invalid":
        banner.not_judged()
    figures.over_time(view)
    figures.endpoints(view.endpoints)
    figures.errors(view.errors)
    _about(view)


def _heading(run: RunRef) -> None:
    name = runs.name(run)
    st.title(escape.markdown(f"{name}: run {run.id}" if name else f"Run {run.id}"), anchor=False)
    many = numbers.things(len(run.services), "service") if len(run.services) != 1 else None
    test = run.test if run.test != name else None
    parts = [run.environment, runs.place(run), test, many, numbers.seconds(run.duration_s)]
    where = " · ".join(escape.markdown(part) for part in parts if part)
    st.caption(f"{where} · {numbers.ago(run.started_at, datetime.now(UTC))}")


def _judged_by(view: RunView, phase: str) -> None:
    """Never silently another phase than the run was uploaded for."""
    told = phases.difference(view.run, phase, view.phases)
    if told is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(escape.markdown(told), width="content")
        if view.run.phase and phases.is_known(view.run.phase, view.phases):
            label = escape.markdown(f"Judge by phase {view.run.phase}")
            st.button(label, key="uploaded for", on_click=frame.choose_phase, args=[view.run.phase])


def _about(view: RunView) -> None:
    phase = view.verdict.phase if view.verdict else None
    with st.expander("About this run"):
        st.table(tables.about(view.run, view.artefacts), border="horizontal", alt="What is known of this run")
        st.markdown("A link to this page:")
        st.code(f"{frame.server_url()}/{frame.run_href(view.run, phase)}", language=None, wrap_lines=True)
        if phase:
            st.markdown(f"The same in a terminal, or [as JSON]({frame.verdict_href(view.run, phase)}):")
            asked = f"./phasegate verdict {view.run.id} --phase {phase} --server {frame.server_url()}"
            st.code(asked, language=None, wrap_lines=True)


main()
