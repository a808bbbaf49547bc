"""Drift: proven only where there is one, its breach where the line ends. Flaky: a return without a change."""

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from slo.drift import FEWEST_OF_A_FLIP, FEWEST_OF_A_TREND, Drift, Judged, find_drift, find_flaky
from slo.shifts import Point, Shift, find_shifts
from slo.target import Target

START = datetime(2026, 11, 1, 2, tzinfo=UTC)
NIGHT = timedelta(days=1)
P95 = Target.parse("p(95) < 250ms")
FAILED = Target.parse("rate < 1%")


def nightly(values: Iterable[float], *, every: timedelta = NIGHT) -> list[Point]:
    return [Point(f"run-{i:03}", START + i * every, float(value)) for i, value in enumerate(values)]


def drift(values: Iterable[float], target: Target = P95) -> Drift:
    found = find_drift(nightly(values), target, scale="log" if target.unit == "ms" else "plain")
    assert found is not None
    return found


def noise(
    random: np.random.Generator, n: int, correlation: float = 0.0
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Values of 200 ms with 5 % of noise that hangs together from run to run."""
    steps = random.standard_normal(n)
    for i in range(1, n):
        steps[i] = correlation * steps[i - 1] + math.sqrt(1 - correlation**2) * steps[i]
    return np.asarray(200 * np.exp(0.05 * steps))


@pytest.mark.parametrize("n", [10, 15, 30])
@pytest.mark.parametrize("correlation", [0.0, 0.3])
def test_the_slope_of_noise_is_not_proven_in_97_percent(n: int, correlation: float) -> None:
    random = np.random.default_rng(1)
    proven = [drift(noise(random, n, correlation)).proven for _ in range(2000)]
    assert np.mean(proven) <= 0.03


@pytest.mark.parametrize(("n", "rise", "found"), [(15, 0.2, 0.6), (30, 0.15, 0.85), (30, 0.2, 0.95), (40, 0.1, 0.5)])
def test_a_rise_over_the_runs_is_proven(n: int, rise: float, found: float) -> None:
    """``rise``: over all runs, as a share of the level, with 5 % of noise from run to run."""
    random = np.random.default_rng(2)
    proven = [drift(noise(random, n) * np.exp(np.linspace(0, rise, n))).proven for _ in range(200)]
    assert np.mean(proven) >= found


@pytest.mark.parametrize("true_slope", [0.0, 0.005])
def test_the_interval_holds_the_true_slope(true_slope: float) -> None:
    random = np.random.default_rng(3)
    inside = 0
    for _ in range(300):
        interval = drift(noise(random, 20) * (1 + true_slope) ** np.arange(20)).interval
        inside += interval is None or interval[0] <= true_slope <= interval[1]
    assert inside / 300 >= 0.97


def test_a_perfect_line_reaches_its_target_on_the_day() -> None:
    found = drift(100 * 1.01 ** np.arange(30))
    assert found.slope_per_day == pytest.approx(0.01)
    assert found.interval == pytest.approx((0.01, 0.01))
    assert found.headroom == pytest.approx(1 - 100 * 1.01**29 / 250)
    day = START + math.log(2.5) / math.log(1.01) * NIGHT
    for breach in (found.breach_earliest, found.breach_at, found.breach_latest):
        assert breach is not None
        assert abs(breach - day) < timedelta(seconds=1)
    assert (found.n, found.days, found.proven) == (30, 29.0, True)


@settings(max_examples=60)
@given(some.integers(0, 10**6), some.floats(-0.01, 0.02), some.integers(10, 40))
def test_breach_dates_are_in_order_and_ahead_and_only_where_a_proven_trend_leads(
    seed: int, slope: float, n: int
) -> None:
    values = noise(np.random.default_rng(seed), n) * 0.9 * (1 + slope) ** np.arange(n)
    found = drift(values)
    dates = [one for one in (found.breach_earliest, found.breach_at, found.breach_latest) if one is not None]
    assert dates == sorted(dates)
    assert all(date >= START + (n - 1) * NIGHT for date in dates)
    if dates:
        assert found.breach_earliest is not None, "only the later ones can be too far away"
        assert found.proven
        assert found.slope_per_day > 0
        assert found.headroom is not None
        assert found.headroom > 0


def test_the_interval_of_breach_holds_the_true_day() -> None:
    random = np.random.default_rng(4)
    inside = proven = 0
    for _ in range(200):
        found = drift(noise(random, 30) * 0.7 * 1.006 ** np.arange(30))
        if found.breach_earliest:
            true_day = START + math.log(250 / 140) / math.log(1.006) * NIGHT
            proven += 1
            inside += found.breach_earliest <= true_day <= (found.breach_latest or datetime.max.replace(tzinfo=UTC))
    assert proven > 150
    assert inside / proven >= 0.95


@given(some.floats(1e-3, 1e5), some.integers(0, 100))
def test_the_unit_changes_neither_slope_nor_dates(unit: float, seed: int) -> None:
    values = noise(np.random.default_rng(seed), 20) * 0.8 * 1.01 ** np.arange(20)
    one, other = drift(values), drift(values * unit, replace(P95, threshold=250 * unit))
    assert other.slope_per_day == pytest.approx(one.slope_per_day)
    assert other.interval == pytest.approx(one.interval)
    assert other.headroom == pytest.approx(one.headroom)
    assert (other.breach_at is None) == (one.breach_at is None)
    if one.breach_at and other.breach_at:
        assert abs(one.breach_at - other.breach_at) < timedelta(seconds=1)


def test_two_nights_of_ten_runs_have_the_interval_of_their_differences() -> None:
    """By hand: of 100 differences, 2.576 * sqrt((20 * 19 * 45 - 2 * 10 * 9 * 25) / 18) = 68.2 are inside."""
    base = np.array([0.0, 9, 1, 8, 2, 7, 3, 6, 4, 5])
    first, second = base + 100, 1.1 * base[::-1] + 110
    points = [Point(f"{k:02}", START + (k // 10) * NIGHT, value) for k, value in enumerate((*first, *second))]
    found = find_drift(points, P95, scale="plain")
    differences = np.sort(np.subtract.outer(second, first), axis=None)
    assert found is not None
    assert found.interval == pytest.approx((differences[14], differences[85]))


def test_one_broken_night_in_five_does_not_pull_the_slope() -> None:
    values = 100 * 1.01 ** np.arange(30)
    broken = values.copy()
    broken[[3, 9, 17, 22, 28]] *= 8
    assert drift(broken).slope_per_day == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize(
    ("values", "target", "why"),
    [
        (150 * 0.99 ** np.arange(30), "p(95) < 250ms", "it leads away from the target"),
        (260 * 1.01 ** np.arange(30), "p(95) < 250ms", "the target is missed already"),
        (260 * 0.999 ** np.arange(30), "p(95) < 250ms", "the target is missed and getting closer"),
        (100 * 1.001 ** np.arange(30), "p(95) < 250ms", "it takes longer than a year"),
        (100 * 1.01 ** np.arange(30), "p(95) > 0ms", "nothing grows towards 0"),
        (100 * 0.99 ** np.arange(30), "p(95) > 0ms", "nothing that is positive halves until it is 0"),
    ],
)
def test_there_is_no_date_where_no_breach_is_ahead(values: Iterable[float], target: str, why: str) -> None:
    found = drift(values, Target.parse(target))
    assert found.proven
    assert (found.breach_earliest, found.breach_at, found.breach_latest) == (None, None, None), why


def test_where_more_is_better_a_fall_leads_to_the_breach() -> None:
    hits = Target.parse("rate > 60%")
    found = drift(0.9 - 0.005 * np.arange(30), hits)
    assert found.slope_per_day == pytest.approx(-0.005)
    assert found.headroom == pytest.approx((0.755 - 0.6) / 0.6)
    assert found.breach_at is not None
    assert abs(found.breach_at - (START + 60 * NIGHT)) < timedelta(minutes=1)


def test_a_share_drifts_in_points() -> None:
    found = drift(0.002 + 0.0001 * np.arange(30), FAILED)
    assert found.slope_per_day == pytest.approx(0.0001)
    assert found.breach_at is not None
    assert abs(found.breach_at - (START + 80 * NIGHT)) < timedelta(minutes=1)


def test_a_rate_that_is_nearly_always_0_has_no_trend() -> None:
    found = drift([0.0] * 18 + [0.001, 0.0, 0.001], FAILED)
    assert (found.slope_per_day, found.proven, found.breach_at) == (0.0, False, None)


def test_runs_that_only_wander_bound_no_slope_but_have_headroom() -> None:
    """Ten runs on one long wave: neighbours tell nearly the same, so they are worth two or three."""
    found = drift(200 + 20 * np.sin(np.linspace(0, 2 * math.pi, 10)))
    assert (found.interval, found.proven, found.breach_at) == (None, False, None)
    assert found.headroom == pytest.approx(0.2, abs=0.1)


def test_a_target_of_zero_has_no_share_left() -> None:
    assert drift([1.0] * 20, Target.parse("value > 0")).headroom is None


@pytest.mark.parametrize(
    ("points", "target"),
    [
        (nightly([100.0] * (FEWEST_OF_A_TREND - 1)), P95),
        (nightly([100.0 + i for i in range(30)], every=timedelta(minutes=10)), P95),
        (nightly([100.0 + i for i in range(30)], every=timedelta(0)), P95),
        (nightly([100.0] * 30), replace(P95, op="==")),
        (nightly([*[100.0] * 9, math.nan, 0.0]), P95),
        ([], P95),
    ],
    ids=["too few", "within hours", "all at once", "no direction", "too few that count", "none"],
)
def test_nothing_is_said_of_too_little(points: list[Point], target: Target) -> None:
    assert find_drift(points, target) is None


def test_a_trend_starts_after_the_last_shift() -> None:
    values = [*([100.0, 101.0, 99.0] * 5), *([150.0, 151.0, 149.0] * 5)]
    (shift,) = find_shifts(nightly(values))
    after = find_drift(nightly(values), P95, since=shift)
    assert after is not None
    assert (after.n, after.proven, after.days) == (15, False, 14.0)
    assert find_drift(nightly(values[:20]), P95, since=shift) is None, "five runs are no trend"


def test_repeated_runs_of_one_night_count_and_tell_no_slope_among_themselves() -> None:
    points = [Point(f"{i}-{k}", START + i * NIGHT, 100 * 1.01**i + k) for i in range(12) for k in range(3)]
    found = find_drift(points, P95)
    assert found is not None
    assert (found.n, found.proven) == (36, True)
    assert found.slope_per_day == pytest.approx(0.01, rel=0.1)


def judged(states: str, codes: str | None = None) -> list[Judged]:
    """``P`` and ``F``, one a night; ``codes`` are commits by letter (``.``: not known), by default all differ."""
    commits = [f"c{i}" for i in range(len(states))] if codes is None else [one if one != "." else None for one in codes]
    return [
        Judged(f"run-{i}", START + i * NIGHT, state == "P", commit)
        for i, (state, commit) in enumerate(zip(states, commits, strict=True))
    ]


@pytest.mark.parametrize(
    ("states", "codes", "odd", "why"),
    [
        ("PPPFPP", "abcccd", [("run-3",)], "c passed, failed and passed"),
        ("PPPFPP", "abccde", [("run-3",)], "c passed and failed"),
        ("PPPFPP", "abcdde", [("run-3",)], "d failed and passed"),
        ("PPFFPP", "......", [("run-2", "run-3")], "nothing says that anything changed"),
        ("PPFPPFPP", None, [("run-2",), ("run-5",)], "two bugs and two fixes, each for a night, are too many"),
        ("FFFPFF", "abcccd", [("run-3",)], "failing is the rule, and it passed once"),
        ("PFPFPF", "aaaaaa", [("run-1",), ("run-3",)], "as often one as the other: its failures are named"),
    ],
)
def test_what_comes_back_without_a_change_is_flaky(
    states: str, codes: str | None, odd: list[tuple[str, ...]], why: str
) -> None:
    found = find_flaky(judged(states, codes))
    assert found is not None, why
    assert [one.odd for one in found.returns] == odd
    assert (found.n, found.failed) == (len(states), states.count("F"))


@pytest.mark.parametrize(
    ("states", "codes", "why"),
    [
        ("PPPPPP", "aaaaaa", "always passed"),
        ("FFFFFF", "aaaaaa", "always failed"),
        ("PPPFFF", "aaaaaa", "it failed and stayed so"),
        ("PPPPPF", "aaaaaa", "the last run may be the first of a change"),
        ("PPPFPP", None, "a bug and its fix"),
        ("PPFFFPPP", None, "a bug and its fix, three nights later"),
        ("PFPPP", "aaaaa", "too few runs to tell it from a shift"),
        ("PFP", "aaa", "far too few"),
        ("", None, "none"),
    ],
)
def test_what_changed_or_is_too_little_to_tell_is_not_flaky(states: str, codes: str | None, why: str) -> None:
    assert find_flaky(judged(states, codes)) is None, why


def test_versions_stand_in_for_commits_that_are_not_known() -> None:
    released = [replace(one, commit=None, version=f"1.{i}") for i, one in enumerate(judged("PPPFPP"))]
    assert find_flaky(released) is None
    assert find_flaky([replace(one, version="1.0") for one in released]) is not None


def spell() -> tuple[list[Judged], tuple[Shift, ...]]:
    values = [*([100.0, 101.0, 99.0] * 3), *([300.0, 301.0, 299.0] * 2), *([100.0, 101.0, 99.0] * 2)]
    states = "".join("P" if value < 250 else "F" for value in values)
    return judged(states, "." * len(states)), find_shifts(nightly(values))


def test_a_level_that_shifts_and_shifts_back_explains_its_failures() -> None:
    results, shifts = spell()
    assert len(shifts) == 2
    assert find_flaky(results, shifts) is None
    assert find_flaky(results) is not None, "without the shifts it would be a return"


def test_a_shift_elsewhere_explains_nothing() -> None:
    results, shifts = spell()
    later = judged("PFPPPP", "aaaaaa")
    moved = [replace(one, run_id=f"later-{i}", at=results[-1].at + (i + 1) * NIGHT) for i, one in enumerate(later)]
    found = find_flaky([*results, *moved], shifts)
    assert found is not None
    assert [one.odd for one in found.returns] == [("later-1",)]
    assert (found.returns[0].before, found.returns[0].after) == ("later-0", "later-2")


@given(some.lists(some.booleans(), max_size=20), some.randoms())
def test_the_order_of_upload_does_not_matter(passed: list[bool], random: Random) -> None:
    results = [Judged(f"run-{i:02}", START + i * NIGHT, one, "a") for i, one in enumerate(passed)]
    shuffled = list(results)
    random.shuffle(shuffled)
    found = find_flaky(results)
    assert find_flaky(shuffled) == found
    if found:
        assert len(passed) >= FEWEST_OF_A_FLIP
        assert 0 < found.failed < found.n
