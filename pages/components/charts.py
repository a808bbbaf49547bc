"""Figures, from values to values: nothing here reads a store or draws on a page.

A figure's text, axes and grid take their colours from Streamlit's theme, in the browser; traces and reference lines
ignore it and are set here. What is no state has one colour for both themes: a reader who changes the theme keeps the
figures that were drawn for the other. Each figure has a sentence beside it that tells what it shows, for those who
cannot see it and those in a hurry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import plotly.graph_objects as go

from pages.components import escape
from pages.components.tokens import FAIL, INCONCLUSIVE, NEUTRAL, TOKENS, ThemeType
from slo import numbers
from slo.model import HistoryPoint, TimeBin

CONFIG: Final[dict[str, bool]] = {"displayModeBar": False, "scrollZoom": False}
STATIC: Final[dict[str, bool]] = {"staticPlot": True}
SPARKLINE_PX: Final = 44
SPARKLINE_LEGEND: Final = (
    "The line is the p95 run by run, oldest left, from 0 ms, of every branch unless one is chosen. The last mark is "
    "the latest run, in the shape and colour of its state; ◇ is a run that cannot be believed, and is left out of the "
    "line."
)

_TARGET_LABEL_PX: Final = 64
# A latency axis ends here, so that a few outliers do not flatten the rest; whichever is higher.
_CLIP_TARGETS: Final = 2.5
_CLIP_MEDIANS: Final = 4.0
_TRANSPARENT: Final = "rgba(0,0,0,0)"
_LAYOUT: Final = {
    "paper_bgcolor": _TRANSPARENT,
    "plot_bgcolor": _TRANSPARENT,
    "showlegend": False,
    "font": {"size": 13},
}
_AXIS_UNITS: Final = ((3 * 3600.0, 3600.0, "h"), (180.0, 60.0, "min"), (0.0, 1.0, "s"))


@dataclass(frozen=True)
class TargetLine:
    """A latency target to draw: ``label`` as people wrote it, ``ms`` where its line runs."""

    label: str
    ms: float


def filled(timeline: Sequence[TimeBin], bin_s: float) -> list[TimeBin]:
    """The timeline with an empty bin wherever none ended a request: there a line has a gap, and a rate is 0."""
    by_place = {round(point.at_s / bin_s): point for point in timeline}
    return [
        by_place.get(place) or TimeBin(place * bin_s, 0.0, 0.0, None, None)
        for place in range(min(by_place, default=0), max(by_place, default=-1) + 1)
    ]


def requests(timeline: Sequence[TimeBin], theme: ThemeType) -> go.Figure:
    """Requests per second as bars, those that failed on top in the pattern of a failure."""
    at, unit = _time_axis(timeline)
    good = [point.requests_per_s - point.failed_per_s for point in timeline]
    failed = [point.failed_per_s for point in timeline]
    figure = _over_time(unit)
    figure.add_bar(x=at, y=good, name="answered", marker={"color": NEUTRAL, "line_width": 0})
    if any(failed):
        figure.add_bar(x=at, y=failed, name="failed", marker=_failed_marker(theme))
    figure.update_layout(barmode="stack", bargap=0.15)
    figure.update_traces(hovertemplate="%{y:,.1f} /s")
    figure.update_yaxes(title="requests per second", rangemode="tozero")
    return figure


def requests_sentence(timeline: Sequence[TimeBin]) -> str:
    """What the bars show: ``About 28.43 requests per second; 3.85 % failed, most at 16.0 s``."""
    total = sum(point.requests_per_s for point in timeline)
    if not total:
        return "No requests were made."
    failed = sum(point.failed_per_s for point in timeline)
    rate = f"About {numbers.value(total / len(timeline), 'requests per second')}"
    if not failed or failed == total:
        return f"{rate}; {'all' if failed else 'none'} failed."
    worst = max(timeline, key=lambda point: point.failed_per_s)
    return f"{rate}; {numbers.ratio(failed / total)} failed, most at {numbers.seconds(worst.at_s)}."


def latency(timeline: Sequence[TimeBin], targets: Sequence[TargetLine]) -> go.Figure:
    """p50 and p95 over time, with each target as a dashed line; one outlier does not flatten the rest."""
    at, unit = _time_axis(timeline)
    top = _clip_ms([point.p95_ms for point in timeline], targets)
    figure = _over_time(unit)
    for name, values, line in (
        ("p50", [point.p50_ms for point in timeline], {"color": NEUTRAL, "width": 1.5, "dash": "dot"}),
        ("p95", [point.p95_ms for point in timeline], {"color": NEUTRAL, "width": 2.5}),
    ):
        figure.add_scatter(x=at, y=values, name=name, mode="lines", line=line, connectgaps=False)
    figure.update_traces(hovertemplate="%{y:,.1f} ms")
    _add_clipped(figure, at, [point.p95_ms for point in timeline], top)
    for target in targets:
        _add_target(figure, target)
    figure.update_yaxes(title="ms", range=[0, top * 1.06])
    return figure


def latency_sentence(timeline: Sequence[TimeBin], targets: Sequence[TargetLine]) -> str:
    """What the lines show: ``p95 was over 250 ms in 17 of 20 time slices; the highest p95 was 612 ms at 14.0 s``."""
    measured = [(point.p95_ms, point.at_s) for point in timeline if point.p95_ms is not None]
    if not measured:
        return "There is no p95 to show."
    highest_ms, highest_at_s = max(measured)
    highest = f"the highest p95 was {numbers.duration_ms(highest_ms)} at {numbers.seconds(highest_at_s)}."
    if not targets:
        return highest[0].upper() + highest[1:]
    strictest_ms = min(target.ms for target in targets)
    over = sum(p95_ms > strictest_ms for p95_ms, _ in measured)
    where = f"in {over} of {numbers.things(len(measured), 'time slice')}" if over else "in no time slice"
    return f"p95 was over {numbers.duration_ms(strictest_ms)} {where}; {highest}"


def sparkline(history: Sequence[HistoryPoint], theme: ThemeType) -> go.Figure:
    """A service's p95 per run, oldest left. Runs that cannot be believed are hollow and not joined to the others."""
    places = list(range(len(history)))
    figure = go.Figure(layout=_LAYOUT | {"margin": {"l": 6, "r": 6, "t": 6, "b": 6}, "height": SPARKLINE_PX})
    figure.add_scatter(
        x=places,
        y=[point.p95_ms if is_believed(point) else None for point in history],
        mode="lines",
        line={"color": NEUTRAL, "width": 2},
        connectgaps=False,
    )
    top = _spark_top_ms(history)
    marked = [_mark_ms(point, top) for point in history]
    figure.add_scatter(x=places, y=marked, mode="markers", marker=_marks(history, theme), cliponaxis=False)
    figure.update_xaxes(visible=False, fixedrange=True, range=[-0.5, len(history) - 0.5])
    figure.update_yaxes(visible=False, fixedrange=True, range=[-0.1 * top, 1.1 * top])
    return figure


def sparkline_sentence(service: str, history: Sequence[HistoryPoint]) -> str:
    """What the sparkline shows: ``p95 of event over 12 runs: from 241 ms to 399 ms``."""
    believed = [point.p95_ms for point in history if is_believed(point) and point.p95_ms is not None]
    if not believed:
        return f"No run of {service} with a p95 that can be believed."
    first, last = numbers.duration_ms(believed[0]), numbers.duration_ms(believed[-1])
    return f"p95 of {service} over {numbers.things(len(believed), 'run')}: from {first} to {last}."


def is_believed(point: HistoryPoint) -> bool:
    """Whether a run may stand in a trend: one that could not be judged may not."""
    return point.state != "inconclusive"


def plain(**layout: object) -> go.Figure:
    """A figure without traces, with the looks that all of them have, and what ``layout`` says beside them."""
    usual = {
        "height": 300,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        "hovermode": "x unified",
    }
    figure = go.Figure(layout=_LAYOUT | usual | layout)
    axis = {"automargin": True, "fixedrange": True, "title_font_size": 13}
    figure.update_xaxes(**axis, showgrid=False)
    figure.update_yaxes(**axis)
    return figure


def _over_time(unit: str) -> go.Figure:
    figure = plain()
    figure.update_xaxes(ticksuffix=f" {unit}")
    return figure


def _time_axis(timeline: Sequence[TimeBin]) -> tuple[list[float], str]:
    """When each bin starts, in the unit that suits the run's length."""
    end_s = timeline[-1].at_s if timeline else 0.0
    _, unit_s, unit = next(row for row in _AXIS_UNITS if end_s >= row[0])
    return [point.at_s / unit_s for point in timeline], unit


def _failed_marker(theme: ThemeType) -> dict[str, object]:
    """The pattern carries the state, so its lines have the colour and its ground is the page."""
    colour = FAIL.colour(theme)
    pattern = {"shape": FAIL.pattern, "fgcolor": colour, "bgcolor": _TRANSPARENT, "size": 5, "solidity": 0.35}
    return {"color": colour, "pattern": pattern, "line": {"color": colour, "width": 1}}


def _clip_ms(values: Sequence[float | None], targets: Sequence[TargetLine]) -> float:
    """The top of a latency axis: all of it, unless a few values dwarf both the target and the usual."""
    known = [value for value in values if value is not None]
    highest_target_ms = max((target.ms for target in targets), default=0.0)
    highest_ms = max([*known, highest_target_ms, 1.0])
    usual_ms = median(known) if known else 0.0
    limit_ms = max(_CLIP_TARGETS * highest_target_ms, _CLIP_MEDIANS * usual_ms)
    return min(highest_ms, limit_ms or highest_ms) * 1.1


def _add_clipped(figure: go.Figure, at: Sequence[float], values: Sequence[float | None], top: float) -> None:
    """A mark with its value at the edge for every point above it."""
    clipped = [(x, value) for x, value in zip(at, values, strict=True) if value is not None and value > top]
    if not clipped:
        return
    figure.add_scatter(
        x=[x for x, _ in clipped],
        y=[top] * len(clipped),
        mode="markers+text",
        name="above the axis",
        text=[f"\N{NO-BREAK SPACE}{numbers.duration_ms(value)}" for _, value in clipped],
        textposition="middle right",
        marker={"symbol": "triangle-up", "size": 11, "color": NEUTRAL},
        showlegend=False,
        cliponaxis=False,
        hovertemplate="%{text}",
    )


def _add_target(figure: go.Figure, target: TargetLine) -> None:
    """A dashed line with its name beside the plot, where it hides no data."""
    figure.add_hline(y=target.ms, line={"color": NEUTRAL, "width": 1.5, "dash": "dash"})
    figure.add_annotation(
        text=f"target<br>{escape.plotly(target.label)}",
        x=1,
        xref="paper",
        xanchor="left",
        y=target.ms,
        align="left",
        showarrow=False,
    )
    figure.update_layout(margin_r=_TARGET_LABEL_PX)


def _marks(history: Sequence[HistoryPoint], theme: ThemeType) -> dict[str, object]:
    """The last run in the look of its state, runs that cannot be believed as hollow diamonds, the others as dots."""
    last = len(history) - 1
    looks = [TOKENS[point.state] for point in history]
    shown = [place == last or not is_believed(point) for place, point in enumerate(history)]
    colours = [look.colour(theme) if show else NEUTRAL for look, show in zip(looks, shown, strict=True)]
    hollow = INCONCLUSIVE.symbol + "-open"
    return {
        "symbol": [look.symbol if is_believed(point) else hollow for look, point in zip(looks, history, strict=True)],
        "color": colours,
        "size": [9 if show else 3 for show in shown],
        "line": {"color": colours, "width": [0 if is_believed(point) else 2 for point in history]},
    }


def _mark_ms(point: HistoryPoint, top_ms: float) -> float | None:
    """Where a run's mark stands; one that cannot be believed has one even without a value, on the floor."""
    if point.p95_ms is None:
        return None if is_believed(point) else 0.0
    return min(point.p95_ms, top_ms)


def _spark_top_ms(history: Sequence[HistoryPoint]) -> float:
    """The highest believed value: a broken run is marked at the edge and does not flatten the others."""
    believed = [point.p95_ms for point in history if is_believed(point) and point.p95_ms is not None]
    every = [point.p95_ms for point in history if point.p95_ms is not None]
    return max(believed or every or [1.0])
