"""What Prometheus said, as a terminal shows it."""

from dataclasses import replace

import pytest

from reports.pulled import asked, pulled, rows, told
from slo.model import PullAnswer, Pulled, PulledSeries
from slo.queries import DOWN, MEMORY, P95, SATURATION, UP
from slo.refs import run_ref
from tests.builders import START, record
from tests.reports.test_told import shown

SERIES = PulledSeries({"__name__": "m", "pod": "a", "job": "j"}, 20, 0.05, 0.1, 0.2, 0.1)
ANSWER = Pulled("main", "m", "event", MEMORY, "ok", None, START, (SERIES,))
RUN = run_ref(record().run)


@pytest.mark.parametrize(
    ("name", "promql", "highest"),
    [
        (MEMORY, "process_resident_memory_bytes", "0 B"),
        (P95, "histogram_quantile(0.95, x)", "200 ms"),
        (f"{SATURATION}pool", "a / b", "20.0 %"),
        (None, "node_memory_free_bytes", "0 B"),
        (None, "rate(node_network_bytes[1m])", "0.200"),
        (None, "a_bytes / b_bytes", "0.200"),
    ],
)
def test_a_number_has_the_unit_that_its_name_says(name: str | None, promql: str, highest: str) -> None:
    (row,) = rows([replace(ANSWER, name=name, promql=promql)])
    assert row[5].replace("\N{NO-BREAK SPACE}", " ").startswith(highest[:3])


def test_of_several_series_what_differs_is_told_and_of_many_the_number() -> None:
    two = (SERIES, replace(SERIES, labels={**SERIES.labels, "pod": "b"}))
    assert [row[6] for row in rows([replace(ANSWER, series=two)])] == ['pod="a"', 'pod="b"']
    many = tuple(replace(SERIES, labels={"pod": str(n)}) for n in range(7))
    assert rows([replace(ANSWER, series=many)])[-1][6] == "2 more series"


def test_what_only_findings_rest_on_is_left_out_and_what_failed_is_not() -> None:
    inner = [replace(ANSWER, name=name) for name in (UP, DOWN)]
    failed = replace(ANSWER, name=UP, state="failed", problem="it is away", series=())
    assert told([ANSWER, *inner, failed]) == [ANSWER, failed]
    assert told([ANSWER, *inner], everything=True) == [ANSWER, *inner]
    assert "2 more answers, such as on scraping itself: --all" in shown(pulled([ANSWER, *inner]))[-1]


def test_what_one_service_has_another_need_not_have() -> None:
    cache = replace(ANSWER, name="collected: cache")
    without = replace(cache, service="plan", state="empty", series=())
    assert told([cache, without]) == [cache]
    assert told([without]) == [without], "nobody has it: it may be mistyped"
    assert rows([without])[0][6] == "nothing for the time of the run"


def test_asking_says_what_was_answered_and_what_is_open() -> None:
    assert shown(asked(PullAnswer(RUN, 81, 81, 1, 1, ("it is away",)))) == [
        f"80 of 81 questions about run {RUN.id} answered",
        "  it is away",
        "  1 is open: ask again later",
        f"  next  phasegate prometheus show {RUN.id}",
    ]
    assert shown(asked(PullAnswer(RUN, 81, 0, 0, 0)))[0].startswith("All 81 questions")
    assert shown(asked(PullAnswer(RUN, 0, 0, 0, 0)))[0].startswith("There is nothing to ask")
    assert shown(pulled([]))[0].startswith("Prometheus was not asked")
