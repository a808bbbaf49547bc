"""One objective, one measurement: every state, and that nothing missing is ever met."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.catalog import StoredMeasurement
from data.model import Metric
from slo.held import Held
from slo.model import ObjectiveResult
from slo.objectives import judge
from slo.plan import Objective
from tests.builders import config, finding, measured

DURATION = Metric("http_req_duration", "trend", "time")
P95 = '{service: event, sli: http_req_duration, target: "p(95) < 250ms"}'
WARNED = (
    '{service: event, sli: http_req_duration, target: "p(95) < 250ms", warn: "p(95) < 200ms", key: true, weight: 2}'
)
FAILED = '{service: event, sli: http_req_failed, target: "rate < 1%"}'


def objective(text: str) -> Objective:
    return config(text).phases[0].objectives[0]


def judged(text: str, found: StoredMeasurement | None, *findings: object) -> ObjectiveResult:
    return judge(objective(text), found, DURATION if "duration" in text else None, list(findings))  # type: ignore[arg-type]  # findings


@pytest.mark.parametrize(
    ("text", "found", "state"),
    [
        (P95, measured(241.0), "met"),
        (P95, measured(250.0), "missed"),
        (P95, measured(399.0), "missed"),
        (P95, measured(241.0, ci_low=230.0, ci_high=249.0), "met"),
        (P95, measured(241.0, ci_low=230.0, ci_high=251.0), "at_risk"),
        (WARNED, measured(199.0), "met"),
        (WARNED, measured(201.0), "at_risk"),
        (FAILED, measured(0.0, unit="ratio", ci_low=0.0, ci_high=0.02), "met"),
        (FAILED, measured(0.005, unit="ratio", ci_low=0.001, ci_high=0.02), "at_risk"),
        (FAILED, measured(0.04, unit="ratio", ci_low=0.03, ci_high=0.05), "missed"),
        (P95, measured(None, problem="no samples match"), "no_data"),
        (P95, None, "no_data"),
        (P95, measured(100.0, problem="40 samples are too few"), "not_evaluable"),
        (P95, measured(math.nan), "no_data"),
    ],
)
def test_the_state_of_an_objective(text: str, found: StoredMeasurement | None, state: str) -> None:
    assert judged(text, found).state == state


@pytest.mark.parametrize(("n", "state"), [(1, "not_evaluable"), (99, "not_evaluable"), (100, "met")])
def test_a_rate_needs_so_many_samples_that_one_failure_may_be(n: int, state: str) -> None:
    assert judged(FAILED, measured(0.0, unit="ratio", n=n)).state == state


def test_a_latency_met_only_by_failed_requests_is_at_risk() -> None:
    flattered = judged(P95, measured(206.0, value_ok=261.0, n_ok=500))
    assert flattered.state == "at_risk"
    assert "261 ms without them" in flattered.reason


def test_a_share_is_no_number_per_second() -> None:
    counter = objective('{service: event, sli: jobs_done, target: "rate < 100/s"}')
    assert judge(counter, measured(1.0, unit="ratio"), None, []).state == "not_evaluable"


def test_a_target_is_not_judged_by_numbers_that_cannot_be_believed() -> None:
    refused = judged(P95, measured(0.0), finding("invalid", "unreachable", "event"))
    assert refused.state == "not_evaluable"
    assert "unreachable it is" in refused.reason
    assert judged(P95, measured(399.0), finding("invalid", "unreachable", "event")).state == "not_evaluable"


def test_another_services_broken_measurement_does_not_matter() -> None:
    assert judged(P95, measured(100.0), finding("invalid", "unreachable", "chat")).state == "met"


def test_a_target_in_the_wrong_unit_for_a_custom_metric_is_not_judged() -> None:
    plain = objective('{service: event, sli: basket_size, target: "p(95) < 250ms"}')
    misfit = judge(plain, measured(3.0, unit=""), Metric("basket_size", "trend", "default"), [])
    assert misfit.state == "not_evaluable"
    assert "does not fit" in misfit.reason


def test_a_miss_within_the_interval_says_so() -> None:
    doubtful = judged(P95, measured(252.0, ci_low=240.0, ci_high=265.0))
    assert (doubtful.state, doubtful.proven) == ("missed", False)
    assert "240–265 ms reaches the target" in doubtful.reason
    assert judged(P95, measured(399.0, ci_low=381.0, ci_high=421.0)).proven


def test_rounding_never_hides_a_miss() -> None:
    assert "250.3 ms, target < 250.0 ms" in judged(P95, measured(250.3)).reason


def test_margin_key_and_weight_are_carried() -> None:
    found = judged(WARNED, measured(399.0))
    assert (found.key, found.weight, found.warn) == (True, 2.0, "p(95) < 200ms")
    assert found.margin == pytest.approx(-0.596)


@pytest.mark.parametrize(
    ("target", "state"),
    [
        ('["rate < 1%", "rate < 0.1%"]', "not_evaluable"),
        ('{any: ["rate < 0.1%", "rate < 1%"]}', "met"),
        ('{any: ["rate < 0.1%", ["rate < 1%", "rate <= +10%"]]}', "met"),
        ('{any: [["rate < 1%", "rate <= +10%"], "rate < 0.1%"]}', "met"),
    ],
)
def test_what_there_are_too_few_samples_for_decides_among_all_and_not_among_alternatives(
    target: str, state: str
) -> None:
    text = f"{{service: event, sli: http_req_failed, target: {target}}}"
    found = measured(0.0, unit="ratio", n=605, ci_low=0.0, ci_high=0.006)
    assert judge(objective(text), found, None, [], Held(0.0, ("r1", "r2"))).state == state


RELATIVE = '{service: event, sli: http_req_duration, target: "p(95) <= +10%"}'
BOTH = '{service: event, sli: http_req_duration, target: ["p(95) < 600ms", "p(95) <= +10%"]}'
EITHER = (
    '{service: event, sli: http_req_duration, target: {any: ["p(95) < 300ms", ["p(95) < 600ms", "p(95) <= +10%"]]}}'
)
MORE = '{service: event, sli: http_req_duration, target: "p(95) < 600ms", warn: "p(95) <= +10%"}'
RARELY = '{service: event, sli: http_req_failed, target: "rate <= +50%"}'
BEFORE = Held(400.0, ("r1", "r2"))


def held(text: str, found: StoredMeasurement, before: Held | None) -> ObjectiveResult:
    return judge(objective(text), found, DURATION if "duration" in text else None, [], before)


@pytest.mark.parametrize(
    ("text", "value", "state", "decided_by"),
    [
        (RELATIVE, 440.0, "met", "p(95) <= 440ms"),
        (RELATIVE, 441.0, "missed", "p(95) <= 440ms"),
        (BOTH, 440.0, "met", "p(95) <= 440ms"),
        (BOTH, 500.0, "missed", "p(95) <= 440ms"),
        (BOTH, 700.0, "missed", "p(95) <= 440ms"),
        (EITHER, 290.0, "met", "p(95) < 600ms"),
        (EITHER, 430.0, "met", "p(95) <= 440ms"),
        (EITHER, 500.0, "missed", "p(95) <= 440ms"),
        (MORE, 430.0, "met", None),
        (MORE, 500.0, "at_risk", None),
        (MORE, 600.0, "missed", None),
    ],
)
def test_what_is_relative_is_judged_beside_what_was_before(
    text: str, value: float, state: str, decided_by: str | None
) -> None:
    found = held(text, measured(value), BEFORE)
    if text == EITHER and value == 290.0:
        decided_by = found.decided_by  # either holds: the one with more to spare is told
    assert (found.state, found.decided_by) == (state, decided_by), found.reason
    assert (found.baseline, found.baseline_runs, found.unit) == (400.0, ("r1", "r2"), "ms")


@pytest.mark.parametrize(
    ("text", "value", "state"),
    [
        (RELATIVE, 1.0, "no_data"),
        (BOTH, 500.0, "no_data"),
        (BOTH, 700.0, "missed"),
        (EITHER, 290.0, "met"),
        (EITHER, 500.0, "no_data"),
        (EITHER, 700.0, "missed"),
        (MORE, 430.0, "no_data"),
        (MORE, 700.0, "missed"),
    ],
)
def test_without_a_baseline_nothing_relative_is_met_and_what_does_not_need_one_is_judged(
    text: str, value: float, state: str
) -> None:
    found = held(text, measured(value), Held())
    assert found.state == state, found.reason
    if state == "no_data":
        assert "there is no run to compare with" in found.reason
        assert found.baseline is None


def test_a_relative_target_says_of_which_runs_its_number_is() -> None:
    assert held(RELATIVE, measured(480.0), BEFORE).reason == (
        "p(95) = 480 ms, target <= 440 ms (+10% against 400 ms in 2 runs)"
    )
    assert held(MORE, measured(480.0), BEFORE).reason == (
        "p(95) = 480 ms, warned from 440 ms on (+10% against 400 ms in 2 runs)"
    )


def test_the_interval_of_a_relative_target_is_held_against_the_number_it_comes_to() -> None:
    assert held(RELATIVE, measured(430.0, ci_low=420.0, ci_high=450.0), BEFORE).state == "at_risk"
    doubtful = held(BOTH, measured(450.0, ci_low=430.0, ci_high=470.0), BEFORE)
    assert (doubtful.state, doubtful.proven) == ("missed", False)
    assert held(BOTH, measured(650.0, ci_low=610.0, ci_high=700.0), BEFORE).proven
    assert held(EITHER, measured(310.0, ci_low=290.0, ci_high=320.0), BEFORE).state == "met", "the other is met surely"


def test_a_relative_share_needs_as_many_samples_as_the_share_it_comes_to() -> None:
    share = measured(0.001, unit="ratio", sli="http_req_failed", stat="rate", n=500)
    assert held(RARELY, share, Held(0.002, ("r",))).state == "met"
    few = held(RARELY, replace(share, n=300), Held(0.002, ("r",)))
    assert (few.state, few.target_value) == ("not_evaluable", None)
    assert "rate <= 0.3%: it takes 334" in few.reason


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_only_a_finite_value_below_the_target_is_met(value: float) -> None:
    assert (judged(P95, measured(value)).state == "met") == (math.isfinite(value) and value < 250)
