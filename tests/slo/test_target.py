"""Targets: their grammar, their units, and which metric they fit."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as some

from data.k6_metrics import BUILT_IN
from data.model import MetricContains, MetricKind
from slo.target import Target, TargetError, Unit, parse_quantity


@pytest.mark.parametrize(
    ("text", "stat", "op", "threshold", "unit"),
    [
        ("p(95) < 250ms", "p(95)", "<", 250.0, "ms"),
        ("p(95)<250 ms", "p(95)", "<", 250.0, "ms"),
        ("avg<=1.5s", "avg", "<=", 1500.0, "ms"),
        ("med < 500us", "med", "<", 0.5, "ms"),
        ("med < 500µs", "med", "<", 0.5, "ms"),
        ("rate < 1%", "rate", "<", 0.01, "ratio"),
        ("rate > 29%", "rate", ">", 0.29, "ratio"),
        ("rate<0.01", "rate", "<", 0.01, "ratio"),
        ("rate > 50/s", "rate", ">", 50.0, "/s"),
        ("count > 100", "count", ">", 100.0, ""),
        ("max < 512MiB", "max", "<", 536_870_912.0, "B"),
        ("count < 1.5 KiB", "count", "<", 1536.0, "B"),
        ("max < 2GiB", "max", "<", 2_147_483_648.0, "B"),
        ("value === 0", "value", "==", 0.0, ""),
        ("value != -1", "value", "!=", -1.0, ""),
        ("last >= .5", "last", ">=", 0.5, ""),
        ("increase < 1e3", "increase", "<", 1000.0, ""),
    ],
)
def test_a_target_is_read_into_its_base_unit(text: str, stat: str, op: str, threshold: float, unit: Unit) -> None:
    target = Target.parse(text)
    assert (target.stat, target.op, target.threshold, target.unit) == (stat, op, threshold, unit)


@pytest.mark.parametrize(
    ("text", "stat", "share"),
    [
        ("p(95)", "p(95)", 0.95),
        ("p( 99.90 )", "p(99.9)", 0.999),
        ("p(99.99999)", "p(99.99999)", 0.9999999),
        ("p(0)", "p(0)", 0.0),
        ("p(100)", "p(100)", 1.0),
    ],
)
def test_a_percentile_has_one_name_and_a_share_of_one(text: str, stat: str, share: float) -> None:
    target = Target.parse(f"{text} < 1ms")
    assert (target.stat, target.percentile) == (stat, share)


def test_the_text_is_the_target_as_written_with_its_blanks_in_order() -> None:
    assert Target.parse("  p( 95 )<=1.50   s ").text == "p(95) <= 1.50s"


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        ("", "a target starts with a statistic", ""),
        ("< 5ms", "a target starts with a statistic", "< 5ms"),
        ("p95 < 5ms", "unknown statistic `p95`", "p95"),
        ("p(N) < 5ms", "unknown statistic `p(N)`", "p(N)"),
        ("p(101) < 5ms", "`p(101)`: a percentile is between 0 and 100", "p(101)"),
        ("p(-1) < 5ms", "unknown statistic `p(-1)`", "p(-1)"),
        ("avg", "a comparison is expected here", ""),
        ("avg 5ms", "a comparison is expected here", "5ms"),
        ("avg => 5ms", "a comparison is expected here", "=>"),
        ("avg = 5ms", "a comparison is expected here", "="),
        ("avg <", "a number is expected here", ""),
        ("avg < fast", "a number is expected here", "fast"),
        ("avg < 1.2.3s", "`1.2.3` is not a number to compare with", "1.2.3"),
        ("max < 1e400", "`1e400` is not a number to compare with", "1e400"),
        ("max < 512MB", "unknown unit `MB`", "MB"),
        ("avg < 5 min", "unknown unit `min`", "min"),
        ("avg < 5ms or so", "unknown unit `ms or so`", "ms or so"),
        ("avg < (-5)ms", "a time cannot be negative", "-5"),
        ("rate < 5points", "points are a change of a share", "5"),
        ("avg < (5)", "a number is expected here", "(5)"),
        ("rate < NaN", "a number is expected here", "NaN"),
    ],
)
def test_what_is_no_target_is_marked_where_it_stands(text: str, message: str, marked: str) -> None:
    with pytest.raises(TargetError) as caught:
        Target.parse(text)
    error = caught.value
    assert (error.message, error.code) == (message, "bad-target")
    assert text[error.offset : error.offset + error.length] == marked


@pytest.mark.parametrize(
    ("text", "met", "missed"),
    [
        ("value < 5", 4.9, 5.0),
        ("value <= 5", 5.0, 5.1),
        ("value > 5", 5.1, 5.0),
        ("value >= 5", 5.0, 4.9),
        ("value == 5", 5.0, 5.1),
        ("value != 5", 5.1, 5.0),
    ],
)
def test_a_target_holds_on_its_side_of_the_threshold(text: str, met: float, missed: float) -> None:
    target = Target.parse(text)
    assert target.holds(met)
    assert not target.holds(missed)


@pytest.mark.parametrize("op", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_finite_number_meets_no_target(op: str, value: float) -> None:
    assert not Target.parse(f"value {op} 5").holds(value)
    assert Target.parse(f"value {op} 5").margin(value) is None


@pytest.mark.parametrize(
    ("text", "value", "margin"),
    [
        ("p(95) < 250ms", 200, 0.2),
        ("p(95) < 250ms", 399, -0.596),
        ("rate > 60%", 0.75, 0.25),
        ("rate > 60%", 0.0, -1.0),
        ("value > (-10)", -5, 0.5),
        ("count < 0", 3, None),
        ("value == 5", 5, None),
        ("value != 5", 4, None),
    ],
)
def test_the_margin_is_the_share_of_the_target_that_is_left(text: str, value: float, margin: float | None) -> None:
    assert Target.parse(text).margin(value) == (None if margin is None else pytest.approx(margin))


@pytest.mark.parametrize(
    ("warn", "target", "stricter"),
    [
        ("p(95) < 200ms", "p(95) < 250ms", True),
        ("p(95) < 0.2s", "p(95) <= 250ms", True),
        ("p(95) < 250ms", "p(95) <= 250ms", True),
        ("p(95) <= 250ms", "p(95) < 250ms", False),
        ("p(95) < 250ms", "p(95) < 250ms", False),
        ("p(95) < 300ms", "p(95) < 250ms", False),
        ("p(99) < 200ms", "p(95) < 250ms", False),
        ("rate > 70%", "rate > 60%", True),
        ("rate > 50%", "rate > 60%", False),
        ("rate < 50%", "rate > 60%", False),
        ("rate < 0.005", "rate < 1%", True),
        ("max < 5ms", "max < 6B", False),
        ("value == 5", "value == 5", False),
        ("value == 4", "value == 5", False),
        ("p(95) <= +5%", "p(95) <= +10%", True),
        ("p(95) <= +10%", "p(95) <= +5%", False),
        ("rate >= -5%", "rate >= -10%", True),
        ("p(95) <= +5%", "p(95) <= +5ms", False),
        ("p(95) <= +5ms", "p(95) <= 10ms", False),
    ],
)
def test_stricter_asks_more_of_the_same(warn: str, target: str, stricter: bool) -> None:  # noqa: FBT001 - a table's column
    assert Target.parse(warn).is_stricter_than(Target.parse(target)) is stricter


@pytest.mark.parametrize(
    ("text", "baseline", "absolute", "threshold"),
    [
        ("p(95) <= +10%", 228.0, "p(95) <= 250.8ms", 250.8),
        ("p(95) <= -10%", 228.0, "p(95) <= 205.2ms", 205.2),
        ("p(95) < +15ms", 228.0, "p(95) < 243ms", 243.0),
        ("p(95) < +0.5s", 228.0, "p(95) < 728ms", 728.0),
        ("p(95) <= +0%", 228.0, "p(95) <= 228ms", 228.0),
        ("p(95) < 250ms", 228.0, "p(95) < 250ms", 250.0),
        ("avg <= +10%", 10.0, "avg <= 11ms", 11.0),
    ],
)
def test_a_relative_target_becomes_absolute_beside_what_was_before(
    text: str, baseline: float, absolute: str, threshold: float
) -> None:
    resolved = Target.parse(text).against(baseline, "ms")
    assert (resolved.text, resolved.threshold, resolved.relative) == (absolute, threshold, None)
    assert Target.parse(resolved.text) == resolved


@pytest.mark.parametrize(
    ("text", "baseline", "threshold"),
    [
        ("rate <= +10%", 0.05, 0.055),
        ("rate >= -5%", 0.9, 0.855),
        ("rate <= +2points", 0.05, 0.07),
        ("rate <= +0.02", 0.05, 0.07),
        ("rate >= -2 points", 0.01, -0.01),
    ],
)
def test_a_percentage_of_a_share_is_of_that_share_and_points_are_added(
    text: str, baseline: float, threshold: float
) -> None:
    assert Target.parse(text).against(baseline, "ratio").threshold == threshold


def test_a_sign_makes_it_relative_and_parentheses_a_number_below_zero() -> None:
    offset, below = Target.parse("value >= -5"), Target.parse("value >= (-5)")
    assert (offset.relative, offset.threshold) == ("offset", -5.0)
    assert (below.relative, below.threshold, below.text) == (None, -5.0, "value >= (-5)")
    assert Target.parse("p(95) <= + 10 %".replace(" ", "")).relative == "share"


def _refused(code: str | None) -> AbstractContextManager[object]:
    return nullcontext() if code is None else pytest.raises(TargetError, check=lambda error: error.code == code)


@pytest.mark.parametrize(
    ("text", "kind", "contains", "code"),
    [
        ("p(95) < 250ms", "trend", "time", None),
        ("p(95) < 250", "trend", "time", "unit-missing"),
        ("p(95) < 5%", "trend", "time", "unit-misfit"),
        ("p(95) < 5", "trend", "default", None),
        ("p(95) < 5ms", "trend", "default", "unit-misfit"),
        ("max < 5KiB", "trend", "data", None),
        ("count < 5", "trend", "time", "stat-misfit"),
        ("rate < 1%", "rate", "default", None),
        ("rate < 0.01", "rate", "default", None),
        ("rate < 1", "rate", "default", "unit-missing"),
        ("rate < 50/s", "rate", "default", "unit-misfit"),
        ("rate < 101%", "rate", "default", "unit-misfit"),
        ("rate > (-0.5)", "rate", "default", "unit-misfit"),
        ("p(95) <= +10%", "trend", "time", None),
        ("p(95) <= +15ms", "trend", "time", None),
        ("p(95) <= +15", "trend", "time", "unit-missing"),
        ("p(95) <= +2points", "trend", "time", "unit-misfit"),
        ("count <= +10%", "trend", "time", "stat-misfit"),
        ("rate >= -5%", "rate", "default", None),
        ("rate >= -2 points", "rate", "default", None),
        ("rate >= -0.02", "rate", "default", None),
        ("rate <= +200points", "rate", "default", "unit-misfit"),
        ("rate >= -5%", "counter", "default", None),
        ("rate >= -5/s", "counter", "default", None),
        ("value <= +10%", "gauge", "default", None),
        ("p(95) < 1%", "rate", "default", "stat-misfit"),
        ("count > 100", "counter", "default", None),
        ("count > 100", "counter", "data", None),
        ("count > 1MiB", "counter", "data", None),
        ("count > 1MiB", "counter", "default", "unit-misfit"),
        ("rate > 50/s", "counter", "default", None),
        ("rate > 50", "counter", "default", "unit-missing"),
        ("rate > 0.5", "counter", "default", "unit-misfit"),
        ("value == 0", "gauge", "default", None),
        ("min > 0", "gauge", "default", None),
        ("max < 5s", "gauge", "time", None),
        ("value < 5s", "gauge", "default", "unit-misfit"),
        ("avg < 5", "gauge", "default", "stat-misfit"),
        ("last < 5", "gauge", "default", "stat-misfit"),
    ],
)
def test_a_target_fits_the_type_of_its_metric(
    text: str, kind: MetricKind, contains: MetricContains, code: str | None
) -> None:
    with _refused(code):
        Target.parse(text).check_fits(kind, contains)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("p(95) < 250ms", None),
        ("p(95) < 250", None),
        ("max < 5B", None),
        ("rate < 1%", None),
        ("rate < 50/s", None),
        ("value < 5s", None),
        ("p(95) < 5%", "unit-misfit"),
        ("count < 5/s", "unit-misfit"),
        ("rate < 5ms", "unit-misfit"),
        ("rate < 5", "unit-missing"),
        ("last < 5", "stat-misfit"),
        ("increase < 5", "stat-misfit"),
    ],
)
def test_of_an_unseen_metric_only_statistic_and_unit_have_to_agree(text: str, code: str | None) -> None:
    with _refused(code):
        Target.parse(text).check_fits_some_metric()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("max < 512MiB", None),
        ("last == 0", None),
        ("increase < 5", None),
        ("p(99) < 1s", None),
        ("value < 5", "stat-misfit"),
        ("rate < 1%", "stat-misfit"),
    ],
)
def test_prometheus_series_have_statistics_of_their_own(text: str, code: str | None) -> None:
    with _refused(code):
        Target.parse(text).check_fits_promql()


def test_a_missing_unit_is_explained() -> None:
    with pytest.raises(TargetError) as caught:
        Target.parse("p(95) < 250").check_fits("trend", "time")
    assert caught.value.message == "`p(95) < 250` has no unit"
    assert caught.value.label == "a time needs a unit"
    assert caught.value.help == "write `p(95) < 250ms` (units of a time: us, ms, s)"


def test_a_share_of_one_or_more_is_told_both_ways_to_write_it() -> None:
    with pytest.raises(TargetError) as caught:
        Target.parse("rate < 1").check_fits("rate", "default")
    assert caught.value.help == "write `rate < 1%`, or a share below 1 (`1%` is `0.01`)"


@pytest.mark.parametrize(("text", "holds", "fails"), [(">= 85%", 0.85, 0.84), ("> 85%", 0.86, 0.85)])
def test_a_coverage_is_a_least_share(text: str, holds: float, fails: float) -> None:
    coverage = Target.parse_coverage(text)
    assert coverage.holds(holds)
    assert not coverage.holds(fails)
    assert (coverage.stat, coverage.text) == ("coverage", text)


@pytest.mark.parametrize(
    "text", ["", "85%", "< 85%", "== 85%", ">= 85", ">= 0.85", ">= 101%", ">= -1%", "> (-1)%", ">= +85%", ">= 85ms"]
)
def test_nothing_else_is_a_coverage(text: str) -> None:
    with pytest.raises(TargetError):
        Target.parse_coverage(text)


@pytest.mark.parametrize("text", [">= 0%", ">= 0.00%"])
def test_a_coverage_that_nothing_can_miss_is_refused(text: str) -> None:
    with pytest.raises(TargetError, match="would always pass") as caught:
        Target.parse_coverage(text)
    assert caught.value.help
    assert not Target.parse_coverage("> 0%").holds(0.0)


def test_a_quantity_has_the_unit_it_is_asked_for() -> None:
    assert parse_quantity("5%", "ratio") == 0.05
    assert parse_quantity(" 0.002 s", "ms") == 2.0


@pytest.mark.parametrize("text", ["", "5", "5ms", "x%", "-5%", "5 % of all"])
def test_another_unit_is_not_the_quantity(text: str) -> None:
    with pytest.raises(TargetError):
        parse_quantity(text, "ratio")


def test_the_built_in_metrics_have_their_types() -> None:
    assert BUILT_IN["http_req_duration"] == ("trend", "time")
    assert BUILT_IN["http_req_failed"] == ("rate", "default")
    assert BUILT_IN["data_received"] == ("counter", "data")
    assert BUILT_IN["vus"] == ("gauge", "default")


_OPS = some.sampled_from(["<", "<=", ">", ">=", "==", "===", "!="])
_STATS = some.sampled_from(
    ["avg", "min", "med", "max", "p(95)", "p(99.9)", "count", "rate", "value", "last", "increase"]
)
_NUMBERS = some.tuples(
    some.sampled_from(["", "+", "-"]), some.decimals(min_value=0, max_value=10**9, places=3).map(str)
).map("".join)
_UNITS = some.sampled_from(["", "us", "ms", "s", "%", "B", "KiB", "MiB", "GiB", "/s"])
_BLANKS = some.sampled_from(["", " ", "  "])


@given(some.tuples(_BLANKS, _STATS, _BLANKS, _OPS, _BLANKS, _NUMBERS, _BLANKS, _UNITS, _BLANKS).map("".join))
def test_a_target_survives_being_written_and_read(text: str) -> None:
    target = Target.parse(text)
    assert Target.parse(target.text) == target


@given(
    some.one_of(
        some.text(), some.from_regex(r"(p\(.{0,3}\)|rate|avg) ?[<>=!]{1,3} ?[0-9.e+-]{0,6}.{0,3}", fullmatch=True)
    )
)
def test_any_text_is_a_target_or_a_target_error(text: str) -> None:
    read = _target_or_error(text)
    if isinstance(read, Target):
        assert math.isfinite(read.threshold)
        assert Target.parse(read.text) == read
    else:
        assert 0 <= read.offset <= len(text)
        assert read.length >= 1


def _target_or_error(text: str) -> Target | TargetError:
    try:
        return Target.parse(text)
    except TargetError as error:
        return error
