"""The labelled runs: all there, small, and with only what is needed in them."""

import gzip
import json

import orjson
import pytest

from bench.noisy_backend import Change, Noisy, Pauses
from bench.record_detection import DATA, SERVICES, TAGS, TRUTH, UNCHANGED_FIRST, plan, stripped
from examples.nightbff.backend import ENDPOINTS, Behaviour

POINT = (
    b'{"metric":"http_reqs","type":"Point","data":{"time":"2026-11-21T14:44:02.317270435Z","value":1,'
    b'"tags":{"expected_response":"true","group":"","name":"/a","service":"auth","status":"200","url":"http://h/a"}}}\n'
)
UNCHANGED = Change()
KEPT = (
    b'{"metric":"http_reqs","type":"Point","data":{"time":"2026-11-21T14:44:02.317270435Z","value":1,'
    b'"tags":{"expected_response":"true","name":"/a","service":"auth","status":"200"}}}\n'
)


def test_the_truth_is_the_plan() -> None:
    assert json.loads(TRUTH.read_text()) == json.loads(json.dumps([run.truth() for run in plan()]))


def test_every_run_is_there_and_small() -> None:
    sizes = {path.name.removesuffix(".json.gz"): path.stat().st_size for path in DATA.glob("*.json.gz")}
    assert sorted(sizes) == sorted(run.id for run in plan())
    assert max(sizes.values()) < 60_000
    assert sum(sizes.values()) < 4_000_000


def test_the_first_runs_are_unchanged_and_every_change_has_its_turn() -> None:
    runs = plan()
    assert len(runs) == 62
    assert all(run.version == "unchanged" and not run.shift for run in runs[:UNCHANGED_FIRST])
    assert {factor for run in runs for factor in run.shift.values()} == {1.1, 1.2, 1.4}
    assert {share for run in runs for share in run.err.values()} == {0.01, 0.03}
    assert {kind for run in runs for kind in ("tail", "endpoint") if getattr(run, kind)} == {"tail", "endpoint"}
    assert {run.throughput for run in runs} == {1.0, 0.8}
    assert {service for run in runs for service in run.shift} == set(SERVICES)


def test_a_name_may_have_braces() -> None:
    assert stripped(POINT.replace(b"/a", b"/{id}/a")) == KEPT.replace(b"/a", b"/{id}/a")


def test_every_line_of_every_fifth_run_can_be_read_and_every_service_has_the_tags_it_needs() -> None:
    for path in sorted(DATA.glob("*.json.gz"))[::5]:
        lines = gzip.decompress(path.read_bytes()).splitlines()
        points = [line["data"] for line in map(orjson.loads, lines) if line["type"] == "Point"]
        assert {frozenset(point["tags"]) for point in points} == {frozenset(TAGS)}
        assert {point["tags"]["service"] for point in points} == set(SERVICES)


@pytest.mark.parametrize("line", [b'{"metric":"vus","type":"Point","data":{}}\n', b'{"metric":"http_reqs_own"}\n', b""])
def test_lines_of_other_metrics_are_left_out(line: bytes) -> None:
    assert stripped(line + POINT + line) == KEPT


def noisy(seed: int, change: Change = UNCHANGED) -> list[float]:
    """Latencies of an endpoint, in ms, on a machine without pauses."""
    Noisy.change, Noisy.started, Noisy.pauses = change, 0.0, {"auth": _Never()}
    dice = Noisy(ENDPOINTS[0], Behaviour(), seed)
    return [dice.latency_ms() for _ in range(2000)]


class _Never(Pauses):
    def __init__(self) -> None:
        """No pauses at all."""

    def wait_s(self, now: float) -> float:
        return 0.0 * now


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def test_a_shift_multiplies_every_latency_and_a_seed_fixes_the_noise() -> None:
    shifted, plain = noisy(7, Change(shift={"auth": 1.4})), noisy(7)
    assert median(shifted) / median(plain) == pytest.approx(1.4, rel=0.01)
    assert median(noisy(8)) != pytest.approx(median(plain), rel=1e-6)


def test_a_longer_tail_leaves_the_median_alone() -> None:
    longer, plain = noisy(7, Change(tail={"auth": 2.0})), noisy(7)
    assert median(longer) == pytest.approx(median(plain), rel=0.01)
    assert max(longer) > 1.5 * max(plain)
