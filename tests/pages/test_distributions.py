"""Figures of both sides as values: looks by state, intervals around the change, lines told apart without colour."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pages.components import comparisons, distributions
from pages.components.tokens import FAIL, NEUTRAL, UNCHANGED
from slo.comparison import Distribution
from slo.model import Comparison
from tests.pages import compared
from tests.pages.compared import percentile

TAIL = comparisons.percentiles(compared.tail(), "event")


def test_each_percentile_stands_at_its_change_with_its_interval() -> None:
    still, worse = distributions.shift(TAIL, "light").data
    assert list(worse.x) == ["p75", "p90", "p95", "p99"]
    assert list(worse.y) == pytest.approx([30, 50, 66, 40])
    assert list(worse.error_y.array) == pytest.approx([5] * 4)
    assert list(worse.error_y.arrayminus) == pytest.approx([5] * 4)
    assert list(still.x) == ["p10", "p25", "p50"]


def test_a_state_has_its_symbol_its_colour_and_its_word() -> None:
    still, worse = distributions.shift(TAIL, "dark").data
    assert (worse.marker.symbol, worse.marker.color, worse.name) == (FAIL.symbol, FAIL.dark, "✕ REGRESSED")
    assert (still.marker.symbol, still.marker.color, still.name) == (UNCHANGED.symbol, NEUTRAL, "= UNCHANGED")


def test_percentiles_stand_in_their_order_whatever_their_states() -> None:
    axis = distributions.shift(TAIL, "light").layout.xaxis
    assert list(axis.categoryarray) == ["p10", "p25", "p50", "p75", "p90", "p95", "p99"]


def test_there_is_a_line_at_no_change() -> None:
    (line,) = distributions.shift(TAIL, "light").layout.shapes
    assert (line.y0, line.y1) == (0, 0)


def test_one_wide_interval_does_not_flatten_the_rest() -> None:
    wild = [*TAIL[:-1], replace(TAIL[-1], ci=(-0.9, 40.0))]
    low, high = distributions.shift(wild, "light").layout.yaxis.range
    assert high < 200
    assert low > -120


def test_changes_of_little_do_not_look_like_much() -> None:
    low, high = distributions.shift([percentile(0.95, 0.001, "unchanged")], "light").layout.yaxis.range
    assert low <= -10
    assert high >= 10


def test_an_interval_that_is_not_known_is_not_drawn() -> None:
    (trace,) = distributions.shift([replace(TAIL[0], ci=None)], "light").data
    assert (list(trace.error_y.array), list(trace.error_y.arrayminus)) == ([0], [0])


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (TAIL, "Slower from p75 up, most at p95: +66 % (100 ms to 166 ms). Unchanged up to p50."),
        (comparisons.percentiles(compared.quiet("event"), "event"), "Unchanged at every percentile."),
        (
            [percentile(0.5, -0.2, "improved"), percentile(0.95, 0.1, "inconclusive")],
            "Faster at p50, most at p50: −20 % (100 ms to 80.0 ms). Not told from noise at p95.",
        ),
        ([], "No percentile can be compared."),
    ],
)
def test_the_shift_is_told_in_a_sentence(rows: list[Comparison], told: str) -> None:
    assert distributions.shift_sentence(rows) == told


def test_both_runs_are_told_apart_by_dash_and_name_and_not_by_colour() -> None:
    figure = distributions.percentiles(compared.distribution())
    before, now = figure.data
    assert (before.line.dash, now.line.dash) == ("dot", "solid")
    assert before.line.color == now.line.color == NEUTRAL
    assert {note.text: note.y for note in figure.layout.annotations} == {"before": 300.0, "now": 420.0}


def test_names_of_lines_that_end_together_do_not_hide_each_other() -> None:
    shape = compared.distribution()
    notes = distributions.percentiles(replace(shape, now_ms=shape.before_ms)).layout.annotations
    assert {note.yanchor for note in notes} == {"bottom", "top"}


def test_every_nine_has_the_same_room() -> None:
    axis = distributions.percentiles(compared.distribution()).layout.xaxis
    assert axis.type == "log"
    assert list(axis.ticktext) == ["p50", "p90", "p95", "p99"]
    assert list(axis.tickvals) == pytest.approx([2, 10, 20, 100])


def test_both_runs_are_told_in_a_sentence() -> None:
    assert distributions.percentiles_sentence(compared.distribution()) == (
        "p50 from 61.2 ms to 62.0 ms, p95 from 241 ms to 399 ms, p99 from 300 ms to 420 ms."
    )
    assert distributions.percentiles_sentence(Distribution(None, (0.2,), (1.0,), (1.0,))) == (
        "Both runs at every percentile."
    )
