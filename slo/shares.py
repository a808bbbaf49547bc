"""How surely a share changed: counts of failures or checks, as far as requests are independent.

They are Beta posteriors with Jeffreys's prior, on effective counts: hits over how much more
they vary than independent requests would, from span to span or from run to run, whichever is more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from data.samples import Floats
from slo import numbers
from slo.intervals import share_interval
from slo.pairs import HALVINGS, INTERVAL, NODES, POWER, Proof, there
from slo.profile import PRIOR_RUNS, PRIOR_SPREAD, agreement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slo.pairs import Pair
    from slo.plan import Regression
    from slo.profile import Profile

LEAST_SHARE = 0.0025
"""A quarter of the usual target (failures < 1 %) is the smallest change of a share that matters."""

_WEIGHT = 0.1  # evidence on counts has to be ten times as strong: a handful of requests decides, and they cluster
_TOLD = 1.5  # clusters that are worth a word
_CLUSTER = 2.0  # failures are taken to come in pairs until the baseline shows how they come


def _hits(one: Profile) -> float:
    return one.numbers[0] if one.numbers else one.value * one.n


def shares(pairs: Sequence[Pair], rule: Regression) -> list[Proof]:
    """How far apart the hits of runs lie, over what independent requests do, is seen of each service.

    And drawn to the median service by as much as services agree (as :func:`slo.profile.spread` does): one whose
    failures come in bursts must not hide those of others.
    """
    seen = [_dispersion(there(pair.baseline)) for pair in pairs]
    squares, freedom = (np.array(column) for column in zip(*seen, strict=True))
    telling = freedom >= 1
    weight = min(agreement(squares, np.where(telling, freedom, 0.0)), float(freedom.sum()))
    pool = float(np.median(squares[telling] / freedom[telling])) if telling.any() else 1.0
    return [
        _share(pair, weight * pool + own, weight + worth, rule)
        for pair, own, worth in zip(pairs, squares, freedom, strict=True)
    ]


def _dispersion(before: Sequence[Profile]) -> tuple[float, float]:
    """Pearson's statistic of a service's baseline, and its degrees of freedom.

    A few hits say little about it: the variance of the statistic, 2 + 1 / hits, tells how much (McCullagh, Nelder).
    """
    n = np.array([one.n for one in before], dtype=float)
    hits = np.array([_hits(one) for one in before])
    share = float(hits.sum() / n.sum())
    if not 0 < share < 1:
        return 0.0, 0.0
    rare = min(share, 1 - share) * float(n.mean())
    worth = 2 * rare / (2 * rare + 1)
    squares = worth * float(((hits - share * n) ** 2 / (n * share * (1 - share))).sum())
    return squares, worth * (len(before) - 1)


def _share(pair: Pair, squares: float, freedom: float, rule: Regression) -> Proof:
    sides = there(pair.current), there(pair.baseline)
    hits = [sum(_hits(one) for one in side) for side in sides]
    counts = [sum(one.n for one in side) for side in sides]
    now, before = (h / n for h, n in zip(hits, counts, strict=True))
    rare = min(before, 1 - before)
    expected = _CLUSTER + PRIOR_SPREAD**2 * counts[0] / len(sides[0]) * rare / (1 - rare)
    cluster = (PRIOR_RUNS * expected + squares) / (PRIOR_RUNS + freedom)
    seen = (float(np.mean([one.numbers[1] if one.numbers else 1.0 for one in side])) for side in sides)
    effect = [max(1.0, cluster, one) for one in seen]
    size, size_before = (n / e for n, e in zip(counts, effect, strict=True))
    posterior = special.betaincinv(before * size_before + 0.5, (1 - before) * size_before + 0.5, NODES)
    low, high = share_interval(now * size, size, INTERVAL)
    low0, high0 = share_interval(before * size_before, size_before, INTERVAL)
    change = now - before
    least = max(LEAST_SHARE, rule.min_change_ratio * rare)
    reach = _ShareReach(posterior, before, size, least, pair.higher_is_worse)
    p = reach.not_above(now) if pair.higher_is_worse else 1 - reach.not_above(now)
    sd = math.sqrt(effect[1] * max(before * (1 - before), 0.25 / counts[1]) * len(sides[0]) / counts[0])
    return Proof(
        value=now, baseline=before, change=change,
        # Newcombe's square-and-add (1998): honest where one share is 0.
        ci=(change - math.hypot(now - low, high0 - before), change + math.hypot(high - now, before - low0)),
        noise=abs(change) / sd, worse=p, better=1 - p, least=least, up=pair.higher_is_worse, weight=_WEIGHT,
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
        for _ in range(HALVINGS):
            middle = (near + far) / 2
            p = self.not_above(start + middle) if self.up else 1 - self.not_above(1 - start - middle)
            near, far = (near, middle) if p <= level else (middle, far)
        hits = min(1.0, start + max(far, self.least)) * self.size
        return (float(special.betaincinv(hits, self.size - hits + 1, POWER)) if hits < self.size else 1.0) - start
