"""One objective against one measurement: met, at risk, missed, or why it cannot be said."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from slo import numbers
from slo.findings import concerns, state_of
from slo.model import ObjectiveResult
from slo.target import TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.catalog import StoredMeasurement
    from data.model import Metric
    from slo.config import Objective
    from slo.model import Finding
    from slo.target import Target


_ROUNDING = 1e-9


def judge(
    objective: Objective, measured: StoredMeasurement | None, metric: Metric | None, findings: Sequence[Finding]
) -> ObjectiveResult:
    """The state of an objective. What was not measured, or not believably, is never met.

    ``measured`` is in the metric's own unit; ``metric`` tells whether the target fits it.
    """
    target = objective.target
    blank = ObjectiveResult(
        include=objective.include,
        service=objective.service, sli=_name(objective), target=target.text, state="no_data", reason="",
        stat=target.stat, warn=objective.warn.text if objective.warn else None, key=objective.key,
        weight=objective.weight,
        target_value=target.threshold, unit=target.unit,
    )  # fmt: skip
    if measured is None:
        return replace(blank, reason="no Prometheus samples are stored for this run, so nothing was measured")
    if measured.value is None or not math.isfinite(measured.value):
        return replace(blank, reason=measured.problem or "nothing was measured")
    filled = _with_measurement(blank, measured)
    if misfit := _misfit(target, metric, measured.unit):
        return replace(filled, state="not_evaluable", reason=misfit)
    if measured.problem:
        return replace(filled, state="not_evaluable", reason=measured.problem)
    about = [finding for finding in findings if concerns(finding, objective.service)]
    if state_of(about) == "invalid":
        worst = next(finding for finding in about if finding.severity == "invalid")
        return replace(filled, state="not_evaluable", reason=f"not judged: {worst.message}")
    return _compared(filled, objective)


def _with_measurement(blank: ObjectiveResult, measured: StoredMeasurement) -> ObjectiveResult:
    ends = None if measured.ci_low is None or measured.ci_high is None else (measured.ci_low, measured.ci_high)
    return replace(
        blank, value=measured.value, n=measured.n, count=measured.count, ci=ends, ci_method=measured.ci_method,
        value_ok=measured.value_ok, n_ok=measured.n_ok,
    )  # fmt: skip


def _misfit(target: Target, metric: Metric | None, unit: str) -> str | None:
    shares = {"ratio", "/s"}
    if target.unit != unit and shares & {target.unit, unit}:
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


def _compared(filled: ObjectiveResult, objective: Objective) -> ObjectiveResult:
    target, value = objective.target, filled.value
    if value is None:
        return filled
    holds = target.holds(value)
    proven = filled.ci is not None and all(target.holds(end) == holds for end in filled.ci)
    if filled.n < (fewest := _fewest(target)):
        reason = f"{filled.n:,} samples are too few for {target.text}: it takes {fewest:,}"
        return replace(filled, state="not_evaluable", reason=reason)
    told, bound = numbers.distinct(value, target.threshold, target.unit)
    judged = replace(filled, margin=target.margin(value), proven=proven)
    if not holds:
        doubt = "" if proven or not filled.ci else f"; its 95 % interval {_interval(filled)} reaches the target"
        return replace(judged, state="missed", reason=f"{target.stat} = {told}, target {target.op} {bound}{doubt}")
    if risk := _risk(filled, objective, proven=proven):
        return replace(judged, state="at_risk", reason=risk)
    return replace(judged, state="met", reason=f"{target.stat} = {told}, target {target.op} {bound}")


def _risk(filled: ObjectiveResult, objective: Objective, *, proven: bool) -> str | None:
    """Why a target that is met may be missed next time, if it may."""
    target, warn, value = objective.target, objective.warn, filled.value or 0.0
    told, bound = numbers.distinct(value, target.threshold, target.unit)
    if filled.value_ok is not None and not target.holds(filled.value_ok):
        without = numbers.value(filled.value_ok, target.unit)
        return f"{target.stat} = {told} meets {target.op} {bound} only by failed requests: {without} without them"
    if warn and not warn.holds(value):
        told, bound = numbers.distinct(value, warn.threshold, warn.unit)
        return f"{target.stat} = {told}, warned from {bound} on"
    if filled.ci is None and (filled.unit == "ratio" or objective.target.percentile is not None):
        return f"{target.stat} = {told} meets {target.op} {bound}; how sure that is cannot be told from it"
    # No failure seen is no sign of risk, however few requests: the interval beside it says how much it proves.
    spotless = filled.unit == "ratio" and value in {0.0, 1.0}
    if filled.ci and not proven and not spotless:
        return f"{target.stat} = {told} meets {target.op} {bound}, but its 95 % interval is {_interval(filled)}"
    return None


def _interval(result: ObjectiveResult) -> str:
    return numbers.interval(result.ci, result.unit)


def _name(objective: Objective) -> str:
    return str(objective.sli) if objective.sli else objective.promql or ""
