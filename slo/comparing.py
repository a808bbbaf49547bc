"""From measurements of several runs to comparisons: what is compared, which way is worse, and what to say of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from slo import numbers
from slo.change import compare
from slo.findings import concerns
from slo.model import Comparison, Finding
from slo.pairs import Pair
from slo.profile import Profile, profiles
from slo.shape import gained, lost
from slo.sli import of_objective, standard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from data.catalog import StoredMeasurement
    from data.model import RunRecord
    from data.samples import SampleEngine
    from slo.change import Change
    from slo.pairs import Common
    from slo.plan import Objective, Phase, Regression
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
class Sides:
    """Both sides of a comparison: the run and its repeats, and the runs of its baseline, each newest first."""

    current: Sequence[Measured]
    baseline: Sequence[Measured]
    repeats: tuple[str, ...] = ()
    baseline_runs: tuple[str, ...] = ()


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


def profiled(
    record: RunRecord, slis: Sequence[Sli], measured: Sequence[StoredMeasurement], samples: SampleEngine
) -> list[StoredMeasurement]:
    """The measurements with what later runs are compared with."""
    found = profiles(record, slis, measured, samples)
    return [
        replace(one, profile=json.dumps(asdict(profile)) if profile else None)
        for one, profile in zip(measured, found, strict=True)
    ]


def compared(
    asked: Sequence[Asked], sides: Sides, rule: Regression, unfit: Mapping[SliKey, str] | None = None
) -> tuple[tuple[Comparison, ...], tuple[Finding, ...]]:
    """Every SLI compared, worst first, and what all services did together, as a finding.

    ``unfit`` says of SLIs why they cannot be compared. Repeats are judged together with the run. What the run alone
    shows and its repeats do not is suspected, and so is all that fewer runs show than ``rule`` asks for.
    """
    fit = [one for one in asked if one.sli.key not in (unfit or {})]
    pairs = [_pair(one, sides.current, sides.baseline) for one in fit]
    judged = compare(pairs, rule)
    alone = compare([replace(pair, current=pair.current[:1]) for pair in pairs], rule) if sides.repeats else judged
    found = [
        _told(one, together, first, sides, rule)
        for one, together, first in zip(fit, judged.changes, alone.changes, strict=True)
    ]
    found += [_blank(one, sides, reason) for one in asked if (reason := (unfit or {}).get(one.sli.key))]
    order = sorted(found, key=lambda c: (_WORST_FIRST.index(c.state), -(c.noise or 0), c.service or "", c.sli, c.stat))
    return tuple(order), tuple(_shifted(judged.common, order))


def unfit_of(
    asked: Sequence[Asked], run: Shape, before: Sequence[Shape], findings: Sequence[Finding]
) -> dict[SliKey, str]:
    """Why some SLIs of a run cannot be compared: they were not believably measured, or are of other requests.

    A service that is called at other endpoints than before is another mixture; single endpoints stay comparable.
    """
    mixed = _mixed(run, before)
    unfit = {}
    for one in asked:
        service = one.sli.service
        invalid = next((f for f in findings if f.severity == "invalid" and concerns(f, service)), None)
        if invalid:
            unfit[one.sli.key] = f"not believably measured: {invalid.message}"
        elif _over_endpoints(one.sli) and (service in mixed if service else mixed):
            unfit[one.sli.key] = "other endpoints are called than before; single endpoints can be compared"
    return unfit


def _over_endpoints(sli: Sli) -> bool:
    """Is it about requests to several endpoints? Then it depends on their mixture."""
    return sli.selector.metric.startswith("http_") and all(tag != "name" for tag, _ in sli.selector.tags)


def _mixed(run: Shape, before: Sequence[Shape]) -> frozenset[str | None]:
    """The services whose endpoints are others than before; rarely called ones apart."""
    changed = lost(run, before) | gained(run, before)
    return frozenset(part[1] or None for part in changed if part[0] == "endpoint")


def _asked(objective: Objective) -> Asked | None:
    sli = of_objective(objective)
    target = objective.target
    return Asked(sli, higher_is_worse=target.upper) if sli and (target.upper or target.lower) else None


def _pair(one: Asked, current: Sequence[Measured], baseline: Sequence[Measured]) -> Pair:
    sides = [[side.get(one.sli.key) for side in runs] for runs in (current, baseline)]
    known = [measured for side in sides for measured in side if measured and measured.value is not None]
    return Pair(
        service=one.sli.service,
        family=f"{one.sli.key[1:]}",
        unit=known[0].unit if known else "",
        higher_is_worse=one.higher_is_worse,
        current=tuple(_profile(measured) for measured in sides[0]),
        baseline=tuple(_profile(measured) for measured in sides[1]),
    )


def _profile(measured: StoredMeasurement | None) -> Profile | None:
    if measured is None or measured.profile is None:
        return None
    kept = json.loads(measured.profile)
    return Profile(kept["kind"], kept["value"], kept["n"], tuple(kept["numbers"]))


def _blank(one: Asked, sides: Sides, reason: str) -> Comparison:
    measured = sides.current[0].get(one.sli.key)
    return Comparison(
        service=one.sli.service, sli=str(one.sli.selector), stat=one.sli.stat, unit=measured.unit if measured else "",
        state="not_comparable", reason=reason, value=measured.value if measured else None,
        higher_is_worse=one.higher_is_worse,
    )  # fmt: skip


def _told(one: Asked, together: Change, alone: Change, sides: Sides, rule: Regression) -> Comparison:
    hidden = alone.state == "regressed" != together.state  # repeats must not hide what the run shows
    change = alone if hidden else together
    blank = _blank(one, sides, "")
    told = replace(
        blank, state=change.state, value=blank.value if change.value is None else change.value,
        baseline=change.baseline, change=change.change, ci=change.ci, detectable=change.detectable, noise=change.noise,
        confidence=change.confidence, method=change.method, settle=change.settle,
        suspected=change.state == "regressed" and (hidden or len(sides.current) < rule.confirm),
        baseline_runs=sides.baseline_runs if change.runs else (), repeats=sides.repeats,
    )  # fmt: skip
    return replace(told, reason=_reason(told, change, rule, hidden=hidden))


def _reason(told: Comparison, change: Change, rule: Regression, *, hidden: bool) -> str:
    """One sentence of a comparison; what it is about is said beside it."""
    if told.state == "no_baseline":
        return "there is no earlier run to compare with"
    if told.state == "not_comparable":
        return change.method
    runs = numbers.things(change.runs, "run")
    moved = f"{numbers.change(told.change, told.unit)} against {numbers.value(told.baseline, told.unit)} in {runs}"
    if hidden:
        others = numbers.things(len(told.repeats), "other run")
        return f"{moved}; {others} of this commit {'does' if len(told.repeats) == 1 else 'do'} not show it"
    if told.suspected:
        return f"{moved}; suspected until {rule.confirm} runs of this commit show it"
    if change.environment:
        return f"{moved}, as the other services did: it may be the environment"
    return moved + {"unchanged": ": no change that matters", "inconclusive": ": not told from noise"}.get(
        told.state, ""
    )


def _shifted(common: Common | None, found: Sequence[Comparison]) -> Iterable[Finding]:
    """All services of a run moved together: that is the machine, the network or the data rather than one of them.

    A common move takes four services to be told from their own; of three, each has to have got slower beyond doubt.
    """
    slower = [c for c in found if (c.sli, c.stat) == _LATENCY and c.service and c.state == "regressed"]
    everyone = {c.service for c in found if (c.sli, c.stat) == _LATENCY and c.service}
    if common and common.moved:
        low, high = (numbers.change(end, "") for end in common.ci)
        told = f"{numbers.things(common.services, 'service')} moved together by {numbers.change(common.shift, '')}"
        told += f" ({low} to {high})"
    elif len(slower) >= _FEWEST_TOGETHER and len(slower) == len(everyone):
        changes = sorted(c.change or 0.0 for c in slower)
        told = f"all {len(slower)} services got slower, by {numbers.change(changes[0], '')} to "
        told += numbers.change(changes[-1], "")
    else:
        return
    yield Finding(
        "environment_shift", "suspect", f"{told}: the environment changed rather than each of them",
        {"services": len(everyone), "shift": round(common.shift, 4) if common else None},
        remedy="compare machine, network and test data with those of the runs before; run the test again there",
    )  # fmt: skip
