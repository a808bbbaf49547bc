"""Every rule: the sign that it takes, and the neighbour that it leaves alone."""

from dataclasses import replace

import pytest

from data.model import Artefact, Metric, MetricStats, RunMeta, RunRecord, Series, SummaryValue
from slo.findings import RULES, concerns, find
from tests.builders import finding, record, requests, series, threshold

HEALTHY = record(*requests(service="event", name="/event"), series("iterations"))
ARTEFACT = HEALTHY.artefacts[0]
STATS = MetricStats(100, 1200.0, 1, 40, 12.0, 11.0, 20.0, 25.0, 31.0, 100, 9.0)


def codes(run: RunRecord) -> list[tuple[str, str]]:
    return [(f.code, f.severity) for f in find(run).findings]


def artefact(**more: object) -> RunRecord:
    return replace(HEALTHY, artefacts=(replace(ARTEFACT, **more),))  # type: ignore[arg-type]  # any field of it


def with_summary(p95: float) -> RunRecord:
    metric = Metric("http_req_duration", "trend", "time", stats=STATS)
    return replace(HEALTHY, metrics=(metric,), summary=(SummaryValue("http_req_duration", "p(95)", p95),))


def test_a_healthy_run_has_no_findings_and_is_valid() -> None:
    assert find(HEALTHY).state == "valid"
    assert codes(HEALTHY) == []


def refused(n: int, code: str = "1212") -> list[Series]:
    tags = {"service": "chat", "status": "0", "error_code": code, "error": "dial: connection refused"}
    return [*requests(n, failed=True, **tags)]


def summary_alone(*values: tuple[str, str, float]) -> RunRecord:
    file = Artefact("s.json", "k6-summary-export", "0" * 64, 10)
    return replace(HEALTHY, series=(), artefacts=(file,), summary=tuple(SummaryValue(*value) for value in values))


CASES: dict[str, tuple[RunRecord, list[tuple[str, str]]]] = {
    "every request to an endpoint failed in setup": (
        record(*requests(), *requests(3, failed=True, group="::setup", name="/seed")),
        [("setup_failed", "invalid")],
    ),
    "a poll in setup that failed before it held": (
        record(
            *requests(),
            *requests(3, failed=True, group="::setup", name="/up"),
            *requests(1, group="::setup", name="/up"),
        ),
        [("setup_failed", "info")],
    ),
    "a group that a user called setup is load": (
        record(*requests(), *requests(3, failed=True, group="::setup", scenario="default")),
        [],
    ),
    "a check failed in a group of setup": (
        record(*requests(), series("checks", 2, nonzero=1, group="::setup::seed", check="seeded")),
        [("setup_failed", "invalid")],
    ),
    "setup threw (107)": (
        record(series("vus", 1), meta=RunMeta(exit_code=107)),
        [("setup_failed", "invalid"), ("no_requests", "invalid")],
    ),
    "teardown threw (107)": (record(*requests(), meta=RunMeta(exit_code=107)), [("aborted", "info")]),
    "an exit code that nobody knows": (record(*requests(), meta=RunMeta(exit_code=1)), [("aborted", "suspect")]),
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
    "an aborting threshold that held, beside one that did not": (
        record(*requests(), thresholds=(threshold("x", "rate<0.1", ok=True, abort=True),), meta=RunMeta(exit_code=99)),
        [("thresholds_crossed", "info")],
    ),
    "a summary alone: setup's check failed, and so did nearly everything": (
        summary_alone(("checks{check:seeded, group:::setup}", "fails", 1), ("http_req_failed", "rate", 0.9)),
        [("setup_failed", "invalid"), ("error_storm", "suspect")],
    ),
    "a summary alone: iterations without requests": (
        summary_alone(("iterations", "count", 120), ("data_sent", "count", 0)),
        [("no_requests", "invalid")],
    ),
    "setup took too long (100)": (record(*requests(), meta=RunMeta(exit_code=100)), [("setup_failed", "invalid")]),
    "a failed teardown is not a failed setup": (record(*requests(), *requests(1, failed=True, group="::teardown")), []),
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
    "interrupted (105)": (record(*requests(), meta=RunMeta(exit_code=105)), [("aborted", "suspect")]),
    "thresholds crossed (99) are k6's own verdict": (
        record(*requests(), meta=RunMeta(exit_code=99)),
        [("thresholds_crossed", "info")],
    ),
    "a crossed threshold, told by the summary": (
        record(*requests(), thresholds=(threshold("http_req_duration", "p(95)<1", ok=False),)),
        [("thresholds_crossed", "info")],
    ),
    "iterations that were due were dropped": (
        record(*requests(), series("iterations", 94), series("dropped_iterations", 6)),
        [("load_not_delivered", "suspect")],
    ),
    "a few iterations were dropped until all VUs were there": (
        record(*requests(), series("iterations", 96), series("dropped_iterations", 4)),
        [("load_not_delivered", "info")],
    ),
    "a summary alone: iterations were dropped": (
        summary_alone(("iterations", "count", 50), ("http_reqs", "count", 50), ("dropped_iterations", "count", 50)),
        [("load_not_delivered", "suspect")],
    ),
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
    "a threshold on tags that nothing carries": (
        record(*requests(service="venue"), thresholds=(threshold("http_reqs{service:vennue}", "count>0"),)),
        [("too_few_samples", "info")],
    ),
    "a threshold on tags in any order": (
        record(
            *requests(service="venue", name="/a"),
            thresholds=(threshold("http_reqs{name:/a, service:venue}", "count>0"),),
        ),
        [],
    ),
    "a name for each request": (
        record(*(s for i in range(30) for s in requests(1, name=f"/event/{i}"))),
        [("cardinality", "info")],
    ),
    "neither exit code nor summary": (record(*requests(), meta=RunMeta()), [("end_unknown", "info")]),
    "a cut file says so itself": (
        replace(artefact(truncated="cut"), run=replace(HEALTHY.run, meta=RunMeta())),
        [("truncated", "suspect")],
    ),
    "a threshold that aborts was crossed": (
        record(*requests(), thresholds=(threshold("http_req_failed", "rate<0.1", ok=False, abort=True),)),
        [("aborted", "suspect")],
    ),
    "exit 99 with a threshold that aborts": (
        record(*requests(), thresholds=(threshold("x", "rate<0.1", abort=True),), meta=RunMeta(exit_code=99)),
        [("aborted", "suspect")],
    ),
    "a cut file": (artefact(truncated="the gzip stream ends early", malformed_lines=1), [("truncated", "suspect")]),
    "a stray line": (artefact(lines=100_000, malformed_lines=1), [("malformed_lines", "info")]),
    "many bad lines": (artefact(malformed_lines=50, first_malformed_line=7), [("malformed_lines", "suspect")]),
    "many samples without a value": (artefact(dropped_points=50), [("malformed_lines", "suspect")]),
    "a summary of another run": (with_summary(25.1), [("summary_mismatch", "suspect")]),
    "the run's own summary": (with_summary(25.0), []),
    "a URL for each request": (artefact(collapsed_tags={"name": 51234}), [("cardinality", "info")]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rule_takes_its_sign_and_no_other(case: str) -> None:
    run, expected = CASES[case]
    assert codes(run) == expected


@pytest.mark.parametrize("case", [case for case, (_, expected) in CASES.items() if expected])
def test_a_finding_says_what_and_what_to_do(case: str) -> None:
    for found in find(CASES[case][0]).findings:
        assert found.message
        assert found.evidence
        assert found.remedy


def test_one_services_trouble_is_told_of_that_service() -> None:
    run = record(*refused(90), *requests(service="event"))
    (found,) = find(run).findings
    assert found.service == "chat"
    assert concerns(found, "chat")
    assert not concerns(found, "event")
    assert concerns(found, None), "the system as a whole has a broken part"


def test_a_truncated_file_is_not_compared_with_its_summary() -> None:
    cut = replace(with_summary(99.0), artefacts=(replace(ARTEFACT, truncated="cut"),))
    assert codes(cut) == [("truncated", "suspect")]


def test_csv_rounds_and_is_not_blamed_for_it() -> None:
    rounded = replace(with_summary(25.0000004), artefacts=(replace(ARTEFACT, kind="k6-csv"),))
    assert codes(rounded) == []


def test_the_worst_severity_decides() -> None:
    run = record(*refused(90), meta=RunMeta(exit_code=105))
    assert find(run).state == "invalid"
    assert find(replace(HEALTHY, run=replace(HEALTHY.run, meta=RunMeta(exit_code=105)))).state == "suspect"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_explains_itself(rule: object) -> None:
    assert len((rule.__doc__ or "").split()) > 10


def test_a_summary_alone_has_nothing_to_doubt() -> None:
    alone = replace(HEALTHY, series=(), artefacts=(Artefact("s.json", "k6-summary-export", "0" * 64, 10),))
    assert codes(alone) == []


def test_findings_come_worst_first() -> None:
    order = [f.severity for f in find(record(*refused(90), meta=RunMeta(exit_code=105))).findings]
    assert order == sorted(order, key=["invalid", "suspect", "info"].index)
    assert finding("info").severity == "info"
