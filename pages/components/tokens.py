"""How a state looks: word, glyph, symbol, pattern and colour, for light and dark.

A state is told by its shape and its word; colour only repeats it. The colours keep a contrast of 3:1 against both
backgrounds and stay apart for every common colour blindness, which is why pass is blue and not green.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ThemeType = Literal["light", "dark"]
BadgeColour = Literal["blue", "orange", "red", "violet", "gray"]


@dataclass(frozen=True)
class Token:
    """One look, shared by all states that mean the same.

    ``badge`` is Streamlit's name for the colour (set in ``.streamlit/config.toml``), ``symbol`` a plotly marker and
    ``pattern`` a plotly bar fill.
    """

    glyph: str
    badge: BadgeColour
    symbol: str
    pattern: str
    light: str
    dark: str

    def colour(self, theme: ThemeType) -> str:
        """The mark's colour as ``#RRGGBB``."""
        return self.dark if theme == "dark" else self.light


NEUTRAL: Final = "#718096"
"""Series, targets and everything that is no state: 4:1 against both backgrounds, so it survives a change of theme."""

PASS: Final = Token("✓", "blue", "circle", "", "#075985", "#7DD3FC")
WARN: Final = Token("!", "orange", "triangle-up", ".", "#C2780A", "#FBBF24")
FAIL: Final = Token("✕", "red", "square", "x", "#991B1B", "#F87171")
INCONCLUSIVE: Final = Token("?", "violet", "diamond", "/", "#6D28D9", "#A78BFA")
NO_DATA: Final = Token("–", "gray", "circle-open", "", "#8A94A3", "#64748B")
UNCHANGED: Final = Token("=", "gray", "circle-open-dot", "", NEUTRAL, NEUTRAL)
"""Of comparisons: neither good nor bad, so it has the colour of what is no state, and a shape of its own."""

TOKENS: Final[dict[str | None, Token]] = {
    "pass": PASS,
    "met": PASS,
    "valid": PASS,
    "warn": WARN,
    "at_risk": WARN,
    "suspect": WARN,
    "fail": FAIL,
    "missed": FAIL,
    "inconclusive": INCONCLUSIVE,
    "not_evaluable": INCONCLUSIVE,
    "invalid": INCONCLUSIVE,
    "no_data": NO_DATA,
    "info": NO_DATA,
    "improved": PASS,
    "unchanged": UNCHANGED,
    "suspected": WARN,
    "regressed": FAIL,
    "not_comparable": NO_DATA,
    "no_baseline": NO_DATA,
    None: NO_DATA,
}
"""Every state of ``slo.model``, and a regression that is only ``suspected``; ``None``: the phase asks nothing of it."""


def word(state: str | None) -> str:
    """The state in capitals: ``PASS``, ``AT RISK``, ``NOT ASKED``."""
    return "NOT ASKED" if state is None else state.replace("_", " ").upper()


def label(state: str | None) -> str:
    """Glyph and word, for where nothing can be coloured: ``✕ FAIL``."""
    return f"{TOKENS[state].glyph} {word(state)}"


def badge(state: str | None) -> str:
    """Glyph and word as a coloured badge in Streamlit's markdown; it holds no text from outside."""
    return f":{TOKENS[state].badge}-badge[{label(state)}]"
