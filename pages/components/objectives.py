"""The objectives of a verdict: those not met one by one, the others folded away."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.components import escape, tables, tokens
from slo import numbers
from slo.model import ObjectiveResult, Verdict

_WIDTHS = [1.5, 3.5, 4]


def show(verdict: Verdict) -> None:
    """What is not met, then how many are; where all are met, those. A run not believed has nothing singled out."""
    st.subheader("Objectives", anchor=False)
    if not verdict.objectives:
        st.markdown("The phase asks nothing of this run.")
    met = [result for result in verdict.objectives if result.state == "met"]
    unmet = [result for result in verdict.objectives if result.state != "met"]
    if verdict.measurement.state == "invalid":
        _folded(unmet, "not judged")
    else:
        for result in unmet:
            with st.container(border=True):
                _line(result)
    if met and not unmet:
        _table(met, "met")
    else:
        _folded(met, "met", "and ")
    for note in verdict.notes:
        st.caption(f"Left open: {escape.markdown(note)}.")


def _folded(results: Sequence[ObjectiveResult], what: str, before: str = "") -> None:
    if results:
        with st.expander(f"{before}{len(results)} {what}"):
            _table(results, what)


def _table(results: Sequence[ObjectiveResult], what: str) -> None:
    st.table(tables.objectives(results), hide_index=True, alt=f"Objectives that are {what}")


def _line(result: ObjectiveResult) -> None:
    state, objective, measured = st.columns(_WIDTHS, vertical_alignment="center")
    state.markdown(tokens.badge(result.state) + (" :gray-badge[key]" if result.key else ""))
    warn = f" · warns unless {escape.markdown(result.warn)}" if result.warn else ""
    name = escape.markdown(tables.objective_name(result))
    objective.markdown(f"**{name}**  \n:small[target {escape.markdown(result.target)}{warn}]")
    measured.markdown(f"{escape.markdown(result.reason)}  \n:small[{_basis(result)}]")


def _basis(result: ObjectiveResult) -> str:
    """What the number rests on."""
    parts = [numbers.things(result.n, "point" if result.source else "sample")]
    if result.source:
        parts.append(f"Prometheus {result.source}")
    if result.ci:
        parts.append(f"95 % interval {numbers.interval(result.ci, result.unit)}")
    if result.margin is not None:
        parts.append(numbers.margin(result.margin))
    if result.value_ok is not None and result.value_ok != result.value:
        parts.append(f"{numbers.value(result.value_ok, result.unit)} without failed requests")
    return " · ".join(escape.markdown(part) for part in parts)
