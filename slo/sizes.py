"""How surely a latency, a throughput or another size changed: logarithms against the spread from run to run.

**The yardstick is the spread from run to run**, not the number of requests: two runs of one version differ by more than
their requests explain. Latencies, throughput and other sizes are compared as logarithms, so that factors count and
units do not. Their spread is :func:`slo.profile.spread`; with one baseline run it is assumed. What services of one run
do together is noise that they share: about half of their median is taken out, as much as makes baseline runs alike.
Services that changed themselves tell nothing of that noise, so a second look leaves them out of the median.

**Tested** are the SLI's own statistic and, beside it, the body of its distribution, which is less noisy. Their p-values
are joined by Simes's test with weights (Hochberg and Liberman 1994): nearly all on the body, and enough on the rest to
see a tail that moves alone. **Reported** are value, change and interval of the SLI's own statistic, as measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from data.samples import Floats
from slo import numbers
from slo.pairs import HALVINGS, INTERVAL, NODES, POWER, Common, Proof, there
from slo.profile import PRIOR_SPREAD, of_others, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slo.pairs import Pair
    from slo.plan import Regression
    from slo.profile import Profile

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

_OWN_WEIGHT = 0.02  # of the own statistic in Simes's test
_MOST = 0.75  # of the services move together when it is the environment that moved
_FEWEST_SERVICES = 4
_SHARED = 0.5  # of what other services do is taken to be noise that all share, until runs show how much
_SHARED_WORTH = 40  # runs of services
_NO_NEWS = 1.5  # times the baseline's own doubt
_MANY = 10  # more runs than that nobody makes to settle one comparison


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

    With each, the variance that the run itself sees of them. A service of which a run has no body goes without.
    """
    shaped = [all(one.numbers for one in (*pair.current, *pair.baseline) if one) for pair in pairs]
    both = []
    for side in ([pair.current for pair in pairs], [pair.baseline for pair in pairs]):
        kept = np.array([[_kept(one, has) for one in row] for row, has in zip(side, shaped, strict=True)])
        both.append((np.moveaxis(kept[:, :, :2], 2, 0), np.moveaxis(kept[:, :, 2:], 2, 0)))
    return both[0], both[1]


def _kept(one: Profile | None, shaped: bool) -> tuple[float, ...]:  # noqa: FBT001  # of a row
    """Logarithms of value and body, and the variances of both."""
    if one is None:
        return (math.nan,) * 4
    value = math.log(one.value)
    return (value, *one.numbers[-3:]) if shaped else (value, value, 0.0, 0.0)


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


def sizes(pairs: Sequence[Pair], rule: Regression, *, moved: bool) -> list[Proof]:
    """What is known of pairs of one family; ``moved``: all services moved together, and that is taken out."""
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
        sizes = len(there(pair.current)), len(there(pair.baseline))
        found.append(
            Proof(
                value=base * math.exp(change), baseline=base, change=math.expm1(change),
                ci=(math.expm1(change - half[i]), math.expm1(change + half[i])),
                noise=abs(change) / float(raw.sd[i]), worse=float(worse[i]), better=float(better[i]), least=least,
                up=pair.higher_is_worse,
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
        for _ in range(HALVINGS):
            middle = (near + far) / 2
            near, far = (near, middle) if self._found(middle, believed) >= POWER else (middle, far)
        return math.expm1(far) if self.up else -math.expm1(-far)

    def _found(self, change: float, believed: float) -> float:
        noise = special.ndtri(NODES)
        alone = math.sqrt(max(self.own_se**2 - self.body_se**2, (0.1 * self.body_se) ** 2))
        large = special.ndtr((change - self.least + noise * self.body_se) / alone)
        seen = special.ndtr(len(NODES) * (change / self.body_se + noise - believed))  # a step, smooth between nodes
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
        return f"longer or quieter runs: runs of this test differ too much to show {told}"
    return f"{both} runs of this version and {both} in the baseline: they show {told}"


def _how(runs: int, services: int, *, shaped: bool) -> str:
    what = "the value and the requests around it" if shaped else "the value"
    if runs == 1:
        apart = numbers.change_size(PRIOR_SPREAD)
        return f"{what}, against one baseline run; runs are assumed to lie {apart} apart until more show it"
    seen = f" in {services} services" if services > 1 else ""
    return f"{what}, against how far {runs} baseline runs lie apart{seen}"


def common_move(pairs: Sequence[Pair], rule: Regression) -> Common | None:
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
