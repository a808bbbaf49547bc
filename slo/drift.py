"""What creeps and what wavers below the alarms: slow drift towards a target, and objectives that flip without a change.

Drift is the slope of Theil and Sen (Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 1968):
the median of the slopes between all pairs of runs, which a quarter of odd runs cannot pull away, and its interval from
the same slopes in order. Runs that follow one another are alike (the same machine, the same week) and would show trends
where there are none; the interval is widened by how alike they are (Yue and Wang, "The Mann-Kendall test modified by
effective sample size to detect trend in serially correlated hydrological series", 2004).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

import numpy as np
from scipy import special  # not scipy.stats: it takes a second to import

from data.samples import Floats
from slo.shifts import FEWEST, Point, Scale, Shift, usable
from slo.target import Target

FEWEST_OF_A_TREND: Final = 10
"""Runs from which on Kendall's statistic is taken for normal; with fewer it needs tables (Gilbert 1987)."""

FEWEST_OF_A_FLIP: Final = 2 * FEWEST
"""Judged runs from which on a flip can be called flaky: with fewer no shift could have been seen between them."""

_ROUNDING: Final = 1e-18  # the share of a spread, squared, that is left by arithmetic where a line fits perfectly
_CERTAIN: Final = 2  # returns that no change of code explains away
_DAY: Final = timedelta(days=1)
_SHORTEST: Final = _DAY  # a slope per day needs a day
_FARTHEST_DAYS: Final = 365.0  # a line carried further is no forecast


@dataclass(frozen=True)
class Drift:
    """The slow trend of an SLI over its last ``n`` runs, which span ``days``.

    ``slope_per_day`` and its ``interval`` are relative per day on a log scale (0.01 is 1 % more every day) and in the
    value's unit on a plain one; no ``interval`` where the runs are too alike to bound the slope. ``proven``: it
    leaves 0 out. ``headroom`` is the share of the target that is left on the trend line at the last run, negative where
    it is missed; ``None`` for a target of 0. ``breach_at`` is when the line reaches the target, earliest and latest by
    the ends of the interval: the trend, not a single unlucky run. All three are ``None`` unless a proven trend leads
    there, and each of them where it is over a year away.
    """

    slope_per_day: float
    interval: tuple[float, float] | None
    proven: bool
    headroom: float | None
    breach_at: datetime | None
    breach_earliest: datetime | None
    breach_latest: datetime | None
    n: int
    days: float


@dataclass(frozen=True)
class Judged:
    """The state of an objective in one run. Leave out runs where it could not be judged."""

    run_id: str
    at: datetime
    passed: bool
    commit: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Return:
    """An objective changed its state and came back: runs ``before`` and ``after``, and the ``odd`` ones between.

    ``explained``: the code changed at both ends, as by a bug and its fix.
    """

    before: str
    odd: tuple[str, ...]
    after: str
    explained: bool


@dataclass(frozen=True)
class Flaky:
    """An objective that flips without a change: its returns, oldest first, and how many of ``n`` judged runs failed."""

    returns: tuple[Return, ...]
    n: int
    failed: int


def find_drift(
    points: Sequence[Point], target: Target, *, scale: Scale = "log", since: Shift | None = None,
    confidence: float = 0.99,
) -> Drift | None:  # fmt: skip
    """Measure the trend of an SLI since its last shift, in the target's unit, and when it will reach the target.

    ``None`` where nothing can be said: fewer than `FEWEST_OF_A_TREND` runs or less than a day since the shift, or a
    target that is neither an upper nor a lower one. What `shifts.usable` leaves out is left out here as well.
    """
    runs = [one for one in usable(points, scale) if since is None or one.at >= since.first_after.at]
    if len(runs) < FEWEST_OF_A_TREND or not (target.upper or target.lower):
        return None
    last, span = runs[-1].at, runs[-1].at - runs[0].at
    values = np.array([one.value for one in runs])
    t = np.array([(one.at - last) / _DAY for one in runs])
    if span < _SHORTEST:
        return None
    line = _Line.through(t, np.log(values) if scale == "log" else values, confidence)

    def told(slope: float) -> float:
        return math.expm1(slope) if scale == "log" else slope

    now = line.at_end(line.slope)
    level = math.exp(now) if scale == "log" else now
    breach: list[datetime | None] = [None, None, None]
    if line.proven and (line.slope > 0) == target.upper and target.holds(level):
        breach = [_date(last, ahead) for ahead in line.days_to(_on(scale, target.threshold))]
    return Drift(
        slope_per_day=told(line.slope),
        interval=(told(line.ends[0]), told(line.ends[1])) if line.ends else None,
        proven=line.proven,
        headroom=target.margin(level),
        breach_at=breach[1],
        breach_earliest=breach[0],
        breach_latest=breach[2],
        n=len(runs),
        days=span / _DAY,
    )


def find_flaky(results: Sequence[Judged], changes: Sequence[Shift] = ()) -> Flaky | None:
    """Say whether an objective flips without a change, and in which runs; results may come in any order.

    Flaky is what shows "both a passing and a failing result with the same code" (Google Testing Blog, "Where do our
    flaky tests come from?", 2017). Of a measured objective that takes a return, pass-fail-pass (fail-pass-fail where
    failing is the rule), with no shift of its SLI from the run before to the run after: what got slower and stayed so
    has changed. One return is enough, unless the code changed at both of its ends; then it takes two.
    """
    runs = sorted(results, key=lambda one: (one.at, one.run_id))
    failed = sum(not one.passed for one in runs)
    rare = 2 * failed > len(runs)  # the rarer state; a failure where both are as frequent
    stretches = [list(group) for _, group in groupby(runs, key=lambda one: one.passed)]
    returns = tuple(
        _return(before[-1], odd, after[0])
        for before, odd, after in zip(stretches, stretches[1:], stretches[2:], strict=False)
        if odd[0].passed == rare and not any(before[-1].at < change.first_after.at <= after[0].at for change in changes)
    )
    if len(runs) < FEWEST_OF_A_FLIP or (len(returns) < _CERTAIN and all(one.explained for one in returns)):
        return None
    return Flaky(returns, len(runs), failed)


@dataclass(frozen=True)
class _Line:
    """A trend through values ``x`` at days ``t`` before the last run: its slope, and the ends of its interval."""

    t: Floats
    x: Floats
    slope: float
    ends: tuple[float, float] | None

    @classmethod
    def through(cls, t: Floats, x: Floats, confidence: float) -> _Line:
        """Fit runs at two times at least."""
        i, j = np.triu_indices(len(t), 1)
        apart = t[j] > t[i]
        slopes = np.sort((x[j] - x[i])[apart] / (t[j] - t[i])[apart])
        slope = float(np.median(slopes))
        width = float(special.ndtri((1 + confidence) / 2)) * math.sqrt(
            _kendall_variance(t) * _alikeness(x, x - slope * t)
        )
        low, high = math.floor((len(slopes) - width) / 2) - 1, math.ceil((len(slopes) + width) / 2)
        return cls(t, x, slope, (float(slopes[low]), float(slopes[high])) if low >= 0 else None)

    @property
    def proven(self) -> bool:
        return self.ends is not None and self.ends[0] * self.ends[1] > 0

    def at_end(self, slope: float) -> float:
        """Where a line of this slope through the middle of the runs is at the last one."""
        return float(np.median(self.x - slope * self.t))

    def days_to(self, goal: float) -> list[float]:
        """Days from the last run until the line is at the goal: at the earliest, by its slope, and at the latest."""
        middle, *ends = (max(0.0, (goal - self.at_end(slope)) / slope) for slope in (self.slope, *(self.ends or ())))
        return [min(middle, *ends), middle, max(middle, *ends)]


def _kendall_variance(t: Floats) -> float:
    """Variance of Kendall's statistic without a trend, less what runs at the same time cannot add (Sen 1968)."""
    ties = np.unique(t, return_counts=True)[1]
    return float(len(t) * (len(t) - 1) * (2 * len(t) + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18


def _alikeness(x: Floats, residuals: Floats) -> float:
    """How many runs stand for one independent run, from the correlation of neighbours; never less than 1."""
    around = residuals - residuals.mean()
    squares = float(around @ around)
    if squares <= _ROUNDING * float(((x - x.mean()) ** 2).sum()):
        return 1.0
    neighbours = float(around[1:] @ around[:-1]) / squares
    return (1 + neighbours) / (1 - neighbours) if neighbours > 0 else 1.0


def _date(start: datetime, days: float) -> datetime | None:
    return start + days * _DAY if days <= _FARTHEST_DAYS else None


def _on(scale: Scale, value: float) -> float:
    """A value on the working scale; nothing positive ever falls to 0 on a log scale."""
    if scale == "plain":
        return value
    return math.log(value) if value > 0 else -math.inf


def _return(before: Judged, odd: Sequence[Judged], after: Judged) -> Return:
    explained = _code_changed(before, odd[0]) and _code_changed(odd[-1], after)
    return Return(before.run_id, tuple(one.run_id for one in odd), after.run_id, explained)


def _code_changed(one: Judged, other: Judged) -> bool:
    """Compare commits where both are known, else versions; what is not known explains nothing."""
    known = [(one.commit, other.commit), (one.version, other.version)]
    return next((a != b for a, b in known if a and b), False)
