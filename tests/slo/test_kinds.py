"""Kinds of run that a phase demands, and how old what counts may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data.facts import Fact
from data.model import RunMeta
from data.store import Store
from slo.config import parse_config
from slo.gate_model import GateDecision
from slo.kinds import Load, RunKind, demanded, named, parse_duration
from slo.model import RunRef
from slo.service import ConfigSource, Service
from slo.source import ExpressionError, InvalidConfig
from tests.builders import START
from tests.ingesting import Bench
from tests.nights import Calls, Nights

SLO = """
version: 1
phases:
  - id: "8"
    runs:
      - {kind: sustained}
      - {kind: stress, load: 150%, of: sustained}
      - {kind: cold cache, where: 'cache == "cold"', services: [a]}
      - {kind: endurance, at_least: 15s}
    max_age: 7d
    objectives:
      - {service: a, sli: http_req_duration, target: "p(95) < 200ms"}
      - {service: b, sli: http_req_duration, target: "p(95) < 200ms"}
"""
DAYS = 30  # back, so that no run is from after the day on which it is put into a store
NOW = START + timedelta(days=8 - DAYS)


class Kinds:
    """A store under that slo.yaml, asked on the eighth day."""

    def __init__(self, store: Store, folder: Path) -> None:
        slo = folder / "slo.yaml"
        slo.write_text(SLO)
        self.lab = Nights(store, Bench(store, folder), Service(store, ConfigSource([slo]), lambda: NOW))
        self.lab.nights = -DAYS

    def run(self, n: int = 300, ms: float = 50.0, **facts: Fact) -> str:
        """A run of both services in the same test, which says this of itself."""
        said = RunMeta(test="all", version="2.0", exit_code=0, branch="main", facts=dict(facts))
        return self.lab.put(Calls("a", n=n, ms=ms), Calls("b", n=n), meta=said)

    def all(self) -> None:
        self.run(kind="endurance")
        self.run(kind="sustained")
        self.run(n=460, kind="stress")
        self.run(cache="cold")

    def ask(self) -> GateDecision:
        decision = self.lab.service.gate("8", "2.0")
        if decision.runs:
            assert self.lab.service.gate_replay(decision.id) == decision
        return decision


@pytest.fixture
def kinds(tmp_path: Path) -> Iterator[Kinds]:
    store = Store(tmp_path / "var")
    yield Kinds(store, tmp_path)
    store.close()


def unmet(decision: GateDecision) -> list[str]:
    return [f"{c.service} {c.about} {c.reason}" for c in decision.checks if c.kind == "kind" and c.state != "met"]


def test_a_version_with_all_kinds_of_run_may_enter(kinds: Kinds) -> None:
    kinds.all()
    decision = kinds.ask()
    assert (decision.decision, unmet(decision)) == ("pass", [])
    assert len(decision.runs) == 4, "runs of one test and several kinds all speak"
    told = [reason for reason in decision.reasons if "stress" in reason]
    assert "46.1 /s, 153.24 % of the 30.1 /s of sustained run" in told[0]


@pytest.mark.parametrize("missing", ["sustained", "stress", "endurance"])
def test_a_kind_that_is_missing_is_named_for_each_service_with_what_to_do(kinds: Kinds, missing: str) -> None:
    for kind, n in (("endurance", 300), ("sustained", 300), ("stress", 460)):
        if kind != missing:
            kinds.run(n=n, kind=kind)
    kinds.run(cache="cold")
    decision = kinds.ask()
    assert decision.decision == "inconclusive"
    told = [one for one in unmet(decision) if "is missing" in one]
    assert [one.split(" is ")[0] for one in told] == [f"a run of kind {missing}", f"b run of kind {missing}"]
    assert any(f'kind == "{missing}"' in step and "--version 2.0" in step for step in decision.next_steps)


def test_a_kind_is_asked_of_the_services_that_it_names(kinds: Kinds) -> None:
    for kind, n in (("endurance", 300), ("sustained", 300), ("stress", 460)):
        kinds.run(n=n, kind=kind)
    assert unmet(kinds.ask()) == ['a run of kind cold cache is missing: no run of version 2.0 says `cache == "cold"`']


def test_a_stress_run_that_did_not_stress_is_none(kinds: Kinds) -> None:
    kinds.all()
    kinds.run(n=440, kind="stress")
    decision = kinds.ask()
    assert decision.decision == "inconclusive"
    assert "146.59 % of the 30.1 /s of sustained run" in unmet(decision)[0]
    assert "raise the load of the stress test" in decision.next_steps


def test_what_a_run_of_one_kind_misses_no_other_run_makes_good(kinds: Kinds) -> None:
    kinds.all()
    kinds.run(n=460, ms=400, kind="stress")
    kinds.run(kind="sustained")
    decision = kinds.ask()
    assert decision.decision == "fail"
    assert decision.reasons[0].startswith("a http_req_duration p(95) = ")


def test_a_run_that_is_too_old_says_nothing_of_today(kinds: Kinds) -> None:
    kinds.all()
    old = kinds.ask()
    assert old.decision == "pass"
    kinds.lab.service = Service(
        kinds.lab.store, ConfigSource([kinds.lab.bench.folder / "slo.yaml"]), lambda: NOW + timedelta(days=1)
    )
    decision = kinds.ask()
    assert decision.decision == "inconclusive"
    [stale] = [c for c in decision.checks if c.kind == "age"]
    assert stale.runs == (old.runs[-1],)
    assert "not older than 7 d" in stale.reason
    assert decision.id != old.id
    assert kinds.lab.service.gate_replay(old.id) == old, "what was decided stays what it was"


def test_a_clock_that_runs_ahead_makes_no_run_fresh(kinds: Kinds) -> None:
    kinds.lab.nights = 400
    kinds.all()
    kinds.lab.service = Service(
        kinds.lab.store, ConfigSource([kinds.lab.bench.folder / "slo.yaml"]), lambda: datetime.now(UTC) + timedelta(8)
    )
    assert len([c for c in kinds.ask().checks if c.kind == "age"]) == 4


def test_a_run_of_no_kind_gives_way_to_a_newer_one_of_its_test(kinds: Kinds) -> None:
    forgot = kinds.run(ms=400)
    assert kinds.ask().decision == "fail"
    kinds.all()
    decision = kinds.ask()
    assert (decision.decision, forgot in decision.runs) == ("pass", False)


def run(identity: str, n: int = 600, lasted: float | None = 20.0, **facts: Fact) -> RunRef:
    return RunRef(
        id=identity, service=None, test="t", phase=None, branch=None, commit=None, version="1", environment=None,
        started_at=None, duration_s=lasted, requests=n, services=("a",), facts=dict(facts),
    )  # fmt: skip


STRESS = RunKind("stress", named("stress"), load=Load(1.5, "sustained"))
KINDS = {"stress": STRESS, "sustained": RunKind("sustained", named("sustained"), at_least_s=10)}


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ([run("s", 900, kind="stress"), run("o", kind="sustained")], "is there"),
        ([run("s", 899, kind="stress"), run("o", kind="sustained")], "asked: 150.00 %"),
        ([run("s", 900, kind="stress")], "there is none"),
        ([run("s", 900, lasted=None, kind="stress"), run("o", kind="sustained")], "not known"),
        ([run("s", 900, kind="stress"), run("o", 0, kind="sustained")], "not known"),
        (
            [replace(run("s", 900, kind="stress"), services=("a", "b")), run("o", kind="sustained")],
            "different services",
        ),
        ([replace(run("s", 900, kind="stress"), services=("b",)), run("o", kind="sustained")], "did not call a"),
        (
            [run("s", 900, kind="stress"), run("o", kind="sustained"), run("p", 700, kind="sustained")],
            "sustained run p",
        ),
        ([run("s", 900, kind="stress"), run("o", lasted=5.0, kind="sustained")], "none that lasted"),
        ([run("s", 900, kind="stress"), replace(run("o", kind="sustained"), environment="dev")], "there is none"),
        ([run("x", 1, kind="stress"), run("s", 900, kind="stress"), run("o", kind="sustained")], "is there: run s"),
        ([run("s", 900, kind="Stress"), run("o", kind="sustained")], "is missing"),
    ],
)
def test_a_load_is_a_share_of_that_of_another_run(runs: list[RunRef], reason: str) -> None:
    found = demanded(STRESS, "a", runs, KINDS, "1")
    assert reason in found.reason
    assert found.met == found.reason.startswith("is there")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (" 7d ", 604800)])
def test_a_length_of_time_has_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "0s", "-1h", "1e9d", "ten minutes", "1h30m"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match="is not a length of time"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("runs: [{kind: stress, load: 150%}]", "`load` and `of` belong together"),
        ("runs: [{kind: stress, load: 150%, of: susteined}, {kind: sustained}]", "did you mean `sustained`?"),
        ("runs: [{kind: a}, {kind: a}]", "the kind `a` is there already"),
        ("runs: [{at_least: 24h}]", "needs the key `kind`"),
        ("runs: [{kind: a, at_least: 24}]", "is not a length of time"),
        ("runs: [{kind: 'a\"b'}]", "is not a kind of run"),
        ("runs: [{kind: a, where: []}]", "is empty"),
        ("runs: []", "`runs` is empty"),
        ("runs: [{kind: stress, load: 0%, of: sustained}, {kind: sustained}]", "every run has a load of `0%`"),
        ("runs: [{kind: a, where: 'cold'}]", "is not one comparison"),
        ("max_age: yesterday", "is not a length of time"),
    ],
)
def test_a_demand_that_cannot_be_meant_is_refused_at_its_place(written: str, told: str) -> None:
    text = SLO.split("    runs:", maxsplit=1)[0] + f"    {written}\n    objectives:" + SLO.split("objectives:")[1]
    with pytest.raises(InvalidConfig, match=r"slo.yaml:5:\d+") as refused:
        parse_config(text)
    assert told in str(refused.value)
