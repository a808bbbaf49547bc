"""Run: what did this run show, and can it be believed?"""

from __future__ import annotations

import streamlit as st

import desk
from data.errors import NotFound
from pages.components import banner, compared, escape, figures, frame, objectives, phases, runs, states, tables, watched
from slo.model import RunView


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
    runs.heading(view.run, "run")
    if view.verdict:
        _judged_by(view, view.verdict.phase)
        banner.verdict(view.verdict, runs.name(view.run) or "This run")
    else:
        states.no_config()
    st.subheader("Measurement", anchor=False)
    banner.measurement(view.measurement, view.run.requests)
    if view.verdict:
        objectives.show(view.verdict)
        banner.waivers(view.verdict.waivers)
        compared.with_baseline(view.verdict)
    if view.measurement.state == "invalid":
        banner.not_judged()
    figures.over_time(view)
    figures.endpoints(view.endpoints)
    figures.errors(view.errors)
    watched.show(view)
    _about(view)


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
        if kept := [one for one in view.attachments if one.kept]:
            links = (f"[{escape.markdown(one.name)}]({frame.attachment_href(view.run.id, one.name)})" for one in kept)
            st.markdown(f"Attached, to be saved: {', '.join(links)}")
        st.markdown("A link to this page:")
        st.code(f"{frame.server_url()}/{frame.run_href(view.run.id, phase)}", language=None, wrap_lines=True)
        if phase:
            st.markdown(f"The same in a terminal, or [as JSON]({frame.verdict_href(view.run, phase)}):")
            asked = f"./phasegate verdict {view.run.id} --phase {phase} --server {frame.server_url()}"
            st.code(asked, language=None, wrap_lines=True)


main()
