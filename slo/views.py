"""What a run's samples look like: over time, by endpoint, by error. Each is one query, aggregated in SQL."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from slo.intervals import minimum_samples
from slo.model import Endpoint, ErrorGroup, TimeBin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.model import RunRecord, Series
    from data.samples import SampleEngine

_BIN_SIZES_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_MOST_BINS = 240

_TIMELINE = """
    WITH load AS (SELECT min(t) AS start FROM samples WHERE list_contains($durations, series_id))
    SELECT floor(epoch(t - start) / $bin) * $bin AS at_s, count(*), count(*) FILTER (list_contains($failed, series_id)),
           quantile_cont(v, 0.5), quantile_cont(v, 0.95)
    FROM samples, load WHERE list_contains($durations, series_id) GROUP BY at_s ORDER BY at_s
"""


def bin_size_s(duration_s: float) -> int:
    """A round number of seconds that cuts a run into at most 240 bins."""
    return next((size for size in _BIN_SIZES_S if duration_s / size <= _MOST_BINS), _BIN_SIZES_S[-1])


def timeline(record: RunRecord, samples: SampleEngine, bin_s: int) -> tuple[TimeBin, ...]:
    """Requests, failures and latency of the load per bin, by when the request ended."""
    durations = _durations(record)
    failed = [s.id for s in durations if s.failed]
    rows = samples.query(
        record.run.id, _TIMELINE, {"durations": [s.id for s in durations], "failed": failed, "bin": bin_s}
    )
    return tuple(TimeBin(at_s, n / bin_s, bad / bin_s, p50, p95) for at_s, n, bad, p50, p95 in rows)


def endpoints(record: RunRecord, samples: SampleEngine) -> tuple[Endpoint, ...]:
    """Every endpoint of the load, the one with most failures, then the slowest, first."""
    grouped: defaultdict[tuple[str | None, str, str], list[Series]] = defaultdict(list)
    for one in _durations(record):
        service = one.tags.get("service", record.run.meta.service)
        grouped[service, one.tags.get("method", ""), one.tags.get("name", one.tags.get("url", "?"))].append(one)
    named = {str(number): (key, series) for number, (key, series) in enumerate(grouped.items())}
    levels = {name: [0.5, 0.95] for name in named}
    everything = samples.quantiles(record.run.id, {n: [s.id for s in found] for n, (_, found) in named.items()}, levels)
    ok_series = {n: [s for s in found if not s.failed] for n, (_, found) in named.items()}
    ok = samples.quantiles(record.run.id, {n: [s.id for s in found] for n, found in ok_series.items()}, levels)
    rows = []
    for name, ((service, method, endpoint), series) in named.items():
        n, n_ok = sum(s.n for s in series), sum(s.n for s in ok_series[name])
        enough = minimum_samples(0.95)
        p50, p95 = everything[name]
        rows.append(
            Endpoint(
                service, method, endpoint, n, n - n_ok, p50,
                p95 if n >= enough else None,
                ok[name][1] if n_ok >= enough else None,
                max(s.max for s in series),
            )
        )  # fmt: skip
    return tuple(sorted(rows, key=lambda e: (-e.failed, -(e.p95_ms or e.p50_ms))))


def errors(record: RunRecord) -> tuple[ErrorGroup, ...]:
    """Failed requests by cause, the most frequent first; those of setup() and teardown() are marked."""
    start = record.run.started_at
    groups = [
        ErrorGroup(
            service=one.tags.get("service", record.run.meta.service),
            method=one.tags.get("method", ""),
            name=one.tags.get("name", one.tags.get("url", "?")),
            status=one.tags.get("status", "0"),
            error_code=one.tags.get("error_code", ""),
            error=one.tags.get("error", ""),
            requests=one.nonzero,
            first_s=(one.first_at - start).total_seconds() if start else 0.0,
            in_setup=one.part_of_test is not None,
        )
        for one in record.series
        if one.metric == "http_req_failed" and one.nonzero
    ]
    return tuple(sorted(groups, key=lambda g: (-g.requests, g.name)))


def _durations(record: RunRecord) -> Sequence[Series]:
    return [s for s in record.series if s.metric == "http_req_duration" and s.part_of_test is None]
