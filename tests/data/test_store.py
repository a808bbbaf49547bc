"""One folder, opened by one process at a time, read by many threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from data import blocks, catalog
from data.address import announce_server, server_url
from data.catalog import RunFilter
from data.errors import BadRequest, NoSpace, NotFound, StoreError, StoreLocked
from data.model import Decision, DecisionKind, RunMeta, RunRecord
from data.store import Store
from tests import builders
from tests.project import ROOT

RECORD = builders.record(*builders.requests(service="event"))
HOLD = """
import sys
from pathlib import Path
from data.store import Store
store = Store(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
store.close()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    store = Store(home)
    yield store
    store.close()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store that another process holds."""
    home = tmp_path_factory.mktemp("held")
    command = [sys.executable, "-c", HOLD, str(home)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"open\n"
        yield home


def numbered(number: int) -> RunRecord:
    return replace(RECORD, run=replace(RECORD.run, id=f"{number:012}"))


def add(store: Store, record: RunRecord) -> None:
    """Store a run with a block of its own."""
    folder = store.spool / f"made-{record.run.id}"
    folder.mkdir(exist_ok=True)
    (folder / blocks.part_name(0)).write_bytes(b"PAR1")
    blocks.write_manifest(folder, record)
    store.add_run(record, folder)


def test_a_run_is_there_after_the_store_is_opened_again(home: Path) -> None:
    store = Store(home)
    assert (store.count_runs(), store.has_run(RECORD.run.id)) == (0, False)
    add(store, RECORD)
    store.close()
    store = Store(home)
    assert (store.count_runs(), store.has_run(RECORD.run.id)) == (1, True)
    assert store.record(RECORD.run.id) == RECORD
    assert not store.has_run(RECORD.run.id[:6])
    store.close()


def test_a_failed_commit_stores_no_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(connection: sa.Connection, _record: RunRecord) -> None:
        connection.execute(catalog.summary_values.insert().values(run_id="x", metric="m", stat="s", value=1.0))
        connection.exec_driver_sql("SELECT * FROM nowhere")

    with monkeypatch.context() as patch:
        patch.setattr(catalog, "add_run", fail)
        with pytest.raises(StoreError, match=r"the catalog in .* failed: .*nowhere") as failed:
            add(store, RECORD)
    assert failed.value.help
    assert store.count_runs() == 0
    assert list((store.home / "blocks").iterdir()) == []
    with store._engine.connect() as connection:
        assert connection.execute(sa.select(catalog.summary_values)).all() == []
    add(store, RECORD)
    assert store.record(RECORD.run.id) == RECORD


def test_a_run_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    for number in (1, 2, 111122220000):
        add(store, numbered(number))
    assert store.find_run("1111").id == "111122220000"
    assert store.find_run("000000000002").id == "000000000002"
    with pytest.raises(BadRequest, match="'0000' could mean 000000000001, 000000000002"):
        store.find_run("0000")
    with pytest.raises(BadRequest, match="'111' could mean 111"):
        store.find_run("111")
    for absent in ("22222", "%", "_", "1111%", "' OR 1=1 --", "x" * 10_000):
        with pytest.raises(NotFound, match="no run") as missing:
            store.find_run(absent)
        assert "phasegate runs" in (missing.value.help or "")


def test_what_was_judged_is_kept(store: Store) -> None:
    add(store, RECORD)
    run_id = RECORD.run.id
    verdict = catalog.StoredVerdict(run_id, "7A", "d", 1, "pass", RECORD.run.received_at, "{}")
    config = catalog.StoredConfig("d", "slo.yaml", RECORD.run.received_at, "version: 1")
    store.add_verdicts(config, [verdict], store.changes)
    assert store.verdicts([run_id], "7A", "d", 1) == {run_id: verdict}
    assert store.verdicts([run_id], "7A", "d", 2) == {}


def judge(store: Store, run_id: str) -> None:
    """Keep a measurement and a verdict of a run."""
    verdict = catalog.StoredVerdict(run_id, "7A", "d", 1, "pass", RECORD.run.received_at, "{}")
    config = catalog.StoredConfig("d", "slo.yaml", RECORD.run.received_at, "version: 1")
    store.add_measurements([builders.measured(1.0, run_id=run_id, rule_version=1)], [], store.changes)
    store.add_verdicts(config, [verdict], store.changes)


def judged(store: Store, run_id: str) -> tuple[int, int]:
    """How many measurements and verdicts are kept of a run."""
    return len(store.measurements([run_id], 1)), len(store.verdicts([run_id], "7A", "d", 1))


def test_an_amended_run_says_more_and_is_no_longer_judged(store: Store) -> None:
    other = numbered(1)
    for record in (RECORD, other):
        add(store, record)
        judge(store, record.run.id)
    meta = RunMeta(service="shop", commit="abc", exit_code=0, labels={"a": "b"})
    run = store.amend_run(RECORD.run, meta)
    assert run == replace(RECORD.run, meta=meta, services=("event", "shop"))
    assert store.record(run.id) == replace(RECORD, run=run)
    assert judged(store, run.id) == (0, 0)
    assert judged(store, other.run.id) == (1, 0)  # a run of the same test, which may be compared with the amended one
    assert store.record(other.run.id) == other


def test_a_deleted_run_leaves_nothing(store: Store) -> None:
    other = numbered(1)
    for record in (RECORD, other):
        add(store, record)
        judge(store, record.run.id)
    with capture_logs() as logs:
        store.delete_run(RECORD.run.id, "uploaded by mistake")
    assert logs == [
        {"event": "run deleted", "run": RECORD.run.id, "reason": "uploaded by mistake", "log_level": "warning"}
    ]
    assert store.runs(RunFilter()) == [other.run]
    assert store.record(other.run.id) == other
    assert judged(store, other.run.id) == (1, 0)  # a run of the same test, which may have been compared with it
    assert [path.name for path in (store.home / "blocks").iterdir()] == [other.run.id]
    with store._engine.connect() as connection:
        for table in catalog.TABLES:
            if "run_id" in table.c:
                assert set(connection.scalars(sa.select(table.c.run_id))) <= {other.run.id}
    with pytest.raises(NotFound, match="was deleted"):
        store.record(RECORD.run.id)
    add(store, RECORD)
    assert store.record(RECORD.run.id) == RECORD


def test_a_run_that_is_deleted_while_it_is_judged_leaves_nothing_either(store: Store) -> None:
    add(store, RECORD)
    store.delete_run(RECORD.run.id, "a test")
    judge(store, RECORD.run.id)
    assert judged(store, RECORD.run.id) == (0, 0)


def test_a_full_disk_stores_nothing_and_once_there_is_room_all_goes_on(store: Store) -> None:
    add(store, numbered(1))
    log = store.home / "catalog.duckdb.wal"
    log.symlink_to("/dev/full")
    with pytest.raises(NoSpace, match="the disk has no room for the catalog"):
        add(store, RECORD)
    assert store.runs(RunFilter()) == [numbered(1).run]
    assert [path.name for path in (store.home / "blocks").iterdir()] == [numbered(1).run.id]
    log.unlink()
    add(store, RECORD)
    assert store.count_runs() == 2


def test_a_checkpoint_that_fails_loses_nothing(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        with store._engine.connect() as connection:
            connection.exec_driver_sql("SELECT * FROM nowhere")

    monkeypatch.setattr(store, "_checkpoint", fail)
    with capture_logs() as logs:
        add(store, RECORD)
        store.close()
    assert [line["event"] for line in logs] == ["catalog not checkpointed"] * 2
    again = Store(home)
    assert again.record(RECORD.run.id) == RECORD
    again.close()


def test_many_threads_read_while_one_writes(store: Store) -> None:
    add(store, numbered(0))

    def read() -> int:
        found = store.runs(RunFilter())
        assert [store.record(run.id).series for run in found] == [RECORD.series] * len(found)
        return len(found)

    with ThreadPoolExecutor(6) as threads:
        reading = [threads.submit(read) for _ in range(20)]
        writing = [threads.submit(add, store, numbered(number)) for number in range(1, 11)]
        for written in writing:
            written.result()
        assert all(1 <= future.result() <= 11 for future in reading)
    assert read() == 11


def test_times_are_utc_wherever_the_store_is_opened(store: Store, home: Path) -> None:
    add(store, RECORD)
    store.close()
    script = (
        "import sys; from pathlib import Path; from data.store import Store; store = Store(Path(sys.argv[1]))\n"
        "print(store.find_run('0123').started_at.isoformat()); store.close()"
    )
    environment = os.environ | {"TZ": "Asia/Kolkata"}
    said = subprocess.check_output([sys.executable, "-c", script, str(home)], cwd=ROOT, env=environment, text=True)
    assert said.strip() == "2026-11-20T08:00:00+00:00"


def test_opening_empties_the_spool(home: Path) -> None:
    Store(home).close()
    (home / "spool" / "half").mkdir()
    (home / "spool" / "half" / "part-0.parquet").write_bytes(b"x")
    store = Store(home)
    assert list(store.spool.iterdir()) == []
    store.close()


def test_a_store_held_by_another_process_is_locked(held: Path) -> None:
    (held / "server.json").unlink(missing_ok=True)
    with pytest.raises(StoreLocked, match="is in use by another process") as locked:
        Store(held)
    assert "--server http://127.0.0.1:8501" in (locked.value.help or "")


def test_a_locked_store_tells_the_server_that_holds_it(held: Path) -> None:
    announce_server(held, "http://10.1.2.3:9000")
    with pytest.raises(StoreLocked, match=r"is in use by a server at http://10\.1\.2\.3:9000") as locked:
        Store(held)
    assert "--server http://10.1.2.3:9000" in (locked.value.help or "")


def test_the_command_line_on_a_locked_store_names_the_way_to_the_server(held: Path) -> None:
    announce_server(held, "http://10.1.2.3:9000")
    environment = os.environ | {"PHASEGATE_HOME": str(held)}
    command = [sys.executable, str(ROOT / "cli.py"), "ingest", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "is in use by a server at http://10.1.2.3:9000" in done.stderr
    assert "--server http://10.1.2.3:9000" in done.stderr
    assert "Traceback" not in done.stderr


def test_closing_takes_the_address_away(store: Store, home: Path) -> None:
    announce_server(home, "http://h:1")
    assert server_url(home) == "http://h:1"
    store.close()
    assert server_url(home) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'"x"'])
def test_an_address_that_cannot_be_read_is_none(home: Path, content: bytes) -> None:
    home.mkdir()
    (home / "server.json").write_bytes(content)
    assert server_url(home) is None


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/phasegate"])
def test_a_place_where_no_store_can_be_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="no store can be made in") as refused:
        Store(tmp_path / place)
    assert "PHASEGATE_HOME" in (refused.value.help or "")


def decided(kind: DecisionKind, reason: str = "because", day: int = 0) -> Decision:
    return Decision(RECORD.run.id, kind, reason, RECORD.run.received_at + timedelta(days=day))


def test_decisions_are_kept_in_order(store: Store) -> None:
    add(store, RECORD)
    store.decide(decided("invalidated", "the database was being backed up"))
    store.decide(decided("restored", day=1))
    expected = [decided("invalidated", "the database was being backed up"), decided("restored", day=1)]
    assert store.decisions() == store.decisions(RECORD.run.id) == expected
    assert store.decisions("another") == []


def test_a_decision_drops_the_verdicts_that_it_may_turn(store: Store) -> None:
    same, other = numbered(1), replace(RECORD, run=replace(RECORD.run, id="2" * 12, meta=RunMeta(test="another")))
    for record in (RECORD, same, other):
        add(store, record)
        judge(store, record.run.id)
    store.decide(decided("pinned"))
    assert [judged(store, one.run.id)[1] for one in (RECORD, same, other)] == [0, 0, 1]


def test_a_late_upload_drops_the_verdicts_of_later_runs_only(store: Store) -> None:
    def at(number: int, day: int) -> RunRecord:
        run = replace(RECORD.run, id=f"{number:012}", started_at=RECORD.run.received_at + timedelta(days=day))
        return replace(RECORD, run=replace(run, received_at=run.started_at or run.received_at))

    early, late = at(1, 0), at(2, 9)
    for record in (early, late):
        add(store, record)
        judge(store, record.run.id)
    add(store, at(3, 5))
    assert [judged(store, one.run.id)[1] for one in (early, late)] == [1, 0]


def test_decisions_outlive_the_catalog(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    add(store, RECORD)
    store.decide(decided("pinned"))
    store.close()
    for file in (tmp_path / "store").glob("catalog.duckdb*"):
        file.unlink()
    again = Store(tmp_path / "store")
    assert again.decisions() == [decided("pinned")]
    again.close()


def test_a_decision_that_the_catalog_missed_is_made_up_for(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    add(store, RECORD)
    judge(store, RECORD.run.id)
    store.close()
    blocks.decide(tmp_path / "store" / "blocks" / RECORD.run.id, decided("pinned"))
    again = Store(tmp_path / "store")
    assert again.decisions() == [decided("pinned")]
    assert judged(again, RECORD.run.id)[1] == 0
    again.close()


def test_what_was_found_of_a_run_is_kept_until_more_is_said_of_it(store: Store) -> None:
    add(store, RECORD)
    found = catalog.StoredAssessment(RECORD.run.id, 1, "suspect: truncated", "{}")
    store.add_measurements([], [found], store.changes)
    assert store.assessments([RECORD.run.id], 1) == [found]
    assert store.assessments([RECORD.run.id], 2) == []
    store.amend_run(RECORD.run, RunMeta(service="shop"))
    assert store.assessments([RECORD.run.id], 1) == []


def test_what_was_concluded_before_a_decision_is_not_kept_after_it(store: Store) -> None:
    add(store, RECORD)
    before = store.changes
    store.decide(decided("pinned"))
    verdict = catalog.StoredVerdict(RECORD.run.id, "7A", "d", 1, "pass", RECORD.run.received_at, "{}")
    config = catalog.StoredConfig("d", "slo.yaml", RECORD.run.received_at, "version: 1")
    store.add_measurements([builders.measured(1.0, run_id=RECORD.run.id, rule_version=1)], [], before)
    store.add_verdicts(config, [verdict], before)
    assert judged(store, RECORD.run.id) == (0, 0)


def test_what_two_conclude_at_once_is_kept_once(store: Store) -> None:
    add(store, RECORD)
    for _ in range(2):
        judge(store, RECORD.run.id)
    assert judged(store, RECORD.run.id) == (1, 1)
    assert len(store.measurements([RECORD.run.id], 1)) == 1


def test_a_run_that_comes_back_from_its_block_drops_the_verdicts_of_its_test(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    same = numbered(1)
    for record in (RECORD, same):
        add(store, record)
    judge(store, same.run.id)
    with store._write() as connection:
        catalog.delete_run(connection, RECORD.run.id)
    store.close()
    again = Store(tmp_path / "store")
    assert again.count_runs() == 2
    assert judged(again, same.run.id)[1] == 0
    again.close()


def test_the_runs_of_a_test_are_those_that_share_its_name_service_and_environment(store: Store) -> None:
    other = replace(RECORD, run=replace(RECORD.run, id="2" * 12, meta=RunMeta(test="another")))
    for record in (RECORD, other):
        add(store, record)
    assert [run.id for run in store.runs_of_tests([(None, "another", None)])] == [other.run.id]
    assert [run.id for run in store.runs_of_tests([(None, None, None)])] == [RECORD.run.id]
    assert store.runs_of_tests([]) == []
