"""Precedence: a proven miss beats doubt, doubt beats everything else, and nothing to judge is never a pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.model import Finding, ObjectiveResult, ObjectiveState, Severity
from slo.verdict import decide, next_steps
from tests.builders import finding, result

STATES: list[ObjectiveState] = ["met", "at_risk", "missed", "no_data", "not_evaluable"]
SEVERITIES: list[Severity] = ["invalid", "suspect", "info"]


@pytest.mark.parametrize(
    ("objectives", "findings", "verdict"),
    [
        ([result("met")], [], "pass"),
        ([result("met"), result("at_risk")], [], "warn"),
        ([result("met"), result("missed")], [], "fail"),
        ([result("met"), result("no_data")], [], "inconclusive"),
        ([result("met"), result("not_evaluable")], [], "inconclusive"),
        ([result("missed"), result("no_data")], [], "fail"),
        ([], [], "inconclusive"),
        ([result("met")], [finding("info")], "pass"),
        ([result("met")], [finding("suspect")], "inconclusive"),
        ([result("at_risk")], [finding("suspect")], "inconclusive"),
        ([result("missed")], [finding("suspect")], "inconclusive"),
        ([result("missed", proven=True)], [finding("suspect")], "fail"),
        ([result("not_evaluable")], [finding("invalid")], "inconclusive"),
        ([result("met")], [finding("invalid")], "inconclusive"),
        ([result("missed")], [finding("invalid", service="chat")], "fail"),
    ],
)
def test_what_findings_and_objectives_add_up_to(
    objectives: list[ObjectiveResult], findings: list[Finding], verdict: str
) -> None:
    assert decide(objectives, findings)[0] == verdict


@given(st.lists(st.sampled_from(STATES), max_size=6), st.lists(st.sampled_from(SEVERITIES), max_size=3))
def test_a_pass_has_only_met_objectives_and_no_doubt(states: list[ObjectiveState], severities: list[Severity]) -> None:
    verdict, reasons = decide([result(s) for s in states], [finding(s) for s in severities])
    assert (verdict == "pass") == (bool(states) and set(states) == {"met"} and set(severities) <= {"info"})
    assert reasons


@given(st.lists(st.sampled_from(STATES), min_size=1, max_size=6), st.data())
def test_losing_an_objective_to_no_data_never_turns_a_verdict_into_a_pass(
    states: list[ObjectiveState], data: st.DataObject
) -> None:
    lost = data.draw(st.integers(0, len(states) - 1))
    states[lost] = "no_data"
    assert decide([result(s) for s in states], [])[0] in {"fail", "inconclusive"}


def test_the_key_objective_is_the_first_reason() -> None:
    _, reasons = decide([result("missed", sli="a"), result("missed", sli="b", key=True)], [])
    assert reasons[0].startswith("event b")


def test_an_inconclusive_verdict_says_what_would_settle_it() -> None:
    assert next_steps("inconclusive", [result("met")], [finding("suspect")]) == ("repair truncated",)
    few = result("not_evaluable", reason="40 samples are too few for p(95): it takes 59")
    assert any("longer" in step for step in next_steps("inconclusive", [few], []))
    assert any("--service" in step for step in next_steps("inconclusive", [], []))
    assert next_steps("pass", [result("met")], []) == ()
