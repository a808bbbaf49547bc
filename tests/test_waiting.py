"""A gate that is asked again while runs of the version are missing."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from stamina import instrumentation

from cli_gate import waited
from data.errors import NotFound, PhasegateError, ServerUnreachable, StoreLocked
from slo.gate import awaits_runs
from slo.gate_model import CheckKind, GateCheck, GateDecision
from slo.model import VerdictState
from tests.answers import decision

NO_RUN = GateCheck("run", "http_req_duration p(95)", "unknown", "is not known: no run speaks for event", "event")
MISSING = decision("inconclusive", NO_RUN)
PASSED = decision("pass")


def asking(*answers: GateDecision | PhasegateError) -> Callable[[], tuple[GateDecision, int]]:
    """Gives one answer after the other, the last for ever; with it, which it is."""
    asked = iter(enumerate([*answers, *answers[-1:] * 1000]))

    def ask() -> tuple[GateDecision, int]:
        number, answer = next(asked)
        if isinstance(answer, PhasegateError):
            raise answer
        return answer, number

    return ask


@pytest.mark.parametrize(
    ("state", "kind", "waits"),
    [
        ("inconclusive", "run", True), ("inconclusive", "entry", True), ("inconclusive", "phase", True),
        ("inconclusive", "kind", True), ("inconclusive", "age", True),
        ("inconclusive", "objective", False), ("inconclusive", "measurement", False), ("fail", "run", False),
    ],
)  # fmt: skip
def test_only_what_further_runs_may_settle_is_waited_for(state: VerdictState, kind: CheckKind, *, waits: bool) -> None:
    assert awaits_runs(decision(state, GateCheck(kind, "x", "unknown", "is not known"))) is waits


@pytest.mark.parametrize("state", ["pass", "warn", "fail", "inconclusive"])
def test_it_is_asked_again_until_it_can_be_told(state: VerdictState) -> None:
    told = decision(state)
    away = ServerUnreachable("no answer"), StoreLocked("another process holds it")
    assert waited(asking(MISSING, *away, MISSING, told, PASSED), 30, 0.01) == (told, 4)


@pytest.mark.parametrize("last", [MISSING, ServerUnreachable("no answer")])
def test_when_the_time_is_over_the_last_answer_stands(last: GateDecision | PhasegateError) -> None:
    began = time.monotonic()
    assert waited(asking(MISSING, last), 0.2, 0.05)[0] == MISSING
    assert 0.1 < time.monotonic() - began < 10


def test_a_server_that_never_answers_is_an_error() -> None:
    with pytest.raises(ServerUnreachable):
        waited(asking(ServerUnreachable("no answer")), 0.1, 0.02)


def test_what_is_wrong_is_not_asked_again() -> None:
    with pytest.raises(NotFound):
        waited(asking(NotFound("no such phase"), PASSED), 30, 0.01)


def test_it_says_once_why_it_waits_and_leaves_other_retries_their_words(capfd: pytest.CaptureFixture[str]) -> None:
    before = instrumentation.get_on_retry_hooks()
    waited(asking(*[MISSING] * 5, PASSED), 30, 0.01)
    assert capfd.readouterr().err == "note: runs are missing; asking again for up to 30 s\n"
    assert instrumentation.get_on_retry_hooks() == before
