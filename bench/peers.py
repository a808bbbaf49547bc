"""The rules by which other tools call a run slower, written from what they publish; and how rules are scored.

Each takes one service's latencies and answers whether it would raise an alarm at its defaults, and a score that grows
with its suspicion, so that all can be compared at equal false alarms.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from data.samples import Floats


@dataclass(frozen=True)
class Case:
    """One service of one run. ``history`` are the p95 of the baseline's runs, oldest first; all in ms.

    ``before`` and ``requests`` are the single requests of the run before and of this one.
    """

    history: tuple[float, ...]
    now: float
    before: Floats
    requests: Floats


Rule = Callable[[Case], tuple[bool, float]]
Outcome = tuple[float, bool, float]
"""The true size of a change (1: none), whether there was an alarm, and the rule's score."""


def keptn(runs: int) -> Rule:
    """Keptn v1: p95 at most 10 % above the average of the last results (``<=+10%``, several_results)."""

    def judge(case: Case) -> tuple[bool, float]:
        ratio = case.now / float(np.mean(case.history[-runs:]))
        return ratio > 1.1, ratio  # noqa: PLR2004  # as published

    return judge


def lysiro(case: Case) -> tuple[bool, float]:
    """Lysiro 0.1.0: nearest-rank p95, whole milliseconds, at least 10 % above the run before; 30 samples each."""
    now, before = (_nearest_rank(times) for times in (case.requests, case.before))
    ratio = now / before if before else math.inf
    return ratio >= 1.1 and min(len(case.requests), len(case.before)) >= 30, ratio  # noqa: PLR2004  # as published


def _nearest_rank(times: Floats) -> int:
    return round(float(np.sort(times)[math.ceil(0.95 * len(times)) - 1]))


def bencher(case: Case) -> tuple[bool, float]:
    """Bencher's default: above the upper limit of Student's t prediction interval, 0.99, of the history."""
    n = len(case.history)
    deviation = float(np.std(case.history, ddof=1)) * math.sqrt(1 + 1 / n)
    t = (case.now - float(np.mean(case.history))) / deviation
    return t > float(special.stdtrit(n - 1, 0.99)), t


def kayenta(case: Case) -> tuple[bool, float]:
    """Kayenta: Mann-Whitney on the requests of two runs, 98 %; the interval of the shift lies above a quarter of it."""
    now, before = case.requests, case.before
    n, m = len(now), len(before)
    differences = np.subtract.outer(now, before).ravel()
    margin = float(special.ndtri(0.99)) * math.sqrt(n * m * (n + m + 1) / 12)
    at = max(0, math.floor(n * m / 2 - margin))
    middle = len(differences) // 2
    ordered = np.partition(differences, (at, middle))
    low, shift = float(ordered[at]), float(ordered[middle])
    above = float((differences > 0).mean()) - 0.5
    return low > 0.25 * abs(shift), above * math.sqrt(12 * n * m / (n + m + 1))


def asv(case: Case) -> tuple[bool, float]:
    """Asv's step detection: the last level of the series lies 5 % above the best level before.

    Levels are medians, at least two results long, fitted by the least absolute error with a penalty per step chosen by
    the information criterion of ``step_detect.py`` (4 log(n) / n). So a single run never makes a step of its own.
    """
    series = np.array([*case.history, case.now])
    levels = _steps(series)
    best = min(levels[:-1], default=levels[-1])
    return levels[-1] > 1.05 * best, levels[-1] / best - 1 + 1e-6 * case.now / float(np.mean(case.history))


def _steps(series: Floats, shortest: int = 2) -> list[float]:
    """The levels, in order, of the best fit for every number of steps; the best of those by the criterion."""
    n = len(series)
    cost = {
        (i, j): float(np.abs(series[i:j] - np.median(series[i:j])).sum())
        for i in range(n)
        for j in range(i + shortest, n + 1)
    }
    best: dict[int, tuple[float, list[int]]] = {j: (cost[0, j], [0]) for j in range(shortest, n + 1)}
    fits = [best[n]]
    while True:
        longer: dict[int, tuple[float, list[int]]] = {}
        for j in range(shortest, n + 1):
            ways = [(best[i][0] + cost[i, j], [*best[i][1], i]) for i in best if (i, j) in cost]
            if ways:
                longer[j] = min(ways)
        if n not in longer:
            break
        best = longer
        fits.append(best[n])
    penalty = 4 * math.log(n) / n
    floor = 1e-12 * float(np.abs(series).sum())
    _, starts = min(fits, key=lambda fit: penalty * (len(fit[1]) - 1) + math.log(fit[0] + floor))
    return [float(np.median(series[a:b])) for a, b in zip(starts, [*starts[1:], n], strict=True)]


def otava(case: Case) -> tuple[bool, float]:
    """Apache Otava: E-divisive names the split, a pooled t-test at 0.001 accepts it; here, one just before this run.

    As published, deviations are divided by n and tested as if by n - 1 (so p is too small for short segments).
    """
    series = np.array([*case.history, case.now])
    split = _e_divisive(series)
    left, right = series[:-1], series[-1:]
    freedom = len(series) - 2
    pooled = ((len(left) - 1) * left.var() + (len(right) - 1) * right.var()) / freedom
    t = float(right.mean() - left.mean()) / math.sqrt(pooled * (1 / len(left) + 1 / len(right)))
    p = 2 * float(special.stdtr(freedom, -abs(t)))
    return split == len(left) and t > 0 and p < 0.001, t  # noqa: PLR2004  # as published


def _e_divisive(series: Floats) -> int:
    """Where the energy distance between left and right is largest (Matteson and James 2014, power 1)."""
    n = len(series)
    distance = np.abs(np.subtract.outer(series, series))

    def energy(at: int) -> float:
        between = distance[:at, at:].mean()
        within = (
            distance[:at, :at].sum() / max(1, at * (at - 1)),
            distance[at:, at:].sum() / max(1, (n - at) * (n - at - 1)),
        )
        return float((2 * between - sum(within)) * at * (n - at) / n)

    return max(range(1, n), key=energy)


PEERS: dict[str, Rule] = {
    "Keptn, average of 3, +10 %": keptn(3),
    "Keptn, average of 10, +10 %": keptn(10),
    "lysiro, previous run +10 %": lysiro,
    "Bencher, t-test 0.99": bencher,
    "Kayenta, Mann-Whitney": kayenta,
    "asv, step detection": asv,
    "Otava, E-divisive and t": otava,
}


def by_size(outcomes: Sequence[Outcome]) -> dict[str, tuple[int, int]]:
    """Alarms and comparisons by true size."""
    counted: dict[str, list[bool]] = defaultdict(list)
    for size, alarm, _ in sorted(outcomes):
        counted[f"{size:g}"].append(alarm)
    return {size: (sum(alarms), len(alarms)) for size, alarms in counted.items()}


def at_equal_alarms(outcomes: Sequence[Outcome], allowed: float) -> dict[str, float]:
    """Share found by size at the score that gives at most this share of false alarms."""
    calm = sorted((score for size, _, score in outcomes if size == 1), reverse=True)
    limit = calm[int(allowed * len(calm))] if calm else 0.0
    sizes = sorted({size for size, _, _ in outcomes if size != 1})
    return {
        f"{size:g}": float(np.mean([score > limit for other, _, score in outcomes if other == size])) for size in sizes
    }
