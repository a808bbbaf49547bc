"""Small runs as values, for rules that take a record."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from data.catalog import StoredMeasurement
from data.k6_metrics import metric_named
from data.model import Artefact, Run, RunMeta, RunRecord, Series, Threshold
from slo.config import Config, parse_config
from slo.model import RULE_VERSION, Finding, ObjectiveResult, ObjectiveState, Severity

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
_ids = iter(range(1, 1_000_000))


def series(metric: str, n: int = 100, *, nonzero: int | None = None, **tags: str) -> Series:
    """A series of ``n`` samples of 1; of a rate, ``nonzero`` of them are true."""
    trues = n if nonzero is None else nonzero
    return Series(
        id=next(_ids), metric=metric, tags=tags, n=n, sum=float(trues), min=0.0, max=1.0, nonzero=trues,
        first_at=START, last_at=START + timedelta(seconds=20), last=float(trues == n),
    )  # fmt: skip


def requests(n: int = 100, *, failed: bool = False, **tags: str) -> list[Series]:
    """What k6 writes of ``n`` requests with one outcome: count, failure and duration."""
    tags = {"expected_response": "false" if failed else "true", "status": "500" if failed else "200"} | tags
    trues = {"http_reqs": n, "http_req_failed": n if failed else 0, "http_req_duration": n}
    return [replace(series(metric, n, nonzero=nonzero), tags=tags) for metric, nonzero in trues.items()]


def record(*found: Series, meta: RunMeta | None = None, **more: Any) -> RunRecord:  # noqa: ANN401  # any field
    """A run that has these series, and one whole k6 file."""
    services = {s.tags["service"] for s in found if "service" in s.tags} | (
        {meta.service} if meta and meta.service else set()
    )
    run = Run(
        id="0123456789ab", digest="0" * 64, meta=meta or RunMeta(exit_code=0), received_at=START, started_at=START,
        ended_at=START + timedelta(seconds=20), duration_s=20.0, duration_source="samples",
        services=tuple(sorted(s for s in services if s)), requests=100, points=sum(s.n for s in found),
    )  # fmt: skip
    whole = RunRecord(
        run=run,
        artefacts=(Artefact("r.json.gz", "k6-json", "0" * 64, 1000, lines=1000, points=1000),),
        metrics=tuple(metric_named(name) for name in sorted({s.metric for s in found})),
        series=found,
        thresholds=(),
        summary=(),
    )
    return replace(whole, **more)


def threshold(metric: str, source: str, *, ok: bool | None = None, abort: bool = False) -> Threshold:
    """A k6 threshold."""
    return Threshold(metric, source, ok, abort)


def config(*objectives: str, more: str = "") -> Config:
    """A slo.yaml of one phase, ``P``, with these objectives as YAML flow maps."""
    lines = "\n".join(f"      - {objective}" for objective in objectives)
    return parse_config(f"version: 1\nphases:\n  - id: P\n    title: Test\n    objectives:\n{lines}\n{more}")


def measured(value: float | None, **more: Any) -> StoredMeasurement:  # noqa: ANN401  # any field
    """A measurement of 1,000 samples with this value, as sure as can be."""
    blank = StoredMeasurement(
        run_id="0123456789ab", service="event", sli="http_req_duration", stat="p(95)", include="",
        rule_version=RULE_VERSION, n=1000, count=None,
        value=value, unit="ms", ci_low=value, ci_high=value, ci_method=None, value_ok=None, n_ok=None, problem=None,
    )  # fmt: skip
    return replace(blank, **more)


def result(state: ObjectiveState, **more: Any) -> ObjectiveResult:  # noqa: ANN401  # any field
    """An objective's result in some state."""
    blank = ObjectiveResult(
        service="event", sli="http_req_duration", target="p(95) < 250ms", state="met", reason="as it is", stat="p(95)"
    )
    return replace(blank, state=state, **more)


def finding(severity: Severity, code: str = "truncated", service: str | None = None) -> Finding:
    """A finding of some severity."""
    return replace(Finding(code, "info", f"{code} it is", service=service, remedy=f"repair {code}"), severity=severity)
