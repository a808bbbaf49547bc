"""What a recorded run was made of."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from data.blocks import file_digest
from demo import FOLDER
from desk import Desk
from slo.rules.against import find_against
from slo.shape import Shape, shape_of
from tests.builders import record, requests, series

RUNS = FOLDER / "runs"
HEALTHY = [entry for entry in json.loads((RUNS / "index.json").read_text())["runs"] if "healthy" in entry["file"]]


@pytest.fixture(scope="module")
def healthy(demo_desk: Desk) -> list[Shape]:
    """The shapes of the healthy history, oldest first."""
    return [shape_of(demo_desk._store.record(file_digest(RUNS / entry["file"])[:12])) for entry in HEALTHY]


def test_a_recorded_run_has_the_shape_of_its_script(healthy: list[Shape]) -> None:
    shape = healthy[0]
    assert shape.services == {"auth", "chat", "event", "interest", "notification", "plan", "user", "venue"}
    assert len(shape.endpoints) == 26
    assert ("venue", "POST", "/venue/{id}/checkin") in shape.endpoints
    assert {"::event::crud", "::event::search"} <= shape.groups
    assert "session active" in shape.checks
    assert shape.scenarios == {"people"}
    assert shape.tags == {"flow=meet"}
    assert {"http_req_duration: p(95)<200", "http_req_duration{service:auth}: p(95)<30"} <= shape.thresholds
    assert shape.has_summary
    assert shape.has_teardown


def test_a_recorded_runs_load_is_without_its_setup(healthy: list[Shape]) -> None:
    shape = healthy[0]
    assert (shape.requests, shape.setup_requests, shape.iterations, shape.vus) == (2640, 1, 80, 20)
    assert shape.load_s == pytest.approx(21.6, abs=0.1)
    assert shape.work_ms == pytest.approx(3510, abs=1), "its sleeps"


def test_healthy_runs_of_one_script_differ_in_nothing(healthy: list[Shape]) -> None:
    assert len(healthy) == 12
    assert not any(find_against(run, (before,)) for before, run in pairwise(healthy))
    assert not any(find_against(run, healthy[:at][::-1]) for at, run in enumerate(healthy))


def test_a_run_without_samples_has_next_to_no_shape() -> None:
    shape = shape_of(record())
    assert (shape.requests, shape.iterations, shape.load_s, shape.work_ms) == (0, 0, 0.0, None)
    assert not shape.endpoints


def test_work_is_what_an_iteration_lasts_beyond_its_requests() -> None:
    iterations = replace(series("iteration_duration", 10), sum=500.0)
    waited = [replace(s, sum=300.0) if s.metric == "http_req_duration" else s for s in requests(20, name="/a")]
    assert shape_of(record(iterations, *waited)).work_ms == 20.0
