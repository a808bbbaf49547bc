"""Did it get worse? A run, or several of one version, against the runs of its baseline, all SLIs at once.

**The yardstick is the spread from run to run**, not the number of requests: two runs of one version differ by more than
their requests explain. Latencies, throughput and other sizes are compared as logarithms, so that factors count and
units do not. Their spread is :func:`slo.profile.spread`; with one baseline run it is assumed. What services of one run
do together is noise that they share: about half of their median is taken out, as much as makes baseline runs alike.
Services that changed themselves tell nothing of that noise, so a second look leaves them out of the median.

**Tested** are the SLI's own statistic and, beside it, the body of its distribution, which is less noisy. Their p-values
are joined by Simes's test with weights (Hochberg and Liberman 1994): nearly all on the body, and enough on the rest to
see a tail that moves alone. **Reported** are value, change and interval of the SLI's own statistic, as measured.

**Shares** (failures, checks) are Beta posteriors with Jeffreys's prior, on effective counts: hits over how much more
they vary than independent requests would, from span to span or from run to run, whichever is more.

**Many comparisons.** The p-values are stepped up (Benjamini and Hochberg 1995): the more a run moved, the less each
comparison has to prove, and one that moved alone among many has to prove most. ``confidence`` 0.99 sets both ends: of
what is called regressed at most a tenth is expected to be false (:data:`_FALSE_SHARE`), and nothing is believed at more
than twice its 1 % (:data:`_LOOSEST`), so that 2 % bounds the false alarms about any one latency.
``python -m bench.detection`` measures what comes of it; ``docs/comparison.md`` tells it to readers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import special

from slo import numbers
from slo.intervals import share_interval
from slo.profile import PRIOR_RUNS, PRIOR_SPREAD, Floats, Profile, of_others, spread

if TYPE_CHECKING:
    from slo.plan import Regression

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
State = Literal["improved", "unchanged", "regressed", "inconclusive", "no_baseline", "not_comparable"]

INTERVAL = 0.95
POWER = 0.8
_FALSE_SHARE = 10.0  # times 1 - confidence: the share of regressions that may be false
_LOOSEST = 2.0  # times 1 - confidence: the largest p that is ever believed
_OWN_WEIGHT = 0.02  # of the own statistic in Simes's test
_SHARE_WEIGHT = 0.1  # evidence on counts has to be ten times as strong: a handful of requests decides, and they cluster
LEAST_SHARE = 0.0025  # a quarter of the usual target (failures < 1 %) is the smallest change of a share that matters
_TOLD = 1.5  # clusters that are worth a word
_CLUSTER = 2.0  # failures are taken to come in pairs until the baseline shows how they come
_MOST = 0.75  # of the services move together when it is the environment that moved
_FEWEST_SERVICES = 4
_SHARED = 0.5  # of what other services do is taken to be noise that all share, until runs show how much
_SHARED_WORTH = 40  # runs of services
_NO_NEWS = 1.5  # times the baseline's own doubt
_MANY = 20  # runs nobody will make to settle one comparison
_HALVINGS = 12  # a 4096th of where it may lie
_NODES = (np.arange(64) + 0.5) / 64  # equal steps of probability


@dataclass(frozen=True)
class Pair:
    """One SLI on both sides. All pairs hold the same runs in the same order, ``None`` where a run lacks the SLI.

    ``service`` is ``None`` for the whole run. Spread is pooled over the pairs of one ``family``: the same selector and
    statistic of several services. ``higher_is_worse`` follows from the objective's operator.
    """

    service: str | None
    family: str
    unit: str
    higher_is_worse: bool
    current: tuple[Profile | None, ...]
    baseline: tuple[Profile | None, ...]


@dataclass(frozen=True)
class Change:
    """What became of one SLI.

    ``value`` and ``baseline`` are in the SLI's unit (over several runs the geometric mean; of shares the pooled one).
    ``change``, its 95 % interval ``ci`` and ``detectable`` are relative, of shares absolute; ``detectable`` is the
    smallest worsening that this rule finds with 80 % power. ``noise`` is the change in spreads of one run. ``p`` is
    one-sided, as tested; ``confidence`` is after the correction for the number of comparisons, where a change is
    believed. ``settle`` says what would settle an inconclusive one. ``environment``: inconclusive because all services
    moved together.
    """

    state: State
    value: float | None = None
    baseline: float | None = None
    change: float | None = None
    ci: tuple[float, float] | None = None
    noise: float | None = None
    p: float | None = None
    confidence: float | None = None
    detectable: float | None = None
    method: str = ""
    settle: str = ""
    runs: int = 0
    repeats: int = 0
    environment: bool = False


@dataclass(frozen=True)
class Common:
    """What all services did together: the median change with its 95 % interval, relative.

    ``moved``: surely, by more than matters, and most of them; then it is the environment rather than a service.
    """

    shift: float
    ci: tuple[float, float]
    services: int
    moved: bool


@dataclass(frozen=True)
class Compared:
    """One change per pair, in order. ``common`` is ``None`` where too few services have latencies to tell."""

    changes: tuple[Change, ...]
    common: Common | None = None


@dataclass(frozen=True)
class _Evidence:
    """What is known of a pair before the others are looked at. ``least`` is the smallest change that counts."""

    value: float
    baseline: float
    change: float
    ci: tuple[float, float]
    noise: float
    worse: float
    better: float
    least: float
    method: str
    reach: Callable[[float], float]  # from a one-sided level to the worsening that is found at it
    settle: Callable[[float], str]
    weight: float = 1.0
    environment: bool = False


def compare(pairs: Sequence[Pair], rule: Regression) -> Compared:
    """Compare every pair under ``rule``; confidence is over all of them. Deterministic, and blind to their order."""
    unfit = {i: change for i, pair in enumerate(pairs) if (change := _unfit(pair))}
    fit = {i: pair for i, pair in enumerate(pairs) if i not in unfit}
    if _same_runs(list(fit.values())):
        changes = unfit | {i: _itself(pair) for i, pair in fit.items()}
        return Compared(tuple(changes[i] for i in range(len(pairs))))
    families: dict[tuple[str, str, bool], list[int]] = {}
    for i, pair in fit.items():
        families.setdefault((pair.family, pair.unit, _is_share(pair)), []).append(i)
    evidence: dict[int, _Evidence] = {}
    commons: list[Common] = []
    for (_, unit, is_share), members in families.items():
        family = [pairs[i] for i in members]
        common = None if is_share or unit != "ms" else _common(family, rule)
        found = _shares(family, rule) if is_share else _sizes(family, rule, moved=bool(common and common.moved))
        evidence |= zip(members, found, strict=True)
        commons += [common] if common else []
    changes = unfit | _judged(evidence, rule)
    sized = {i: replace(c, runs=len(_there(pairs[i].baseline)), repeats=len(_there(pairs[i].current)))
             for i, c in changes.items()}  # fmt: skip
    return Compared(
        tuple(sized[i] for i in range(len(pairs))), max(commons, key=lambda c: (c.moved, c.services), default=None)
    )


def not_comparable(reason: str) -> Change:
    """A change that cannot be told, and why."""
    return Change("not_comparable", method=reason)


def _there(side: Sequence[Profile | None]) -> list[Profile]:
    return [one for one in side if one is not None]


def _is_share(pair: Pair) -> bool:
    return _there(pair.current)[0].kind == "share"


def _unfit(pair: Pair) -> Change | None:
    """The answer about a pair that needs no statistics; ``None`` if it does."""
    now, before = _there(pair.current), _there(pair.baseline)
    every = now + before
    if not now:
        return not_comparable("this run has no such measurement")
    if not before:
        return Change("no_baseline", value=now[0].value, method="there is no run to compare with")
    if not any(one.value for one in every) and now[0].kind != "share":
        return Change("unchanged", 0.0, 0.0, 0.0, method="0 in every run")
    if len({one.kind for one in every}) > 1:
        reason = "the runs measured different kinds of things"
    elif now[0].kind == "share":
        reason = "" if all(one.n for one in every) else "shares without counts"
    else:
        reason = "" if all(one.value > 0 for one in every) else "relative changes need values above 0"
    return not_comparable(reason) if reason else None


def _same_runs(pairs: Sequence[Pair]) -> bool:
    """The same samples on both sides: their distributions would not agree to the last digit otherwise."""
    shaped = any(one.kind == "trend" and one.numbers for pair in pairs for one in _there(pair.current))
    return shaped and all(set(_there(pair.current)) == set(_there(pair.baseline)) for pair in pairs)


def _itself(pair: Pair) -> Change:
    value = _there(pair.current)[0].value
    return Change("unchanged", value, value, 0.0, (0.0, 0.0), 0.0, method="the same runs on both sides")


# -- sizes: latencies, throughput, plain numbers ------------------------------------------------------------------


@dataclass(frozen=True)
class _Difference:
    """Of logarithms, by service: between the means of both sides; ``sd`` is the spread of single runs."""

    mean: Floats
    se: Floats
    freedom: Floats
    sd: Floats

    def p(self, sign: Floats | float) -> Floats:
        """One-sided: how likely so much or more is, in the direction of ``sign``, if nothing changed."""
        return np.asarray(special.stdtr(self.freedom, -sign * self.mean / self.se), dtype=np.float64)


def _logs(pairs: Sequence[Pair]) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Current and baseline logarithms, each (2, services, runs): the SLI's own statistic, and its body.

    With each, the variance that the run itself sees of them. A family in which a run has no body goes without.
    """
    sides = [[[*pair.current] for pair in pairs], [[*pair.baseline] for pair in pairs]]
    shaped = all(one.numbers for side in sides for row in side for one in row if one)
    both = []
    for side in sides:
        own = np.array([[math.log(one.value) if one else math.nan for one in row] for row in side])
        if not shaped:
            both.append((np.stack([own, own]), np.zeros((2, *own.shape))))
            continue
        kept = np.array([[one.numbers[-3:] if one else (math.nan,) * 3 for one in row] for row in side])
        both.append((np.stack([own, kept[:, :, 0]]), np.moveaxis(kept[:, :, 1:], 2, 0)))
    return both[0], both[1]


def _difference(now: Floats, before: Floats, doubt_now: Floats, doubt_before: Floats) -> _Difference:
    """By how much both sides differ. What the current runs are less sure of than the baseline's comes on top.

    That is: a shorter run, or one with a pause. What a run sees of itself is noisy: up to half more is no news.
    """
    sides = now, before
    n1, n0 = ((~np.isnan(side)).sum(axis=1) for side in sides)
    m1, m0 = (np.nanmean(side, axis=1) for side in sides)
    squares = sum(np.nansum((side - m[:, None]) ** 2, axis=1) for side, m in zip(sides, (m1, m0), strict=True))
    own1, own0 = np.nanmean(doubt_now, axis=1), np.nanmean(doubt_before, axis=1)
    variance, freedom = spread(np.asarray(squares), (n1 + n0 - 2).astype(float), own0)
    se = np.sqrt(variance * (1 / n1 + 1 / n0) + np.where(own1 > _NO_NEWS * own0, own1 - own0, 0.0) / n1)
    return _Difference(m1 - m0, se, freedom, np.sqrt(variance))


def _without_common(now: Floats, before: Floats, services: Mask, apart: Mask, *, moved: bool) -> tuple[Floats, Floats]:
    """Deviations less what other services did: all of it when the environment moved, else a factor.

    That is the one that makes baseline runs most alike, drawn to a half: few runs show it badly. ``apart`` are services
    that changed themselves; they do not tell what the others share.
    """
    part1, part0 = np.zeros_like(now), np.zeros_like(before)
    alike = np.where(apart[:, None], np.nan, now)
    part1[services], part0[services] = of_others(alike[services]), of_others(before[services])
    known = ~np.isnan(before) & services[:, None]
    weight = float((part0[known] ** 2).sum())
    slope = float(np.clip((before[known] * part0[known]).sum() / weight, 0.0, 1.0)) if weight else _SHARED
    factor = 1.0 if moved else np.average([slope, _SHARED], weights=[known.sum(), _SHARED_WORTH])
    return now - factor * part1, before - factor * part0


def _sizes(pairs: Sequence[Pair], rule: Regression, *, moved: bool) -> list[_Evidence]:
    (now, doubt_now), (before, doubt_before) = _logs(pairs)
    level = np.nanmean(before, axis=2, keepdims=True)
    now, before = now - level, before - level
    raw = _difference(now[0], before[0], doubt_now[0], doubt_before[0])

    def less_common(i: int, apart: Mask) -> _Difference:
        sides = _without_common(now[i], before[i], services, apart, moved=moved)
        return _difference(*sides, doubt_now[i], doubt_before[i])

    # Less load for every service is no noise of the machine: only times are freed of what they share.
    services = np.array([pair.service is not None and pair.unit == "ms" for pair in pairs])
    first = less_common(1, np.zeros(len(pairs), dtype=bool))
    apart = (np.minimum(first.p(1), first.p(-1)) <= 1 - rule.confidence) & (not moved)
    own, body = (less_common(i, apart) for i in (0, 1))
    sign = np.array([1.0 if pair.higher_is_worse else -1.0 for pair in pairs])
    worse, better = (_joined(own.p(way), body.p(way)) for way in (sign, -sign))
    half = special.stdtrit(raw.freedom, (1 + INTERVAL) / 2) * raw.se
    found = []
    for i, pair in enumerate(pairs):
        base, change = math.exp(float(level[0, i, 0])), float(raw.mean[i])
        least = max(rule.min_change_ratio, rule.min_change_abs_ms / base if pair.unit == "ms" else 0.0)
        sizes = len(_there(pair.current)), len(_there(pair.baseline))
        found.append(
            _Evidence(
                value=base * math.exp(change), baseline=base, change=math.expm1(change),
                ci=(math.expm1(change - half[i]), math.expm1(change + half[i])),
                noise=abs(change) / float(raw.sd[i]), worse=float(worse[i]), better=float(better[i]), least=least,
                method=_how(sizes[1], len(pairs), shaped=bool((own.mean != body.mean).any())),
                reach=_SizeReach(
                    float(body.freedom[i]), float(body.se[i]), float(own.se[i]),
                    math.log1p(least) if pair.higher_is_worse else -math.log1p(-min(least, 0.9)), pair.higher_is_worse,
                ),
                settle=partial(_settle, float(body.sd[i]), sizes, least),
                environment=moved and pair.service is not None,
            )
        )  # fmt: skip
    return found


def _joined(own: Floats, body: Floats) -> Floats:
    """Simes's test of two hypotheses with weights."""
    return np.minimum(np.minimum(own / _OWN_WEIGHT, body / (1 - _OWN_WEIGHT)), np.maximum(own, body))


@dataclass(frozen=True)
class _SizeReach:
    """The worsening that is both believed at a level and at least ``least`` (a logarithm) with :data:`POWER`.

    Own statistic and body go together: the own is taken for the body and noise of its own on top.
    """

    freedom: float
    body_se: float
    own_se: float
    least: float
    up: bool

    def __call__(self, level: float) -> float:
        believed = -float(special.stdtrit(self.freedom, level * (1 - _OWN_WEIGHT)))
        near, far = 0.0, self.least + (10 + believed) * self.own_se
        for _ in range(_HALVINGS):
            middle = (near + far) / 2
            near, far = (near, middle) if self._found(middle, believed) >= POWER else (middle, far)
        return math.expm1(far) if self.up else -math.expm1(-far)

    def _found(self, change: float, believed: float) -> float:
        noise = special.ndtri(_NODES)
        alone = math.sqrt(max(self.own_se**2 - self.body_se**2, (0.1 * self.body_se) ** 2))
        large = special.ndtr((change - self.least + noise * self.body_se) / alone)
        seen = special.ndtr(len(_NODES) * (change / self.body_se + noise - believed))  # a step, smooth between nodes
        return float(np.mean(large * seen))


def _settle(sd: float, sizes: tuple[int, int], least: float, level: float) -> str:
    """How many runs show ``least``, the smallest change that counts, with :data:`POWER`."""
    now, before = sizes
    told = f"a change of {numbers.change_size(least)}"
    share = (math.log1p(least) / ((special.ndtri(POWER) - special.ndtri(level)) * sd)) ** 2  # = 1 / now + 1 / before
    repeats = max(now + 1, math.ceil(1 / (share - 1 / before))) if share > 1 / before else _MANY
    if repeats <= max(before, now + 1):
        return f"run this version {numbers.things(repeats - now, 'more time')}: that shows {told}"
    both = math.ceil(2 / share)
    if both > _MANY:
        return f"longer or quieter runs: these differ too much among themselves to show {told}"
    return f"{both} runs of this version and {both} in the baseline: they show {told}"


def _how(runs: int, services: int, *, shaped: bool) -> str:
    what = "the value and the requests around it" if shaped else "the value"
    if runs == 1:
        apart = numbers.change_size(PRIOR_SPREAD)
        return f"{what}, against one baseline run; runs are assumed to lie {apart} apart until more show it"
    seen = f" in {services} services" if services > 1 else ""
    return f"{what}, against how far {runs} baseline runs lie apart{seen}"


def _common(pairs: Sequence[Pair], rule: Regression) -> Common | None:
    """How the median service moved; its own spread, from run to run, is the yardstick."""
    services = [pair for pair in pairs if pair.service is not None]
    if len(services) < _FEWEST_SERVICES:
        return None
    (now, _), (before, _) = _logs(services)
    level = np.nanmean(before[1], axis=1, keepdims=True)
    each = np.nanmean(now[1] - level, axis=1)
    sides = [_medians(side[1] - level) for side in (now, before)]
    move = _difference(*sides, *(np.zeros_like(side) for side in sides))
    shift, se, freedom = (float(x[0]) for x in (move.mean, move.se, move.freedom))
    half = float(special.stdtrit(freedom, (1 + INTERVAL) / 2)) * se
    moved = (
        2 * float(special.stdtr(freedom, -abs(shift) / se)) <= 1 - rule.confidence
        and abs(math.expm1(shift)) >= rule.min_change_ratio
        and float(np.mean(np.sign(shift) * each >= abs(shift) / 2)) >= _MOST
    )
    return Common(math.expm1(shift), (math.expm1(shift - half), math.expm1(shift + half)), len(services), moved)


def _medians(moves: Floats) -> Floats:
    """Of each run that has any, over services; (1, runs)."""
    return np.nanmedian(moves[:, ~np.isnan(moves).all(axis=0)], axis=0, keepdims=True)


# -- shares -------------------------------------------------------------------------------------------------------


def _hits(one: Profile) -> float:
    return one.numbers[0] if one.numbers else one.value * one.n


def _shares(pairs: Sequence[Pair], rule: Regression) -> list[_Evidence]:
    """How far apart the hits of runs lie, over what independent requests do (Pearson's statistic), is pooled.

    A few hits say little about it: the variance of the statistic, 2 + 1 / hits, tells how much (McCullagh, Nelder).
    """
    squares = freedom = 0.0
    for pair in pairs:
        before = _there(pair.baseline)
        n = np.array([one.n for one in before], dtype=float)
        hits = np.array([_hits(one) for one in before])
        share = float(hits.sum() / n.sum())
        if 0 < share < 1:
            rare = min(share, 1 - share) * float(n.mean())
            worth = 2 * rare / (2 * rare + 1)
            squares += worth * float(((hits - share * n) ** 2 / (n * share * (1 - share))).sum())
            freedom += worth * (len(before) - 1)
    return [_share(pair, squares, freedom, rule) for pair in pairs]


def _share(pair: Pair, squares: float, freedom: float, rule: Regression) -> _Evidence:
    sides = _there(pair.current), _there(pair.baseline)
    hits = [sum(_hits(one) for one in side) for side in sides]
    counts = [sum(one.n for one in side) for side in sides]
    now, before = (h / n for h, n in zip(hits, counts, strict=True))
    rare = min(before, 1 - before)
    expected = _CLUSTER + PRIOR_SPREAD**2 * counts[0] / len(sides[0]) * rare / (1 - rare)
    cluster = (PRIOR_RUNS * expected + squares) / (PRIOR_RUNS + freedom)
    seen = (float(np.mean([one.numbers[1] if one.numbers else 1.0 for one in side])) for side in sides)
    effect = [max(1.0, cluster, one) for one in seen]
    size, size_before = (n / e for n, e in zip(counts, effect, strict=True))
    posterior = special.betaincinv(before * size_before + 0.5, (1 - before) * size_before + 0.5, _NODES)
    low, high = share_interval(now * size, size, INTERVAL)
    low0, high0 = share_interval(before * size_before, size_before, INTERVAL)
    change = now - before
    least = max(LEAST_SHARE, rule.min_change_ratio * rare)
    reach = _ShareReach(posterior, before, size, least, pair.higher_is_worse)
    p = reach.not_above(now) if pair.higher_is_worse else 1 - reach.not_above(now)
    sd = math.sqrt(effect[1] * max(before * (1 - before), 0.25 / counts[1]) * len(sides[0]) / counts[0])
    return _Evidence(
        value=now, baseline=before, change=change,
        # Newcombe's square-and-add (1998): honest where one share is 0.
        ci=(change - math.hypot(now - low, high0 - before), change + math.hypot(high - now, before - low0)),
        noise=abs(change) / sd, worse=p, better=1 - p, least=least, weight=_SHARE_WEIGHT,
        method=_counted(hits, counts, effect[0]),
        reach=reach,
        settle=lambda level: f"more requests: {counts[0]:,} show {numbers.change_size(reach(level), 'ratio')} and more",
    )  # fmt: skip


def _counted(hits: Sequence[float], counts: Sequence[int], effect: float) -> str:
    told = f"{hits[0]:,.0f} of {counts[0]:,} requests, against {hits[1]:,.0f} of {counts[1]:,} in the baseline"
    return told if effect < _TOLD else f"{told}; they come in clusters, so that {effect:.1f} count as one"


@dataclass(frozen=True)
class _ShareReach:
    """The worsening at which :data:`POWER` of the runs, worth ``size`` requests, show a share that is believed.

    ``posterior`` is the baseline's, at equal steps of probability; ``before`` its share.
    """

    posterior: Floats
    before: float
    size: float
    least: float
    up: bool

    def not_above(self, share: float) -> float:
        """Probability that the true share behind this one is not above the baseline's."""
        return float(special.betainc(share * self.size + 0.5, (1 - share) * self.size + 0.5, self.posterior).mean())

    def __call__(self, level: float) -> float:
        start = self.before if self.up else 1 - self.before
        near, far = 0.0, 1 - start
        for _ in range(_HALVINGS):
            middle = (near + far) / 2
            p = self.not_above(start + middle) if self.up else 1 - self.not_above(1 - start - middle)
            near, far = (near, middle) if p <= level else (middle, far)
        hits = min(1.0, start + max(far, self.least)) * self.size
        return (float(special.betaincinv(hits, self.size - hits + 1, POWER)) if hits < self.size else 1.0) - start


# -- all together -------------------------------------------------------------------------------------------------


def _stepped(p: Floats) -> Floats:
    """P-values adjusted as Benjamini and Hochberg do."""
    order = np.argsort(p, kind="stable")
    raised = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(raised[::-1])[::-1]
    return adjusted


def _judged(evidence: dict[int, _Evidence], rule: Regression) -> dict[int, Change]:
    """A p-value is believed up to 1 - confidence once it is corrected: both bounds of the module in one number."""
    found = list(evidence.values())
    doubt = 1 - rule.confidence
    weights = np.array([one.weight for one in found])
    worse, better = (
        np.minimum(1.0, np.array([getattr(one, way) for one in found]) / weights) for way in ("worse", "better")
    )
    sure_worse, sure_better = (np.maximum(p / _LOOSEST, _stepped(p) / _FALSE_SHARE) for p in (worse, better))
    judged = {}
    for place, (i, one) in enumerate(evidence.items()):
        believed = int((_stepped(np.where(np.arange(len(found)) == place, 0.0, worse)) <= _FALSE_SHARE * doubt).sum())
        level = doubt * one.weight * min(_LOOSEST, _FALSE_SHARE * believed / len(found))
        judged[i] = _judge(one, float(sure_worse[place]), float(sure_better[place]), doubt, level)
    return judged


def _judge(one: _Evidence, worse: float, better: float, doubt: float, level: float) -> Change:
    state: State = "inconclusive"
    p, confidence = min(worse, better), None
    if p <= doubt and abs(one.change) >= one.least:
        state, confidence = "regressed" if worse < better else "improved", 1 - p
    elif not one.environment and -one.least <= one.ci[0] and one.ci[1] <= one.least:
        state = "unchanged"
    together = one.environment and state == "inconclusive"
    settle = (
        "" if state != "inconclusive" else "a run when the environment is as before" if together else one.settle(level)
    )
    return Change(
        state, one.value, one.baseline, one.change, one.ci, one.noise, min(one.worse, one.better), confidence,
        one.reach(level), one.method, settle, environment=together,
    )  # fmt: skip
