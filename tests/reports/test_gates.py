"""A gate's decision as people read it."""

from __future__ import annotations

import pytest
from rich.console import Console

from data.model import Override, Waiver
from reports import gates
from reports.layout import WIDTH
from slo.gate_model import GateDecision
from slo.model import VerdictState
from tests.answers import ENTRY, MISSED, decision
from tests.builders import START


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
    assert "0 of 1 objective met (0.00 %), score 85 of 100" in " ".join(" ".join(lines).split())


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


def test_an_override_is_told_first_and_exits_0() -> None:
    through = decision("fail", MISSED, override=Override("24acc2ad4aec", "kim", "the launch is today", START))
    lines = written(through).splitlines()
    assert lines[0].startswith("! OVERRIDDEN  kim let version 1.4.0 into phase 7A")
    assert "The gate says fail" in " ".join(lines)
    assert lines[-1] == "OVERRIDDEN  exit 0"
    assert "PASS" not in written(through)


def test_waivers_are_a_table_and_none_is_said() -> None:
    console = Console(width=WIDTH, no_color=True)
    with console.capture() as capture:
        console.print(gates.waivers([Waiver("error_storm", "kim", "known", START, "venue", id="w1", created_at=START)]))
        console.print(gates.waivers([]))
    assert "error_storm" in capture.get()
    assert "venue" in capture.get()
    assert "Nothing is waived." in capture.get()
