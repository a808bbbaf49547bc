"""Rules over what a test is made of, beside earlier runs: the sign that each takes, and what it leaves alone."""

from dataclasses import replace

import pytest

from slo.findings import concerns
from slo.rules.against import find_against
from tests.slo.rules.shapes import BEFORE, CHAT, EVENT, FLOW, USUAL, Case, asking, flowing, having, told, without

MISSING = [("endpoint_missing", "suspect")]
CHANGED = [("definition_changed", "suspect")]
KNOWN = [("definition_changed", "info")]
WEAKENED = [("thresholds_weakened", "suspect")]
CHECK, GROUP, SCENARIO, TAG = (
    ("check", "status is 200"), ("group", "::browse"), ("scenario", "default"), ("tag", "load=peak"),
)  # fmt: skip
OTHER = ("check", "retried")
EXTRA = ("endpoint", "", "GET", "/extra")
P95, RATE = ("http_req_duration", "p(95)<250"), ("checks", "rate>0.9")
SUB = ("http_req_duration{name:/a}", "p(95)<100")

CASES: dict[str, Case] = {
    "an endpoint less": (without(CHAT), BEFORE, MISSING),
    "an endpoint less that the newest run before did not have": (USUAL, (USUAL, having(EXTRA)), []),
    "an endpoint less that came up now and then": (USUAL, (having(EXTRA, seldom=True),) * 3, []),
    "a check less": (without(CHECK), BEFORE, CHANGED),
    "a group less": (without(GROUP), BEFORE, CHANGED),
    "a scenario less": (without(SCENARIO), BEFORE, CHANGED),
    "a tag less": (without(TAG), BEFORE, CHANGED),
    "another tag": (
        replace(without(TAG), parts=without(TAG).parts | {("tag", "load=low")}),
        BEFORE,
        CHANGED,
    ),
    "a tag less, which all of the run has now": (replace(without(TAG), run_tags=frozenset({"load=peak"})), BEFORE, []),
    "a check that only errors bring about, and only in the newest run before": (USUAL, (having(OTHER), USUAL), []),
    "a check that both of the newest runs before had": (USUAL, (having(OTHER), having(OTHER), USUAL), CHANGED),
    "a check more": (having(OTHER), BEFORE, KNOWN),
    "a check more, now and then": (having(OTHER, seldom=True), BEFORE, []),
    "a check that an older run had as well": (having(OTHER), (USUAL, having(OTHER)), []),
    "an endpoint more": (having(("endpoint", "", "GET", "/new")), BEFORE, KNOWN),
    "another script": (replace(USUAL, script_hash="b2"), BEFORE, KNOWN),
    "another k6": (replace(USUAL, k6_version="1.2.0"), BEFORE, KNOWN),
    "a script that nobody named": (replace(USUAL, script_hash=None), BEFORE, []),
    "another tag of the whole run": (replace(USUAL, run_tags=frozenset({"region=us"})), BEFORE, KNOWN),
    "a tag of the whole run that differs from run to run": (
        replace(USUAL, run_tags=frozenset({"build=3"})),
        (replace(USUAL, run_tags=frozenset({"build=2"})), replace(USUAL, run_tags=frozenset({"build=1"}))),
        [],
    ),
    "over a quarter more load": (flowing(iterations=1251, requests=2502, busy_s=1251.0), BEFORE, CHANGED),
    "a quarter more load": (flowing(iterations=1250, requests=2500, busy_s=1250.0), BEFORE, []),
    "more load by the same users: a faster service": (flowing(iterations=1500, requests=3000), BEFORE, []),
    "a change that the runs before already had": (without(CHECK), (without(CHECK), without(CHECK), USUAL), []),
    "a threshold less": (asking(RATE), BEFORE, WEAKENED),
    "a higher upper bound": (asking(("http_req_duration", "p(95)<251"), RATE), BEFORE, WEAKENED),
    "a lower lower bound": (asking(P95, ("checks", "rate>0.89")), BEFORE, WEAKENED),
    "stricter bounds": (asking(("http_req_duration", "p(95)<249"), ("checks", "rate>0.91")), BEFORE, []),
    "the same bounds, written otherwise": (
        asking(("http_req_duration", " p(95)  <= 250.0"), ("checks", "rate >= 0.90")),
        BEFORE,
        [],
    ),
    "a bound on a higher percentile says more": (asking(("http_req_duration", "p(99)<250"), RATE), BEFORE, []),
    "a bound on the maximum says more": (asking(("http_req_duration", "max<250"), RATE), BEFORE, []),
    "a bound on a lower percentile says less": (asking(("http_req_duration", "p(90)<250"), RATE), BEFORE, WEAKENED),
    "a bound on the mean is another": (asking(("http_req_duration", "avg<250"), RATE), BEFORE, WEAKENED),
    "an equality less": (asking(P95), (asking(P95, ("checks", "rate==1")),), WEAKENED),
    "an equality kept": (asking(("checks", "rate == 1.0")), (asking(("checks", "rate===1")),), []),
    "a threshold that cannot be read": (asking(P95), (asking(P95, ("x", "median under 5")),), []),
    "a sub-metric's threshold less": (asking(P95), (asking(P95, SUB),), WEAKENED),
    "a sub-metric's tags in another order": (
        asking(("m{a:1,b:2}", "avg<1")),
        (asking(("m{b:2, a:1}", "avg<1")),),
        [],
    ),
    "a sub-metric's threshold that no summary tells of": (
        asking(P95, tells_thresholds=False),
        (asking(P95, SUB),),
        [],
    ),
    "a threshold of a metric that has no sample this time, and no summary": (
        asking(P95, tells_thresholds=False),
        (asking(P95, ("errors", "count<5"), tells_thresholds=False, defined=USUAL.defined | {"errors"}),),
        [],
    ),
    "a CSV without a summary tells no thresholds": (
        asking(tells_thresholds=False, defined=frozenset()),
        BEFORE,
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_rule_takes_its_sign_and_no_other(case: str) -> None:
    run, before, expected = CASES[case]
    assert told(run, *before) == expected


@pytest.mark.parametrize("case", [case for case, (_, _, expected) in CASES.items() if expected])
def test_a_finding_says_what_and_what_to_do(case: str) -> None:
    run, before, _ = CASES[case]
    assert all(found.message and found.evidence and found.remedy for found in find_against(run, before))


def test_a_service_that_vanished_is_told_of_that_service() -> None:
    (found,) = find_against(without(CHAT), BEFORE)
    assert found.message == "the service chat got no request any more"
    assert concerns(found, "chat")
    assert not concerns(found, "event")


def test_an_endpoint_that_vanished_is_named() -> None:
    search = ("endpoint", "event", "GET", "/event/search")
    (found,) = find_against(USUAL, (having(search), having(search)))
    assert (found.service, found.message) == ("event", "GET /event/search got no request any more")


def test_what_changed_is_told_in_words() -> None:
    renamed = replace(USUAL, parts=USUAL.parts - {GROUP} | {("group", "::look")}, script_hash="b2")
    (found,) = find_against(renamed, BEFORE)
    assert found.message.endswith("without group ::browse; with new group ::look; script a1 is now b2")


def test_a_long_list_of_changes_ends_in_how_many_more() -> None:
    checks = [("check", f"check {number}") for number in range(8)]
    (found,) = find_against(having(*checks), BEFORE)
    assert found.message.endswith("; and 3 more")


def test_more_load_of_one_scenario_is_told_of_it() -> None:
    second = replace(FLOW, scenario="checkout")
    two = replace(USUAL, flows=(second, FLOW))
    (found,) = find_against(
        replace(two, flows=(replace(second, iterations=2000, requests=4000, busy_s=2000.0), FLOW)), (two,)
    )
    assert found.message.endswith("with 20.00 iterations per second of scenario checkout instead of 10.00")


def test_no_past_has_no_endpoints_to_miss() -> None:
    assert {("event", "GET", "/event"), ("chat", "POST", "/chat")} == USUAL.endpoints
    assert EVENT in USUAL.steady
