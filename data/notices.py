"""Rows of the catalog about who is told: the outbox of messages, and the states that were told last."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from data.catalog import add_rows, notifications, told_states

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

_KEPT = timedelta(days=30)
"""How long it is kept what became of a message."""


@dataclass(frozen=True)
class StoredNotice:
    """One row of ``notifications``: a message (``document``, JSON text) to one receiver, by its name in slo.yaml.

    ``state`` is ``pending``, ``delivered`` or ``given_up``; only what is pending has a next attempt.
    """

    id: str
    created_at: datetime
    receiver: str
    document: str
    state: str
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None = None


def read_told(connection: sa.Connection, subjects: Collection[str]) -> dict[str, str]:
    """The states told last, by subject."""
    found = sa.select(told_states.c.subject, told_states.c.state).where(told_states.c.subject.in_(subjects))
    return {row.subject: row.state for row in connection.execute(found)}


def tell(connection: sa.Connection, states: Mapping[str, str], notices: Sequence[StoredNotice], at: datetime) -> None:
    """Keep states as told, and the messages that tell them; forget what became of messages long ago."""
    connection.execute(told_states.delete().where(told_states.c.subject.in_(states)))
    told = [{"subject": subject, "state": state, "at": at} for subject, state in states.items()]
    add_rows(connection, told_states, told)
    add_rows(connection, notifications, [asdict(one) for one in notices])
    settled = notifications.c.state != "pending"
    connection.execute(notifications.delete().where(settled, notifications.c.created_at < at - _KEPT))


def due_notices(connection: sa.Connection, at: datetime) -> list[StoredNotice]:
    """Messages that are to be sent by now, in the order in which they were written."""
    due = sa.and_(notifications.c.state == "pending", notifications.c.next_attempt_at <= at)
    rows = connection.execute(sa.select(notifications).where(due).order_by(notifications.c.created_at)).mappings()
    return [StoredNotice(**row) for row in rows]


def next_due(connection: sa.Connection) -> datetime | None:
    """When the next message is to be sent; ``None`` where none waits."""
    at = notifications.c.next_attempt_at
    pending = sa.select(at).where(notifications.c.state == "pending")
    return connection.scalars(pending.order_by(at).limit(1)).first()


def settle(connection: sa.Connection, notice: StoredNotice) -> None:
    """Keep what became of an attempt."""
    became = {name: getattr(notice, name) for name in ("state", "attempts", "next_attempt_at", "last_error")}
    connection.execute(notifications.update().where(notifications.c.id == notice.id).values(became))


def list_notices(connection: sa.Connection, limit: int) -> list[StoredNotice]:
    """Messages, those that wait or failed first, each newest first."""
    query = sa.select(notifications).order_by(
        notifications.c.state == "delivered", notifications.c.created_at.desc(), notifications.c.id
    )
    return [StoredNotice(**row) for row in connection.execute(query.limit(limit)).mappings()]
