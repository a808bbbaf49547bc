"""Which runs and gates speak now: the newest of each kind, found in SQL so that nobody loops over all runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from data.catalog import TEST, began, gate_decisions, gate_overrides, runs, verdicts

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from data.catalog import Test


@dataclass(frozen=True)
class NewestRun:
    """The newest run of a test on a branch that called the same services.

    ``place`` is its own among all runs of its test, newest first, from 1.
    """

    id: str
    test: Test
    branch: str | None
    version: str | None
    services: tuple[str, ...]
    began_at: datetime
    place: int

    @property
    def service(self) -> str | None:
        """The one service that it was uploaded for, if it was."""
        return self.test[0]

    @property
    def environment(self) -> str | None:
        """Where it ran."""
        return self.test[2]


@dataclass(frozen=True)
class NewestGate:
    """The decision that was made last about a phase in an environment, and whether somebody overrode it."""

    phase: str
    environment: str | None
    version: str
    decision: str
    decided_at: datetime
    overridden: bool


def newest_runs(connection: sa.Connection, branch: str, most: int) -> tuple[list[NewestRun], int]:
    """The newest run of each test, branch and set of services, newest first; and how many more there are.

    Beyond ``most`` those on ``branch`` or none are kept first, then the newest.
    """
    newest_first = (began.desc(), runs.c.id)
    test = [runs.c[name] for name in TEST]
    place = sa.func.row_number().over(partition_by=test, order_by=newest_first)
    own = sa.func.row_number().over(partition_by=[*test, runs.c.branch, runs.c.services], order_by=newest_first)
    named = (runs.c.id, *test, runs.c.branch, runs.c.version, runs.c.services)
    ranked = sa.select(*named, began.label("began"), place.label("place"), own.label("own")).subquery()
    foremost = sa.case((sa.func.coalesce(ranked.c.branch, branch) == branch, 0), else_=1)
    newest = sa.select(ranked, sa.func.count().over().label("total")).where(ranked.c.own == 1)
    rows = connection.execute(newest.order_by(foremost, ranked.c.began.desc(), ranked.c.id).limit(most)).all()
    found = [
        NewestRun(
            row.id, (row.service, row.test, row.environment), row.branch, row.version,
            tuple(json.loads(row.services)), row.began, row.place,
        )
        for row in rows
    ]  # fmt: skip
    return sorted(found, key=lambda run: run.began_at, reverse=True), rows[0].total - len(rows) if rows else 0


def verdict_times(
    connection: sa.Connection, run_ids: Collection[str], config_digest: str, rule_version: int
) -> dict[tuple[str, str], datetime]:
    """When some runs were judged under one configuration and rule version, by run id and phase."""
    found = sa.select(verdicts.c.run_id, verdicts.c.phase, verdicts.c.judged_at).where(
        verdicts.c.run_id.in_(run_ids),
        verdicts.c.config_digest == config_digest,
        verdicts.c.rule_version == rule_version,
    )
    return {(row.run_id, row.phase): row.judged_at for row in connection.execute(found)}


def newest_gates(connection: sa.Connection, most: int) -> tuple[list[NewestGate], int]:
    """What was decided last of each phase in each environment, newest first; and how many more there are."""
    of = gate_decisions.c
    own = sa.func.row_number().over(partition_by=[of.phase, of.environment], order_by=(of.decided_at.desc(), of.id))
    ranked = sa.select(of.id, of.phase, of.environment, of.version, of.decision, of.decided_at, own.label("own"))
    last = ranked.subquery()
    overridden = sa.exists().where(gate_overrides.c.gate_id == last.c.id)
    query = sa.select(last, overridden.label("overridden"), sa.func.count().over().label("total"))
    rows = connection.execute(query.where(last.c.own == 1).order_by(last.c.decided_at.desc(), last.c.id).limit(most))
    found = rows.all()
    return [
        NewestGate(row.phase, row.environment, row.version, row.decision, row.decided_at, row.overridden)
        for row in found
    ], found[0].total - len(found) if found else 0
