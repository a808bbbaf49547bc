"""What a gate and a verdict answer, in the shape that all outputs are written from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.answer import Place, of_gate, of_verdict
from slo.gate_model import GateCheck
from slo.model import Comparison, Measurement
from tests.answers import ENTRY, MISSED, SLO, WAIVER, decision, verdict
from tests.builders import finding, result


def test_an_objective_is_at_its_place_in_the_slo_yaml_that_it_was_judged_by() -> None:
    missed, entry = of_gate(decision("fail", MISSED, ENTRY), SLO).checks
    assert (missed.name, missed.place) == ("http_req_duration p(95) < 250ms", Place("perf/slo.yaml", 14, 9))
    assert (entry.name, entry.place) == ("`seeded_users >= 10000`", None)
    for other in (None, replace(SLO, digest="another")):
        assert of_gate(decision("fail", MISSED), other).checks[0].place is None


@pytest.mark.parametrize(
    ("source", "file"),
    [("slo.yaml", "slo.yaml"), ("./perf/slo.yaml", "perf/slo.yaml"), ("/srv/store/slo.yaml", "slo.yaml")],
)
def test_a_file_is_named_as_a_repository_knows_it(source: str, file: str) -> None:
    answer = of_verdict(verdict("fail", result("missed", service="shop")), replace(SLO, source=source))
    assert answer.place == Place(file)
    assert answer.checks[0].place == Place(file, 15, 9)


def test_checks_with_the_same_name_are_told_apart() -> None:
    twice = [replace(MISSED, kind="measurement", about="error_storm", target="", runs=(run,)) for run in ("r1", "r2")]
    assert [check.name for check in of_gate(decision("fail", *twice)).checks] == ["error_storm", "error_storm (2)"]


def test_a_check_of_a_run_is_not_named_by_its_id() -> None:
    old = GateCheck("age", "run 7f3a91c20b44", "unknown", "is from yesterday", "event", runs=("7f3a91c20b44",))
    assert [check.name for check in of_gate(decision("inconclusive", old)).checks] == ["age of the run"]


def test_what_a_verdict_cannot_believe_is_not_known() -> None:
    objectives = [result("met"), result("missed", sli="checks"), result("missed", sli="http_req_failed", proven=True)]
    doubted = Measurement("invalid", (finding("invalid", "error_storm", "event"), finding("info", "end_unknown")))
    worse = Comparison("event", "http_reqs", "rate", "/s", "regressed", "−20 %")
    answer = of_verdict(verdict("fail", *objectives, measurement=doubted, comparisons=(worse,)))
    assert [(check.name, check.state) for check in answer.checks] == [
        ("http_req_failed p(95) < 250ms", "missed"),
        ("error_storm", "unknown"),
        ("http_req_duration p(95) < 250ms", "unknown"),
        ("checks p(95) < 250ms", "unknown"),
        ("http_reqs rate beside the baseline", "at_risk"),
    ]
    assert answer.exit_code == 1


def test_what_is_waived_at_gates_is_told_and_missed_all_the_same() -> None:
    missed = [result("missed", service=service) for service in ("shop", "event")]
    shop, event = of_verdict(verdict("fail", *missed, waivers=(WAIVER,))).checks
    assert shop.reason == (
        "as it is; http_req_duration of shop is waived at gates until 2026-11-27 by kim: fixed in <b>2.15</b>"
    )
    assert (shop.state, event.reason) == ("missed", "as it is")
    (met,) = of_verdict(verdict("pass", result("met", service="shop"), waivers=(WAIVER,))).checks
    assert met.reason == "as it is"
