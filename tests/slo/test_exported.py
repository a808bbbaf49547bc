"""What is exported of verdicts and gates is what is stored, and never more: real runs through the real ingest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from data.catalog import StoredConfig, verdicts
from data.gates import StoredGate
from data.model import Decision, Override, RunMeta
from data.store import Store
from slo import exported
from slo.exported import Exported, LeftOut
from slo.service import ConfigSource, Service
from tests.builders import START
from tests.ingesting import Bench
from tests.nights import Calls, Nights

SLO = """
version: 1
phases:
  - id: P
    objectives:
      - {service: a, sli: http_req_duration, target: "p(95) < 200ms"}
      - {service: b, sli: http_req_failed, target: "rate < 1%"}
      - {sli: http_reqs, target: "count > 10"}
  - id: Q
    objectives:
      - {service: a, sli: http_req_duration, target: "p(95) < 10ms"}
"""


@dataclass
class Lab:
    """A store with a slo.yaml, into which nights are put."""

    nights: Nights
    slo: Path

    @property
    def store(self) -> Store:
        return self.nights.store

    @property
    def service(self) -> Service:
        return self.nights.service

    def night(self, *calls: Calls, judged: bool = True, **said: str | None) -> str:
        meta = replace(RunMeta(test="nightly", branch="main", phase="P", exit_code=0), **said)  # type: ignore[arg-type]
        run = self.nights.put(*calls or (Calls("a"), Calls("b")), meta=meta)
        if judged:
            self.service.judge_ahead(run)
        return run

    def rows(self) -> int:
        with self.store._read() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(verdicts)) or 0

    def states(self, **where: str | None) -> dict[tuple[str | None, str], str]:
        """By service and phase, of the places that are as ``where`` says."""
        return {
            (one.place.service, one.place.phase): one.state
            for one in self.service.exported().verdicts
            if vars(one.place).items() >= where.items()
        }


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    store, slo = Store(tmp_path / "store"), tmp_path / "slo.yaml"
    slo.write_text(SLO)
    yield Lab(Nights(store, Bench(store, tmp_path), Service(store, ConfigSource([slo]))), slo)
    store.close()


def test_each_service_has_the_state_of_its_newest_run(lab: Lab) -> None:
    lab.night(Calls("a", ms=400), Calls("b"))
    run = lab.night()
    lab.night(Calls("a", ms=400), Calls("b", failing=0.5), branch="feature")
    assert lab.states(branch="main") == {
        ("a", "P"): "pass",
        ("b", "P"): "pass",
        (None, "P"): "pass",
        ("a", "Q"): "fail",
    }
    assert lab.states(branch="feature")["b", "P"] == "fail"
    told = next(one for one in lab.service.exported().verdicts if one.place.service == "a" and one.place.phase == "P")
    assert told.run == run
    assert told.judged_at is not None


def test_values_are_in_base_units(lab: Lab) -> None:
    run = lab.night()
    measured = {(o.service, o.sli): o for o in lab.service.verdict(run, "P").objectives}
    told = {one.place.service: one.objectives[0] for one in lab.service.exported().verdicts if one.place.phase == "P"}
    assert (told["a"].unit, told["a"].target) == ("seconds", 0.2)
    assert told["a"].value == pytest.approx((measured["a", "http_req_duration"].value or 0) / 1000)
    assert (told["b"].unit, told["b"].target, told["b"].value) == ("ratio", 0.01, 0)
    assert (told[None].unit, told[None].value) == ("", measured[None, "http_reqs"].value)


def test_asking_judges_nothing(lab: Lab) -> None:
    lab.night(judged=False)
    assert set(lab.states().values()) == {"inconclusive"}
    assert {(one.judged_at, one.objectives) for one in lab.service.exported().verdicts} == {(None, ())}
    assert lab.rows() == 0


def test_an_older_run_that_passed_says_nothing_of_a_newer_one_that_nobody_judged(lab: Lab) -> None:
    lab.night()
    assert lab.states()["b", "P"] == "pass"
    newer = lab.night(judged=False)
    assert set(lab.states().values()) == {"inconclusive"}
    lab.service.judge_ahead(newer)
    assert lab.states()["b", "P"] == "pass"


def test_verdicts_by_another_slo_yaml_or_older_rules_are_not_in_force(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.night()
    with monkeypatch.context() as newer:
        newer.setattr(exported, "RULE_VERSION", 99)
        assert set(lab.states().values()) == {"inconclusive"}
    assert lab.states()["b", "P"] == "pass"
    lab.slo.write_text(SLO.replace("200ms", "201ms"))
    assert set(lab.states().values()) == {"inconclusive"}


@pytest.mark.parametrize("document", ["", "{}", "[1]", '{"schema": 1, "rule_version": 1, "objectives": "none"}'])
def test_a_verdict_that_cannot_be_read_is_inconclusive(lab: Lab, document: str) -> None:
    lab.night()
    with lab.store._write() as connection:
        connection.execute(verdicts.update().values(document=document))
    assert set(lab.states().values()) == {"inconclusive"}


def test_a_verdict_that_is_dropped_is_told_no_more(lab: Lab) -> None:
    run = lab.night()
    assert lab.states()["b", "P"] == "pass"
    lab.store.decide(Decision(run, "invalidated", "a noisy neighbour", START))
    assert set(lab.states().values()) == {"inconclusive"}
    lab.store.delete_run(run, "gone")
    assert lab.states() == {}


def test_a_run_that_lost_a_service_speaks_for_it_all_the_same(lab: Lab) -> None:
    lab.night()
    lab.night(Calls("b"))
    assert lab.states()["a", "P"] == "inconclusive"


def test_the_states_are_those_of_the_overview(lab: Lab) -> None:
    lab.night()
    lab.night(Calls("a", ms=400), Calls("b"))
    lab.night(Calls("c"), service="c", test="other")
    for phase in ("P", "Q"):
        rows = {row.service: row.state for row in lab.service.overview(phase).services if row.state != "no_data"}
        told = {service or "whole system": state for (service, of), state in lab.states().items() if of == phase}
        assert told == {service: state for service, state in rows.items() if state is not None}


@pytest.mark.parametrize(("written", "state"), [(None, "absent"), ("version: 1\nphases: [", "wrong")])
def test_without_a_slo_yaml_that_can_be_used_no_verdict_is_in_force(lab: Lab, written: str | None, state: str) -> None:
    lab.night()
    lab.slo.unlink()
    if written:
        lab.slo.write_text(written)
    told = lab.service.exported()
    assert (told.config, told.verdicts) == (state, ())


def test_places_are_bounded_and_the_branch_of_the_baseline_comes_first(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.night()
    for number in range(4):
        lab.night(branch=f"feature-{number}")
    every = lab.service.exported()
    assert (len(every.verdicts), every.left_out) == (20, LeftOut())
    monkeypatch.setattr(exported, "MOST_PLACES", 6)
    monkeypatch.setattr(exported, "MOST_OBJECTIVES", 5)
    few = lab.service.exported()
    assert [one.place.branch for one in few.verdicts] == ["main"] * 4 + ["feature-3"] * 2
    assert sum(len(one.objectives) for one in few.verdicts) == 5
    assert few.left_out == LeftOut(places=14, objectives=1)
    monkeypatch.setattr(exported, "_MOST_RUNS", 2)
    assert lab.service.exported().left_out.places == 8 - 6 + 3, "runs that were not looked at count, too"


def _gates(told: Exported) -> list[tuple[str, str | None, str, str, bool]]:
    return [(one.phase, one.environment, one.version, one.decision, one.overridden) for one in told.gates]


def _decide(store: Store, number: int, environment: str | None, decision: str, at: datetime) -> None:
    gate = StoredGate(f"{number:012x}", "P", f"{number}.0", environment, decision, at, "{}", "{}")
    store.add_gate(gate, StoredConfig("digest", "slo.yaml", at, ""))


def test_of_a_gate_the_decision_made_last_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, (environment, decision) in enumerate([("ci", "pass"), ("ci", "fail"), (None, "inconclusive")]):
        _decide(lab.store, number, environment, decision, START + timedelta(hours=number))
    lab.store.override(Override("000000000001", "me", "it burns", START))
    assert _gates(lab.service.exported()) == [
        ("P", None, "2.0", "inconclusive", False),
        ("P", "ci", "1.0", "fail", True),
    ]
    monkeypatch.setattr(exported, "MOST_GATES", 1)
    told = lab.service.exported()
    assert (len(told.gates), told.left_out.gates) == (1, 1)
