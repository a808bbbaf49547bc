"""An answer as GitLab's code quality report."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reports import gitlab
from reports.answer import of_gate, of_verdict
from reports.outputs import Output, written
from slo.gate_model import CheckState
from slo.model import VerdictState
from tests.answers import ENTRY, HOSTILE, MISSED, SLO, decision, verdict
from tests.builders import result


def test_what_is_not_met_is_an_issue_in_gitlabs_words() -> None:
    whole, missed = json.loads(written(of_gate(decision("fail", MISSED, ENTRY), SLO), Output.gitlab))
    assert missed | {"fingerprint": ""} == {
        "description": "event http_req_duration p(95) < 250ms: p(95) = 399 ms, target < 250 ms",
        "check_name": "event http_req_duration p(95) < 250ms", "fingerprint": "", "severity": "blocker",
        "location": {"path": "perf/slo.yaml", "lines": {"begin": 14}},
    }  # fmt: skip
    assert (whole["severity"], whole["location"]) == ("blocker", {"path": "perf/slo.yaml", "lines": {"begin": 1}})


@pytest.mark.parametrize(
    ("state", "severity"), [("pass", None), ("warn", "minor"), ("fail", "blocker"), ("inconclusive", "critical")]
)
def test_a_gate_that_checked_nothing_is_not_clean(state: VerdictState, severity: str | None) -> None:
    found = gitlab.issues(of_gate(decision(state)))
    assert [one.severity for one in found] == ([severity] if severity else [])


def test_each_state_has_its_severity() -> None:
    states: tuple[CheckState, ...] = ("missed", "unknown", "at_risk", "waived", "met")
    checks = [replace(MISSED, key=False, state=state, name=state) for state in states]
    found = gitlab.issues(of_gate(decision("fail", *checks)))[1:]
    assert [one.severity for one in found] == ["critical", "major", "minor", "info"]


def test_a_fingerprint_stays_over_versions_and_measurements_and_is_nobody_elses() -> None:
    first = of_gate(decision("fail", MISSED))
    later = replace(MISSED, reason="p(95) = 512 ms, target < 250 ms", runs=("r2",))
    again = of_gate(decision("fail", later, id="other"), SLO)
    assert [one.fingerprint for one in gitlab.issues(first)] == [one.fingerprint for one in gitlab.issues(again)]
    others = [
        replace(first, environment="prod"),
        replace(first, phase="8"),
        of_verdict(verdict("fail", result("missed"))),
    ]
    known = [one.fingerprint for answer in (first, *others) for one in gitlab.issues(answer)]
    assert len(set(known)) == len(known)


def test_what_came_from_outside_is_text() -> None:
    check = replace(MISSED, service=HOSTILE, name=HOSTILE, reason=HOSTILE)
    found = json.loads(written(of_gate(decision("fail", check)), Output.gitlab))
    assert len(found) == 2
    assert not any(set(one["description"]) & set("\n\x00\x1b\u202e\ud800") for one in found)
