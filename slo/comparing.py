"""From measurements of several runs to comparisons: what is compared, which way is worse, and what to say of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slo import numbers
from slo.change import compare
from slo.findings import concerns
from slo.model import Comparison, Finding, Outcome
from slo.pairs import Pair
from slo.profile import from_text
from slo.shape import gained, lost
from slo.shares import LEAST_SHARE
from slo.sli import of_objective, standard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from data.catalog import StoredMeasurement
    from slo.change import Change
    from slo.pairs import Common
    from slo.plan import Objective, Phase, Regression
    from slo.profile import Profile
    from slo.shape import Shape
    from slo.sli import Sli

SliKey = tuple[str | None, str, str, str]
Measured = dict[SliKey, "StoredMeasurement"]
"""The measurements of one run."""

_LATENCY = ("http_req_duration", "p(95)")
_FEWEST_TOGETHER = 3
_WORST_FIRST = ("regressed", "inconclusive", "not_comparable", "no_baseline", "improved", "unchanged")


@dataclass(frozen=True)
class Asked:
    """An SLI to compare, and which way is worse."""

    sli: Sli
    higher_is_worse: bool


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


def asked_of(phase: Phase | None, services: Iterable[str], scope: Sequence[int] | None = None) -> list[Asked]:
    """What is compared of a run: the SLIs of its objectives, and latency, failures and throughput of every service.

    ``scope`` are the objectives that are asked of the run, by index (``None``: all). Where a target is an equality,
    there is no worse, and nothing to compare.
    """
    objectives = phase.objectives if phase else ()
    chosen = objectives if scope is None else [objectives[i] for i in scope]
    found = {asked.sli.key: asked for one in chosen if (asked := _asked(one))}
    named = [*services]
    for sli in standard(named):
        if sli.service is None and named:  # of a whole run its services say all
            continue
        found.setdefault(sli.key, Asked(sli, higher_is_worse=not sli.per_second))
    return list(found.values())


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
        found = [_with_environment(one, judged.common) for one in found]
    found += [_blank(one, sides, reason) for one in asked if (reason := (unfit or {}).get(one.sli.key))]
    order = sorted(found, key=lambda c: (_WORST_FIRST.index(c.state), -(c.noise or 0), c.service or "", c.sli, c.stat))
    return tuple(order), findings


def departure(asked: Sequence[Asked], run: Measured, before: Sequence[Measured], rule: Regression) -> str | None:
    """How a run left the level of those before it: its environment moved, or something got worse; ``None``: it stayed.

    What got worse is ten times surer than what is told: what baselines leave out by mistake makes them too narrow.
    """
    sides = Sides([Side("", run)], [Side("", one) for one in before])
    judged = compare([_pair(one, sides) for one in asked], rule, plainly=True)
    regressed = [c if c.state == "regressed" else None for c in judged.changes]
    slower = [
        bool(c) for one, c in zip(asked, regressed, strict=True) if _is_latency(one.sli.service, *one.sli.key[1:3])
    ]
    if _together(judged.common, slower):
        return "its environment moved"
    sure = 1 - (1 - rule.confidence) / 10
    return "it got worse" if any(c and (c.confidence or 0.0) >= sure for c in regressed) else None


def unfit_of(asked: Sequence[Asked], sides: Sides, findings: Sequence[Finding]) -> dict[SliKey, str]:
    """Why some SLIs of a run cannot be compared: they were not believably measured, or are of other requests.

    A service that is called at other endpoints than before is another mixture; single endpoints stay comparable.
    """
    unfit = {}
    for one in asked:
        invalid = next((f for f in findings if f.severity == "invalid" and concerns(f, one.sli.service)), None)
        if invalid:
            unfit[one.sli.key] = f"not believably measured: {invalid.message}"
        elif sides.baseline and all(_is_apart(one.sli, side) for side in sides.baseline):
            unfit[one.sli.key] = "other endpoints are called than before; single endpoints can be compared"
    return unfit


def apart(run: Shape, other: Shape) -> frozenset[str | None]:
    """The services that one of two runs called at other endpoints than the other; rarely called ones apart."""
    changed = lost(run, [other]) | gained(run, [other])
    return frozenset(part[1] or None for part in changed if part[0] == "endpoint")


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


def _is_apart(sli: Sli, side: Side) -> bool:
    """Is an SLI about requests to several endpoints, and are they others in this run? Then it is of another mixture."""
    if not sli.selector.metric.startswith("http_") or any(tag == "name" for tag, _ in sli.selector.tags):
        return False
    return bool(side.apart) if sli.service is None else sli.service in side.apart


def _asked(objective: Objective) -> Asked | None:
    sli = of_objective(objective)
    target = objective.target
    return Asked(sli, higher_is_worse=target.upper) if sli and (target.upper or target.lower) else None


def _pair(one: Asked, sides: Sides) -> Pair:
    current, baseline = (
        [None if _is_apart(one.sli, side) else side.measured.get(one.sli.key) for side in runs]
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
        higher_is_worse=one.higher_is_worse,
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
        suspected=change.state == "regressed" and (hidden or shown < rule.confirm or 2 * shown <= len(alone)),
        baseline_runs=_used(one, sides) if change.runs else (), repeats=sides.repeats,
    )  # fmt: skip
    return replace(told, reason=_reason(told, change, f"{shown} of {len(alone)}", rule))


def _with_environment(one: Comparison, common: Common | None) -> Comparison:
    """What got worse as everything did is not this service's doing; failures are, and what is left of the latency."""
    freed = common is not None and common.moved and _is_latency(one.service, one.sli, one.stat)
    if one.state != "regressed" or one.unit == "ratio" or freed:
        return one
    return replace(
        one, state="inconclusive", suspected=False, confidence=None,
        reason=f"{one.reason}, as the other services did: it may be the environment",
        settle="a run when the environment is as before",
    )  # fmt: skip


def _used(one: Asked, sides: Sides) -> tuple[str, ...]:
    return tuple(
        side.run_id for side in sides.baseline if one.sli.key in side.measured and not _is_apart(one.sli, side)
    )


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
