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
    with st.expander("About this run"):
        st.table(tables.about(view.run, view.artefacts), border="horizontal", alt="What is known of this run")


def _heading(run: RunRef) -> None:
    st.title(escape.markdown(f"{_subject(run)}: run {run.id}"), anchor=False)
    parts = [run.environment, run.branch, run.commit and run.commit[:7], run.test, numbers.seconds(run.duration_s)]
    where = " · ".join(escape.markdown(part) for part in parts if part)
    st.caption(f"{where} · {numbers.ago(run.started_at, datetime.now(UTC))}")


def _subject(run: RunRef) -> str:
    return run.service or ", ".join(run.services) or "this run"


def _latest(runs: Sequence[RunRef]) -> None:
    st.markdown(f"The latest {numbers.things(len(runs), 'run')} of this store:")
    now = datetime.now(UTC)
    for run in runs:
        parts = [_subject(run), run.id, run.environment, run.branch, numbers.ago(run.started_at, now)]
        label = " · ".join(escape.markdown(part) for part in parts if part)
        # Not a link: one that leads to its own page leaves the address as it was.
        st.button(label, key=f"open {run.id}", type="tertiary", on_click=_open, args=[run.id])


def _open(run_id: str) -> None:
    st.query_params["run"] = run_id


main()
