"""What is kept of an SLI of a run so that later runs can be compared with it, and how far such runs lie apart.

Of latencies and other trends these are percentiles, and how sure the run itself is of them: requests of one run hang
together, so the doubt is seen from the spread between spans of time, never from their number. A percentile's doubt is
the doubt of the share of samples below it, over the density there (Bahadur 1966; Woodruff 1952 for clusters). Of shares
it is the hits, and how much more they vary from span to span than independent requests would (the design effect).

Runs of one version lie further apart than that. :func:`spread` estimates by how much, from the runs of a baseline:
pooled over services, and each service shrunk towards the pool by as much as services agree (Smyth 2004, limma).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import special

from data.samples import BLOCKS_OF_TIME
from slo.sli import select

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from data.catalog import StoredMeasurement
    from data.model import RunRecord, Series
    from data.samples import SampleEngine
    from slo.sli import Sli

Kind = Literal["trend", "share", "number"]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LEVELS = (0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99)
"""Percentiles kept of every trend; dense where latencies are promised."""

_HEAVIER = 15
_FEWEST_SPANS = 5
_FEWEST = 20  # samples under which a distribution's shape is not worth keeping
_MEAN = 0.95  # up to this level a mean is looked at beside itself
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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


def profiles(
    record: RunRecord, slis: Sequence[Sli], measured: Sequence[StoredMeasurement], samples: SampleEngine
) -> list[Profile | None]:
    """One profile per SLI, in order; ``None`` for an SLI without a value.

    ``measured`` are the measurements of the same SLIs. Two SQL statements, however many SLIs.
    """
    chosen = {
        number: tuple(select(record.series, sli, record.run.meta.service))
        for number, (sli, found) in enumerate(zip(slis, measured, strict=True))
        if record.series and found.value is not None and _kind(sli, found) != "number"
    }
    return _Profiling(record.run.id, slis, measured, chosen, samples).all()


def body(sli_percentile: float | None) -> tuple[int, ...]:
    """Which of :data:`LEVELS` move with a percentile: those up to it whose tail is at most fifteen times as heavy.

    A p(95) is judged with everything from the lower quartile up, a p(99) with its slowest seventh: near enough to share
    its fate, wide enough to be less noisy than one order statistic. A mean (``None``) goes with all but the far tail.
    """
    top = _MEAN if sli_percentile is None else sli_percentile
    low = 0.0 if sli_percentile is None else 1 - _HEAVIER * (1 - sli_percentile)
    slack = 1e-9
    return tuple(i for i, level in enumerate(LEVELS) if low - slack <= level <= top + slack) or (0,)


def _kind(sli: Sli, found: StoredMeasurement) -> Kind:
    if found.unit == "ratio":
        return "share"
    return "trend" if sli.percentile is not None or sli.stat == "avg" else "number"


@dataclass(frozen=True)
class _Group:
    """Series that several SLIs may be over, and the microseconds at which their samples begin and end."""

    ids: tuple[int, ...]
    low: int
    high: int


class _Profiling:
    """All SLIs of one run at once; those over the same series share the work."""

    def __init__(
        self,
        run_id: str,
        slis: Sequence[Sli],
        measured: Sequence[StoredMeasurement],
        chosen: Mapping[int, tuple[Series, ...]],
        samples: SampleEngine,
    ) -> None:
        self._slis, self._measured = slis, measured
        named: dict[_Group, str] = {}
        self._chosen = {n: named.setdefault(_group(series), f"g{len(named)}") for n, series in chosen.items() if series}
        groups = {name: group for group, name in named.items()}
        trends = {name: groups[name].ids for n, name in self._chosen.items() if _kind(slis[n], measured[n]) == "trend"}
        asked = {slis[n].percentile or LEVELS[0] for n in self._chosen}
        self._levels = sorted({*LEVELS, *asked})
        at = dict.fromkeys(trends, self._levels)
        self._quantiles = {name: np.array(q) for name, q in samples.quantiles(run_id, trends, at).items()}
        self._spans = _spans(run_id, groups, self._quantiles, len(self._levels), samples)

    def all(self) -> list[Profile | None]:
        return [self._one(number) for number in range(len(self._slis))]

    def _one(self, number: int) -> Profile | None:
        found, sli = self._measured[number], self._slis[number]
        if found.value is None:
            return None
        kind = _kind(sli, found)
        name = self._chosen.get(number, "")
        numbers: tuple[float, ...] = ()
        if kind == "share":
            numbers = (float(found.count or 0), self._design_effect(name, found.value))
        elif kind == "trend" and name in self._quantiles:
            kept = shape(sli.percentile, found.value, self._levels, self._quantiles[name], self._spans[name])
            numbers = tuple(map(float, kept))
        return Profile(kind, found.value, found.n, numbers)

    def _design_effect(self, name: str, share: float) -> float:
        """Variance of the hits between spans over that of independent requests, at least 1."""
        spans = self._spans.get(name)
        if spans is None or len(spans) < _FEWEST_SPANS or not 0 < share < 1:
            return 1.0
        n, hits = spans[:, 0], spans[:, 2]
        between = float(((hits - share * n) ** 2).sum()) * len(spans) / (len(spans) - 1)
        return max(1.0, between / (float(n.sum()) * share * (1 - share)))


def shape(percentile: float | None, value: float, levels: Sequence[float], quantiles: Floats, spans: Floats) -> Floats:
    """The ``numbers`` of a trend, empty where its samples cannot tell.

    ``percentile`` is the SLI's (``None``: a mean) and one of the ascending ``levels`` at which there are ``quantiles``.
    ``spans`` has a row per span of time: n, sum, anything, and how many samples are at or below each quantile.
    """
    n = spans[:, :1]
    if quantiles[0] <= 0 or value <= 0 or n.sum() < _FEWEST or len(spans) < _FEWEST_SPANS:
        return np.empty(0)
    z = special.ndtri(levels)
    # d log(quantile) / d level; what a span adds to the logarithm of each percentile when too few samples lie below it.
    slope = np.gradient(np.log(quantiles), z) * np.sqrt(2 * np.pi) * np.exp(z**2 / 2)
    pushes = (np.asarray(levels) * n - spans[:, 3:]) * slope / n.sum()
    place = [list(levels).index(level) for level in LEVELS]
    near = [place[i] for i in body(percentile)]
    if percentile is None:
        own = (spans[:, 1] - value * n[:, 0]) / (n.sum() * value)
    else:
        own = pushes[:, list(levels).index(percentile)]
    doubts = (pushes[:, near].mean(axis=1), own)
    seen = [float((pushed**2).sum()) * len(spans) / (len(spans) - 1) for pushed in doubts]
    return np.array([*quantiles[place], np.log(quantiles[near]).mean(), seen[1], seen[0]])


def _group(series: Sequence[Series]) -> _Group:
    low, high = min(one.first_at for one in series), max(one.last_at for one in series)
    return _Group(tuple(sorted(one.id for one in series)), _microseconds(low), _microseconds(high) + 1)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _spans(
    run_id: str, groups: Mapping[str, _Group], quantiles: Mapping[str, Floats], width: int, samples: SampleEngine
) -> dict[str, Floats]:
    """Each group over equal spans of its time: rows of n, sum, non-zero, and samples at or below each quantile."""
    members = [(name, one) for name, group in groups.items() for one in group.ids]
    if not members:
        return {}
    nothing = np.zeros(width)
    columns = np.stack([quantiles.get(name, nothing) for name in groups], axis=1)
    levels = {f"q{i}": list(map(float, column)) for i, column in enumerate(columns)}
    sql = f"""
        WITH member AS (SELECT unnest($names) AS name, unnest($ids) AS series_id),
        grouped AS (SELECT unnest($groups) AS name, unnest($lows) AS low, unnest($highs) AS high
                    {"".join(f", unnest(${q}) AS {q}" for q in levels)}),
        member_of AS (FROM member JOIN grouped USING (name))
        SELECT name, (epoch_us(t) - low) * {BLOCKS_OF_TIME} // (high - low) AS span, count(*), sum(v),
               count(*) FILTER (v <> 0){"".join(f", count(*) FILTER (v <= {q})" for q in levels)}
        FROM samples JOIN member_of USING (series_id) GROUP BY name, span ORDER BY name, span"""  # noqa: S608  # column names are ours, values are bound
    bound = {
        "names": [name for name, _ in members],
        "ids": [one for _, one in members],
        "groups": list(groups),
        "lows": [group.low for group in groups.values()],
        "highs": [group.high for group in groups.values()],
    }
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for name, _, *row in samples.query(run_id, sql, bound | levels):
        found[name].append(tuple(map(float, row)))
    return {name: np.array(rows) for name, rows in found.items()}


def spread(squares: Floats, freedom: Floats, within: Floats) -> tuple[Floats, Floats]:
    """Variance from run to run of each service, and the degrees of freedom that it is worth.

    ``squares`` are sums of squares around each service's own mean, with ``freedom`` degrees of freedom; ``within`` is
    the variance that runs see of themselves. Without any freedom the prior alone speaks.
    """
    most = PRIOR_RUNS + float(freedom.sum())
    pool = (PRIOR_RUNS * (PRIOR_SPREAD**2 + within) + squares.sum()) / most
    weight = max(PRIOR_RUNS, _agreement(squares, freedom))
    if np.isinf(weight):
        return pool, np.full(len(freedom), most)
    return (weight * pool + squares) / (weight + freedom), np.minimum(weight + freedom, most)


def _agreement(squares: Floats, freedom: Floats) -> float:
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
