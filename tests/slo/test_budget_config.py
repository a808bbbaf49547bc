"""How budgets are written in slo.yaml, and what is wrong with one at its place."""

from __future__ import annotations

import pytest

from data.budgets import RatioQuery
from slo.budget_model import Budget
from slo.config import Config, parse_config
from slo.source import InvalidConfig

BEFORE = """\
version: 1
services: {event: , chat: }
prometheus:
  main: {url: "http://prometheus:9090", labels: {cluster: eu}}
"""
BUDGET = """\
budgets:
  - name: event availability
    service: event
    objective: 99.5%
    window: 28d
    good: 'sum(increase(http_requests_total{service="$service",code!~"5.."}[$window]))'
    total: 'sum(increase(http_requests_total{service="$service"}[$window]))'
"""
AFTER = """\
phases:
  - id: beta
    objectives: [{service: event, sli: http_req_failed, target: "rate < 1%"}]
"""


def read(budgets: str = BUDGET, before: str = BEFORE, after: str = AFTER) -> Config:
    return parse_config(before + budgets + after)


def test_a_budget_is_read_with_its_names_filled_in() -> None:
    assert read().budgets == (
        Budget(
            "event availability",
            0.995,
            28 * 86_400,
            RatioQuery(
                "main",
                total='sum(increase(http_requests_total{service="event"}[$window]))',
                good='sum(increase(http_requests_total{service="event",code!~"5.."}[$window]))',
            ),
            "event",
        ),
    )


def test_bad_events_may_be_counted_in_place_of_good_ones_and_targets_found_by_select() -> None:
    counts = 'bad: "e[$window]", total: "t{$select}[$window]"'
    text = f"budgets: [{{name: a, service: event, objective: 99%, window: 7d, {counts}}}]\n"
    (one,) = read(text).budgets
    assert (one.query.good, one.query.bad, one.query.total) == (None, "e[$window]", 't{service="event"}[$window]')


def test_labels_of_the_source_and_the_step_have_values_too() -> None:
    text = BUDGET.replace('{service="$service"}[$window]', '{cluster="$cluster"}[$window:$step]')
    assert read(text).budgets[0].query.total == 'sum(increase(http_requests_total{cluster="eu"}[$window:5m]))'


def test_what_is_allowed_to_be_bad_is_exact() -> None:
    assert [Budget("", one, 1, RatioQuery("", "")).allowed for one in (0.999, 0.9995)] == [0.001, 0.0005]


def test_a_changed_query_is_another_question_and_a_changed_objective_is_not() -> None:
    same = read(BUDGET.replace("99.5%", "99.9%").replace("28d", "7d").replace("event availability", "x"))
    other = read(BUDGET.replace("5..", "50."))
    assert same.budgets[0].query.id == read().budgets[0].query.id != other.budgets[0].query.id
    bad = read(BUDGET.replace("good:", "bad:"))
    assert bad.budgets[0].query.id != read().budgets[0].query.id


def test_a_slo_yaml_without_budgets_keeps_its_digest() -> None:
    plain = parse_config("version: 1\n" + AFTER)
    assert plain.digest == "f8965e607838b82a"
    assert read().digest != read("").digest
    demanded = AFTER + '    budget: "> 20%"\n'
    assert read(after=demanded).digest != read().digest
    assert read(after=demanded).phases[0].budget == read(after=demanded.replace("> 20%", "> 20 %")).phases[0].budget


@pytest.mark.parametrize(
    ("old", "new", "place", "told"),
    [
        ("[$window]))'\n    total", "[28d]))'\n    total", "10:11", "`good` has no `$window`"),
        ("\"}[$window]))'\n", "\"}[5m]))'\n", "11:12", "`total` has no `$window`"),
        ("    total:", "    totals:", "11:5", "has no key `totals`"),
        ("    good:", "    bad: a[$window]\n    good:", "6:5", "one of `good` and `bad`"),
        ("good: 'sum", "gut: 'sum", "10:5", "has no key `gut`"),
        ("99.5%", "100%", "8:16", "leaves no error budget"),
        ("99.5%", "0%", "8:16", "is not an objective"),
        ("99.5%", "99.5", "8:16", "is not a share"),
        ("28d", "36h", "9:13", "whole days"),
        ("28d", "400d", "9:13", "at most 90"),
        ("28d", "0d", "9:13", "is not a length of time"),
        ("service: event", "service: evnt", "7:14", "did you mean `event`?"),
        ("objective: 99.5%", "objective: 99.5%\n    source: man", "9:13", "there is no prometheus `man`"),
        ('"$service"}', '"$servic"}', "11:54", "`$servic` is unknown here"),
        ('"$service"}', '"$service}', "11:54", "this string does not end"),
    ],
)
def test_what_is_wrong_with_a_budget_is_said_at_its_place(old: str, new: str, place: str, told: str) -> None:
    assert BUDGET.count(old) >= 1
    with pytest.raises(InvalidConfig) as refused:
        read(BUDGET.replace(old, new))
    assert f"slo.yaml:{place}" in str(refused.value)
    assert told in str(refused.value)


def test_names_are_unique() -> None:
    with pytest.raises(InvalidConfig, match="is there already"):
        read(BUDGET + BUDGET.removeprefix("budgets:\n"))


def test_a_budget_needs_somebody_to_count_it() -> None:
    with pytest.raises(InvalidConfig, match="none is named"):
        read(before="version: 1\n")
    two = BEFORE + '  other: {url: "http://other:9090"}\n'
    with pytest.raises(InvalidConfig, match="several prometheus"):
        read(before=two)
    named = read(BUDGET.replace("window: 28d", "window: 28d\n    source: other"), before=two)
    assert named.budgets[0].query.source == "other"


@pytest.mark.parametrize("text", ["< 20%", "20%", "> 20", ">= 0%", "> 120%", "> +5%", "lots"])
def test_a_demand_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match=r"slo\.yaml:15"):
        read(after=AFTER + f'    budget: "{text}"\n')


@pytest.mark.parametrize(("text", "share"), [("> 20%", 0.2), (">= 50%", 0.5), ("> 0%", 0.0)])
def test_a_phase_demands_a_share_of_its_budgets(text: str, share: float) -> None:
    asked = read(after=AFTER + f'    budget: "{text}"\n').phases[0].budget
    assert asked is not None
    assert (asked.threshold, asked.bound) == (share, text)
