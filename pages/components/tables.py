"""Documents as tables: pure functions from values to frames, and how Streamlit shall show their columns.

Numbers stay numbers, so that a click on a column sorts them; what is missing is empty, never 0. Cells of
``st.dataframe`` show text as it is; cells of ``st.table`` are markdown, so those are escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import pandas as pd
import streamlit as st

from data.facts import said
from pages.components import escape, frame, tokens
from pages.components.charts import is_believed
from pages.components.tokens import ThemeType
from slo import numbers
from slo.model import Endpoint, ErrorGroup, ObjectiveResult, RunRef, ServiceRow, TimeBin

Config = dict[str, Any]
"""Streamlit's column configuration: its own types are private."""

_OBJECTIVE_COLUMNS: Final = ["State", "Objective", "Target", "Measured", "Margin", "95 % interval", "Samples"]


def services(rows: Sequence[ServiceRow], phase: str | None) -> pd.DataFrame:
    """One line per service, worst first as they come; ``Run`` links to its latest."""
    return pd.DataFrame(
        {
            "Service": [row.service for row in rows],
            "State": [[tokens.label(row.state)] for row in rows],
            "Reason": [row.reason for row in rows],
            "p95 of the last runs": [
                [point.p95_ms for point in row.history if is_believed(point) and point.p95_ms is not None]
                for row in rows
            ],
            "p95": [row.p95_ms for row in rows],
            "Target": [row.p95_target for row in rows],
            "Failed": [row.failed_ratio for row in rows],
            "Failed requests": [row.failed for row in rows],
            "Requests": [row.requests for row in rows],
            "Last run": [row.run.started_at if row.run else None for row in rows],
            "Run": [frame.run_href(row.run.id, phase) if row.run else None for row in rows],
            "Branch": [row.run.branch if row.run else None for row in rows],
            "Commit": [row.run.commit if row.run else None for row in rows],
            "Owner": [row.owner for row in rows],
        }
    )


def services_config(rows: Sequence[ServiceRow], theme: ThemeType) -> Config:
    """The columns of ``services``."""
    states = list(dict.fromkeys(row.state for row in rows))
    column = st.column_config
    return {
        "Service": column.TextColumn(pinned=True),
        "State": column.MultiselectColumn(
            options=[tokens.label(state) for state in states],
            color=[tokens.TOKENS[state].colour(theme) for state in states],
        ),
        "Reason": column.TextColumn(width="large"),
        "p95 of the last runs": column.LineChartColumn(y_min=0, help="Runs that cannot be believed are left out."),
        "p95": ms_column(row.p95_ms for row in rows),
        "Failed": column.NumberColumn(format="percent"),
        "Failed requests": column.NumberColumn(format="localized"),
        "Requests": column.NumberColumn(format="localized"),
        "Last run": column.DatetimeColumn(format="distance"),
        "Run": column.LinkColumn(display_text="run=([^&]*)", alignment="left"),
    }


def objectives(results: Iterable[ObjectiveResult]) -> pd.DataFrame:
    """One line per objective, in markdown."""
    lines = [
        (
            tokens.badge(result.state),
            escape.markdown(objective_name(result)),
            escape.markdown(result.target),
            _measured(result),
            numbers.margin(result.margin),
            numbers.interval(result.ci, result.unit),
            numbers.count(result.n),
        )
        for result in results
    ]
    return pd.DataFrame(lines, columns=_OBJECTIVE_COLUMNS)


def objective_name(result: ObjectiveResult) -> str:
    """Which number of which service: ``event http_req_duration{name:/event/search}``."""
    return " ".join(part for part in (result.service, result.sli) if part)


def endpoints(rows: Sequence[Endpoint]) -> pd.DataFrame:
    """One line per endpoint; latencies in ms."""
    return pd.DataFrame(
        {
            "Endpoint": [f"{row.method} {row.name}" for row in rows],
            "Service": [row.service for row in rows],
            "Requests": [row.requests for row in rows],
            "Failed": [row.failed for row in rows],
            "Failed share": [row.failed / row.requests if row.requests else None for row in rows],
            "p50": [row.p50_ms for row in rows],
            "p95": [row.p95_ms for row in rows],
            "p95 without failed": [row.p95_ok_ms for row in rows],
            "Max": [row.max_ms for row in rows],
        }
    )


def endpoints_config(rows: Sequence[Endpoint]) -> Config:
    """The columns of ``endpoints``; each has one unit and one number of decimals."""
    return {
        "Endpoint": st.column_config.TextColumn(pinned=True),
        "Requests": st.column_config.NumberColumn(format="localized"),
        "Failed": st.column_config.NumberColumn(format="localized"),
        "Failed share": st.column_config.NumberColumn(format="percent"),
        "p50": ms_column(row.p50_ms for row in rows),
        "p95": ms_column(row.p95_ms for row in rows),
        "p95 without failed": ms_column(row.p95_ok_ms for row in rows),
        "Max": ms_column(row.max_ms for row in rows),
    }


def errors(groups: Sequence[ErrorGroup]) -> pd.DataFrame:
    """One line per kind of failure."""
    return pd.DataFrame(
        {
            "Code": [group.error_code or None for group in groups],
            "Status": [group.status for group in groups],
            "Error": [group.error or None for group in groups],
            "Endpoint": [f"{group.method} {group.name}" for group in groups],
            "Service": [group.service for group in groups],
            "Requests": [group.requests for group in groups],
            "First at": [group.first_s for group in groups],
            "Part": ["setup or teardown" if group.in_setup else "load" for group in groups],
        }
    )


def errors_config() -> Config:
    """The columns of ``errors``."""
    return {
        "Error": st.column_config.TextColumn(width="large"),
        "Requests": st.column_config.NumberColumn(format="localized"),
        "First at": st.column_config.NumberColumn(format="%.1f s"),
    }


def timeline(bins: Sequence[TimeBin]) -> pd.DataFrame:
    """What the figures over time are drawn from."""
    return pd.DataFrame(
        {
            "At": [point.at_s for point in bins],
            "Requests per second": [point.requests_per_s for point in bins],
            "Failed per second": [point.failed_per_s for point in bins],
            "p50": [point.p50_ms for point in bins],
            "p95": [point.p95_ms for point in bins],
        }
    )


def timeline_config(bins: Sequence[TimeBin]) -> Config:
    """The columns of ``timeline``."""
    return {
        "At": st.column_config.NumberColumn(format="%.1f s"),
        "Requests per second": st.column_config.NumberColumn(format="%.1f"),
        "Failed per second": st.column_config.NumberColumn(format="%.1f"),
        "p50": ms_column(point.p50_ms for point in bins),
        "p95": ms_column(point.p95_ms for point in bins),
    }


def about(run: RunRef, artefacts: Sequence[str]) -> dict[str, str]:
    """What is known of a run, in markdown."""
    facts = {
        "Run": run.id,
        "Services": ", ".join(run.services) or run.service,
        "Test": run.test,
        "Phase at upload": run.phase,
        "Branch": run.branch,
        "Commit": run.commit,
        "Version": run.version,
        "Environment": run.environment,
        "k6 version": run.k6_version,
        "k6 exit code": None if run.exit_code is None else str(run.exit_code),
        "Started": numbers.timestamp(run.started_at),
        "Took": numbers.seconds(run.duration_s),
        "Received": numbers.timestamp(run.received_at),
        "Files": ", ".join(artefacts),
    } | {f"Label {name}": value for name, value in run.labels.items()}
    facts |= {f"Fact {name}": said(value) for name, value in run.facts.items()}
    return {escape.markdown(name): escape.markdown(value or numbers.MISSING) for name, value in facts.items()}


def ms_column(values: Iterable[float | None]) -> Any:  # noqa: ANN401  # Streamlit's type for it is private
    """A column of latencies in ms, with as many decimals as its smallest needs."""
    known = [value for value in values if value is not None]
    decimals = numbers.ms_decimals(min(known)) if known else 0
    return st.column_config.NumberColumn(format=f"%.{decimals}f ms")


def _measured(result: ObjectiveResult) -> str:
    """The value as told apart from its target, what it rests on, or why there is none."""
    if result.value is None:
        return f"{numbers.MISSING} :small[{escape.markdown(result.reason)}]"
    shown, _ = numbers.distinct(result.value, result.target_value, result.unit)
    if result.count is not None:
        shown += f" :small[({numbers.count(result.count)} of {numbers.count(result.n)})]"
    if result.value_ok is not None and result.value_ok != result.value:
        shown += f" :small[({numbers.value(result.value_ok, result.unit)} without failed)]"
    return shown
