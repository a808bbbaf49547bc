"""One objective against one measurement: met, at risk, missed, or why it cannot be said."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

from slo import numbers
from slo.findings import concerns, state_of
from slo.held import Held
from slo.model import ObjectiveResult
from slo.target import TargetError, Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.catalog import StoredMeasurement
    from data.model import Metric
    from slo.alternatives import Alternatives
    from slo.config import Objective
    from slo.model import Finding
    from slo.target import Target


NOWHERE = "prometheus"
"""What the source of a promql objective is called where slo.yaml describes none."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class _Ruling:
    """Of one target or of several: whether it holds, whether beyond doubt, and the one that decides it.

    ``target`` is absolute; ``asked`` as it is written. ``enough``: there are samples enough to tell.
    """

    asked: Target
    target: Target
    holds: bool
    proven: bool
    margin: float
    enough: bool


def judge(
    objective: Objective,
    measured: StoredMeasurement | None,
    metric: Metric | None,
    findings: Sequence[Finding],
    held: Held | None = None,
) -> ObjectiveResult:
    """The state of an objective. What was not measured, or not believably, is never met.

    ``measured`` is in the metric's own unit; ``metric`` tells whether the targets fit it; relative ones are held
    against ``held``.
    """
    asks, main = objective.asks, objective.target
    is_plain = asks.is_single and not main.relative
    blank = ObjectiveResult(
        include=objective.include,
        service=objective.service, sli=_name(objective), target=asks.text, state="no_data", reason="",
        stat=main.stat, warn=objective.warned.text if objective.warned else None, key=objective.key,
        weight=objective.weight, target_value=None if main.relative else main.threshold, unit=main.unit,
        decided_by=None if is_plain or main.relative else main.text,
        source=objective.source or NOWHERE if objective.promql else None,
    )  # fmt: skip
    if measured is None:
        return replace(blank, reason="nothing was measured")
    if measured.value is None or not math.isfinite(measured.value):
        return replace(blank, reason=measured.problem or "nothing was measured")
    filled = _with_measurement(blank, measured)
    misfit = next((why for one in asks if (why := _misfit(one, metric, measured.unit))), None)
    if unfit := misfit or measured.problem:
        return replace(filled, state="not_evaluable", reason=unfit)
    about = [finding for finding in findings if concerns(finding, objective.service)]
    if state_of(about) == "invalid":
        worst = next(finding for finding in about if finding.severity == "invalid")
        return replace(filled, state="not_evaluable", reason=f"not judged: {worst.message}")
    known = Held()
    if any(one.is_relative for one in (asks, objective.warned) if one):
        known = held or known
        unit = filled.unit or measured.unit
        filled = replace(filled, unit=unit, baseline=known.value, baseline_runs=known.runs)
    return _compared(filled, measured.value, objective, known)


def _with_measurement(blank: ObjectiveResult, measured: StoredMeasurement) -> ObjectiveResult:
    ends = None if measured.ci_low is None or measured.ci_high is None else (measured.ci_low, measured.ci_high)
    return replace(
        blank, value=measured.value, n=measured.n, count=measured.count, ci=ends, ci_method=measured.ci_method,
        value_ok=measured.value_ok, n_ok=measured.n_ok,
    )  # fmt: skip


def _misfit(target: Target, metric: Metric | None, unit: str) -> str | None:
    shares = {"ratio", "/s"}
    if target.relative != "share" and target.unit != unit and shares & {target.unit, unit}:
        return (
            f"the target does not fit the metric: it is in {target.unit or 'no unit'}, the metric in {unit or 'none'}"
        )
    if metric is None or metric.type == "unknown":
        return None
    try:
        target.check_fits(metric.type, metric.contains)
    except TargetError as error:
        return f"the target does not fit the metric: {error.message}"
    return None


def _fewest(target: Target) -> int:
    """Samples that a rate needs: with fewer, a single bad one would miss the target, so it tells nothing."""
    allowed = target.threshold if target.upper else 1 - target.threshold if target.lower else 0.0
    return math.ceil(1 / allowed - _ROUNDING) if target.unit == "ratio" and allowed > 0 else 0


def _compared(filled: ObjectiveResult, value: float, objective: Objective, held: Held) -> ObjectiveResult:
    asks = objective.asks
    if asks.holds(value, held.value) is None:
        return replace(filled, state="no_data", reason=_unheld(asks, filled, held))
    found = _ruling(asks, filled, held)
    target = found.target
    if not found.enough:
        reason = f"{filled.n:,} samples are too few for {target.text}: it takes {_fewest(target):,}"
        return replace(filled, state="not_evaluable", reason=reason)
    told, bound = numbers.distinct(value, target.threshold, filled.unit)
    beside = _beside(found, filled, held)
    judged = replace(filled, margin=target.margin(value), proven=found.proven, target_value=target.threshold)
    if beside or not asks.is_single:
        judged = replace(judged, decided_by=target.text)
    if not found.holds:
        reaches = filled.ci and any(target.holds(end) for end in filled.ci)
        doubt = f"; its 95 % interval {_interval(filled)} reaches the target" if reaches else ""
        reason = f"{target.stat} = {told}, target {target.op} {bound}{beside}{doubt}"
        return replace(judged, state="missed", reason=reason)
    if risk := _risk(filled, objective, held, found):
        return replace(judged, state="at_risk", reason=risk)
    if objective.warned and objective.warned.holds(value, held.value) is None:
        return replace(judged, state="no_data", reason=_unheld(objective.warned, filled, held))
    return replace(judged, state="met", reason=f"{target.stat} = {told}, target {target.op} {bound}{beside}")


def _ruling(asks: Alternatives, filled: ObjectiveResult, held: Held) -> _Ruling:
    """What is asked as a whole, where that can be told: relative targets that cannot be held do not decide it.

    Of several that all have to hold the one nearest to being missed decides, of alternatives the one best met. What
    there are too few samples for decides among all that have to hold, and of alternatives only where no other holds.
    """
    alternatives = []
    for every in asks.any_of:
        each = [_one(target, filled, held) for target in every if not target.relative or held.value is not None]
        broken = [one for one in each if not one.holds]
        if len(each) < len(every) and not broken:
            continue  # it could hold, or not: another one decides
        worst = min(broken or each, key=lambda one: (one.enough == one.holds, one.margin))
        sure = any(one.proven for one in broken) if broken else all(one.proven for one in each)
        alternatives.append(replace(worst, proven=sure))
    best = max(
        alternatives, key=lambda one: (one.holds and one.enough, one.holds, one.holds and one.proven, one.margin)
    )
    return best if best.holds else replace(best, proven=all(one.proven for one in alternatives))


def _one(asked: Target, filled: ObjectiveResult, held: Held) -> _Ruling:
    target = asked if held.value is None else asked.against(held.value, _unit(filled))
    value = filled.value or 0.0
    holds = target.holds(value)
    # The interval is the run's own: how sure the baseline is, against which a relative target is missed, is not in it.
    proven = filled.ci is not None and all(target.holds(end) == holds for end in filled.ci)
    # What Prometheus has seen once, has happened; an average of it is another matter.
    proven = proven or (filled.source is not None and not holds and asked.stat in {"max", "min"})
    proven = proven and (holds or not asked.relative)
    margin = target.margin(value)
    enough = filled.source is not None or filled.n >= _fewest(target)  # each point of Prometheus is of many requests
    return _Ruling(asked, target, holds, proven, 0.0 if margin is None else margin, enough)


def _unit(filled: ObjectiveResult) -> Unit:
    return next((unit for unit in get_args(Unit) if unit == filled.unit), "")


def _risk(filled: ObjectiveResult, objective: Objective, held: Held, found: _Ruling) -> str | None:
    """Why a target that is met may be missed next time, if it may."""
    target, warned, value = found.target, objective.warned, filled.value or 0.0
    told, bound = numbers.distinct(value, target.threshold, filled.unit)
    if filled.value_ok is not None and objective.asks.holds(filled.value_ok, held.value) is False:
        without = numbers.value(filled.value_ok, filled.unit)
        return f"{target.stat} = {told} meets {target.op} {bound} only by failed requests: {without} without them"
    if warned and warned.holds(value, held.value) is False:
        first = _ruling(warned, filled, held)
        told, bound = numbers.distinct(value, first.target.threshold, filled.unit)
        return f"{target.stat} = {told}, warned from {bound} on{_beside(first, filled, held)}"
    if (
        filled.source is None
        and filled.ci is None
        and (filled.unit == "ratio" or objective.target.percentile is not None)
    ):
        return f"{target.stat} = {told} meets {target.op} {bound}; how sure that is cannot be told from it"
    # No failure seen is no sign of risk, however few requests: the interval beside it says how much it proves.
    spotless = filled.unit == "ratio" and value in {0.0, 1.0}
    if filled.ci and not found.proven and not spotless:
        return f"{target.stat} = {told} meets {target.op} {bound}, but its 95 % interval is {_interval(filled)}"
    return None


def _beside(found: _Ruling, filled: ObjectiveResult, held: Held) -> str:
    """Where the number of a relative target comes from: `` (+10% against 228 ms in 6 runs)``."""
    if not found.asked.relative:
        return ""
    by = found.asked.bound.removeprefix(found.asked.op).strip()
    runs = numbers.things(len(held.runs), "run")
    return f" ({by} against {numbers.value(held.value, filled.unit)} in {runs})"


def _unheld(asks: Alternatives, filled: ObjectiveResult, held: Held) -> str:
    told = numbers.value(filled.value, filled.unit)
    return f"{asks.main.stat} = {told}, but whether that is {_bounds(asks)} cannot be told: {held.why}"


def _bounds(asks: Alternatives) -> str:
    return asks.text.removeprefix(asks.main.stat).strip()


def _interval(result: ObjectiveResult) -> str:
    return numbers.interval(result.ci, result.unit)


def _name(objective: Objective) -> str:
    return str(objective.sli) if objective.sli else objective.promql or ""
