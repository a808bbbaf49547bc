"""The catalog: rows in, the same values out; a shape made by migrations alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings

from data import catalog, migrate
from data.catalog import RunFilter
from data.errors import StoreError
from data.model import Run, RunMeta, RunRecord
from data.store import Store
from slo.model import RULE_VERSION
from tests import builders
from tests.data.records import records

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """The catalog of an empty store."""
    store = Store(tmp_path_factory.mktemp("catalog") / "store")
    yield store._engine
    store.close()


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that is rolled back."""
    with engine.connect() as connection:
        yield connection
        connection.rollback()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=records)
@example(record=builders.record())
def test_a_run_comes_back_as_it_was(engine: sa.Engine, record: RunRecord) -> None:
    with engine.connect() as connection:
        catalog.add_run(connection, record)
        assert catalog.read_record(connection, record.run.id) == record
        connection.rollback()


def test_measurements_verdicts_and_configs_come_back_as_they_were(connection: sa.Connection) -> None:
    measured = [builders.measured(1.5), builders.measured(None, problem="no data", service=None, count=3)]
    catalog.add_rows(connection, catalog.measurements, [vars(one) for one in measured])
    assert catalog.read_measurements(connection, ["0123456789ab", "other"], RULE_VERSION) == measured
    assert catalog.read_measurements(connection, ["0123456789ab"], RULE_VERSION + 1) == []
    verdict = catalog.StoredVerdict("0123456789ab", "7A", "d1", 1, "pass", NOW, '{"a": "größe"}')
    others = [replace(verdict, phase="8"), replace(verdict, config_digest="d2"), replace(verdict, rule_version=2)]
    catalog.add_rows(connection, catalog.verdicts, [vars(one) for one in (verdict, *others)])
    assert catalog.read_verdicts(connection, ["0123456789ab"], "7A", "d1", 1) == {"0123456789ab": verdict}
    assert catalog.read_verdicts(connection, [], "7A", "d1", 1) == {}
    config = catalog.StoredConfig("d1", "slo.yaml", NOW, "version: 1")
    for seen_at in (NOW, NOW + timedelta(days=1)):
        catalog.remember_config(connection, replace(config, seen_at=seen_at))
    assert connection.execute(sa.select(catalog.slo_configs)).all() == [tuple(vars(config).values())]


def shape(engine: sa.Engine) -> dict[str, list[tuple[str, str]]]:
    """The columns of every table with their types, as the database tells them."""
    inspector = sa.inspect(engine)
    return {
        table: [(column["name"], column["type"].compile(engine.dialect)) for column in inspector.get_columns(table)]
        for table in inspector.get_table_names()
    }


def test_the_tables_are_those_that_the_migrations_make(engine: sa.Engine) -> None:
    declared = sa.create_engine("duckdb:///:memory:")
    for table in (*catalog.TABLES, migrate.applied):
        table.create(declared)
    assert shape(engine) == shape(declared)
    declared.dispose()


def test_the_migrations_are_numbered_from_one_without_a_gap() -> None:
    assert [number for number, _ in migrate.available()] == list(range(1, len(migrate.available()) + 1))


def applied(home: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(home / "catalog.duckdb", read_only=True) as connection:
        return connection.execute("SELECT number, applied_at::VARCHAR FROM schema_migrations ORDER BY 1").fetchall()


def test_each_migration_is_applied_once(tmp_path: Path) -> None:
    home = tmp_path / "store"
    Store(home).close()
    first = applied(home)
    Store(home).close()
    assert applied(home) == first
    assert [number for number, _ in first] == [number for number, _ in migrate.available()]


def test_a_new_migration_finds_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, folder = tmp_path / "store", tmp_path / "migrations"
    shutil.copytree(migrate.FOLDER, folder)
    store = Store(home)
    with store._write() as connection:
        catalog.add_run(connection, builders.record())
    store.close()
    newest = len(migrate.available()) + 1
    (folder / f"{newest:04}_notes.sql").write_text("ALTER TABLE runs ADD COLUMN note VARCHAR DEFAULT 'none'")
    monkeypatch.setattr(migrate, "FOLDER", folder)
    store = Store(home)
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id, note FROM runs").all() == [("0123456789ab", "none")]
    store.close()
    assert [number for number, _ in applied(home)] == list(range(1, newest + 1))


def test_a_migration_that_fails_leaves_nothing_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, folder = tmp_path / "store", tmp_path / "migrations"
    shutil.copytree(migrate.FOLDER, folder)
    Store(home).close()
    before = applied(home)
    bad = folder / "9999_bad.sql"
    bad.write_text("CREATE TABLE half (a INTEGER); SELECT * FROM nowhere")
    monkeypatch.setattr(migrate, "FOLDER", folder)
    with pytest.raises(StoreError):
        Store(home)
    assert applied(home) == before
    bad.unlink()
    store = Store(home)
    assert "half" not in sa.inspect(store._engine).get_table_names()
    store.close()


def test_a_store_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    home = tmp_path / "store"
    Store(home).close()
    with duckdb.connect(home / "catalog.duckdb") as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (4711, now())")
    (home / "spool" / "precious").mkdir()
    before = (home / "catalog.duckdb").read_bytes()
    with pytest.raises(StoreError, match=r"written by a newer version of Phasegate \(migration 4711; this") as newer:
        Store(home)
    assert "PHASEGATE_HOME" in (newer.value.help or "")
    assert (home / "catalog.duckdb").read_bytes() == before
    assert (home / "spool" / "precious").exists()
    duckdb.connect(home / "catalog.duckdb", config={"threads": 3}).close()  # not held: this would be refused


def run(number: int, *services: str, meta: RunMeta | None = None) -> Run:
    blank = builders.record().run
    started = NOW + timedelta(minutes=number)
    named = replace(blank, id=f"{number:012}", meta=meta or RunMeta(), services=services)
    return replace(named, started_at=started, received_at=started)


def listed(connection: sa.Connection, where: RunFilter, limit: int | None = None) -> list[int]:
    return [int(found.id) for found in catalog.list_runs(connection, where, limit)]


@pytest.fixture
def several(connection: sa.Connection) -> sa.Connection:
    runs = [
        run(1, "event", meta=RunMeta(test="crud", branch="main", environment="ci", version="1")),
        run(2, "event", "chat", meta=RunMeta(test="all", branch="dev", environment="ci", version="2")),
        run(3, meta=RunMeta(service="event", test="crud")),
        run(4, "größe", 'a"b', "100%", "back\\slash", "events"),
        replace(run(0, "chat"), id=f"{5:012}", started_at=None, received_at=NOW + timedelta(days=1)),
    ]
    for one in runs:
        catalog.add_run(connection, replace(builders.record(), run=one))
    return connection


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (RunFilter(), [5, 4, 3, 2, 1]),
        (RunFilter(service="event"), [3, 2, 1]),
        (RunFilter(service="chat"), [5, 2]),
        (RunFilter(service="größe"), [4]),
        (RunFilter(service='a"b'), [4]),
        (RunFilter(service="100%"), [4]),
        (RunFilter(service="back\\slash"), [4]),
        (RunFilter(service="%"), []),
        (RunFilter(service="even_"), []),
        (RunFilter(service=""), []),
        (RunFilter(test="crud"), [3, 1]),
        (RunFilter(test="crud", branch="main"), [1]),
        (RunFilter(environment="ci", version="2"), [2]),
        (RunFilter(test="' OR 1=1 --"), []),
    ],
    ids=str,
)
def test_runs_are_listed_newest_first_and_filtered(several: sa.Connection, where: RunFilter, found: list[int]) -> None:
    assert listed(several, where) == found
    assert listed(several, where, 1) == found[:1]


@pytest.mark.parametrize(("prefix", "found"), [("", 5), ("00000000000", 5), ("000000000002", 1), ("%", 0), ("_", 0)])
def test_ids_are_found_by_their_beginning(several: sa.Connection, prefix: str, found: int) -> None:
    assert len(catalog.run_ids(several, prefix)) == found


def test_a_run_of_a_clock_that_runs_ahead_is_as_new_as_its_receipt(connection: sa.Connection) -> None:
    late = timedelta(days=400)
    ahead = replace(run(2), started_at=NOW + late)
    for one in (run(1), ahead, run(3), replace(run(4), received_at=NOW + late)):
        catalog.add_run(connection, replace(builders.record(), run=one))
    assert listed(connection, RunFilter()) == [4, 3, 2, 1]
