"""What a store leaves in its outbox: real runs through the real ingest, and nothing told twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from data.errors import NoSpace
from data.model import RunMeta
from data.store import Store
from slo.documents import from_json
from slo.service import ConfigSource, Service
from slo.telling import Message, title
from tests.ingesting import Bench
from tests.nights import Calls, Nights

SLO = """
version: 1
phases:
  - id: P
    objectives:
      - {service: a, sli: http_req_duration, target: "p(95) < 200ms"}
      - {service: b, sli: http_req_duration, target: "p(95) < 200ms"}
  - id: Q
    objectives:
      - {service: a, sli: http_req_duration, target: "p(95) < 10ms"}
notify:
"""
EVERYTHING = "  - {url_env: LEAD}"


@dataclass
class Outbox:
    """A store whose slo.yaml names receivers, and what waits in its outbox."""

    lab: Nights
    slo: Path
    seen: set[str] = field(default_factory=set)

    def receivers(self, *written: str) -> None:
        self.slo.write_text(SLO + "\n".join(written) + "\n" if written else SLO.replace("notify:\n", ""))

    def run(self, *calls: Calls, **said: str | None) -> str:
        """Store a run."""
        meta = replace(RunMeta(test="nightly", branch="main", phase="P", exit_code=0), **said)  # type: ignore[arg-type]
        return self.lab.put(*calls or (Calls("a"), Calls("b")), meta=meta)

    def night(self, *calls: Calls, **said: str | None) -> list[str]:
        """Store a run and tell of it; the titles of what is new in the outbox."""
        self.lab.service.tell(self.run(*calls, **said), said.get("phase") or "P")
        return self.new()

    def new(self) -> list[str]:
        fresh = [row for row in self.lab.store.notices(1000) if row.id not in self.seen]
        self.seen |= {row.id for row in fresh}
        return sorted(f"{row.receiver}: {title(from_json(Message, row.document))}" for row in fresh)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    store, slo = Store(tmp_path / "store"), tmp_path / "slo.yaml"
    service = Service(store, ConfigSource([slo]), public_url="https://pg.example")
    box = Outbox(Nights(store, Bench(store, tmp_path), service), slo)
    box.receivers(EVERYTHING)
    yield box
    store.close()


SLOW_A, SLOW_B = Calls("a", ms=400), Calls("b", ms=400)


def test_only_changes_are_told_however_many_nights_there_are(outbox: Outbox) -> None:
    assert outbox.night() == [], "a pass that nobody worried about"
    assert outbox.night(SLOW_A, Calls("b")) == ["LEAD: Phase P: a fails"]
    assert outbox.night(SLOW_A, Calls("b")) == []
    assert outbox.night(SLOW_A, SLOW_B) == ["LEAD: Phase P: b fails"]
    assert outbox.night() == ["LEAD: Phase P: a, b recovered"], "one upload is one message"


def test_a_first_state_that_is_no_pass_is_told(outbox: Outbox) -> None:
    assert outbox.night(SLOW_A, SLOW_B) == ["LEAD: Phase P: a, b fail"]


def test_a_message_holds_what_changed_and_leads_to_the_run(outbox: Outbox) -> None:
    outbox.night()
    run = outbox.run(SLOW_A, Calls("b"), commit="abcdef0123", environment=None)
    outbox.lab.service.tell(run, "P")
    (row,) = outbox.lab.store.notices(10)
    told = from_json(Message, row.document)
    (change,) = told.changes
    assert (told.schema, told.kind, told.id) == (1, "services", row.id)
    assert told.link == f"https://pg.example/run?run={run}&phase=P"
    assert (change.subject.service, change.before, change.now, change.run) == ("a", "pass", "fail", run)
    assert change.reason.startswith("http_req_duration p(95) = ")
    assert change.next_step == f"look at the endpoints of a: `phasegate compare {run}`"


def test_another_branch_test_environment_or_phase_does_not_flap_this_one(outbox: Outbox) -> None:
    outbox.night()
    assert outbox.night(SLOW_A, Calls("b"), branch="feature") == [], "a feature branch tells nobody"
    assert outbox.night(SLOW_A, Calls("b"), test="other") == ["LEAD: Phase P: a fails"]
    assert outbox.night(SLOW_A, Calls("b"), environment="ci") == ["LEAD: Phase P: a fails"]
    assert outbox.night(phase="Q") == ["LEAD: Phase Q: a fails"]
    assert outbox.night() == [], "here it was fine all along"


def test_a_branch_that_was_asked_for_tells(outbox: Outbox) -> None:
    outbox.receivers(EVERYTHING, "  - {url_env: TEAM, branches: [feature]}")
    assert outbox.night(SLOW_A, Calls("b"), branch="feature") == ["TEAM: Phase P: a fails"]


def test_each_receiver_hears_what_it_chose(outbox: Outbox) -> None:
    outbox.receivers(
        "  - {url_env: BAD, on: [fail]}", "  - {url_env: B, services: [b]}", "  - {url_env: Q, phases: [Q]}"
    )
    assert outbox.night(SLOW_A, SLOW_B) == ["B: Phase P: b fails", "BAD: Phase P: a, b fail"]
    assert outbox.night() == ["B: Phase P: b recovered"]
    assert outbox.night(SLOW_A, Calls("b")) == ["BAD: Phase P: a fails"], "it failed anew"


def test_nothing_is_written_where_nobody_is_told(outbox: Outbox) -> None:
    outbox.receivers()
    assert outbox.night(SLOW_A, SLOW_B) == []
    outbox.receivers(EVERYTHING)
    assert outbox.night(SLOW_A, SLOW_B) == ["LEAD: Phase P: a, b fail"], "whoever comes later hears of it then"


def test_a_run_that_comes_late_does_not_speak_for_a_newer_one(outbox: Outbox) -> None:
    outbox.night()
    late = outbox.lab.nights
    outbox.night()
    outbox.lab.nights = late - 1  # the evening before the newest
    assert outbox.night(SLOW_A, Calls("b", n=301)) == []


def test_a_service_that_a_run_was_lost_before_is_told_too(outbox: Outbox) -> None:
    outbox.night()
    assert outbox.night(Calls("a")) == ["LEAD: Phase P: a, b cannot be judged"]


def test_the_same_upload_again_tells_nothing(outbox: Outbox) -> None:
    run = outbox.run(SLOW_A, Calls("b"))
    for _ in range(3):
        outbox.lab.service.tell(run, "P")
    assert outbox.new() == ["LEAD: Phase P: a fails"]


def test_what_a_crash_kept_from_the_outbox_is_told_by_the_next_upload(outbox: Outbox) -> None:
    outbox.night()
    outbox.lab.service.verdict(outbox.run(SLOW_A, Calls("b")), "P")  # judged, and then the process died
    assert outbox.night(SLOW_A, Calls("b")) == ["LEAD: Phase P: a fails"]


def test_of_several_uploads_at_once_one_tells_the_change(outbox: Outbox) -> None:
    outbox.night()
    runs = [outbox.run(SLOW_A, Calls("b")) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda run: outbox.lab.service.tell(run, "P"), runs))
    assert outbox.new() == ["LEAD: Phase P: a fails"]


def test_a_gate_is_told_when_its_decision_changes(outbox: Outbox) -> None:
    ask = outbox.lab.service.gate
    ask("P", "2.0")
    assert outbox.new() == [], "without a run there is no gate to speak of"
    outbox.run(SLOW_A, Calls("b"), version="2.0")
    for _ in range(2):
        ask("P", "2.0")
    assert outbox.new() == ["LEAD: Phase P: 2.0 may not enter"]
    outbox.run(version="2.0")
    assert ask("P", "2.0").decision == "pass"
    assert outbox.new() == ["LEAD: Phase P: 2.0 may enter"]
    outbox.run(version="2.1")
    ask("P", "2.1")
    assert outbox.new() == [], "a gate that opens at once is no news"


def test_runs_that_are_still_to_come_are_told_only_of_a_gate_that_was_told_before(outbox: Outbox) -> None:
    outbox.run(Calls("a"), service="a", test="a", version="2.0")
    assert outbox.lab.service.gate("P", "2.0").decision == "inconclusive"
    assert outbox.new() == [], "b's job may still upload"
    outbox.run(Calls("b"), service="b", test="b", version="2.0")
    assert outbox.lab.service.gate("P", "2.0").decision == "pass"
    outbox.slo.write_text(
        outbox.slo.read_text().replace("  - id: Q", '      - {sli: http_reqs, target: "rate > 1/s"}\n  - id: Q')
    )
    assert outbox.lab.service.gate("P", "2.0").decision == "inconclusive"
    assert outbox.new() == ["LEAD: Phase P: it cannot be told whether 2.0 may enter"]


def test_a_gate_asked_by_many_at_once_is_told_once(outbox: Outbox) -> None:
    outbox.run(SLOW_A, Calls("b"), version="2.0")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: outbox.lab.service.gate("P", "2.0"), range(6)))
    assert outbox.new() == ["LEAD: Phase P: 2.0 may not enter"]


def test_a_verdict_stands_though_nobody_can_be_told(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise NoSpace("the disk is full")

    monkeypatch.setattr(outbox.lab.store, "tell", full)
    run = outbox.run(SLOW_A, Calls("b"), version="2.0")
    with capture_logs() as logs:
        outbox.lab.service.tell(run, "P")
        assert outbox.lab.service.gate("P", "2.0").decision == "fail"
    assert [line["event"] for line in logs] == ["change not told"] * 2
    monkeypatch.undo()
    assert outbox.night(SLOW_A, Calls("b")) == ["LEAD: Phase P: a fails"], "later it is"
