"""The overview: every service's latest run in one phase, worst first, and one sentence that sums them up."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

from slo import numbers
from slo.baseline import test_of
from slo.findings import concerns, state_of
from slo.model import HistoryPoint, Overview, PhaseRef, ServiceRow
from slo.verdict import decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.catalog import StoredMeasurement, Test
    from data.model import Run
    from slo.config import Config, Phase
    from slo.model import Comparison, Finding, ObjectiveResult, RunRef, Verdict, VerdictState

_WORST_FIRST = ("fail", "inconclusive", "warn", "no_data", "pass", None)
_P95 = ("http_req_duration", "p(95)")
LAST = 10
"""Runs of a test that tell which services it calls."""
_FAILED = ("http_req_failed", "rate")


SYSTEM = "whole system"
"""The row of objectives without a service."""


def service_row(
    service: str | None,
    config: Config | None,
    phase: Phase | None,
    history: Sequence[tuple[RunRef, Verdict | None]],
    measured: Sequence[StoredMeasurement],
) -> ServiceRow:
    """One service (``None``: the system as a whole): what its newest run says, and its p95 run by run, oldest first."""
    own = {(m.run_id, m.sli, m.stat): m for m in measured if m.service == service and not m.include}
    newest, verdict = history[0] if history else (None, None)
    state: VerdictState | Literal["no_data"] | None
    state, reason, objectives = _about(service, verdict)
    asked = phase is not None and any(o.service == service for o in phase.objectives)
    if phase is not None and not asked:
        state, reason = None, f"phase {phase.id} asks nothing of {service or SYSTEM}"
    elif newest is None:
        state, reason = "no_data", "no run of it is stored"
    failed = own.get((newest.id, *_FAILED)) if newest else None
    info = config.services.get(service) if config and service else None
    return ServiceRow(
        service=service or SYSTEM,
        owner=info.owner if info else None,
        state=state,
        reason=reason,
        run=newest,
        p95_ms=_p95_ms(own, newest, service, verdict) if newest else None,
        p95_target=next((_target(o) for o in objectives if (o.sli, o.stat) == _P95), None),
        failed_ratio=failed.value if failed else None,
        failed=failed.count if failed else None,
        requests=failed.n if failed else None,
        met=sum(o.state in {"met", "at_risk"} for o in objectives),
        asked=len(objectives),
        history=tuple(
            HistoryPoint(run.id, run.started_at, _p95_ms(own, run, service, v), _about(service, v)[0])
            for run, v in reversed(history)
        ),
    )


def tested(newest_first: Sequence[Run]) -> dict[str, frozenset[str]]:
    """Of each run, the services that the last runs of its test called, itself among them.

    So a run that was lost before it called them does not leave an older one to speak for them.
    """
    tests: defaultdict[Test, list[Run]] = defaultdict(list)
    for run in newest_first:
        tests[test_of(run)].append(run)
    called = {of: frozenset(s for run in runs[:LAST] for s in run.services) for of, runs in tests.items()}
    return {run.id: called[test_of(run)] for run in newest_first}


def assemble(
    rows: Sequence[ServiceRow],
    phase: Phase | None,
    phases: tuple[PhaseRef, ...],
    newest_first: Sequence[Run],
    asked_for: str = "",
) -> Overview:
    """The rows in order, and the sentence above them; ``asked_for`` says which runs were asked for."""
    newest = newest_first[0] if newest_first else None
    ordered = sorted(rows, key=lambda row: (_WORST_FIRST.index(row.state), row.service))
    asked = [row for row in ordered if row.state is not None]
    state = asked[0].state if asked else "no_data"
    return Overview(
        phase=PhaseRef(phase.id, phase.title or "") if phase else None,
        phases=phases,
        sentence=_sentence(asked, phase, len(newest_first), asked_for),
        state=state or "no_data",
        services=tuple(ordered),
        runs=len(newest_first),
        newest_run_at=(newest.started_at or newest.received_at) if newest else None,
    )


def _about(service: str | None, verdict: Verdict | None) -> tuple[VerdictState | None, str, list[ObjectiveResult]]:
    """What a run's verdict says of one service alone, or of the system as a whole."""
    objectives, findings, comparisons = part_of(verdict, service) if verdict else ([], [], [])
    if not objectives:
        return None, "", []
    state, reasons = decide(objectives, findings, comparisons)
    return state, reasons[0].removeprefix(f"{service} "), objectives


def _target(result: ObjectiveResult) -> str | None:
    """The absolute target of a result; none where what is asked takes a baseline that is not there."""
    return result.decided_by or (result.target if result.target_value is not None else None)


def part_of(verdict: Verdict, service: str | None) -> tuple[list[ObjectiveResult], list[Finding], list[Comparison]]:
    """What of a run's verdict is about one service alone, or about the system as a whole."""
    return (
        [o for o in verdict.objectives if o.service == service],
        [f for f in verdict.measurement.findings if concerns(f, service)],
        [c for c in verdict.comparisons if c.service == service],
    )


def _p95_ms(
    own: dict[tuple[str, str, str], StoredMeasurement], run: RunRef, service: str | None, verdict: Verdict | None
) -> float | None:
    """A run's p95 of the service; none where the measurement is invalid, since refused requests take 0 ms."""
    findings = verdict.measurement.findings if verdict else ()
    measured = own.get((run.id, *_P95))
    believed = state_of(f for f in findings if concerns(f, service)) != "invalid"
    return measured.value if measured and believed else None


def _sentence(asked: Sequence[ServiceRow], phase: Phase | None, runs: int, asked_for: str) -> str:
    if phase is None:
        return f"There is no slo.yaml, so {numbers.things(runs, 'run')} cannot be judged."
    if not runs:
        return f"No run of {asked_for} is stored." if asked_for else "No runs yet."
    ready = sum(row.state in {"pass", "warn"} for row in asked)
    verb = "meets its targets" if len(asked) == 1 else "meet their targets"
    head = f"Phase {phase.id}: {ready} of {numbers.things(len(asked), 'service')} {verb}."
    for state, words in (
        ("fail", "misses its targets"),
        ("inconclusive", "cannot be judged"),
        ("no_data", "has no run"),
    ):
        if named := [row.service for row in asked if row.state == state]:
            told = words if len(named) == 1 else words.replace("misses its", "miss their").replace("has", "have")
            head += f" {', '.join(named)} {told}."
    return head
