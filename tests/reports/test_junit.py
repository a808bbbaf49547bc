"""An answer as JUnit XML: read back by readers, never green where nothing is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from junitparser import JUnitXml, TestCase

from data.model import Override
from reports import junit
from reports.answer import Answer, of_gate, of_verdict
from slo.gate_model import CheckState
from slo.model import VerdictState
from tests.answers import ENTRY, HOSTILE, MISSED, decision, verdict
from tests.builders import START, result

STATES: dict[CheckState, str] = {
    "missed": "failure", "unknown": "error", "waived": "skipped", "at_risk": "passed", "met": "passed",
}  # fmt: skip


def read(answer: Answer) -> tuple[JUnitXml, dict[str, TestCase]]:
    document = JUnitXml.fromstring(junit.report(answer).encode())
    (suite,) = document
    return document, {str(case.name): case for case in suite}


def outcome(case: TestCase) -> str:
    return str(case.result[0]._tag) if case.result else "passed"


def test_each_check_is_a_case_and_the_totals_are_right() -> None:
    checks = [replace(MISSED, state=state, name=f"sli_{state}") for state in STATES]
    document, cases = read(of_gate(decision("fail", *checks, ENTRY)))
    outcomes = {name: outcome(case) for name, case in cases.items()}
    assert outcomes.pop("gate") == "failure"
    assert outcomes.pop("`seeded_users >= 10000`") == "passed"
    assert outcomes == {f"sli_{state} p(95) < 250ms": told for state, told in STATES.items()}
    counted = Counter(outcome(case) for case in cases.values())
    assert (document.tests, document.failures, document.errors, document.skipped) == (
        len(cases), counted["failure"], counted["error"], counted["skipped"],
    )  # fmt: skip
    assert {str(case.classname) for case in cases.values()} == {"event", "phase 7A"}


def test_a_case_says_why_and_what_to_do() -> None:
    _, cases = read(of_gate(decision("fail", MISSED, replace(MISSED, state="at_risk", name="checks"))))
    (failure,) = cases["http_req_duration p(95) < 250ms"].result
    assert failure.message == "http_req_duration p(95) < 250ms p(95) = 399 ms, target < 250 ms"
    assert failure.text.splitlines()[1] == "next: look at it"
    assert cases["checks p(95) < 250ms"].system_out.splitlines()[0] == "AT RISK"


@pytest.mark.parametrize(
    ("state", "told"), [("pass", "passed"), ("warn", "passed"), ("fail", "failure"), ("inconclusive", "error")]
)
def test_the_answer_itself_is_a_case_so_that_nothing_checked_is_not_green(state: VerdictState, told: str) -> None:
    for answer in (of_gate(decision(state)), of_verdict(verdict(state))):
        document, cases = read(answer)
        assert (document.tests, outcome(cases[answer.kind])) == (1, told)


def test_an_override_is_skipped_and_says_who() -> None:
    through = decision("fail", MISSED, override=Override("24acc2ad4aec", "kim", "the launch is today", START))
    _, cases = read(of_gate(through))
    assert outcome(cases["gate"]) == "skipped"
    assert "kim let version 1.4.0" in cases["gate"].result[0].message


def test_what_came_from_outside_breaks_no_xml() -> None:
    check = replace(MISSED, service=HOSTILE, name=HOSTILE, reason=HOSTILE, next_step=HOSTILE)
    _, cases = read(of_gate(decision("fail", check, reasons=(HOSTILE,) * 1000)))
    assert len(cases) == 2
    assert "\x00" not in "".join(cases)
    _, cases = read(of_verdict(verdict("fail", result("missed", service=HOSTILE, sli=HOSTILE))))
    assert len(cases) == 2
