"""How sure a number is: 95 % intervals of rates, percentiles and means that do not take requests for independent.

Requests of one run hang together (a pause slows all that are in flight), so the run is cut into equal spans of time and
the spread between spans tells how many independent requests the run is worth: Kish's effective sample size, from the
ratio estimator's variance over clusters (Cochran, Sampling Techniques, 1977, 11.9; Korn and Graubard 1998 use it so for
proportions). With it,

- a rate has the Jeffreys interval (Brown, Cai and DasGupta 2001), which stays honest near 0 and 1;
- a percentile has Woodruff's interval (1952): the Clopper-Pearson interval of the share of samples below it, read back
  as order statistics, outwards;
- a mean has Student's t over the spans.

The variance between spans is itself an estimate, so the effective size shrinks by the square of normal over Student's t
(Korn and Graubard). A run with too few spans to see the spread has no interval: nothing is proven by it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scipy import special  # not scipy.stats: it takes a second to import

if TYPE_CHECKING:
    from data.samples import Floats

CONFIDENCE = 0.95
FEWEST_SPANS = 5
"""Spans of time from which on their spread is worth something."""


def minimum_samples(percentile: float, confidence: float = CONFIDENCE) -> int:
    """Samples from which on the largest exceeds the percentile with this confidence: p95 59, p99 299, p99.9 2995."""
    return math.ceil(math.log(1 - confidence) / math.log(percentile)) if 0 < percentile < 1 else 1


def design_effect(n: Floats, hits: Floats) -> float | None:
    """How many times as much the ``hits`` vary between spans of ``n`` samples as if samples were independent.

    At least 1, and 1 where nothing or everything is a hit; ``None`` for too few spans to tell.
    """
    if len(n) < FEWEST_SPANS:
        return None
    share = hits.sum() / n.sum()
    if share in {0, 1}:
        return 1.0
    between = ((hits - share * n) ** 2).sum() * len(n) / (len(n) - 1)
    return max(1.0, float(between / (n.sum() * share * (1 - share))))


def effective_size(n: Floats, hits: Floats) -> float:
    """How many independent samples the spans are worth, to estimate their share of hits; at most their number.

    0 for too few spans to tell.
    """
    effect = design_effect(n, hits)
    if effect is None:
        return 0.0
    if hits.sum() in {0, n.sum()}:
        return float(n.sum())
    doubt = (special.ndtri(0.975) / special.stdtrit(len(n) - 1, 0.975)) ** 2
    return float(n.sum() * doubt / effect)


def share_interval(hits: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Jeffreys interval of ``hits`` in ``n``; closed at 0 and 1 where nothing or everything is a hit."""
    tail = (1 - confidence) / 2
    low = 0.0 if hits <= 0 else float(special.betaincinv(hits + 0.5, n - hits + 0.5, tail))
    high = 1.0 if hits >= n else float(special.betaincinv(hits + 0.5, n - hits + 0.5, 1 - tail))
    return low, high


def percentile_levels(percentile: float, size: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Which percentiles of ``n`` samples, worth ``size`` independent ones, bound a percentile: order statistics."""
    tail, hits = (1 - confidence) / 2, percentile * size
    low = float(special.betaincinv(hits, size - hits + 1, tail))
    high = float(special.betaincinv(hits + 1, size - hits, 1 - tail))
    return math.floor(low * (n - 1)) / max(1, n - 1), math.ceil(high * (n - 1)) / max(1, n - 1)


def mean_interval(n: Floats, sums: Floats, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Interval of the mean of all samples, from the spread of the spans around it; ``None`` for too few spans."""
    if len(n) < FEWEST_SPANS:
        return None
    mean = float(sums.sum() / n.sum())
    between = float(((sums - mean * n) ** 2).sum()) * len(n) / (len(n) - 1)
    half = float(special.stdtrit(len(n) - 1, (1 + confidence) / 2)) * math.sqrt(between) / float(n.sum())
    return mean - half, mean + half
