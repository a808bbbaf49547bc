"""A store opens to what it held: whole blocks count, whatever became of the catalog; anything less does not."""

import shutil
from pathlib import Path

import pytest

import demo
from data.errors import StoreError
from data.model import RunMeta
from desk import Desk
from ingest.service import Upload
from settings import Settings

RUN = next((demo.FOLDER / "runs").glob("*event-slow.json.gz"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A closed store with one run."""
    home = tmp_path / "var"
    desk = Desk(Settings(home, slo=demo.SLO))
    desk.ingest([Upload(RUN, RUN.name)], RunMeta(service="event", phase="7A", labels={"a": "b"}))
    desk.close()
    return home


def opened(home: Path) -> Desk:
    return Desk(Settings(home, slo=demo.SLO))


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
