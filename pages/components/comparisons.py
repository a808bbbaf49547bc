"""Comparisons in words and as tables: pure functions from documents to text and frames.

They come worst first, and stay so. Cells of ``st.table`` are markdown, so those are escaped; those of ``st.dataframe``
show text as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import pandas as pd
import streamlit as st

from pages.components import escape, frame, tables, tokens
from slo import numbers
from slo.comparison import CompareView, Distribution, EndpointChange
from slo.model import BaselineKind, BaselineRef, Comparison, Endpoint, Finding

UNBELIEVED: Final = "This run cannot be believed: it is compared with nothing, and enters no baseline."
WITHOUT_BASELINE: Final = (
    "run the test again on the branch of the baseline; or name the run to hold others against: "
    "phasegate baseline set RUN --reason TEXT"
)
_KINDS: Final[dict[BaselineKind, str]] = {
    "rolling": "Rolling baseline",
    "pinned": "Pinned baseline",
    "named": "Compared as asked",
    "none": "No baseline",
}
_PERCENTILE: Final = re.compile(r"p\((\d+(?:\.\d+)?)\)")
_WORST_FIRST: Final = ("regressed", "inconclusive", "improved", "unchanged", "not_comparable", "no_baseline")
_COLUMNS: Final = ["What", "Change", "95 % interval", "Before", "Now", "Detectable from", "× usual spread"]


def look(comparison: Comparison) -> str:
    """The state as it is shown: a regression that waits for another run to confirm it is ``suspected``."""
    return "suspected" if comparison.suspected else comparison.state


def is_unbelieved(findings: Iterable[Finding], comparisons: Iterable[Comparison]) -> bool:
    """Whether a run is so broken that nothing of it was compared; with one broken service, others still are."""
    return bool(_invalid(findings)) and all(row.state in {"not_comparable", "no_baseline"} for row in comparisons)


def state_of(view: CompareView) -> str:
    """The state of a whole comparison: where the run cannot be believed, that."""
    return "invalid" if is_unbelieved(view.findings, view.comparisons) else view.outcome


def sentence(view: CompareView) -> str:
    """The answer in one sentence."""
    return UNBELIEVED if state_of(view) == "invalid" else view.sentence


def tally(comparisons: Iterable[Comparison]) -> str:
    """How many are what: ``1 regressed, 2 inconclusive, 13 unchanged``."""
    counts = Counter(look(comparison) for comparison in comparisons)
    return ", ".join(f"{n} {tokens.word(state).lower()}" for state, n in counts.items())


def next_steps(view: CompareView) -> list[str]:
    """What to do about the answer; nothing where nothing got worse."""
    state = state_of(view)
    if state == "invalid":
        return list(dict.fromkeys(finding.remedy for finding in _invalid(view.findings) if finding.remedy))
    if state == "no_baseline":
        return [WITHOUT_BASELINE]
    if state in {"regressed", "suspected"}:
        return _look_first(view.endpoints)
    open_ = next((row for row in view.comparisons if row.state == "inconclusive" and row.settle), None)
    return [f"{name(open_)}: {open_.settle}"] if open_ else []


def name(comparison: Comparison) -> str:
    """Which number of which service: ``event http_req_duration p(95)``."""
    return " ".join(part for part in (comparison.service, comparison.sli, comparison.stat) if part)


def baseline_sentence(baseline: BaselineRef, now: datetime) -> str:
    """Of which kind the baseline is, and how old: ``Rolling baseline: 10 runs, 2 h ago to 3 d ago``."""
    ages = dict.fromkeys(numbers.ago(moment, now) for moment in (baseline.newest_at, baseline.oldest_at) if moment)
    told = [numbers.things(len(baseline.runs), "run"), *([" to ".join(ages)] if ages else [])]
    reason = f" {baseline.reason[0].upper()}{baseline.reason[1:].rstrip('.')}." if baseline.reason else ""
    return f"{_KINDS[baseline.kind]}: {', '.join(told)}.{reason}"


def run_links(run_ids: Iterable[str], phase: str | None) -> str:
    """Runs as links in markdown, one after the other."""
    return " ".join(f"[{escape.code(run)}]({frame.run_href(run, phase)})" for run in run_ids)


def changes(comparisons: Iterable[Comparison]) -> pd.DataFrame:
    """One line per comparison, in markdown, with what would settle an inconclusive one."""
    lines = [
        (
            _what(row),
            numbers.change(row.change, row.unit),
            numbers.change_interval(row.ci, row.unit),
            numbers.value(row.baseline, row.unit),
            numbers.value(row.value, row.unit),
            numbers.change_size(row.detectable, row.unit),
            numbers.MISSING if row.noise is None else f"{abs(row.noise):,.1f}",
        )
        for row in comparisons
    ]
    return pd.DataFrame(lines, columns=_COLUMNS)


def services(view: CompareView) -> list[str | None]:
    """The services whose latencies are known, the one that changed worst first."""
    known = {row.service for row in view.percentiles} | {shape.service for shape in view.distributions}
    ranked = [row.service for row in view.comparisons] + [row.service for row in view.percentiles]
    return [service for service in dict.fromkeys(ranked) if service in known]


def percentile(level: float) -> str:
    """A percentile as people say it: ``p95``, ``p99.9``."""
    return f"p{level * 100:.6g}"


def percentile_of(comparison: Comparison) -> str:
    """The percentile that a comparison is about, as :func:`percentile` says it."""
    return percentile(_level(comparison) or 0.0)


def percentiles(rows: Iterable[Comparison], service: str | None) -> list[Comparison]:
    """The percentiles of one service of which a change is known, the lowest first."""
    known = [row for row in rows if row.service == service and row.change is not None and _level(row) is not None]
    return sorted(known, key=lambda row: _level(row) or 0.0)


def shift(rows: Sequence[Comparison]) -> pd.DataFrame:
    """What the shift by percentile is drawn from; latencies in ms, changes in percent."""
    return pd.DataFrame(
        {
            "Percentile": [percentile_of(row) for row in rows],
            "State": [tokens.label(look(row)) for row in rows],
            "Before": [row.baseline for row in rows],
            "Now": [row.value for row in rows],
            "Change": [_percent(row.change) for row in rows],
            "95 % interval": [numbers.change_interval(row.ci) for row in rows],
        }
    )


def shift_config(rows: Sequence[Comparison]) -> tables.Config:
    """The columns of ``shift``."""
    return _sides_config([row.baseline for row in rows], [row.value for row in rows])


def distribution(shape: Distribution) -> pd.DataFrame:
    """What the percentiles of both runs are drawn from; latencies in ms."""
    levels = [percentile(level) for level in shape.levels]
    return pd.DataFrame({"Percentile": levels, "Before": shape.before_ms, "Now": shape.now_ms})


def distribution_config(shape: Distribution) -> tables.Config:
    """The columns of ``distribution``."""
    return _sides_config(shape.before_ms, shape.now_ms)


def on_both_sides(row: EndpointChange) -> bool:
    """Whether both runs called the endpoint."""
    return row.now is not None and row.before is not None


def endpoints(rows: Sequence[EndpointChange]) -> pd.DataFrame:
    """One line per endpoint, in the order they come in: what moved by most of its usual spread first."""
    return pd.DataFrame(
        {
            "Endpoint": [f"{row.method} {row.name}" for row in rows],
            "State": [[tokens.label(_endpoint_state(row))] for row in rows],
            "Service": [row.service for row in rows],
            "p95 before": [row.p95_before_ms for row in rows],
            "p95 now": [row.now.p95_ms if row.now else None for row in rows],
            "p95 change": [_percent(row.p95.change) if row.p95 else None for row in rows],
            "95 % interval": [numbers.change_interval(row.p95.ci) if row.p95 else None for row in rows],
            "× usual spread": [_spreads(row) for row in rows],
            "Failed before": [row.failed_before for row in rows],
            "Failed now": [_failed(row.now) for row in rows],
            "Requests before": [row.before.requests if row.before else None for row in rows],
            "Requests now": [row.now.requests if row.now else None for row in rows],
        }
    )


def endpoints_config(rows: Sequence[EndpointChange], theme: tokens.ThemeType) -> tables.Config:
    """The columns of ``endpoints``."""
    column = st.column_config
    states = list(dict.fromkeys(_endpoint_state(row) for row in rows))
    return {
        "Endpoint": column.TextColumn(pinned=True),
        "State": column.MultiselectColumn(
            options=[tokens.label(state) for state in states],
            color=[tokens.TOKENS[state].colour(theme) for state in states],
        ),
        "p95 before": tables.ms_column(row.p95_before_ms for row in rows),
        "p95 now": tables.ms_column(row.now.p95_ms if row.now else None for row in rows),
        "p95 change": _percent_column(),
        "× usual spread": column.NumberColumn(format="%.1f", help="The change in units of the spread from run to run."),
        "Failed before": column.NumberColumn(format="percent"),
        "Failed now": column.NumberColumn(format="percent"),
        "Requests before": column.NumberColumn(format="localized"),
        "Requests now": column.NumberColumn(format="localized"),
    }


def _invalid(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "invalid"]


def _level(comparison: Comparison) -> float | None:
    """The level of a percentile of latencies, 0 to 1; ``None`` of every other statistic."""
    if comparison.stat == "med":
        return 0.5
    found = _PERCENTILE.fullmatch(comparison.stat)
    return float(found[1]) / 100 if found else None


def _look_first(rows: Iterable[EndpointChange]) -> list[str]:
    """The endpoint that regressed furthest beyond its spread."""
    first = next((row for row in rows if _endpoint_state(row) in {"regressed", "suspected"}), None)
    if first is None:
        return ["see below which endpoints moved most: none of them got worse for sure"]
    sides = {"p95": first.p95, "failures": first.failed}
    what, found = next((what, one) for what, one in sides.items() if one and one.state == "regressed")
    before, now = numbers.value(found.baseline, found.unit), numbers.value(found.value, found.unit)
    return [f"look at {first.method} {first.name} first: {what} went from {before} to {now}"]


def _what(comparison: Comparison) -> str:
    """State and name in one cell, for a narrow screen to show beside the change, and what the numbers leave open."""
    told = {
        "inconclusive": comparison.settle or comparison.reason,
        "suspected": comparison.reason,
        "not_comparable": comparison.reason,
        "no_baseline": comparison.reason,
    }.get(look(comparison))
    what = f"{tokens.badge(look(comparison))} **{escape.markdown(name(comparison))}**"
    return f"{what}  \n:small[{escape.markdown(told)}]" if told else what


def _endpoint_state(row: EndpointChange) -> str:
    """The worse of its two comparisons; an endpoint that only one side called cannot be compared."""
    found = [one for one in (row.p95, row.failed) if one]
    if not found or not on_both_sides(row):
        return "not_comparable"
    return look(min(found, key=lambda one: _WORST_FIRST.index(one.state)))


def _spreads(row: EndpointChange) -> float | None:
    """The larger of both changes, in units of the spread from run to run."""
    return max((abs(one.noise) for one in (row.p95, row.failed) if one and one.noise is not None), default=None)


def _failed(side: Endpoint | None) -> float | None:
    return side.failed / side.requests if side and side.requests else None


def _percent(change: float | None) -> float | None:
    """A share in percent, rounded as it is shown: a tiny loss is no ``-0.0``."""
    return None if change is None else round(change * 100, 1) + 0.0


def _percent_column() -> Any:  # noqa: ANN401  # Streamlit's type for it is private
    return st.column_config.NumberColumn(format="%+.1f %%")


def _sides_config(before_ms: Sequence[float | None], now_ms: Sequence[float | None]) -> tables.Config:
    return {"Before": tables.ms_column(before_ms), "Now": tables.ms_column(now_ms), "Change": _percent_column()}
