"""What is kept of an SLI of a run so that later runs can be compared with it, and how far such runs lie apart.

Of latencies and other trends these are percentiles, and how sure the run itself is of them: requests of one run hang
together, so the doubt is seen from the spread between spans of time, never from their number. A percentile's doubt is
the doubt of the share of samples below it, over the density there (Bahadur 1966; Woodruff 1952 for clusters). Of shares
it is the hits, and how much more they vary from span to span than independent requests would (the design effect).

Runs of one version lie further apart than that. :func:`spread` estimates by how much, from the runs of a baseline:
pooled over services, and each service shrunk towards the pool by as much as services agree (Smyth 2004, limma).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import special

from slo.intervals import FEWEST_SPANS, design_effect

if TYPE_CHECKING:
    from data.catalog import StoredMeasurement
    from data.samples import Distribution, Floats
    from slo.sli import Sli

Kind = Literal["trend", "share", "number"]

LEVELS = (0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99)
"""Percentiles kept of every trend; dense where latencies are promised."""

_HEAVIER = 15
_FEWEST = 20  # samples under which a distribution's shape is not worth keeping
_MEAN = 0.95  # up to this level a mean is looked at beside itself
_FEWEST_SERVICES = 4  # from which on one sees what services have in common: three others, and their median

PRIOR_SPREAD = 0.05
"""How far runs are taken to lie apart before any has shown it (standard deviation of the logarithm, beside what a run
sees of itself): what CI machines and virtual servers usually do, from 2 to 10 % (Laaber, Scheuner and Leitner 2019)."""

PRIOR_RUNS = 4.0
"""What that is worth, in degrees of freedom: so few that 3 % and 14 % are both within its 95 %."""


@dataclass(frozen=True)
class Profile:
    """One SLI of one run, as compared. ``value`` is in the SLI's unit, ``n`` its samples (0: a summary's number).

    ``numbers`` of a trend are its percentiles at :data:`LEVELS`, then the mean logarithm of its :func:`body`, and the
    variances that the run itself sees of the logarithm of ``value`` and of that mean; of a share its hits and design
    effect (at least 1). They are empty where the samples cannot tell. JSON: these four fields.
    """

    kind: Kind
    value: float
    n: int
    numbers: tuple[float, ...] = ()


def profile_of(sli: Sli, found: StoredMeasurement, distribution: Distribution | None) -> Profile | None:
    """The profile of an SLI as measured; ``None`` without a value, or where too few samples or something else spoil it.

    ``distribution`` is of its samples, at :data:`LEVELS` and the SLI's own percentile; ``None`` where there are none.
    """
    if found.value is None or found.problem is not None:
        return None
    numbers: tuple[float, ...] = ()
    kind: Kind = "number"
    if found.unit == "ratio":
        effect = design_effect(distribution.n, distribution.nonzero) if distribution else None
        kind, numbers = "share", (float(found.count or 0), effect or 1.0)
    elif sli.percentile is not None or sli.stat == "avg":
        kind, numbers = "trend", () if distribution is None else shape(sli.percentile, found.value, distribution)
    return Profile(kind, found.value, found.n, numbers)


def to_text(profile: Profile | None) -> str | None:
    """A profile as it is kept."""
    return None if profile is None else json.dumps(asdict(profile))


@lru_cache(maxsize=20_000)
def from_text(text: str) -> Profile:
    """A kept profile; a baseline's are read again and again while runs are held against each other."""
    kept = json.loads(text)
    return Profile(kept["kind"], kept["value"], kept["n"], tuple(kept["numbers"]))


def body(sli_percentile: float | None) -> tuple[int, ...]:
    """Which of :data:`LEVELS` move with a percentile: those up to it whose tail is at most fifteen times as heavy.

    A p(95) is judged with everything from the lower quartile up, a p(99) with its slowest seventh: near enough to share
    its fate, wide enough to be less noisy than one order statistic. A mean (``None``) goes with all but the far tail.
    """
    top = _MEAN if sli_percentile is None else sli_percentile
    low = 0.0 if sli_percentile is None else 1 - _HEAVIER * (1 - sli_percentile)
    slack = 1e-9
    return tuple(i for i, level in enumerate(LEVELS) if low - slack <= level <= top + slack) or (0,)


def shape(percentile: float | None, value: float, seen: Distribution) -> tuple[float, ...]:
    """The ``numbers`` of a trend, empty where its samples cannot tell.

    ``percentile`` is the SLI's (``None``: a mean).
    """
    if not len(seen.quantiles) or seen.quantiles[0] <= 0 or value <= 0:
        return ()
    n, total, spans = seen.n, seen.n.sum(), len(seen.n)
    if total < _FEWEST or spans < FEWEST_SPANS:
        return ()
    levels = np.array(seen.levels)
    z = special.ndtri(levels)
    # d log(quantile) / d level; what a span adds to the logarithm of each percentile when too few samples lie below it.
    slope = np.gradient(np.log(seen.quantiles), z) * np.sqrt(2 * np.pi) * np.exp(z**2 / 2)
    pushes = (levels * n[:, None] - seen.below) * slope / total
    place = [seen.levels.index(level) for level in LEVELS]
    near = [place[i] for i in body(percentile)]
    mean = (seen.sums - value * n) / (total * value)
    own = mean if percentile is None else pushes[:, seen.levels.index(percentile)]
    doubts = [float((pushed**2).sum()) * spans / (spans - 1) for pushed in (own, pushes[:, near].mean(axis=1))]
    return (*map(float, seen.quantiles[place]), float(np.log(seen.quantiles[near]).mean()), *doubts)


def spread(squares: Floats, freedom: Floats, within: Floats) -> tuple[Floats, Floats]:
    """Variance from run to run of each service, and the degrees of freedom that it is worth.

    ``squares`` are sums of squares around each service's own mean, with ``freedom`` degrees of freedom; ``within`` is
    the variance that runs see of themselves. Without any freedom the prior alone speaks.
    """
    most = PRIOR_RUNS + float(freedom.sum())
    pool = (PRIOR_RUNS * (PRIOR_SPREAD**2 + within) + squares.sum()) / most
    weight = max(PRIOR_RUNS, agreement(squares, freedom))
    if np.isinf(weight):
        return pool, np.full(len(freedom), most)
    return (weight * pool + squares) / (weight + freedom), np.minimum(weight + freedom, most)


def agreement(squares: Floats, freedom: Floats) -> float:
    """Degrees of freedom that the pool is worth to one service: limma's moment estimator; infinite where all agree."""
    seen = (freedom > 0) & (squares > 0)
    if seen.sum() < _FEWEST_SERVICES:
        return 0.0
    half = freedom[seen] / 2
    logs = np.log(squares[seen]) - np.log(half) - special.digamma(half)
    excess = float(logs.var(ddof=1) - special.polygamma(1, half).mean())
    return 2 * _trigamma_inverse(excess) if excess > 0 else float("inf")


def _trigamma_inverse(x: float) -> float:
    """Newton's method on 1 / trigamma, which is nearly linear (Smyth 2004, appendix)."""
    y = 0.5 + 1 / x
    for _ in range(8):
        here = float(special.polygamma(1, y))
        y += here * (1 - here / x) / float(special.polygamma(2, y))
    return y


def of_others(moves: Floats) -> Floats:
    """What the other services did in the same run: their median. ``moves`` and answer are (services, runs).

    0 where fewer than three others are known. Half of them may have changed without being believed.
    """
    if len(moves) < _FEWEST_SERVICES:
        return np.zeros_like(moves)
    rest = np.sort([np.delete(moves, row, axis=0) for row in range(len(moves))], axis=1)  # what is not known comes last
    known = (~np.isnan(rest)).sum(axis=1)
    low, high = (np.take_along_axis(rest, at[:, None], axis=1)[:, 0] for at in ((known - 1) // 2, known // 2))
    return np.where(known >= _FEWEST_SERVICES - 1, (low + high) / 2, 0.0)
