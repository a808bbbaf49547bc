"""Whatever Prometheus does, an upload is stored, and what it did not say is never taken as good."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data.errors import Busy, StoreError
from data.model import RunMeta
from desk import Desk
from ingest.service import Upload
from settings import Settings
from slo.model import IngestAnswer, ObjectiveResult
from tests import misbehaving as bad
from tests.ingest.test_prometheus import WRONG
from tests.ingesting import Quick
from tests.k6_output import ndjson, point
from tests.misbehaving import Answer, misbehaving
from tests.slo.test_promql import unquoted

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
SECONDS = 60
STEPS = [START.timestamp() + s for s in range(0, SECONDS + 1, 5)]
SLO = """\
version: 1
prometheus:
  main: {{url: "{url}", timeout: 1s, scraped: false{more}}}
phases:
  - id: P
    title: Test
    objectives:
      - {{service: event, sli: http_req_duration, target: "avg < 10s"}}
      - {{service: event, promql: 'heat{{service="$service"}}', target: "{target}"}}
"""
HEAT = 'heat{service="event"}'


def k6_file(start: datetime = START) -> bytes:
    times = (start + timedelta(seconds=SECONDS * n / 600) for n in range(600))
    tags: dict[str, object] = {"service": "event", "expected_response": "true", "status": "200"}
    return ndjson(*(point(5 + n % 7, time=one.isoformat(), tags=tags) for n, one in enumerate(times)))


def well(value: float | str = 0.5, **more: object) -> Answer:
    return bad.matrix(({"service": "event"}, [(at, value) for at in STEPS]), **more)


class Prometheus:
    """Well but for one question: the objective's."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = [*answers]

    def __call__(self, asked: bad.Asked) -> Answer:
        promql = asked.query["query"]
        if promql == "time()":
            return bad.clock(0)
        if promql == HEAT:
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return bad.vector() if asked.route.endswith("query") else bad.matrix()


@contextmanager
def desk_over(home: Path, url: str, *, more: str = "", target: str = "p(90) < 1") -> Iterator[Desk]:
    slo = home.parent / "slo.yaml"
    slo.write_text(SLO.format(url=url, more=more, target=target))
    desk = Desk(Settings(home, slo=slo))
    desk._ingestor = Quick(desk._store)
    yield desk
    desk.close()


def ingest(desk: Desk, start: datetime = START, branch: str | None = None) -> IngestAnswer:
    file = desk.settings.home / "r.json"
    file.write_bytes(k6_file(start))
    return desk.ingest([Upload(file, "r.json")], RunMeta(service="event", phase="P", test="search", branch=branch))


def of_prometheus(answer: IngestAnswer) -> ObjectiveResult:
    assert answer.verdict
    (found,) = [one for one in answer.verdict.objectives if one.source]
    return found


def judged(home: Path, script: bad.Script, **more: str) -> IngestAnswer:
    """How an upload is judged while Prometheus answers so; the run is stored, and the k6 objective is met."""
    with misbehaving({"*": script}) as told, desk_over(home, told.url, **more) as desk:
        answer = ingest(desk)
        assert answer.created
        assert desk.service.count() == 1
        assert answer.verdict
        assert desk.service.verdict(answer.run.id, "P").verdict == answer.verdict.verdict
    assert [one.state for one in answer.verdict.objectives if not one.source] == ["met"]
    return answer


def test_a_run_that_prometheus_speaks_well_of_passes(store_home: Path) -> None:
    answer = judged(store_home, [Prometheus(well())])
    assert answer.verdict
    assert (answer.verdict.verdict, of_prometheus(answer).value, answer.notes) == ("pass", 0.5, ())


def test_one_that_it_speaks_ill_of_fails(store_home: Path) -> None:
    answer = judged(store_home, [Prometheus(well(1.5))])
    assert answer.verdict
    assert answer.verdict.verdict == "fail"


def test_an_overload_that_passes_costs_a_moment(store_home: Path) -> None:
    assert of_prometheus(judged(store_home, [Prometheus(bad.OVERLOADED, well())])).state == "met"


SLOW = Answer(after_s=30)
TRICKLE = replace(well(), every_s=0.02)
HISTOGRAM = bad.answered("matrix", [{"metric": {}, "histograms": [[STEPS[0], {}]]}])
TWICE = bad.matrix(({"a": "1"}, [(STEPS[0], 0.5)]), ({"a": "1"}, [(STEPS[0], 0.5)]))
TWO = bad.matrix(*(({"a": a}, [(at, 0.5) for at in STEPS]) for a in "12"))
PART = bad.matrix(({}, [(at, 0.5) for at in STEPS[: len(STEPS) // 2]]))
BEFORE = bad.matrix(({}, [(at - 3600, 0.5) for at in STEPS]))
BAD: dict[str, tuple[Answer, str]] = {
    "slow": (SLOW, "within 1 s"),
    "trickling": (TRICKLE, "within 1 s"),
    "401": (bad.UNAUTHORIZED, r"does not let us in \(401\)"),
    "403": (replace(bad.UNAUTHORIZED, status=403), r"does not let us in \(403\)"),
    "400": (bad.refused(400, "bad_data", "1:4: parse error"), "refuses .*1:4: parse error"),
    "422": (bad.UNPROCESSABLE, "refuses .*many-to-one"),
    "429": (bad.refused(429, "a", "too many"), r"\(429\): too many"),
    "500": (Answer(500), r"\(500\)"),
    "503": (bad.OVERLOADED, r"\(503\): server is shutting down"),
    "half": (bad.half(well()), "does not answer"),
    "redirect": (bad.redirect("http://127.0.0.1:1/"), "sends us elsewhere"),
    "bomb": (bad.bomb(), "64 MiB|within 1 s"),
    "many series": (bad.many(), "50,000 series|within 1 s"),
    "series twice": (TWICE, "same series twice"),
    "two series": (TWO, "gives 2 series"),
    "NaN": (well("NaN"), "only NaN or infinity"),
    "infinity": (well("-Inf"), "only NaN or infinity"),
    "histogram": (HISTOGRAM, "native histograms"),
    "not JSON": (bad.NOT_JSON, "no Prometheus"),
    "warnings": (well(warnings=["1 of 2 stores did not answer"]), "1 of 2 stores did not answer"),
    "nothing": (bad.matrix(), "no such series"),
    "half of the time": (PART, "% of the run's time"),
    "another time": (BEFORE, "in the time of the run"),
}


def assert_unknown(answer: IngestAnswer, cause: str) -> None:
    assert answer.verdict
    assert answer.verdict.verdict == "inconclusive"
    found = of_prometheus(answer)
    assert found.state in {"no_data", "not_evaluable"}
    assert re.search(cause, found.reason), found.reason


@pytest.mark.parametrize(("answer", "cause"), BAD.values(), ids=BAD)
def test_an_objective_that_is_answered_badly_is_unknown_for_that_reason(
    store_home: Path, answer: Answer, cause: str
) -> None:
    assert_unknown(judged(store_home, [Prometheus(answer)]), cause)


AWAY = ("slow", "401", "403", "429", "500", "503", "half", "redirect", "not JSON")


@pytest.mark.parametrize("name", AWAY)
def test_who_answers_everything_badly_makes_it_unknown_for_that_reason(store_home: Path, name: str) -> None:
    answer, cause = BAD[name]
    begun = time.monotonic()
    found = judged(store_home, [answer])
    assert time.monotonic() - begun < 10
    assert_unknown(found, cause)
    assert any(re.search(cause, note) for note in found.notes)
    assert any("prometheus pull" in note for note in found.notes)


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_is_no_answer_makes_it_unknown(store_home: Path, number: int) -> None:
    assert_unknown(judged(store_home, [Prometheus(WRONG[number])]), "rometheus")


def test_who_is_down_or_at_another_time_or_has_no_token_makes_it_unknown(store_home: Path) -> None:
    with desk_over(store_home, "http://127.0.0.1:9") as desk:
        assert_unknown(ingest(desk), "does not answer at http://127.0.0.1:9")
    with misbehaving({"*": [bad.clock(3600)]}) as told, desk_over(store_home, told.url) as desk:
        assert_unknown(ingest(desk, START + timedelta(days=1)), "1:00:00 ahead")
    with desk_over(store_home, "http://127.0.0.1:9", more=", auth: {bearer_env: PHASEGATE_TEST_NOT_SET}") as desk:
        assert_unknown(ingest(desk, START + timedelta(days=2)), "PHASEGATE_TEST_NOT_SET.* is not set")


@pytest.mark.parametrize("stat", ["avg", "min", "med", "max", "p(99)", "last", "increase"])
def test_no_statistic_of_no_numbers_is_met(store_home: Path, stat: str) -> None:
    nothing = judged(store_home, [Prometheus(well("NaN"))], target=f"{stat} < 1")
    assert_unknown(nothing, "in the time of the run")


def test_what_came_too_late_is_judged_when_it_comes(store_home: Path) -> None:
    script = Prometheus(bad.Answer(500), well())
    with misbehaving({"*": [script]}) as told, desk_over(store_home, told.url) as desk:
        answer = ingest(desk)
        assert_unknown(answer, "500")
        asked = desk.pull(answer.run.id)
        assert (asked.asked, asked.failed, asked.open) == (1, 0, 0)
        assert desk.service.verdict(answer.run.id, "P").verdict == "pass"
        assert desk.pull(answer.run.id).asked == 0


def test_who_asks_about_another_run_keeps_no_upload_waiting(store_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("puller.UPLOAD_LIMIT_S", 0.2)
    with misbehaving({"*": [Prometheus(well())]}) as told, desk_over(store_home, told.url) as desk:
        run = ingest(desk).run
        with desk.puller._turn:
            with pytest.raises(Busy):
                desk.puller.pull(run.id, limit_s=0)
            answer = ingest(desk, START + timedelta(days=1))
        assert answer.created
        assert_unknown(answer, "not been asked yet")
        assert any("asked about another run" in note for note in answer.notes)
        desk.pull(answer.run.id)
        assert desk.service.verdict(answer.run.id, "P").verdict == "inconclusive", "it has nothing of that day"


def test_a_slo_yaml_that_is_not_there_is_no_reason_not_to_store(tmp_path: Path) -> None:
    desk = Desk(Settings(tmp_path / "home", slo=tmp_path / "nowhere.yaml"))
    desk._ingestor = Quick(desk._store)
    assert ingest(desk).created
    desk.close()


LOSSES: dict[str, Callable[[Path], object]] = {
    "the list is cut": lambda block: (block / "pulled.json").write_bytes(b"{"),
    "the list is empty": lambda block: (block / "pulled.json").write_bytes(b""),
    "the samples are cut": lambda block: (block / "pulled-0.parquet").write_bytes(b"PAR1"),
    "the samples are gone": lambda block: (block / "pulled-0.parquet").unlink(),
}


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("target", ["p(90) < 1", "p(90) <= +10%"])
def test_what_is_lost_of_one_run_is_told_with_the_way_out_and_no_other_run_suffers(
    store_home: Path, target: str, lose: Callable[[Path], object]
) -> None:
    with misbehaving({"*": [Prometheus(well())]}) as told, desk_over(store_home, told.url, target=target) as desk:
        lost = ingest(desk, branch="main").run.id
        block = store_home / "blocks" / lost
        lose(block)
        later = ingest(desk, START + timedelta(days=1), branch="main")
        assert later.verdict, "it is stored and judged"
        with pytest.raises(StoreError, match=f"pulled.* of block {lost}") as error:
            desk.service.run_view(lost)
        assert "remove pulled.json" in (error.value.help or "")
        (block / "pulled.json").unlink()
        assert desk.pull(lost, everything=True).failed == 0
        assert of_prometheus(replace(later, verdict=desk.service.verdict(lost, "P"))).value == 0.5


def test_a_list_that_was_removed_is_no_answer(store_home: Path) -> None:
    with misbehaving({"*": [Prometheus(well())]}) as told, desk_over(store_home, told.url) as desk:
        answer = ingest(desk)
        (store_home / "blocks" / answer.run.id / "pulled.json").unlink()
        desk._store.amend_run(desk._store.find_run(answer.run.id), RunMeta(service="event", phase="P", version="2"))
        found = replace(answer, verdict=desk.service.verdict(answer.run.id, "P"))
        assert_unknown(found, f"gone from the store: `phasegate prometheus pull {answer.run.id} --everything`")


@pytest.mark.parametrize("odd", ["'", '"} or vector(1) #', "\\", "$window", "東京", "a.b|c"])
def test_an_odd_service_is_asked_about_by_its_name_and_nothing_else(store_home: Path, odd: str) -> None:
    with misbehaving({"*": [Prometheus(well())]}) as told, desk_over(store_home, told.url) as desk:
        file = desk.settings.home / "r.json"
        file.write_bytes(k6_file())
        answer = desk.ingest([Upload(file, "r.json")], RunMeta(service=odd))
        asked = {request.query["query"] for request in told.requests} - {"time()"}
    assert answer.created
    (started,) = [text for text in asked if text.startswith("process_start_time_seconds{")]
    (value,) = re.fullmatch(r'process_start_time_seconds\{service="((?:\\.|[^"\\\n])*)"\}', started).groups()  # type: ignore[union-attr]  # or it fails
    assert unquoted(value) == odd


def test_the_background_asks_until_there_is_an_answer(store_home: Path) -> None:
    script = Prometheus(bad.Answer(500), well())
    with misbehaving({"*": [script]}) as told, desk_over(store_home, told.url) as desk:
        answer = ingest(desk)
        assert_unknown(answer, "500")
        desk.puller.look()
        assert desk.service.verdict(answer.run.id, "P").verdict == "pass"
        asked = len(told.requests)
        desk.puller.look()
        assert len(told.requests) == asked


def test_it_ends_while_it_is_asking(store_home: Path) -> None:
    asking = threading.Event()

    def slow(_: bad.Asked) -> Answer:
        asking.set()
        return SLOW

    with misbehaving({"*": [slow]}) as told, desk_over(store_home, told.url) as desk:
        file = desk.settings.home / "r.json"
        file.write_bytes(k6_file())
        desk.ingest([Upload(file, "r.json")], RunMeta(service="event"), prometheus="none")
        desk.puller.start()
        assert asking.wait(20)
        begun = time.monotonic()
        desk.puller.stop()
        assert time.monotonic() - begun < 5
