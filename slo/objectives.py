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


def judge(
    objective: Objective, measured: StoredMeasurement | None, metric: Metric | None, findings: Sequence[Finding]
) -> ObjectiveResult:
    """The state of an objective. What was not measured, or not believably, is never met.

    ``measured`` is in the metric's own unit; ``metric`` tells whether the target fits it.
    """
    target = objective.target
    blank = ObjectiveResult(
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
    if misfit := _misfit(target, metric):
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


def _misfit(target: Target, metric: Metric | None) -> str | None:
    if metric is None or metric.type == "unknown":
        return None
    try:
        target.check_fits(metric.type, metric.contains)
    except TargetError as error:
        return f"the target does not fit the metric: {error.message}"
    return None


def _compared(filled: ObjectiveResult, objective: Objective) -> ObjectiveResult:
    target, warn, value = objective.target, objective.warn, filled.value
    if value is None:
        return filled
    holds = target.holds(value)
    proven = filled.ci is not None and all(target.holds(end) == holds for end in filled.ci)
    # No failure seen is no sign of risk, however few requests: the interval beside it says how much it proves.
    spotless = filled.unit == "ratio" and value == (0.0 if target.upper else 1.0)
    told, bound = numbers.distinct(value, target.threshold, target.unit)
    judged = replace(filled, margin=target.margin(value), proven=proven)
    if not holds:
        doubt = "" if proven or not filled.ci else f"; its 95 % interval {_interval(filled)} reaches the target"
        return replace(judged, state="missed", reason=f"{target.stat} = {told}, target {target.op} {bound}{doubt}")
    if warn and not warn.holds(value):
        told, bound = numbers.distinct(value, warn.threshold, warn.unit)
        return replace(judged, state="at_risk", reason=f"{target.stat} = {told}, warned from {bound} on")
    if filled.ci and not proven and not spotless:
        reason = f"{target.stat} = {told} meets {target.op} {bound}, but its 95 % interval is {_interval(filled)}"
        return replace(judged, state="at_risk", reason=reason)
    return replace(judged, state="met", reason=f"{target.stat} = {told}, target {target.op} {bound}")


def _interval(result: ObjectiveResult) -> str:
    return numbers.interval(result.ci, result.unit)


def _name(objective: Objective) -> str:
    return str(objective.sli) if objective.sli else objective.promql or ""
