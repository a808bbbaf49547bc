"""A badge: how a service, or all of them, stand in a phase. An SVG for a README, which fetches nothing."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final
from unicodedata import east_asian_width

from reports.layout import GLYPHS, cut

if TYPE_CHECKING:
    from slo.model import Overview

COLOURS: Final[dict[str | None, str]] = {
    "pass": "#075985", "warn": "#8A5300", "fail": "#991B1B", "inconclusive": "#6D28D9",
    "no_data": "#55606E", "unknown": "#55606E", None: "#55606E",
}  # fmt: skip
"""The theme's colours for text: white stands out from each of them, 4.5 to 1 at least. Pass is blue, never green."""

LABEL: Final = "#1B2430"

_LONGEST: Final = 60
_CHARACTER_PX: Final = 7  # on average, of Verdana at 11 px; textLength makes any other font fit
_PADDING_PX: Final = 6


def badge(overview: Overview, service: str | None) -> str:
    """How a service (``None``: the worst of all) stands, by the newest run that speaks for it, as the overview says.

    A run that cannot be believed is inconclusive there, so a badge never says pass on its account.
    """
    if overview.phase is None:
        return unknown("phasegate", service)
    row = next((one for one in overview.services if one.service == service), None)
    if service is not None and row is None:
        return unknown(overview.phase.id, service)
    state = row.state if row else overview.state
    return _drawn(_label(overview.phase.id, service), state, row.reason if row else overview.sentence)


def unknown(phase: str, service: str | None) -> str:
    """Of a phase or a service that nobody knows. An image, too: what answers with an error is shown as broken."""
    return _drawn(_label(phase, service), "unknown", "there is no such phase or service")


def _label(phase: str, service: str | None) -> str:
    return f"{phase} {service}" if service else phase


def _drawn(label: str, state: str | None, reason: str) -> str:
    left, right = cut(label, _LONGEST), f"{GLYPHS[state]} {(state or 'not_asked').replace('_', ' ')}"
    left_px, right_px = _width_px(left), _width_px(right)
    at_px, width_px = left_px + 2 * _PADDING_PX, left_px + right_px + 4 * _PADDING_PX
    said = escape(f"{left}: {right}")
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width_px}" height="20" role="img" aria-label="{said}">
<title>{said}, {escape(cut(reason, _LONGEST * 4))}</title>
<rect width="{width_px}" height="20" rx="3" fill="{LABEL}"/>
<path d="M{at_px} 0h{width_px - at_px - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H{at_px}z" fill="{COLOURS[state]}"/>
<g fill="#FFFFFF" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">
<text x="{_PADDING_PX}" y="14" textLength="{left_px}">{escape(left)}</text>
<text x="{at_px + _PADDING_PX}" y="14" textLength="{right_px}">{escape(right)}</text>
</g>
</svg>
"""


def _width_px(words: str) -> int:
    return sum(_CHARACTER_PX * (2 if east_asian_width(one) in "WF" else 1) for one in words)
