"""Figures of latency on both sides: by how much each percentile moved, and how both runs are spread.

As in ``charts``: from values to values, with a sentence beside each figure that tells what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from pages.components import charts, comparisons, tokens
from pages.components.tokens import NEUTRAL, TOKENS, ThemeType
from slo import numbers
from slo.comparison import Distribution
from slo.model import Comparison, ComparisonState

_TICKS: Final = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
_TOLD: Final = (0.5, 0.95, 0.99)
_LABEL_PX: Final = 56
# The axis of changes ends here, so that one wide interval does not flatten the rest; whichever is more.
_MOST_CHANGES: Final = 2.5
_LEAST_REACH: Final = 0.2
_ALWAYS_SHOWN: Final = 0.1  # to both sides, so that nothing looks like much
_ANSWERS: Final[tuple[tuple[ComparisonState, str], ...]] = (
    ("regressed", "Slower"),
    ("improved", "Faster"),
    ("unchanged", "Unchanged"),
    ("inconclusive", "Not told from noise"),
)


def shift(rows: Sequence[Comparison], theme: ThemeType) -> go.Figure:
    """The change of each percentile with its 95 % interval, lowest percentile left, in the look of its state."""
    figure = charts.plain(hovermode="closest")
    figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1.5})
    for state in dict.fromkeys(map(comparisons.look, rows)):
        _add_state(figure, [row for row in rows if comparisons.look(row) == state], state, theme)
    order = [comparisons.percentile_of(row) for row in rows]
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=order)
    figure.update_yaxes(title="change", ticksuffix=" %", range=_reach(rows), zeroline=False)
    return figure


def shift_sentence(rows: Sequence[Comparison]) -> str:
    """What it shows: ``Slower from p75 up, most at p95: +66 % (241 ms to 399 ms). Unchanged up to p50``."""
    told = [_answer(rows, state, word) for state, word in _ANSWERS]
    return " ".join(part for part in told if part) or "No percentile can be compared."


def percentiles(shape: Distribution) -> go.Figure:
    """Latency at each percentile of both runs; every further nine has as much room as the one before."""
    figure = charts.plain(showlegend=False)
    at = [_nines(level) for level in shape.levels]
    sides = (("before", shape.before_ms, 2.0, "dot"), ("now", shape.now_ms, 2.5, "solid"))
    for name, values, width, dash in sides:
        line = {"color": NEUTRAL, "width": width, "dash": dash}
        figure.add_scatter(x=at, y=list(values), name=name, mode="lines", line=line, hovertemplate="%{y:,.1f} ms")
    now_is_above = shape.now_ms[-1] >= shape.before_ms[-1]
    _add_label(figure, "before", shape.before_ms[-1], above=not now_is_above)
    _add_label(figure, "now", shape.now_ms[-1], above=now_is_above)
    ticks = [level for level in _TICKS if shape.levels[0] <= level <= shape.levels[-1]]
    figure.update_xaxes(type="log", tickvals=[*map(_nines, ticks)], ticktext=[*map(comparisons.percentile, ticks)])
    figure.update_yaxes(title="ms", rangemode="tozero")
    return figure


def percentiles_sentence(shape: Distribution) -> str:
    """What it shows: ``p50 from 61.2 ms to 118 ms, p95 from 241 ms to 399 ms``."""
    sides = zip(shape.levels, shape.before_ms, shape.now_ms, strict=True)
    told = [
        f"{comparisons.percentile(level)} from {numbers.duration_ms(before)} to {numbers.duration_ms(now)}"
        for level, before, now in sides
        if level in _TOLD
    ]
    return f"{', '.join(told)}." if told else "Both runs at every percentile."


def _add_state(figure: go.Figure, rows: Sequence[Comparison], state: str, theme: ThemeType) -> None:
    """The percentiles of one state, each with its interval."""
    token = TOKENS[state]
    colour = token.colour(theme)
    changes = [row.change or 0.0 for row in rows]
    ends = [row.ci or (change, change) for row, change in zip(rows, changes, strict=True)]
    figure.add_scatter(
        x=[comparisons.percentile_of(row) for row in rows],
        y=[100 * change for change in changes],
        name=tokens.label(state),
        mode="markers",
        marker={"symbol": token.symbol, "color": colour, "size": 10, "line": {"color": colour, "width": 1}},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [100 * (high - change) for (_, high), change in zip(ends, changes, strict=True)],
            "arrayminus": [100 * (change - low) for (low, _), change in zip(ends, changes, strict=True)],
            "color": colour,
            "thickness": 1.5,
            "width": 5,
        },
        text=[f"{numbers.change(row.change)} ({numbers.change_interval(row.ci)})" for row in rows],
        hovertemplate="%{x}: %{text}",
    )


def _reach(rows: Sequence[Comparison]) -> list[float]:
    """Both ends of the axis, in percent."""
    changes = [row.change or 0.0 for row in rows]
    ends = [end for row in rows for end in row.ci or ()]
    most = max([_LEAST_REACH, *(_MOST_CHANGES * abs(change) for change in changes)])
    low = max(min([-_ALWAYS_SHOWN, *changes, *ends]), -most)
    high = min(max([_ALWAYS_SHOWN, *changes, *ends]), most)
    room = 0.08 * (high - low)
    return [100 * (low - room), 100 * (high + room)]


def _answer(rows: Sequence[Comparison], state: ComparisonState, word: str) -> str:
    """Of which percentiles a state is, and the largest change where they moved."""
    found = [row for row in rows if row.state == state]
    if not found:
        return ""
    told = f"{word} {_where(found, rows)}"
    if state in {"regressed", "improved"}:
        most = max(found, key=lambda row: abs(row.change or 0.0))
        before, now = (numbers.value(value, most.unit) for value in (most.baseline, most.value))
        told += f", most at {comparisons.percentile_of(most)}: {numbers.change(most.change)} ({before} to {now})"
    return f"{told}."


def _where(found: Sequence[Comparison], rows: Sequence[Comparison]) -> str:
    """Which of all percentiles: ``at every percentile``, ``from p75 up``, ``up to p50``, ``at p50, p90``."""
    names = [comparisons.percentile_of(row) for row in found]
    if len(found) == len(rows):
        return "at every percentile"
    if len(found) > 1 and list(found) == list(rows[-len(found) :]):
        return f"from {names[0]} up"
    if len(found) > 1 and list(found) == list(rows[: len(found)]):
        return f"up to {names[-1]}"
    return f"at {', '.join(names)}"


def _nines(level: float) -> float:
    return 1 / (1 - level)


def _add_label(figure: go.Figure, name: str, end_ms: float, *, above: bool) -> None:
    """The name of a line beside its end; the higher line's above, so that two near ends do not hide each other."""
    figure.add_annotation(
        text=name, x=1, xref="paper", xanchor="left", y=end_ms, yanchor="bottom" if above else "top", showarrow=False
    )
    figure.update_layout(margin_r=_LABEL_PX)
