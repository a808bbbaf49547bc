"""What an import is checked with, for people in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from reports.layout import GLYPHS, state_word, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from slo.neighbours.keptn_check import KeptnCheck


def keptn(check: KeptnCheck) -> RenderableType:
    """What Keptn says of given values and what the imported phase says, SLI by SLI."""
    rows = (
        (
            one.sli,
            one.keptn,
            GLYPHS[one.state],
            state_word(one.state),
            _number(one.value),
            _number(one.baseline),
            one.asked,
        )
        for one in check.slis
    )
    best = "" if check.best == check.score else f" to {check.best:.4g}"
    return Group(
        Text(f"Keptn      {check.keptn}, score {check.keptn_score:.4g} of 100"),
        Text(f"Phasegate  {check.decision}, score {check.score:.4g}{best} of 100"),
        Text(),
        table("sli|keptn||here|value>|before>|asked", rows, indent=2),
    )


def _number(value: float | None) -> str:
    """As it was given: its unit is Keptn's."""
    return "–" if value is None else f"{value:g}"
