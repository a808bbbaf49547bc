"""What k6 writes of tests of all kinds, read as it is read: healthy ones are not doubted, and broken ones are."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from data.model import RunMeta
from data.store import Store
from slo.findings import find
from slo.model import Finding
from slo.rules.against import find_against
from slo.shape import shape_of
from tests.builders import START
from tests.ingesting import Bench
from tests.k6_output import csv, definition, point

KINDS = {
    "http_reqs": "counter", "http_req_failed": "rate", "iterations": "counter", "iteration_duration": "trend",
    "checks": "rate", "data_received": "counter", "http_req_receiving": "trend", "http_req_blocked": "trend",
    "vus": "gauge", "grpc_req_duration": "trend", "ws_session_duration": "trend", "ws_msgs_sent": "counter",
    "http_req_duration": "trend", "browser_http_req_duration": "trend", "kafka_writer_message_count": "counter",
}  # fmt: skip
Lines = list[str]
Request = tuple[str, float]
"""Name, and what it takes in ms."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("artefacts")
    store = Store(folder / "store")
    yield Bench(store, folder)
    store.close()


def at(s: float) -> str:
    return (START + timedelta(seconds=s)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def sample(metric: str, value: float, s: float, tags: Mapping[str, Any]) -> str:
    return point(value, metric=metric, time=at(s), tags=dict(tags))


def request(name: str, ms: float, s: float, **tags: str) -> Lines:
    """What k6 writes of a request that ends at a time; it is answered with 200 unless tags say otherwise."""
    tags = {"name": name, "method": "GET", "status": "200", "expected_response": "true", "group": ""} | tags
    values = {
        "http_reqs": 1, "http_req_failed": float(tags["expected_response"] == "false"), "http_req_duration": ms,
        "http_req_receiving": 0.1, "http_req_blocked": 0.01,
    }  # fmt: skip
    return [sample(metric, value, s, tags) for metric, value in values.items()]


def iteration(s: float, lasted_ms: float, *inside: str, bytes_received: int = 500, **tags: str) -> Lines:
    """What k6 writes when an iteration ends, after what it wrote of what happened in it."""
    values = {"iterations": 1, "iteration_duration": lasted_ms, "data_received": bytes_received}
    return [*inside, *(sample(metric, value, s, {"group": "", **tags}) for metric, value in values.items())]


def users(n: int, load_s: float, *calls: Request, sleep_ms: float = 100, start_s: float = 0, **tags: str) -> Lines:
    """So many users who make these calls, one after the other, and sleep, for as long as the load lasts."""
    own: dict[str, Any] = {"scenario": "default"} | tags
    lasted_ms = sum(ms for _, ms in calls) + sleep_ms
    lines: Lines = []
    for user in range(n):
        s = start_s + user * 0.01
        while s + lasted_ms / 1000 <= start_s + load_s:
            ended, inside = s, Lines()
            for name, ms in calls:
                ended += ms / 1000
                inside += request(name, ms, ended, **own)
            s += lasted_ms / 1000
            lines += iteration(s, lasted_ms, *inside, **own)
    return lines


def beats(load_s: int, late_ms: Iterable[float] = (), **tags: str) -> Lines:
    """k6's count of its users once a second."""
    late = [*late_ms] or [0.0] * load_s
    return [sample("vus", 2, s + 1 + late[s % len(late)] / 1000, tags) for s in range(load_s)]


def file(*lines: str) -> bytes:
    known = [definition(metric, kind) for metric, kind in KINDS.items() if any(f'"{metric}"' in line for line in lines)]
    return "".join(f"{line}\n" for line in (*known, *lines)).encode()


def found(bench: Bench, run: bytes, *before: bytes, exit_code: int | None = 0) -> list[Finding]:
    """All that is found in a run beside those before it, the newest first."""
    meta = RunMeta(exit_code=exit_code)
    records = [bench.record(one, meta=meta) for one in (run, *before)]
    now, *past = [shape_of(one, bench.store.samples) for one in records]
    return [*find(records[0]).findings, *find_against(now, past)]


def codes(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(f.code, f.severity) for f in findings]


USUAL = [("/a", 50.0), ("/b", 30.0)]


def test_a_test_that_goes_on_as_before_is_not_doubted(bench: Bench) -> None:
    last, now = (users(2, 10, ("/a", ms), ("/b", 30)) for ms in (50, 52))
    assert found(bench, file(*now), file(*last)) == []


def test_a_faster_service_gets_more_load_from_the_same_users(bench: Bench) -> None:
    last, now = (users(2, 10, ("/a", ms), sleep_ms=10) for ms in (80, 40))
    assert found(bench, file(*now), file(*last)) == []


def test_a_slower_service_gets_less_load_from_the_same_users(bench: Bench) -> None:
    last, now = (users(2, 10, ("/a", ms), sleep_ms=10) for ms in (40, 80))
    assert codes(found(bench, file(*now), file(*last))) == [("load_not_delivered", "suspect")]


def test_requests_without_a_service_are_weighed_together(bench: Bench) -> None:
    lines = users(1, 10, *USUAL) + request("/metrics", 0, 5, status="0", error_code="1212", expected_response="false")
    assert found(bench, file(*lines)) == []


def test_a_very_short_smoke_test_is_enough_to_miss_an_endpoint(bench: Bench) -> None:
    calls = [("/a", 20.0), ("/b", 20.0), ("/c", 20.0), ("/d", 20.0), ("/e", 20.0), ("/f", 20.0), ("/g", 20.0)]
    once = [file(*users(1, 0.3, *calls[:n])) for n in (7, 6)]
    assert found(bench, once[0], once[0]) == []
    assert codes(found(bench, once[1], once[0])) == [("endpoint_missing", "suspect")]


def test_a_branch_that_is_seldom_taken_may_not_be_taken(bench: Bench) -> None:
    seldom = [*users(2, 10, *USUAL), *request("/seldom", 20, 4, scenario="default", kind="odd", group="::odd")]
    without = file(*users(2, 10, *USUAL))
    assert found(bench, without, file(*seldom)) == []
    assert found(bench, file(*seldom), without) == []


def test_requests_side_by_side_say_nothing_of_the_generator(bench: Bench) -> None:
    def batches(ms: float) -> bytes:
        ends = [0.2 * n for n in range(1, 50)]
        lines = [(s, [*request("/a", ms, s, scenario="d"), *request("/b", ms, s, scenario="d")]) for s in ends]
        return file(*(line for s, inside in lines for line in iteration(s, ms + 5, *inside, scenario="d")))

    assert found(bench, batches(60), batches(100)) == []


@pytest.mark.parametrize(
    ("metric", "tags"),
    [
        ("ws_session_duration", {"url": "ws://h/chat", "status": "101"}),
        ("grpc_req_duration", {"name": "h:1/pkg.Chat/Say", "method": "/pkg.Chat/Say", "status": "0"}),
        ("browser_http_req_duration", {"name": "https://h/", "method": "GET", "status": "200"}),
        ("kafka_writer_message_count", {"topic": "events"}),
    ],
)
def test_a_test_without_http_is_not_doubted_however_slow(bench: Bench, metric: str, tags: dict[str, str]) -> None:
    def lines(ms: float) -> bytes:
        ends = [0.5 * n for n in range(1, 30)]
        inside = [(s, sample(metric, ms, s, {"scenario": "d", "group": "", **tags})) for s in ends]
        return file(*(line for s, own in inside for line in iteration(s, ms + 1, own, scenario="d")))

    assert found(bench, lines(450), lines(100)) == []


def test_a_protocol_that_k6_does_not_time_is_seen_by_its_bytes_or_its_checks(bench: Bench) -> None:
    checked = [
        line
        for n in range(1, 20)
        for line in iteration(n, 10, sample("checks", 1, n, {"check": "got it", "group": ""}), bytes_received=0)
    ]
    assert found(bench, file(*checked)) == []
    assert found(bench, file(*(line for n in range(1, 20) for line in iteration(n, 10)))) == []
    idle = [line for n in range(1, 20) for line in iteration(n, 10, bytes_received=0)]
    assert codes(found(bench, file(*idle))) == [("no_requests", "invalid")]


def test_grpc_calls_that_fail_are_a_storm(bench: Bench) -> None:
    tags = {"name": "h:1/pkg.Chat/Say", "method": "/pkg.Chat/Say", "service": "pkg.Chat", "scenario": "d"}
    calls = [sample("grpc_req_duration", 5, s, {**tags, "status": "14" if s > 3 else "0"}) for s in range(1, 12)]
    (storm,) = found(bench, file(*calls))
    assert (storm.code, storm.severity, storm.service) == ("error_storm", "suspect", "pkg.Chat")
    assert "8 of 11 requests to pkg.Chat failed, 8 of them with gRPC status 14, from 3.0 s on" in storm.message


def test_scenarios_are_compared_each_on_its_own(bench: Bench) -> None:
    def mixed(browsing_s: float, buying: list[Request]) -> bytes:
        browsing = users(2, browsing_s, ("/a", 50), scenario="browse")
        return file(*browsing, *users(2, 20, *buying, scenario="buy"), *iteration(3, 900, scenario="chaos"))

    whole = mixed(20, [("/a", 50), ("/b", 30)])
    assert found(bench, whole, whole) == []
    assert codes(found(bench, mixed(20, [("/a", 80)]), whole)) == [
        ("script_error", "suspect"), ("endpoint_missing", "suspect"),
    ]  # fmt: skip


def ramping(load_s: int) -> Lines:
    """Ever more arrivals, whatever the service does."""
    ends = [second + i / (second + 1) for second in range(load_s) for i in range(second + 1)]
    return [line for s in ends for line in iteration(s, 60, *request("/a", 50, s, scenario="d"), scenario="d")]


def test_a_ramp_is_compared_with_the_same_ramp(bench: Bench) -> None:
    whole, cut = file(*ramping(20)), file(*ramping(12))
    assert found(bench, whole, whole) == []
    assert ("aborted", "suspect") in codes(found(bench, cut, whole))
    assert all(f.severity != "invalid" for f in found(bench, cut, whole))


def test_a_file_that_ends_at_a_line_and_nothing_else_is_cut_beside_its_past(bench: Bench) -> None:
    whole = users(2, 20, *USUAL)
    by_time = sorted(whole, key=lambda line: line.split('"time": "')[1][:26])
    alone = codes(found(bench, file(*by_time[: len(by_time) // 3]), exit_code=None))
    beside = codes(found(bench, file(*by_time[: len(by_time) // 3]), file(*whole), exit_code=None))
    assert alone == [("end_unknown", "info")]
    assert beside == [("end_unknown", "info"), ("aborted", "suspect")]


def test_tags_that_say_which_run_it_is_change_no_definition(bench: Bench) -> None:
    def tagged(build: str, region: str = "eu") -> bytes:
        own: dict[str, Any] = {"build_number": build, "region": region}
        return file(*users(2, 5, *USUAL, version=f"1.{build}", **own), *beats(5, **own))

    assert codes(found(bench, tagged("3"), tagged("2"), tagged("1"))) == []
    assert codes(found(bench, tagged("3", "us"), tagged("2"), tagged("1"))) == [("definition_changed", "info")]


def test_names_with_ids_in_them_are_told_once_and_nothing_is_missed(bench: Bench) -> None:
    def each(first: int) -> bytes:
        ends = [(n, n / 10) for n in range(1, 60)]
        own = [(s, request(f"http://h/event/{first + n}", 20, s, scenario="d")) for n, s in ends]
        return file(*(line for s, inside in own for line in iteration(s, 30, *inside, scenario="d")))

    assert codes(found(bench, each(1000), each(0))) == [("cardinality", "info")]


def test_a_service_that_goes_down_under_load_is_not_one_that_was_never_there(bench: Bench) -> None:
    up = users(2, 4, *USUAL, service="event")
    refused: dict[str, Any] = {
        "status": "0",
        "error_code": "1212",
        "error": "dial: connection refused",
        "expected_response": "false",
    }
    down = users(2, 8, ("/a", 0), ("/b", 0), start_s=4, service="event", **refused)
    (lost,) = found(bench, file(*up, *down))
    assert (lost.code, lost.severity, lost.service) == ("unreachable", "suspect", "event")
    assert codes(found(bench, file(*down))) == [("unreachable", "invalid")]


def test_a_generator_under_a_quota_stumbles_all_the_time_and_a_busy_one_now_and_then(bench: Bench) -> None:
    load = users(2, 12, *USUAL)
    now_and_then = file(*load, *beats(12, [0, 0, 0, 0, 0, 88.0]))
    always = file(*load, *beats(12, [0.0, 61.0, 42.0, 5.0]))
    assert found(bench, now_and_then) == []
    assert codes(found(bench, always)) == [("generator_starved", "suspect")]


def test_a_csv_beside_an_ndjson_misses_nothing(bench: Bench) -> None:
    written = file(*users(1, 4, ("/a", 50))).replace(b'"thresholds":[]', b'"thresholds":["avg<500"]')
    began = int(START.timestamp())
    rows = [
        f"{metric},{began + s},{value},,,,true,,GET,/a,HTTP/1.1,default,,200,,,http://h/a,,"
        for s in range(4)
        for metric, value in (("http_reqs", 7), ("http_req_duration", 50), ("iterations", 7))
        for _ in range(7 if metric == "http_reqs" else 1)
    ]
    assert [f for f in found(bench, csv(*rows), written) if f.code == "thresholds_weakened"] == []
