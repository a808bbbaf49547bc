"""Counts for tests of error budgets: buckets that end now, and a budget that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from data.budgets import BUCKET_S, Buckets, RatioQuery
from slo.budget_model import Budget

DAY_S = 86_400
NOW_S = 1_800_000_000 // DAY_S * DAY_S
NOW = datetime.fromtimestamp(NOW_S, UTC)
NONE = float("nan")


def budget(objective: float = 0.99, days: int = 28, name: str = "b", service: str | None = None) -> Budget:
    return Budget(name, objective, days * DAY_S, RatioQuery("main", "total[$window]", "good[$window]"), service)


def buckets(good: Sequence[float], total: Sequence[float], until_s: int = NOW_S) -> Buckets:
    """Consecutive buckets, of which the last ends at ``until_s``."""
    ends = until_s - np.arange(len(total) - 1, -1, -1, dtype=np.int64) * BUCKET_S
    return Buckets(ends, np.array(good, dtype=np.float64), np.array(total, dtype=np.float64))


def steady(bad: float, total: float = 1000.0, days: float = 28, until_s: int = NOW_S) -> Buckets:
    """So many bad events in every bucket."""
    count = round(days * DAY_S / BUCKET_S)
    return buckets([total - bad] * count, [total] * count, until_s)


def worse(of: Buckets, minutes: int, bad: float) -> Buckets:
    """The same with so many bad events in each bucket of the last minutes."""
    good = of.good.copy()
    last = minutes * 60 // BUCKET_S
    good[-last:] = of.total[-last:] - bad
    return Buckets(of.until_s, good, of.total)
