"""A store opens to what it held: whole blocks count, whatever became of the catalog; anything less does not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from structlog.testing import capture_logs

import demo
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
    assert damaged.value.help == "ingest the run again"
    desk.close()


def test_the_spans_of_a_group_do_not_depend_on_what_else_is_asked(home: Path) -> None:
    desk = opened(home)
    record = desk._store.record(desk.service.runs()[0].id)
    ids = [one.id for one in record.series if one.metric == "http_req_duration"]
    groups = {"one": ids[:1], "all": [one.id for one in record.series]}
    both = desk._store.samples.spans(record.run.id, groups, dict.fromkeys(groups, 100.0))
    alone = desk._store.samples.spans(record.run.id, {"one": ids[:1]}, {"one": 100.0})
    assert sorted(alone["one"], key=repr) == sorted(both["one"], key=repr)
    desk.close()


def test_a_closed_store_answers_nothing_more(home: Path) -> None:
    desk = opened(home)
    samples, run = desk._store.samples, desk.service.runs()[0].id
    desk.close()
    with pytest.raises(duckdb.ConnectionException):
        samples.query(run, "SELECT 1", {})
