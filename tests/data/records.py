"""Any run that a catalog may have to keep, for tests of round trips."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from data.model import (
    Artefact,
    Metric,
    MetricStats,
    Run,
    RunMeta,
    RunRecord,
    Series,
    SummaryValue,
    Threshold,
)

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_maybe = st.none() | _text
_floats = st.floats(allow_nan=False, allow_infinity=False)
_counts = st.integers(0, 2**62)
_times = st.datetimes(datetime(1970, 1, 2), datetime(9998, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # UTC follows
_labels = st.dictionaries(_text, _text, max_size=3)
_ids = st.text("0123456789abcdef", min_size=12, max_size=12)

_meta = st.builds(
    RunMeta, service=_maybe, test=_maybe, phase=_maybe, branch=_maybe, commit=_maybe, version=_maybe,
    environment=_maybe, exit_code=st.none() | st.integers(0, 255), labels=_labels,
)  # fmt: skip
_run = st.builds(
    Run, id=_ids, digest=_text, meta=_meta, received_at=_times, started_at=st.none() | _times,
    ended_at=st.none() | _times, duration_s=st.none() | _floats,
    duration_source=st.sampled_from(["summary", "samples", None]), services=st.lists(_text, max_size=3).map(tuple),
    requests=_counts, points=_counts, k6_version=_maybe, script_hash=_maybe,
)  # fmt: skip
_artefact = st.builds(
    Artefact, name=_text, kind=st.sampled_from(["k6-json", "k6-csv", "k6-summary-export"]), digest=_text,
    bytes=_counts, lines=_counts, points=_counts, malformed_lines=_counts, first_malformed_line=st.none() | _counts,
    dropped_points=_counts, truncated=_maybe, collapsed_tags=st.dictionaries(_text, _counts, max_size=2),
)  # fmt: skip
_stats = st.builds(
    MetricStats, n=_counts, sum=_floats, min=_floats, max=_floats, avg=_floats, med=_floats, p90=_floats, p95=_floats,
    p99=_floats, nonzero=_counts, last=_floats,
)  # fmt: skip
_metric = st.builds(
    Metric, name=_text, type=st.sampled_from(["trend", "rate", "counter", "gauge", "unknown"]),
    contains=st.sampled_from(["time", "data", "default"]), submetrics=st.lists(_text, max_size=2).map(tuple),
    stats=st.none() | _stats,
)  # fmt: skip
_series = st.builds(
    Series, id=_counts, metric=_text, tags=_labels, n=_counts, sum=_floats, min=_floats, max=_floats, nonzero=_counts,
    first_at=_times, last_at=_times, last=_floats,
)  # fmt: skip
_threshold = st.builds(Threshold, metric=_text, source=_text, ok=st.none() | st.booleans(), abort_on_fail=st.booleans())
_value = st.builds(SummaryValue, metric=_text, stat=_text, value=_floats)


def _some(kind: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(kind, max_size=3).map(tuple)


records = st.builds(
    RunRecord, run=_run, artefacts=_some(_artefact), metrics=_some(_metric), series=_some(_series),
    thresholds=_some(_threshold), summary=_some(_value),
)  # fmt: skip
"""Runs with anything in them that their types allow."""
