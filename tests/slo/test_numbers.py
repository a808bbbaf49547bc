"""How numbers are written, and that writing never contradicts what was measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from slo import numbers

NOW = datetime(2026, 11, 21, 9, 52, tzinfo=UTC)
FINITE = some.floats(min_value=-1e9, max_value=1e9)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0.00 ms"),
        (0.4249, "0.42 ms"),
        (9.994, "9.99 ms"),
        (9.996, "10.0 ms"),
        (15.23, "15.2 ms"),
        (99.96, "100 ms"),
        (399.1, "399 ms"),
        (9_999.4, "9,999 ms"),
        (9_999.6, "10.0 s"),
        (12_345, "12.3 s"),
        (-15.23, "−15.2 ms"),
        (-0.001, "0.00 ms"),
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
    ],
)
def test_a_latency_has_the_decimals_its_size_is_worth(ms: float | None, text: str) -> None:
    assert numbers.duration_ms(ms) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0, "0.0 s"),
        (20.24, "20.2 s"),
        (59.96, "1 min 0 s"),
        (725, "12 min 5 s"),
        (86_400, "24 h 0 min"),
        (None, numbers.MISSING),
    ],
)
def test_the_length_of_a_run_is_written_in_its_own_unit(duration_s: float | None, text: str) -> None:
    assert numbers.seconds(duration_s) == text


@pytest.mark.parametrize(("share", "text"), [(0.04, "4.00 %"), (0, "0.00 %"), (-0.00001, "0.00 %"), (1, "100.00 %")])
def test_a_share_is_written_in_percent(share: float, text: str) -> None:
    assert numbers.ratio(share) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (136, 3396, "4.00 % (136 of 3,396)"),
        (0, 3396, "0 of 3,396"),
        (3396, 3396, "100.00 % (3,396 of 3,396)"),
        (1, 1_000_000, "0.0001 % (1 of 1,000,000)"),
        (999_999, 1_000_000, "99.9999 % (999,999 of 1,000,000)"),
        (0, 0, numbers.MISSING),
        (None, 10, numbers.MISSING),
        (3, None, numbers.MISSING),
    ],
)
def test_a_rate_says_what_it_rests_on_and_is_never_rounded_to_none_or_all(
    part: int | None, whole: int | None, text: str
) -> None:
    assert numbers.rate_with_count(part, whole) == text


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (399.1, "ms", "399 ms"),
        (0.0123, "ratio", "1.23 %"),
        (536_870_912, "B", "512.0 MiB"),
        (900, "B", "900 B"),
        (3 * 2**30, "B", "3.0 GiB"),
        (168.12, "/s", "168.1 /s"),
        (42, "", "42"),
        (1234.5, "", "1,234.50"),
        (0.00123, "", "0.00123"),
        (0, "", "0"),
        (7, "msgs", "7 msgs"),
        (None, "ms", numbers.MISSING),
    ],
)
def test_a_value_is_written_in_its_unit(number: float | None, unit: str, text: str) -> None:
    assert numbers.value(number, unit) == text


@pytest.mark.parametrize(
    ("number", "target", "unit", "pair"),
    [
        (399.1, 250, "ms", ("399 ms", "250 ms")),
        (250.3, 250, "ms", ("250.3 ms", "250.0 ms")),
        (250, 250, "ms", ("250 ms", "250 ms")),
        (10_000.2, 10_000, "ms", ("10.0002 s", "10.0000 s")),
        (0.010001, 0.01, "ratio", ("1.0001 %", "1.0000 %")),
        (None, 250, "ms", (numbers.MISSING, "250 ms")),
    ],
)
def test_a_value_that_missed_its_target_does_not_round_to_it(
    number: float | None, target: float, unit: str, pair: tuple[str, str]
) -> None:
    assert numbers.distinct(number, target, unit) == pair


@given(
    number=some.integers(-(10**9), 10**9), step=some.sampled_from([1, 7, 1000]), unit=some.sampled_from(["ms", "B", ""])
)
def test_different_numbers_are_written_differently(number: int, step: int, unit: str) -> None:
    ours, target = numbers.distinct(number / 1000, (number + step) / 1000, unit)
    assert ours != target


@given(number=FINITE, unit=some.sampled_from(["ms", "ratio", "B", "/s", "", "msgs"]))
def test_no_number_is_written_with_an_exponent_or_as_minus_zero(number: float, unit: str) -> None:
    text = numbers.value(number, unit)
    assert "e" not in text.replace("ms", "").replace("msgs", "")
    assert any(digit in text for digit in "123456789") or not text.startswith("\N{MINUS SIGN}")


@pytest.mark.parametrize(
    ("ends", "unit", "text"),
    [
        ((381.2, 420.9), "ms", "381–421 ms"),
        ((0.034, 0.047), "ratio", "3.40–4.70 %"),
        ((9_990, 12_000), "ms", "9,990 ms–12.0 s"),
        ((1, 2), "", "1–2"),
        (None, "ms", numbers.MISSING),
    ],
)
def test_an_interval_names_its_unit_once(ends: tuple[float, float] | None, unit: str, text: str) -> None:
    assert numbers.interval(ends, unit) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.24, "24 % to spare"),
        (-0.596, "missed by 60 %"),
        (-0.0012, "missed by 0.1 %"),
        (0.0, "0 % to spare"),
        (None, numbers.MISSING),
    ],
)
def test_a_margin_says_on_which_side_of_the_target_it_is(share: float | None, text: str) -> None:
    assert numbers.margin(share) == text


@pytest.mark.parametrize(
    ("by", "unit", "text", "size"),
    [
        (0.1234, "ms", "+12 %", "12 %"),
        (-0.0344, "ms", "−3.4 %", "3.4 %"),
        (0.05, "/s", "+5 %", "5 %"),
        (0.0996, "", "+10 %", "10 %"),
        (15.2, "ms", "+1,520 %", "1,520 %"),
        (1.0, "ms", "+100 %", "100 %"),
        (0, "ms", "0 %", "0 %"),
        (-0.0, "ms", "0 %", "0 %"),
        (-0.0001, "ms", "0 %", "0 %"),
        (0.0001, "ms", "0 %", "0 %"),
        (0.009, "ratio", "+0.9 points", "0.9 points"),
        (-0.0024, "ratio", "−0.24 points", "0.24 points"),
        (0.01, "ratio", "+1 point", "1 point"),
        (0.123, "ratio", "+12 points", "12 points"),
        (0.00003, "ratio", "+0.003 points", "0.003 points"),
        (-1e-9, "ratio", "0 points", "0 points"),
        (None, "ms", numbers.MISSING, numbers.MISSING),
        (float("nan"), "ratio", numbers.MISSING, numbers.MISSING),
        (float("inf"), "ms", numbers.MISSING, numbers.MISSING),
    ],
)
def test_a_change_has_a_sign_unless_it_is_none_and_shares_change_by_points(
    by: float | None, unit: str, text: str, size: str
) -> None:
    assert numbers.change(by, unit) == text
    assert numbers.change_size(by, unit) == size


@pytest.mark.parametrize(
    ("ends", "unit", "text"),
    [
        ((0.09, 0.15), "ms", "+9 to +15 %"),
        ((-0.01, 0.15), "ms", "−1 to +15 %"),
        ((-0.00001, 0.0009), "ratio", "−0.001 to +0.09 points"),
        ((0.0, 1.5), "ms", "0 to +150 %"),
        ((0.0, float("inf")), "ms", numbers.MISSING),
        (None, "ms", numbers.MISSING),
    ],
)
def test_the_interval_of_a_change_has_a_sign_at_both_ends_and_its_unit_once(
    ends: tuple[float, float] | None, unit: str, text: str
) -> None:
    assert numbers.change_interval(ends, unit) == text


@given(by=FINITE, unit=some.sampled_from(["ms", "ratio"]))
def test_a_change_is_signed_as_the_number_is_or_is_written_as_nothing(by: float, unit: str) -> None:
    text = numbers.change(by, unit)
    assert text.startswith("+" if by > 0 else "−") or text.partition(" ")[0] == "0"
    assert numbers.change(-by, unit).lstrip("+−") == text.lstrip("+−") == numbers.change_size(by, unit)


@pytest.mark.parametrize(
    ("between", "text"),
    [
        (timedelta(seconds=30), "0 min"),
        (timedelta(minutes=-38), "38 min"),
        (timedelta(hours=23, minutes=59), "23 h"),
        (timedelta(days=45), "45 d"),
    ],
)
def test_a_lapse_is_written_in_its_largest_unit(between: timedelta, text: str) -> None:
    assert numbers.lapse(between) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=-30), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=38), "38 min ago"),
        (timedelta(hours=2, minutes=50), "2 h ago"),
        (timedelta(days=3), "3 d ago"),
        (timedelta(days=50), "2026-10-02"),
        (timedelta(hours=-2), "2026-11-21 11:52 UTC"),
    ],
)
def test_an_age_is_written_in_its_largest_unit(age: timedelta, text: str) -> None:
    assert numbers.ago(NOW - age, NOW) == text


def test_what_is_missing_is_a_dash_and_never_zero() -> None:
    nothing = [numbers.count(None), numbers.ago(None, NOW), numbers.timestamp(None), numbers.ratio(None)]
    assert [*nothing, numbers.date(None)] == [numbers.MISSING] * 5


@pytest.mark.parametrize(("smallest_ms", "decimals"), [(0.4, 2), (15, 1), (399, 0), (20_000, 0)])
def test_a_column_takes_its_decimals_from_its_smallest_value(smallest_ms: float, decimals: int) -> None:
    assert numbers.ms_decimals(smallest_ms) == decimals


@pytest.mark.parametrize(("number", "text"), [(0, "0 runs"), (1, "1 run"), (2_000, "2,000 runs")])
def test_a_noun_follows_its_number(number: int, text: str) -> None:
    assert numbers.things(number, "run") == text
