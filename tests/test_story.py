"""The programme that Phasegate was made for, told from its recorded runs: what its gates say, and its status report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import demo
from data.model import RunMeta, WaiverRequest
from desk import Desk
from ingest.service import Upload
from reports import text
from reports.terminal import out
from settings import Settings
from slo.service import ConfigSource
from tests.ingesting import Quick

RUNS = demo.FOLDER / "runs"
INDEX = {entry["file"].split(".")[0]: entry for entry in json.loads((RUNS / "index.json").read_text())["runs"]}
FIX = "2.14.14"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(Settings(tmp_path / "var", slo=demo.SLO))
    opened._ingestor = Quick(opened._store)
    yield opened
    opened.close()


def put(desk: Desk, *names: str, version: str | None = None) -> list[str]:
    """Ingest recorded runs, as they were, or as runs of another version; their ids."""
    ids = []
    for name in names:
        entry = INDEX[name]
        files = [RUNS / file for file in (entry["file"], entry["summary"]) if file]
        said = RunMeta(**entry["metadata"], facts={fact: float(value) for fact, value in entry["facts"].items()})
        said = replace(said, phase=None, version=version or said.version)
        ids.append(desk.ingest([Upload(file, file.name) for file in files], said).run.id)
    return ids


def test_a_release_goes_through_its_phases(desk: Desk) -> None:
    ask = desk.service.gate
    put(desk, *(f"{night:02}-healthy" for night in range(8, 12)))
    assert ask("1", "2.14.11").decision == "pass"

    [_, unseeded] = put(desk, "22-event-slow", "17-plan-unseeded")
    shut = ask("7A", "2.14.13")
    assert shut.decision == "fail"
    assert shut.reasons[0].startswith("phase 1 is not passed")
    assert [reason for reason in shut.reasons if reason.startswith("event http_req")] == [
        "event http_req_duration p(95) = 400 ms, target < 250 ms",
        "event http_req_duration{name:/event/search} p(95) = 447 ms, target < 225 ms",
        "event http_req_failed rate = 3.85 %, target < 1.00 %",
    ]
    assert shut.rollback
    event = next(one for one in shut.services if one.service == "event")
    assert (event.met, event.asked, event.checks_passed, event.checks) == (0, 3, 574, 597)

    verdict = desk.service.verdict(unseeded, "1")
    assert verdict.verdict == "inconclusive", "nothing was wrong with the service"
    assert "setup()" in verdict.reasons[0]
    assert "repair what setup() needs" in verdict.next_steps[0]
    assert "`seeded_users >= 10000` 0 >= 10000 does not hold" in ask("1", "2.14.13").reasons

    put(desk, "12-healthy", "28-event", "32-chat", version=FIX)
    assert [ask(phase, FIX).decision for phase in ("1", "7A")] == ["pass", "pass"]
    opening = ask("7B", FIX)
    assert [c.state for c in opening.checks if c.kind == "phase"] == ["met"]
    unmet = [c.about for c in opening.checks if c.state != "met"]
    assert (opening.decision, unmet) == ("inconclusive", ["max(process_resident_memory_bytes)", "coverage"])
    desk.service.waive(
        WaiverRequest(
            "max(process_resident_memory_bytes)", "kim", "no Prometheus here yet", datetime.now(UTC) + timedelta(7)
        )
    )
    assert ask("7B", FIX).decision == "warn", "it opens, and says what was overlooked"


def test_a_command_gives_the_status_report_of_the_programme(desk: Desk) -> None:
    put(desk, "12-healthy", "19-interest-cold", "20-venue-failing", "21-chat-slow", "22-event-slow")
    desk.service._config = ConfigSource([demo.FOLDER / "status-report.yaml"])
    with out.capture() as captured:
        out.print(text.overview(desk.service.overview()))
    told = " ".join(captured.get().split())
    for row in (
        "✓ interest PASS 13.4 ms < 350ms 0.00 %",
        "✕ event FAIL 400 ms < 200ms 3.85 %",
        "! chat WARN 302 ms < 330ms 1.13 %",
        "! venue WARN 35.0 ms < 400ms 4.13 %",
    ):
        assert row in told
    for service in ("user", "plan", "auth"):
        assert re.search(rf"✓ {service} PASS [0-9.]+ ms – 0.00 %", told)
