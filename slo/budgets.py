"""Error budgets of shares over rolling windows: how much is left, how fast it burns, and whether that can be believed.

Pure: buckets of counts in, values out. What is missing is left out of every sum, is never counted as good, and too much
of it makes a budget unknown. Formulas: the Site Reliability Workbook, chapter 5; docs/budgets.md has them in full.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from data.budgets import BUCKET_S, Buckets
from slo import numbers
from slo.budget_model import BudgetFinding, BudgetPoint, BudgetView, BurnAlert

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from slo.budget_model import AlertSeverity, Budget

WINDOWS_S = {"5m": 300, "30m": 1_800, "1h": 3_600, "2h": 7_200, "6h": 21_600, "1d": 86_400, "3d": 259_200}
RULES: tuple[tuple[AlertSeverity, float, str, str], ...] = (
    ("page", 0.02, "1h", "5m"),
    ("page", 0.05, "6h", "30m"),
    ("ticket", 0.10, "1d", "2h"),
    ("ticket", 0.10, "3d", "6h"),
)
"""The workbook's alerts: the share of the budget that is spent in the long window, and the short window."""

PRESENT = "1h"
"""The window whose burn is taken for that of the present."""
MOST_POINTS = 500
LEAST_COVERAGE = 0.9
STALE_AFTER = timedelta(minutes=30)
_ROUNDING = 1e-6
"""So much more good events than events, as a share, is only how floats are added."""

_SERVED = "see that the source still has the series, and ask again: `phasegate budget pull`"


@dataclass(frozen=True)
class Tally:
    """Events in some buckets: ``good`` of ``total``, in the ``known`` of them; ``unsplit`` where only the total is."""

    good: float
    total: float
    unsplit: float
    known: int

    @property
    def bad(self) -> float:
        """Events that were not good."""
        return self.total - self.good


def window_of(buckets: Buckets, until_s: int, window_s: int) -> Buckets:
    """The buckets that end in the ``window_s`` seconds up to a time."""
    first, last = np.searchsorted(buckets.until_s, [until_s - window_s, until_s], side="right")
    return Buckets(buckets.until_s[first:last], buckets.good[first:last], buckets.total[first:last])


def tally(buckets: Buckets) -> Tally:
    """The sum of what is known."""
    known = _known(buckets)
    unsplit = np.isnan(buckets.good) & ~np.isnan(buckets.total)
    return Tally(
        float(buckets.good[known].sum()), float(buckets.total[known].sum()), float(buckets.total[unsplit].sum()),
        int(np.count_nonzero(known)),
    )  # fmt: skip


def sli(counted: Tally) -> float | None:
    """The share of events that were good; ``None`` without events."""
    return counted.good / counted.total if counted.total > 0 else None


def budget_left(counted: Tally, allowed: float) -> float | None:
    """The share of the budget that is left, 1 - (1 - SLI) / (1 - objective); ``None`` without events."""
    return 1 - counted.bad / (counted.total * allowed) if counted.total > 0 else None


def burn_rate(counted: Tally, allowed: float) -> float | None:
    """How many times as fast as it just lasts the budget burns, (bad / total) / (1 - objective).

    0 without events, as then nothing burns; ``None`` where nothing is known.
    """
    if not counted.known:
        return None
    return counted.bad / (counted.total * allowed) if counted.total > 0 else 0.0


def burn_rates(buckets: Buckets, budget: Budget, until_s: int) -> dict[str, float | None]:
    """The burn over each window, up to a time; ``None`` for those longer than the budget's."""
    return {
        name: burn_rate(tally(window_of(buckets, until_s, long_s)), budget.allowed)
        if long_s <= budget.window_s
        else None
        for name, long_s in WINDOWS_S.items()
    }


def burn_factor(share: float, window_s: float, long_s: float) -> float:
    """The burn that spends ``share`` of the budget of ``window_s`` within ``long_s``, as Sloth's getBurnRateFactor."""
    return share * window_s / long_s


def alerts(burns: Mapping[str, float | None], window_s: int) -> tuple[BurnAlert, ...]:
    """The workbook's rules for a budget of ``window_s``, as far as their windows fit into it: both must exceed."""
    found = []
    for severity, share, long, short in RULES:
        if WINDOWS_S[long] > window_s:
            continue
        factor = burn_factor(share, window_s, WINDOWS_S[long])
        both = burns[long], burns[short]
        fires = all(one is not None and one > factor for one in both)
        found.append(BurnAlert(severity, long, short, share, factor, *both, fires))
    return tuple(found)


def exhausted_in_s(buckets: Buckets, allowed: float, burn: float) -> int | None:
    """After how many seconds nothing is left at a steady burn and the window's own mean of events.

    What rolls out of the window meanwhile is taken off. ``None``: not within another window, or it is exhausted.
    """
    counted = tally(buckets)
    left = budget_left(counted, allowed)
    if left is None or left <= 0 or burn <= 0:
        return None
    known = _known(buckets)
    total = np.where(known, buckets.total, 0.0)
    bad = np.where(known, buckets.total - buckets.good, 0.0)
    ahead = np.arange(1, len(total) + 1)
    mean = counted.total / counted.known
    totals = counted.total - total.cumsum() + mean * ahead
    spent = counted.bad - bad.cumsum() + mean * ahead * burn * allowed
    over = np.flatnonzero(spent >= totals * allowed * (1 - 1e-12))
    return int(ahead[over[0]]) * BUCKET_S if len(over) else None


def over_time(buckets: Buckets, allowed: float) -> tuple[BudgetPoint, ...]:
    """What was left of the window's budget after each of at most ``MOST_POINTS`` parts of it; the last is what is left.

    The budget is that of all events of the window, so it falls with every bad one, from 1. A part of which nothing is
    known has no number.
    """
    counted = tally(buckets)
    if not counted.total > 0:
        return ()
    size = -(-len(buckets.until_s) // MOST_POINTS)
    ends = np.unique(np.append(np.arange(size - 1, len(buckets.until_s), size), len(buckets.until_s) - 1))
    known = _known(buckets)
    spent = np.where(known, buckets.total - buckets.good, 0.0).cumsum() / (counted.total * allowed)
    seen = np.diff(np.append(0, known.cumsum()[ends])) > 0
    times = buckets.until_s[ends].tolist()
    left = (1 - spent[ends]).tolist()
    return tuple(
        BudgetPoint(_at(until_s), value if there else None)
        for until_s, value, there in zip(times, left, seen.tolist(), strict=True)
    )


def judge_budget(budget: Budget, stored: Buckets, now: datetime) -> BudgetView:
    """How a budget stands by what is stored: worst first unknown, exhausted, burning, ok."""
    known = _known(stored)
    ends = stored.until_s[known & (stored.until_s <= now.timestamp())]
    view = BudgetView(
        budget.name, budget.service, budget.query.source, budget.objective, budget.window_s, "unknown", ""
    )
    if not len(ends):
        return _unknown(view, [_nothing(stored)])
    until_s = int(ends[-1])
    own = _whole(window_of(stored, until_s, budget.window_s), until_s, budget.window_s)
    counted = tally(own)
    burns = burn_rates(stored, budget, until_s)
    left = budget_left(counted, budget.allowed)
    worst = replace(counted, total=counted.total + counted.unsplit)
    view = replace(
        view,
        sli=sli(counted), left=left, left_at_least=budget_left(worst, budget.allowed), good=counted.good,
        total=counted.total, burns=burns, alerts=alerts(burns, budget.window_s),
        coverage=counted.known / len(own.until_s), as_of=_at(until_s),
        oldest=_at(int(own.until_s[_known(own)][0]) - BUCKET_S), over_time=over_time(own, budget.allowed),
    )  # fmt: skip
    if impossible := _impossible(own):
        nothing = replace(view, sli=None, left=None, left_at_least=None, burns={}, alerts=(), over_time=())
        return _unknown(nothing, [impossible])
    if doubts := [*_doubts(view, counted, now)]:
        return _unknown(view, doubts)
    in_s = exhausted_in_s(own, budget.allowed, burns[PRESENT] or 0.0)
    view = replace(view, exhausted_at=_at(until_s + in_s) if in_s else None)
    return _told(view)


def _known(buckets: Buckets) -> NDArray[np.bool_]:
    return ~np.isnan(buckets.good + buckets.total)


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _whole(buckets: Buckets, until_s: int, window_s: int) -> Buckets:
    """Every bucket of the window, with those that are not stored."""
    count = window_s // BUCKET_S
    every = until_s - np.arange(count - 1, -1, -1, dtype=np.int64) * BUCKET_S
    place = (buckets.until_s - every[0]) // BUCKET_S
    good, total = np.full(count, np.nan), np.full(count, np.nan)
    good[place], total[place] = buckets.good, buckets.total
    return Buckets(every, good, total)


def _nothing(stored: Buckets) -> BudgetFinding:
    if not len(stored.until_s):
        return BudgetFinding("not_pulled", "nothing was asked of its source yet", "ask: `phasegate budget pull`")
    if np.all(np.isnan(stored.total)):
        return BudgetFinding(
            "absent", "its `total` gives no series, in the whole window",
            "see that the query is right and that the service is scraped",
        )  # fmt: skip
    return BudgetFinding(
        "absent", "its `good` or `bad` gives no series where `total` has one",
        "see that the query is right; of what never happened there is no series, so add `or 0 * TOTAL` to `bad`",
    )  # fmt: skip


def _impossible(own: Buckets) -> BudgetFinding | None:
    more = (own.good > own.total * (1 + _ROUNDING) + _ROUNDING) | (own.good < -_ROUNDING) | (own.total < 0)
    if not (found := int(np.count_nonzero(more))):
        return None
    first = _at(int(own.until_s[more][0]))
    return BudgetFinding(
        "good_above_total",
        f"in {numbers.things(found, 'bucket')} more is good, or bad, than there is in all, which cannot be; "
        f"the first is of {numbers.timestamp(first)}",
        "let `good` (or `bad`) select from the same series as `total`",
    )


def _doubts(view: BudgetView, counted: Tally, now: datetime) -> Iterator[BudgetFinding]:
    window = numbers.lapse(timedelta(seconds=view.window_s))
    if view.as_of and now - view.as_of > STALE_AFTER:
        yield BudgetFinding(
            "stale", f"the newest count is of {numbers.timestamp(view.as_of)}, {numbers.ago(view.as_of, now)}", _SERVED
        )
    if view.coverage < LEAST_COVERAGE:
        yield BudgetFinding(
            "coverage",
            f"{numbers.ratio(view.coverage)} of the last {window} is known, asked: {numbers.ratio(LEAST_COVERAGE, 0)}; "
            f"retention shorter than the window? oldest sample is of {numbers.timestamp(view.oldest)}",
            "keep samples for longer, or ask for a shorter `window`",
        )
    if view.sli is None:
        yield BudgetFinding(
            "no_traffic", f"there was no event in the last {window}", "see that `total` counts what is asked for"
        )
    elif view.left is not None and view.left_at_least is not None and view.left > 0 >= view.left_at_least:
        yield BudgetFinding(
            "not_split",
            f"of {counted.unsplit:,.0f} events it is not known whether they were good; "
            "were they bad, the budget would be exhausted",
            "see why `good` or `bad` has no series then",
        )


def _unknown(view: BudgetView, findings: list[BudgetFinding]) -> BudgetView:
    return replace(view, reason=findings[0].message, remedy=findings[0].remedy, findings=tuple(findings))


def _told(view: BudgetView) -> BudgetView:
    """A budget that can be told, in its state, with the reason."""
    left, window = view.left or 0.0, numbers.lapse(timedelta(seconds=view.window_s))
    share, asked = numbers.distinct(view.sli, view.objective, "ratio")
    told = f"{share} good of {view.total:,.0f} in {window}, asked: {asked}"
    if left <= 0:
        reason = f"{told}; {numbers.ratio(1 - left, 0)} of the budget is spent"
        return replace(view, state="exhausted", reason=reason, remedy="release nothing that is not a repair")
    told += f"; {numbers.ratio(left, 1)} of the budget is left"
    if not (firing := [one for one in view.alerts if one.fires]):
        return replace(view, state="ok", reason=told)
    one = firing[0]
    ends = f"; used up by {numbers.timestamp(view.exhausted_at)}" if view.exhausted_at else ""
    reason = f"burn rate {one.long_burn:.3g} over {one.long} and {one.short_burn:.3g} over {one.short}, "
    reason += f"above {one.factor:.3g} ({one.severity}){ends}; {told}"
    return replace(view, state="burning", reason=reason, remedy="find what fails now before anything is released")
