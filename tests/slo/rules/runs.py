"""Runs that rules are tried on, and what is told of them."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from data.model import Artefact, Metric, MetricStats, RunRecord, Series, SummaryValue
from slo.findings import find
from tests.builders import START, record, requests, series

HEALTHY = record(*requests(service="event", name="/event"), series("iterations"))
ARTEFACT = HEALTHY.artefacts[0]
STATS = MetricStats(100, 1200.0, 1, 40, 12.0, 11.0, 20.0, 25.0, 31.0, 100, 9.0)

Case = tuple[RunRecord, list[tuple[str, str]]]
"""A run, and the codes and severities of all that is found in it."""


def told(run: RunRecord) -> list[tuple[str, str]]:
    """The code and severity of every finding: a rule is tried with all others beside it, which have to be silent."""
    return [(f.code, f.severity) for f in find(run).findings]


def artefact(**more: object) -> RunRecord:
    return replace(HEALTHY, artefacts=(replace(ARTEFACT, **more),))  # type: ignore[arg-type]  # any field of it


def with_summary(p95: float) -> RunRecord:
    metric = Metric("http_req_duration", "trend", "time", stats=STATS)
    return replace(HEALTHY, metrics=(metric,), summary=(SummaryValue("http_req_duration", "p(95)", p95),))


def refused(n: int, code: str = "1212", **more: str) -> list[Series]:
    tags = {"service": "chat", "status": "0", "error_code": code, "error": "dial: connection refused"}
    return [*requests(n, failed=True, **tags | more)]


def during(series: Iterable[Series], first_s: float, last_s: float) -> list[Series]:
    """The same samples at another time of the run."""
    first, last = (START + timedelta(seconds=s) for s in (first_s, last_s))
    return [replace(one, first_at=first, last_at=last) for one in series]


def summary_alone(*values: tuple[str, str, float]) -> RunRecord:
    file = Artefact("s.json", "k6-summary-export", "0" * 64, 10)
    return replace(HEALTHY, series=(), artefacts=(file,), summary=tuple(SummaryValue(*value) for value in values))
