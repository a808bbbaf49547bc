import json
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench.make_k6_file import k6_file

SIZE = 20_000_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return k6_file(SIZE, tmp_path_factory.mktemp("k6"))


@pytest.fixture(scope="module")
def lines(made: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in made.read_bytes().splitlines()]


def points(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["type"] == "Point"]


def test_it_has_at_least_the_size_asked_for(made: Path) -> None:
    assert SIZE <= made.stat().st_size < 2 * SIZE


def test_it_is_made_once(made: Path) -> None:
    before = made.stat().st_mtime_ns
    assert k6_file(SIZE, made.parent) == made
    assert made.stat().st_mtime_ns == before


def test_every_metric_is_defined_once(lines: list[dict[str, Any]]) -> None:
    defined = [line["metric"] for line in lines if line["type"] == "Metric"]
    assert len(defined) == len(set(defined))
    assert set(defined) == {line["metric"] for line in points(lines)}


def test_the_copies_are_one_long_run(lines: list[dict[str, Any]]) -> None:
    times = [datetime.fromisoformat(line["data"]["time"]) for line in points(lines)]
    steps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert (times[-1] - times[0]).total_seconds() > 40  # a recording has some 25 s
    assert max(steps) < 5
    assert min(steps) > -1  # k6 writes a little out of order


def test_setup_comes_first_and_teardown_last(lines: list[dict[str, Any]]) -> None:
    groups = [line["data"]["tags"].get("group") for line in points(lines)]
    setup, teardown = groups.count("::setup"), groups.count("::teardown")
    assert setup
    assert teardown
    assert groups[:setup] == ["::setup"] * setup
    assert groups[-teardown:] == ["::teardown"] * teardown


def test_no_copy_has_the_values_of_another(lines: list[dict[str, Any]]) -> None:
    durations = [line["data"]["value"] for line in points(lines) if line["metric"] == "http_req_duration"]
    assert len(set(durations)) > 0.99 * len(durations)
