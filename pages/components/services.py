"""The services of a phase, worst first: each a line on a wide screen and a card on a narrow one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from pages.components import charts, escape, frame, tables, tokens
from slo import numbers
from slo.model import ServiceRow

_WIDTHS = [2.4, 4, 1.8, 2.3]


def show(rows: Sequence[ServiceRow], phase: str | None) -> None:
    """The rows, and the same as a table that can be sorted and downloaded."""
    lines, table = st.tabs(["Services", "Table"])
    with lines:
        for row in rows:
            with st.container(border=True):
                _line(row, phase)
    table.dataframe(
        tables.services(rows, phase),
        column_config=tables.services_config(rows, frame.theme()),
        hide_index=True,
        placeholder=numbers.MISSING,
        alt="Services of the phase, worst first",
    )


def _line(row: ServiceRow, phase: str | None) -> None:
    name, reason, trend, figures = st.columns(_WIDTHS, vertical_alignment="center")
    with name:
        _name(row, phase)
    reason.markdown(f"{escape.markdown(row.reason)}  \n:small[{_coverage(row)}]")
    if row.history:
        trend.plotly_chart(
            charts.sparkline(row.history, frame.theme()),
            height=charts.SPARKLINE_PX,
            config=charts.STATIC,
            key=f"trend {row.service}",
            alt=charts.sparkline_sentence(row.service, row.history),
        )
    figures.markdown(_figures(row))


def _name(row: ServiceRow, phase: str | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.markdown(tokens.badge(row.state), width="content")
        name = f"**{escape.markdown(row.service)}**"
        if row.run:
            frame.run_link(row.run, name, phase)
        else:
            st.markdown(name, width="content")


def _coverage(row: ServiceRow) -> str:
    met = f"{row.met} of {numbers.things(row.asked, 'objective')} met" if row.asked else "no objectives"
    return met + (f" · owner {escape.markdown(row.owner)}" if row.owner else "")


def _figures(row: ServiceRow) -> str:
    """p95 against its target, failures, and how old all that is."""
    if row.run is None:
        return f":small[p95 target {_target(row)}]" if row.p95_target else ""
    failed = f"failed {numbers.rate_with_count(row.failed, row.requests)}"
    age = numbers.ago(row.run.started_at, datetime.now(UTC))
    return f"{_p95(row)}  \n:small[{failed} · {age}]"


def _p95(row: ServiceRow) -> str:
    if row.state == "inconclusive":
        return "p95 not judged" + (f": {numbers.duration_ms(row.p95_ms)}" if row.p95_ms is not None else "")
    return f"p95 **{numbers.duration_ms(row.p95_ms)}**" + (f", target {_target(row)}" if row.p95_target else "")


def _target(row: ServiceRow) -> str:
    return escape.markdown((row.p95_target or "").removeprefix("p(95) "))
