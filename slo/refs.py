"""Runs and phases as documents name them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from slo.model import PhaseRef, Pulled, PulledSeries, RunRef

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from data.model import Pull, Run, RunRecord
    from slo.config import Config, Phase


_SECONDS = re.compile(r"^(?!.*\*).*histogram_quantile\s*\(.*_seconds(_bucket)?\b", re.DOTALL)
"""A quantile of what is counted in seconds, and not multiplied: a plain number beside it is meant in ms, as in k6."""


def run_ref(run: Run) -> RunRef:
    """A run as documents name it."""
    meta = run.meta
    return RunRef(
        id=run.id, service=meta.service, test=meta.test, phase=meta.phase, branch=meta.branch, commit=meta.commit,
        version=meta.version, environment=meta.environment, started_at=run.started_at, duration_s=run.duration_s,
        requests=run.requests, services=run.services, labels=meta.labels, received_at=run.received_at,
        exit_code=meta.exit_code, k6_version=run.k6_version, facts=meta.facts,
    )  # fmt: skip


def pulled_of(record: RunRecord) -> tuple[Pulled, ...]:
    """What Prometheus said of a run, as documents have it: objectives first, then by service and name."""
    ordered = sorted(record.pulls, key=lambda p: (p.query.name is not None, p.query.service or "", p.query.name or ""))
    return tuple(_pulled(one) for one in ordered)


def _pulled(one: Pull) -> Pulled:
    series = tuple(PulledSeries(s.tags, s.n, s.min, s.sum / s.n, s.max, s.last) for s in one.series if s.n)
    query = one.query
    return Pulled(
        query.source, query.promql, query.service, query.name, one.state, one.problem, one.pulled_at, series,
        one.warnings,
    )  # fmt: skip


def phase_refs(config: Config | None) -> tuple[PhaseRef, ...]:
    """The phases of slo.yaml; none without one."""
    return tuple(PhaseRef(phase.id, phase.title or "") for phase in config.phases) if config else ()


def left_open(phases: Sequence[Phase], sources: Collection[str]) -> list[str]:
    """What phases ask that the verdict on a single run does not take into account; ``sources``: what may be asked."""
    notes = []
    if any(phase.entry or phase.after or phase.coverage or phase.runs or phase.max_age_s for phase in phases):
        notes.append("entry criteria, `after`, `runs` and coverage are for `phasegate gate`: one run does not tell")
    if any(phase.budget for phase in phases):
        notes.append("`budget` is for `phasegate gate`: error budgets are of weeks, not of one run")
    if any(phase.score for phase in phases):
        notes.append("the score is for `phasegate gate`: here every objective counts by itself")
    if not sources and any(objective.promql for phase in phases for objective in phase.objectives):
        notes.append("promql objectives have no data until slo.yaml describes a `prometheus`; without, nothing passes")
    notes += [
        f"`{one.asks.text}` has no unit, and `{one.promql}` gives seconds by its name: write ms or s"
        for phase in phases
        for one in phase.objectives
        if one.promql and one.target.unit == "" and not one.target.relative and _SECONDS.search(one.promql)
    ]
    return list(dict.fromkeys(notes))
