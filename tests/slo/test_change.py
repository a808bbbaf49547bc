"""A change is called a regression when it is real and large enough, and never else."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.simulate import Scenario, calibrate, latencies, profile, scaled, trial
from slo import numbers
from slo.change import Change, Compared, compare
from slo.pairs import Pair
from slo.plan import Regression
from slo.profile import Profile

ANY_SIZE = Regression(min_change_abs_ms=0)
SERVICES = ("auth", "chat", "event", "interest", "notification", "plan", "user", "venue")
seeds = st.integers(0, 2**31)
few = settings(max_examples=10, deadline=None)


def times(
    seed: int, runs: int = 11, services: int = 8, spread: float = 0.05, center: float = 100.0
) -> list[list[Profile]]:
    """Profiles by service and run, without their samples: runs of one version, ``spread`` apart."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(services):
        moves = spread * random.standard_normal(runs)
        own = 0.02 * random.standard_normal(runs)
        found.append(
            [_time(center * math.exp(m + o), math.log(center / 2) + m) for m, o in zip(moves, own, strict=True)]
        )
    return found


def _time(p95: float, body: float) -> Profile:
    curve = np.exp(body) * np.linspace(0.5, 3, 11)
    return Profile("trend", p95, 1500, (*map(float, curve), body, 0.0009, 0.0004))


def failures(now: tuple[int, int], before: tuple[int, int], runs: int = 1) -> Pair:
    one, other = (Profile("share", hits / n, n, (float(hits), 1.0)) for hits, n in (now, before))
    return Pair("event", "failed", "ratio", higher_is_worse=True, current=(one,), baseline=(other,) * runs)


def pair(row: Sequence[Profile], service: str | None = "event", factor: float = 1.0, repeats: int = 1) -> Pair:
    now = tuple(scaled(one, factor) for one in row[:repeats])
    return Pair(service, "p95", "ms", higher_is_worse=True, current=now, baseline=tuple(row[repeats:]))


def judged(
    rows: Sequence[Sequence[Profile]], shifts: Mapping[str, float] | None = None, rule: Regression = ANY_SIZE
) -> dict[str, Change]:
    names = SERVICES[: len(rows)]
    pairs = [pair(row, name, (shifts or {}).get(name, 1.0)) for name, row in zip(names, rows, strict=True)]
    return dict(zip(names, compare(pairs, rule).changes, strict=True))


def states(compared: Compared) -> list[str]:
    return [change.state for change in compared.changes]


# -- what holds always --------------------------------------------------------------------------------------------


@few
@given(seed=seeds, unit=st.floats(1e-3, 1e3))
def test_another_unit_of_time_changes_nothing(seed: int, unit: float) -> None:
    rows = times(seed)
    rescaled = [[scaled(one, unit) for one in row] for row in rows]
    for name, change in judged(rows, {"chat": 1.2}).items():
        other = judged(rescaled, {"chat": 1.2})[name]
        assert other.state == change.state
        assert other.change == pytest.approx(change.change)
        assert other.ci == pytest.approx(change.ci)
        assert other.detectable == pytest.approx(change.detectable, rel=1e-3)


@few
@given(seed=seeds, order=st.permutations(range(8)))
def test_the_order_of_services_changes_nothing(seed: int, order: list[int]) -> None:
    pairs = [pair(row, name, 1.2 if name == "chat" else 1.0) for name, row in zip(SERVICES, times(seed), strict=True)]
    straight, mixed = compare(pairs, ANY_SIZE).changes, compare([pairs[i] for i in order], ANY_SIZE).changes
    for place, i in enumerate(order):
        assert mixed[place].state == straight[i].state
        assert mixed[place].p == pytest.approx(straight[i].p)
        assert mixed[place].ci == pytest.approx(straight[i].ci)


@few
@given(seed=seeds, order=st.permutations(range(10)))
def test_the_order_of_baseline_runs_changes_nothing(seed: int, order: list[int]) -> None:
    rows = times(seed)
    mixed = [[row[0], *(row[1 + i] for i in order)] for row in rows]
    assert [c.state for c in judged(rows).values()] == [c.state for c in judged(mixed).values()]


@few
@given(seed=seeds)
def test_the_same_question_has_the_same_answer(seed: int) -> None:
    assert judged(times(seed), {"user": 1.3}) == judged(times(seed), {"user": 1.3})


@few
@given(seed=seeds, runs=st.integers(1, 10))
def test_a_run_against_itself_is_unchanged(seed: int, runs: int) -> None:
    rows = [[row[0]] * (1 + runs) for row in times(seed)]
    assert {(change.state, change.change) for change in judged(rows).values()} == {("unchanged", 0.0)}


@pytest.mark.parametrize(("fewer", "more"), [((1, 1), (1, 2)), ((1, 2), (1, 4)), ((1, 4), (1, 10)), ((1, 10), (3, 10))])
def test_more_runs_never_widen_the_interval_on_average(fewer: tuple[int, int], more: tuple[int, int]) -> None:
    assert _width(*more) < _width(*fewer)


def _width(repeats: int, baseline: int) -> float:
    rows = [row for seed in range(30) for row in times(seed, runs=repeats + baseline, services=1)]
    intervals = [compare([pair(row, repeats=repeats)], ANY_SIZE).changes[0].ci for row in rows]
    return float(np.mean([math.log((1 + ci[1]) / (1 + ci[0])) for ci in intervals if ci]))


def test_more_requests_never_widen_the_interval_on_average() -> None:
    widths = []
    for requests in (200, 800, 3200):
        one = [
            trial(Scenario("", requests=requests, services=2, wander=0.02), np.random.default_rng(n)) for n in range(8)
        ]
        found = [change.ci for t in one for change, _ in t.judge(ANY_SIZE)]
        widths.append(np.mean([ci[1] - ci[0] for ci in found if ci]))
    assert widths == sorted(widths, reverse=True)


@few
@given(seed=seeds, factor=st.floats(1.0, 3.0), more=st.floats(1.0, 2.0))
def test_a_larger_worsening_is_never_less_believed(seed: int, factor: float, more: float) -> None:
    rows = times(seed, services=1)
    small, large = (judged(rows, {"auth": f})["auth"] for f in (factor, factor * more))
    assert (large.p or 0) <= (small.p or 0) + 1e-12 or (small.change or 0) < 0
    if small.state == "regressed":
        assert large.state == "regressed"


# -- times --------------------------------------------------------------------------------------------------------


def test_a_service_that_is_half_as_slow_again_regressed_and_the_others_did_not() -> None:
    found = judged(times(1), {"event": 1.5})
    assert [name for name, change in found.items() if change.state == "regressed"] == ["event"]
    assert found["event"].ci is not None
    assert found["event"].ci[0] < 0.5 < found["event"].ci[1]
    assert found["event"].confidence is not None
    assert found["event"].confidence > 0.99
    assert (found["event"].runs, found["event"].repeats) == (10, 1)


def test_a_service_that_got_faster_improved() -> None:
    assert judged(times(1), {"event": 0.6})["event"].state == "improved"


def test_more_throughput_is_better_where_more_is_asked() -> None:
    runs = [Profile("number", value, 0) for value in (60.0, 100.0, 101.0, 99.0, 100.5)]
    up = Pair(None, "load", "/s", higher_is_worse=False, current=(runs[0],), baseline=tuple(runs[1:]))
    assert compare([up], ANY_SIZE).changes[0].state == "regressed"
    assert compare([replace(up, higher_is_worse=True)], ANY_SIZE).changes[0].state == "improved"


def test_less_load_for_every_service_is_not_taken_for_noise_that_they_share() -> None:
    rows = [[Profile("number", v * (1 + i / 1000), 0) for v in (80.0, *([100.0, 100.1, 99.9] * 3))] for i in range(8)]
    pairs = [
        Pair(s, "load", "/s", higher_is_worse=False, current=(r[0],), baseline=tuple(r[1:]))
        for s, r in zip(SERVICES, rows, strict=True)
    ]
    assert set(states(compare(pairs, ANY_SIZE))) == {"regressed"}


@pytest.mark.parametrize(("rule", "state"), [(ANY_SIZE, "regressed"), (Regression(), "unchanged")])
def test_what_is_real_but_too_small_is_not_a_regression(rule: Regression, state: str) -> None:
    rows = times(3, spread=0.01, center=5.0)  # +12 % of 5 ms is less than 1 ms
    assert judged(rows, {"plan": 1.12}, rule)["plan"].state == state


def test_a_change_within_the_noise_is_inconclusive_and_says_what_would_settle_it() -> None:
    change = judged(times(4, spread=0.08), {"plan": 1.02})["plan"]
    assert change.state == "inconclusive"
    assert f"shows a change of {numbers.change_size(0.05)}" in change.settle
    assert change.detectable is not None
    assert change.detectable > 0.1


def test_quiet_runs_prove_that_nothing_changed() -> None:
    assert {
        c.state for c in judged(times(5, spread=0.003, services=8), rule=Regression(min_change_ratio=0.15)).values()
    } == {"unchanged"}


def test_one_baseline_run_asks_for_more_than_ten() -> None:
    rows = times(6)
    one, ten = judged([row[:2] for row in rows])["chat"], judged(rows)["chat"]
    assert one.detectable is not None
    assert ten.detectable is not None
    assert one.detectable > 2 * ten.detectable
    assert "assumed" in one.method


def test_repeated_runs_count_together() -> None:
    rows = times(7, runs=13)
    once, thrice = (
        compare([pair(r, s, repeats=n) for s, r in zip(SERVICES, rows, strict=True)], ANY_SIZE).changes[0]
        for n in (1, 3)
    )
    assert once.detectable is not None
    assert thrice.detectable is not None
    assert thrice.detectable < 0.75 * once.detectable
    assert thrice.repeats == 3


def test_a_tail_that_moves_alone_is_found() -> None:
    found = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        at, values = latencies(Scenario("", requests=6000), 1, 11, random)
        slowest = values[0, 0] > np.quantile(values[0, 0], 0.97)
        values[0, 0][slowest] *= 2
        kept = {p: [profile(values[run, 0], at, p) for run in range(11)] for p in (0.5, 0.99)}
        changes = compare([replace(pair(kept[p]), family=str(p)) for p in kept], ANY_SIZE).changes
        found.append([change.state == "regressed" for change in changes])
    assert np.mean([tail for _, tail in found]) >= 0.9
    assert not any(middle for middle, _ in found)


# -- all services together ----------------------------------------------------------------------------------------


def test_when_all_services_move_together_it_is_the_environment() -> None:
    rows = times(8)
    compared = compare([pair(row, name, 1.4) for name, row in zip(SERVICES, rows, strict=True)], ANY_SIZE)
    assert compared.common is not None
    assert compared.common.moved
    assert compared.common.shift == pytest.approx(0.4, abs=0.1)
    assert "regressed" not in states(compared)
    assert all(change.environment for change in compared.changes if change.state == "inconclusive")


def test_a_service_that_moved_more_than_the_environment_regressed() -> None:
    rows = times(8)
    compared = compare(
        [pair(row, n, 2.2 if n == "user" else 1.4) for n, row in zip(SERVICES, rows, strict=True)], ANY_SIZE
    )
    assert [n for n, change in zip(SERVICES, compared.changes, strict=True) if change.state == "regressed"] == ["user"]


def test_three_services_of_eight_are_not_the_environment() -> None:
    pairs = [pair(row, n, 1.4 if n in SERVICES[:3] else 1.0) for n, row in zip(SERVICES, times(9), strict=True)]
    compared = compare(pairs, ANY_SIZE)
    assert compared.common is not None
    assert not compared.common.moved
    assert states(compared)[:3] == ["regressed"] * 3


def test_services_that_changed_do_not_make_the_others_look_better() -> None:
    rows = [[row[0], *row] for row in times(9)]  # the current run is one of the baseline's
    alone, beside = (judged(rows, dict.fromkeys(SERVICES[:4], factor)) for factor in (1.0, 1.6))
    for name in SERVICES[4:]:
        assert beside[name].state not in {"improved", "regressed"}
        assert beside[name].p == pytest.approx(alone[name].p, abs=0.25)


def test_noise_that_services_share_does_not_hide_a_change() -> None:
    random = np.random.default_rng(12)
    shared = np.exp(0.1 * random.standard_normal(11))
    rows = [[scaled(one, f) for one, f in zip(row, shared, strict=True)] for row in times(12, spread=0.02)]
    alone = compare([pair(rows[5], "plan", 1.15)], ANY_SIZE).changes[0]
    assert alone.state == "inconclusive"
    assert judged(rows, {"plan": 1.15})["plan"].state == "regressed"


def test_few_services_have_nothing_in_common() -> None:
    assert (
        compare([pair(row, n) for n, row in zip(SERVICES, times(9, services=3), strict=False)], ANY_SIZE).common is None
    )


# -- shares -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "before", "runs", "state"),
    [
        ((3, 1000), (0, 1000), 1, "inconclusive"),
        ((3, 1000), (0, 1000), 10, "inconclusive"),
        ((30, 1000), (0, 1000), 1, "regressed"),
        ((15, 1500), (1, 1500), 10, "regressed"),
        ((0, 100_000), (0, 100_000), 1, "unchanged"),
        ((0, 1500), (45, 1500), 10, "improved"),
        ((4, 1500), (1, 1500), 10, "inconclusive"),
        ((1000, 1000), (0, 1000), 1, "regressed"),
        ((5, 10), (0, 10), 10, "regressed"),
    ],
)
def test_failures_near_zero(now: tuple[int, int], before: tuple[int, int], runs: int, state: str) -> None:
    change = compare([failures(now, before, runs)], Regression()).changes[0]
    assert change.state == state
    assert change.change == pytest.approx(now[0] / now[1] - before[0] / before[1])
    assert change.ci is not None
    assert change.ci[0] <= (change.change or 0.0) <= change.ci[1]


def test_one_burst_of_failures_is_one_event() -> None:
    calm = failures((8, 1500), (1, 1500), 10)
    burst = replace(calm, current=(Profile("share", 8 / 1500, 1500, (8.0, 8.0)),))
    assert states(compare([calm, burst], Regression())) == ["regressed", "inconclusive"]


def test_a_lower_hit_rate_is_worse_where_more_is_asked() -> None:
    runs = [Profile("share", hits / 10_000, 10_000, (float(hits), 1.0)) for hits in (3000, 6000, 6050, 5950, 6010)]
    rate = Pair("event", "hits", "ratio", higher_is_worse=False, current=(runs[0],), baseline=tuple(runs[1:]))
    change = compare([rate], Regression()).changes[0]
    assert change.state == "regressed"
    assert change.detectable is not None
    assert 0 < change.detectable < 0.3


def test_failures_that_always_vary_need_more_to_be_a_regression() -> None:
    even, uneven = (
        Pair("a", "failed", "ratio", higher_is_worse=True, current=(_share(30),), baseline=tuple(map(_share, hits)))
        for hits in ([10] * 10, [0, 30, 2, 40, 1, 5, 0, 20, 0, 2])
    )
    assert states(compare([even], Regression())) == ["regressed"]
    assert states(compare([uneven], Regression())) == ["inconclusive"]


def _share(hits: int, n: int = 2000) -> Profile:
    return Profile("share", hits / n, n, (float(hits), 1.0))


# -- what cannot be compared --------------------------------------------------------------------------------------


def test_without_a_baseline_nothing_passes() -> None:
    change = compare([replace(pair(times(1)[0]), baseline=())], ANY_SIZE).changes[0]
    assert (change.state, change.baseline, change.p) == ("no_baseline", None, None)


def test_runs_that_lack_the_sli_are_left_out() -> None:
    row = times(1)[0]
    whole = pair(row)
    gaps = replace(whole, baseline=(None, *whole.baseline, None))
    changes = [compare([one], ANY_SIZE).changes[0] for one in (whole, gaps)]
    assert changes[0] == changes[1]


def test_a_baseline_run_that_no_service_has_is_no_obstacle() -> None:
    pairs = [
        replace(one := pair(row, n), baseline=(*one.baseline, None)) for n, row in zip(SERVICES, times(2), strict=True)
    ]
    assert "not_comparable" not in states(compare(pairs, ANY_SIZE))


@pytest.mark.parametrize(
    ("now", "before", "state"),
    [
        (None, Profile("number", 1.0, 0), "not_comparable"),
        (Profile("number", 1.0, 0), _share(3), "not_comparable"),
        (Profile("number", 5.0, 0), Profile("number", 0.0, 0), "not_comparable"),
        (Profile("number", 0.0, 0), Profile("number", 0.0, 0), "unchanged"),
        (Profile("share", 0.1, 0), _share(3), "not_comparable"),
    ],
)
def test_what_has_no_relative_change_says_so(now: Profile | None, before: Profile, state: str) -> None:
    change = compare([Pair("a", "x", "", higher_is_worse=True, current=(now,), baseline=(before,))], ANY_SIZE).changes[
        0
    ]
    assert change.state == state
    assert change.method


def test_summaries_without_samples_are_compared_by_their_numbers() -> None:
    row = [replace(one, numbers=()) for one in times(2)[0]]
    assert compare([pair(row, factor=1.6)], ANY_SIZE).changes[0].state == "regressed"


def test_nothing_to_compare_is_an_empty_answer() -> None:
    assert compare([], ANY_SIZE) == Compared(())


# -- together -----------------------------------------------------------------------------------------------------


def test_one_change_among_many_has_to_prove_more() -> None:
    rows = times(11)
    alone = judged(rows[:1])["auth"]
    crowd = compare(
        [replace(pair(rows[0], "auth"), family=str(n)) for n in range(1)] + [failures((1, 1500), (1, 1500), 10)] * 60,
        ANY_SIZE,
    )
    assert alone.detectable is not None
    assert (crowd.changes[0].detectable or 0) > alone.detectable


@pytest.mark.slow
def test_the_rule_does_what_it_says_on_simulated_runs() -> None:
    found = calibrate(Scenario("as recorded"), 60)
    assert max(found.false_alarms, found.beside or 0) <= 0.025
    assert (found.found["1.1"] or 0) >= 0.3
    assert (found.found["1.2"] or 0) >= 0.8
    assert found.found["1.4"] == 1
    assert (found.failures["0.001"] or 0) <= 0.01
    assert (found.failures["0.01"] or 0) >= 0.9
    assert found.failures["0.03"] == 1
    assert 0.93 <= found.covered <= 0.97
    assert 0.7 <= found.found_detectable <= 0.9
