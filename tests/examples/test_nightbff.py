"""The demo: a backend that behaves as it is told, scripts that fit it, and recorded runs that are all there."""

import gzip
import json
import re
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from examples.nightbff import backend, record
from examples.nightbff.backend import ENDPOINTS, STORIES, Behaviour, Endpoint
from slo.config import load_config

SERVICES = {"auth", "chat", "event", "interest", "notification", "plan", "user", "venue"}
QUICK = dict.fromkeys(SERVICES, 0.01)
SEED = 7

ENTRIES: list[dict[str, Any]] = json.loads(record.INDEX.read_text())["runs"]


def client(behaviour: Behaviour, *, seeded: bool = True) -> TestClient:
    """A backend that answers at once."""
    opened = TestClient(backend.create_app(replace(behaviour, latency=QUICK), SEED))
    if seeded:
        opened.post("/seed", json={"users": 20})
    return opened


def ask(opened: TestClient, endpoint: Endpoint) -> int:
    """Call an endpoint as the scripts do; return the status."""
    created = opened.post(f"/{endpoint.service}", json={}) if "{id}" in endpoint.path else None
    known = created.json()["id"] if created and created.status_code == 201 else f"{endpoint.service}-00001"
    body = {"user_id": "user-00001", "login": "user-00001"} if endpoint.method in {"POST", "PUT"} else None
    return opened.request(endpoint.method, endpoint.path.replace("{id}", known), json=body).status_code


def share(opened: TestClient, path: str, *, of: int) -> float:
    """The share of requests that fail."""
    return sum(opened.get(path).status_code == 503 for _ in range(of)) / of


@pytest.fixture(scope="module")
def healthy() -> TestClient:
    return client(STORIES["healthy"])


def test_all_eight_services_have_endpoints() -> None:
    assert {endpoint.service for endpoint in ENDPOINTS} == SERVICES


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_every_endpoint_answers_when_users_are_seeded(healthy: TestClient, endpoint: Endpoint) -> None:
    assert ask(healthy, endpoint) in {200, 201, 202}


@pytest.mark.parametrize("path", ["/event", "/plan", "/chat/send", "/notification/send", "/user/media"])
def test_a_write_for_a_user_who_was_not_seeded_breaks_the_foreign_key(path: str) -> None:
    answer = client(STORIES["healthy"]).post(path, json={"user_id": "user-99999"})
    assert answer.status_code == 500
    assert answer.json()["code"] == "23503"
    assert answer.json()["detail"] == 'Key (user_id)=(user-99999) is not present in table "user".'


def test_broken_seeding_leaves_no_users() -> None:
    opened = client(STORIES["seeding-broken"], seeded=False)
    assert opened.post("/seed", json={"users": 20}).status_code == 500
    assert opened.get("/healthz").json()["seeded_users"] == 0
    assert opened.post("/plan", json={"user_id": "user-00001"}).json()["code"] == "23503"


def test_the_share_of_failures_is_the_one_asked_for() -> None:
    assert share(client(STORIES["venue-failures"]), "/venue/search", of=200) == pytest.approx(0.04, abs=0.005)
    assert share(client(STORIES["healthy"]), "/venue/search", of=200) == 0


@pytest.mark.parametrize(("story", "hits"), [("healthy", 0.8), ("interest-cache-cold", 0.0)])
def test_a_match_says_whether_the_cache_had_it(story: str, hits: float) -> None:
    opened = client(STORIES[story])
    caches = [opened.get("/interest/match").json()["cache"] for _ in range(100)]
    assert caches.count("hit") / 100 == pytest.approx(hits, abs=0.02)


def test_a_story_slows_one_path_and_leaves_the_others_alone() -> None:
    slowed = {}
    for endpoint in ENDPOINTS:
        story, normal = (backend.Dice(endpoint, STORIES[name], SEED) for name in ("event-search-slow", "healthy"))
        slowed[endpoint.path] = story.latency_ms() / normal.latency_ms()
    assert slowed.pop("/event/search") == pytest.approx(3.0)
    assert list(slowed.values()) == pytest.approx([1.0] * len(slowed))


def test_an_option_overrides_its_story() -> None:
    options = backend.parse(["--story=venue-failures", "--fail=venue=0.5", "--latency=event:/event/search=3.0x"])
    behaviour = backend.behaviour_of(options)
    assert behaviour.fail == {"venue": 0.5}
    assert behaviour.latency == {"event:/event/search": 3.0}


def test_an_option_for_an_unknown_service_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        backend.parse(["--fail=venues=0.5"])
    assert "venues=0.5" in capsys.readouterr().err


def test_the_scripts_name_only_paths_that_the_backend_serves() -> None:
    known = {endpoint.path for endpoint in ENDPOINTS}
    scripts = "".join(path.read_text() for path in (record.HERE / "k6").glob("*.js"))
    named = set(re.findall(r"name: '(/[^']+)'", scripts)) | set(
        re.findall(r"http_req_duration\{name:([^']+)}'", scripts)
    )
    assert named <= known


def test_a_page_tells_of_its_own_service_and_of_templates_of_paths(healthy: TestClient) -> None:
    healthy.get("/venue/venue-00002")
    page = measured(healthy, "venue")
    assert page['http_request_duration_seconds_count{method="GET",path="/venue/{id}",status="200"}'] >= 1
    assert page["process_resident_memory_bytes"] > 1e6
    assert not [name for name in page if "path=" in name and 'path="/venue' not in name]


def test_the_time_measured_is_the_one_slept_away() -> None:
    behaviour = Behaviour(latency={"plan:/plan/city": 5.0})
    opened = TestClient(backend.create_app(behaviour, SEED))
    opened.get("/plan/city")
    seconds = measured(opened, "plan")['http_request_duration_seconds_sum{method="GET",path="/plan/city",status="200"}']
    city = next(endpoint for endpoint in ENDPOINTS if endpoint.path == "/plan/city")
    slept = backend.Dice(city, behaviour, SEED).latency_ms() / 1000
    assert slept - 0.001 <= seconds <= slept + 1, "a machine may be busy, and timers have a grain"


def test_requests_are_counted_by_code_from_0_on() -> None:
    opened = client(STORIES["venue-failures"])
    failed = 'http_requests_total{code="503",method="GET",path="/venue/search"}'
    assert measured(opened, "venue")[failed] == 0
    failures = share(opened, "/venue/search", of=50) * 50
    assert measured(opened, "venue")[failed] == failures > 0


def test_a_handler_that_raises_is_counted_as_the_500_it_becomes() -> None:
    opened = TestClient(backend.create_app(Behaviour(latency=QUICK), SEED), raise_server_exceptions=False)
    assert opened.post("/event", content=b"not JSON").status_code == 500
    assert measured(opened, "event")['http_requests_total{code="500",method="POST",path="/event"}'] == 1
    assert measured(opened, "event")["db_pool_connections_in_use"] == 0


def test_the_cache_says_the_same_to_prometheus_as_to_its_callers() -> None:
    opened = client(STORIES["healthy"])
    caches = [opened.get("/interest/match").json()["cache"] for _ in range(20)]
    page = measured(opened, "interest")
    counted = {result: page[f'cache_requests_total{{result="{result}"}}'] for result in ("hit", "miss")}
    assert counted == {result: caches.count(result) for result in ("hit", "miss")}


def measured(opened: TestClient, service: str) -> dict[str, float]:
    """What a service says of itself, by series."""
    lines = [line for line in opened.get(f"/metrics/{service}").text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines)}


def test_slo_yaml_can_be_read_and_names_all_services() -> None:
    config = load_config(record.HERE / "slo.yaml")
    assert set(config.services) == SERVICES
    assert [phase.id for phase in config.phases] == ["1", "7A", "7B", "8"]


def test_the_index_is_the_whole_history() -> None:
    assert [entry["file"].removesuffix(".json.gz") for entry in ENTRIES] == [run.name for run in record.recordings()]
    files = {name for entry in ENTRIES for name in (entry["file"], entry["summary"]) if name}
    assert files == {path.name for path in record.RUNS.iterdir()} - {record.INDEX.name}


def test_the_recorded_files_are_small_enough_to_clone() -> None:
    assert sum(path.stat().st_size for path in record.RUNS.iterdir()) <= 5_000_000


def test_only_the_run_that_was_killed_is_cut_short_and_has_no_summary() -> None:
    cut = [entry["file"] for entry in ENTRIES if not _ends(record.RUNS / entry["file"])]
    assert cut == [entry["file"] for entry in ENTRIES if entry["summary"] is None] == ["13-auth-cut.json.gz"]


def _ends(path: Path) -> bool:
    stream = zlib.decompressobj(wbits=31)
    stream.decompress(path.read_bytes())
    return stream.eof


NDJSON = b'{"time":"2026-11-21T23:59:59.123456789Z"}\n{"time":"2026-11-22T00:00:01Z"}\n'
MOVED = b'{"time":"2026-11-20T06:00:00.123456789Z"}\n{"time":"2026-11-20T06:00:02Z"}\n'
SIX = datetime(2026, 11, 20, 6, tzinfo=UTC)


def test_moving_the_clock_changes_whole_seconds_only() -> None:
    assert gzip.decompress(record.repacked(gzip.compress(NDJSON), SIX)) == MOVED


def test_repacking_a_stream_that_ends_early_keeps_it_so() -> None:
    noise = b"".join(b"%d %s" % (n, NDJSON) for n in range(20_000))
    cut = record.repacked(gzip.compress(noise)[:-4096], SIX)
    stream = zlib.decompressobj(wbits=31)
    assert stream.decompress(cut).startswith(b"0 " + MOVED[:20])
    assert not stream.eof
