"""When a number moved: change points in the history of one SLI, run by run.

Places come from E-divisive means as published (Matteson and James, "A nonparametric approach for multiple change point
analysis of multivariate data", JASA 2014, with exponent 1). Which are real is decided as in Apache Otava, not by random
permutations, so that the same history always has the same shifts: propose loosely, then drop the weakest until each
one left is significant by Student's t-test between its neighbouring levels. Unlike there,

- the variance is that of a sample (divided by n - 1): divided by n, short levels look too sure;
- p-values are multiplied by the number of places where a shift could be (Bonferroni), because the best of them was
  chosen: ``confidence`` holds for a whole history, however long;
- a shift explains its runs better than a straight line does, else it is drift (``slo.drift``).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from statistics import fmean, geometric_mean
from typing import Final, Literal

import numpy as np
from scipy import special  # not scipy.stats: it takes a second to import

from data.samples import Floats

Scale = Literal["log", "plain"]
Better = Literal["lower", "higher"]

FEWEST: Final = 3
"""Runs that a level needs on either side of a shift: the first number in which one odd run is outvoted."""

_PROPOSED: Final = 0.05  # p-value of one cut; loose, because a true shift looks weak until its neighbours are cut off
_ROUNDING: Final = 1e-9  # differences below this share of a value are arithmetic, not measurement


@dataclass(frozen=True)
class Point:
    """The value of an SLI in one run; ``n`` is the number of requests behind a share, where it is known."""

    run_id: str
    at: datetime
    value: float
    commit: str | None = None
    version: str | None = None
    n: int | None = None


@dataclass(frozen=True)
class Level:
    """The ``n`` runs between two shifts, and their mean in the unit of the values (on a log scale, geometric)."""

    mean: float
    n: int


@dataclass(frozen=True)
class Shift:
    """The level of an SLI changed between two neighbouring runs, ``last_before`` and ``first_after``.

    ``index`` counts the usable runs in order of time. ``size`` is relative on a log scale (0.2 is 20 % more) and a
    difference in the value's unit on a plain one; ``p_value`` is corrected for all places. The commits of the two runs
    are the likeliest range, and equal where it was not the code that changed. ``near`` are the runs at which the same
    shift may have been told before, because later runs can move it by one. ``undone``: by now the level is back.
    """

    index: int
    last_before: Point
    first_after: Point
    size: float
    p_value: float
    direction: Literal["worse", "better"]
    before: Level
    after: Level
    near: tuple[str, ...]
    undone: bool


def find_shifts(
    points: Sequence[Point], *, scale: Scale = "log", better: Better = "lower", confidence: float = 0.99,
    min_size: float = 0.0,
) -> tuple[Shift, ...]:  # fmt: skip
    """Find where the level of an SLI changed, oldest first; points may come in any order.

    Latencies, sizes and throughput belong on the log scale, where a change is a ratio; shares on the plain one. A
    history of independent runs without a shift is given one with a chance of at most 1 - ``confidence``. Shifts smaller
    than ``min_size`` are left out; on a log scale a fall counts as the rise that would undo it.
    """
    history = _History.of(points, scale, 1 - confidence, math.log1p(min_size) if scale == "log" else min_size)
    cuts = list(_proposed(history, 0, len(history.points)))
    while (weakest := _weakest(history, cuts)) is not None:
        cuts.pop(weakest)
    sides = _sides(history, cuts)
    return tuple(_shift(history, before, after, sides[-1][1], better) for before, after in sides)


def open_shift(shifts: Sequence[Shift], acknowledged: Collection[str]) -> Shift | None:
    """Return the one shift to alert about: the newest for the worse that is neither acknowledged nor undone.

    ``acknowledged`` are run ids of ``first_after``. The level after such a shift is the new normal, all before is past.
    """
    for shift in reversed(shifts):
        if not set(shift.near).isdisjoint(acknowledged):
            return None
        if shift.direction == "worse" and not shift.undone:
            return shift
    return None


def usable(points: Sequence[Point], scale: Scale) -> tuple[Point, ...]:
    """Points by time. One that is not finite, or not positive on a log scale, is no measurement and is left out."""
    lowest = 0.0 if scale == "log" else -math.inf
    return tuple(sorted((one for one in points if lowest < one.value < math.inf), key=lambda one: (one.at, one.run_id)))


@dataclass(frozen=True)
class _History:
    """Points by time, their values ``x`` on the working scale around 0, and what is rounding, sure and large there."""

    points: tuple[Point, ...]
    scale: Scale
    x: Floats
    rounding: float
    alpha: float
    least: float

    @classmethod
    def of(cls, points: Sequence[Point], scale: Scale, alpha: float, least: float) -> _History:
        runs = usable(points, scale)
        values = np.array([one.value for one in runs], dtype=float)
        x, largest = (np.log(values), 1.0) if scale == "log" else (values, float(np.abs(values).max(initial=0.0)))
        return cls(runs, scale, x - np.median(x) if runs else x, _ROUNDING * largest, alpha, least)

    def rise(self, left: slice, right: slice) -> float:
        return float(self.x[right].mean() - self.x[left].mean())

    def p_value(self, left: slice, right: slice, *, anywhere: bool = False) -> float:
        """Chance of two levels this different where there is one; with ``anywhere``, at the best of all places.

        Shares are also judged by counts: near 0 a few failures in neighbouring runs look like a level to a t-test.
        """
        places = len(self.points) - 2 * FEWEST + 1 if anywhere else 1
        by_spread = _t_test(self.x[left], self.x[right], self.rounding)
        return min(1.0, places * max(by_spread, _exact(self.points[left], self.points[right])))

    def level(self, runs: slice) -> Level:
        mean = geometric_mean if self.scale == "log" else fmean
        return Level(mean([one.value for one in self.points[runs]]), runs.stop - runs.start)


def _proposed(history: _History, start: int, stop: int) -> Iterator[int]:
    """Cut a stretch where its parts differ most, and its parts again, for as long as the parts differ at all."""
    if stop - start < 2 * FEWEST:
        return
    cut, end = (start + offset for offset in _farthest(history.x[start:stop]))
    if _t_test(history.x[start:cut], history.x[cut:end], history.rounding) < _PROPOSED:
        yield from _proposed(history, start, cut)
        yield cut
        yield from _proposed(history, cut, stop)


def _farthest(x: Floats) -> tuple[int, int]:
    """Return the cut, and where to end the part after it, with the largest scaled energy distance between the parts."""
    n = len(x)
    total = np.zeros((n + 1, n + 1))
    total[1:, 1:] = np.abs(x[:, None] - x[None, :]).cumsum(axis=0).cumsum(axis=1)
    own = np.diagonal(total)
    cut, end = np.arange(FEWEST, n - FEWEST + 1)[:, None], np.arange(2 * FEWEST, n + 1)[None, :]
    before, after = cut, np.maximum(end - cut, FEWEST)
    across = (total[cut, end] - own[cut]) / (before * after)
    within = own[cut] / (before * (before - 1)) + (own[end] - 2 * total[cut, end] + own[cut]) / (after * (after - 1))
    energy = np.where(end - cut < FEWEST, -np.inf, before * after / (before + after) * (2 * across - within))
    # The first of equals, whatever the last digit says: a change of unit must not move a shift.
    row, column = np.argwhere(energy >= energy.max() - _ROUNDING * abs(energy.max()))[0]
    return int(cut[row, 0]), int(end[0, column])


def _weakest(history: _History, cuts: Sequence[int]) -> int | None:
    """Return the position of the cut to drop next: not sure, part of a slope, or too small; ``None``: all stand."""
    sides = _sides(history, cuts)
    sizes = [abs(history.rise(*side)) for side in sides]
    p_values = [history.p_value(*side, anywhere=True) for side in sides]
    if doubtful := [i for i, p in enumerate(p_values) if p > history.alpha] or _slope(history, cuts):
        return max(doubtful, key=p_values.__getitem__)
    return sizes.index(min(sizes)) if sizes and min(sizes) < history.least else None


def _slope(history: _History, cuts: Sequence[int]) -> list[int]:
    """Return the positions of cuts in a row, all up or all down, that a straight line explains better than steps do."""
    ends, rises = [0, *cuts, len(history.points)], [history.rise(*side) > 0 for side in _sides(history, cuts)]
    for _, group in groupby(range(len(cuts)), key=rises.__getitem__):
        steps = list(group)
        levels = [history.x[a:b] for a, b in pairwise(ends[steps[0] : steps[-1] + 3])]
        x = np.concatenate(levels)
        noise = len(x) * history.rounding**2
        line = _squares(x) * max(0.0, 1 - float(np.corrcoef(np.arange(len(x)), x)[0, 1]) ** 2) + noise
        # Schwarz's criterion (1978): a line has two parameters, k steps have k + 1 levels and k places.
        if len(x) * math.log(line / (sum(map(_squares, levels)) + noise)) < (2 * len(steps) - 1) * math.log(len(x)):
            return steps
    return []


def _shift(history: _History, before: slice, after: slice, now: slice, better: Better) -> Shift:
    rise = history.rise(before, after)
    left = history.rise(before, now) * math.copysign(1, rise)
    return Shift(
        index=after.start,
        last_before=history.points[after.start - 1],
        first_after=history.points[after.start],
        size=math.expm1(rise) if history.scale == "log" else rise,
        p_value=history.p_value(before, after, anywhere=True),
        direction="worse" if (rise > 0) == (better == "lower") else "better",
        before=history.level(before),
        after=history.level(after),
        near=tuple(one.run_id for one in history.points[after.start - 1 : after.start + 2]),
        undone=now != after and (left <= 0 or left < history.least or history.p_value(before, now) > history.alpha),
    )


def _sides(history: _History, cuts: Sequence[int]) -> list[tuple[slice, slice]]:
    return list(pairwise(slice(a, b) for a, b in pairwise([0, *cuts, len(history.points)])))


def _t_test(left: Floats, right: Floats, rounding: float) -> float:
    """Two-sided p-value of Student's t-test with pooled sample variance; no spread is smaller than rounding."""
    freedom = len(left) + len(right) - 2
    spread = max(math.sqrt((_squares(left) + _squares(right)) / freedom), rounding)
    error = spread * math.sqrt(1 / len(left) + 1 / len(right))
    return float(2 * special.stdtr(freedom, -abs(right.mean() - left.mean()) / error)) if error else 1.0


def _exact(left: Sequence[Point], right: Sequence[Point]) -> float:
    """Two-sided p-value of two shares: hits on the right, of all hits, are binomial (Przyborowski and Wilenski 1940).

    Hits are what is rarer, true or false. 0, so without a say, where some number of requests is not known.
    """
    sizes = np.array([one.n or 0 for one in (*left, *right)])
    if not sizes.all():
        return 0.0
    hits = np.rint([one.value for one in (*left, *right)] * sizes)
    hits = sizes - hits if 2 * hits.sum() > sizes.sum() else hits
    total, there, share = int(hits.sum()), int(hits[len(left) :].sum()), sizes[len(left) :].sum() / sizes.sum()
    return min(1.0, 2 * float(min(special.bdtr(there, total, share), special.bdtrc(there - 1, total, share))))


def _squares(x: Floats) -> float:
    return float(((x - x.mean()) ** 2).sum())
