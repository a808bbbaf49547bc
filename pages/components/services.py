"""The services of a phase, worst first: each a line on a wide screen and a card on a narrow one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from pages.components import charts, escape, frame, runs, tables, tokens
from slo import numbers
from slo.model import ServiceRow
from slo.target import Target

_WIDTHS = [2.4, 4, 1.8, 2.3]
_MOST_NAMED = 3


def show(rows: Sequence[ServiceRow], phase: str | None) -> None:
    """The rows, and the same as a table that can be sorted and downloaded."""
    now = datetime.now(UTC)
    lines, table = st.tabs(["Services", "Table"])
    with lines:
        if any(row.history for row in rows):
            st.caption(charts.SPARKLINE_LEGEND)
        for row in rows:
            with st.container(border=True):
                _line(row, now)
    table.dataframe(
        tables.services(rows, phase),
        column_config=tables.services_config(rows, frame.theme()),
        hide_index=True,
        placeholder=numbers.MISSING,
        alt="Services of the phase, worst first",
    )


def mixed(rows: Sequence[ServiceRow]) -> list[str]:
    """What the rows mix: ``latest runs of 2 branches: main (6), rewrite (1)``; nothing where all are of one."""
    latest = [row.run for row in rows if row.run]
    environments = _mixture("environments", [run.environment for run in latest])
    return [*_mixture("branches", [run.branch for run in latest]), *environments]


def _mixture(what: str, values: Sequence[str | None]) -> list[str]:
    counts = Counter(value or "none" for value in values).most_common()
    if len(counts) < 2:  # noqa: PLR2004
        return []
    named = [f"{value} ({n})" for value, n in counts[:_MOST_NAMED]]
    more = [f"{len(counts) - _MOST_NAMED} more"] if len(counts) > _MOST_NAMED else []
    return [f"latest runs of {len(counts)} {what}: {', '.join(named + more)}"]


def _line(row: ServiceRow, now: datetime) -> None:
    name, reason, trend, figures = st.columns(_WIDTHS, vertical_alignment="center")
    with name:
        _name(row)
    small = [_coverage(row), f"run {runs.line(row.run, now)}" if row.run else ""]
    reason.markdown("  \n".join([escape.markdown(row.reason), *(f":small[{part}]" for part in small if part)]))
    if row.history:
        trend.plotly_chart(
            charts.sparkline(row.history, frame.theme()),
            height=charts.SPARKLINE_PX,
            config=charts.STATIC,
            key=f"trend {row.service}",
            alt=charts.sparkline_sentence(row.service, row.history),
        )
    figures.markdown(_figures(row))


def _name(row: ServiceRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.markdown(tokens.badge(row.state), width="content")
        name = f"**{escape.markdown(row.service)}**"
        if row.run:
            frame.run_link(row.run, name)
        else:
            st.markdown(name, width="content")


def _coverage(row: ServiceRow) -> str:
    met = f"{row.met} of {numbers.things(row.asked, 'objective')} met" if row.asked else "no objectives"
    parts = [met if met not in row.reason else None, f"owner {row.owner}" if row.owner else None]
    return escape.markdown(" · ".join(part for part in parts if part))


def _figures(row: ServiceRow) -> str:
    """p95 against its target with what is left of it, and failures."""
    if row.run is None:
        return f":small[p95 target {_target(row)}]" if row.p95_target else ""
    small = [_headroom(row), f"failed {numbers.rate_with_count(row.failed, row.requests)}"]
    return "  \n".join([_p95(row), *(f":small[{part}]" for part in small if part)])


def _p95(row: ServiceRow) -> str:
    if row.state == "inconclusive":
        return "p95 not judged" + (f": {numbers.duration_ms(row.p95_ms)}" if row.p95_ms is not None else "")
    return f"p95 **{numbers.duration_ms(row.p95_ms)}**" + (f", target {_target(row)}" if row.p95_target else "")


def _headroom(row: ServiceRow) -> str | None:
    """What is left of the p95's target, where it was judged."""
    if row.p95_ms is None or row.p95_target is None or row.state == "inconclusive":
        return None
    left = Target.parse(row.p95_target).margin(row.p95_ms)
    return None if left is None else numbers.margin(left)


def _target(row: ServiceRow) -> str:
    return escape.markdown((row.p95_target or "").removeprefix("p(95) "))
