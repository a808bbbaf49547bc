"""Rules beside earlier runs: the sign that each takes, its boundary, and the neighbour that it leaves alone."""

from dataclasses import replace

import pytest

from slo.findings import concerns
from slo.rules.against import find_against
from slo.shape import Shape

USUAL = Shape(
    run_id="0123456789ab", endpoints=frozenset({("event", "GET", "/event"), ("chat", "POST", "/chat")}),
    groups=frozenset({"::browse"}), checks=frozenset({"status is 200"}), scenarios=frozenset({"default"}),
    tags=frozenset({"load=peak"}), thresholds=frozenset({"http_req_duration: p(95)<250", "checks: rate>0.9"}),
    has_summary=True, has_teardown=True, script_hash="a1", k6_version="1.1.0", requests=2000, iterations=1000,
    load_s=100.0, vus=10, work_ms=10.0, setup_requests=3,
)  # fmt: skip
BEFORE = (USUAL, USUAL, USUAL)
SUBMETRIC = "http_req_duration{name:/a}: p(95)<100"


def told(run: Shape, *before: Shape) -> list[tuple[str, str]]:
    return [(f.code, f.severity) for f in find_against(run, before or BEFORE)]


def asking(*thresholds: str) -> Shape:
    return replace(USUAL, thresholds=frozenset(thresholds))


def lasting(load_s: float, usual_s: float = 100.0) -> tuple[Shape, tuple[Shape]]:
    """A run and an earlier one with ten iterations per second, for as long as each lasts."""
    run, usual = (replace(USUAL, load_s=s, iterations=round(10 * s), requests=round(20 * s)) for s in (load_s, usual_s))
    return run, (usual,)


CASES: dict[str, tuple[Shape, tuple[Shape, ...], list[tuple[str, str]]]] = {
    "the same as ever": (USUAL, BEFORE, []),
    "no teardown": (replace(USUAL, has_teardown=False), BEFORE, [("aborted", "suspect")]),
    "no teardown, as once before": (
        replace(USUAL, has_teardown=False),
        (USUAL, replace(USUAL, has_teardown=False)),
        [],
    ),
    "shorter than four fifths": (*lasting(79.0), [("aborted", "suspect")]),
    "four fifths as long": (*lasting(80.0), []),
    "a short test that is two seconds shorter": (*lasting(3.0, 5.0), []),
    "less load": (
        replace(USUAL, iterations=799, requests=1598),
        BEFORE,
        [("load_not_delivered", "suspect")],
    ),
    "four fifths of the load": (replace(USUAL, iterations=800, requests=1600), BEFORE, []),
    "fewer requests per iteration": (replace(USUAL, requests=1599), BEFORE, [("script_error", "suspect")]),
    "four fifths of the requests per iteration": (replace(USUAL, requests=1600), BEFORE, []),
    "a test that never sent a request": (replace(USUAL, requests=0), (replace(USUAL, requests=0),), []),
    "an endpoint less": (
        replace(USUAL, endpoints=frozenset({("event", "GET", "/event")})),
        BEFORE,
        [("endpoint_missing", "suspect")],
    ),
    "an endpoint less that not every run before had": (
        USUAL,
        (USUAL, replace(USUAL, endpoints=USUAL.endpoints | {("event", "GET", "/seldom")})),
        [],
    ),
    "a check less": (replace(USUAL, checks=frozenset()), BEFORE, [("definition_changed", "suspect")]),
    "a group less": (replace(USUAL, groups=frozenset()), BEFORE, [("definition_changed", "suspect")]),
    "another scenario": (
        replace(USUAL, scenarios=frozenset({"spike"})),
        BEFORE,
        [("definition_changed", "suspect")],
    ),
    "another tag": (replace(USUAL, tags=frozenset({"load=low"})), BEFORE, [("definition_changed", "suspect")]),
    "a check more": (
        replace(USUAL, checks=USUAL.checks | {"has a body"}),
        BEFORE,
        [("definition_changed", "info")],
    ),
    "an endpoint more": (
        replace(USUAL, endpoints=USUAL.endpoints | {(None, "GET", "/new")}),
        BEFORE,
        [("definition_changed", "info")],
    ),
    "another script": (replace(USUAL, script_hash="b2"), BEFORE, [("definition_changed", "info")]),
    "another k6": (replace(USUAL, k6_version="1.2.0"), BEFORE, [("definition_changed", "info")]),
    "a script that nobody named": (replace(USUAL, script_hash=None), BEFORE, []),
    "over a quarter more load": (
        replace(USUAL, iterations=1251, requests=2502),
        BEFORE,
        [("definition_changed", "suspect")],
    ),
    "a quarter more load": (replace(USUAL, iterations=1250, requests=2500), BEFORE, []),
    "a change that the run before already had": (
        replace(USUAL, checks=frozenset({"x"})),
        (replace(USUAL, checks=frozenset({"x"})), USUAL),
        [],
    ),
    "a threshold less": (asking("checks: rate>0.9"), BEFORE, [("thresholds_weakened", "suspect")]),
    "a higher upper bound": (
        asking("http_req_duration: p(95)<251", "checks: rate>0.9"),
        BEFORE,
        [("thresholds_weakened", "suspect")],
    ),
    "a lower lower bound": (
        asking("http_req_duration: p(95)<250", "checks: rate>0.89"),
        BEFORE,
        [("thresholds_weakened", "suspect")],
    ),
    "stricter bounds": (asking("http_req_duration: p(95)<249", "checks: rate>0.91"), BEFORE, []),
    "the same bounds, written otherwise": (
        asking("http_req_duration:  p(95) < 250.0", "checks: rate > 0.90"),
        BEFORE,
        [],
    ),
    "a sub-metric's threshold less": (
        asking("checks: rate>0.9"),
        (asking("checks: rate>0.9", SUBMETRIC),),
        [("thresholds_weakened", "suspect")],
    ),
    "a sub-metric's threshold that no summary tells of": (
        replace(asking("checks: rate>0.9"), has_summary=False),
        (asking("checks: rate>0.9", SUBMETRIC),),
        [],
    ),
    "half as much time again around requests": (
        replace(USUAL, work_ms=15.1),
        BEFORE,
        [("generator_starved", "suspect")],
    ),
    "not more than half as much time again": (replace(USUAL, work_ms=15.0), BEFORE, []),
    "three milliseconds more of one": (replace(USUAL, work_ms=4.0), (replace(USUAL, work_ms=1.0),), []),
    "as much time as a run before": (
        replace(USUAL, work_ms=20.0),
        (*BEFORE, replace(USUAL, work_ms=14.0)),
        [],
    ),
    "no time known": (replace(USUAL, work_ms=None), BEFORE, []),
    "no time known of the runs before": (USUAL, (replace(USUAL, work_ms=None),), []),
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


def test_a_run_without_iterations_is_left_to_the_rules_of_one_run() -> None:
    assert find_against(replace(USUAL, iterations=0, has_teardown=False), BEFORE) == ()


def test_a_service_that_vanished_is_told_of_that_service() -> None:
    (found,) = find_against(replace(USUAL, endpoints=frozenset({("event", "GET", "/event")})), BEFORE)
    assert found.message == "the service chat got no request any more"
    assert concerns(found, "chat")
    assert not concerns(found, "event")


def test_a_run_that_was_cut_is_told_once_with_all_its_signs() -> None:
    run, before = lasting(40.0)
    (found,) = find_against(replace(run, has_teardown=False), before)
    assert "teardown() did not run" in found.message
    assert "its load lasted 40" in found.message
