"""OpenSLO v1 as promql objectives."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest
from hypothesis import given
from hypothesis import strategies as some

from data.errors import BadInput, UnreadableArtefact
from slo.config import Config, parse_config, read_text
from slo.neighbours.draft import Imported
from slo.neighbours.openslo import import_openslo
from slo.source import InvalidConfig, Source
from slo.tree import MAX_BYTES

FILES = Path(__file__).parent / "openslo"

PROMETHEUS = "{{metricSource: {{type: Prometheus, spec: {{query: {0}}}}}}}"
RATIO = f"{{ratioMetric: {{good: {PROMETHEUS.format('good')}, total: {PROMETHEUS.format('total')}}}}}"
THRESHOLD = f"{{thresholdMetric: {PROMETHEUS.format('latency')}}}"


def imported(*texts: str, service: str | None = None) -> Imported:
    return import_openslo([Source(f"{n}.yaml", text) for n, text in enumerate(texts)], service=service)


def slo(objective: str = "{target: 0.99}", sli: str = RATIO, method: str = "Occurrences", more: str = "") -> str:
    return f"""\
apiVersion: openslo/v1
kind: SLO
metadata: {{name: checkout}}
spec:
  service: shop
  indicator: {{metadata: {{name: inline}}, spec: {sli}}}
  budgetingMethod: {method}
  objectives: [{objective}]
{indent(more, "  ")}
"""


def config(found: Imported) -> Config:
    return parse_config(found.text)


def asked(found: Imported) -> list[tuple[str | None, str | None, str]]:
    return [(one.service, one.promql, one.asks.text) for one in config(found).phases[0].objectives]


def test_files_that_refer_to_each_other_become_one_phase() -> None:
    files = [Source(path.name, read_text(path)) for path in sorted(FILES.glob("*.yaml"))]
    found = import_openslo(files, phase="8")
    assert config(found).phases[0].id == "8"
    assert sorted(config(found).services) == ["annotator", "login", "web", "wifi"]
    unhappy = "poller_client_unhappy_ratio[5m]))"
    web = 'http_requests{k8s_cluster="prod",component="web"'
    assert asked(found) == [
        ("web", f'(sum({web},code=~"2xx|4xx"}})) / (sum({web}}}))', "p(0.5) >= 95%"),
        ("wifi", f"1 - (sum(sum_over_time({unhappy}\n/\nsum(count_over_time({unhappy})", "avg >= 99%"),
        ("annotator", 'sum(min_over_time(kafka_consumergroup_lag{consumergroup="annotator"}[2m]))', "p(99.9) <= 500"),
        (
            "login",
            '1 - (sum(increase(logins_total{code="500"}[1h])) # bad\n) / (sum(increase(logins_total[1h])))',
            "last >= 99.5%",
        ),
    ]
    for told in (
        "SLO `login` (SLA): left out, because whoever meets SLO `login` (Internal) meets it",
        "SLO `search`: left out, because its source is `Datadog`",
        "slos.yaml line 65: left out, because it is not OpenSLO",
        "SLO `web-availability`: its queries count since each process started",
        "SLO `wifi`: `{{.window}}` in its queries became `5m`",
        "SLO `annotator`, AlertPolicy `lagging`: alerts are not taken over",
        "SLO `web-availability`, SLO `wifi`, SLO `annotator`, SLO `login`: its time window is none of its objective",
    ):
        assert any(note.startswith(told) for note in found.notes), told
    assert sum("OpenSLO knows no run, phase or baseline" in note for note in found.notes) == 1
    assert "kept-out" not in found.text + "".join(found.notes)


@pytest.mark.parametrize(
    ("objective", "method", "target"),
    [
        ("{target: 0.999}", "Occurrences", "last >= 99.9%"),
        ("{targetPercent: 99.95}", "Occurrences", "last >= 99.95%"),
        ("{target: 0}", "Occurrences", "last >= 0%"),
        ("{target: 0.99, timeSliceTarget: 0.95, timeSliceWindow: 1m}", "Timeslices", "p(1) >= 95%"),
        ("{target: 0.9995, timeSliceTarget: 1}", "Timeslices", "p(0.05) >= 100%"),
        ("{target: 0.99, timeSliceWindow: 1m}", "RatioTimeslices", "avg >= 99%"),
    ],
)
def test_a_share_of_good_events_is_asked_by_the_budgeting_method(objective: str, method: str, target: str) -> None:
    assert asked(imported(slo(objective, method=method))) == [("shop", "(good) / (total)", target)]


@pytest.mark.parametrize(
    ("objective", "target"),
    [
        ("{op: lte, value: 0.5, target: 0.99}", "p(99) <= 0.5"),
        ("{op: lt, value: 1e2, targetPercent: 99.9}", "p(99.9) < 100"),
        ("{op: gte, value: 1000, target: 0.85}", "p(15) >= 1000"),
        ("{op: gt, value: 0, target: 0.999}", "p(0.1) > 0"),
    ],
)
def test_a_share_of_good_values_is_a_percentile(objective: str, target: str) -> None:
    assert asked(imported(slo(objective, THRESHOLD))) == [("shop", "latency", target)]


@pytest.mark.parametrize(
    ("ratio", "promql"),
    [
        (f"{{bad: {PROMETHEUS.format('a')}, total: {PROMETHEUS.format('b')}}}", "1 - (a) / (b)"),
        (f"{{rawType: success, raw: {PROMETHEUS.format('a')}}}", "a"),
        (f"{{rawType: failure, raw: {PROMETHEUS.format('a + b')}}}", "1 - (a + b)"),
        ("{rawType: success, raw: {metricSource: {type: Amazon-Prometheus, spec: {promql: a}}}}", "a"),
    ],
)
def test_every_ratio_becomes_the_share_that_is_good(ratio: str, promql: str) -> None:
    assert asked(imported(slo(sli=f"{{ratioMetric: {ratio}}}"))) == [("shop", promql, "last >= 99%")]


def test_an_objective_may_have_an_indicator_and_a_weight_of_its_own() -> None:
    text = slo(f"{{target: 0.9, indicator: {{spec: {THRESHOLD}}}, op: lt, value: 2, compositeWeight: 3}}")
    (one,) = config(imported(text)).phases[0].objectives
    assert (one.promql, one.target.text, one.weight) == ("latency", "p(90) < 2", 3)


def test_several_objectives_on_one_indicator_are_one_with_all_that_they_ask() -> None:
    both = "{op: lt, value: 2, target: 0.5}, {op: gt, value: 1, target: 0.5, compositeWeight: 3}"
    found = imported(slo(both, THRESHOLD))
    (one,) = config(found).phases[0].objectives
    assert (one.asks.text, one.weight) == ("p(50) < 2 and > 1", 3)
    assert any(note.startswith("SLO `checkout`: became one objective") for note in found.notes)


def test_an_objective_that_is_left_out_leaves_its_weight() -> None:
    both = "{target: 0.99, compositeWeight: 2}, {target: 0.9, compositeWeight: 5}"
    found = imported(slo(both))
    (one,) = config(found).phases[0].objectives
    assert (one.asks.text, one.weight) == ("last >= 99%", 5)
    assert any("left out, because whoever meets" in note for note in found.notes)


def test_an_slo_without_a_service_is_of_the_one_that_is_named() -> None:
    text = slo().replace("  service: shop\n", "").replace("  budgetingMethod: Occurrences\n", "")
    assert asked(imported(text, service="shop"))[0][0] == "shop"
    found = imported(text)
    assert asked(found)[0][0] is None
    assert any("names no service" in note for note in found.notes)
    assert any("taken for Occurrences" in note for note in found.notes)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{type: Redshift, spec: {query: SELECT 1}}", "its source is `Redshift`"),
        ("{metricSourceRef: nowhere, spec: {query: a}}", "no file has its data source `nowhere`"),
        ("{spec: {query: a}}", "its metricSource has no type"),
        ("{type: Prometheus, spec: {metric: a}}", "its metricSource has no `query`"),
        ("{type: Prometheus}", "its metricSource has no `query`"),
    ],
)
def test_what_prometheus_cannot_answer_is_a_note_and_alone_an_error(source: str, why: str) -> None:
    other = slo("{op: lt, value: 1, target: 0.9}", f"{{thresholdMetric: {{metricSource: {source}}}}}")
    other = other.replace("name: checkout", "name: other")
    found = imported(slo(), other)
    assert len(asked(found)) == 1
    assert any(note.startswith("SLO `other`: left out") and why in note for note in found.notes)
    with pytest.raises(UnreadableArtefact, match=r"no SLO that slo\.yaml can say") as caught:
        imported(other)
    assert why in str(caught.value)


def test_a_number_below_zero_never_becomes_a_change() -> None:
    try:
        found = imported(slo("{op: gt, value: -5, target: 0.9}", THRESHOLD))
    except UnreadableArtefact:
        return
    assert [one.target.threshold for one in config(found).phases[0].objectives] == [-5]
    assert "> -5" not in found.text


ROLLING = "timeWindow: [{duration: 4w, isRolling: true}]"


def ratio(good: str, total: str = "sum(rate(http_requests_total[{{.window}}]))", part: str = "good") -> str:
    told = {key: PROMETHEUS.format(f"'{query}'") for key, query in ((part, good), ("total", total))}
    return f"{{ratioMetric: {{counter: true, {part}: {told[part]}, total: {told['total']}}}}}"


def test_a_share_of_events_over_a_rolling_window_is_a_budget_besides() -> None:
    good = 'sum(rate(http_requests_total{code!~"5.."}[{{.window}}]))'
    found = imported(slo("{target: 0.995}", ratio(good), more=ROLLING))
    (one,) = config(found).budgets
    assert (one.name, one.service, one.objective, one.window_s) == ("checkout", "shop", 0.995, 28 * 86_400)
    assert one.query.good == 'sum(rate(http_requests_total{code!~"5.."}[$window]))'
    assert (one.query.bad, one.query.total) == (None, "sum(rate(http_requests_total[$window]))")
    assert asked(found)[0][2] == "last >= 99.5%", "the objective stays"
    assert any("its address is made up" in note for note in found.notes)
    assert list(config(found).prometheus) == ["main"]


@pytest.mark.parametrize(
    ("query", "became"),
    [
        ("sum(increase(errors[1h]))", "sum(increase(errors[$window]))"),
        ("errors", "sum(increase(errors[$window]))"),
        ('sum(errors{a="b"})', 'sum(increase(errors{a="b"}[$window]))'),
    ],
)
def test_a_query_of_a_budget_counts_over_its_buckets(query: str, became: str) -> None:
    (one,) = config(imported(slo(sli=ratio(query, part="bad"), more=ROLLING))).budgets
    assert (one.query.bad, one.query.good) == (became, None)


def test_several_objectives_are_several_budgets() -> None:
    both = "{target: 0.99}, {displayName: Internal, target: 0.995}"
    found = imported(slo(both, ratio("sum(increase(a[1h]))"), more=ROLLING))
    assert [(one.name, one.objective) for one in config(found).budgets] == [
        ("checkout 0.99", 0.99),
        ("checkout Internal", 0.995),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (slo(sli=ratio("errors")), "it has no time window"),
        (slo(sli=ratio("errors"), more="timeWindow: [{duration: 28d}]"), "does not roll"),
        (slo(sli=ratio("errors"), more=ROLLING.replace("4w", "1Q")), "of 1Q is not one of whole days"),
        (slo(sli=ratio("errors"), more=ROLLING.replace("4w", "36h")), "of 36h is not one of whole days"),
        (slo("{target: 0}", ratio("errors"), more=ROLLING), "a target of 0 is always met"),
        (slo(sli=ratio("rate(a[5m]) + rate(b[1h])"), more=ROLLING), "over which time `good` counts"),
        (slo(sli=ratio("a + b"), more=ROLLING), "over which time `good` counts"),
        (slo(sli=ratio("avg_over_time(a[5m])"), more=ROLLING), "over which time `good` counts"),
        (slo("{target: 0.9, timeSliceWindow: 1m}", ratio("a"), "RatioTimeslices", ROLLING), "counts time slices"),
        (slo(sli=f"{{ratioMetric: {{rawType: success, raw: {PROMETHEUS.format('a')}}}}}", more=ROLLING), "`raw` share"),
    ],
)
def test_what_is_no_budget_is_told_and_stays_an_objective(text: str, why: str) -> None:
    found = imported(text)
    assert config(found).budgets == ()
    assert "prometheus" not in found.text.replace("Prometheus", "")
    assert any("has no budget in `budgets`" in note and why in note for note in found.notes), found.notes
    assert len(asked(found)) == 1


ALIASES = "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30))])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("- [", "this is not YAML"),
        ("\t- a", "tabs"),
        ("a: \0", "this is not YAML"),
        (ALIASES, "the anchor `&a0` is not supported"),
        ("[" * 100, "nested deeper than 20 levels"),
        ("x: !!python/object:os.system {}", "the tag"),
        ("#" * (MAX_BYTES + 1), "larger than 256 KiB"),
        ("5", "an object of OpenSLO should be keys with values"),
        ("apiVersion: openslo/v1", "an object of OpenSLO needs the key `kind`"),
        ("kind: SLO", "an object of OpenSLO needs the key `apiVersion`"),
        ("{apiVersion: openslo/v1alpha, kind: SLO}", "`openslo/v1alpha` is not read"),
        ("{apiVersion: openslo/v1, kind: Slo}", "OpenSLO has no kind `Slo`"),
        ("{apiVersion: openslo/v1, kind: SLO}", "the metadata of this SLO needs the key `name`"),
        ("{apiVersion: openslo/v1, kind: SLO, metadata: [], spec: {}}", "`metadata` should be keys with values"),
        ("{apiVersion: openslo/v1, kind: SLO, metadata: {name: a}}", "the SLO `a` has no objectives"),
        (slo() + "---\n" + slo(), "the SLO `checkout` is already in 0.yaml, line 1"),
        (slo(method="Timeslice"), "the SLO `checkout` has the unknown budgetingMethod `Timeslice`"),
        (slo(""), "the SLO `checkout` has no objectives"),
        (slo("5"), "an objective of the SLO `checkout` should be keys with values"),
        (slo("{}"), "needs `target` or `targetPercent`, one of them"),
        (slo("{target: 0.9, targetPercent: 90}"), "needs `target` or `targetPercent`, one of them"),
        (slo("{target: 99.9}"), "`target` of an objective of the SLO `checkout` is not from 0 to below 1"),
        (slo("{targetPercent: 100}"), "is not from 0 to below 100"),
        (slo("{target: .nan}"), "is not finite"),
        (slo("{target: 1e999}"), "is not finite"),
        (slo("{target: most}"), "`target` should be a number, not text"),
        (slo("{target: 0.9}", method="Timeslices"), "needs `timeSliceTarget`"),
        (slo("{target: 0.9, compositeWeight: -1}"), "is not above 0"),
        (slo("{target: 0.9}", THRESHOLD), "an objective of the SLO `checkout` needs the key `op`"),
        (slo("{target: 0.9, op: less, value: 1}", THRESHOLD), "has the unknown op `less`"),
        (slo("{target: 0.9, op: lt}", THRESHOLD), "needs the key `value`"),
        (slo(sli="{}"), "needs `thresholdMetric` or `ratioMetric`, one of them"),
        (slo(sli="{ratioMetric: {good: {}}}"), "needs `total` with `good` or `bad`, or `raw`"),
        (slo(sli="{ratioMetric: {good: {}, total: {}}}"), "needs the key `metricSource`"),
        (slo(sli=f"{{ratioMetric: {{raw: {PROMETHEUS.format('a')}}}}}"), "needs the key `rawType`"),
        (slo(sli=f"{{ratioMetric: {{rawType: so, raw: {PROMETHEUS.format('a')}}}}}"), "has the unknown rawType `so`"),
        (slo(more="indicatorRef: a"), "needs `indicator` or `indicatorRef`, one of them"),
        (slo().replace("indicator: {", "indicatorRef: no #"), "refers to the SLI `no`, which no file has"),
    ],
)  # fmt: skip
def test_what_is_not_openslo_is_an_error_at_its_place(text: str, what: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        imported(text)
    assert what in caught.value.message
    assert caught.value.message.startswith("0.yaml:")


@pytest.mark.parametrize("text", ["", "---\n---\n", "[]", "{apiVersion: v1, kind: Pod}"])
def test_files_without_an_slo_are_an_error(text: str) -> None:
    with pytest.raises(UnreadableArtefact, match=r"0\.yaml: there is no SLO"):
        imported(text)


words = some.sampled_from(
    [
        *"{}[]:,-\n ",
        "  ",
        "openslo/v1",
        "SLO",
        "spec",
        "target",
        "0.99",
        "objectives",
        "ratioMetric",
        "good",
        "&a",
        "*a",
        "!",
    ]
)


@given(some.lists(words, max_size=12), some.integers(0, 400))
def test_whatever_stands_in_a_file_it_is_imported_or_refused(inserted: list[str], at: int) -> None:
    text = slo()
    try:
        found = imported(text[:at] + "".join(inserted) + text[at:])
    except BadInput as error:
        assert str(error)  # noqa: PT017  # either outcome is right; no other exception is
    else:
        assert asked(found)
