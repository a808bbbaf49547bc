"""A phase that demands what is left of error budgets: what is missing never passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from data.budgets import Buckets
from data.errors import BadRequest, NotFound
from data.model import RunMeta, WaiverRequest
from data.store import Store
from reports import gates
from reports.terminal import plain
from slo.gate_model import GateDecision
from slo.service import ConfigSource, Service
from tests.counted import NONE, NOW, NOW_S, steady, worse
from tests.ingesting import Bench
from tests.nights import Calls, Nights

SLO = """
version: 1
prometheus: {main: {url: "http://127.0.0.1:1"}}
budgets:
  - {name: a available, service: a, objective: 99%, window: 28d, good: "a[$window]", total: "t[$window]"}
  - {name: b available, service: b, objective: 99%, window: 28d, good: "b[$window]", total: "t[$window]"}
  - {name: c available, service: c, objective: 99%, window: 28d, good: "c[$window]", total: "t[$window]"}
phases:
  - id: beta
    budget: "> 20%"
    objectives:
      - {service: a, sli: http_req_duration, target: "p(95) < 200ms"}
      - {service: b, sli: http_req_duration, target: "p(95) < 200ms"}
"""
OF_ALL = '  - {name: all, objective: 99%, window: 28d, good: "all[$window]", total: "t[$window]"}\nphases:'


class Lab:
    """A store with a good run of both services, asked when the counts end."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.slo = folder / "slo.yaml"
        self.write(SLO)
        self.nights = Nights(store, Bench(store, folder), self.service)
        meta = RunMeta(test="all", version="2.0", exit_code=0, branch="main")
        self.nights.put(Calls("a"), Calls("b"), meta=meta)

    def write(self, text: str) -> None:
        self.slo.write_text(text)
        self.service = Service(self.store, ConfigSource([self.slo]), lambda: NOW)

    def counted(self, **stored: Buckets) -> None:
        """Store counts of budgets by the first word of their name."""
        config = self.service.config()
        assert config
        for budget in config.budgets:
            if found := stored.get(budget.name.split()[0]):
                self.store.keep_buckets(budget.query.id, found)

    def ask(self) -> GateDecision:
        decision = self.service.gate("beta", "2.0")
        assert self.service.gate_replay(decision.id) == decision
        return decision


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    store = Store(tmp_path / "var")
    yield Lab(store, tmp_path)
    store.close()


def checks(decision: GateDecision) -> dict[str, str]:
    return {f"{c.service or ''} {c.about}".strip(): c.state for c in decision.checks if c.kind == "budget"}


def test_enough_left_of_every_budget_passes(lab: Lab) -> None:
    lab.counted(a=steady(bad=1), b=steady(bad=7.9))
    decision = lab.ask()
    assert decision.decision == "pass"
    assert checks(decision) == {"a error budget a available": "met", "b error budget b available": "met"}
    assert any("21.0 % of the budget is left; asked: > 20% left" in reason for reason in decision.reasons)


@pytest.mark.parametrize("bad", [8, 9.5, 10, 30])
def test_too_little_left_or_none_fails(lab: Lab, bad: float) -> None:
    lab.counted(a=steady(bad=1), b=steady(bad=bad))
    decision = lab.ask()
    assert decision.decision == "fail"
    assert checks(decision) == {"a error budget a available": "met", "b error budget b available": "missed"}
    assert decision.reasons[0].startswith("b error budget b available ")
    assert decision.next_steps


def test_what_is_not_known_is_inconclusive(lab: Lab) -> None:
    lab.counted(a=steady(bad=1))
    decision = lab.ask()
    assert decision.decision == "inconclusive"
    assert checks(decision)["b error budget b available"] == "unknown"
    assert decision.reasons == ("b error budget b available is not known: nothing was asked of its source yet",)
    assert decision.next_steps == ("ask: `phasegate budget pull`",)


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (steady(bad=0, days=20), "of the last 28 d is known"),
        (steady(bad=0, until_s=NOW_S - 3600), "the newest count is of"),
        (steady(bad=0, total=0), "there was no event"),
        (worse(steady(bad=0), 5, -1), "which cannot be"),
    ],
)
def test_counts_that_cannot_be_believed_are_inconclusive(lab: Lab, stored: Buckets, why: str) -> None:
    lab.counted(a=steady(bad=1), b=stored)
    decision = lab.ask()
    assert decision.decision == "inconclusive"
    assert why in decision.reasons[0]


def test_it_is_not_known_where_it_depends_on_events_that_nobody_can_tell_apart(lab: Lab) -> None:
    stored = steady(bad=1)
    good = stored.good.copy()
    good[:60] = NONE  # 60,000 of the 80,640 that may be bad: between 14 and 90 % are left
    lab.counted(a=Buckets(stored.until_s, good, stored.total), b=steady(bad=1))
    assert checks(lab.ask())["a error budget a available"] == "unknown"
    good[:] = stored.good
    good[:20] = NONE
    lab.counted(a=Buckets(stored.until_s, good, stored.total))
    assert lab.ask().decision == "pass"


def test_a_budget_that_burns_warns(lab: Lab) -> None:
    lab.counted(a=worse(steady(bad=1), 60, 200), b=steady(bad=1))
    decision = lab.ask()
    assert (decision.decision, checks(decision)["a error budget a available"]) == ("warn", "at_risk")
    assert "burn rate 20 over 1h and 20 over 5m" in decision.reasons[0]


def test_a_service_without_a_budget_is_not_known_unless_one_is_of_all(lab: Lab) -> None:
    only_a = "\n".join(line for line in SLO.splitlines() if "name: b" not in line)
    lab.write(only_a)
    lab.counted(a=steady(bad=1))
    decision = lab.ask()
    assert (decision.decision, checks(decision)["b error budget"]) == ("inconclusive", "unknown")
    assert "add one to `budgets` of slo.yaml" in decision.next_steps[0]
    lab.write(only_a.replace("phases:", OF_ALL))
    lab.counted(a=steady(bad=1), all=steady(bad=1))
    assert lab.ask().decision == "pass"
    lab.counted(all=steady(bad=11))
    assert lab.ask().decision == "fail"


def test_no_budgets_at_all_never_pass(lab: Lab) -> None:
    lab.write("\n".join(line for line in SLO.splitlines() if "name:" not in line and "budgets" not in line))
    decision = lab.ask()
    assert decision.decision == "inconclusive"
    assert checks(decision) == {"a error budget": "unknown", "b error budget": "unknown"}


def test_a_phase_that_demands_nothing_asks_no_budget(lab: Lab) -> None:
    lab.write(SLO.replace('    budget: "> 20%"\n', ""))
    lab.counted(a=steady(bad=30))
    decision = lab.ask()
    assert (decision.decision, checks(decision)) == ("pass", {})


def test_a_decision_stays_what_it_was_when_the_budget_is_spent(lab: Lab) -> None:
    lab.counted(a=steady(bad=1), b=steady(bad=1))
    before = lab.ask()
    lab.counted(a=steady(bad=30))
    assert lab.ask().decision == "fail"
    assert lab.service.gate_replay(before.id) == before
    assert before.id != lab.ask().id == lab.ask().id


def test_a_budget_cannot_be_waived(lab: Lab) -> None:
    asked = WaiverRequest("budget", "kim", "we ship", expires_at=NOW + timedelta(days=1))
    with pytest.raises(BadRequest, match="cannot be waived"):
        lab.service.waive(asked)
    lab.counted(a=steady(bad=30), b=steady(bad=1))
    lab.service.waive(replace(asked, about="error budget a available"))
    assert lab.ask().decision == "fail"


def test_people_are_told_in_the_gates_table(lab: Lab) -> None:
    lab.counted(a=steady(bad=30), b=steady(bad=1))
    told = plain(gates.gate(lab.ask(), everything=True))
    assert "MISSED" in told
    assert "300 % of the budget is spent; asked: > 20% left" in " ".join(told.split())


def test_a_budget_that_is_not_there_is_not_found(lab: Lab) -> None:
    with pytest.raises(NotFound, match="no budget 'd'"):
        lab.service.budget("d")
