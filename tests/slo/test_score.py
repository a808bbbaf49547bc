"""The score of a phase: one arithmetic for gates and imports, and nothing unknown ever counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from slo.plan import ScoreRule
from slo.score import Part, State, best_score, outcome, score, state_of
from tests.builders import config

RULE = ScoreRule(90, 75)


def parts(*states: State, key: int | None = None) -> list[Part]:
    return [Part(state, key=place == key) for place, state in enumerate(states)]


@pytest.mark.parametrize(
    ("found", "reached", "state"),
    [
        (parts("met", "met"), 100.0, "met"),
        (parts("met", "at_risk"), 75.0, "at_risk"),
        (parts("met", "missed"), 50.0, "missed"),
        (parts("at_risk", "met", key=0), 75.0, "at_risk"),
        ([Part("missed", key=True), Part("met", 99)], 99.0, "missed"),
        ([Part("missed"), Part("met", 9)], 90.0, "met"),
        ([Part("missed"), Part("met", 8.9)], 100 * 8.9 / 9.9, "at_risk"),
        ([Part("missed", 85), Part("met", 85 * 3)], 75.0, "at_risk"),
        (parts("met", "unknown"), 50.0, "unknown"),
        (parts("missed", "missed", "missed", "unknown"), 0.0, "missed"),
        ([Part("unknown"), Part("met", 9)], 90.0, "met"),
        ([Part("unknown", key=True), Part("met", 9)], 90.0, "unknown"),
        ([Part("missed", key=True), Part("unknown", 9)], 0.0, "missed"),
        ([Part("unknown", 2), Part("met", 8)], 80.0, "unknown"),
    ],
)
def test_objectives_add_up_by_weight(found: list[Part], reached: float, state: State) -> None:
    assert score(found) == pytest.approx(reached)
    assert outcome(found, RULE) == state


def test_without_a_warning_what_does_not_pass_fails() -> None:
    assert outcome(parts("met", "at_risk"), ScoreRule(90)) == "missed"


def test_nothing_has_no_score() -> None:
    assert score([]) == best_score([]) == 0.0


_PARTS = some.lists(
    some.builds(
        Part,
        some.sampled_from(["met", "at_risk", "missed", "unknown"]),
        some.floats(0.1, 10),
        some.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@given(_PARTS)
def test_a_sure_outcome_stays_whatever_becomes_of_what_is_unknown(found: list[Part]) -> None:
    told = outcome(found, RULE)
    assert score(found) <= best_score(found) <= 100 + 1e-9
    if told != "unknown":
        for state in ("met", "at_risk", "missed"):
            settled = [Part(state, p.weight, p.key) if p.state == "unknown" else p for p in found]
            assert outcome(settled, RULE) == told


@pytest.mark.parametrize(
    ("value", "baseline", "state"),
    [
        (430.0, 400.0, "met"), (500.0, 400.0, "at_risk"), (900.0, 400.0, "missed"),
        (430.0, None, "unknown"), (900.0, None, "missed"), (None, 400.0, "unknown"),
    ],
)  # fmt: skip
def test_one_value_alone_has_a_state(value: float | None, baseline: float | None, state: State) -> None:
    text = '{sli: http_req_duration, target: "p(95) <= 800ms", warn: ["p(95) <= +10%", "p(95) < 600ms"]}'
    (objective,) = config(text).phases[0].objectives
    assert state_of(objective, value, baseline) == state
