"""What a service is told night after night, on made-up k6 output whose truth is known, through the real ingest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from data.store import Store
from slo.model import Comparison, Verdict
from slo.service import ConfigSource, Service
from tests.ingesting import Bench
from tests.nights import Calls, Nights


@pytest.fixture
def nights(tmp_path: Path) -> Iterator[Callable[..., Nights]]:
    """Makes a store with some usual nights: ``nights(8, Calls(), objective=...)``."""
    opened: list[Store] = []

    def make(usual: int, *calls: Calls, objective: str = "", more: str = "") -> Nights:
        asked = objective or '{service: a, sli: http_req_duration, target: "p(95) < 5000ms"}'
        slo = tmp_path / "slo.yaml"
        slo.write_text(f"version: 1\n{more}\nphases:\n  - id: P\n    objectives:\n      - {asked}\n")
        store = Store(tmp_path / "var")
        opened.append(store)
        made = Nights(store, Bench(store, tmp_path), Service(store, ConfigSource([slo])))
        for _ in range(usual):
            made.put(*calls)
        return made

    yield make
    for store in opened:
        store.close()


def one(verdict: Verdict, stat: str = "p(95)", service: str | None = "a", sli: str = "http_req_duration") -> Comparison:
    return next(c for c in verdict.comparisons if (c.service, c.sli, c.stat) == (service, sli, stat))


def test_a_rarely_called_new_endpoint_does_not_switch_off_the_comparison(nights: Callable[..., Nights]) -> None:
    lab = nights(6)
    for _ in range(2):
        told = lab.verdict(Calls(ms=200, failing=0.05), Calls(name="/new", n=6, ms=30))
        assert told.verdict == "warn"
        assert one(told).state == "regressed"


def test_of_another_mixture_the_endpoints_that_both_have_are_compared(nights: Callable[..., Nights]) -> None:
    told = nights(6).verdict(Calls(ms=200), Calls(name="/new", n=100, ms=30))
    assert one(told).state == "not_comparable"
    assert one(told, sli="http_req_duration{method:GET, name:/a}").state == "regressed"
    assert told.verdict == "warn"


def test_an_endpoint_that_is_gone_stays_suspect_until_somebody_accepts_it(nights: Callable[..., Nights]) -> None:
    lab = nights(3, Calls(), Calls(name="/b", n=100))
    told = [lab.verdict() for _ in range(5)]
    assert {one.verdict for one in told} == {"inconclusive"}
    assert {"endpoint_missing"} <= {f.code for f in told[-1].measurement.findings}


def test_requests_without_a_service_are_compared_too(nights: Callable[..., Nights]) -> None:
    told = nights(6, Calls(), Calls(None, "/plain")).verdict(Calls(), Calls(None, "/plain", ms=250, failing=0.3))
    assert told.verdict == "warn"
    assert one(told, "rate", None, "http_req_failed").state == "regressed"


@pytest.mark.parametrize(
    ("other", "sli"),
    [
        (Calls(metric="grpc_req_duration"), "grpc_req_duration"),
        (Calls(name="/b", n=100), '"http_req_duration{name:/b}"'),
    ],
    ids=["another metric", "one endpoint"],
)
def test_what_an_objective_saw_get_worse_does_not_become_the_usual(
    nights: Callable[..., Nights], other: Calls, sli: str
) -> None:
    objective = f'{{service: a, sli: {sli}, target: "p(95) < 5000ms"}}'
    lab = nights(5, Calls(), other, objective=objective, more="baseline: {runs: 4}")
    assert {lab.verdict(Calls(), replace(other, ms=150)).verdict for _ in range(5)} == {"warn"}


@pytest.mark.parametrize("runs", [1, 2])
def test_a_short_baseline_remembers_a_regression(nights: Callable[..., Nights], runs: int) -> None:
    lab = nights(5, more=f"baseline: {{runs: {runs}}}")
    assert {lab.verdict(Calls(ms=250)).verdict for _ in range(4)} == {"warn"}


def test_runs_that_broke_do_not_hide_the_good_ones_before_them(nights: Callable[..., Nights]) -> None:
    lab = nights(4, more="baseline: {runs: 1}")
    for _ in range(40):
        lab.put(Calls(failing=0.9))
    assert one(lab.verdict(Calls(ms=400))).state == "regressed"


def test_a_handful_of_requests_is_not_compared(nights: Callable[..., Nights]) -> None:
    few = Calls("b", "/few", n=12)
    lab = nights(4, Calls(), few)
    told = [lab.verdict(Calls(), few) for _ in range(3)]
    assert {one(verdict, service="b").state for verdict in told} == {"not_comparable"}
    assert "too few" in one(told[0], service="b").reason
    assert one(lab.verdict(Calls(ms=100), few)).state == "regressed", "and does not blunt the others"


def test_runs_of_one_commit_under_other_load_are_no_repeats(nights: Callable[..., Nights]) -> None:
    lab = nights(5)
    for _ in range(2):
        lab.put(Calls(n=1500, ms=110), iterations=1500, commit="new")
    told = lab.verdict(commit="new")
    assert told.verdict == "pass", told.reasons
    assert one(told).repeats == ()


def test_where_all_earlier_runs_are_of_this_commit_it_says_so(nights: Callable[..., Nights]) -> None:
    lab = nights(0)
    for _ in range(3):
        lab.put(commit="same")
    (finding,) = [f for f in lab.verdict(commit="same").measurement.findings if f.code == "no_baseline"]
    assert "of the same commit" in finding.message


def test_latency_that_is_better_because_requests_fail_is_no_improvement(nights: Callable[..., Nights]) -> None:
    lab = nights(6)
    told = lab.verdict(Calls(n=180), Calls(n=120, ms=5, failing=1.0))
    assert one(told, "rate", sli="http_req_failed").state == "regressed"
    assert "improved" not in {c.state for c in told.comparisons if c.unit == "ms"}


def test_an_endpoint_that_its_service_hides_is_the_answer_of_a_comparison(nights: Callable[..., Nights]) -> None:
    lab = nights(8, Calls(), Calls(name="/rare", n=60, ms=10))
    run = lab.put(Calls(), Calls(name="/rare", n=60, ms=25))
    assert "regressed" not in {c.state for c in lab.service.verdict(run).comparisons}
    told = lab.service.compare(run)
    assert told.outcome == "regressed"
    assert "http_req_duration{method:GET, name:/rare} p(95)" in told.sentence


def test_a_service_that_comes_and_goes_fails_rather_than_cannot_be_told(nights: Callable[..., Nights]) -> None:
    lab = nights(3, objective='{service: a, sli: http_req_failed, target: "rate < 5%"}')
    assert lab.verdict(Calls(failing=0.4)).verdict == "fail"
    assert lab.verdict(Calls(failing=0.6)).verdict == "fail"


def test_a_run_that_dropped_no_iteration_meets_an_objective_about_it(nights: Callable[..., Nights]) -> None:
    lab = nights(1, objective='{sli: dropped_iterations, target: "count < 10"}')
    assert lab.verdict().verdict == "pass"


def test_an_early_bad_night_does_not_blunt_all_that_follow(nights: Callable[..., Nights]) -> None:
    lab = nights(1)
    lab.put(Calls(ms=150))
    for _ in range(6):
        lab.put()
    told = lab.verdict(Calls(ms=80))
    assert one(told).state == "regressed"
    assert told.baseline
    assert "beside the runs after it" in dict(told.baseline.left_out).get(list(told.baseline.left_out)[-1][0], "")


def test_a_nightly_that_died_before_it_called_a_service_speaks_for_it(nights: Callable[..., Nights]) -> None:
    lab = nights(2, Calls(), Calls("b", "/b"))
    lab.put(Calls(n=3), iterations=1)
    (row,) = [row for row in lab.service.overview("P").services if row.service == "a"]
    assert row.state == "inconclusive"
    lab.put(Calls("b", "/b"))
    (row,) = [row for row in lab.service.overview("P").services if row.service == "a"]
    assert row.state == "inconclusive", "the newest run of its test has nothing of it"


def test_the_overview_of_a_branch_without_runs_says_so(nights: Callable[..., Nights]) -> None:
    told = nights(1).service.overview("P", branch="nosuch")
    assert told.sentence == "No run of branch nosuch is stored."


def test_history_and_verdict_agree_on_what_can_be_believed(nights: Callable[..., Nights]) -> None:
    lab = nights(3, Calls(), Calls(name="/b", n=100))
    broken = lab.put()
    history = lab.service.history("a", "P")
    points = {point.run_id: point.valid for sli in history.slis for point in sli.points}
    assert points[broken] is False
    assert all(valid for run, valid in points.items() if run != broken)


RELATIVE = '{service: a, sli: http_req_duration, target: "p(95) <= +30%", key: true}'


def test_a_relative_target_is_held_against_the_baseline_of_the_run(nights: Callable[..., Nights]) -> None:
    store = nights(0, objective=RELATIVE)
    first = store.verdict()
    assert (first.verdict, first.objectives[0].state) == ("inconclusive", "no_data")
    assert "<= +30% cannot be told: there is no run to compare with" in first.reasons[0]
    assert any("http_req_duration is held against it" in step for step in first.next_steps)
    second = store.verdict()
    found = second.objectives[0]
    assert (second.verdict, found.state) == ("pass", "met"), second.reasons
    assert found.baseline_runs == (first.run.id,)
    assert found.baseline == one(second).baseline
    third = store.verdict(Calls(ms=90))
    found = third.objectives[0]
    assert third.verdict == "fail"
    assert found.baseline_runs == one(third).baseline_runs == (second.run.id, first.run.id)
    assert "(+30% against " in found.reason
    assert "in 2 runs)" in found.reason


def test_what_is_not_compared_is_held_against_the_mean_of_the_runs_before(nights: Callable[..., Nights]) -> None:
    store = nights(2, objective='{service: a, sli: http_reqs, target: "count == +0"}')
    found = store.verdict().objectives[0]
    assert (found.state, found.baseline, len(found.baseline_runs)) == ("met", 300.0, 2)


def test_the_throughput_of_a_counter_may_be_relative(nights: Callable[..., Nights]) -> None:
    store = nights(2, objective='{service: a, sli: http_reqs, target: "rate >= -5%"}')
    found = store.verdict().objectives[0]
    assert (found.state, found.unit) == ("met", "/s"), found.reason
    assert store.verdict(Calls(n=200)).objectives[0].state == "missed"


def test_other_endpoints_are_nothing_to_hold_a_relative_target_against(nights: Callable[..., Nights]) -> None:
    store = nights(2, objective=RELATIVE)
    found = store.verdict(Calls(name="/b")).objectives[0]
    assert (found.state, found.baseline) == ("no_data", None), found.reason
    assert "other endpoints" in found.reason
