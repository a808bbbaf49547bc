"""Rules over requests: the sign that each takes, and the neighbour that it leaves alone."""

from dataclasses import replace

import pytest

from slo.findings import find
from tests.builders import record, requests, series
from tests.slo.rules.runs import Case, during, refused, told

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
    "nothing listens": (record(*refused(95), *requests(5, service="chat")), [("unreachable", "invalid")]),
    "it comes and goes": (record(*refused(90), *requests(10, service="chat")), [("unreachable", "suspect")]),
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
    "a service that answered first, and went down": (
        record(*during(requests(40, service="event"), 0, 8), *during(refused(90, service="event"), 8.2, 20)),
        [("unreachable", "suspect")],
    ),
    "a service that answered too few times to have been there": (
        record(*during(requests(5, service="event"), 0, 2), *during(refused(90, service="event"), 2, 20)),
        [("unreachable", "invalid")],
    ),
    "a script that has no address to go to": (record(*refused(90, "1000", status="0")), [("unreachable", "invalid")]),
    "nobody is let in": (
        record(
            *requests(60, failed=True, status="401", name="/a"), *requests(40, failed=True, status="403", name="/b")
        ),
        [("error_storm", "invalid")],
    ),
    "logged in, and then let in nowhere": (
        record(*requests(20, name="/login"), *requests(80, failed=True, status="401", name="/feed")),
        [("error_storm", "invalid")],
    ),
    "a token that expired": (
        record(
            *during(requests(40, name="/feed"), 0, 9),
            *during(requests(60, failed=True, status="401", name="/feed"), 9, 20),
        ),
        [("error_storm", "invalid")],
    ),
    "let in now and then: the service may be at fault": (
        record(*requests(40, name="/feed"), *requests(60, failed=True, status="401", name="/feed")),
        [("error_storm", "suspect")],
    ),
    "refusals that the script told k6 to expect": (record(*requests(90, status="401")), []),
    "gRPC calls that succeed": (record(series("grpc_req_duration", service="event", status="0")), []),
    "gRPC calls that fail": (
        record(
            series("grpc_req_duration", 60, service="event", status="14"),
            series("grpc_req_duration", 40, service="event", status="0"),
        ),
        [("error_storm", "suspect")],
    ),
    "one gRPC call": (
        record(series("grpc_req_duration", 1, service="a", status="0")),
        [("too_few_samples", "suspect")],
    ),
    "too few requests for a median": (record(*requests(5, service="event")), [("too_few_samples", "suspect")]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rule_takes_its_sign_and_no_other(case: str) -> None:
    run, expected = CASES[case]
    assert told(run) == expected


def test_a_service_that_went_down_says_since_when() -> None:
    run = record(*during(requests(40, service="event"), 0, 8), *during(refused(90, service="event"), 8.2, 20))
    (found,) = find(run).findings
    assert "from 8.2 s on" in found.message
    assert found.service == "event"
