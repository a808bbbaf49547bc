"""May a version enter a phase? Asked of real runs through the real ingest; nothing that is missing ever passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data.errors import BadRequest, NotFound
from data.facts import Fact
from data.model import Decision, RunMeta, Waiver, WaiverRequest
from data.store import Store
from reports.answer import of_gate, of_verdict
from slo.gate import waivers_on
from slo.gate_model import GateDecision
from slo.model import Finding, Measurement
from slo.service import ConfigSource, Service
from tests.ingesting import Bench
from tests.nights import Calls, Nights

FACTS: dict[str, Fact] = {
    "pending_migrations": 0.0,
    "seeded_users": 10000.0,
    "services": 8.0,
    "pool": 12.0,
    "slots": 100.0,
}
SLO = """
version: 1
phases:
  - id: "1"
    title: Ready
    entry: ["pending_migrations == 0"]
    objectives:
      - {service: a, sli: http_req_failed, target: "rate < 5%", key: true}
  - id: 7A
    title: Core
    after: ["1"]
    entry: ["seeded_users >= 10000", "services * pool <= slots"]
    coverage: ">= 60%"
    rollback: Redeploy the release before.
    verification: [Look twice.]
    objectives:
      - {service: a, sli: http_req_duration, target: "p(95) < 200ms", key: true, weight: 3}
      - {service: b, sli: http_req_duration, target: "p(95) < 200ms"}
      - {service: b, sli: http_req_failed, target: "rate < 5%"}
"""


@dataclass
class Gate:
    """A store under that slo.yaml, and the runs of version 2.0 in it."""

    lab: Nights
    slo: Path
    facts: dict[str, Fact] = field(default_factory=lambda: dict(FACTS))

    def runs(self, a: Calls | None = None, b: Calls | None = None, version: str = "2.0") -> list[str]:
        """One run for each service."""
        return [self.run(service, calls or Calls(service), version=version) for service, calls in (("a", a), ("b", b))]

    def run(self, service: str | None, *calls: Calls, version: str | None = "2.0", test: str | None = None) -> str:
        """A run of one service, or of a test of several, with the facts."""
        meta = RunMeta(
            service=service, test=test or service, version=version, exit_code=0, facts=dict(self.facts), branch="main"
        )
        return self.lab.put(*calls, meta=meta)

    def ask(self, phase: str = "7A", version: str = "2.0") -> GateDecision:
        """The answer, which is the same when it is made again from what it rested on."""
        decision = self.lab.service.gate(phase, version)
        if decision.runs:
            assert replace(self.lab.service.gate_replay(decision.id), override=decision.override) == decision
        else:
            assert decision.id not in {one.id for one in self.lab.service.gates(1000)}, (
                "what rests on nothing is not kept"
            )
        return decision


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    slo = tmp_path / "slo.yaml"
    slo.write_text(SLO)
    store = Store(tmp_path / "var")
    yield Gate(Nights(store, Bench(store, tmp_path), Service(store, ConfigSource([slo]))), slo)
    store.close()


def states(decision: GateDecision) -> dict[str, str]:
    return {f"{c.service + ' ' if c.service else ''}{c.about}": c.state for c in decision.checks if c.state != "met"}


def test_a_version_that_meets_all_may_enter(gate: Gate) -> None:
    gate.runs()
    decision = gate.ask()
    assert (decision.decision, states(decision)) == ("pass", {})
    assert (decision.coverage, decision.score) == (1.0, 100.0)
    assert "phase 1 is passed" in decision.reasons
    assert (decision.rollback, decision.verification, decision.next_steps) == (None, (), ())
    assert len(decision.runs) == 2


REMOVED: dict[str, Callable[[Gate], object]] = {
    "no run at all": lambda _: None,
    "no run of this version": lambda gate: gate.runs(version="1.9"),
    "runs that say no version": lambda gate: [gate.run(s, Calls(s), version=None) for s in "ab"],
    "no run of one service": lambda gate: gate.run("a", Calls("a")),
    "a fact that nobody said": lambda gate: (gate.facts.pop("seeded_users"), gate.runs()),
    "a fact of the phase before": lambda gate: (gate.facts.pop("pending_migrations"), gate.runs()),
    "a fact that is a text": lambda gate: (gate.facts.update(seeded_users="many"), gate.runs()),
    "too few requests": lambda gate: gate.runs(b=Calls("b", n=20)),
    "a service that was not there": lambda gate: gate.runs(b=Calls("b", n=0)),
    "requests that mostly failed": lambda gate: gate.runs(b=Calls("b", failing=0.9, ms=5)),
}


@pytest.mark.parametrize("name", REMOVED)
def test_nothing_that_is_missing_passes(gate: Gate, name: str) -> None:
    REMOVED[name](gate)
    decision = gate.ask()
    assert decision.decision in {"inconclusive", "fail"}, decision.reasons
    assert decision.next_steps
    assert decision.reasons


@pytest.mark.parametrize(
    "asked",
    [
        '{service: a, sli: cache_hits, target: "rate > 60%"}',
        '{service: a, sli: "http_req_duration{name:/other}", target: "p(95) < 1s"}',
        '{service: a, promql: "up", target: "min >= 1"}',
        '{service: elsewhere, sli: http_req_failed, target: "rate < 5%"}',
        '{sli: http_req_failed, target: "rate < 5%"}',
    ],
)
def test_what_nobody_measured_passes_no_gate(gate: Gate, asked: str) -> None:
    gate.runs()
    gate.slo.write_text(SLO + f"      - {asked}\n")
    decision = gate.ask()
    assert (decision.decision, len(states(decision))) == ("inconclusive", 1)
    assert decision.next_steps


def test_without_slo_yaml_there_is_no_answer(gate: Gate) -> None:
    gate.runs()
    gate.slo.unlink()
    with pytest.raises(NotFound, match="no targets to judge by"):
        gate.lab.service.gate("7A", "2.0")


def test_a_run_that_was_deleted_is_missing(gate: Gate) -> None:
    _, b = gate.runs()
    gate.lab.store.delete_run(b, "a test")
    assert gate.ask().decision == "inconclusive"


def test_the_coverage_of_a_service_is_shown_beside_its_checks(gate: Gate) -> None:
    gate.runs(b=Calls("b", ms=400))
    found = {one.service: (one.met, one.asked, one.checks) for one in gate.ask().services}
    assert found == {"a": (1, 1, 0), "b": (1, 2, 0)}


def test_the_newest_run_speaks_and_an_older_one_does_not_stand_in_for_it(gate: Gate) -> None:
    gate.runs()
    lost = gate.run("b", Calls("b", failing=0.9, ms=5))
    assert gate.ask().decision != "pass"
    gate.lab.store.decide(Decision(lost, "invalidated", "the database was restored", datetime.now(UTC)))
    assert gate.ask().decision == "pass"


def test_what_is_proven_to_be_missed_outranks_what_is_not_known(gate: Gate) -> None:
    gate.run("a", Calls("a", ms=400))
    decision = gate.ask()
    assert decision.decision == "fail"
    assert decision.reasons[0].startswith("a http_req_duration p(95) = ")
    assert any("no run of version 2.0 speaks for b" in reason for reason in decision.reasons)
    assert decision.rollback == "Redeploy the release before."


def test_coverage_says_how_many_may_be_missed_but_no_key_one(gate: Gate) -> None:
    gate.runs(b=Calls("b", ms=400))
    decision = gate.ask()
    assert decision.decision == "warn"
    assert decision.coverage == pytest.approx(2 / 3)
    assert decision.score == pytest.approx(80)
    gate.runs(b=Calls("b", ms=400, failing=0.2))
    decision = gate.ask()
    assert decision.decision == "fail"
    assert states(decision)["coverage"] == "missed"


def test_an_objective_with_several_targets_is_found_at_its_line_by_gate_and_verdict(gate: Gate) -> None:
    gate.slo.write_text(SLO.replace('"p(95) < 200ms", key', '["p(95) < 200ms", "p(95) > 1ms", "p(95) <= +99%"], key'))
    line = next(n for n, text in enumerate(gate.slo.read_text().splitlines(), 1) if "+99%" in text)
    service, name = gate.lab.service, "http_req_duration p(95) < 200ms and > 1ms and <= +99%"
    slo = service.config_report()
    missing = of_gate(gate.ask(), slo)
    run, _ = gate.runs(a=Calls("a", ms=400))
    for answer in (missing, of_gate(gate.ask(), slo), of_verdict(service.verdict(run, "7A"), slo)):
        (place,) = [check.place for check in answer.checks if check.name == name]
        assert place
        assert place.line == line


def scored(gate: Gate, score: str, more: str = "", coverage: str = "") -> None:
    """Phase 7A asks for a score instead of coverage (of 5 by weight: a's p95 3, b's two 1 each), and for ``more``."""
    gate.slo.write_text(SLO.replace('coverage: ">= 60%"', f"score: {score}{coverage}") + more)


@pytest.mark.parametrize(
    ("score", "b", "decision"),
    [
        ("{pass: 90, warn: 75}", Calls("b"), "pass"),
        ("{pass: 80, warn: 75}", Calls("b", ms=400), "pass"),
        ("{pass: 90, warn: 75}", Calls("b", ms=400), "warn"),
        ("{pass: 90}", Calls("b", ms=400), "fail"),
        ("{pass: 90, warn: 75}", Calls("b", ms=400, failing=0.2), "fail"),
    ],
)
def test_a_score_says_what_the_objectives_add_up_to(gate: Gate, score: str, b: Calls, decision: str) -> None:
    scored(gate, score)
    gate.runs(b=b)
    found = gate.ask()
    assert found.decision == decision, found.reasons
    assert any("score" in reason and "of 100" in reason for reason in found.reasons)


def test_a_key_objective_that_is_missed_fails_whatever_the_score_and_one_at_risk_does_not(gate: Gate) -> None:
    scored(gate, "{pass: 35, warn: 30}")
    gate.runs(a=Calls("a", ms=400))
    missed = gate.ask()
    assert (missed.decision, missed.score) == ("fail", 40.0)
    assert "score 40 of 100, and 1 key objective missed; asked: 35, or 30 with a warning" in missed.reasons
    warned = SLO.replace('"p(95) < 200ms", key: true', '"p(95) < 200ms", warn: "p(95) < 2ms", key: true')
    gate.slo.write_text(warned.replace('coverage: ">= 60%"', "score: {pass: 90, warn: 70}"))
    gate.runs()
    risky = gate.ask()
    assert (risky.decision, risky.score) == ("warn", 70.0)


UNMEASURED = '      - {service: b, promql: up, target: "last > 0"}\n'


def test_a_score_excuses_nothing_that_is_not_known(gate: Gate) -> None:
    gate.runs()
    scored(gate, "{pass: 80, warn: 75}", UNMEASURED)
    sure = gate.ask()
    assert (sure.decision, states(sure)) == ("inconclusive", {"b up": "unknown"})
    assert sure.score == pytest.approx(100 * 5 / 6), "what is not known counts nothing"
    scored(gate, "{pass: 90, warn: 75}", UNMEASURED)
    open_ = gate.ask()
    assert (open_.decision, states(open_)["score"]) == ("inconclusive", "unknown")
    assert any("83.33 to 100, by what is not known, of 100" in reason for reason in open_.reasons)


def test_a_score_does_not_stand_in_for_a_run(gate: Gate) -> None:
    scored(gate, "{pass: 50}")
    gate.run("a", Calls("a"))
    decision = gate.ask()
    assert decision.decision == "inconclusive"
    assert "score" not in states(decision), "what is known is enough for the score alone"


def test_coverage_and_score_both_have_to_hold(gate: Gate) -> None:
    gate.runs(b=Calls("b", ms=400))
    for score, coverage, decision in (("80", "60%", "pass"), ("80", "90%", "fail"), ("90", "60%", "fail")):
        scored(gate, f"{{pass: {score}}}", coverage=f'\n    coverage: ">= {coverage}"')
        assert gate.ask().decision == decision


@pytest.mark.parametrize(("pool", "decision"), [(50.0, "fail"), (15.0, "fail"), (12.0, "pass")])
def test_more_connections_than_there_are_is_refused_at_entry(gate: Gate, pool: float, decision: str) -> None:
    gate.facts["pool"] = pool
    gate.runs()
    found = gate.ask()
    assert found.decision == decision
    if decision == "fail":
        assert f"{8 * pool:g} <= 100 does not hold" in found.reasons[0]


def test_a_fact_has_to_hold_in_every_run_that_knows_it(gate: Gate) -> None:
    gate.run("a", Calls("a"))
    gate.facts["seeded_users"] = 12.0
    gate.run("b", Calls("b"))
    assert gate.ask().decision == "fail"


def test_facts_that_contradict_each_other_prove_nothing(gate: Gate) -> None:
    gate.facts |= {"pool": 50.0}
    del gate.facts["slots"]
    gate.run("a", Calls("a"))
    gate.facts = {**FACTS, "pool": 12.0}
    del gate.facts["services"]
    gate.run("b", Calls("b"))
    decision = gate.ask()
    assert decision.decision == "inconclusive"
    assert any("pool is 12 in run" in reason and "50 in run" in reason for reason in decision.reasons)


def test_facts_that_differ_where_the_criterion_holds_by_each_are_no_contradiction(gate: Gate) -> None:
    gate.run("a", Calls("a"))
    gate.facts["seeded_users"] = 20000.0
    gate.run("b", Calls("b"))
    assert gate.ask().decision == "pass"
    gate.facts["seeded_users"] = 200.0
    gate.run("b", Calls("b"))
    assert gate.ask().decision == "fail"


def test_a_newer_run_of_another_test_does_not_hide_one_that_failed(gate: Gate) -> None:
    gate.run("a", Calls("a", ms=400), test="load")
    gate.run("b", Calls("b"))
    gate.run("a", Calls("a"), test="smoke")
    assert gate.ask().decision == "fail"


def test_the_newest_run_of_a_test_that_lost_a_service_speaks_for_it(gate: Gate) -> None:
    for version in ("1.0", "1.1"):
        gate.run(None, Calls("a"), Calls("b"), version=version, test="nightly")
    gate.run(None, Calls("a"), Calls("b"), test="smoke")
    gate.run(None, Calls("a"), test="nightly")
    decision = gate.ask()
    assert decision.decision == "inconclusive", decision.reasons


def test_what_was_waived_in_the_phase_before_is_still_a_warning(gate: Gate) -> None:
    gate.runs(a=Calls("a", failing=0.08))
    gate.lab.service.waive(waiver("http_req_failed", service="a", phase="1"))
    decision = gate.ask()
    assert decision.decision == "warn"
    assert states(decision)["phase 1"] == "at_risk"
    assert any("waived by kim" in reason for reason in decision.reasons)


def test_a_run_that_is_missing_cannot_be_waived(gate: Gate) -> None:
    for about in ("http_req_duration", "http_req_failed"):
        gate.lab.service.waive(waiver(about))
    decision = gate.ask()
    assert decision.decision == "inconclusive"
    assert gate.lab.service.gates() == ()


def test_coverage_that_depends_on_what_is_unknown_is_no_failure(gate: Gate) -> None:
    gate.run("a", Calls("a"))
    gate.run("b", Calls("b", ms=400, n=100, failing=0.03))
    decision = gate.ask()
    assert decision.decision in {"warn", "inconclusive"}
    assert decision.rollback is None


def test_an_irrelevant_waiver_leaves_a_decision_and_its_override_as_they_are(gate: Gate) -> None:
    gate.runs(a=Calls("a", ms=400))
    shut = gate.ask()
    gate.lab.service.gate_override(shut.id, "kim", "the launch is today")
    gate.lab.service.waive(waiver("http_req_failed", phase="1", version="0.0"))
    assert gate.ask().id == shut.id
    assert gate.ask().override


def test_a_phase_before_that_is_not_passed_keeps_the_gate_shut(gate: Gate) -> None:
    gate.runs(a=Calls("a", failing=0.2))
    decision = gate.ask()
    assert decision.decision == "fail"
    assert states(decision)["phase 1"] == "missed"
    assert "see why: `phasegate gate --phase 1 --version 2.0`" in decision.next_steps


def test_what_got_worse_is_a_warning_before_the_door(gate: Gate) -> None:
    for night in range(4):
        gate.runs(version=f"1.{night}")
    gate.runs(a=Calls("a", ms=100))
    decision = gate.ask()
    assert decision.decision == "warn"
    assert any("a http_req_duration p(95) got worse: " in reason for reason in decision.reasons)


def test_the_same_evidence_is_one_decision_and_new_evidence_another(gate: Gate) -> None:
    gate.runs()
    first = gate.ask()
    assert gate.ask() == first
    gate.runs()
    assert gate.ask().id != first.id
    kept = gate.lab.service.gates()
    assert first.id in {one.id for one in kept}
    assert len(kept) == 4, "two of phase 7A, two of phase 1 before it"


def test_a_decision_is_made_again_after_slo_yaml_has_changed(gate: Gate) -> None:
    gate.runs()
    first = gate.ask()
    gate.slo.write_text(SLO.replace("p(95) < 200ms", "p(95) < 1ms"))
    assert gate.lab.service.gate_replay(first.id) == first
    assert gate.ask().decision == "fail"


def test_a_gate_is_asked_about_a_version_and_a_phase_that_there_is(gate: Gate) -> None:
    with pytest.raises(BadRequest, match="about a version"):
        gate.ask(version="")
    with pytest.raises(NotFound, match="no phase"):
        gate.ask(phase="9")
    for unknown in ("", "ffff"):
        with pytest.raises(NotFound, match="no gate decision"):
            gate.lab.service.gate_replay(unknown)


def waiver(
    about: str, days: float = 7, service: str | None = None, phase: str | None = None, version: str | None = None
) -> WaiverRequest:
    expires_at = datetime.now(UTC) + timedelta(days=days)
    return WaiverRequest(about, "kim", "fixed next week", expires_at, service, phase, version)


def test_what_is_waived_is_overlooked_for_a_while_and_never_a_pass(gate: Gate) -> None:
    gate.runs(a=Calls("a", ms=400))
    assert gate.ask().decision == "fail"
    gate.lab.service.waive(waiver("http_req_duration", service="a", phase="7A", version="2.0"))
    decision = gate.ask()
    assert decision.decision == "warn"
    assert states(decision)["a http_req_duration"] == "waived"
    assert any("waived by kim until" in reason and "fixed next week" in reason for reason in decision.reasons)
    assert decision.coverage == 1.0, "what is waived is not asked"
    (held,) = gate.lab.service.waivers()
    assert gate.lab.service.end_waiver(held.id[:4]).ended_at is not None
    assert gate.ask().decision == "fail"
    assert gate.lab.service.gate_replay(decision.id) == decision, "it was waived when it was decided"


def test_a_finding_may_be_waived_too(gate: Gate) -> None:
    gate.runs(b=Calls("b", failing=0.9, ms=5))
    for about in ("error_storm", "http_req_failed"):
        gate.lab.service.waive(waiver(about, service="b"))
    decision = gate.ask()
    assert decision.decision == "warn"
    assert {state for name, state in states(decision).items() if name.startswith("b ")} <= {"waived", "at_risk"}


@pytest.mark.parametrize(
    "elsewhere",
    [
        waiver("http_req_duration", service="b"),
        waiver("http_req_duration", phase="1"),
        waiver("http_req_duration", version="1.9"),
    ],
    ids=["service", "phase", "version"],
)
def test_a_waiver_holds_only_where_it_says(gate: Gate, elsewhere: WaiverRequest) -> None:
    gate.runs(a=Calls("a", ms=400))
    gate.lab.service.waive(elsewhere)
    assert gate.ask().decision == "fail"


def test_an_expired_waiver_stops_counting_by_itself(gate: Gate) -> None:
    now = datetime.now(UTC)
    created, expired = now - timedelta(days=9), now - timedelta(days=1)
    old = Waiver("http_req_duration", "kim", "r", expired, id="w", created_at=created)
    gate.lab.store.waive(old)
    gate.runs(a=Calls("a", ms=400))
    assert gate.ask().decision == "fail"
    assert gate.lab.service.waivers() == ()


@pytest.mark.parametrize(
    "asked",
    [
        waiver("http_req_failed", 31), waiver("http_req_failed", -1), waiver(" "),
        replace(waiver("x"), owner=""), replace(waiver("x"), reason=" "), replace(waiver("x"), service=""),
        replace(waiver("x"), reason="x" * 501),
    ],
)  # fmt: skip
def test_a_waiver_has_an_owner_a_reason_and_an_end_within_30_days(gate: Gate, asked: WaiverRequest) -> None:
    with pytest.raises(BadRequest):
        gate.lab.service.waive(asked)
    with pytest.raises(NotFound):
        gate.lab.service.end_waiver("nosuch")


def test_an_override_is_recorded_and_is_no_pass(gate: Gate) -> None:
    gate.runs(a=Calls("a", ms=400))
    shut = gate.ask()
    through = gate.lab.service.gate_override(shut.id, "kim", "the launch is today")
    assert through.decision == "fail"
    assert through.override
    assert (through.override.by, through.override.reason) == ("kim", "the launch is today")
    assert gate.lab.service.gate("7A", "2.0") == through, "it stays so"
    assert gate.lab.service.gates()[0].override or gate.lab.service.gates()[1].override
    assert gate.lab.service.gate_replay(shut.id).override is None, "what the gate itself says"
    with pytest.raises(BadRequest, match="full id"):
        gate.lab.service.gate_override(shut.id[:4], "kim", "r")
    for by, reason in (("", "r"), ("kim", " ")):
        with pytest.raises(BadRequest, match="by somebody, for a reason"):
            gate.lab.service.gate_override(shut.id, by, reason)


@pytest.mark.parametrize(
    "asked",
    [
        waiver("http_req_durations"), waiver("coverage"), replace(waiver("http_req_failed"), phase="7a"),
    ],
)  # fmt: skip
def test_a_waiver_with_a_slip_is_refused(gate: Gate, asked: WaiverRequest) -> None:
    with pytest.raises((BadRequest, NotFound)):
        gate.lab.service.waive(asked)


def test_a_version_that_nobody_ran_is_told_beside_those_that_somebody_did(gate: Gate) -> None:
    gate.runs()
    decision = gate.ask(version="2.O")
    assert (decision.decision, decision.runs) == ("inconclusive", ())
    assert decision.next_steps[0] == "see that the version is the one meant: runs are of 2.0"


def test_an_open_gate_needs_no_override(gate: Gate) -> None:
    gate.runs()
    with pytest.raises(BadRequest, match="nothing to override"):
        gate.lab.service.gate_override(gate.ask().id, "kim", "why not")


def test_a_verdict_tells_what_gates_overlook_of_it_today_and_stays_what_it_is(gate: Gate) -> None:
    run, other = gate.runs(a=Calls("a", ms=400))
    service, until = gate.lab.service, datetime.now(UTC) + timedelta(days=7)
    before = service.verdict(run, "7A")
    assert (before.verdict, before.waivers) == ("fail", ())
    asked = WaiverRequest("http_req_duration", "kim", "known", until, service="a")
    one = service.waive(asked)
    for elsewhere in (
        replace(asked, service="b"), replace(asked, phase="1"), replace(asked, version="3.0"),
        replace(asked, about="error_storm"),
    ):  # fmt: skip
        service.waive(elsewhere)
    told = service.verdict(run, "7A")
    assert replace(told, waivers=()) == before
    assert told.waivers == (one,)
    view = service.run_view(run, "7A").verdict
    assert view is not None
    assert view.waivers == (one,)
    assert [waiver.service for waiver in service.verdict(other, "7A").waivers] == ["b"]
    service.end_waiver(one.id)
    assert service.verdict(run, "7A") == before, "it is not kept with the verdict"


def test_a_waiver_for_one_service_is_told_with_a_finding_about_the_whole_run(gate: Gate) -> None:
    verdict = gate.lab.service.verdict(gate.runs()[0], "7A")
    found = Finding("truncated", "invalid", "the file ends early")
    doubted = replace(verdict, measurement=Measurement("invalid", (found, replace(found, severity="info", code="i"))))
    of = Waiver("truncated", "kim", "known", datetime.now(UTC), "a", id="w", created_at=datetime.now(UTC))
    assert waivers_on(doubted, [of, replace(of, about="i"), replace(of, service="b")]) == (of,)
    assert "waived at gates" in of_verdict(replace(doubted, waivers=(of,))).checks[0].reason
