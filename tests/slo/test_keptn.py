"""Keptn v1 taken over: its published examples and its evaluator's own tests, scored by the phase they become.

Expected scores and results are those that Keptn's tests state, or are worked out by hand from its specification and
evaluator (keptn/spec, service_level_objective.md; keptn/keptn, lighthouse-service/event_handler).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from typer.testing import CliRunner

from cli import app
from data.errors import UnreadableArtefact
from slo.config import parse_config
from slo.neighbours.draft import Imported
from slo.neighbours.keptn import import_keptn
from slo.neighbours.keptn_check import Evaluation, KeptnCheck, aggregated, check_import, read_evaluations
from slo.neighbours.keptn_slo import Aggregate, Bound
from slo.plan import Objective, ScoreRule
from slo.source import ExpressionError, InvalidConfig, Source
from tests.project import ROOT

FOLDER = ROOT / "tests/slo/keptn"
Values = Mapping[str, float | None]

DECISIONS = {"pass": "pass", "warning": "warn", "fail": "fail"}


def example(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text()


def slo(*objectives: str, comparison: str = "", total: str = '{pass: "90%", warning: "75%"}') -> str:
    """A slo.yaml of Keptn with these objectives as YAML flow maps, the first on line 3."""
    lines = [f"comparison: {comparison or '{compare_with: single_result}'}", "objectives:"]
    return "\n".join([*lines, *(f"- {one}" for one in objectives), f"total_score: {total}", ""])


def asks(*criteria: str, sli: str = "x", more: str = "") -> str:
    """An objective that passes where all criteria hold."""
    return f"{{sli: {sli}, pass: [{{criteria: {json.dumps(criteria)}}}]{', ' * bool(more)}{more}}}"


def warns(passing: str, warning: str, more: str = "", sli: str = "x") -> str:
    """An objective with a criterion for each."""
    return asks(passing, sli=sli, more=f"warning: [{{criteria: [{json.dumps(warning)}]}}]" + ", " * bool(more) + more)


def check(text: str, values: Values, *previous: Values | Evaluation, service: str | None = None) -> KeptnCheck:
    before = [one if isinstance(one, Evaluation) else Evaluation(one) for one in previous]
    return check_import(Source("slo.yaml", text), Evaluation(values), before, service)


@dataclass(frozen=True)
class Case:
    """Values, newest previous ones first, and what Keptn says; ``ours`` where that is another decision."""

    text: str
    values: Values
    score: float
    result: str
    previous: Sequence[Values] = ()
    ours: str = field(default="")

    @property
    def decision(self) -> str:
        return self.ours or DECISIONS[self.result]


SPEC, CARTS, LIGHTHOUSE = example("spec"), example("carts"), example("lighthouse")
PERFTEST, QUICKSTART, EVALUATOR = example("perftest"), example("quickstart"), example("evaluator")
SEVERAL = "{{compare_with: several_results, number_of_comparison_results: {}, aggregate_function: {}}}"
P95 = "response_time_p95"
LAST = {
    P95: 520, "throughput": 21_000, "error_rate": 1.0, "response_time_p90": 400, "rt_test_invoke": 100,
    "rt_test_echo": 100, "rt_test_version": 100, "rt_test_homepage": 100, "svcalls_test_invoke": 9,
    "svcalls_test_echo": 9, "svcalls_test_version": 9, "svcalls_test_homepage": 9,
}  # fmt: skip
"""13 by weight: error_rate counts 2, response_time_p50 is only shown."""
FAST = {
    "http_response_time_seconds_main_page_sum": 0.3,
    "request_throughput": 40,
    "go_routines": 60,
    "failing_request": 2,
}
KEY = slo(asks("<=15", sli="a"), warns("<=15", "<=20", "key_sli: true", sli="b"))
WEIGHTS = slo(asks("<10", sli="a", more="weight: 8"), asks("<10", sli="b"), asks("<10", sli="c"))
AND_OR = slo('{sli: x, pass: [{criteria: ["<=+10%", "<600"]}, {criteria: ["<100"]}]}')

CASES = {
    # keptn/spec: `<=+10%` and `<600` pass, `<=800` warns; several results, three of them, their mean.
    "spec: within 10 % of the mean of three": Case(SPEC, {P95: 549}, 100, "pass", [{P95: 490}, {P95: 500}, {P95: 510}]),
    "spec: exactly 10 % more": Case(SPEC, {P95: 550}, 100, "pass", [{P95: 500}] * 3),
    "spec: more than 10 %, below 800": Case(SPEC, {P95: 551}, 50, "fail", [{P95: 500}] * 3),
    "spec: within 10 %, but not below 600": Case(SPEC, {P95: 600}, 50, "fail", [{P95: 590}] * 3),
    "spec: above all": Case(SPEC, {P95: 801}, 0, "fail", [{P95: 800}] * 3),
    "spec: a fourth result does not count": Case(SPEC, {P95: 551}, 50, "fail", [*[{P95: 500}] * 3, {P95: 900}]),
    "spec: nothing before": Case(SPEC, {P95: 550}, 100, "pass", ours="inconclusive"),
    "spec: nothing before, not below 600": Case(SPEC, {P95: 650}, 50, "fail"),
    "spec: nothing before, above all": Case(SPEC, {P95: 900}, 0, "fail"),
    # Keptn's tutorial: the last result alone.
    "carts: as before": Case(CARTS, {P95: 450}, 100, "pass", [{P95: 440}, {P95: 100}]),
    "carts: slower than the last": Case(CARTS, {P95: 500}, 50, "fail", [{P95: 440}]),
    "carts: the first evaluation": Case(CARTS, {P95: 450}, 100, "pass", ours="inconclusive"),
    # lighthouse-service/examples: 1 + 2 by weight, and no error allowed.
    "lighthouse: no error": Case(
        LIGHTHOUSE, {"request_latency_p95": 300, "error_rate": 0}, 100, "pass", [{"request_latency_p95": 290}]
    ),
    "lighthouse: any error": Case(
        LIGHTHOUSE, {"request_latency_p95": 300, "error_rate": 0.01}, 100 / 3, "fail", [{"request_latency_p95": 290}]
    ),
    "lighthouse: slower, a warning": Case(
        LIGHTHOUSE, {"request_latency_p95": 400, "error_rate": 0}, 250 / 3, "warning", [{"request_latency_p95": 290}]
    ),
    "lighthouse: passes above its warning": Case(
        LIGHTHOUSE, {"request_latency_p95": 990, "error_rate": 0}, 100, "pass", [{"request_latency_p95": 950}]
    ),
    # simplenodeservice: `<=1%` of error_rate is one per cent more than before, not one per cent.
    "perftest: as before": Case(PERFTEST, LAST, 100, "pass", [LAST]),
    "perftest: 1.5 % more errors": Case(PERFTEST, LAST | {"error_rate": 1.015}, 1200 / 13, "pass", [LAST]),
    "perftest: 3 % more errors": Case(PERFTEST, LAST | {"error_rate": 1.03}, 1100 / 13, "warning", [LAST]),
    "perftest: and too little load": Case(
        PERFTEST, LAST | {"error_rate": 1.03, "throughput": 20_000}, 1000 / 13, "warning", [LAST]
    ),
    "perftest: and one slower": Case(
        PERFTEST, LAST | {"error_rate": 1.03, "throughput": 1, "rt_test_echo": 111}, 900 / 13, "fail", [LAST]
    ),
    # quickstart: a warning that is stricter than its pass never comes.
    "quickstart: a pass though no warning": Case(QUICKSTART, FAST, 100, "pass", [FAST]),
    "quickstart: a fifth of the load": Case(QUICKSTART, FAST | {"request_throughput": 8}, 100, "pass", [FAST]),
    "quickstart: less than that": Case(QUICKSTART, FAST | {"request_throughput": 7.9}, 75, "warning", [FAST]),
    "quickstart: the key SLI": Case(QUICKSTART, FAST | {"go_routines": 91}, 75, "fail", [FAST]),
    # evaluate_sli_handler_test.go.
    "evaluator: simple comparison": Case(EVALUATOR, {"my-test-metric-1": 10}, 100, "pass", [{"my-test-metric-1": 10}]),
    "evaluator: expect warning": Case(EVALUATOR, {"my-test-metric-1": 16}, 50, "fail", [{"my-test-metric-1": 10}]),
    "evaluator: a logging SLI does not count": Case(
        EVALUATOR, {"my-test-metric-1": 10, "my-log-metric": 30}, 100, "pass", [{"my-test-metric-1": 10}]
    ),
    "evaluator: either of both alternatives": Case(
        EVALUATOR, {"my-test-metric-1": 21}, 100, "pass", [{"my-test-metric-1": 20}]
    ),
    "evaluator: either warns": Case(EVALUATOR, {"my-test-metric-1": 23}, 50, "fail", [{"my-test-metric-1": 20}]),
    "evaluator: neither": Case(EVALUATOR, {"my-test-metric-1": 24}, 0, "fail", [{"my-test-metric-1": 20}]),
    "evaluator: bug 1125": Case(slo(asks("<=+20%", "<500")), {"x": 1011.07}, 0, "fail"),
    "evaluator: bug 1263, the last one could not be got": Case(
        slo(asks("<=+20%")), {"x": 100}, 100, "pass", [{"x": None}], ours="inconclusive"
    ),
    "evaluator: 11.01 is more than 10 % more than 10": Case(slo(asks("<=+10%")), {"x": 11.01}, 0, "fail", [{"x": 10}]),
    "evaluator: not less than the same": Case(slo(asks("<+0%")), {"x": 10}, 0, "fail", [{"x": 10}]),
    "evaluator: not more than the same": Case(slo(asks(">+0%")), {"x": 10}, 0, "fail", [{"x": 10}]),
    "evaluator: one more exactly": Case(slo(asks("=+1")), {"x": 11}, 100, "pass", [{"x": 10}]),
    "evaluator: one less exactly": Case(slo(asks("=-1")), {"x": 9}, 100, "pass", [{"x": 10}]),
    "evaluator: a key SLI failed": Case(KEY, {"a": 10, "b": 21}, 50, "fail"),
    # Traps.
    "a bare percentage is relative": Case(slo(asks("<=10%")), {"x": 11}, 100, "pass", [{"x": 10}]),
    "a bare percentage is no share": Case(slo(asks("<=10%")), {"x": 9}, 0, "fail", [{"x": 8}]),
    "a bare >= is 10 % more, too": Case(slo(asks(">=10%")), {"x": 10.9}, 0, "fail", [{"x": 10}]),
    "a minus": Case(slo(asks(">=-10%")), {"x": 9}, 100, "pass", [{"x": 10}]),
    "less than a minus": Case(slo(asks(">=-10%")), {"x": 8.9}, 0, "fail", [{"x": 10}]),
    "an offset up": Case(slo(asks("<=+5")), {"x": 15}, 100, "pass", [{"x": 10}]),
    "an offset down": Case(slo(asks("<-5")), {"x": 5}, 0, "fail", [{"x": 10}]),
    "blanks": Case(slo(asks("  <= + 10 %")), {"x": 11}, 100, "pass", [{"x": 10}]),
    "equal to nothing": Case(slo(asks("=0")), {"x": 0}, 100, "pass"),
    "an offset of a share is in points": Case(
        slo(asks("<=+2", sli="error_rate")), {"error_rate": 7}, 100, "pass", [{"error_rate": 5}]
    ),
    "a percentage of a share is of it": Case(
        slo(asks("<=+10%", sli="error_rate")), {"error_rate": 5.6}, 0, "fail", [{"error_rate": 5}]
    ),
    "seconds": Case(
        slo(asks("<=0.4", sli="response_time_seconds_p95")), {"response_time_seconds_p95": 0.4}, 100, "pass"
    ),
    "and": Case(AND_OR, {"x": 605}, 0, "fail", [{"x": 600}]),
    "or": Case(AND_OR, {"x": 99}, 100, "pass", [{"x": 10}]),
    "or, with nothing before": Case(AND_OR, {"x": 99}, 100, "pass"),
    "a warning on a key SLI does not fail": Case(KEY, {"a": 10, "b": 16}, 75, "warning"),
    "weights": Case(WEIGHTS, {"a": 1, "b": 1, "c": 99}, 90, "pass"),
    "weights, the heavy one": Case(WEIGHTS, {"a": 99, "b": 1, "c": 1}, 20, "fail"),
    "a missing value counts 0": Case(WEIGHTS, {"a": 1, "b": 1}, 90, "pass"),
    "a missing value that decides": Case(WEIGHTS, {"b": 1, "c": 1}, 20, "fail", ours="inconclusive"),
    "all values missing": Case(WEIGHTS, {}, 0, "fail", ours="inconclusive"),
    "a key SLI that nobody sent has not failed": Case(
        slo(asks("<9", sli="a", more="weight: 9"), asks("<9", sli="b", more="key_sli: true")),
        {"a": 1},
        90,
        "pass",
        ours="inconclusive",
    ),
    "a key SLI that could not be got has": Case(
        slo(asks("<9", sli="a", more="weight: 9"), asks("<9", sli="b", more="key_sli: true")),
        {"a": 1, "b": None},
        90,
        "fail",
        ours="inconclusive",
    ),
    "a total score without %": Case(slo(asks("<9"), total="{pass: 50, warning: 25}"), {"x": 1}, 100, "pass"),
    "no warning in the total score": Case(slo(warns("<9", "<20"), total='{pass: "90%"}'), {"x": 10}, 50, "fail"),
    "a warning in the total score": Case(
        slo(warns("<9", "<20"), total='{pass: "90%", warning: 50}'), {"x": 10}, 50, "warning"
    ),
    "a weight of 0 is 1": Case(
        slo(asks("<9", sli="a", more="weight: 0"), asks("<9", sli="b")), {"a": 1, "b": 10}, 50, "fail"
    ),
    "two of five by mean": Case(
        slo(asks("<=+0"), comparison=SEVERAL.format(2, "avg")),
        {"x": 15},
        100,
        "pass",
        [{"x": n} for n in (10, 20, 0, 0, 0)],
    ),
    "several results are three where nothing is said": Case(
        slo(asks("<=+0"), comparison="{compare_with: several_results}"),
        {"x": 20},
        100,
        "pass",
        [{"x": n} for n in (10, 20, 30, 0, 0)],
    ),
    "without a comparison it is the last one": Case(
        slo(asks("<=+0")).replace("comparison: {compare_with: single_result}\n", ""),
        {"x": 11},
        0,
        "fail",
        [{"x": 10}, {"x": 90}],
    ),
    "with an empty comparison it is three": Case(
        slo(asks("<=+0"), comparison="{aggregate_function: avg}"),
        {"x": 20},
        100,
        "pass",
        [{"x": n} for n in (10, 20, 30)],
    ),
    "the median of results": Case(
        slo(asks("<=+0"), comparison=SEVERAL.format(3, "p50")), {"x": 11}, 0, "fail", [{"x": n} for n in (10, 1, 90)]
    ),
    "the p90 of results": Case(
        slo(asks("<=+0"), comparison=SEVERAL.format(3, "p90")), {"x": 90}, 100, "pass", [{"x": n} for n in (10, 1, 90)]
    ),
    "the p95 of results": Case(
        slo(asks("<=+0"), comparison=SEVERAL.format(20, "p95")),
        {"x": 19.96},
        0,
        "fail",
        [{"x": n} for n in range(1, 21)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_imported_phase_says_what_keptn_says_or_that_it_cannot_be_told(name: str) -> None:
    case = CASES[name]
    found = check(case.text, case.values, *case.previous)
    assert found.keptn_score == pytest.approx(case.score)
    assert (found.keptn, found.decision) == (case.result, case.decision)
    if found.decision != "inconclusive":
        assert found.score <= found.keptn_score
    if {one.state for one in found.slis} <= {"met", "at_risk", "missed"}:
        assert found.score == pytest.approx(case.score), "where all is known there is one score"


def test_there_are_enough_cases_and_every_example_is_among_them() -> None:
    assert len(CASES) >= 35
    used = {case.text for case in CASES.values()}
    assert {path.stem for path in FOLDER.glob("*.yaml") if path.read_text() not in used} == {"quickstart-sli"}


@pytest.mark.parametrize(
    ("include", "target"), [("all", 20.0), ("pass", 40.0), ("pass_or_warn", 30.0), ("PASS", 40.0), ("other", 20.0)]
)
def test_only_results_of_the_kind_that_was_asked_for_are_compared_with(include: str, target: float) -> None:
    comparison = (
        f"{{compare_with: several_results, number_of_comparison_results: 3, include_result_with_score: {include}}}"
    )
    before = [Evaluation({"x": value}, result) for value, result in
              ((0, "fail"), (20, "warning"), (40, "pass"), (None, "pass"))]  # fmt: skip
    (found,) = check(slo(asks("<=+0"), comparison=comparison), {"x": 1}, *before).slis
    assert found.baseline == target


@pytest.mark.parametrize(
    ("values", "by", "expected"),
    [
        (range(11), "p50", 5.0), (range(11), "p90", 9.8), (range(11), "p95", 10.0), (range(11), "avg", 5.0),
        ([7], "p95", 7.0), ([3, 1], "p50", 2.0), ([5, 10], "p50", 7.5),
    ],
)  # fmt: skip
def test_percentiles_of_results_are_keptns(values: Sequence[float], by: Aggregate, expected: float) -> None:
    assert aggregated([*values], by) == pytest.approx(expected)
    assert aggregated([], by) is None


def imported(text: str, service: str | None = None, queries: str = "") -> Imported:
    return import_keptn(Source("slo.yaml", text), "K", service, Source("sli.yaml", queries) if queries else None)


def objectives(found: Imported) -> tuple[Objective, ...]:
    return parse_config(found.text).phase("K").objectives


def test_an_import_is_a_phase_with_a_score_and_notes() -> None:
    found = imported(PERFTEST, "carts")
    config = parse_config(found.text)
    assert (list(config.services), config.phase("K").score) == (["carts"], ScoreRule(90, 75))
    p95, throughput, errors, p90, *rest = objectives(found)
    assert (p95.asks.text, p95.warned.text if p95.warned else "") == ("p(95) <= 800ms", "p(95) <= +10% and < 600ms")
    assert (throughput.target.text, str(throughput.sli)) == ("rate > 20000/s", "http_reqs")
    assert (errors.target.text, errors.weight, errors.warn and errors.warn.text) == ("rate <= +2%", 2, "rate <= +1%")
    assert (p90.target.text, p90.warn) == ("p(90) <= +10%", None)
    assert [str(one.sli) for one in rest] == [
        f"{kind}_test_{name}" for kind in ("rt", "svcalls") for name in ("invoke", "echo", "version", "homepage")
    ]
    for told in (
        "`error_rate`: taken for `http_req_failed`, its numbers for per cent",
        "`error_rate`: `<=1%` is relative in Keptn, as all percentages are: written as `<=+1%` of what was before",
        "`response_time_p90`: its warning never comes, since whatever meets it passes, and is left out",
        "`response_time_p50`: it has no `pass`, so Keptn only shows it, and it is not asked here",
        '`rt_test_echo`: k6 has no such metric: record it in the script, `new Gauge("rt_test_echo")`',
    ):
        assert told in found.notes
    assert any("Keptn takes every relative criterion for fulfilled; here the first run" in note for note in found.notes)
    assert any("the last result that passed; here it is the mean of the last ten runs" in note for note in found.notes)


def test_a_pass_that_does_not_imply_the_warning_is_enough_for_the_target() -> None:
    (latency, _) = objectives(imported(LIGHTHOUSE))
    assert latency.asks.text == "p(95) <= 800ms or (<= +10% and < 1000ms)"
    assert latency.warned
    assert latency.warned.text == "p(95) <= +10% and < 1000ms"


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("response_time_p50", "http_req_duration p(50) < 5ms"),
        ("response_time_p999", "http_req_duration p(99.9) < 5ms"),
        ("p99_latency", "http_req_duration p(99) < 5ms"),
        ("request_latency_p95", "http_req_duration p(95) < 5ms"),
        ("response-time-median", "http_req_duration med < 5ms"),
        ("response_time", "http_req_duration avg < 5ms"),
        ("response_time_s_p95", "http_req_duration p(95) < 5s"),
        ("error_rate", "http_req_failed rate < 5%"),
        ("failure_rate", "http_req_failed rate < 5%"),
        ("http_requests_failed_rate", "http_req_failed rate < 5%"),
        ("request_error_ratio", "http_req_failed rate < 500%"),
        ("throughput", "http_reqs rate < 5/s"),
        ("requests_per_second", "http_reqs rate < 5/s"),
        ("request_count", "http_reqs count < 5"),
        ("http_req_waiting_p95", "http_req_waiting p(95) < 5ms"),
        ("vus", "vus value < 5"),
        ("checks", "checks rate < 5%"),
        ("cpu.usage-percent", "cpu_usage_percent value < 5"),
        ("5xx", "_5xx value < 5"),
    ],
)
def test_an_sli_is_known_by_how_it_is_commonly_called(name: str, asked: str) -> None:
    text = slo(asks("<5", sli=name))
    if asked.endswith("500%"):
        text, asked = text.replace("<5", "<0.05"), asked.replace("500%", "5%")
    (found,) = objectives(imported(text))
    assert f"{found.sli} {found.asks.text}".replace("5.00%", "5%") == asked


@pytest.mark.parametrize(
    ("name", "criterion"), [("error_rate", "<101"), ("error_rate", "<+101"), ("error_ratio", "<2")]
)
def test_what_cannot_be_a_share_is_a_metric_of_its_own(name: str, criterion: str) -> None:
    (found,) = objectives(imported(slo(asks(criterion, sli=name))))
    assert (str(found.sli), found.target.text) == (name, f"value {criterion[0]} {criterion[1:]}")


def test_two_names_for_the_same_are_two_objectives() -> None:
    first, second = objectives(imported(slo(asks("<5", sli="latency_p95"), asks("<9", sli="response_time_p95"))))
    assert (str(first.sli), str(second.sli)) == ("http_req_duration", "response_time_p95")


def test_queries_that_are_promql_are_asked_of_prometheus() -> None:
    found = imported(QUICKSTART, "carts", example("quickstart-sli"))
    page, throughput, routines, failing = objectives(found)
    assert page.promql == (
        'sum(rate(http_server_request_duration_seconds_sum{route="/",job="carts-$label_project-$environment"}[$window]))'
    )
    assert (page.target.text, routines.target.text) == ("last <= 0.4", "last <= 90")
    assert (failing.promql or "").startswith("promhttp_metric_handler_requests_total{")
    assert (str(throughput.sli), throughput.promql) == ("http_reqs", None)
    notes = "\n".join(found.notes)
    assert "runs say --label project=... at their upload" in notes
    assert "`request_throughput`: its query is not PromQL and not taken over; taken for `http_reqs`" in notes
    assert "until then promql objectives have no data" in notes


def test_a_query_that_cannot_be_filled_safely_is_not_taken_over() -> None:
    found = imported(slo(asks("<5")), queries="indicators:\n  x: 'up_$STAGE'\n")
    assert objectives(found)[0].promql is None
    assert "its query is not taken over ($environment stands outside of a string" in "\n".join(found.notes)


def test_filters_are_filled_into_queries() -> None:
    queries = "indicators:\n  x: 'up{id=\"$svc_id\"}'\n"
    text = "filter: {svc_id: a1}\n" + slo(asks("<5"))
    assert objectives(imported(text, queries=queries))[0].promql == 'up{id="a1"}'


def test_three_results_or_more_make_the_baseline() -> None:
    assert parse_config(imported(SPEC).text).baseline.runs == 3
    assert parse_config(imported(EVALUATOR).text).baseline.runs == 10, "two would not tell how far runs lie apart"


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "empty-file", 1),
        ("[]", "wrong-type", 1),
        ("version: 1\nphases: []", "missing-key", 1),
        ("apiVersion: metrics.keptn.sh/v1\nkind: AnalysisDefinition\nspec: {}", "not-keptn-v1", 1),
        (slo(), "no-objectives", 3),
        (slo("{sli: x}", "{sli: y, pass: []}"), "no-objectives", 3),
        (slo(asks("<5")).replace("total_score", "total"), "missing-key", 3),
        (slo(asks("<5"), total="{warning: 75}"), "missing-key", 4),
        (slo(asks("<5"), total='{pass: "most"}'), "bad-score", 4),
        (slo(asks("<5"), total='{pass: "0%"}'), "bad-score", 4),
        (slo(asks("<5"), total='{pass: "90%", warning: 0}'), "bad-score", 4),
        (slo(asks("<5ms")), "bad-criterion", 3),
        (slo(asks("5")), "bad-criterion", 3),
        (slo(asks("==5")), "bad-criterion", 3),
        (slo(asks("<=±5%")), "bad-criterion", 3),
        (slo(asks()), "no-criteria", 3),
        (slo("{sli: x, pass: [{criteria: '<5'}]}"), "wrong-type", 3),
        (slo("{pass: []}"), "missing-key", 3),
        (slo(asks("<5", more="weight: -1")), "bad-weight", 3),
        (slo(asks("<5"), asks("<6")), "duplicate-objective", 4),
        (slo(asks("<5"), comparison="{aggregate_function: p99}"), "bad-value", 1),
        ("a: &x 1\nb: *x", "alias", 1),
    ],
)
def test_what_keptn_would_overlook_is_an_error_at_its_place(text: str, code: str, line: int) -> None:
    with pytest.raises(InvalidConfig) as caught:
        imported(text)
    problem = caught.value.problems[0]
    assert (problem.code, problem.line) == (code, line)
    assert problem.help or code == "wrong-type"


def test_an_sli_yaml_that_is_none_is_an_error() -> None:
    with pytest.raises(InvalidConfig, match=r"no sli\.yaml of Keptn"):
        imported(SPEC, queries="objectives: []")


@given(some.one_of(some.text(max_size=12), some.from_regex(r"[<>=]{1,2} ?[+-]?[0-9.]{0,6}%?", fullmatch=True)))
def test_any_text_is_a_criterion_or_no_criterion(text: str) -> None:
    read = _bound_or_code(text)
    assert read == "bad-criterion" if isinstance(read, str) else Bound.parse(read.text) == read


def _bound_or_code(text: str) -> Bound | str:
    try:
        return Bound.parse(text)
    except ExpressionError as error:
        return error.code


@given(some.floats(0, 2000), some.floats(0.1, 2000), some.sampled_from([SPEC, CARTS, EVALUATOR, AND_OR, KEY]))
def test_where_all_is_known_both_say_the_same(now: float, before: float, text: str) -> None:
    names = (P95, "my-test-metric-1", "x", "a", "b")
    found = check(text, dict.fromkeys(names, now), dict.fromkeys(names, before))
    assert DECISIONS[found.keptn] == found.decision
    assert found.score == found.keptn_score


@pytest.mark.parametrize(
    "text",
    ["", "1", '{"x": "1"}', '{"x": true}', "[1]", '{"x": NaN}', '{"values": {"x": 1}, "result": "ok"}', "[" * 9999],
)
def test_values_are_an_object_of_numbers(text: str) -> None:
    with pytest.raises(UnreadableArtefact):
        read_evaluations(text.encode(), "values.json")


def test_values_may_come_with_their_result() -> None:
    read = read_evaluations(b'[{"x": 1}, {"values": {"x": null}, "result": "warning"}]', "p.json")
    assert read == [Evaluation({"x": 1}), Evaluation({"x": None}, "warning")]


def run(*words: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["slo", "import", *map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_the_command_writes_a_file_once_and_says_its_notes(tmp_path: Path) -> None:
    out = tmp_path / "slo.yaml"
    code, _, notes = run("--keptn", FOLDER / "carts.yaml", "--phase", "carts", "--service", "carts", "--out", out)
    assert code == 0
    assert "note: `response_time_p95`: taken for" in notes
    assert parse_config(out.read_text()).phase("carts").objectives[0].service == "carts"
    with pytest.raises(Exception, match="is there already"):
        run("--keptn", FOLDER / "carts.yaml", "--out", out)


def test_the_command_says_what_keptn_says_of_values(tmp_path: Path) -> None:
    now, before = tmp_path / "now.json", tmp_path / "before.json"
    now.write_text('{"response_time_p95": 500}')
    before.write_text('[{"response_time_p95": 440}]')
    _, alone, _ = run("--keptn", FOLDER / "carts.yaml", "--values", now)
    assert "Keptn      pass, score 100 of 100" in alone
    assert "Phasegate  inconclusive, score 0 to 100 of 100" in alone
    _, beside, _ = run("--keptn", FOLDER / "carts.yaml", "--values", now, "--previous", before)
    assert "Keptn      fail, score 50 of 100" in beside
    assert "Phasegate  fail, score 50 of 100" in beside


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "one source can be imported"),
        (["--sli", FOLDER / "quickstart-sli.yaml"], "are for Keptn's slo.yaml"),
        (["--keptn", FOLDER / "carts.yaml", "--previous", FOLDER / "carts.yaml"], "held against --values"),
    ],
)
def test_options_go_together(options: Sequence[str | Path], message: str) -> None:
    with pytest.raises(Exception, match=message):
        run(*options)
