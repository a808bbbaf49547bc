"""Rules over the script: the sign that each takes, and the neighbour that it leaves alone."""

from dataclasses import replace

import pytest

from slo.findings import find
from tests.builders import record, requests, series, threshold
from tests.slo.rules.runs import ARTEFACT, Case, summary_alone, told

VENUE = requests(service="venue", name="/search", scenario="load")


def guarded(*thresholds: str) -> Case:
    """A run of one endpoint of venue with thresholds on these sub-metrics."""
    return record(*VENUE, thresholds=tuple(threshold(one, "p(95)<100") for one in thresholds)), []


CASES: dict[str, Case] = {
    "a test of the script's own metrics": (record(series("iterations"), series("messages_sent")), []),
    "a summary alone: iterations without requests": (
        summary_alone(("iterations", "count", 120), ("data_sent", "count", 0)),
        [("no_requests", "invalid")],
    ),
    "iterations that send nothing": (
        record(series("iterations", 500), series("http_reqs", 1, group="::setup")),
        [("no_requests", "invalid")],
    ),
    "a gRPC test sends no HTTP": (record(series("iterations"), series("grpc_req_duration")), []),
    "most checks failed": (
        record(*requests(), series("checks", 100, nonzero=20, check="has a body")),
        [("checks_failed", "suspect")],
    ),
    "one check of many never held": (
        record(*requests(), series("checks", 90, check="status is 200"), series("checks", 10, nonzero=0, check="x")),
        [("checks_failed", "info")],
    ),
    "a check that fails now and then": (record(*requests(), series("checks", nonzero=90, check="is fast")), []),
    "a summary alone: most checks failed": (
        summary_alone(("checks", "passes", 10), ("checks", "fails", 90), ("http_reqs", "count", 9)),
        [("checks_failed", "suspect")],
    ),
    "checks that failed with their requests have the same cause": (
        record(*requests(90, failed=True), series("checks", nonzero=0, check="x")),
        [("error_storm", "suspect")],
    ),
    "a threshold on tags in any order": (
        record(
            *requests(service="venue", name="/a"),
            thresholds=(threshold("http_reqs{name:/a, service:venue}", "count>0"),),
        ),
        [],
    ),
    "a protocol that k6 does not time: a check held": (
        record(series("iterations"), series("checks", check="got it")),
        [],
    ),
    "a protocol that k6 does not time: bytes came": (record(series("iterations"), series("data_received")), []),
    "no check held and no byte came": (
        record(series("iterations"), series("checks", nonzero=0, check="x"), series("data_received", nonzero=0)),
        [("no_requests", "invalid"), ("checks_failed", "suspect")],
    ),
    "a summary alone: a protocol that k6 does not time": (
        summary_alone(("iterations", "count", 120), ("checks", "passes", 120), ("checks", "fails", 0)),
        [],
    ),
    "one scenario of two that does nothing": (
        record(*requests(scenario="load"), series("iterations", 6, scenario="checkout")),
        [("no_requests", "suspect")],
    ),
    "a scenario that breaks something once": (
        record(*requests(scenario="load"), series("iterations", 1, scenario="chaos")),
        [],
    ),
    "most checks of one service failed": (
        record(
            *requests(),
            series("checks", 90, service="event", check="a"),
            series("checks", 30, nonzero=10, service="venue", check="b"),
        ),
        [("checks_failed", "suspect")],
    ),
    "half of the checks of one service failed": (
        record(
            *requests(),
            series("checks", 90, service="event", check="a"),
            series("checks", 30, nonzero=15, service="venue", check="b"),
        ),
        [],
    ),
    "a threshold on what did not happen": (
        record(*VENUE, thresholds=(threshold("http_reqs{status:500}", "count<1"),)),
        [("too_few_samples", "info")],
    ),
    "a threshold on a scenario that was not run": (
        guarded("http_req_duration{scenario:spike}")[0],
        [("too_few_samples", "info")],
    ),
    "a mistyped value": (guarded("http_req_duration{service:vennue}")[0], [("too_few_samples", "suspect")]),
    "a mistyped key": (guarded("http_req_duration{servce:venue}")[0], [("too_few_samples", "suspect")]),
    "a mistyped value beside a right one": (
        guarded("http_req_duration{scenario:load,name:/serch}")[0],
        [("too_few_samples", "suspect")],
    ),
    "what seems mistyped and has a threshold of its own": (
        guarded("http_req_duration{service:vennue}", "http_req_duration{service:venue}")[0],
        [("too_few_samples", "info")],
    ),
    "another number is another thing": (
        record(*requests(name="/v1/users"), thresholds=(threshold("http_req_duration{name:/v2/users}", "p(95)<1"),)),
        [("too_few_samples", "info")],
    ),
    "a threshold on whole URLs, which are kept without what is private in them": (
        guarded("http_req_duration{name:http://h/a?token=1}", "http_req_duration{url:http://h/b}")[0],
        [],
    ),
    "a threshold on a tag that was put together": (
        replace(
            guarded("http_req_duration{name:/a}")[0],
            artefacts=(replace(ARTEFACT, collapsed_tags={"name": 51234}),),
        ),
        [("cardinality", "info")],
    ),
    "a threshold that k6 would not take": (guarded("http_req_duration{")[0], []),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rule_takes_its_sign_and_no_other(case: str) -> None:
    run, expected = CASES[case]
    assert told(run) == expected


def test_a_mistyped_threshold_says_what_was_meant_and_whom_it_guards() -> None:
    (found,) = find(guarded("http_req_duration{service:vennue}")[0]).findings
    assert "http_req_duration{service:venue}" in found.message
    assert found.service == "venue"


def test_failed_checks_of_one_service_are_told_of_that_service() -> None:
    checks = [
        series("checks", 90, service="event"),
        series("checks", 30, nonzero=0, service="venue", check="is a page"),
    ]
    (found,) = find(record(*requests(), *checks)).findings
    assert (found.service, found.message) == ("venue", "30 of 30 checks of venue failed; never held: is a page")


def test_an_idle_scenario_is_named() -> None:
    (found,) = find(record(*requests(scenario="load"), series("iterations", 50, scenario="checkout"))).findings
    assert found.message == "scenario checkout ran 50 iterations and sent no request"
