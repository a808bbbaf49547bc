"""Rules over the course of a test: the sign that each takes, and the neighbour that it leaves alone."""

import pytest

from data.model import RunMeta
from tests.builders import record, requests, series, threshold
from tests.slo.rules.runs import Case, during, summary_alone, told

CASES: dict[str, Case] = {
    "every request to an endpoint failed in setup": (
        record(*requests(), *requests(3, failed=True, group="::setup", name="/seed")),
        [("setup_failed", "invalid")],
    ),
    "a poll in setup that failed before it held": (
        record(
            *requests(),
            *during(requests(3, failed=True, group="::setup", name="/up"), 0, 3),
            *during(requests(1, group="::setup", name="/up"), 4, 4),
        ),
        [("setup_failed", "info")],
    ),
    "most requests to an endpoint failed in setup, and not only the first": (
        record(
            *requests(),
            *during(requests(60, failed=True, group="::setup", name="/user"), 0, 5),
            *during(requests(40, group="::setup", name="/user"), 0, 4),
        ),
        [("setup_failed", "suspect")],
    ),
    "a few requests failed in setup": (
        record(
            *requests(),
            *during(requests(4, failed=True, group="::setup", name="/user"), 0, 5),
            *during(requests(96, group="::setup", name="/user"), 0, 4),
        ),
        [("setup_failed", "info")],
    ),
    "setup cleans up where nothing is, and seeds what is there": (
        record(
            *requests(),
            *requests(1, failed=True, group="::setup", name="/user", method="DELETE", status="404"),
            *requests(1, failed=True, group="::setup", name="/user", method="POST", status="409"),
        ),
        [],
    ),
    "setup looks for what is not there": (
        record(*requests(), *requests(1, failed=True, group="::setup", name="/user", method="GET", status="404")),
        [("setup_failed", "invalid")],
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
    "an aborting threshold that held, beside one that did not": (
        record(*requests(), thresholds=(threshold("x", "rate<0.1", ok=True, abort=True),), meta=RunMeta(exit_code=99)),
        [("thresholds_crossed", "info")],
    ),
    "a summary alone: setup's check failed, and so did nearly everything": (
        summary_alone(("checks{check:seeded, group:::setup}", "fails", 1), ("http_req_failed", "rate", 0.9)),
        [("setup_failed", "invalid"), ("error_storm", "suspect")],
    ),
    "setup took too long (100)": (record(*requests(), meta=RunMeta(exit_code=100)), [("setup_failed", "invalid")]),
    "a failed teardown is not a failed setup": (record(*requests(), *requests(1, failed=True, group="::teardown")), []),
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
    "neither exit code nor summary": (record(*requests(), meta=RunMeta()), [("end_unknown", "info")]),
    "a threshold that aborts was crossed": (
        record(*requests(), thresholds=(threshold("http_req_failed", "rate<0.1", ok=False, abort=True),)),
        [("aborted", "suspect")],
    ),
    "exit 99 with a threshold that aborts": (
        record(*requests(), thresholds=(threshold("x", "rate<0.1", abort=True),), meta=RunMeta(exit_code=99)),
        [("aborted", "suspect")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_rule_takes_its_sign_and_no_other(case: str) -> None:
    run, expected = CASES[case]
    assert told(run) == expected
