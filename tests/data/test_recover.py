"""A store opens to what it held: whole blocks count, whatever became of the catalog; anything less does not."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from structlog.testing import capture_logs

import demo
from data import catalog
from data.errors import StoreError
from data.model import RunMeta
from desk import Desk
from ingest.service import Upload
from settings import Settings

RUN = next((demo.FOLDER / "runs").glob("*event-slow.json.gz"))


def opened(home: Path) -> Desk:
    return Desk(Settings(home, slo=demo.SLO))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("base") / "var"
    desk = opened(home)
    desk.ingest([Upload(RUN, RUN.name)], RunMeta(service="event", phase="7A", labels={"a": "b"}))
    desk.close()
    return home


@pytest.fixture
def home(base: Path, tmp_path: Path) -> Path:
    """A closed store with one run, to be damaged."""
    shutil.copytree(base, tmp_path / "var")
    return tmp_path / "var"


def test_a_lost_catalog_is_rebuilt_from_the_blocks(home: Path) -> None:
    before = opened(home)
    run = before.service.runs()[0]
    record, verdict = before._store.record(run.id), before.service.verdict(run.id)
    before.close()
    (home / "catalog.duckdb").unlink()
    after = opened(home)
    assert after._store.record(run.id) == record
    assert after.service.verdict(run.id).objectives == verdict.objectives
    after.close()


def test_what_is_no_whole_block_is_removed(home: Path) -> None:
    empty = home / "blocks" / "0123456789ab"
    empty.mkdir()
    (empty / "part-0.parquet").write_bytes(b"PAR1")
    (home / "spool" / "left").mkdir()
    desk = opened(home)
    assert desk.service.count() == 1
    assert not empty.exists()
    assert [path.name for path in (home / "spool").iterdir()] == ["uploads"]
    desk.close()


def test_a_damaged_catalog_says_how_to_get_the_runs_back(home: Path) -> None:
    (home / "catalog.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError) as damaged:
        opened(home)
    assert "move catalog.duckdb away" in (damaged.value.help or "")
    (home / "catalog.duckdb").unlink()
    desk = opened(home)
    assert desk.service.count() == 1
    desk.close()


def test_a_run_whose_block_is_gone_says_so(home: Path) -> None:
    shutil.rmtree(next((home / "blocks").iterdir()))
    desk = opened(home)
    run = desk.service.runs()[0].id
    with pytest.raises(StoreError, match="is missing"):
        desk.service.run_view(run)
    assert desk.service.verdict(run, "7A").verdict == "fail", "what was judged stays"
    desk.close()


def block(home: Path) -> Path:
    return next((home / "blocks").iterdir())


def rebuilt(home: Path) -> int:
    """How many runs a store has after its catalog was lost."""
    (home / "catalog.duckdb").unlink()
    desk = opened(home)
    found = desk.service.count()
    desk.close()
    return found


def newer(folder: Path) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"k6-json"', '"of-tomorrow"'))


def changed(folder: Path) -> None:
    part = folder / "part-0.parquet"
    part.write_bytes(part.read_bytes()[:-1] + b"\0")


BLOCKS: dict[str, Callable[[Path], object]] = {
    "a manifest of a newer version": newer,
    "a manifest that cannot be read": lambda folder: (folder / "manifest.json").write_bytes(b"\0"),
    "a part that was changed": changed,
    "a part that is gone": lambda folder: (folder / "part-0.parquet").unlink(),
    "a part too many": lambda folder: shutil.copy(folder / "part-0.parquet", folder / "part-1.parquet"),
    "another folder's name": lambda folder: folder.rename(folder.with_name("0123456789ab")),
}


@pytest.mark.parametrize("damage", BLOCKS.values(), ids=BLOCKS)
def test_a_finished_block_that_is_not_understood_is_left_alone(home: Path, damage: Callable[[Path], object]) -> None:
    damage(block(home))
    before = sorted(home.glob("blocks/*/*"))
    with capture_logs() as logs:
        assert rebuilt(home) == 0
    assert sorted(home.glob("blocks/*/*")) == before
    assert [(line["event"], line["log_level"]) for line in logs] == [("block left alone", "warning")]


def test_a_copy_and_a_stray_file_do_no_harm(home: Path) -> None:
    shutil.copytree(block(home), home / "blocks" / "copy.bak")
    (home / "blocks" / ".DS_Store").write_bytes(b"x")
    assert rebuilt(home) == 1
    assert min(path.name for path in (home / "blocks").iterdir()) == ".DS_Store"


@pytest.mark.parametrize("damage", ["cut", "gone", "empty"])
def test_a_question_to_a_damaged_block_says_so(home: Path, damage: str) -> None:
    part = block(home) / "part-0.parquet"
    content = part.read_bytes()
    part.unlink() if damage == "gone" else part.write_bytes(content[:200] if damage == "cut" else b"")
    desk = opened(home)
    run = desk.service.runs()[0].id
    with pytest.raises(StoreError, match=f"the sample block of run {run} is damaged") as damaged:
        desk.service.run_view(run)
    assert "phasegate runs delete" in (damaged.value.help or "")
    desk.delete(run, "its block is damaged")
    assert desk.ingest([Upload(RUN, RUN.name)], RunMeta(service="event")).created, "so it is taken in again"
    assert desk.service.run_view(run).timeline
    desk.close()


def test_the_spans_of_a_group_do_not_depend_on_what_else_is_asked(home: Path) -> None:
    desk = opened(home)
    record = desk._store.record(desk.service.runs()[0].id)
    times = [one for one in record.series if one.metric == "http_req_duration"]
    groups = {"one": times[:1], "all": record.series}
    both = desk._store.samples.distributions(record.run.id, groups, {"one": [0.95], "all": [0.5, 0.9]})
    alone = desk._store.samples.distributions(record.run.id, {"one": times[:1]}, {"one": [0.95]})
    assert alone["one"].n.tolist() == both["one"].n.tolist()
    assert alone["one"].below.tolist() == both["one"].below.tolist()
    desk.close()


def test_a_closed_store_answers_nothing_more(home: Path) -> None:
    desk = opened(home)
    samples, run = desk._store.samples, desk.service.runs()[0].id
    desk.close()
    with pytest.raises(duckdb.ConnectionException):
        samples.query(run, "SELECT 1", {})


MORE = RunMeta(commit="abc", exit_code=0, labels={"a": "not taken", "c": "d"})


def broken(_connection: object, _run: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def amended(home: Path) -> str:
    """Say more of the run; its id."""
    desk = opened(home)
    run = desk.ingest([Upload(RUN, RUN.name)], MORE).run
    assert (run.commit, run.exit_code, run.labels) == ("abc", 0, {"a": "b", "c": "d"})
    desk.close()
    return run.id


def test_amendments_outlive_the_catalog(home: Path) -> None:
    amended(home)
    before = opened(home).service.runs()
    assert rebuilt(home) == 1
    desk = opened(home)
    assert desk.service.runs() == before
    desk.close()


def test_amendments_that_a_crash_kept_from_the_catalog_are_made_up_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = opened(home)
    stale = desk.service.verdict(desk.service.runs()[0].id, "7A")
    assert stale.run.commit is None
    with monkeypatch.context() as patch:
        patch.setattr(catalog, "amend_run", broken)
        with pytest.raises(OSError, match="Input/output error"):
            desk.ingest([Upload(RUN, RUN.name)], MORE)
    assert desk.service.runs()[0].commit is None
    desk.close()
    desk = opened(home)
    assert desk.service.runs()[0].commit == "abc"
    assert desk.service.verdict(stale.run.id, "7A").run.commit == "abc", "it was judged again"
    desk.close()


def test_amendments_that_cannot_be_read_leave_the_run_as_it_was(home: Path) -> None:
    run = amended(home)
    (home / "blocks" / run / "amendments.json").write_bytes(b"{")
    with capture_logs() as logs:
        desk = opened(home)
    assert desk.service.run(run).commit == "abc", "the catalog knows it"
    desk.close()
    assert [line["event"] for line in logs] == ["block left alone"]


def test_a_deleted_run_does_not_come_back(home: Path) -> None:
    desk = opened(home)
    run = desk.service.runs()[0].id
    desk.delete(run, "a test")
    desk.close()
    assert rebuilt(home) == 0
    assert list((home / "blocks").iterdir()) == []


def test_a_deletion_that_broke_off_can_be_asked_for_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = opened(home)
    run = desk.service.runs()[0].id
    with monkeypatch.context() as patch:
        patch.setattr(catalog, "delete_run", broken)
        with pytest.raises(OSError, match="Input/output error"):
            desk.delete(run, "a test")
    desk.close()
    desk = opened(home)
    desk.delete(run, "a test")
    assert desk.service.count() == 0
    desk.close()


def test_a_finished_block_that_is_not_understood_is_not_replaced_by_its_run(home: Path) -> None:
    newer(block(home))
    before = block(home).joinpath("manifest.json").read_bytes()
    with capture_logs():
        assert rebuilt(home) == 0
        desk = opened(home)
    with pytest.raises(StoreError, match="the catalog does not know it"):
        desk.ingest([Upload(RUN, RUN.name)], RunMeta(service="event"))
    assert block(home).joinpath("manifest.json").read_bytes() == before
    assert desk.service.count() == 0
    assert [path.name for path in (home / "spool").iterdir()] == ["uploads"]
    desk.close()
