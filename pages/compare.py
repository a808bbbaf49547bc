"""Compare: what changed between two runs, or a run and its baseline, and is it more than noise?"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

import streamlit as st

import desk
from data.catalog import RunFilter
from data.errors import NotFound
from pages.components import banner, compared, comparisons, frame, runs, states
from slo.comparison import CompareView
from slo.model import RunRef
from slo.service import Service

_SHOWN_FINDINGS = 3


def main() -> None:
    """The comparison that the address names, or the latest runs to choose from."""
    service, run_id = desk.current().service, st.query_params.get("run")
    if not run_id:
        st.title("Compare", anchor=False)
        st.markdown("Choose the run that you want to know about; it is compared with its baseline.")
        runs.choose(service.runs(limit=50))
        return
    try:
        run = service.run(run_id)
    except NotFound as error:
        states.not_found(error)
        runs.choose(service.runs(limit=50))
        return
    runs.heading(run, "what changed in run")
    before = _choose_before(service, run)
    try:
        view = service.compare(run.id, before, frame.scope().phase)
    except NotFound as error:
        states.not_found(error)
        return
    _answer(view)


def _choose_before(service: Service, run: RunRef) -> str | None:
    """The run to compare with, as the address names it; ``None`` is the baseline."""
    asked = st.query_params.get("with") or None
    others = _others(service, run)
    now = datetime.now(UTC)
    st.session_state["before"] = asked  # the address alone says what is chosen
    st.selectbox(
        "Compare with",
        [*others, *({asked} - others.keys() - {None})],
        index=None,
        format_func=lambda chosen: runs.text(others[chosen], now) if chosen in others else chosen,
        key="before",
        on_change=_choose,
        placeholder="its baseline",
        width=560,
    )
    return asked


def _choose() -> None:
    """Callback: the chosen run goes into the address."""
    if chosen := st.session_state["before"]:
        st.query_params["with"] = chosen
    else:
        st.query_params.pop("with", None)


def _others(service: Service, run: RunRef) -> dict[str, RunRef]:
    """Runs that measured the same service, or ran the same test, by id, newest first."""
    same = RunFilter(service=run.service) if run.service else RunFilter(test=run.test)
    return {other.id: other for other in service.runs(same) if other.id != run.id}


def _answer(view: CompareView) -> None:
    phase = frame.scope().phase
    state = comparisons.state_of(view)
    why = [view.baseline.reason] if state == "no_baseline" and view.baseline.reason else []
    banner.show(state, comparisons.sentence(view), why, comparisons.next_steps(view))
    if view.findings:
        st.subheader("Measurement", anchor=False)
        banner.findings(view.findings, most=_SHOWN_FINDINGS)
    if view.before is None:
        compared.left_out(view.baseline, phase)
        return
    st.subheader("What changed", anchor=False)
    compared.baseline(view.baseline, phase)
    compared.changes(view.comparisons)
    if state == "invalid":
        banner.not_judged()
    compared.latencies(view, view.before)
    compared.endpoints(view.endpoints)
    compared.left_out(view.baseline, phase)
    _about(view, phase)


def _about(view: CompareView, phase: str | None) -> None:
    before = st.query_params.get("with") or None
    sides = [view.run.id, before] if before else [view.run.id]
    options = ["--phase", phase] if phase else []
    with st.expander("About this comparison"):
        frame.run_link(view.run, "The run")
        st.markdown("A link to this page:")
        address = f"{frame.server_url()}/{frame.compare_href(view.run.id, before, phase)}"
        st.code(address, language=None, wrap_lines=True)
        st.markdown("The same in a terminal:")
        st.code(
            shlex.join(["./phasegate", "compare", *sides, *options, "--server", frame.server_url()]),
            language=None,
            wrap_lines=True,
        )


main()
