"""Change points: found where they are, not found where there are none, the same whatever the order and the unit."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from slo.shifts import FEWEST, Point, Shift, find_shifts, open_shift

START = datetime(2026, 11, 1, 2, tzinfo=UTC)
NIGHT = timedelta(days=1)

# Noise of a few percent that no test depends on: bounded, so that a step of 30 % stands out of all of it.
jitter = some.floats(-0.03, 0.03)
jitters = some.lists(jitter, min_size=12, max_size=40)


def nightly(values: Iterable[float], *, n: int | None = None) -> list[Point]:
    """One run a night, each of a commit of its own."""
    return [
        Point(f"run-{i:03}", START + i * NIGHT, float(value), f"c{i}", f"1.{i}", n) for i, value in enumerate(values)
    ]


def stepped(noise: Sequence[float], at: int, factor: float = 1.3) -> list[float]:
    return [200.0 * (1 + one) * (factor if i >= at else 1.0) for i, one in enumerate(noise)]


def random_runs(
    random: np.random.Generator, n: int, *, noise: float = 0.05
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(200 * np.exp(noise * random.standard_normal(n)))


def indices(shifts: Sequence[Shift]) -> list[int]:
    return [shift.index for shift in shifts]


@given(some.floats(1e-6, 1e9), some.integers(0, 60))
def test_what_never_changes_has_no_shift(value: float, n: int) -> None:
    assert find_shifts(nightly([value] * n)) == ()
    assert find_shifts(nightly([value] * n), scale="plain") == ()


@given(some.integers(6, 30), some.integers(0, 100))
def test_differences_of_rounding_are_no_shift(n: int, seed: int) -> None:
    last_digits = np.random.default_rng(seed).integers(0, 3, n) * 1e-13
    assert find_shifts(nightly(200 * (1 + np.sort(last_digits)))) == ()


@given(jitters, some.data())
def test_a_large_step_is_found_at_its_index(noise: list[float], data: some.DataObject) -> None:
    at = data.draw(some.integers(FEWEST, len(noise) - FEWEST))
    assert at in indices(find_shifts(nightly(stepped(noise, at, 2.0))))


@pytest.mark.parametrize(
    ("sigmas", "after", "found"), [(3, 3, 0.55), (3, 5, 0.8), (4, 3, 0.85), (4, 10, 0.95), (6, 3, 0.98)]
)
def test_a_step_of_some_sigma_is_found_within_one_run(sigmas: float, after: int, found: float) -> None:
    random = np.random.default_rng(7)
    hits = 0
    for _ in range(200):
        values = random_runs(random, 30) * np.exp(np.where(np.arange(30) < 30 - after, 0.0, 0.05 * sigmas))
        hits += any(abs(index - (30 - after)) <= 1 for index in indices(find_shifts(nightly(values))))
    assert hits / 200 >= found


@pytest.mark.parametrize("n", [10, 20, 30, 60])
def test_white_noise_has_a_shift_in_at_most_2_percent_of_histories(n: int) -> None:
    random = np.random.default_rng(1)
    assert np.mean([bool(find_shifts(nightly(random_runs(random, n)))) for _ in range(500)]) <= 0.02


def test_a_heavy_tail_raises_no_more_false_alarms_than_that() -> None:
    random = np.random.default_rng(2)
    assert np.mean([bool(find_shifts(nightly(np.exp(0.05 * random.standard_t(3, 30))))) for _ in range(500)]) <= 0.02


@settings(max_examples=40)
@given(jitters, some.integers(3, 37), some.floats(1e-3, 1e6), some.randoms())
def test_neither_the_unit_nor_the_order_of_upload_matters(
    noise: list[float], at: int, unit: float, random: Random
) -> None:
    points = nightly(stepped(noise, at))
    expected = find_shifts(points)
    shuffled = list(points)
    random.shuffle(shuffled)
    assert find_shifts(shuffled) == expected
    rescaled = find_shifts([replace(point, value=point.value * unit) for point in points])
    assert indices(rescaled) == indices(expected)
    assert [shift.size for shift in rescaled] == pytest.approx([shift.size for shift in expected])


@settings(max_examples=40)
@given(some.lists(jitter, min_size=30, max_size=30), some.integers(8, 20))
def test_more_runs_never_move_a_shift_by_more_than_one(noise: list[float], at: int) -> None:
    values = stepped(noise, at)
    for n in range(at + FEWEST, len(values) + 1):
        assert min(abs(index - at) for index in indices(find_shifts(nightly(values[:n])))) <= 1


def test_a_shift_tells_when_how_much_and_between_which_commits() -> None:
    values = [100, 101, 99, 100, 102, 98, 100, 120, 121, 119, 120, 122]
    (shift,) = find_shifts(nightly(values))
    assert (shift.last_before.run_id, shift.first_after.run_id) == ("run-006", "run-007")
    assert (shift.last_before.commit, shift.first_after.commit) == ("c6", "c7")
    assert shift.first_after.at == START + 7 * NIGHT
    assert (shift.before.n, shift.after.n) == (7, 5)
    assert shift.before.mean == pytest.approx(100, abs=0.01)
    assert shift.after.mean == pytest.approx(120.4, abs=0.01)
    assert shift.size == pytest.approx(0.204, abs=0.001)
    assert shift.p_value < 1e-6
    assert (shift.direction, shift.undone) == ("worse", False)


def test_a_p_value_is_students_with_sample_variances_times_the_places() -> None:
    """By hand: means 2 and 12, both variances 1, so t = 10 / sqrt(2 / 3) = 12.247 with 4 degrees: p = 0.000255."""
    (shift,) = find_shifts(nightly([1, 2, 3, 11, 12, 13]), scale="plain")
    assert shift.p_value == pytest.approx(0.000255, abs=1e-6)
    (longer,) = find_shifts(nightly([1, 2, 3, 1, 2, 3, 11, 12, 13]), scale="plain")
    assert longer.p_value < 4 * shift.p_value


@pytest.mark.parametrize(("better", "rising", "falling"), [("lower", "worse", "better"), ("higher", "better", "worse")])
def test_which_way_is_worse_depends_on_the_sli(better: str, rising: str, falling: str) -> None:
    up = [100, 101, 99, 100, 130, 131, 129, 130]
    sides = {"lower": find_shifts(nightly(up)), "higher": find_shifts(nightly(up), better="higher")}
    assert sides[better][0].direction == rising
    down = {"lower": find_shifts(nightly(up[::-1])), "higher": find_shifts(nightly(up[::-1]), better="higher")}
    assert down[better][0].direction == falling


@pytest.mark.parametrize(
    "values", [[], [100], [100, 200], [100, 100, 200, 200], [100, 100, 100, 100, 200, 200], [1, 1, 9, 9, 9]]
)
def test_two_runs_are_no_level(values: list[float]) -> None:
    assert find_shifts(nightly(values)) == ()


def test_one_broken_night_is_no_shift() -> None:
    random = np.random.default_rng(3)
    values = random_runs(random, 30)
    values[[14, 29]] *= 5
    assert find_shifts(nightly(values)) == ()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.0])
def test_what_is_no_latency_is_left_out(bad: float) -> None:
    values = [100.0, 101, 99, 100, 130, 131, 129, 130]
    with_bad = nightly([*values[:2], bad, *values[2:]])
    (shift,) = find_shifts(with_bad)
    assert (shift.index, shift.first_after.run_id) == (4, "run-005")


def test_a_spell_between_two_levels_is_two_shifts_and_over() -> None:
    random = np.random.default_rng(4)
    values = random_runs(random, 36, noise=0.03)
    values[12:20] *= 1.3
    up, down = find_shifts(nightly(values))
    assert (up.index, up.direction, up.undone) == (12, "worse", True)
    assert (down.index, down.direction) == (20, "better")
    assert open_shift([up, down], ()) is None


def test_a_slow_slope_is_drift_and_no_staircase() -> None:
    random = np.random.default_rng(5)
    creeping = [random_runs(random, 30) * np.exp(np.linspace(0, 0.4, 30)) for _ in range(100)]
    assert np.mean([bool(find_shifts(nightly(values))) for values in creeping]) <= 0.1
    assert find_shifts(nightly(np.linspace(100, 200, 30))) == ()


def test_what_is_too_small_to_matter_is_not_told() -> None:
    values = [100.0, 100.1, 99.9, 100, 103, 103.1, 102.9, 103]
    assert indices(find_shifts(nightly(values))) == [4]
    assert find_shifts(nightly(values), min_size=0.05) == ()
    assert find_shifts(nightly(values[::-1]), min_size=0.0301) == ()


@pytest.mark.parametrize(("rate", "found"), [(0.001, 0.0), (0.01, 0.98), (0.03, 1.0)])
def test_error_rates_from_a_thousandth_on_shift_with_their_counts(rate: float, found: float) -> None:
    random = np.random.default_rng(6)
    hits = 0
    for _ in range(100):
        failed = random.binomial(1500, np.where(np.arange(30) < 26, 0.001, rate))
        shifts = find_shifts(nightly(failed / 1500, n=1500), scale="plain")
        hits += bool(shifts)
        assert all(shift.size == pytest.approx(shift.after.mean - shift.before.mean) for shift in shifts)
    assert found <= hits / 100 <= max(found, 0.02) if rate == 0.001 else hits / 100 >= found


def test_a_few_failures_in_a_row_are_no_shift_of_a_rate() -> None:
    failures = [0.0] * 27 + [0.001, 0.0, 0.001]
    assert indices(find_shifts(nightly(failures), scale="plain")) == [27], "by their spread alone they look like one"
    assert find_shifts(nightly(failures, n=1000), scale="plain") == ()
    assert find_shifts(nightly([1 - one for one in failures], n=1000), scale="plain", better="higher") == ()


def test_a_rate_of_successes_falls_as_a_rate_of_failures_rises() -> None:
    failed = [1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 15, 14, 16, 15, 14]
    (up,) = find_shifts(nightly([one / 1000 for one in failed], n=1000), scale="plain")
    (down,) = find_shifts(nightly([1 - one / 1000 for one in failed], n=1000), scale="plain", better="higher")
    assert (up.index, up.direction) == (down.index, down.direction) == (10, "worse")
    assert (down.size, down.p_value) == pytest.approx((-up.size, up.p_value))


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e3, 0.1, 1 / 3, 7.7, 1 / 1024])
def test_of_two_places_as_good_the_first_is_told_in_every_unit(unit: float) -> None:
    halfway = [*[1.0] * 6, 1.5, *[2.0] * 6]
    assert indices(find_shifts(nightly(one * unit for one in halfway), scale="plain")) == [6]


def test_the_same_history_always_has_the_same_shifts() -> None:
    values = random_runs(np.random.default_rng(8), 40) * np.where(np.arange(40) < 20, 1, 1.2)
    assert find_shifts(nightly(values)) == find_shifts(nightly(values))


# 100 ms, then 130 from run 10 on, then 160 from run 20 on.
STAIRS = nightly([100.0 + 30 * (i // 10) + (i * 7) % 3 for i in range(30)])


def test_a_shift_is_open_until_it_is_acknowledged_and_only_once() -> None:
    first, second = find_shifts(STAIRS)
    assert open_shift((first, second), ()) == second
    assert open_shift((first,), ()) == first
    assert open_shift((first, second), {"run-010"}) == second, "the level after the first is the new normal"
    assert open_shift((first, second), {"run-020"}) is None, "whoever takes 160 for normal no longer asks for 130"
    assert open_shift((), {"run-020"}) is None


@pytest.mark.parametrize("told_at", ["run-009", "run-010", "run-011"])
def test_an_acknowledged_shift_stays_so_when_later_runs_move_it_by_one(told_at: str) -> None:
    (shift,) = find_shifts(STAIRS[:20])
    assert open_shift((shift,), {told_at}) is None
    assert open_shift((shift,), {"run-008", "run-012"}) == shift


def test_a_relapse_after_a_recovery_is_a_shift_of_its_own() -> None:
    values = [level + i % 3 for level in (100, 140, 100, 140) for i in range(6)]
    shifts = find_shifts(nightly(values))
    assert indices(shifts) == [6, 12, 18]
    assert open_shift(shifts[:2], {"run-006"}) is None
    assert open_shift(shifts, {"run-006"}) == shifts[-1]


def test_half_a_recovery_leaves_the_shift_open() -> None:
    values = [level + i % 3 for level in (100, 140, 120) for i in range(8)]
    shifts = find_shifts(nightly(values))
    assert indices(shifts) == [8, 16]
    assert open_shift(shifts, ()) == shifts[0]


def test_a_history_of_two_hundred_runs_has_all_its_shifts() -> None:
    random = np.random.default_rng(9)
    values = random_runs(random, 200, noise=0.03) * np.repeat([1.0, 1.2, 0.9, 1.1, 1.3], 40)
    found = indices(find_shifts(nightly(values)))
    assert len(found) == 4
    assert all(abs(index - at) <= 1 for index, at in zip(found, (40, 80, 120, 160), strict=True))
    assert all(after - before >= FEWEST for before, after in pairwise(found))
