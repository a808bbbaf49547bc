"""From measurements of several runs to comparisons, and what to say of each."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slo import numbers
from slo.change import compare
from slo.findings import concerns
from slo.model import Comparison, Finding, Outcome
from slo.pairs import Pair
from slo.profile import from_text
from slo.shares import LEAST_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from data.catalog import StoredMeasurement
    from slo.asked import Asked
    from slo.change import Change
    from slo.pairs import Common
    from slo.plan import Regression
    from slo.profile import Profile
    from slo.sli import Sli

SliKey = tuple[str | None, str, str, str]
Measured = dict[SliKey, "StoredMeasurement"]
"""The measurements of one run."""

_LATENCY = ("http_req_duration", "p(95)")
_FEWEST_TOGETHER = 3
_BESIDE = 1.25
"""How much more than all others one may have moved and still be told to have moved with them."""
_WORST_FIRST = ("regressed", "inconclusive", "not_comparable", "no_baseline", "improved", "unchanged")


@dataclass(frozen=True)
class Side:
    """One run of a comparison: its measurements, and its services that are called at other endpoints than the run's."""

    run_id: str
    measured: Measured
    apart: frozenset[str | None] = frozenset()


@dataclass(frozen=True)
class Sides:
    """Both sides of a comparison: the run with its repeats, and the runs of its baseline, each newest first."""

    current: Sequence[Side]
    baseline: Sequence[Side]

    @property
    def repeats(self) -> tuple[str, ...]:
        """The ids of the other runs of this version."""
        return tuple(side.run_id for side in self.current[1:])


def key_of(measured: StoredMeasurement) -> SliKey:
    """What tells a measurement from the others of its run; as :attr:`slo.sli.Sli.key`."""
    return measured.service, measured.sli, measured.stat, measured.include


def compared(
    asked: Sequence[Asked], sides: Sides, rule: Regression, unfit: Mapping[SliKey, str] | None = None, *,
    moved: bool = False,
) -> tuple[tuple[Comparison, ...], tuple[Finding, ...]]:  # fmt: skip
    """Every SLI compared, worst first, and what all services did together, as a finding.

    ``unfit`` says of SLIs why they cannot be compared; ``moved``: that all services did is known already. Repeats are
    judged together with the run. What the run alone shows and its repeats do not is suspected, and so is all that fewer
    runs show than ``rule`` asks for.
    """
    fit = [one for one in asked if one.sli.key not in (unfit or {})]
    pairs = [_pair(one, sides) for one in fit]
    judged = compare(pairs, rule)
    alone = [judged.changes] if len(sides.current) == 1 else [
        compare([replace(pair, current=(pair.current[i],)) for pair in pairs], rule).changes
        for i in range(len(sides.current))
    ]  # fmt: skip
    found = [
        _told(one, change, each, sides, rule)
        for one, change, each in zip(fit, judged.changes, zip(*alone, strict=True), strict=True)
    ]
    findings = tuple(_shifted(judged.common, found))
    if moved or findings:
        found = [_with_environment(one, judged.common, _most_excused(judged.common, found)) for one in found]
    found = [_with_failures(one, found) for one in found]
    found += [_blank(one, sides, reason) for one in asked if (reason := (unfit or {}).get(one.sli.key))]
    order = sorted(found, key=lambda c: (_WORST_FIRST.index(c.state), -(c.noise or 0), c.service or "", c.sli, c.stat))
    return tuple(order), findings


def departure(asked: Sequence[Asked], sides: Sides, rule: Regression) -> str | None:
    """How a run left the level of those before it: its environment moved, or something got worse; ``None``: it stayed.

    By what would be told of it, no more and no less: a run that is called worse is not what is usual.
    """
    judged = compare([_pair(one, sides) for one in asked], rule, plainly=True)
    slower = [
        change.state == "regressed"
        for one, change in zip(asked, judged.changes, strict=True)
        if _is_latency(one.sli.service, *one.sli.key[1:3])
    ]
    if _together(judged.common, slower):
        return "its environment moved"
    return "it got worse" if any(change.state == "regressed" for change in judged.changes) else None


def unfit_of(asked: Sequence[Asked], sides: Sides, findings: Sequence[Finding]) -> dict[SliKey, str]:
    """Why some SLIs of a run cannot be compared: they were not (believably) measured, or are of other requests.

    A service that is called at other endpoints than before is another mixture; single endpoints stay comparable.
    """
    unfit = {}
    for one in asked:
        invalid = next((f for f in findings if f.severity == "invalid" and concerns(f, one.sli.service)), None)
        measured = sides.current[0].measured.get(one.sli.key)
        if invalid:
            unfit[one.sli.key] = f"not believably measured: {invalid.message}"
        elif measured and measured.problem:
            unfit[one.sli.key] = measured.problem
        elif sides.baseline and all(is_apart(one.sli, side) for side in sides.baseline):
            unfit[one.sli.key] = "other endpoints are called than before: those that both have are compared"
    return unfit


def outcome(comparisons: Sequence[Comparison]) -> Outcome:
    """What all comparisons of a run come to: what got worse first, and nothing missing for unchanged."""
    states = {"suspected" if c.suspected else c.state for c in comparisons}
    if not states - {"no_baseline"}:
        return "no_baseline"
    if not states - {"no_baseline", "not_comparable"}:
        return "not_comparable"
    for state in ("regressed", "suspected"):
        if state in states:
            return state
    if states & {"inconclusive", "not_comparable", "no_baseline"}:
        return "inconclusive"
    return "improved" if "improved" in states else "unchanged"


def is_apart(sli: Sli, side: Side) -> bool:
    """Is an SLI about requests to several endpoints, and are they others in this run? Then it is of another mixture."""
    if not sli.selector.metric.startswith("http_") or any(tag == "name" for tag, _ in sli.selector.tags):
        return False
    return bool(side.apart) if sli.service is None else sli.service in side.apart


def _pair(one: Asked, sides: Sides) -> Pair:
    current, baseline = (
        [None if is_apart(one.sli, side) else side.measured.get(one.sli.key) for side in runs]
        for runs in (sides.current, sides.baseline)
    )
    known = [measured for measured in (*current, *baseline) if measured and measured.value is not None]
    return Pair(
        service=one.sli.service,
        family=f"{one.sli.key[1:]}",
        unit=known[0].unit if known else "",
        higher_is_worse=one.higher_is_worse,
        current=tuple(map(_profile, current)),
        baseline=tuple(map(_profile, baseline)),
    )


def _profile(measured: StoredMeasurement | None) -> Profile | None:
    return None if measured is None or measured.profile is None else from_text(measured.profile)


def _blank(one: Asked, sides: Sides, reason: str) -> Comparison:
    measured = sides.current[0].measured.get(one.sli.key)
    return Comparison(
        service=one.sli.service, sli=str(one.sli.selector), stat=one.sli.stat, unit=measured.unit if measured else "",
        state="not_comparable", reason=reason, value=measured.value if measured else None,
        higher_is_worse=one.higher_is_worse, include=one.sli.include,
    )  # fmt: skip


def _told(one: Asked, together: Change, alone: Sequence[Change], sides: Sides, rule: Regression) -> Comparison:
    hidden = alone[0].state == "regressed" != together.state  # repeats must not hide what the run shows
    change = alone[0] if hidden else together
    blank = _blank(one, sides, "")
    shown = sum(_shows(each, blank, rule) for each in alone)
    told = replace(
        blank, state=change.state, value=blank.value if change.value is None else change.value,
        baseline=change.baseline, change=change.change, ci=change.ci, detectable=change.detectable, noise=change.noise,
        confidence=change.confidence, method=change.method, settle=change.settle,
        suspected=change.state == "regressed" and (
            hidden or shown < rule.confirm or 2 * shown <= len(alone) or not _shows(alone[0], blank, rule)
        ),
        baseline_runs=_used(one, sides) if change.runs else (), repeats=sides.repeats,
    )  # fmt: skip
    return replace(told, reason=_reason(told, change, f"{shown} of {len(alone)}", rule))


def _with_environment(one: Comparison, common: Common | None, most: float) -> Comparison:
    """What got worse as everything did is not this service's doing; failures are, and what got worse by far more."""
    freed = common is not None and common.moved and _is_latency(one.service, one.sli, one.stat)
    if one.state != "regressed" or one.unit == "ratio" or freed or _worse_by(one) > most:
        return one
    return replace(
        one, state="inconclusive", suspected=False, confidence=None,
        reason=f"{one.reason}, as the other services did: it may be the environment",
        settle="a run when the environment is as before",
    )  # fmt: skip


def _most_excused(common: Common | None, found: Sequence[Comparison]) -> float:
    """The factor up to which the common move explains a worsening, and as much beside it as the noise of one service.

    With three services there is no median to go by: the one that moved least tells what all have in common.
    """
    if common and common.moved:
        return (1 + common.ci[1]) * _BESIDE
    slower = [_worse_by(c) for c in found if _is_latency(c.service, c.sli, c.stat) and c.state == "regressed"]
    return min(slower, default=math.inf) * _BESIDE


def _worse_by(one: Comparison) -> float:
    """How many times as bad it is."""
    factor = 1 + (one.change or 0.0)
    return factor if one.higher_is_worse else 1 / factor if factor > 0 else math.inf


def _with_failures(one: Comparison, found: Sequence[Comparison]) -> Comparison:
    """Latency that got better while more requests fail is that of failures, which are often fast."""
    if one.state != "improved" or one.unit != "ms":
        return one
    failing = {c.service for c in found if c.sli == "http_req_failed" and c.state == "regressed"}
    if one.service not in failing and not (one.service is None and failing):
        return one
    return replace(
        one, state="inconclusive", confidence=None, reason=f"{one.reason}; but more requests fail, which may be faster",
        settle="a run in which they do not fail",
    )  # fmt: skip


def _used(one: Asked, sides: Sides) -> tuple[str, ...]:
    return tuple(side.run_id for side in sides.baseline if one.sli.key in side.measured and not is_apart(one.sli, side))


def _shows(change: Change, of: Comparison, rule: Regression) -> bool:
    """Does a run alone show a worsening that counts, be it sure or not?"""
    worsening = (change.change or 0.0) * (1 if of.higher_is_worse else -1)
    return change.state == "regressed" or worsening >= (LEAST_SHARE if of.unit == "ratio" else rule.min_change_ratio)


def _reason(told: Comparison, change: Change, shown: str, rule: Regression) -> str:
    """One sentence of a comparison; what it is about is said beside it."""
    if told.state == "no_baseline":
        return "no earlier run has such a measurement to compare with"
    if told.state == "not_comparable":
        return change.method
    runs = numbers.things(change.runs, "run")
    moved = f"{numbers.change(told.change, told.unit)} against {numbers.value(told.baseline, told.unit)} in {runs}"
    if told.suspected:
        if not told.repeats:
            return f"{moved}; suspected until {rule.confirm} runs of this commit show it"
        return f"{moved}; suspected, since only {shown} runs of this commit show it"
    if change.environment:
        return f"{moved}, as the other services did: it may be the environment"
    return moved + _doubt(told)


def _doubt(told: Comparison) -> str:
    """What the interval of the value alone does not say."""
    if told.state == "unchanged":
        return ": no change that matters"
    clear = told.ci is not None and not told.ci[0] <= 0 <= told.ci[1]
    if told.state == "inconclusive":
        return ": likely, but not sure among all that are compared" if clear else ": not told from noise"
    return "" if clear or told.unit == "ratio" else "; not sure by itself, but with the requests around it"


def _shifted(common: Common | None, found: Sequence[Comparison]) -> Iterable[Finding]:
    """All services of a run moved together: that is the machine, the network or the data rather than one of them.

    A common move takes four services to be told from their own; of three, each has to have got slower beyond doubt.
    """
    latencies = [c for c in found if _is_latency(c.service, c.sli, c.stat)]
    slower = [c for c in latencies if c.state == "regressed"]
    if not _together(common, [c in slower for c in latencies]):
        return
    if common and common.moved:
        low, high = (numbers.change(end, "") for end in common.ci)
        told = f"{numbers.things(common.services, 'service')} moved together by {numbers.change(common.shift, '')}"
        told += f" ({low} to {high})"
    else:
        changes = sorted(c.change or 0.0 for c in slower)
        told = f"all {len(slower)} services got slower, by {numbers.change(changes[0], '')} to "
        told += numbers.change(changes[-1], "")
    yield Finding(
        "environment_shift", "suspect", f"{told}: the environment changed rather than each of them",
        {"services": len(latencies), "shift": round(common.shift, 4) if common else None},
        remedy="compare machine, network and test data with those of the runs before; run the test again there. Is it "
        "to stay so? `phasegate baseline start RUN --reason ...` accepts it",
    )  # fmt: skip


def _together(common: Common | None, slower: Sequence[bool]) -> bool:
    """Did all services move together? ``slower`` says of each whether its latency regressed."""
    return (common is not None and common.moved) or (len(slower) >= _FEWEST_TOGETHER and all(slower))


def _is_latency(service: str | None, sli: str, stat: str) -> bool:
    """Is it what the services of a run are told to have moved together by?"""
    return service is not None and (sli, stat) == _LATENCY
