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

_TIMEOUT_CODE = 1050
_NO_CONNECTION = range(1000, 1400)
_AT_ONCE_S = 1.0


def load_of(record: RunRecord) -> list[Series]:
    """The series of the load itself."""
    return [s for s in record.series if s.part_of_test is None and s.metric not in {"vus", "vus_max"}]


def counted(record: RunRecord, counter: str) -> int:
    """A counter over the load; of a summary alone, over the whole run."""
    if record.series:
        return round(sum(s.sum for s in load_of(record) if s.metric == counter))
    return round(sum(v.value for v in record.summary if (v.metric, v.stat) == (counter, "count")))


def requests_of(record: RunRecord) -> list[tuple[str | None, list[Series], int]]:
    """The request counts of the load by service, with their number.

    Requests without a service (``None``) are weighed against all of the run: a few calls elsewhere decide nothing.
    """
    found: defaultdict[str | None, list[Series]] = defaultdict(list)
    for one in load_of(record):
        if one.metric == "http_reqs":
            found[one.tags.get("service", record.run.meta.service)].append(one)
    everything = sum(s.n for series in found.values() for s in series)
    return [
        (service, series, everything if service is None else sum(s.n for s in series))
        for service, series in found.items()
    ]


def outcomes(record: RunRecord) -> list[tuple[str | None, int, int]]:
    """Failed requests and all of them, by service."""
    return [
        (service, max(counted_failures(record, service), sum(s.n for s in series if s.failed)), total)
        for service, series, total in requests_of(record)
    ]


def counted_failures(record: RunRecord, service: str | None) -> int:
    """The requests of a service that k6 itself counted as failed."""
    return sum(
        s.nonzero
        for s in load_of(record)
        if s.metric == "http_req_failed" and s.tags.get("service", record.run.meta.service) == service
    )


def unreached(series: Series) -> bool:
    """Did these requests never get to the service? One that timed out was sent."""
    if series.error_code is None:
        return series.tags.get("status") == "0"
    return series.error_code in _NO_CONNECTION and series.error_code != _TIMEOUT_CODE


def cause_of(series: Series) -> str:
    """Why requests of a series failed, in one phrase."""
    status, code = series.tags.get("status", ""), series.tags.get("error_code")
    if status not in {"", "0"}:
        return f"HTTP {status}"
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


def since(record: RunRecord, failed: Sequence[Series]) -> str:
    """From when on, where it was not so from the start."""
    start = min((s.first_at for s in load_of(record)), default=None)
    first = min((s.first_at for s in failed), default=None)
    if start is None or first is None or (first - start).total_seconds() < _AT_ONCE_S:
        return ""
    return f", from {numbers.seconds((first - start).total_seconds())} on"
