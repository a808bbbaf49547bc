"""Do the requests say anything about the service? Rules over what was sent and what came back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from slo import numbers
from slo.model import Finding
from slo.rules.traffic import (
    FEWEST,
    MOST,
    begins_after,
    by_endpoint,
    cause_of,
    count,
    counted_failures,
    failures,
    most_common,
    outcomes,
    requests_of,
    since,
    start_s,
    to,
    unreached,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data.model import RunRecord, Series

ONE_CAUSE = 0.8
"""Failures of which this share has one cause have that cause."""

_REFUSED = frozenset({"401", "403", "407"})


def unreachable(record: RunRecord) -> Iterator[Finding]:
    """The load did not reach the service: no connection, no name, no TLS. That is not slowness.

    Signs: more than half (``MOST``) of a service's requests have a k6 error code of 1000 to 1399, a time-out (1050)
    apart: a request that timed out was sent; without codes, status 0. Their durations are 0 or nearly so and make
    percentiles look good. A service that answered six times at least (``FEWEST``) was there, and came and went, or from
    some moment on went down: its failures count, so that is only suspect.
    """
    for service, series, total in requests_of(record):
        lost = [s for s in series if unreached(s)]
        n = count(lost)
        if n <= MOST * total:
            continue
        cause = most_common(lost)
        answered = [s for s in series if not unreached(s)]
        went = count(answered) >= FEWEST
        when = ", and the others did: it comes and goes" if went else ""
        if went and begins_after(lost, answered):
            when = f" from {numbers.seconds(start_s(record, lost))} on: it was there before, and went down"
        yield Finding(
            "unreachable", "suspect" if went else "invalid",
            f"{n:,} of {total:,} requests{to(service)} never reached it{when}: {cause}",
            {"requests": total, "unreached": n, "cause": cause}, service,
            "look at the service's own log: did it crash, or was it stopped?" if went
            else "check that the service is up, that its port is exposed and that BASE_URL points to it",
        )  # fmt: skip


def error_storm(record: RunRecord) -> Iterator[Finding]:
    """Most requests of a service fail: one broken thing, as a rule, and not a slow service.

    Latency was then mostly not measured, and fast failures pull percentiles down, so a target that looks met is not
    proven. Failures are k6's own (``http_req_failed``), or what status and error code say where k6 did not count them.
    Most is more than half (``MOST``). One endpoint that mostly fails, six times at least (``FEWEST``), is a storm of
    its own. Where most requests are to endpoints that let nobody in (401, 403, 407), or nobody any more, the script's
    token or its users are wrong or have expired: that says nothing of the service, and is invalid.
    """
    for service, series, total in requests_of(record):
        failed = failures(series)
        n = max(counted_failures(record, service), count(failed))
        if count(s for s in series if unreached(s)) > MOST * total:
            continue
        if n <= MOST * total:
            yield from _endpoint_storms(record, service, series)
        elif (shut := _shut(series)) and count(shut) > MOST * total:
            yield Finding(
                "error_storm", "invalid",
                f"{count(shut):,} of {total:,} requests{to(service)} were not let in ({most_common(shut)})"
                f"{since(record, shut)}: that is the script's token or its users, not the service",
                {"refused": count(shut), "requests": total, "cause": most_common(shut)}, service,
                "check the token, the users and their rights that the script works with, and how long a token lasts",
            )  # fmt: skip
        else:
            yield _storm(record, service, n, total, failed)
    summed = {v.stat: v.value for v in record.summary if v.metric == "http_req_failed"}
    if not record.series and summed.get("rate", 0) > MOST:
        yield Finding(
            "error_storm", "suspect", f"{numbers.ratio(summed['rate'])} of all requests failed, as k6's summary says",
            {"failed_ratio": summed["rate"]},
            remedy="upload the samples (--out json): they tell whether the service was reached and why requests failed",
        )  # fmt: skip


def _storm(record: RunRecord, service: str | None, n: int, total: int, failed: list[Series]) -> Finding:
    causes = Counter[str]()
    for one in failed:
        causes[cause_of(one)] += one.n
    cause, most = causes.most_common(1)[0] if causes else ("unknown", 0)
    told = f", {most:,} of them with {cause}" if most >= ONE_CAUSE * n else ", for several reasons"
    endpoints = sorted({s.tags.get("name", "?") for s in failed if cause_of(s) == cause})
    return Finding(
        "error_storm", "suspect", f"{n:,} of {total:,} requests{to(service)} failed{told}{since(record, failed)}",
        {"failed": n, "requests": total, "cause": cause, "endpoints": endpoints[:10]}, service,
        "find the cause first (test data, a dependency, a missing migration); latency was not measured",
    )  # fmt: skip


def _endpoint_storms(record: RunRecord, service: str | None, series: list[Series]) -> Iterator[Finding]:
    for name, found in by_endpoint(series).items():
        failed = failures(found)
        n, total = count(failed), count(found)
        if n > MOST * total and n >= FEWEST:
            yield Finding(
                "error_storm", "suspect",
                f"{n:,} of {total:,} requests to {name} failed ({most_common(failed)}){since(record, failed)}",
                {"failed": n, "requests": total, "cause": most_common(failed), "endpoints": [name]}, service,
                "find the cause first (test data, a dependency, a missing migration); its latency was not measured",
            )  # fmt: skip


def _shut(series: list[Series]) -> list[Series]:
    """The refused requests to endpoints that answered nobody, or nobody any more from the first refusal on."""
    found: list[Series] = []
    for one in by_endpoint(series).values():
        failed = failures(one)
        refused = [s for s in failed if s.tags.get("status") in _REFUSED]
        answered = [s for s in one if s not in failed]
        if refused and (not answered or begins_after(refused, answered)):
            found += refused
    return found


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
