"""An answer as annotations, as GitHub's runner reads a log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports import github
from reports.answer import of_gate, of_verdict
from slo.model import VerdictState
from tests.answers import HOSTILE, MISSED, SLO, decision, verdict
from tests.builders import result

Command = tuple[str, dict[str, str], str]


def runner(log: str) -> list[Command]:
    """The commands in a log as ``ActionCommand.TryParseV2`` of actions/runner finds them, line by line."""
    found = []
    for line in log.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line.lstrip().startswith("::"):
            assert not line, "nothing else is said"
            continue
        head, _, data = line.lstrip()[2:].partition("::")
        name, _, properties = head.partition(" ")
        pairs = (pair.split("=", 1) for pair in properties.split(","))
        found.append((name, {key: unescaped(value, "%0D %0A %3A %2C") for key, value in pairs}, unescaped(data)))
    return found


def unescaped(text: str, marks: str = "%0D %0A") -> str:
    for mark in [*marks.split(), "%25"]:
        text = text.replace(mark, chr(int(mark[1:], 16)))
    return text


def test_a_missed_objective_is_annotated_where_it_is_written() -> None:
    answer, missed = runner(github.commands(of_gate(decision("fail", MISSED), SLO)))
    assert answer == (
        "error", {"title": "✕ FAIL phase 7A"},
        "version 1.4.0 may not enter phase 7A (Core services); event http_req_duration p(95) = 399 ms",
    )  # fmt: skip
    assert missed == (
        "error",
        {"file": "perf/slo.yaml", "line": "14", "col": "9",
         "title": "✕ MISSED event http_req_duration p(95) < 250ms"},
        "p(95) = 399 ms, target < 250 ms. Next: look at it",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "level"), [("pass", "notice"), ("warn", "warning"), ("fail", "error"), ("inconclusive", "error")]
)
def test_an_answer_is_always_annotated(state: VerdictState, level: str) -> None:
    ((found, _, _),) = runner(github.commands(of_gate(decision(state))))
    assert found == level
    assert runner(github.commands(of_verdict(verdict(state, result("met")), SLO)))[0][0] == level


def test_github_shows_ten_of_a_level_so_more_are_counted() -> None:
    checks = [replace(MISSED, name=f"m{i}") for i in range(15)]
    checks += [replace(MISSED, name=f"w{i}", state="waived") for i in range(12)]
    found = runner(github.commands(of_gate(decision("fail", *checks))))
    assert [sum(level == one for level, _, _ in found) for one in ("error", "warning", "notice")] == [10, 0, 10]
    assert found[0][2].endswith("8 more checks not annotated: GitHub shows 10 a level")
    assert [told["title"].split()[-4] for _, told, _ in found[1:10]] == [f"m{i}" for i in range(9)]


def test_what_came_from_outside_starts_no_command() -> None:
    check = replace(MISSED, service=HOSTILE, name=HOSTILE, reason=HOSTILE, next_step=HOSTILE)
    log = github.commands(of_gate(decision("fail", check, reasons=(HOSTILE,)), replace(SLO, source=HOSTILE)))
    found = runner(log)
    assert [name for name, _, _ in found] == ["error", "error"]
    assert all(set(told) <= {"title", "file", "line", "col"} for _, told, _ in found)
    assert log.count("\n") == 2
    assert not set(log) & set("\x00\x1b\u202e\ud800\ufffe\u2028\r")
    assert "%0A::error::c" in found[1][2], "it is shown as it was written"
