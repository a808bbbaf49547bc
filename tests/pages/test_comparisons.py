"""Comparisons in words and tables: the worst speaks for all, and no number is painted better than it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pages.components import comparisons, tokens
from slo.comparing import outcome
from slo.comparison import CompareView, EndpointChange
from slo.model import BaselineRef, Comparison, Finding
from tests.pages import compared
from tests.pages.compared import COMPARISONS, CREATE, ENDPOINTS, FAILED, GONE, NEW, P95, RATE, SEARCH
from tests.pages.fakes import BROKEN, HOSTILE, run_ref

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
VIEW = compared.view(run_ref("7f3a91c2", "event"), run_ref("4b118f03", "event"))
SUSPECTED = replace(P95, suspected=True, reason="+66 % against 241 ms; suspected until 2 runs of this commit show it")


def view(*rows: Comparison, findings: tuple[Finding, ...] = ()) -> CompareView:
    return replace(VIEW, comparisons=rows, outcome=outcome(rows), findings=findings)


@pytest.mark.parametrize(
    ("rows", "state"),
    [
        (COMPARISONS, "regressed"),
        ((SUSPECTED, RATE), "suspected"),
        ((FAILED, RATE), "inconclusive"),
        ((GONE, RATE), "inconclusive"),
        ((RATE,), "unchanged"),
        ((), "no_baseline"),
    ],
)
def test_the_worst_comparison_speaks_for_all(rows: tuple[Comparison, ...], state: str) -> None:
    assert comparisons.state_of(view(*rows)) == state


def test_a_run_that_cannot_be_believed_is_neither_worse_nor_unchanged() -> None:
    broken = view(GONE, findings=BROKEN.findings)
    assert comparisons.state_of(broken) == "invalid"
    assert comparisons.sentence(broken) == comparisons.UNBELIEVED
    assert comparisons.next_steps(broken)[0].startswith("Look at what setup() calls first")


def test_one_broken_service_leaves_the_others_compared() -> None:
    partly = view(GONE, RATE, findings=BROKEN.findings)
    assert comparisons.state_of(partly) == "inconclusive"
    assert comparisons.sentence(partly) == partly.sentence


def test_what_cannot_be_compared_is_counted_as_that() -> None:
    assert comparisons.tally((*COMPARISONS, RATE, SUSPECTED)) == (
        "1 regressed, 1 inconclusive, 1 not comparable, 2 unchanged, 1 suspected"
    )


@pytest.mark.parametrize(
    ("rows", "steps"),
    [
        (COMPARISONS, ["look at GET /event/search first: p95 went from 188 ms to 612 ms"]),
        ((FAILED,), ["event http_req_failed rate: 2 more of this version would show a change of 5%"]),
        ((RATE,), []),
        ((), [comparisons.WITHOUT_BASELINE]),
    ],
)
def test_every_answer_but_a_good_one_says_what_to_do_next(rows: tuple[Comparison, ...], steps: list[str]) -> None:
    assert comparisons.next_steps(view(*rows)) == steps


def test_without_an_endpoint_that_got_worse_none_is_named() -> None:
    spread_out = replace(VIEW, endpoints=(CREATE,))
    assert comparisons.next_steps(spread_out) == [
        "see below which endpoints moved most: none of them got worse for sure"
    ]


def test_an_endpoint_that_only_fails_more_is_named_by_its_failures() -> None:
    failing = replace(FAILED, state="regressed", value=0.05)
    rows = (replace(CREATE, failed=failing),)
    assert comparisons.next_steps(replace(VIEW, endpoints=rows)) == [
        "look at POST /event first: failures went from 0.90 % to 5.00 %"
    ]


@pytest.mark.parametrize(
    ("baseline", "told"),
    [
        (
            BaselineRef("rolling", ("a", "b"), NOW - timedelta(days=3), NOW - timedelta(hours=2)),
            "Rolling baseline: 2 runs, 2 h ago to 3 d ago.",
        ),
        (
            BaselineRef("pinned", ("a",), NOW - timedelta(days=3), NOW - timedelta(days=3), "release 2.4"),
            "Pinned baseline: 1 run, 3 d ago. Release 2.4.",
        ),
        (BaselineRef("named", ("a",)), "Compared as asked: 1 run."),
    ],
)
def test_a_baseline_is_told_with_its_kind_its_runs_and_its_age(baseline: BaselineRef, told: str) -> None:
    assert comparisons.baseline_sentence(baseline, NOW) == told


def test_runs_are_links_to_their_pages() -> None:
    assert comparisons.run_links(["a", "b&c"], "7A") == "[`a`](run?run=a&phase=7A) [`b&c`](run?run=b%26c&phase=7A)"


def test_a_change_is_shown_with_its_interval_both_values_and_what_could_have_been_seen() -> None:
    shown = comparisons.changes(COMPARISONS).iloc[0]
    assert shown["What"].replace("\\", "") == ":red-badge[✕ REGRESSED] **event http_req_duration p(95)**"
    assert list(shown)[1:] == ["+66 %", "+58 to +74 %", "241 ms", "399 ms", "9 %", "12.4"]


def test_a_share_changes_in_points() -> None:
    shown = comparisons.changes([FAILED]).iloc[0]
    assert list(shown[["Change", "95 % interval", "Detectable from"]]) == [
        "+0.2 points",
        "−0.4 to +0.9 points",
        "0.8 points",
    ]


def test_what_is_inconclusive_says_what_would_settle_it() -> None:
    told = comparisons.changes([FAILED])["What"][0].replace("\\", "")
    assert told.endswith(":small[2 more of this version would show a change of 5%]")


def test_what_cannot_be_compared_says_why_and_shows_no_number() -> None:
    shown = comparisons.changes([GONE]).iloc[0]
    assert shown["What"].endswith(":small[this run has no such measurement]")
    assert set(shown[1:]) == {"–"}


def test_a_regression_that_waits_for_another_run_is_suspected() -> None:
    told = comparisons.changes([SUSPECTED])["What"][0].replace("\\", "")
    assert told.startswith(":orange-badge[! SUSPECTED]")
    assert "suspected until 2 runs of this commit show it" in told


def test_nothing_has_no_minus() -> None:
    assert comparisons.changes([RATE])["Change"][0] == "0 %"
    assert str(comparisons.endpoints([CREATE])["p95 change"][0]) == "0.0"


def test_more_of_what_should_be_much_is_not_painted_as_worse() -> None:
    more = replace(RATE, state="improved", change=0.57, higher_is_worse=False)
    assert ":blue-badge[✓ IMPROVED]" in comparisons.changes([more])["What"][0]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_others_are_only_text(name: str) -> None:
    row = replace(FAILED, service=name, sli=name, settle=name)
    told = comparisons.changes([row])["What"][0]
    assert not any(sign in told.replace(f"\\{sign}", "") for sign in "<$")
    assert told.replace("\\", "").replace("\N{WORD JOINER}", "").count(name) == 3


def test_percentiles_of_one_service_stand_in_their_order() -> None:
    rows = comparisons.percentiles(VIEW.percentiles, "event")
    assert [comparisons.percentile_of(row) for row in rows] == ["p10", "p25", "p50", "p75", "p90", "p95", "p99"]


def test_only_percentiles_with_a_change_are_drawn() -> None:
    rows = [replace(P95, stat="avg"), replace(P95, change=None), replace(P95, stat="med"), replace(P95, stat="p(99.9)")]
    assert [comparisons.percentile_of(row) for row in comparisons.percentiles(rows, "event")] == ["p50", "p99.9"]


def test_the_service_that_changed_worst_is_shown_first() -> None:
    assert comparisons.services(VIEW) == ["event", "auth"]


def test_the_numbers_behind_the_figures_are_those_they_are_drawn_from() -> None:
    rows = comparisons.percentiles(VIEW.percentiles, "event")
    assert list(comparisons.shift(rows)["Change"]) == [0, 1, 2, 30, 50, 66, 40]
    assert comparisons.shift(rows)["State"][6] == "✕ REGRESSED"
    shape = compared.distribution()
    assert list(comparisons.distribution(shape)["Now"]) == list(shape.now_ms)


def test_endpoints_keep_the_order_they_come_in_and_show_both_sides() -> None:
    frame = comparisons.endpoints(ENDPOINTS)
    assert list(frame["Endpoint"]) == ["GET /event/near", "GET /event/search", "POST /event"]
    search = frame.iloc[1]
    assert list(search[["p95 before", "p95 now", "p95 change", "× usual spread"]]) == [188.0, 612.4, 226.0, 31.0]
    assert search["State"] == ["✕ REGRESSED"]
    assert frame["Requests before"].isna()[0], "what was not called is missing, not 0"


@pytest.mark.parametrize(
    ("row", "state"), [(NEW, "not_comparable"), (SEARCH, "regressed"), (replace(CREATE, failed=FAILED), "inconclusive")]
)
def test_an_endpoint_is_as_bad_as_the_worse_of_its_numbers(row: EndpointChange, state: str) -> None:
    assert comparisons.endpoints([row])["State"][0] == [tokens.label(state)]


def test_every_column_of_endpoints_that_is_configured_is_there() -> None:
    assert comparisons.endpoints_config(ENDPOINTS, "dark").keys() <= set(comparisons.endpoints(ENDPOINTS).columns)
