"""The figures and tables of one run. Behind every figure lies a tab with the numbers that it is drawn from."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from pages.components import charts, frame, tables
from slo import numbers
from slo.model import Endpoint, ErrorGroup, RunView, TimeBin


def over_time(view: RunView) -> None:
    """Requests and latency side by side; one above the other on a narrow screen."""
    if not view.timeline:
        st.subheader("Requests", anchor=False)
        st.markdown("No request was made outside setup and teardown.")
        return
    bins, targets = charts.filled(view.timeline, view.bin_s), p95_targets(view)
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Requests", anchor=False)
        _figure(charts.requests(bins, frame.theme()), charts.requests_sentence(bins), bins, "requests")
    with right:
        st.subheader("Response time", anchor=False)
        _figure(charts.latency(bins, targets), charts.latency_sentence(bins, targets), bins, "latency")


def endpoints(rows: Sequence[Endpoint]) -> None:
    """A line per endpoint."""
    if not rows:
        return
    st.subheader("Endpoints", anchor=False)
    st.dataframe(
        tables.endpoints(rows),
        column_config=tables.endpoints_config(rows),
        hide_index=True,
        placeholder=numbers.MISSING,
        alt="Requests, failures and response times of each endpoint",
    )


def errors(groups: Sequence[ErrorGroup]) -> None:
    """A line per kind of failure."""
    st.subheader("Errors", anchor=False)
    if not groups:
        st.markdown("No request failed.")
        return
    st.dataframe(
        tables.errors(groups),
        column_config=tables.errors_config(),
        hide_index=True,
        placeholder=numbers.MISSING,
        alt="Failed requests by error code",
    )


def p95_targets(view: RunView) -> list[charts.TargetLine]:
    """The targets that a p95 over all requests can be held against: the system's, or those of the only service."""
    if view.verdict is None:
        return []
    return [
        charts.TargetLine(numbers.duration_ms(result.target_value), result.target_value)
        for result in view.verdict.objectives
        if result.sli == "http_req_duration" and result.stat == "p(95)" and result.target_value is not None
        if result.service is None or set(view.run.services) <= {result.service}
    ]


def _figure(figure: go.Figure, sentence: str, bins: Sequence[TimeBin], key: str) -> None:
    st.caption(sentence)
    chart, table = st.tabs(["Chart", "Table"])
    chart.plotly_chart(figure, config=charts.CONFIG, key=key, alt=sentence)
    table.dataframe(
        tables.timeline(bins),
        column_config=tables.timeline_config(bins),
        hide_index=True,
        height=300,
        placeholder=numbers.MISSING,
        key=f"{key} table",
        alt=sentence,
    )
