"""Prometheus is asked at an upload, by hand, and in the background until there is an answer."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import puller
from data.errors import BadRequest, NotFound
from data.model import RunMeta
from desk import Desk, opened
from ingest.service import Upload
from settings import Settings
from slo.model import IngestAnswer
from tests import k6_output
from tests.ingesting import Quick
from tests.misbehaving import OVERLOADED, Answer, Asked, Misbehaving, clock, matrix, misbehaving, vector

SLO = """
version: 1
prometheus: {main: {url: "URL", step: 1s, margin: 1s}}
phases:
  - id: A
    objectives:
      - {service: chat, sli: http_reqs, target: "count > 0"}
      - {service: chat, promql: 'memory{service="$service"}', target: "max < 1KiB"}
"""
META = RunMeta(service="chat", phase="A", test="t", branch="main")


def well(asked: Asked) -> Answer:
    """A Prometheus that knows everything, and it is always 7; only down nothing ever was."""
    if asked.query["query"] == "time()":
        return clock(0)
    query = asked.query["query"]
    if query.endswith("== 0"):
        return matrix()
    always = 20 if query.startswith("count_over_time") else 1 if query.startswith("time()") else 7
    if asked.route.endswith("query"):
        return vector(({}, always), at=float(asked.query["time"]))
    begin, end, step = (float(asked.query[name]) for name in ("start", "end", "step"))
    return matrix(({}, [(begin + n * step, always) for n in range(int((end - begin) // step) + 1)]))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk over a new store, whose worker is no process of its own."""
    slo = tmp_path / "slo.yaml"
    slo.write_text(SLO)
    found = Desk(Settings(home=tmp_path / "store", slo=slo))
    found._ingestor = Quick(found._store)
    yield found
    found.close()


def at(desk: Desk, server: Misbehaving) -> None:
    """Point slo.yaml at a server."""
    assert desk.settings.slo
    desk.settings.slo.write_text(SLO.replace("URL", server.url))


def uploaded(
    desk: Desk, *, seconds_ago: float = 60, prometheus: str | None = None, meta: RunMeta = META
) -> IngestAnswer:
    """Ingest a run of 20 s that began so long ago."""
    began = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    times = [(began + timedelta(seconds=s)).isoformat() for s in range(21)]
    file = desk.settings.home.parent / f"{seconds_ago}-{time.monotonic_ns()}.json"
    file.write_bytes(k6_output.ndjson(*(k6_output.point(1, metric="http_reqs", time=one) for one in times)))
    return desk.ingest([Upload(file, file.name)], meta, prometheus=prometheus)


def states(desk: Desk, run: str) -> list[str]:
    return [one.state for one in desk.service.verdict(run, "A").objectives]


def test_an_upload_is_judged_by_what_prometheus_says(desk: Desk) -> None:
    with misbehaving({"*": [well]}) as server:
        at(desk, server)
        answer = uploaded(desk)
        assert answer.verdict
        assert [one.state for one in answer.verdict.objectives] == ["met", "met"]
        assert answer.notes == ()
        asked = len(server.requests)
        assert uploaded(desk, meta=replace(META, phase=None)).verdict is None
        assert len(server.requests) > asked, "the run of no phase was asked about, too"
    assert b'phasegate_last_pull_timestamp_seconds{source="main"} ' in desk.metrics()


def test_while_it_is_away_the_run_is_stored_and_completed_in_the_background(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(puller, "_FIRST_WAIT_S", 0.0)
    with misbehaving({"*": [OVERLOADED]}) as server:
        at(desk, server)
        answer = uploaded(desk)
    run = answer.run.id
    assert answer.created
    assert "cannot answer now (503)" in answer.notes[0]
    assert states(desk, run) == ["met", "no_data"]
    assert desk.service.verdict(run, "A").verdict == "inconclusive"
    desk.puller.look()
    assert states(desk, run) == ["met", "no_data"], "it is still away"
    with misbehaving({"*": [well]}) as server:
        at(desk, server)
        desk.puller.look()
        assert states(desk, run) == ["met", "met"]
        asked = len(server.requests)
        desk.puller.look()
        assert len(server.requests) == asked, "what was answered is not asked again"


def test_what_is_away_is_asked_ever_more_seldom(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(puller, "monotonic", lambda: now[0])
    monkeypatch.setattr(puller, "_FIRST_WAIT_S", 10.0)
    with misbehaving({"*": [Answer(401)]}) as server:
        at(desk, server)
        uploaded(desk, prometheus="none")
        rounds = []
        for _ in range(60):
            before = len(server.requests)
            desk.puller.look()
            rounds += [now[0]] if len(server.requests) > before else []
            now[0] += 5
    assert rounds == [0, 10, 30, 70, 150]


def test_nobody_is_asked_where_that_is_said(desk: Desk) -> None:
    with misbehaving({"*": [well]}) as server:
        at(desk, server)
        assert uploaded(desk, prometheus="none").notes == ()
        assert server.requests == []
        answer = uploaded(desk, prometheus="other")
        assert answer.created
        assert answer.notes == ("Prometheus was not asked: slo.yaml has no prometheus `other`",)
        assert server.requests == []


def test_a_run_of_long_ago_is_asked_about_by_hand_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with misbehaving({"*": [well]}) as server:
        at(desk, server)
        run = uploaded(desk, prometheus="none").run.id
        monkeypatch.setattr(puller, "DAY", timedelta(0))
        desk.puller.look()
        assert server.requests == []
        assert desk.pull(run).failed == 0
    assert states(desk, run) == ["met", "met"]


def test_a_clock_that_is_off_has_no_data_and_says_so(desk: Desk) -> None:
    def an_hour_ahead(asked: Asked) -> Answer:
        return clock(3600) if asked.query["query"] == "time()" else well(asked)

    with misbehaving({"*": [an_hour_ahead]}) as server:
        at(desk, server)
        answer = uploaded(desk)
    assert "the clock of prometheus `main` is 1:00:00 ahead" in answer.notes[0]
    assert states(desk, answer.run.id) == ["met", "no_data"]


def test_what_cannot_be_asked_is_said(desk: Desk) -> None:
    assert desk.settings.slo
    with misbehaving({"*": [well]}) as server:
        at(desk, server)
        run = uploaded(desk).run.id
        with pytest.raises(NotFound, match="no prometheus `mian`"):
            desk.pull(run, "mian")
        summary = desk.settings.home.parent / "s.json"
        summary.write_text('{"metrics":{"http_reqs":{"count":3,"rate":1}},"root_group":{"checks":{},"groups":{}}}')
        alone = desk.ingest([Upload(summary, "s.json")], META)
        assert "does not say when it was" in alone.notes[0]
        desk.puller.look()
    desk.settings.slo.write_text("version: 1\nphases: [{id: A, objectives: [{sli: m, target: avg < 1}]}]")
    with pytest.raises(BadRequest, match="describes no Prometheus"):
        desk.pull(run)
    desk.settings.slo.write_text("version: 1\n")
    assert uploaded(desk).created, "a slo.yaml that is wrong keeps no run out"


def test_a_server_asks_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(puller, "_IDLE_S", 0.05)
    slo = tmp_path / "slo.yaml"
    slo.write_text(SLO)
    with misbehaving({"*": [well]}) as server, opened(Settings(home=tmp_path / "store", slo=slo)) as desk:
        at(desk, server)
        desk._ingestor = Quick(desk._store)
        run = uploaded(desk, prometheus="none").run.id
        deadline = time.monotonic() + 30
        while states(desk, run) != ["met", "met"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
