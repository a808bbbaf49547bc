"""A run beside its past, asked of the service: baselines, regressions, decisions and history of the demo."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import demo
from data.blocks import file_digest
from data.errors import BadRequest, NotFound
from data.model import RunMeta
from desk import Desk
from ingest.service import Upload
from settings import Settings
from slo.documents import from_json, to_json
from slo.model import Comparison, Verdict
from tests.ingesting import Quick
from tests.k6_output import ndjson, point

RUNS = demo.FOLDER / "runs"
INDEX = {e["file"].removesuffix(".json.gz"): e for e in json.loads((RUNS / "index.json").read_text())["runs"]}
NIGHTS = [name for name in INDEX if name.endswith("-event")]
SLOW = "22-event-slow"


def run_of(name: str) -> str:
    return file_digest(RUNS / f"{name}.json.gz")[:12]


def p95(comparisons: tuple[Comparison, ...], service: str = "event") -> Comparison:
    return next(c for c in comparisons if (c.service, c.sli, c.stat) == (service, "http_req_duration", "p(95)"))


@pytest.fixture(scope="module")
def mornings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the nights of the event service and its slow morning, to be copied."""
    home = tmp_path_factory.mktemp("mornings") / "store"
    desk = Desk(Settings(home=home, slo=demo.SLO))
    desk._ingestor = Quick(desk._store)
    for name in (*NIGHTS, SLOW):
        desk.ingest([Upload(RUNS / f"{name}.json.gz", name)], RunMeta(**INDEX[name]["metadata"]))
    desk.close()
    return home


@pytest.fixture
def desk(mornings: Path, tmp_path: Path) -> Iterator[Desk]:
    """A desk of its own over those runs, for tests that decide."""
    shutil.copytree(mornings, tmp_path / "store")
    made = Desk(Settings(home=tmp_path / "store", slo=demo.SLO))
    made._ingestor = Quick(made._store)
    yield made
    made.close()


def test_a_slow_run_regressed_and_the_verdict_says_against_what(demo_desk: Desk) -> None:
    verdict = demo_desk.service.verdict(run_of(SLOW), "7A")
    assert verdict.baseline is not None
    assert verdict.baseline.kind == "rolling"
    assert list(verdict.baseline.runs) == [run_of(name) for name in reversed(NIGHTS)]
    assert verdict.baseline.oldest_at is not None
    found = p95(verdict.comparisons)
    assert found.state == "regressed"
    assert found.baseline_runs == verdict.baseline.runs
    assert found.change is not None
    assert found.change > 1
    assert any("event http_req_duration p(95) got worse: +" in reason for reason in verdict.reasons)
    assert from_json(Verdict, to_json(verdict)) == verdict


def test_the_healthy_history_never_regressed(demo_desk: Desk) -> None:
    for name in (n for n in INDEX if n.endswith(("-healthy", "-event", "-chat"))):
        verdict = demo_desk.service.verdict(run_of(name), "7A")
        assert {c.state for c in verdict.comparisons} <= {"unchanged", "inconclusive", "improved", "no_baseline"}, name
        assert {f.severity for f in verdict.measurement.findings} <= {"info"}, name


def test_the_first_run_of_a_test_says_that_it_has_no_baseline(demo_desk: Desk) -> None:
    verdict = demo_desk.service.verdict(run_of("01-healthy"), "7A")
    assert verdict.baseline is not None
    assert verdict.baseline.kind == "none"
    assert {c.state for c in verdict.comparisons} == {"no_baseline"}
    assert [f.code for f in verdict.measurement.findings] == ["no_baseline"]


def test_what_cannot_be_believed_is_not_compared_and_enters_no_baseline(demo_desk: Desk) -> None:
    for name in ("17-plan-unseeded", "18-notification-closed-port"):
        verdict = demo_desk.service.verdict(run_of(name), "1")
        assert {c.state for c in verdict.comparisons} == {"not_comparable"}
    held = demo_desk.service.baseline(run_of("14-auth"))
    assert held.kind == "none"
    assert [why for run, why in held.left_out if run == run_of("13-auth-cut")] == ["suspect: aborted, truncated"]


def test_two_runs_are_compared_in_full(demo_desk: Desk) -> None:
    view = demo_desk.service.compare(run_of(SLOW), run_of(NIGHTS[-1]))
    assert view.before is not None
    assert (view.baseline.kind, view.before.id) == ("named", run_of(NIGHTS[-1]))
    assert view.sentence.startswith("Got worse than in 1 run: event")
    assert view.endpoints[0].name == "/event/search"
    assert {e.name for e in view.endpoints} >= {"/event/search", "/event/{id}"}
    (drawn,) = view.distributions
    assert len(drawn.levels) == len(drawn.now_ms) == len(drawn.before_ms)
    assert all(low <= high for low, high in zip(drawn.now_ms, drawn.now_ms[1:], strict=False))
    assert [c.stat for c in view.percentiles] == ["p(10)", "p(25)", "p(50)", "p(75)", "p(90)", "p(95)", "p(99)"]


def test_a_run_is_compared_with_its_baseline_where_no_other_is_named(demo_desk: Desk) -> None:
    view = demo_desk.service.compare(run_of(SLOW))
    assert list(view.baseline.runs) == [run_of(name) for name in reversed(NIGHTS)]
    assert view.comparisons == demo_desk.service.verdict(run_of(SLOW), "7A").comparisons


def test_a_run_is_not_compared_with_itself(demo_desk: Desk) -> None:
    with pytest.raises(BadRequest, match="not compared with itself"):
        demo_desk.service.compare(run_of(SLOW), run_of(SLOW))


def test_a_run_against_the_same_requests_is_unchanged(demo_desk: Desk) -> None:
    view = demo_desk.service.compare(run_of(NIGHTS[0]), run_of(NIGHTS[1]))
    assert not [c for c in view.comparisons if c.state in {"regressed", "improved"}]


def test_an_invalidated_run_leaves_the_baseline_until_it_is_restored(desk: Desk) -> None:
    night, slow = run_of(NIGHTS[2]), run_of(SLOW)
    before = desk.service.verdict(slow, "7A")
    desk.decide(night, "invalidated", "backup ran")
    verdict = desk.service.verdict(slow, "7A")
    assert verdict.baseline is not None
    assert night not in verdict.baseline.runs
    assert (night, "invalidated: backup ran") in verdict.baseline.left_out
    desk.decide(night, "restored", "it did not matter")
    again = desk.service.verdict(slow, "7A")
    assert (again.baseline, again.comparisons) == (before.baseline, before.comparisons)
    assert [d.kind for d in desk.service.decisions(night)] == ["restored", "invalidated"]


def test_a_pinned_run_is_what_later_runs_are_held_against(desk: Desk) -> None:
    night, slow = run_of(NIGHTS[0]), run_of(SLOW)
    desk.decide(night, "pinned", "release 2.14.7")
    held = desk.service.baseline(slow)
    assert (held.kind, held.runs, held.reason) == ("pinned", (night,), "release 2.14.7")
    assert p95(desk.service.verdict(slow, "7A").comparisons).state == "regressed"
    desk.decide(night, "released", "a newer one is out")
    assert desk.service.baseline(slow).kind == "rolling"


def test_a_new_level_is_accepted_by_beginning_the_baseline_with_it(desk: Desk) -> None:
    slow = run_of(SLOW)
    desk.decide(slow, "started", "search has more to search from now on")
    verdict = desk.service.verdict(slow, "7A")
    assert verdict.baseline is not None
    assert (verdict.baseline.kind, verdict.baseline.reason) == ("none", "search has more to search from now on")
    assert {c.state for c in verdict.comparisons} == {"no_baseline"}


def test_a_run_that_cannot_be_believed_is_no_baseline(desk: Desk) -> None:
    cut = desk.ingest([Upload(RUNS / "13-auth-cut.json.gz", "r")], RunMeta(**INDEX["13-auth-cut"]["metadata"])).run.id
    for kind in ("pinned", "started"):
        with pytest.raises(BadRequest, match="cannot be a baseline, it is suspect: aborted, truncated"):
            desk.decide(cut, kind, "by mistake")


def test_the_verdict_of_an_invalidated_run_says_so(desk: Desk) -> None:
    desk.decide(run_of(SLOW), "invalidated", "backup ran")
    assert desk.service.verdict(run_of(SLOW), "7A").notes[0].startswith("this run was invalidated: backup ran")


def night(folder: Path, number: int, factor: float) -> Upload:
    """A run of one service, ``factor`` times as slow as it is, give or take a little from night to night."""
    random = Random(number)
    slower = factor * math.exp(random.gauss(0, 0.03))
    tags: dict[str, object] = {"service": "a", "name": "/x", "method": "GET", "scenario": "default"}
    lines = []
    for second in range(30):
        at = f"2026-10-{number + 1:02}T03:00:{second:02}.5Z"
        for _ in range(10):
            lines.append(point(30 * slower * math.exp(random.gauss(0, 0.3)), time=at, tags=tags))
            lines += [point(1, metric=metric, time=at, tags=tags) for metric in ("http_reqs", "iterations")]
    path = folder / f"night-{number}.json"
    path.write_bytes(ndjson(*lines))
    return Upload(path, path.name)


def test_a_regression_stays_one_night_after_night_until_it_is_accepted(tmp_path: Path) -> None:
    desk = Desk(Settings(home=tmp_path / "store", slo=demo.SLO))
    desk._ingestor = Quick(desk._store)
    runs = []
    for number in range(11):
        meta = RunMeta(test="nightly", branch="main", commit=f"c{number}", exit_code=0)
        runs.append(desk.ingest([night(tmp_path, number, 1.0 if number < 6 else 1.5)], meta).run.id)
    states = [p95(desk.service.compare(run).comparisons, "a").state for run in runs]
    assert states[6:] == ["regressed"] * 5
    assert "regressed" not in states[:6]
    held = desk.service.baseline(runs[-1])
    assert list(held.runs) == runs[5::-1]
    assert dict(held.left_out) == dict.fromkeys(runs[9:5:-1], "it got worse, and nobody has accepted it")
    desk.decide(runs[7], "started", "more to do from now on")
    assert list(desk.service.baseline(runs[-1]).runs) == runs[9:6:-1]
    assert p95(desk.service.compare(runs[-1]).comparisons, "a").state in {"inconclusive", "unchanged"}
    shift = next(s for s in desk.service.history("a").slis if s.stat == "p(95)").shifts[0]
    assert (shift.last_before.run_id, shift.first_after.run_id, shift.direction) == (runs[5], runs[6], "worse")
    desk.close()


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_decision_needs_a_reason_and_a_run(desk: Desk, reason: str) -> None:
    with pytest.raises(BadRequest, match="has a reason"):
        desk.decide(run_of(SLOW), "pinned", reason)
    with pytest.raises(NotFound):
        desk.decide("ffffffffffff", "pinned", "because")
    assert desk.service.decisions() == ()


def test_the_history_of_a_service_is_over_the_runs_of_its_newest_test(demo_desk: Desk) -> None:
    history = demo_desk.service.history("event", "7A")
    assert (history.test, history.branch, history.runs) == ("event-crud", "main", len(NIGHTS) + 1)
    latency = next(s for s in history.slis if (s.sli, s.stat) == ("http_req_duration", "p(95)"))
    assert [point.run_id for point in latency.points] == [run_of(name) for name in (*NIGHTS, SLOW)]
    assert [point.state for point in latency.points] == ["met"] * len(NIGHTS) + ["missed"]
    assert latency.target == "p(95) < 250ms"
    other = demo_desk.service.history("event", test="mobile-app-comprehensive")
    assert other.runs == 12


def test_the_history_of_nobody_is_an_error(demo_desk: Desk) -> None:
    with pytest.raises(NotFound, match="no run of nobody"):
        demo_desk.service.history("nobody")


def test_a_store_without_slo_yaml_compares_all_the_same(tmp_path: Path) -> None:
    desk = Desk(Settings(home=tmp_path / "store", slo=tmp_path / "none.yaml"))
    desk._ingestor = Quick(desk._store)
    for name in (*NIGHTS[-3:], SLOW):
        desk.ingest([Upload(RUNS / f"{name}.json.gz", name)], RunMeta(test="t", branch="main"))
    view = desk.service.compare(run_of(SLOW))
    assert p95(view.comparisons).state == "regressed"
    assert desk.service.history("event").phase is None
    desk.close()
