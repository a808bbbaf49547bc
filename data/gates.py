"""Rows of the catalog about gates: what they decided, what they overlook, and who let a version through regardless."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from data.catalog import gate_decisions, gate_overrides, waivers
from data.model import Override, Waiver

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class StoredGate:
    """One row of ``gate_decisions``: what a gate decided (``document``), and what that rests on, both as JSON text."""

    id: str
    phase: str
    version: str
    environment: str | None
    decision: str
    decided_at: datetime
    document: str
    evidence: str


def add_gate(connection: sa.Connection, gate: StoredGate) -> None:
    """Keep a decision, once for the same evidence."""
    if connection.scalar(sa.select(gate_decisions.c.id).where(gate_decisions.c.id == gate.id)) is None:
        connection.execute(gate_decisions.insert(), [asdict(gate)])


def read_gates(connection: sa.Connection, prefix: str, limit: int) -> list[StoredGate]:
    """Decisions whose id begins so, with their evidence."""
    found = sa.select(gate_decisions).where(gate_decisions.c.id.startswith(prefix, autoescape=True))
    rows = connection.execute(found.order_by(gate_decisions.c.id).limit(limit)).mappings()
    return [StoredGate(**row) for row in rows]


def gate_documents(connection: sa.Connection, limit: int) -> list[str]:
    """What was decided, newest first, without the evidence, which is many times as long."""
    found = sa.select(gate_decisions.c.document)
    return list(
        connection.scalars(found.order_by(gate_decisions.c.decided_at.desc(), gate_decisions.c.id).limit(limit))
    )


def read_overrides(connection: sa.Connection) -> list[Override]:
    """Who let versions through, oldest first."""
    found = connection.execute(sa.select(gate_overrides).order_by(gate_overrides.c.at))
    return [Override(**row) for row in found.mappings()]


def read_waivers(connection: sa.Connection) -> list[Waiver]:
    """Every waiver, those that ended, too; oldest first."""
    found = connection.execute(sa.select(waivers).order_by(waivers.c.created_at, waivers.c.id))
    return [Waiver(**row) for row in found.mappings()]


def end_waiver(connection: sa.Connection, waiver: Waiver) -> None:
    """Keep when a waiver ended."""
    connection.execute(waivers.update().where(waivers.c.id == waiver.id).values(ended_at=waiver.ended_at))
