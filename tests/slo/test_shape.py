"""What a recorded run was made of."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from data.blocks import file_digest
from data.model import RunMeta
from demo import FOLDER
from desk import Desk
from slo.documents import from_json, to_json
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
    assert {("group", "::event::crud"), ("group", "::event::search"), ("check", "session active")} <= shape.steady
    assert {part for part in shape.parts if part[0] in {"scenario", "tag"}} == {
        ("scenario", "people"),
        ("tag", "flow=meet"),
    }
    assert {("http_req_duration", "p(95)<200"), ("http_req_duration{service:auth}", "p(95)<30")} <= shape.thresholds
    assert shape.tells_thresholds
    assert shape.has_teardown


def test_a_recorded_runs_load_is_without_its_setup(healthy: list[Shape]) -> None:
    shape = healthy[0]
    (people,) = shape.flows
    assert (shape.requests, shape.iterations) == (people.requests, people.iterations) == (2640, 80)
    assert shape.load_s == people.span_s == pytest.approx(21.6, abs=0.1)
    assert people.users == pytest.approx(18.5, abs=0.1), "twenty, but for what they had not finished"
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


@pytest.mark.parametrize("other", ["ws_session_duration", "browser_http_req_duration", "grpc_streams"])
def test_work_is_not_known_where_an_iteration_waits_for_more_than_requests(other: str) -> None:
    iterations = replace(series("iteration_duration", 10), sum=500.0)
    assert shape_of(record(iterations, *requests(20), series(other))).work_ms is None


def test_a_scenario_has_a_load_of_its_own() -> None:
    buying = [*requests(60, scenario="buy", name="/a"), replace(series("iterations", 20, scenario="buy"), sum=20.0)]
    lasted = replace(series("iteration_duration", 20, scenario="buy"), sum=40_000.0)
    browse, buy = shape_of(record(*buying, lasted, *requests(scenario="browse", name="/a"))).flows
    assert (browse.requests, browse.iterations, browse.per_iteration) == (100, 0, 0.0)
    assert (buy.scenario, buy.per_s, buy.users, buy.per_iteration) == ("buy", 1.0, 2.0, 3.0)


def test_what_comes_up_once_in_each_iteration_is_not_seldom() -> None:
    once = [*requests(1, name="/a"), series("iterations", 1)]
    assert not shape_of(record(*once)).seldom
    seldom = [*requests(5, name="/a"), *requests(95, name="/b"), series("iterations", 95)]
    assert shape_of(record(*seldom)).seldom == {("endpoint", "", "", "/a")}


def test_the_tags_of_the_whole_run_are_those_of_its_beat() -> None:
    found = shape_of(record(series("vus", 9, region="eu", build="7"), *requests(region="eu", build="7", flow="x")))
    assert found.run_tags == {"region=eu"}
    assert {part for part in found.parts if part[0] == "tag"} == {("tag", "flow=x")}


def test_a_service_is_the_tag_or_what_was_said_at_upload() -> None:
    found = shape_of(record(*requests(name="/a"), *requests(name="/b", service="event"), meta=RunMeta(service="chat")))
    assert found.endpoints == {("chat", "", "/a"), ("event", "", "/b")}
    assert found.services == {"chat", "event"}


def test_a_shape_is_kept_as_json() -> None:
    shape = shape_of(record(*requests(name="/a"), series("iterations"), series("vus", 9, region="eu")))
    assert from_json(Shape, to_json(shape)) == shape


def test_the_beat_of_a_recorded_run_is_steady(demo_desk: Desk) -> None:
    store = demo_desk._store
    run = store.record(file_digest(RUNS / "04-healthy.json.gz")[:12])
    assert shape_of(run).off_beat_ms is None
    assert shape_of(run, store.samples).off_beat_ms == pytest.approx(0.487, abs=0.001), "with one stumble of 88 ms"
