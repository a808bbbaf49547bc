"""What is compared of a run, which way is worse, and what is said of it."""

import json
from dataclasses import asdict, replace

import pytest

from slo.asked import Asked, apart, asked_instead, asked_of
from slo.comparing import Measured, Side, Sides, compared, departure, key_of, outcome, unfit_of
from slo.model import Comparison
from slo.plan import Regression
from slo.profile import Profile
from slo.selector import Selector
from slo.shape import Shape, shape_of
from slo.sli import Sli
from tests.builders import config, finding, measured, record, requests, series

SERVICES = ("a", "b", "c", "d")
QUIET = [0.0, 0.02, -0.02, 0.01, -0.01, 0.015, -0.015, 0.005, -0.005, 0.0]
RULE = Regression()


def latency(service: str | None = "a") -> Asked:
    return Asked(Sli(service, Selector("http_req_duration"), "p(95)", 0.95), higher_is_worse=True)


def one_run(of: float, *services: str, value: float = 100.0) -> Measured:
    """A run in which the p95 of each service is ``value`` and so much more."""
    found = [
        measured(
            value * (1 + of), service=service, profile=json.dumps(asdict(Profile("number", value * (1 + of), 1000)))
        )
        for service in services or ("a",)
    ]
    return {key_of(one): one for one in found}


def quiet(*services: str) -> list[Side]:
    """Ten nights in which nothing happened."""
    return [Side(f"night{i}", one_run(change, *services)) for i, change in enumerate(QUIET)]


def sides(*now: float, services: tuple[str, ...] = ("a",)) -> Sides:
    """Runs so much slower than the baseline, the first of them the run itself."""
    return Sides(
        current=[Side(f"now{i}", one_run(change, *services)) for i, change in enumerate(now)],
        baseline=quiet(*services),
    )


def state_and_reason(sides: Sides, rule: Regression = RULE) -> tuple[str, bool, str]:
    (found,), _ = compared([latency()], sides, rule)
    return found.state, found.suspected, found.reason


def test_a_change_beyond_the_noise_of_the_baseline_regressed() -> None:
    (found,), _ = compared([latency()], sides(0.4), RULE)
    assert (found.service, found.sli, found.stat, found.unit) == ("a", "http_req_duration", "p(95)", "ms")
    assert (found.state, found.suspected) == ("regressed", False)
    assert found.reason == "+40 % against 100 ms in 10 runs"
    assert found.change == pytest.approx(0.4, abs=0.001)
    assert found.ci is not None
    assert found.ci[0] < 0.4 < found.ci[1]
    assert found.baseline_runs == tuple(f"night{i}" for i in range(10))


@pytest.mark.parametrize(
    ("change", "state"), [(-0.3, "improved"), (0.0, "inconclusive"), (0.02, "inconclusive"), (0.4, "regressed")]
)
def test_noise_is_neither_worse_nor_better(change: float, state: str) -> None:
    assert state_and_reason(sides(change))[0] in {state, "unchanged" if state == "inconclusive" else state}


def test_the_first_run_has_nothing_to_be_compared_with() -> None:
    assert state_and_reason(Sides([Side("now", one_run(0))], [])) == (
        "no_baseline", False, "no earlier run has such a measurement to compare with",
    )  # fmt: skip


def test_a_regression_is_suspected_until_as_many_runs_show_it_as_slo_yaml_asks() -> None:
    twice = Regression(confirm=2)
    assert state_and_reason(sides(0.4), twice)[:2] == ("regressed", True)
    assert "suspected until 2 runs of this commit show it" in state_and_reason(sides(0.4), twice)[2]
    assert state_and_reason(sides(0.4, 0.42), twice)[:2] == ("regressed", False)


def test_repeats_do_not_hide_what_a_run_shows() -> None:
    state, suspected, reason = state_and_reason(sides(0.4, -0.3))
    assert (state, suspected) == ("regressed", True)
    assert reason == "+40 % against 100 ms in 10 runs; suspected, since only 1 of 2 runs of this commit show it"


def test_when_all_services_move_together_it_is_the_environment() -> None:
    asked = [latency(service) for service in SERVICES]
    found, findings = compared(asked, sides(0.5, services=SERVICES), RULE)
    assert [(f.code, f.severity) for f in findings] == [("environment_shift", "suspect")]
    assert findings[0].message.startswith("4 services moved together by +50 %")
    assert {one.state for one in found} == {"inconclusive"}
    assert "it may be the environment" in found[0].reason


@pytest.mark.parametrize(("changes", "told"), [((0.6, 0.9, 0.5), True), ((0.6, 0.9, 0.0), False), ((0.6, 0.9), False)])
def test_of_three_services_each_has_to_have_got_slower_beyond_doubt(changes: tuple[float, ...], *, told: bool) -> None:
    services = SERVICES[: len(changes)]
    now = {
        key: one
        for service, change in zip(services, changes, strict=True)
        for key, one in one_run(change, service).items()
    }
    both = Sides([Side("now", now)], quiet(*services))
    _, findings = compared([latency(service) for service in services], both, RULE)
    assert bool(findings) == told
    if told:
        assert findings[0].message.startswith("all 3 services got slower, by +50 % to +90 %")


def test_what_is_worst_comes_first() -> None:
    far = Sides([Side("now", one_run(0.4) | one_run(0, "b"))], quiet("a", "b"))
    found, _ = compared([latency("b"), latency("a")], far, RULE)
    assert [one.service for one in found] == ["a", "b"]


def test_objectives_and_the_usual_measurements_are_compared_each_once() -> None:
    phase = config(
        '{service: a, sli: http_req_duration, target: "p(95) < 250ms"}',
        '{service: a, sli: cache_hits, target: "rate > 60%"}',
        '{service: a, sli: vus_max, target: "max == 5"}',
    ).phases[0]
    found = {
        (str(one.sli.selector), one.sli.stat): one.higher_is_worse for one in asked_of(phase, shape(("a", "/x")), ["a"])
    }
    assert found == {
        ("http_req_duration", "p(95)"): True, ("cache_hits", "rate"): False, ("http_req_failed", "rate"): True,
        ("http_reqs", "rate"): False,
    }  # fmt: skip


def test_a_run_without_services_is_compared_as_a_whole() -> None:
    assert {one.sli.service for one in asked_of(None, shape(), [])} == {None}
    assert {one.sli.service for one in asked_of(None, shape(("a", "/x"), ("b", "/y")), ["a", "b"])} == {"a", "b"}


def test_requests_that_belong_to_no_service_are_compared_with_the_whole() -> None:
    load = shape_of(record(*requests(service="a", name="/x"), *requests(name="/y")))
    assert {one.sli.service for one in asked_of(None, load, ["a"])} == {None, "a"}


def shape(*endpoints: tuple[str, str]) -> Shape:
    load = [s for service, name in endpoints for s in requests(service=service, method="GET", name=name)]
    return shape_of(record(*load, series("iterations", 100)))


def test_services_that_are_called_at_other_endpoints_are_apart() -> None:
    run = shape(("a", "/x"), ("a", "/y"), ("b", "/z"))
    assert apart(run, shape(("a", "/x"), ("b", "/z"))) == {"a"}
    assert apart(shape(("a", "/x"), ("b", "/z")), run) == {"a"}
    assert apart(run, run) == frozenset()


def test_a_few_calls_to_a_new_endpoint_leave_a_service_comparable() -> None:
    usual = record(*requests(1000, service="a", method="GET", name="/x"), series("iterations", 100))
    few, many = (
        shape_of(record(*usual.series, *requests(n, service="a", method="GET", name="/new"))) for n in (20, 30)
    )
    assert apart(few, shape_of(usual)) == apart(shape_of(usual), few) == frozenset()
    assert apart(many, shape_of(usual)) == apart(shape_of(usual), many) == {"a"}


def test_of_a_service_apart_the_endpoints_that_both_have_are_compared() -> None:
    run = shape(("a", "/x"), ("a", "/new"), ("b", "/z"))
    before = [shape(("a", "/x"), ("b", "/z")), shape(("a", "/x"), ("a", "/old"), ("b", "/z"))]
    found = {(str(one.sli.selector), one.sli.service) for one in asked_instead(run, before)}
    assert found == {
        ("http_req_duration{method:GET, name:/x}", "a"), ("http_req_failed{method:GET, name:/x}", "a"),
    }  # fmt: skip
    assert asked_instead(run, [*before, run]) == [], "one of them is of the same mixture"
    assert asked_instead(run, []) == []


def test_other_endpoints_make_another_mixture_and_only_that_services_numbers_are_lost() -> None:
    search = Asked(Sli("a", Selector("http_req_duration", (("name", "/y"),)), "p(95)", 0.95), higher_is_worse=True)
    asked = [latency("a"), latency("b"), latency(None), search]
    other = replace(
        sides(0.4, services=("a", "b")), baseline=[replace(one, apart=frozenset({"a"})) for one in quiet("a", "b")]
    )
    unfit = unfit_of(asked, other, [])
    assert unfit.keys() == {latency("a").sli.key, latency(None).sli.key}
    assert "those that both have are compared" in unfit[latency("a").sli.key]


def test_only_runs_of_the_same_mixture_are_compared() -> None:
    odd = [replace(one, apart=frozenset({"a"}), measured=one_run(9)) for one in quiet("a")[:3]]
    both = Sides([Side("now", one_run(0.4))], [*odd, *quiet("a")[3:]])
    (found,), _ = compared([latency()], both, RULE)
    assert found.baseline_runs == tuple(f"night{i}" for i in range(3, 10))
    assert found.change == pytest.approx(0.4, abs=0.01)


def test_what_is_not_believably_measured_is_not_compared() -> None:
    both = sides(0.4, services=("a", "b"))
    unfit = unfit_of([latency("a"), latency("b")], both, [finding("invalid", "unreachable", "a")])
    assert unfit == {latency("a").sli.key: "not believably measured: unreachable it is"}
    found, _ = compared([latency("a"), latency("b")], both, RULE, unfit)
    assert {one.service: one.state for one in found} == {"a": "not_comparable", "b": "regressed"}


def test_what_the_run_itself_lacks_is_not_answered_from_its_repeats() -> None:
    both = Sides([Side("now", {}), Side("again", one_run(0.4))], quiet("a"))
    assert state_and_reason(both)[0] == "not_comparable"


def test_one_bad_run_does_not_confirm_itself_by_a_clean_one() -> None:
    state, suspected, _ = state_and_reason(sides(0.0, 1.0), Regression(confirm=2))
    assert suspected or state != "regressed"


def test_a_run_that_got_worse_is_seen_beyond_doubt_only() -> None:
    assert departure([latency()], sides(0.5), RULE) == "it got worse"
    assert departure([latency()], sides(0.02), RULE) is None
    assert departure([latency()], sides(-0.5), RULE) is None


@pytest.mark.parametrize("change", [0.5, 0.06, -0.4])
def test_a_run_leaves_the_level_when_it_is_told_to_have_got_worse(change: float) -> None:
    (found,), _ = compared([latency()], sides(change), RULE)
    assert (departure([latency()], sides(change), RULE) is not None) == (found.state == "regressed")


@pytest.mark.parametrize("change", [0.5, -0.4])
@pytest.mark.parametrize("services", [SERVICES, SERVICES[:3]])
def test_a_run_whose_environment_moved_does_not_stand_for_the_level(change: float, services: tuple[str, ...]) -> None:
    asked = [latency(service) for service in services]
    _, findings = compared(asked, sides(change, services=services), RULE)
    moved = departure(asked, sides(change, services=services), RULE)
    assert moved == ("its environment moved" if findings else None)
    assert bool(findings) == (len(services) > 3 or change > 0)


def test_the_environment_excuses_only_what_moved_as_much() -> None:
    asked = [latency(service) for service in SERVICES[:3]]
    nights = quiet(*SERVICES[:3])
    now = one_run(0.25, *SERVICES[:2]) | one_run(9.0, SERVICES[2])
    found, findings = compared(asked, Sides([Side("now", now)], nights), RULE)
    assert [f.code for f in findings] == ["environment_shift"]
    assert {c.service: c.state for c in found} == {"a": "inconclusive", "b": "inconclusive", "c": "regressed"}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], "no_baseline"),
        (["no_baseline"], "no_baseline"),
        (["not_comparable", "no_baseline"], "not_comparable"),
        (["not_comparable", "improved", "unchanged"], "inconclusive"),
        (["improved", "unchanged"], "improved"),
        (["unchanged"], "unchanged"),
        (["suspected", "regressed", "inconclusive"], "regressed"),
        (["suspected", "inconclusive"], "suspected"),
    ],
)
def test_nothing_that_is_missing_counts_as_unchanged(states: list[str], expected: str) -> None:
    found = [
        Comparison("a", "x", "p(95)", "ms", "regressed" if s == "suspected" else s, "", suspected=s == "suspected")  # type: ignore[arg-type]
        for s in states
    ]
    assert outcome(found) == expected
