"""Rules over load, length and generator beside earlier runs: the sign that each takes, and what it leaves alone."""

from dataclasses import replace

import pytest

from slo.rules.against import find_against
from slo.shape import Shape
from tests.slo.rules.shapes import BEFORE, FLOW, USUAL, Case, flowing, told

ABORTED = [("aborted", "suspect")]
LESS = [("load_not_delivered", "suspect")]
THREW = [("script_error", "suspect")]
STARVED = [("generator_starved", "suspect")]


def lasting(load_s: float, usual_s: float = 100.0) -> tuple[Shape, tuple[Shape]]:
    """A run and an earlier one with ten iterations per second, for as long as each lasts."""
    run, usual = (
        replace(
            USUAL,
            load_s=s,
            flows=(replace(FLOW, iterations=round(10 * s), requests=round(20 * s), span_s=s, busy_s=10 * s),),
        )
        for s in (load_s, usual_s)
    )
    return run, (usual,)


def working(work_ms: float | None, receiving_ms: float | None = 1.0) -> Shape:
    return replace(USUAL, work_ms=work_ms, receiving_ms=receiving_ms)


SECOND = replace(FLOW, scenario="checkout", iterations=50, requests=250, busy_s=50.0)
TWO = replace(USUAL, flows=(SECOND, FLOW))

CASES: dict[str, Case] = {
    "the same as ever": (USUAL, BEFORE, []),
    "no teardown": (replace(USUAL, has_teardown=False), BEFORE, ABORTED),
    "no teardown, as once before": (
        replace(USUAL, has_teardown=False),
        (USUAL, replace(USUAL, has_teardown=False)),
        [],
    ),
    "shorter than four fifths": (*lasting(79.0), ABORTED),
    "four fifths as long": (*lasting(80.0), []),
    "a short test that is two seconds shorter": (*lasting(3.0, 5.0), []),
    "as many iterations in half the time: a faster service": (
        replace(flowing(span_s=50.0, busy_s=500.0), load_s=50.0),
        BEFORE,
        [],
    ),
    "killed before an iteration was over": (
        replace(flowing(iterations=0, requests=90, span_s=5.0, busy_s=0.0), load_s=5.0),
        BEFORE,
        ABORTED + LESS,
    ),
    "less load": (flowing(iterations=799, requests=1598, busy_s=799.0), BEFORE, LESS),
    "four fifths of the load": (flowing(iterations=800, requests=1600, busy_s=800.0), BEFORE, []),
    "less load, because as many users waited longer": (flowing(iterations=700, requests=1400), BEFORE, LESS),
    "as little load as once before": (
        flowing(iterations=700, requests=1400),
        (*BEFORE, flowing(iterations=690, requests=1380)),
        [],
    ),
    "as many iterations by as many users in twice the time: a slower service": (
        replace(flowing(span_s=200.0, busy_s=2000.0), load_s=200.0),
        BEFORE,
        [],
    ),
    "half the rate for twice the time": (replace(flowing(span_s=200.0), load_s=200.0), BEFORE, LESS),
    "two iterations fewer of seven": (
        flowing(iterations=5, requests=10, busy_s=5.0),
        (flowing(iterations=7, requests=14, busy_s=7.0),),
        [],
    ),
    "less of one scenario of two": (
        replace(TWO, flows=(replace(SECOND, iterations=30, requests=150, busy_s=30.0), FLOW)),
        (TWO,),
        LESS,
    ),
    "fewer requests per iteration": (flowing(requests=1599), BEFORE, THREW),
    "four fifths of the requests per iteration": (flowing(requests=1600), BEFORE, []),
    "as few requests per iteration as once before": (flowing(requests=1500), (*BEFORE, flowing(requests=1490)), []),
    "fewer requests per iteration of one scenario of two": (
        replace(TWO, flows=(replace(SECOND, requests=50), FLOW)),
        (TWO,),
        THREW,
    ),
    "more of the scenario with few requests is no error of the script": (
        replace(TWO, flows=(SECOND, replace(FLOW, iterations=1200, requests=2400))),
        (replace(TWO, flows=(replace(SECOND, iterations=60, requests=300, busy_s=60.0), FLOW)),),
        [],
    ),
    "a test that never sent a request": (flowing(requests=0), (flowing(requests=0),), []),
    "half as much time again around requests": (working(15.1), BEFORE, STARVED),
    "not more than half as much time again": (working(15.0), BEFORE, []),
    "three milliseconds more of one": (working(4.0), (working(1.0, 0.1),), []),
    "as much time as a run before": (working(20.0), (*BEFORE, working(14.0, 0.1)), []),
    "a longer sleep, and answers are read as fast as ever": (working(1010.0, 0.1), BEFORE, []),
    "nothing known of reading": (working(20.0, None), BEFORE, STARVED),
    "no time known": (working(None), BEFORE, []),
    "no time known of the runs before": (USUAL, (working(None),), []),
    "mostly off the beat": (replace(USUAL, off_beat_ms=42.4), BEFORE, STARVED),
    "as much off the beat as busy machines are": (replace(USUAL, off_beat_ms=10.0), BEFORE, []),
    "a beat that is not known": (replace(USUAL, off_beat_ms=None), BEFORE, []),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rule_takes_its_sign_and_no_other(case: str) -> None:
    run, before, expected = CASES[case]
    assert told(run, *before) == expected


@pytest.mark.parametrize("case", [case for case, (_, _, expected) in CASES.items() if expected])
def test_a_finding_says_what_and_what_to_do(case: str) -> None:
    run, before, _ = CASES[case]
    assert all(found.message and found.evidence and found.remedy for found in find_against(run, before))


def test_a_first_run_has_nothing_beside_it() -> None:
    assert find_against(replace(USUAL, has_teardown=False), ()) == ()


def test_a_stumbling_generator_shows_without_any_run_before() -> None:
    (found,) = find_against(replace(USUAL, off_beat_ms=42.4), ())
    assert found.code == "generator_starved"
    assert "42 ms" in found.message


def test_a_run_without_load_is_left_to_the_rules_of_one_run() -> None:
    assert find_against(replace(flowing(iterations=0, requests=0), has_teardown=False), BEFORE) == ()


def test_a_run_that_was_cut_is_told_once_with_all_its_signs() -> None:
    run, before = lasting(40.0)
    (found,) = find_against(replace(run, has_teardown=False), before)
    assert "teardown() did not run" in found.message
    assert "its load lasted 40" in found.message


@pytest.mark.parametrize(
    ("busy_s", "why"), [(1000.0, "as many users at once waited longer"), (700.0, "the script asks for less")]
)
def test_less_load_says_whether_users_waited(busy_s: float, why: str) -> None:
    (found,) = find_against(flowing(iterations=700, requests=1400, busy_s=busy_s), BEFORE)
    assert why in found.message


def test_of_several_scenarios_the_one_is_named() -> None:
    run = replace(TWO, flows=(replace(SECOND, iterations=30, requests=150, busy_s=30.0), FLOW))
    (found,) = find_against(run, (TWO,))
    assert found.message.startswith("0.30 iterations per second of scenario checkout were run instead of 0.50")
