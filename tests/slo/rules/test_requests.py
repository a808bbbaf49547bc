"""Rules over requests: the sign that each takes, and the neighbour that it leaves alone."""

from dataclasses import replace

import pytest

from tests.builders import record, requests, series
from tests.slo.rules.runs import Case, refused, summary_alone, told

CASES: dict[str, Case] = {
    "a closed port, of which k6 kept only the status": (
        record(*requests(90, failed=True, service="chat", status="0")),
        [("unreachable", "invalid")],
    ),
    "server errors that the script told k6 to expect": (
        record(*(replace(s, tags={"status": "500"}) for s in requests(90, failed=True)[::2])),
        [("error_storm", "suspect")],
    ),
    "failures that no tag tells of": (
        record(*(replace(s, tags={"name": "/x"}) for s in requests(90, failed=True))),
        [("error_storm", "suspect")],
    ),
    "a few calls without a service": (
        record(*requests(3, failed=True, status="0"), *requests(3000, service="event")),
        [],
    ),
    "a test of the script's own metrics": (record(series("iterations"), series("messages_sent")), []),
    "a summary alone: iterations without requests": (
        summary_alone(("iterations", "count", 120), ("data_sent", "count", 0)),
        [("no_requests", "invalid")],
    ),
    "nothing listens": (record(*refused(90), *requests(10, service="chat")), [("unreachable", "invalid")]),
    "a few refused connections are failures": (record(*refused(10), *requests(90, service="chat")), []),
    "time-outs were sent": (record(*refused(90, "1050"), *requests(10, service="chat")), [("error_storm", "suspect")]),
    "one cause behind most failures": (
        record(*requests(80, failed=True, service="venue"), *requests(20, service="venue")),
        [("error_storm", "suspect")],
    ),
    "failures for several reasons leave latency unmeasured": (
        record(*(s for status in ("500", "502", "503") for s in requests(30, failed=True, status=status))),
        [("error_storm", "suspect")],
    ),
    "four per cent of failures are no storm": (record(*requests(4, failed=True), *requests(96)), []),
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
    "one endpoint that fails, and a service that mostly does not": (
        record(
            *requests(20, failed=True, service="venue", name="/search"),
            *requests(80, service="venue", name="/read"),
        ),
        [("error_storm", "suspect")],
    ),
    "an endpoint that fails a few times is no storm": (
        record(*requests(5, failed=True, name="/search"), *requests(80, name="/read")),
        [],
    ),
    "checks that failed with their requests have the same cause": (
        record(*requests(90, failed=True), series("checks", nonzero=0, check="x")),
        [("error_storm", "suspect")],
    ),
    "too few requests for a median": (record(*requests(5, service="event")), [("too_few_samples", "suspect")]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rule_takes_its_sign_and_no_other(case: str) -> None:
    run, expected = CASES[case]
    assert told(run) == expected
