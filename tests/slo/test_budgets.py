"""Error budgets by hand, beside the formulas of others, and what makes them impossible to tell."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from data.budgets import BUCKET_S, Buckets
from slo.budget_model import BudgetView
from slo.budgets import (
    MOST_POINTS,
    RULES,
    WINDOWS_S,
    Tally,
    alerts,
    budget_left,
    burn_factor,
    burn_rate,
    exhausted_in_s,
    judge_budget,
    over_time,
    sli,
    tally,
    window_of,
)
from tests.counted import DAY_S, NONE, NOW, NOW_S, buckets, budget, steady, worse

COUNTS = some.lists(
    some.tuples(some.integers(0, 10**6), some.integers(0, 10**6)).map(lambda pair: (min(pair), max(pair))),
    min_size=1,
    max_size=40,
)
"""Good and total of some buckets."""


def judged(stored: Buckets, objective: float = 0.99, days: int = 28) -> BudgetView:
    return judge_budget(budget(objective, days), stored, NOW)


def codes(view: BudgetView) -> list[str]:
    return [one.code for one in view.findings]


# -- by hand --------------------------------------------------------------------------------------------------------


def test_a_budget_by_hand() -> None:
    # 28 d are 8064 buckets of 1000 events, 4 of them bad: SLI 0.996. Allowed are 1 %, so 0.4 of the budget is spent.
    view = judged(steady(bad=4))
    assert (view.state, view.coverage, view.as_of) == ("ok", 1.0, NOW)
    assert (view.good, view.total) == (8064 * 996, 8064 * 1000)
    assert view.sli == pytest.approx(0.996)
    assert view.left == pytest.approx(0.6)
    assert view.burns == {name: pytest.approx(0.4) for name in WINDOWS_S}
    assert "60.0 % of the budget is left" in view.reason


def test_what_is_over_spent_is_below_zero() -> None:
    view = judged(steady(bad=30))
    assert view.state == "exhausted"
    assert view.left == pytest.approx(-2.0)
    assert "300 % of the budget is spent" in view.reason


def test_a_budget_that_is_just_spent_is_exhausted() -> None:
    assert judged(steady(bad=10)).state == "exhausted"


def test_each_window_burns_by_what_was_bad_in_it() -> None:
    # The last 30 min fail by 20 %: 200 of 1000 in 6 buckets. Over 1 h that is 1200 of 12000, ten times the allowed 1 %.
    burns = judged(worse(steady(bad=0), 30, 200)).burns
    hand = {"5m": 20, "30m": 20, "1h": 10, "2h": 5, "6h": 1200 / 72_000 / 0.01, "1d": 1200 / 288_000 / 0.01}
    assert {name: burns[name] for name in hand} == {name: pytest.approx(rate) for name, rate in hand.items()}
    assert burns["3d"] == pytest.approx(1200 / 864_000 / 0.01)


@pytest.mark.parametrize(
    ("minutes", "bad", "fires"),
    [
        (60, 150, [("page", "1h")]),  # burn 15 over 1 h and 5 m; over 6 h 2.5, below 5.6
        (60, 134, []),  # burn 13.4, below 13.44
        (55, 200, [("page", "1h")]),
        (6 * 60, 60, [("page", "6h")]),  # burn 6 over 6 h and 30 m
        (24 * 60, 29, [("ticket", "1d"), ("ticket", "3d")]),  # 2.9 over 1 d and 2 h; 0.967 over 3 d
        (72 * 60, 9.4, [("ticket", "3d")]),
    ],
)
def test_an_alert_fires_where_both_of_its_windows_burn(minutes: int, bad: float, fires: list[tuple[str, str]]) -> None:
    view = judged(worse(steady(bad=0), minutes, bad))
    assert [(one.severity, one.long) for one in view.alerts if one.fires] == fires
    assert view.state == ("burning" if fires else "ok")


def test_what_is_over_does_not_burn_any_more() -> None:
    stored = worse(steady(bad=0), 60, 300)
    view = judged(Buckets(stored.until_s, np.append(stored.good[:-6], stored.total[-6:]), stored.total))
    first = view.alerts[0]
    assert first.long_burn == pytest.approx(15)
    assert (first.short_burn, first.fires, view.state) == (0.0, False, "ok")


def test_it_is_told_when_the_budget_is_used_up() -> None:
    # Nothing was bad for 28 d, then 5 % for an hour: 600 of the 80,640 that may be. At 50 an hour's bucket, the rest
    # takes 80,040 / 50 = 1600.8 buckets; what rolls out of the window meanwhile was good.
    view = judged(worse(steady(bad=0), 60, 50))
    assert view.burns["1h"] == pytest.approx(5)
    assert view.exhausted_at == NOW + timedelta(seconds=1601 * BUCKET_S)


def test_a_burn_that_the_window_outlives_never_uses_it_up() -> None:
    assert judged(steady(bad=9)).exhausted_at is None, "0.9 of the budget is spent again and again"
    assert exhausted_in_s(steady(bad=9), 0.01, 1.0) is not None
    assert exhausted_in_s(steady(bad=4), 0.01, 0.0) is None


def test_the_budget_over_time_falls_from_one_to_what_is_left() -> None:
    points = judged(steady(bad=4)).over_time
    assert len(points) == 475 <= MOST_POINTS  # 17 of the 8064 buckets a point
    assert points[-1].at == NOW
    assert points[-1].left == pytest.approx(0.6)
    assert points[0].left == pytest.approx(1 - 0.4 * 17 / 8064)
    assert points == tuple(sorted(points, key=lambda one: (one.at, -(one.left or 0))))


def test_a_gap_is_no_point_of_the_course() -> None:
    stored = steady(bad=4)
    good = stored.good.copy()
    good[170:187] = NONE
    left = [one.left for one in judged(Buckets(stored.until_s, good, stored.total)).over_time]
    assert [place for place, one in enumerate(left) if one is None] == [10]


# -- beside others --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "factor"), [(0, 14.4), (1, 6.0), (2, 3.0), (3, 1.0)])
def test_the_factors_of_30_days_are_those_of_the_workbook_and_of_sloth(rule: int, factor: float) -> None:
    # Sloth, getBurnRateFactor: speed = errorBudgetPercent * totalWindow.Hours() / 100 / consumptionWindow.Hours()
    _, share, long, _ = RULES[rule]
    sloth = share * 100 * (30 * 24) / 100 / (WINDOWS_S[long] / 3600)
    assert burn_factor(share, 30 * DAY_S, WINDOWS_S[long]) == pytest.approx(sloth) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("rule", "ours", "pyrra", "pyrras_window"),
    [(0, 13.44, 14, "1h"), (1, 5.6, 7, "6h"), (2, 2.8, 2, "1d"), (3, 28 / 30, 1, "4d")],
)
def test_the_factors_of_28_days_differ_from_pyrras_by_this(
    rule: int, ours: float, pyrra: float, pyrras_window: str
) -> None:
    # Pyrra fixes 14, 7, 2 and 1 for 28 d, and its slowest window is 4 d; ours are the workbook's shares of the budget.
    _, share, long, _ = RULES[rule]
    assert burn_factor(share, 28 * DAY_S, WINDOWS_S[long]) == pytest.approx(ours)
    assert (long == pyrras_window) is (rule < 3)
    hours = float(pyrras_window[:-1]) * (24 if pyrras_window.endswith("d") else 1)
    spends = pyrra * hours / (28 * 24)  # of the budget, by Pyrra's factor
    assert spends == pytest.approx([0.020833, 0.0625, 0.071429, 0.142857][rule], abs=1e-6)


@given(COUNTS, some.sampled_from([0.9, 0.99, 0.995, 0.999, 0.9999]))
def test_the_burn_is_that_of_slo_generator(counts: list[tuple[int, int]], objective: float) -> None:
    # slo-generator, report.py: error_budget_burn_rate = (1 - SLI) / (1 - goal), which it rounds to 0.1
    good, total = (sum(column) for column in zip(*counts, strict=True))
    counted = tally(buckets([g for g, _ in counts], [t for _, t in counts]))
    if not total:
        assert (sli(counted), burn_rate(counted, 0.01)) == (None, 0.0)
        return
    theirs = (1 - good / total) / (1 - objective)
    assert burn_rate(counted, budget(objective).allowed) == pytest.approx(theirs, rel=1e-6, abs=1e-6)
    assert budget_left(counted, budget(objective).allowed) == pytest.approx(1 - theirs, rel=1e-6, abs=1e-6)


def test_an_alert_whose_window_is_longer_than_the_budgets_is_not_asked() -> None:
    burns: dict[str, float | None] = dict.fromkeys(WINDOWS_S, 100.0)
    assert [one.long for one in alerts(burns, 7 * DAY_S)] == ["1h", "6h", "1d", "3d"]
    assert [one.long for one in alerts(burns, DAY_S)] == ["1h", "6h", "1d"]
    assert judge_budget(budget(days=1), steady(bad=1, days=3), NOW).burns["3d"] is None


# -- what holds of all ----------------------------------------------------------------------------------------------


@given(COUNTS, some.integers(0, 39), some.integers(1, 10**6))
def test_more_bad_never_raises_what_is_left(counts: list[tuple[int, int]], place: int, more: int) -> None:
    good, total = [g for g, _ in counts], [t for _, t in counts]
    less = list(good)
    less[place % len(good)] = max(0, less[place % len(good)] - more)
    before, after = (tally(buckets(one, total)) for one in (good, less))
    if sum(total):
        left, worse_off = budget_left(before, 0.01), budget_left(after, 0.01)
        assert left is not None
        assert worse_off is not None
        assert worse_off <= left
        assert (burn_rate(after, 0.01) or 0) >= (burn_rate(before, 0.01) or 0)


@given(COUNTS, some.integers(2, 1000))
def test_scaling_all_counts_changes_nothing(counts: list[tuple[int, int]], by: int) -> None:
    good, total = [g for g, _ in counts], [t for _, t in counts]
    once, more = (tally(buckets([g * f for g in good], [t * f for t in total])) for f in (1, by))
    if sum(total):
        assert sli(once) == pytest.approx(sli(more))
        assert budget_left(once, 0.01) == pytest.approx(budget_left(more, 0.01), rel=1e-9, abs=1e-9)
        assert burn_rate(once, 0.01) == pytest.approx(burn_rate(more, 0.01), rel=1e-9, abs=1e-9)
    else:
        assert (sli(once), budget_left(more, 0.01), burn_rate(once, 0.01)) == (None, None, 0.0)


@given(COUNTS, some.sets(some.integers(0, 39)))
def test_what_is_missing_is_in_no_sum(counts: list[tuple[int, int]], gone: set[int]) -> None:
    there = [pair for place, pair in enumerate(counts) if place not in gone]
    holes = [(NONE, NONE) if place in gone else pair for place, pair in enumerate(counts)]
    counted = tally(buckets([g for g, _ in holes], [t for _, t in holes]))
    assert counted == Tally(sum(g for g, _ in there), sum(t for _, t in there), 0.0, len(there))


@given(COUNTS, some.integers(1, 60))
def test_a_window_has_the_buckets_that_end_in_it(counts: list[tuple[int, int]], size: int) -> None:
    stored = buckets([g for g, _ in counts], [t for _, t in counts])
    found = window_of(stored, NOW_S, size * BUCKET_S)
    assert found.total.tolist() == stored.total.tolist()[-size:]


@given(COUNTS)
def test_the_course_ends_with_what_is_left_and_never_rises(counts: list[tuple[int, int]]) -> None:
    stored = buckets([g for g, _ in counts], [t for _, t in counts])
    left = [one.left for one in over_time(stored, 0.01) if one.left is not None]
    assert left == sorted(left, reverse=True)
    if left:
        assert left[-1] == pytest.approx(budget_left(tally(stored), 0.01), rel=1e-9, abs=1e-9)


@given(some.integers(1, 8), some.floats(0.1, 20), some.integers(0, 9))
def test_the_time_until_it_is_used_up_is_the_first_at_which_nothing_is_left(days: int, burn: float, bad: int) -> None:
    # The same by adding one bucket after the other, as it would come to pass.
    stored = steady(bad, total=1000.0, days=days)
    in_s = exhausted_in_s(stored, 0.01, burn)
    count = len(stored.total)
    after = (in_s or 0) // BUCKET_S or count
    for ahead in {after - 1, after} - {0}:
        rest = bad * (count - ahead) + 1000 * 0.01 * burn * ahead
        spent = rest / (1000 * count * 0.01)
        assert (spent >= 1 - 1e-9) is (in_s is not None and ahead == after) or abs(spent - 1) < 1e-9


# -- what cannot be told --------------------------------------------------------------------------------------------


def test_nothing_is_known_before_anything_was_asked() -> None:
    view = judged(buckets([], []))
    assert (view.state, codes(view), view.left, view.sli) == ("unknown", ["not_pulled"], None, None)
    assert "budget pull" in view.remedy


@pytest.mark.parametrize(("good", "total", "which"), [(1.0, NONE, "`total`"), (NONE, 5.0, "`good` or `bad`")])
def test_a_series_that_is_absent_is_named(good: float, total: float, which: str) -> None:
    view = judged(buckets([good] * 8064, [total] * 8064))
    assert (view.state, codes(view), view.left) == ("unknown", ["absent"], None)
    assert which in view.reason


def test_more_good_than_there_is_cannot_be() -> None:
    stored = steady(bad=1)
    good = stored.good.copy()
    good[-100:-97] = 1001
    view = judged(Buckets(stored.until_s, good, stored.total))
    assert (view.state, codes(view)) == ("unknown", ["good_above_total"])
    assert (view.sli, view.left, view.alerts) == (None, None, ())
    assert "in 3 buckets more is good" in view.reason


def test_more_bad_than_there_is_cannot_be_either() -> None:
    assert codes(judged(worse(steady(bad=1), 5, 1001))) == ["good_above_total"]


def test_how_floats_are_added_is_no_contradiction() -> None:
    stored = steady(bad=0, total=0.1)
    assert judged(Buckets(stored.until_s, stored.total * (1 + 1e-12), stored.total)).state == "ok"


@pytest.mark.parametrize(("known", "state"), [(0.9, "ok"), (0.8999, "unknown")])
def test_nine_tenths_of_the_window_have_to_be_known(known: float, state: str) -> None:
    view = judged(steady(bad=1, days=28 * known))
    assert view.state == state
    assert view.coverage == pytest.approx(known, abs=1e-4)
    if state == "unknown":
        assert codes(view) == ["coverage"]
        assert "retention shorter than the window? oldest sample is of " in view.reason


def test_what_is_missing_is_never_counted_as_good() -> None:
    short, whole = judged(steady(bad=9, days=3)), judged(steady(bad=9))
    assert short.state == "unknown"
    assert short.left == pytest.approx(whole.left), "no zeros, no good ones"


@pytest.mark.parametrize(("minutes", "found"), [(30, []), (35, ["stale"])])
def test_counts_that_are_old_say_nothing_of_now(minutes: int, found: list[str]) -> None:
    view = judged(steady(bad=1, until_s=NOW_S - minutes * 60))
    assert codes(view) == found
    assert view.state == ("unknown" if found else "ok")


def test_the_newest_count_is_the_newest_number() -> None:
    stored = steady(bad=1)
    total = stored.total.copy()
    total[-8:] = NONE  # asked for, and there was none
    view = judged(Buckets(stored.until_s, stored.good, total))
    assert codes(view) == ["stale"]
    assert view.as_of == NOW - timedelta(minutes=40)


def test_no_events_are_not_no_data() -> None:
    quiet = judged(steady(bad=0, total=0))
    assert (quiet.state, codes(quiet)) == ("unknown", ["no_traffic"])
    assert (quiet.coverage, quiet.sli, quiet.left, quiet.burns["1h"]) == (1.0, None, None, 0.0)
    night = worse(steady(bad=1), 60, 1)
    total = night.total.copy()
    total[-12:] = 0
    view = judged(Buckets(night.until_s, np.append(night.good[:-12], total[-12:]), total))
    assert (view.state, view.burns["1h"], view.coverage) == ("ok", 0.0, 1.0)


def test_events_of_which_nobody_knows_whether_they_were_good_may_be_what_decides() -> None:
    stored = steady(bad=1)
    good = stored.good.copy()
    good[1000:1050] = NONE  # 50,000 events; the whole budget is 80,640
    view = judged(Buckets(stored.until_s, good, stored.total))
    assert view.state == "ok"
    assert view.left_at_least == pytest.approx(1 - (8014 + 50_000) / 80_640)
    good[1000:1100] = NONE
    view = judged(Buckets(stored.until_s, good, stored.total))
    assert (view.state, codes(view)) == ("unknown", ["not_split"])
    assert view.left is not None
    assert view.left > 0


def test_several_doubts_are_all_told() -> None:
    view = judged(steady(bad=1, days=2, until_s=NOW_S - 3600))
    assert codes(view) == ["stale", "coverage"]
    assert view.reason == view.findings[0].message


def test_what_comes_from_a_clock_ahead_waits() -> None:
    ahead = steady(bad=1, until_s=NOW_S + 3600)
    assert (judged(ahead).as_of, judged(ahead).state) == (NOW, "ok")
