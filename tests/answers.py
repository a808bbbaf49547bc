"""A gate's decision and a verdict as values, for what is told of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from data.model import Waiver
from slo.gate_model import GateCheck, GateDecision, GateQuestion
from slo.model import ConfigReport, Measurement, ObjectivePlace, ObjectiveResult, RunRef, Verdict, VerdictState
from tests.builders import START

MISSED = GateCheck(
    "objective", "http_req_duration", "missed", "p(95) = 399 ms, target < 250 ms", "event", key=True, runs=("r1",),
    next_step="look at it", name="http_req_duration", target="p(95) < 250ms",
)  # fmt: skip
ENTRY = GateCheck("entry", "`seeded_users >= 10000`", "met", "10000 >= 10000", runs=("r1",))


def decision(state: VerdictState, *checks: GateCheck, **more: object) -> GateDecision:
    blank = GateDecision(
        schema=1, id="24acc2ad4aec", question=GateQuestion("7A", "1.4.0", "ci"), title="Core services", decision=state,
        reasons=("event http_req_duration p(95) = 399 ms",), next_steps=("look at it",), checks=checks, coverage=0.9,
        score=85.4, config_digest="d", rule_version=1, runs=("r1",), rollback="Redeploy.",
        verification=("Look twice.",), decided_at=START,
    )  # fmt: skip
    return replace(blank, **more)  # type: ignore[arg-type]  # any field


RUN = RunRef(
    "7f3a91c20b44", "shop", "smoke", "7A", "main", "abcdef0123456789", "1.4.0", "ci", START, 20.0, 1234, ("shop",)
)


def verdict(state: VerdictState, *objectives: ObjectiveResult, **more: object) -> Verdict:
    blank = Verdict(
        schema=1, rule_version=1, config_digest="d", phase="7A", run=RUN, verdict=state,
        reasons=("it is so",), next_steps=("look at it",), measurement=Measurement("valid"), objectives=objectives,
        comparisons=(), scope=("shop",), out_of_scope=0, judged_at=START,
    )  # fmt: skip
    return replace(blank, **more)  # type: ignore[arg-type]  # any field


WAIVER = Waiver(
    "http_req_duration", "kim", "fixed in <b>2.15</b>", START + timedelta(days=7), "shop", id="w1", created_at=START
)

SLO = ConfigReport(
    "perf/slo.yaml", "d", (), (), 2,
    places=(
        ObjectivePlace("7A", "event", "http_req_duration", "p(95) < 250ms", (), 14, 9),
        ObjectivePlace("7A", "shop", "http_req_duration", "p(95) < 250ms", (), 15, 9),
        ObjectivePlace("8", "event", "http_req_duration", "p(95) < 250ms", (), 34, 9),
    ),
)  # fmt: skip

HOSTILE = (
    "<script>alert(1)</script> | x\n| y `z` @everyone [a](http://b) <!-- --> \x1b[2J\u202e\ud800\ufffe\x00"
    "\n::set-output name=a::b\r\n::add-mask::e\u2028::stop-commands::x ##[set-env name=a]b %0A::error::c"
)
"""What nobody should call a service, and somebody will."""
