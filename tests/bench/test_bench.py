"""The benchmark itself works; how fast anything is, is not asked here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.project import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    options = ["ingest", "serving", "--bytes=20000000", "--rounds=1", "--idle=1.5", f"--results={folder}", "--json"]
    command = [sys.executable, "-m", "bench", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_every_engine_reads_the_same_samples(found: dict[str, Any]) -> None:
    engines = found["ingest"]["engines"]
    assert engines.keys() == {"phasegate", "duckdb-read", "duckdb-scan", "chdb", "polars", "python"}
    assert {engine["points"] for engine in engines.values()} == {found["ingest"]["points"]}
    assert all(engine["total_s"] > 0 and engine["peak_bytes"] > 10_000_000 for engine in engines.values())


def test_ingest_is_measured_to_the_verdict(found: dict[str, Any]) -> None:
    ingest = found["ingest"]
    assert ingest["seconds"] > 0
    assert 0 < ingest["block_bytes"] < ingest["file_bytes"]
    assert 0 < ingest["verdict_read_ms"] < 1000 * ingest["seconds"]
    assert len(ingest["bars"]) == 4


def test_every_route_answers_idle_and_during_the_upload(found: dict[str, Any]) -> None:
    serving = found["serving"]
    assert serving["idle"].keys() == serving["busy"].keys()
    answered = [*serving["idle"].values(), *serving["busy"].values()]
    assert all(route["requests"] > 0 and route["failed"] == 0 for route in answered)
    assert serving["tree_peak_bytes"] > serving["server_peak_bytes"] > 0


def test_what_was_found_is_kept_and_nothing_else(found: dict[str, Any], folder: Path) -> None:
    kept = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("ingest", "serving")}
    assert kept == found
    assert len(list(folder.iterdir())) == len(kept) + 1  # and the k6 file
