"""Run: what did this run show, and can it be believed?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

import desk
from data.errors import NotFound
from pages.components import banner, escape, figures, frame, objectives, states, tables
from slo import numbers
from slo.model import RunRef, RunView


def main() -> None:
    """The run named in the address, or the latest ones to choose from."""
    service, run_id = desk.current().service, st.query_params.get("run")
    if not run_id:
        st.title("Runs", anchor=False)
        _latest(service.runs(limit=50))
        return
    try:
        view = service.run_view(run_id, frame.scope().phase)
    except NotFound as error:
        states.not_found(error)
        _latest(service.runs(limit=50))
        return
    _run(view)


def _run(view: RunView) -> None:
    _heading(view.run)
    if view.verdict:
        banner.verdict(view.verdict, _subject(view.run))
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
    st.title(escape.markdown(f"{_subject(run)}: run {run.id}"), anchor=False)
    commit = run.commit[:7] if run.commit else None
    parts = [run.environment, run.branch, commit, run.test, numbers.seconds(run.duration_s)]
    where = " · ".join(escape.markdown(part) for part in parts if part)
    st.caption(f"{where} · {numbers.ago(run.started_at, datetime.now(UTC))}")


def _subject(run: RunRef) -> str:
    """What the run is about, in few words: its service, else its test, else how many services it has."""
    only = run.services[0] if len(run.services) == 1 else None
    return run.service or only or run.test or numbers.things(len(run.services), "service")


def _about(view: RunView) -> None:
    phase = view.verdict.phase if view.verdict else None
    with st.expander("About this run"):
        st.table(tables.about(view.run, view.artefacts), border="horizontal", alt="What is known of this run")
        st.markdown("A link to this page:")
        st.code(f"{frame.server_url()}/{frame.run_href(view.run, phase)}", language=None, wrap_lines=True)
        if phase:
            st.markdown(f"[The verdict as JSON]({frame.verdict_href(view.run, phase)})")


def _latest(runs: Sequence[RunRef]) -> None:
    st.markdown(f"The latest {numbers.things(len(runs), 'run')} of this store:")
    now = datetime.now(UTC)
    with st.container(gap=None):
        for run in runs:
            parts = [_subject(run), run.id, run.branch, numbers.ago(run.started_at, now)]
            label = " · ".join(escape.markdown(part) for part in parts if part)
            # Not a link: one that leads to its own page leaves the address as it was.
            st.button(label, key=f"open {run.id}", type="tertiary", on_click=_open, args=[run.id])


def _open(run_id: str) -> None:
    st.query_params["run"] = run_id


main()
