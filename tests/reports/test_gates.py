"""A gate's decision as people read it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from data.model import Override, Waiver
from reports import gates
from reports.layout import WIDTH
from slo.gate import GateCheck, GateDecision, GateQuestion
from slo.model import VerdictState
from tests.builders import START

MISSED = GateCheck(
    "objective", "http_req_duration", "missed", "p(95) = 399 ms, target < 250 ms", "event", key=True, runs=("r1",),
    next_step="look at it",
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


def written(found: GateDecision, *, everything: bool = False) -> str:
    console = Console(width=WIDTH, no_color=True)
    with console.capture() as capture:
        console.print(gates.gate(found, everything=everything))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


@pytest.mark.parametrize(
    ("state", "first", "last"),
    [
        ("pass", "✓ PASS  version 1.4.0 may enter phase 7A (Core services)", "PASS  exit 0"),
        ("warn", "! WARN  version 1.4.0 may enter phase 7A (Core services), but look at this first", "WARN  exit 0"),
        ("fail", "✕ FAIL  version 1.4.0 may not enter phase 7A (Core services)", "FAIL  exit 1"),
        (
            "inconclusive", "? INCONCLUSIVE  nobody can tell whether version 1.4.0 may enter phase 7A (Core services)",
            "INCONCLUSIVE  exit 3",
        ),
    ],
)  # fmt: skip
def test_the_answer_stands_first_and_the_exit_code_last(state: VerdictState, first: str, last: str) -> None:
    lines = written(decision(state, MISSED, ENTRY)).splitlines()
    assert lines[0] == first
    assert lines[-1] == last
    assert "90.00 % of the objectives met, score 85 of 100" in " ".join(" ".join(lines).split())


def test_what_is_met_is_counted_and_shown_when_asked_for() -> None:
    told = written(decision("fail", MISSED, ENTRY))
    assert "✕  MISSED  event http_req_duration (key)" in told
    assert "seeded_users" not in told
    assert "and 1 of 2 checks met (--all)" in told
    assert "✓  MET     `seeded_users >= 10000`" in written(decision("fail", MISSED, ENTRY), everything=True)
    assert "roll back  Redeploy." in told
    assert "verify     Look twice." in told
    assert "next  look at it" in told


def test_decisions_are_a_table_and_none_is_said() -> None:
    console = Console(width=WIDTH, no_color=True)
    with console.capture() as capture:
        console.print(gates.gates([decision("fail")]))
        console.print(gates.gates([]))
    told = capture.get()
    assert "24acc2ad4aec" in told
    assert "✕  FAIL" in told
    assert "No gate has decided anything yet" in told


def test_a_comment_begins_with_its_mark_and_the_answer() -> None:
    lines = gates.markdown(decision("fail", MISSED, ENTRY)).splitlines()
    assert lines[0] == "<!-- phasegate gate 7A ci -->"
    assert lines[1] == "### ✕ FAIL: version 1\\.4\\.0 may not enter phase 7A \\(Core services\\)"
    assert "| ✕ MISSED | event http\\_req\\_duration \\(key\\) | p\\(95\\) = 399 ms, target &lt; 250 ms |" in lines
    assert any(line.startswith("**Rollback:** Redeploy") for line in lines)


HOSTILE = "<script>alert(1)</script> | x\n| y `z` @everyone [a](http://b) <!-- -->"


def test_what_came_from_outside_is_only_text() -> None:
    check = replace(MISSED, reason=HOSTILE, service=HOSTILE, about=HOSTILE)
    told = gates.markdown(
        decision("fail", check, reasons=(HOSTILE,), next_steps=(HOSTILE,), question=GateQuestion("--><b>", HOSTILE))
    )
    assert "<script" not in told
    assert "@everyone" not in told
    assert "](http" not in told
    assert told.count("<!--") == told.count("-->") == 1
    (row,) = [line for line in told.splitlines() if line.startswith("| ✕ MISSED")]
    assert row.replace("\\|", "").count("|") == 4


@pytest.mark.parametrize("n", [1, 2000])
def test_a_comment_fits_whatever_the_run(n: int) -> None:
    checks = [replace(MISSED, reason="a | reason " * 30)] * n
    told = gates.markdown(decision("fail", *checks, reasons=("x" * 400,) * n, next_steps=("y" * 400,) * n))
    assert len(told) <= gates.MOST_CHARACTERS
    assert ("more checks are not shown" in told) == (n > 1)
    assert told.rstrip().endswith("</sub>")


def test_an_override_is_told_first_and_exits_0() -> None:
    through = decision("fail", MISSED, override=Override("24acc2ad4aec", "kim", "the launch is today", START))
    lines = written(through).splitlines()
    assert lines[0].startswith("! OVERRIDDEN  kim let version 1.4.0 into phase 7A")
    assert "The gate says fail" in " ".join(lines)
    assert lines[-1] == "OVERRIDDEN  exit 0"
    assert "PASS" not in written(through)
    assert gates.markdown(through).splitlines()[1].startswith("### ! OVERRIDDEN: kim let version")


def test_waivers_are_a_table_and_none_is_said() -> None:
    console = Console(width=WIDTH, no_color=True)
    with console.capture() as capture:
        console.print(gates.waivers([Waiver("error_storm", "kim", "known", START, "venue", id="w1", created_at=START)]))
        console.print(gates.waivers([]))
    assert "error_storm" in capture.get()
    assert "venue" in capture.get()
    assert "Nothing is waived." in capture.get()
