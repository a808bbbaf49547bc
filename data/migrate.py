"""Numbered migrations: every ``data/migrations/NNNN_name.sql`` in order, each once, each in its own transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from data.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parent / "migrations"

applied = sa.Table(
    "schema_migrations",
    sa.MetaData(),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
)


def available() -> list[tuple[int, Path]]:
    """All migrations as ``(number, file)``, in order."""
    return sorted((int(path.name.split("_")[0]), path) for path in FOLDER.glob("*.sql"))


def migrate(engine: sa.Engine, checkpoint: Callable[[], None]) -> None:
    """Bring the catalog to the newest shape.

    Raises:
        StoreError: the catalog was written by a newer version, and nothing was touched.
    """
    known = available()
    with engine.begin() as connection:
        applied.create(connection, checkfirst=True)
        done = set(connection.scalars(sa.select(applied.c.number)))
    if unknown := done - {number for number, _ in known}:
        raise StoreError(
            f"the store was written by a newer version of Phasegate (migration {max(unknown)}; "
            f"this one knows {known[-1][0]})",
            help="use that version, or point PHASEGATE_HOME at another folder",
        )
    for number, path in known:
        if number in done:
            continue
        with engine.begin() as connection:
            connection.exec_driver_sql(path.read_text(encoding="utf-8"))
            connection.execute(applied.insert().values(number=number, applied_at=datetime.now(UTC)))
        # A log that holds DDL is the one DuckDB has failed to replay: leave none behind.
        checkpoint()
