"""Rules over files: the sign that each takes, and the neighbour that it leaves alone."""

from dataclasses import replace
from uuid import NAMESPACE_URL, uuid5

import pytest

from data.model import RunMeta
from tests.builders import record, requests
from tests.slo.rules.runs import ARTEFACT, HEALTHY, Case, artefact, told, with_summary

CASES: dict[str, Case] = {
    "a name for each request": (
        record(*(s for i in range(30) for s in requests(1, name=f"/event/{i}"))),
        [("cardinality", "info")],
    ),
    "a name for each request to one endpoint of several": (
        record(*requests(300, name="/event"), *(s for i in range(30) for s in requests(1, name=f"/venue/v-{i:05d}"))),
        [("cardinality", "info")],
    ),
    "a name with a UUID for each request": (
        record(*(s for i in range(30) for s in requests(1, name=f"/event/{uuid5(NAMESPACE_URL, str(i))}/seats"))),
        [("cardinality", "info")],
    ),
    "many endpoints in versions, each called often": (
        record(*(s for i in range(30) for s in requests(9, name=f"/v{i}/event"))),
        [],
    ),
    "a cut file says so itself": (
        replace(artefact(truncated="cut"), run=replace(HEALTHY.run, meta=RunMeta())),
        [("truncated", "suspect")],
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
    assert told(run) == expected


def test_a_truncated_file_is_not_compared_with_its_summary() -> None:
    cut = replace(with_summary(99.0), artefacts=(replace(ARTEFACT, truncated="cut"),))
    assert told(cut) == [("truncated", "suspect")]


def test_csv_rounds_and_is_not_blamed_for_it() -> None:
    rounded = replace(with_summary(25.0000004), artefacts=(replace(ARTEFACT, kind="k6-csv"),))
    assert told(rounded) == []
