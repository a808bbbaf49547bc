"""What a run was made of, whatever it measured: endpoints, checks, load and promises, to hold against another run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from data.model import RunRecord, Series

_OF_K6 = frozenset({
    "check", "error", "error_code", "expected_response", "group", "ip", "iter", "method", "name", "proto", "rpc_type",
    "scenario", "service", "status", "subproto", "testid", "tls_version", "url", "vu", "ocsp_status",
})  # fmt: skip
"""Tags that k6 sets itself, that have a place of their own in a shape, or that differ from run to run by design."""

Endpoint = tuple[str | None, str, str]
"""Service, method and name."""


@dataclass(frozen=True)
class Shape:
    """One run without its measured values.

    ``requests`` and ``iterations`` are of the load, ``load_s`` its span in seconds, ``vus`` the most virtual users.
    ``thresholds`` are k6's, as ``metric: source``; those of sub-metrics only a summary knows (``has_summary``).
    ``work_ms`` is what an iteration lasts beyond its requests, on average: the script's own time and its sleeps.
    """

    run_id: str
    endpoints: frozenset[Endpoint]
    groups: frozenset[str]
    checks: frozenset[str]
    scenarios: frozenset[str]
    tags: frozenset[str]
    thresholds: frozenset[str]
    has_summary: bool
    has_teardown: bool
    script_hash: str | None
    k6_version: str | None
    requests: int
    iterations: int
    load_s: float
    vus: int
    work_ms: float | None
    setup_requests: int

    @property
    def services(self) -> frozenset[str]:
        """The services that were called."""
        return frozenset(service for service, _, _ in self.endpoints if service)


def shape_of(record: RunRecord) -> Shape:
    """The shape of a run that has samples; of a summary alone nearly nothing is known."""
    load = [s for s in record.series if s.part_of_test is None]
    timed = [s for s in load if s.metric not in {"vus", "vus_max"}]
    sent = [s for s in load if s.metric == "http_reqs"]
    counted = Counter[str]()
    for one in load:
        if one.metric in {"http_reqs", "iterations"}:
            counted[one.metric] += round(one.sum)
    return Shape(
        run_id=record.run.id,
        endpoints=frozenset((s.tags.get("service", record.run.meta.service), *_address(s)) for s in sent),
        groups=_values(load, "group"),
        checks=_values((s for s in load if s.metric == "checks"), "check"),
        scenarios=_values(load, "scenario"),
        tags=frozenset(f"{key}={value}" for s in load for key, value in s.tags.items() if key not in _OF_K6),
        thresholds=frozenset(f"{t.metric}: {t.source}" for t in record.thresholds),
        has_summary=any(a.kind not in {"k6-json", "k6-csv"} for a in record.artefacts),
        has_teardown=any(s.part_of_test == "teardown" for s in record.series),
        script_hash=record.run.script_hash,
        k6_version=record.run.k6_version,
        requests=counted["http_reqs"],
        iterations=counted["iterations"],
        load_s=_span_s(timed),
        vus=round(max((s.max for s in load if s.metric == "vus"), default=0)),
        work_ms=_work_ms(load),
        setup_requests=sum(s.n for s in record.series if s.part_of_test == "setup" and s.metric == "http_reqs"),
    )


def _address(series: Series) -> tuple[str, str]:
    return series.tags.get("method", ""), series.tags.get("name", series.tags.get("url", "?"))


def _values(series: Iterable[Series], tag: str) -> frozenset[str]:
    return frozenset(s.tags[tag] for s in series if tag in s.tags)


def _span_s(series: list[Series]) -> float:
    if not series:
        return 0.0
    return (max(s.last_at for s in series) - min(s.first_at for s in series)).total_seconds()


def _work_ms(load: list[Series]) -> float | None:
    lasted = [s for s in load if s.metric == "iteration_duration"]
    n = sum(s.n for s in lasted)
    if not n:
        return None
    waited = sum(s.sum for s in load if s.metric == "http_req_duration")
    return (sum(s.sum for s in lasted) - waited) / n
