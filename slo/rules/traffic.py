"""What the rules look at: the load of a run, its requests by service, which of them failed and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from slo import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from data.model import RunRecord, Series

MOST = 0.5
"""A share that decides for the whole: more than half of the requests."""
FEWEST = 6
"""Samples from which on a median has a 95 % interval (2 * 0.5 ** n < 0.05)."""
CALLS = frozenset({"http_reqs", "grpc_req_duration"})
"""The metrics of which k6 writes one sample for each request."""
AT_ONCE_S = 1.0
"""What begins within this time began together."""

_GRPC = "grpc_req_duration"
_TIMEOUT_CODE = 1050
_NO_CONNECTION = range(1000, 1400)


def load_of(record: RunRecord) -> list[Series]:
    """The series of the load itself."""
    return [s for s in record.series if s.part_of_test is None and s.metric not in {"vus", "vus_max"}]


def counted(record: RunRecord, counter: str) -> int:
    """A counter over the load; of a summary alone, over the whole run."""
    if record.series:
        return round(sum(s.sum for s in load_of(record) if s.metric == counter))
    return round(sum(v.value for v in record.summary if (v.metric, v.stat) == (counter, "count")))


def requests_of(record: RunRecord) -> list[tuple[str | None, list[Series], int]]:
    """The requests of the load by service, with their number.

    Requests without a service (``None``) are weighed against all of the run: a few calls elsewhere decide nothing.
    """
    found: defaultdict[str | None, list[Series]] = defaultdict(list)
    for one in load_of(record):
        if one.metric in CALLS:
            found[one.tags.get("service", record.run.meta.service)].append(one)
    everything = sum(count(series) for series in found.values())
    return [(service, series, everything if service is None else count(series)) for service, series in found.items()]


def outcomes(record: RunRecord) -> list[tuple[str | None, int, int]]:
    """Failed requests and all of them, by service."""
    return [
        (service, max(counted_failures(record, service), count(failures(series))), total)
        for service, series, total in requests_of(record)
    ]


def counted_failures(record: RunRecord, service: str | None) -> int:
    """The requests of a service that k6 itself counted as failed."""
    return sum(
        s.nonzero
        for s in load_of(record)
        if s.metric == "http_req_failed" and s.tags.get("service", record.run.meta.service) == service
    )


def count(series: Iterable[Series]) -> int:
    """Samples in all."""
    return sum(s.n for s in series)


def failures(series: Iterable[Series]) -> list[Series]:
    """Those requests that failed. Of gRPC the status says so, where 0 is OK."""
    return [s for s in series if (s.tags.get("status", "0") != "0" if s.metric == _GRPC else s.failed)]


def by_endpoint(series: Iterable[Series]) -> dict[str, list[Series]]:
    """Requests by method and name."""
    found: defaultdict[str, list[Series]] = defaultdict(list)
    for one in series:
        found[f"{one.tags.get('method', '')} {one.tags.get('name', '?')}".strip()].append(one)
    return dict(sorted(found.items()))


def unreached(series: Series) -> bool:
    """Did these requests never get to the service? One that timed out was sent."""
    if series.metric == _GRPC:
        return False  # k6 connects apart from its calls, and throws where that fails
    if series.error_code is None:
        return series.tags.get("status") == "0"
    return series.error_code in _NO_CONNECTION and series.error_code != _TIMEOUT_CODE


def cause_of(series: Series) -> str:
    """Why requests of a series failed, in one phrase."""
    status, code = series.tags.get("status", ""), series.tags.get("error_code")
    if status not in {"", "0"}:
        return f"gRPC status {status}" if series.metric == _GRPC else f"HTTP {status}"
    error = series.tags.get("error", "no answer")
    return f"{error} (k6 error {code})" if code else error


def most_common(series: Iterable[Series]) -> str:
    """The cause of most of these requests' failures."""
    causes = Counter[str]()
    for one in series:
        causes[cause_of(one)] += one.n
    return causes.most_common(1)[0][0] if causes else "no answer"


def to(service: str | None) -> str:
    """Name the service of some requests, as the end of a phrase."""
    return f" to {service}" if service else ""


def begins_after(later: Sequence[Series], earlier: Sequence[Series]) -> bool:
    """Did ``later`` begin only when ``earlier`` was over, up to what was then still under way?"""
    ended, began = max(s.last_at for s in earlier), min(s.first_at for s in later)
    return (ended - began).total_seconds() <= AT_ONCE_S and began > min(s.first_at for s in earlier)


def start_s(record: RunRecord, series: Sequence[Series]) -> float:
    """When some samples of the load began, in seconds since it did; 0 where that is not known."""
    start = min((s.first_at for s in load_of(record)), default=None)
    first = min((s.first_at for s in series), default=None)
    return 0.0 if start is None or first is None else (first - start).total_seconds()


def since(record: RunRecord, failed: Sequence[Series]) -> str:
    """From when on, where it was not so from the start."""
    began_s = start_s(record, failed)
    return f", from {numbers.seconds(began_s)} on" if began_s >= AT_ONCE_S else ""
