"""A badge: well-formed, told by word and glyph, legible, and never a pass that nobody measured."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import get_args
from xml.etree import ElementTree as ET

import pytest

from reports import badge
from settings import ROOT
from slo.model import Overview, PhaseRef, ServiceRow, VerdictState
from tests.answers import HOSTILE
from tests.pages.test_tokens import contrast

THEME = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]["light"]
SVG = "{http://www.w3.org/2000/svg}"
ROW = ServiceRow("event", None, "pass", "13 of 13 objectives met", None, None, None, None, None, None, 13, 13)


def overview(*rows: ServiceRow) -> Overview:
    return Overview(PhaseRef("7A", "Core"), (), "Phase 7A.", rows[0].state or "no_data", rows, 1, None)


def read(svg: str) -> tuple[str, list[str], ET.Element]:
    root = ET.fromstring(svg.encode())  # noqa: S314  # our own
    assert root.tag == f"{SVG}svg"
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= {"svg", "title", "rect", "path", "g", "text"}
    assert not any("href" in name for one in root.iter() for name in one.attrib), "nothing is fetched"
    return root.findtext(f"{SVG}title") or "", [str(one.text) for one in root.iter(f"{SVG}text")], root


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("pass", "✓ pass"), ("warn", "! warn"), ("fail", "✕ fail"), ("inconclusive", "? inconclusive"),
        ("no_data", "– no data"), (None, "– not asked"),
    ],
)  # fmt: skip
def test_a_badge_says_it_in_words(state: VerdictState | None, word: str) -> None:
    of_service = badge.badge(overview(replace(ROW, state=state)), "event")
    title, texts, root = read(of_service)
    assert texts == ["7A event", word]
    assert title == f"7A event: {word}, 13 of 13 objectives met"
    assert root.get("aria-label") == f"7A event: {word}"
    assert badge.COLOURS[state] in of_service


def test_a_phase_stands_as_the_worst_of_its_services() -> None:
    assert read(badge.badge(overview(replace(ROW, state="fail"), ROW), None))[1] == ["7A", "✕ fail"]


def test_what_nobody_knows_is_unknown() -> None:
    assert read(badge.badge(overview(ROW), "evnet"))[1] == ["7A evnet", "? unknown"]
    assert read(badge.unknown("9Z", None))[1] == ["9Z", "? unknown"]
    assert read(badge.badge(replace(overview(ROW), phase=None), None))[1] == ["phasegate", "? unknown"]


def test_words_fit_and_markup_is_text() -> None:
    _, (left, _), root = read(badge.badge(overview(replace(ROW, service=HOSTILE, reason=HOSTILE)), HOSTILE))
    assert left.startswith("7A <script>alert(1)</script>")
    assert len(left) < 70
    assert not list(root.iter(f"{SVG}script"))
    wide, narrow = (int(str(read(badge.unknown(name, None))[2].get("width"))) for name in ("検索検索", "shop"))
    assert wide > narrow


def test_the_colours_are_the_themes_and_white_can_be_read_on_them() -> None:
    assert set(badge.COLOURS.values()) == {
        THEME[name] for name in ("blueColor", "orangeTextColor", "redColor", "violetColor", "grayTextColor")
    }
    assert all(contrast("#FFFFFF", colour) >= 4.5 for colour in (*badge.COLOURS.values(), badge.LABEL))
    assert set(get_args(VerdictState)) <= badge.COLOURS.keys()
