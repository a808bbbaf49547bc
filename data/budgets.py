"""Rows of the catalog about error budgets: of every five minutes, how many events were good and how many there were."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from data.catalog import add_rows, budget_buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUCKET_S = 300


@dataclass(frozen=True)
class RatioQuery:
    """PromQL that counts all events and the ``good`` or ``bad`` ones; ``$window`` is the time they are counted over."""

    source: str
    total: str
    good: str | None = None
    bad: str | None = None

    @property
    def id(self) -> str:
        """The same for the same questions to the same source: a changed one starts anew."""
        asked = "\n".join((self.source, self.total, self.good or "", self.bad or ""))
        return hashlib.sha256(asked.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Buckets:
    """Counts of the ``BUCKET_S`` seconds before each time of ``until_s``, ascending whole seconds since 1970 (UTC).

    NaN where there was nothing to count by; 0 where nothing happened.
    """

    until_s: NDArray[np.int64]
    good: NDArray[np.float64]
    total: NDArray[np.float64]


def read_buckets(connection: sa.Connection, digest: str, after_s: int) -> Buckets:
    """The buckets that end after a time."""
    of, until_s = budget_buckets.c.digest == digest, budget_buckets.c.until_s
    asked = sa.select(until_s, budget_buckets.c.good, budget_buckets.c.total).where(of, until_s > after_s)
    rows = connection.execute(asked.order_by(until_s)).fetchall()
    table = np.array([tuple(row) for row in rows], dtype=np.float64).reshape(-1, 3)
    return Buckets(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])


def replace_buckets(connection: sa.Connection, digest: str, found: Buckets) -> None:
    """Make these all that is known of their times."""
    times = found.until_s.tolist()
    again = budget_buckets.c.until_s.in_(times)
    connection.execute(budget_buckets.delete().where(budget_buckets.c.digest == digest, again))
    good, total = ([None if np.isnan(one) else one for one in counts.tolist()] for counts in (found.good, found.total))
    add_rows(
        connection,
        budget_buckets,
        [
            {"digest": digest, "until_s": at, "good": ok, "total": of}
            for at, ok, of in zip(times, good, total, strict=True)
        ],
    )


def drop_buckets(connection: sa.Connection, digest: str | None, until_s: int) -> int:
    """Remove the buckets that end by a time, of one pair of queries or of all; how many there were."""
    old = [budget_buckets.c.until_s <= until_s, *([budget_buckets.c.digest == digest] if digest else [])]
    found = connection.scalar(sa.select(sa.func.count()).select_from(budget_buckets).where(*old)) or 0
    if found:
        connection.execute(budget_buckets.delete().where(*old))
    return found
