"""Figures as values: what is drawn, in which look, and the sentence beside it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pages.components import charts
from pages.components.charts import TargetLine
from pages.components.tokens import FAIL, INCONCLUSIVE, NEUTRAL, PASS
from slo.model import HistoryPoint, TimeBin, VerdictState
from tests.pages.fakes import history, timeline

TARGET = TargetLine("250 ms", 250.0)


def bins(*p95_ms: float | None, failed: float = 0.0) -> list[TimeBin]:
    """One bin per second and 100 requests in each."""
    return [TimeBin(float(second), 100.0, failed, p95 and p95 / 2, p95) for second, p95 in enumerate(p95_ms)]


def points(*runs: tuple[float | None, VerdictState | None]) -> list[HistoryPoint]:
    return [
        HistoryPoint(f"r{place}", datetime(2026, 11, 20, place, tzinfo=UTC), *run) for place, run in enumerate(runs)
    ]


def test_failed_requests_are_stacked_in_the_pattern_of_a_failure() -> None:
    figure = charts.requests(bins(100, 110, failed=4), "light")
    answered, failed = figure.data
    assert (list(answered.y), list(failed.y)) == ([96, 96], [4, 4])
    assert failed.marker.pattern.shape == FAIL.pattern
    assert failed.marker.pattern.fgcolor == FAIL.light
    assert figure.layout.barmode == "stack"


def test_without_failures_there_is_no_failure_in_the_legend() -> None:
    assert [trace.name for trace in charts.requests(bins(100), "dark").data] == ["answered"]


def test_a_second_without_requests_is_a_gap_and_not_joined() -> None:
    filled = charts.filled([TimeBin(0, 5, 0, 1, 2), TimeBin(3, 5, 0, 1, 2)], 1)
    assert [point.at_s for point in filled] == [0, 1, 2, 3]
    assert [point.requests_per_s for point in filled] == [5, 0, 0, 5]
    p50, p95 = charts.latency(filled, []).data
    assert list(p95.y) == [2, None, None, 2]
    assert not p95.connectgaps
    assert not p50.connectgaps


def test_nothing_is_filled_where_nothing_was_measured() -> None:
    assert charts.filled([], 1) == []


def test_the_target_is_a_dashed_line_with_its_name() -> None:
    layout = charts.latency(bins(100, 399), [TARGET]).layout
    (line,), (label,) = layout.shapes, layout.annotations
    assert (line.y0, line.line.dash, line.line.color) == (250, "dash", NEUTRAL)
    assert label.text == "target<br>250 ms"
    assert layout.yaxis.range[1] > 399


def test_the_target_is_on_the_axis_even_when_everything_is_far_below_it() -> None:
    assert charts.latency(bins(10, 12), [TARGET]).layout.yaxis.range[1] > 250


def test_one_outlier_does_not_flatten_the_rest_and_is_marked_at_the_edge() -> None:
    figure = charts.latency(bins(100, 110, 9_000, 105), [TARGET])
    marked = figure.data[-1]
    assert figure.layout.yaxis.range[1] < 1_000
    assert (list(marked.x), [text.strip() for text in marked.text]) == ([2], ["9,000 ms"])
    assert marked.marker.symbol == "triangle-up"
    assert max(marked.y) <= figure.layout.yaxis.range[1]


def test_when_all_is_slow_nothing_is_cut_off() -> None:
    figure = charts.latency(bins(2_000, 2_100, 2_050), [TARGET])
    assert len(figure.data) == 2
    assert figure.layout.yaxis.range[1] > 2_100


@pytest.mark.parametrize(("seconds", "unit"), [(20, " s"), (600, " min"), (20_000, " h")])
def test_a_long_run_has_a_longer_unit_on_its_axis(seconds: int, unit: str) -> None:
    figure = charts.requests([TimeBin(0, 1, 0, 1, 1), TimeBin(seconds, 1, 0, 1, 1)], "light")
    assert figure.layout.xaxis.ticksuffix == unit
    assert figure.data[0].x[1] <= 180


def test_a_target_written_by_someone_else_is_only_text() -> None:
    label = charts.latency(bins(100), [TargetLine("<b>$x$</b>", 250)]).layout.annotations[0].text
    assert label == "target<br>&lt;b&gt;x&lt;/b&gt;"


def test_no_figure_has_a_colour_of_plotlys_own() -> None:
    shown = timeline()
    for figure in (charts.requests(shown, "dark"), charts.latency(shown, [TARGET])):
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert all(_colours(trace) for trace in figure.data)


def _colours(trace: object) -> bool:
    line, marker = getattr(trace, "line", None), getattr(trace, "marker", None)
    return bool((line and line.color) or (marker and marker.color))


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        (bins(1, 2, failed=4), "About 100 requests per second; 4.00 % failed, most at 0.0 s."),
        (bins(1, 2), "About 100 requests per second; none failed."),
        (bins(1, failed=100), "About 100 requests per second; all failed."),
        ([], "No requests were made."),
    ],
)
def test_the_requests_are_told_in_a_sentence(shown: list[TimeBin], sentence: str) -> None:
    assert charts.requests_sentence(shown) == sentence


@pytest.mark.parametrize(
    ("shown", "targets", "sentence"),
    [
        (bins(100, 399), [TARGET], "p95 was over 250 ms in 1 of 2 time slices; the highest p95 was 399 ms at 1.0 s."),
        (bins(100, 120), [TARGET], "p95 was over 250 ms in no time slice; the highest p95 was 120 ms at 1.0 s."),
        (bins(100, 120), [], "The highest p95 was 120 ms at 1.0 s."),
        (bins(None), [TARGET], "There is no p95 to show."),
    ],
)
def test_the_response_time_is_told_in_a_sentence(
    shown: list[TimeBin], targets: list[TargetLine], sentence: str
) -> None:
    assert charts.latency_sentence(shown, targets) == sentence


def test_a_run_that_cannot_be_believed_is_not_joined_into_the_trend() -> None:
    line, marks = charts.sparkline(points((20, "pass"), (4_000, "inconclusive"), (21, "pass")), "light").data
    assert list(line.y) == [20, None, 21]
    assert not line.connectgaps
    assert marks.marker.symbol[1] == INCONCLUSIVE.symbol + "-open"
    assert max(marks.y) < 30, "nor does it flatten the others"


def test_the_last_run_of_a_trend_has_the_look_of_its_state() -> None:
    marks = charts.sparkline(points((20, "pass"), (90, "fail")), "dark").data[1].marker
    assert (marks.symbol[-1], marks.color[-1]) == (FAIL.symbol, FAIL.dark)
    assert marks.size[-1] > marks.size[0]


def test_a_trend_of_a_service_that_is_asked_nothing_is_drawn_all_the_same() -> None:
    assert list(charts.sparkline(points((20, None), (None, None)), "light").data[0].y) == [20, None]


def test_a_run_that_cannot_be_believed_is_marked_even_without_a_value() -> None:
    marks = charts.sparkline(points((20, "pass"), (None, "inconclusive"), (None, "pass")), "light").data[1]
    assert list(marks.y) == [20, 0, None]


def test_a_trend_shows_zero() -> None:
    bottom, top = charts.sparkline(history([200.0, 210.0]), "light").layout.yaxis.range
    assert bottom <= 0
    assert top > 210


def test_the_trend_is_told_in_a_sentence() -> None:
    assert charts.sparkline_sentence("event", points((241, "pass"), (9_000, "inconclusive"), (399, "fail"))) == (
        "p95 of event over 2 runs: from 241 ms to 399 ms."
    )
    assert charts.sparkline_sentence("event", points((None, "inconclusive"))) == (
        "No run of event with a p95 that can be believed."
    )


def test_pass_is_not_green() -> None:
    red, green, blue = (int(PASS.light[at : at + 2], 16) for at in (1, 3, 5))
    assert blue > green > red
