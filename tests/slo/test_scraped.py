"""What a promql objective comes to: every statistic, and every way in which its number may be missing."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from data.model import Pull, RunMeta, RunRecord, Series
from data.sources import Query
from slo.config import Config, parse_config
from slo.model import ObjectiveResult, VerdictState
from slo.objectives import judge
from slo.queries import queries_of
from slo.scraped import measured
from slo.verdict import decide
from tests.builders import START, finding, record, requests

END = START + timedelta(seconds=20)
LATER = END + timedelta(seconds=10)
RUN = record(*requests(service="event"), meta=RunMeta(service="event", environment="ci"))


class Samples:
    """Stands in for the blocks: percentiles are asked of those alone."""

    def query(self, run_id: str, sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        assert run_id == RUN.run.id
        assert "quantile_cont" in sql
        assert (parameters["start"], parameters["end"]) == (START, END)
        return [(0.125,)]


def config(target: str, promql: str = "x", warn: str | None = None) -> Config:
    more = f', warn: "{warn}"' if warn else ""
    return parse_config(
        "version: 1\nprometheus: {main: {url: 'http://p:9090', step: 1s, scraped: false}}\n"
        f"phases: [{{id: A, objectives: [{{service: event, promql: '{promql}', target: \"{target}\"{more}}}]}}]"
    )


def series(number: int, *values: float, first_s: float = 0) -> Series:
    last_s = first_s + len(values) - 1
    return Series(
        -number, "x", {"n": str(number)}, len(values), sum(values), min(values), max(values), 0,
        START + timedelta(seconds=first_s), START + timedelta(seconds=last_s), values[-1],
    )  # fmt: skip


def judged(
    target: str,
    *found: Series,
    promql: str = "x",
    warn: str | None = None,
    findings: tuple[str, ...] = (),
    counter: tuple[Series, ...] = (),
    **more: Any,  # noqa: ANN401  # any field
) -> ObjectiveResult:
    """The objective ``target`` of a run about which Prometheus said this."""
    slo = config(target, promql, warn)
    (objective,) = slo.phases[0].objectives
    query = next(one for one in queries_of(RUN.run, slo) if one.name is None)
    pull = replace(Pull(query, "ok" if found else "empty", START, END, LATER, found), **more)
    grown = [one for one in queries_of(RUN.run, slo) if one.name is None and one.id != query.id]
    run = replace(RUN, pulls=(pull, *(Pull(one, "ok", START, END, LATER, counter) for one in grown)))
    doubts = [finding("info", code, "event") for code in findings]
    now = measured(objective, run, slo, doubts, Samples())  # type: ignore[arg-type]  # only `query` is asked
    return judge(objective, now, None, doubts)


WHOLE = tuple(float(n % 5) for n in range(21))  # 0 to 4, ends with 0


@pytest.mark.parametrize(
    ("target", "value", "unit"),
    [
        ("max < 5", 4, ""),
        ("min >= 0", 0, ""),
        ("avg < 2", 40 / 21, ""),
        ("last < 1", 0, ""),
        ("p(95) < 1", 0.125, ""),
        ("med < 1", 0.125, ""),
        ("max < 5s", 4000, "ms"),
        ("p(95) < 126ms", 125, "ms"),
        ("max < 5B", 4, "B"),
        ("max <= 400%", 4, "ratio"),
        ("max <= 4/s", 4, "/s"),
    ],
)
def test_a_statistic_is_of_the_runs_time_and_in_the_targets_unit(target: str, value: float, unit: str) -> None:
    result = judged(target, series(1, *WHOLE))
    assert (result.state, result.unit) == ("met", unit)
    assert result.value == pytest.approx(value)
    assert (result.source, result.n, result.ci) == ("main", 21, None)


def test_an_increase_is_asked_of_prometheus_itself() -> None:
    asked = [
        one
        for one in queries_of(RUN.run, config("increase < 5", 'sum(errors{service="$service"})'))
        if one.name is None
    ]
    assert [(one.promql, one.step_s) for one in asked] == [
        ('sum (increase(errors{service="event"}[20s]))', None),
        ('errors{service="event"}', 1.0),
    ]
    found = judged("increase < 5", series(1, 3.0, first_s=20), promql="errors", counter=(series(2, *range(21)),))
    assert (found.state, found.value) == ("met", 3)


@pytest.mark.parametrize(
    ("counter", "why"),
    [
        ((), "for a part of the run's time only"),
        ((series(2, *range(10)),), "for a part of the run's time only"),
        ((series(2, *range(21)), series(3, 50.0, 51.0, first_s=10)), "a counter began 10.0 s into the run, at 50"),
    ],
    ids=["unseen", "for a while", "born in the run"],
)
def test_what_a_counter_grew_by_unseen_is_not_known(counter: tuple[Series, ...], why: str) -> None:
    found = judged("increase < 5", series(1, 3.0, first_s=20), promql="errors", counter=counter)
    assert (found.state, why in found.reason) == ("not_evaluable", True), found.reason


def test_a_counter_that_begins_at_nothing_hides_nothing() -> None:
    both = (series(2, *range(21)), series(3, 0.0, 1.0, first_s=10))
    assert judged("increase < 5", series(1, 3.0, first_s=20), promql="errors", counter=both).state == "met"


WATCH = """
version: 1
prometheus: {main: {url: 'http://p:9090', step: 1s}}
phases: [{id: A, objectives: [{SERVICE promql: x, target: "max < 5"}]}]
"""


@pytest.mark.parametrize(
    ("state", "expected"), [("ok", None), ("empty", None), ("failed", "it is away"), (None, "asked yet")]
)
def test_without_knowing_whether_anybody_looked_nothing_is_met(state: str | None, expected: str | None) -> None:
    slo = parse_config(WATCH.replace("SERVICE", "service: event,"))
    (objective,) = slo.phases[0].objectives
    pulls = [
        Pull(query, "ok", START, END, LATER, (series(n, *WHOLE),))
        if query.name != "age"
        else Pull(query, state, START, END, LATER, problem="it is away")  # type: ignore[arg-type]  # a state
        for n, query in enumerate(queries_of(RUN.run, slo), 1)
        if query.name != "age" or state
    ]
    now = measured(objective, replace(RUN, pulls=tuple(pulls)), slo, (), Samples())  # type: ignore[arg-type]
    assert now.value == 4
    assert (now.problem is None) == (expected is None)
    assert expected is None or expected in (now.problem or "")


def test_of_a_run_that_names_no_service_nobody_knows_whether_it_was_watched() -> None:
    slo = parse_config(WATCH.replace("SERVICE", ""))
    (objective,) = slo.phases[0].objectives
    bare = record(*requests())
    query = next(one for one in queries_of(bare.run, slo) if one.name is None)
    run = replace(bare, pulls=(Pull(query, "ok", START, END, LATER, (series(1, *WHOLE),)),))
    assert "names no service" in (measured(objective, run, slo, (), Samples()).problem or "")  # type: ignore[arg-type]


def test_of_several_series_only_the_extremes_are_one_number() -> None:
    two = (series(1, *WHOLE), series(2, *(v + 1 for v in WHOLE)))
    assert judged("max < 9", *two).value == 5
    assert judged("min >= 0", *two).value == 0
    for target in ("avg < 9", "last < 9", "p(95) < 9"):
        result = judged(target, *two)
        assert result.state == "no_data"
        assert "2 series" in result.reason


MISSING: dict[str, tuple[ObjectiveResult, str]] = {
    "nothing": (judged("max < 5"), "no such series, or other labels"),
    "no numbers": (judged("max < 5", replace(series(1, 0.0), n=0)), "only NaN or infinity"),
    "failed": (judged("max < 5", state="failed", problem="it is away"), "it is away"),
    "a hole": (judged("max < 5", series(1, *WHOLE[:16])), "no numbers for 24 % of the run's time"),
    "an early end": (judged("last < 5", series(1, *WHOLE[:16])), "no numbers for 25 % of the run's time"),
    "too early": (
        judged("max < 5", series(1, *WHOLE), pulled_at=END + timedelta(seconds=4)),
        "before the last scrapes",
    ),
    "per cent": (judged("min > 95%", series(1, *([42.0] * 21))), "is more than all"),
    "partial": (judged("max < 5", series(1, *WHOLE), warnings=("a store is gone",)), "a store is gone"),
    "down": (judged("max < 5", series(1, *WHOLE), findings=("target_down",)), "target_down"),
    "unwatched": (judged("max < 5", series(1, *WHOLE), findings=("scrape_gap",)), "scrape_gap"),
}


@pytest.mark.parametrize("case", MISSING)
def test_what_is_missing_is_never_met_and_named(case: str) -> None:
    result, why = MISSING[case]
    assert result.state in {"no_data", "not_evaluable"}
    assert why in result.reason
    state: VerdictState
    state, reasons = decide([result], [])
    assert state == "inconclusive"
    assert why in reasons[0]


@pytest.mark.parametrize(
    "result",
    [
        judged("max < 3", series(1, *WHOLE[:10])),
        judged("max < 3", series(1, *WHOLE), warnings=("partial",)),
        judged("max < 3", series(1, *WHOLE), findings=("scrape_gap",)),
    ],
    ids=["a hole", "partial", "unwatched"],
)
def test_what_is_missed_by_a_part_is_missed(result: ObjectiveResult) -> None:
    assert result.state == "missed"


def test_a_late_start_leaves_the_last_value_as_good_as_any() -> None:
    assert judged("last < 5", series(1, 1.0, 2.0, first_s=19)).state == "met"


def test_a_share_of_few_points_is_no_share_of_few_requests() -> None:
    assert judged("avg < 1%", series(1, *([0.001] * 21))).state == "met"


def test_a_warning_comes_before_a_miss() -> None:
    assert judged("max < 5", series(1, *WHOLE), warn="max < 4").state == "at_risk"


def _without_source() -> RunRecord:
    return replace(RUN, pulls=(Pull(Query("main", "x", 1.0), "ok", START, END, LATER, (series(1, *WHOLE),)),))


def test_without_a_source_or_a_question_there_is_nothing() -> None:
    bare = parse_config('version: 1\nphases: [{id: A, objectives: [{promql: x, target: "max < 5"}]}]')
    now = measured(bare.phases[0].objectives[0], _without_source(), bare, (), Samples())  # type: ignore[arg-type]
    assert now.value is None
    assert "no Prometheus is described" in (now.problem or "")
    slo = config("max < 5")
    now = measured(slo.phases[0].objectives[0], RUN, slo, (), Samples())  # type: ignore[arg-type]
    assert "has not been asked yet" in (now.problem or "")


def test_what_a_run_does_not_say_is_said() -> None:
    slo = config("max < 5", 'up{version="$version"}')
    now = measured(slo.phases[0].objectives[0], RUN, slo, (), Samples())  # type: ignore[arg-type]
    assert now.problem == "the run does not say its version, which the expression asks for"
    assert not [one for one in queries_of(RUN.run, slo) if one.name is None]
