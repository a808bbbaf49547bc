"""From a Prometheus to buckets of five minutes: how many events were good, and how many there were.

Asked is what is not stored yet, a day at a time, so that a pull that was killed goes on where it was; and the newest
hour again, in which samples may have come late. What the source has no number for is stored as that, never as 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.budgets import BUCKET_S, Buckets
from data.errors import QueryRefused, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from data.budgets import RatioQuery
    from data.store import Store
    from ingest.prometheus import Prometheus

_DAY_S = 86_400
_SPARE_S = _DAY_S
"""So much longer than its window what was counted is kept."""
_SETTLED_S = 3_600
"""How long samples may come late. So much more than the window is asked for, as it ends with the newest that came."""
_LAG_S = 60
"""A scrape is stored when it is over, under the time at which it began: until then a bucket would change."""
_MICROSECONDS = 1_000_000
_WINDOW = "$window"

Times = NDArray[np.int64]
"""Ends of buckets, ascending, in seconds since 1970 (UTC)."""


@dataclass(frozen=True)
class Counted:
    """How many buckets were asked for, and of how many there are numbers."""

    asked: int
    found: int


def missing(store: Store, query: RatioQuery, window_s: int, now: datetime) -> Times:
    """What is to be asked for, so that the ``window_s`` seconds before ``now`` are known."""
    last = (int(now.timestamp()) - _LAG_S) // BUCKET_S
    due = np.arange(last - (window_s + _SETTLED_S) // BUCKET_S + 1, last + 1, dtype=np.int64) * BUCKET_S
    stored = store.buckets(query.id, int(due[0]) - 1).until_s
    settled = stored[stored <= stored[-1] - _SETTLED_S] if len(stored) else stored
    return np.setdiff1d(due, settled)


def tidy(store: Store, query: RatioQuery, window_s: int, now: datetime) -> int:
    """Remove what is older than the window and a day; how many buckets."""
    return store.drop_buckets(query.id, int(now.timestamp()) - window_s - _SPARE_S)


def pull(
    store: Store,
    source: Prometheus,
    query: RatioQuery,
    until_s: Times,
    on_share: Callable[[float], None] = lambda _: None,
) -> Counted:
    """Ask for these buckets and store them, a day at a time; interrupted, the days that are done stay.

    Raises:
        SourceDown, QueryRefused, SourceError: the source does not answer, or not with counts.
        StoreError, NoSpace: the disk or the catalog fails.
    """
    days = _days(until_s)
    asked = found = 0
    for number, day in enumerate(days):
        counted = _ask(source, query, day)
        store.keep_buckets(query.id, counted)
        asked += len(counted.until_s)
        found += int(np.count_nonzero(~np.isnan(counted.good + counted.total)))
        on_share((number + 1) / len(days))
    return Counted(asked, found)


def _days(until_s: Times) -> list[Times]:
    days: list[Times] = np.split(until_s, np.flatnonzero(np.diff(until_s // _DAY_S)) + 1)
    return [day for day in days if len(day)]


def _ask(source: Prometheus, query: RatioQuery, day: Times) -> Buckets:
    """Count in every bucket from the first to the last; the source may know less by now of those not asked for."""
    every = np.arange(day[0], day[-1] + 1, BUCKET_S, dtype=np.int64)
    total = _counts(source, query.total, every)
    good = _counts(source, query.good, every) if query.good else total - _counts(source, query.bad or "", every)
    wanted = (day - every[0]) // BUCKET_S
    return Buckets(day, good[wanted], total[wanted])


def _counts(source: Prometheus, promql: str, until_s: Times) -> NDArray[np.float64]:
    """What an expression counts in each bucket; NaN where it has no number."""
    begin, end = (datetime.fromtimestamp(int(at), UTC) for at in (until_s[0], until_s[-1]))
    answer = source.range(promql.replace(_WINDOW, f"{BUCKET_S // 60}m"), begin, end, BUCKET_S)
    if answer.warnings:  # part of the answer: what is not in it could be bad
        raise SourceError(
            f"prometheus `{source.name}` warns, so its counts are not kept: {answer.warnings[0]}",
            help="see that all of its parts answer",
        )
    if len(answer.series) > 1:
        raise QueryRefused(
            f"{promql} gives {len(answer.series):,} series; a budget counts by one number",
            help="put `sum(...)` around it",
        )
    counts = np.full(len(until_s), np.nan)
    for series in answer.series:
        place = (series.t // _MICROSECONDS - until_s[0]) // BUCKET_S
        if np.any((place < 0) | (place >= len(counts)) | (until_s[place % len(counts)] * _MICROSECONDS != series.t)):
            raise SourceError(f"prometheus `{source.name}` answers {promql} at other times than it was asked for")
        counts[place] = np.where(np.isfinite(series.v), series.v, np.nan)
    return counts
