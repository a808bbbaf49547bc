"""Do the requests say anything about the service? Rules over what was sent and what came back."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from slo import numbers
from slo.model import Finding
from slo.rules.traffic import (
    MOST,
    cause_of,
    counted_failures,
    load_of,
    most_common,
    outcomes,
    requests_of,
    since,
    to,
    unreached,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data.model import RunRecord, Series

ONE_CAUSE = 0.8
"""Failures of which this share has one cause have that cause."""
FEWEST = 6
"""Samples from which on a median has a 95 % interval (2 * 0.5 ** n < 0.05)."""

_WITHOUT_WORK = {
    "iterations", "iteration_duration", "vus", "vus_max", "data_sent", "data_received", "group_duration", "checks",
    "dropped_iterations",
}  # fmt: skip
"""What k6 writes of a run that does nothing."""


def unreachable(record: RunRecord) -> Iterator[Finding]:
    """The load did not reach the service: no connection, no name, no TLS. That is not slowness.

    Signs: more than half (``MOST``) of a service's requests have a k6 error code of 1000 to 1399, a time-out (1050)
    apart: a request that timed out was sent; without codes, status 0. Their durations are 0 or nearly so and make
    percentiles look good.
    """
    for service, series, total in requests_of(record):
        lost = [s for s in series if unreached(s)]
        n = sum(s.n for s in lost)
        if n > MOST * total:
            cause = most_common(lost)
            yield Finding(
                "unreachable", "invalid",
                f"{n:,} of {total:,} requests{to(service)} never reached it: {cause}",
                {"requests": total, "unreached": n, "cause": cause}, service,
                "check that the service is up, that its port is exposed and that BASE_URL points to it",
            )  # fmt: skip


def error_storm(record: RunRecord) -> Iterator[Finding]:
    """Most requests of a service fail: one broken thing, as a rule, and not a slow service.

    Latency was then mostly not measured, and fast failures pull percentiles down, so a target that looks met is not
    proven. Failures are k6's own (``http_req_failed``), or what status and error code say where k6 did not count them.
    Most is more than half (``MOST``). One endpoint that mostly fails, six times at least (``FEWEST``), is a storm of
    its own.
    """
    for service, series, total in requests_of(record):
        failed = [s for s in series if s.failed]
        n = max(counted_failures(record, service), sum(s.n for s in failed))
        if sum(s.n for s in series if unreached(s)) > MOST * total:
            continue
        if n <= MOST * total:
            yield from _endpoint_storms(record, service, series)
            continue
        causes = Counter[str]()
        for one in failed:
            causes[cause_of(one)] += one.n
        cause, most = causes.most_common(1)[0] if causes else ("unknown", 0)
        told = f", {most:,} of them with {cause}" if most >= ONE_CAUSE * n else ", for several reasons"
        endpoints = sorted({s.tags.get("name", "?") for s in failed if cause_of(s) == cause})
        yield Finding(
            "error_storm", "suspect", f"{n:,} of {total:,} requests{to(service)} failed{told}{since(record, failed)}",
            {"failed": n, "requests": total, "cause": cause, "endpoints": endpoints[:10]}, service,
            "find the cause first (test data, a dependency, a missing migration); latency was not measured",
        )  # fmt: skip
    summed = {v.stat: v.value for v in record.summary if v.metric == "http_req_failed"}
    if not record.series and summed.get("rate", 0) > MOST:
        yield Finding(
            "error_storm", "suspect", f"{numbers.ratio(summed['rate'])} of all requests failed, as k6's summary says",
            {"failed_ratio": summed["rate"]},
            remedy="upload the samples (--out json): they tell whether the service was reached and why requests failed",
        )  # fmt: skip


def _endpoint_storms(record: RunRecord, service: str | None, series: list[Series]) -> Iterator[Finding]:
    by_name: defaultdict[str, list[Series]] = defaultdict(list)
    for one in series:
        by_name[f"{one.tags.get('method', '')} {one.tags.get('name', '?')}".strip()].append(one)
    for name, found in sorted(by_name.items()):
        failed = [s for s in found if s.failed]
        n, total = sum(s.n for s in failed), sum(s.n for s in found)
        if n > MOST * total and n >= FEWEST:
            yield Finding(
                "error_storm", "suspect",
                f"{n:,} of {total:,} requests to {name} failed ({most_common(failed)}){since(record, failed)}",
                {"failed": n, "requests": total, "cause": most_common(failed), "endpoints": [name]}, service,
                "find the cause first (test data, a dependency, a missing migration); its latency was not measured",
            )  # fmt: skip


def too_few_samples(record: RunRecord) -> Iterator[Finding]:
    """A service got so few requests that not even its median is known.

    From six samples on, the smallest and the largest enclose the median with 95 % confidence; higher percentiles need
    more, which each objective says for itself.
    """
    for service, _, total in outcomes(record):
        if total < FEWEST:
            yield Finding(
                "too_few_samples", "suspect", f"only {numbers.things(total, 'request')}{to(service)}",
                {"requests": total}, service, "let the test run longer",
            )  # fmt: skip


def no_requests(record: RunRecord) -> Iterator[Finding]:
    """Iterations ran and sent nothing: the script throws before its first request, or its branch is never taken.

    Any sample of a protocol's metric or of the script's own is work, so tests of other protocols are left alone.
    """
    if record.series:
        sent = any(s.metric not in _WITHOUT_WORK for s in load_of(record))
        iterations = sum(s.sum for s in record.series if s.metric == "iterations")
    else:
        counts = {v.metric: v.value for v in record.summary if v.stat == "count"}
        iterations = counts.get("iterations", 0)
        sent = not iterations or any(name not in _WITHOUT_WORK for name in counts)
    if not sent:
        yield Finding(
            "no_requests", "invalid",
            f"{iterations:,.0f} iterations sent no request" if iterations else "the run sent no request after setup()",
            {"iterations": round(iterations)},
            remedy="run the script with one VU (k6 run -i 1) and look at its errors on standard error",
        )  # fmt: skip


def checks_failed(record: RunRecord) -> Iterator[Finding]:
    """Most of the script's own checks do not hold: the answers are not what the test is about.

    k6 exits 0 on failed checks unless a threshold asks for them. Where most fail, latency and status are those of some
    other answer (a login page, an empty list). A check that never held is told by name. Most is
    more than half (``MOST``).
    """
    found: defaultdict[str, list[Series]] = defaultdict(list)
    for one in load_of(record):
        if one.metric == "checks":
            found[one.tags.get("check", "?")].append(one)
    never = sorted(name for name, series in found.items() if not any(s.nonzero for s in series))
    if any(failed > MOST * total for _, failed, total in outcomes(record)):
        return  # the same cause, told by its own finding
    n = sum(s.n for series in found.values() for s in series)
    failed = n - sum(s.nonzero for series in found.values() for s in series)
    if not record.series:
        summed = {v.stat: v.value for v in record.summary if v.metric == "checks"}
        failed, n = round(summed.get("fails", 0)), round(summed.get("fails", 0) + summed.get("passes", 0))
    if never or failed > MOST * n:
        told = f"; never held: {', '.join(never[:5])}" if never else ""
        yield Finding(
            "checks_failed", "suspect" if failed > MOST * n else "info",
            f"{failed:,} of {n:,} checks failed{told}", {"failed": failed, "checks": n, "never_held": never[:20]},
            remedy="see what the service answers, and whether the script still checks for the right thing",
        )  # fmt: skip
