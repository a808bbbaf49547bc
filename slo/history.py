"""A service over its runs: levels that changed, drift towards a target, objectives that waver without a change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slo import numbers
from slo.asked import asked_of
from slo.comparison import ServiceHistory, SliHistory, SliPoint
from slo.drift import Judged, find_drift, find_flaky
from slo.findings import concerns, find, state_of
from slo.shares import LEAST_SHARE
from slo.shifts import Point, find_shifts, open_shift
from slo.sli import of_objective

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from data.model import Run
    from slo.asked import Asked
    from slo.judging import Book
    from slo.model import ObjectiveState, Verdict
    from slo.plan import Objective, Phase, Regression
    from slo.shifts import Scale

MOST_RUNS = 100


@dataclass(frozen=True)
class Scope:
    """Which runs a history is of; ``None`` where runs carry none."""

    service: str
    test: str | None
    branch: str | None
    environment: str | None


@dataclass(frozen=True)
class _Seen:
    """One SLI over the runs: what was measured, whether the run can be believed, and what its objective came to."""

    asked: Asked
    points: tuple[SliPoint, ...]
    unit: str
    objective: Objective | None

    @property
    def is_share(self) -> bool:
        return self.unit == "ratio"

    @property
    def usable(self) -> list[Point]:
        """What shifts and drift are looked for in: values of believable runs; of shares with the requests behind."""
        return [
            Point(p.run_id, p.at, p.value, p.commit, p.version, p.n if self.is_share else None)
            for p in self.points
            if p.valid and p.value is not None and (self.is_share or p.value > 0)
        ]

    @property
    def judged(self) -> list[Judged]:
        """Where the objective could be judged."""
        return [
            Judged(p.run_id, p.at, p.state != "missed", p.commit, p.version)
            for p in self.points
            if p.valid and p.state in {"met", "at_risk", "missed"}
        ]


def service_history(
    book: Book, scope: Scope, runs: Sequence[Run], phase: Phase | None, verdicts: Mapping[str, Verdict]
) -> ServiceHistory:
    """The history of a service over ``runs``, oldest first, by the objectives of ``phase``."""
    decisions = book.decisions({run.id for run in runs})
    accepted = {one.run_id for one in decisions if one.kind in {"started", "pinned"}}
    slis = [_sli_history(one, book.regression, accepted) for one in _seen(book, scope.service, runs, phase, verdicts)]
    told = [one for one in slis if one.sentence]
    return ServiceHistory(
        service=scope.service, phase=phase.id if phase else None, branch=scope.branch, environment=scope.environment,
        test=scope.test, runs=len(runs), sentence=_summary(scope.service, runs, told),
        slis=tuple(sorted(slis, key=lambda one: not one.sentence)), decisions=tuple(reversed(decisions)),
    )  # fmt: skip


def _seen(
    book: Book, service: str, runs: Sequence[Run], phase: Phase | None, verdicts: Mapping[str, Verdict]
) -> Iterator[_Seen]:
    shape = book.evidence.assess(runs[-1]).shape
    asked = [one for one in asked_of(phase, shape, [service]) if one.sli.service == service]
    slis = [one.sli for one in asked]
    book.evidence.load(runs)
    believed = {run.id: _is_believed(book, run, service, verdicts.get(run.id)) for run in runs}
    measured = {run.id: book.evidence.measured(run.id, slis) for run in runs}
    objectives = {sli.key: o for o in (phase.objectives if phase else ()) if (sli := of_objective(o))}
    for one in asked:
        found = [(run, measured[run.id][one.sli.key]) for run in runs]
        points = tuple(
            SliPoint(
                run.id, run.started_at or run.received_at, kept.value, kept.n, _state(verdicts.get(run.id), one),
                believed[run.id], run.meta.commit, run.meta.version,
            )
            for run, kept in found
        )  # fmt: skip
        unit = next((kept.unit for _, kept in found if kept.value is not None), "")
        yield _Seen(one, points, unit, objectives.get(one.sli.key))


def _is_believed(book: Book, run: Run, service: str, verdict: Verdict | None) -> bool:
    """Can a run be believed about one service, by all that is known of it?"""
    if book.evidence.invalidated(run.id) is not None:
        return False
    if verdict is None and book.evidence.assess(run).doubt is None:  # as it is kept: most runs need not be looked at
        return True
    findings = verdict.measurement.findings if verdict else find(book.evidence.record(run.id)).findings
    return state_of(f for f in findings if concerns(f, service)) == "valid"


def _sli_history(seen: _Seen, rule: Regression, accepted: Collection[str]) -> SliHistory:
    scale: Scale = "plain" if seen.is_share else "log"
    usable, objective = seen.usable, seen.objective
    shifts = find_shifts(
        usable,
        scale=scale,
        better="lower" if seen.asked.higher_is_worse else "higher",
        confidence=rule.confidence,
        min_size=LEAST_SHARE if seen.is_share else rule.min_change_ratio,
    )
    last = shifts[-1] if shifts else None
    # What is relative moves with the baseline: there is no line that a trend could reach.
    target = objective.target if objective and not objective.target.relative else None
    history = SliHistory(
        sli=str(seen.asked.sli.selector),
        stat=seen.asked.sli.stat,
        unit=seen.unit,
        higher_is_worse=seen.asked.higher_is_worse,
        target=objective.asks.text if objective else None,
        target_value=target.threshold if target else None,
        sentence="",
        points=seen.points,
        shifts=shifts,
        open_shift=open_shift(shifts, accepted),
        drift=find_drift(usable, target, scale=scale, since=last) if target else None,
        flaky=find_flaky(seen.judged, shifts),
    )
    return replace(history, sentence=_sentence(history))


def _sentence(one: SliHistory) -> str:
    """What a lead should know of it; nothing where it just goes on."""
    said = []
    if shift := one.open_shift:
        first, commits = shift.first_after, (shift.last_before.commit, shift.first_after.commit)
        between = f", commits {commits[0] or '?'} to {commits[1] or '?'}" if any(commits) else ""
        size = numbers.change(shift.size, one.unit)
        said.append(f"{shift.direction} by {size} since run {first.run_id} ({first.at:%d %b %Y}{between})")
    elif one.points and one.points[-1].state == "missed":
        value = numbers.value(one.points[-1].value, one.unit)
        said.append(f"the newest run misses {one.target} with {value}; a new level shows after three runs")
    if (drift := one.drift) and drift.proven and drift.breach_at:
        early = f"{drift.breach_earliest:%d %b %Y}" if drift.breach_earliest else "at once"
        late = f"{drift.breach_latest:%d %b %Y}" if drift.breach_latest else "in over a year"
        said.append(f"drifts towards {one.target}: reached about {drift.breach_at:%d %b %Y} ({early} to {late})")
    if one.flaky:
        missed = f"{one.flaky.failed} of {one.flaky.n} runs missed it"
        said.append(f"flaky: {one.target} is met and missed without a change ({missed})")
    return "; ".join(said)


def _summary(service: str, runs: Sequence[Run], told: Sequence[SliHistory]) -> str:
    if not runs:
        return f"No run of {service} is stored here."
    over = f"over {numbers.things(len(runs), 'run')}"
    if not told:
        return f"{service}: no change of level, no drift, nothing flaky {over}."
    return f"{service}, {over}: " + "; ".join(f"{one.sli} {one.stat} {one.sentence}" for one in told) + "."


def _state(verdict: Verdict | None, one: Asked) -> ObjectiveState | None:
    """What the objective about an SLI came to in a run."""
    of = one.sli.service, str(one.sli.selector), one.sli.stat, one.sli.include
    results = verdict.objectives if verdict else ()
    return next((r.state for r in results if (r.service, r.sli, r.stat, r.include) == of), None)
