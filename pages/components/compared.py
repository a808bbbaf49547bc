"""What changed, as pages draw it: against which runs, each comparison, the latencies of a service, the endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.components import banner, charts, comparisons, distributions, escape, frame, tables, tokens
from slo import numbers
from slo.comparing import outcome
from slo.comparison import CompareView, EndpointChange
from slo.model import BaselineRef, Comparison, RunRef, Verdict

_LEGEND = (
    "Detectable from: the smallest worsening that this comparison finds in four of five cases. "
    "Usual spread: how far runs of this test lie apart when nothing changes."
)
_ALL_SERVICES = "all services"
_MOST_SHOWN = 8


def with_baseline(verdict: Verdict) -> None:
    """The Run page's section: what of the run changed against its baseline."""
    st.subheader("Compared with the baseline", anchor=False)
    if comparisons.is_unbelieved(verdict.measurement.findings, verdict.comparisons):
        st.markdown(comparisons.UNBELIEVED)
        return
    if verdict.baseline is None or not verdict.baseline.runs:
        reason = verdict.baseline.reason if verdict.baseline else ""
        reason = reason or "There is no earlier run to compare with"
        banner.show("no_baseline", reason, next_steps=[comparisons.WITHOUT_BASELINE])
        return
    state = outcome(verdict.comparisons)
    st.markdown(f"{tokens.badge(state)} {comparisons.tally(verdict.comparisons)}")
    baseline(verdict.baseline, verdict.phase)
    changes(verdict.comparisons)
    frame.run_link(verdict.run, "Compare in detail", frame.COMPARE_PAGE)


def baseline(found: BaselineRef, phase: str | None) -> None:
    """Which runs a run is held against, and how old they are."""
    st.caption(escape.markdown(comparisons.baseline_sentence(found, datetime.now(UTC))))
    together = f" · together with {comparisons.run_links(found.repeats, phase)}" if found.repeats else ""
    st.markdown(f":small[{comparisons.run_links(found.runs, phase)}{together}]")


def left_out(found: BaselineRef, phase: str | None) -> None:
    """Runs of the same test that do not count, and why."""
    if found.left_out:
        with st.expander(f"{numbers.things(len(found.left_out), 'run')} of this test left out"):
            lines = (f"- {comparisons.run_links([run], phase)} {escape.markdown(why)}" for run, why in found.left_out)
            st.markdown("\n".join(lines))


def changes(rows: Sequence[Comparison]) -> None:
    """What changed or may have, worst first; what did not, and what moved least, is folded away."""
    told = [row for row in rows if row.state != "unchanged"][:_MOST_SHOWN]
    folded = [row for row in rows if row not in told]
    if told:
        _table(told)
    if folded:
        with st.expander(f"{'and ' if told else ''}{comparisons.tally(folded)}"):
            _table(folded)
    if rows:
        st.caption(_LEGEND)


def latencies(view: CompareView, before: RunRef) -> None:
    """Of one service, which the reader chooses: how each percentile moved, and the run drawn beside the one before."""
    services = comparisons.services(view)
    if not services:
        return
    st.subheader("Response time", anchor=False)
    service = _choose_service(services)
    moved = comparisons.percentiles(view.percentiles, service)
    left, right = st.columns(2, gap="medium")
    if moved:
        with left:
            st.markdown("**Change of each percentile, with its 95 % interval**")
            sentence = distributions.shift_sentence(moved)
            figure = distributions.shift(moved, frame.theme())
            _figure(figure, sentence, comparisons.shift(moved), comparisons.shift_config(moved), "shift")
    shape = next((one for one in view.distributions if one.service == service), None)
    if shape:
        with right:
            st.markdown(f"**This run, and run {escape.code(before.id)} before it**")
            sentence = distributions.percentiles_sentence(shape)
            figure = distributions.percentiles(shape)
            _figure(figure, sentence, comparisons.distribution(shape), comparisons.distribution_config(shape), "both")


def endpoints(rows: Sequence[EndpointChange]) -> None:
    """A line per endpoint, the one that moved by most of its usual spread first."""
    shared = [row for row in rows if comparisons.on_both_sides(row)]
    alone = [row for row in rows if row not in shared]
    if rows:
        st.subheader("Endpoints", anchor=False)
    if shared:
        _endpoints(shared)
    if alone:
        with st.expander(f"{numbers.things(len(alone), 'endpoint')} that only one of both runs called"):
            _endpoints(alone)


def _table(rows: Sequence[Comparison]) -> None:
    st.table(comparisons.changes(rows), hide_index=True, border="horizontal", alt=comparisons.tally(rows))


def _endpoints(rows: Sequence[EndpointChange]) -> None:
    st.dataframe(
        comparisons.endpoints(rows),
        column_config=comparisons.endpoints_config(rows, frame.theme()),
        hide_index=True,
        placeholder=numbers.MISSING,
        alt="Response times and failures of each endpoint in both runs",
    )


def _choose_service(services: Sequence[str | None]) -> str | None:
    """The service in the address, or the first: the one that changed most."""
    labels = {service or _ALL_SERVICES: service for service in services}
    if len(labels) == 1:
        return services[0]
    chosen = st.selectbox("Service", list(labels), key="service", bind="query-params", width=300)
    return labels[chosen]


def _figure(figure: go.Figure, sentence: str, behind: pd.DataFrame, config: tables.Config, key: str) -> None:
    st.caption(escape.markdown(sentence))
    chart, table = st.tabs(["Chart", "Table"])
    chart.plotly_chart(figure, config=charts.CONFIG, key=key, alt=sentence)
    table.dataframe(
        behind,
        column_config=config,
        hide_index=True,
        height=300,
        placeholder=numbers.MISSING,
        key=f"{key} table",
        alt=sentence,
    )
