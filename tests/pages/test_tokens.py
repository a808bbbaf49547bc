"""The looks of the states: told apart by shape and word, legible in both themes, as the theme's file has them."""

from __future__ import annotations

import tomllib
from typing import Literal, get_args

import pytest

from pages.components import tokens
from pages.components.tokens import ThemeType
from settings import ROOT
from slo.model import ComparisonState, MeasurementState, ObjectiveState, Severity, VerdictState

LOOKS = [tokens.PASS, tokens.WARN, tokens.FAIL, tokens.INCONCLUSIVE, tokens.NO_DATA]
THEME = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
THEMES: list[ThemeType] = ["light", "dark"]


def luminance(colour: str) -> float:
    """Relative luminance as in WCAG 2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("states", [VerdictState, MeasurementState, ObjectiveState, Severity, ComparisonState], ids=str)
def test_every_state_of_the_documents_has_a_look(states: object) -> None:
    assert set(get_args(states)) <= tokens.TOKENS.keys()


@pytest.mark.parametrize("trait", ["glyph", "badge", "symbol", "light", "dark"])
def test_no_two_looks_share_a_trait(trait: Literal["glyph", "badge", "symbol", "light", "dark"]) -> None:
    assert len({getattr(look, trait) for look in LOOKS}) == len(LOOKS)


@pytest.mark.parametrize("trait", ["glyph", "symbol"])
def test_what_is_unchanged_has_a_shape_of_its_own(trait: Literal["glyph", "symbol"]) -> None:
    assert getattr(tokens.UNCHANGED, trait) not in {getattr(look, trait) for look in LOOKS}


def test_worse_and_better_share_no_look() -> None:
    compared = [tokens.TOKENS[state] for state in ("regressed", "suspected", "inconclusive", "improved", "unchanged")]
    assert len(set(compared)) == len(compared)


@pytest.mark.parametrize("theme", THEMES)
def test_marks_stand_out_from_the_background(theme: ThemeType) -> None:
    background = THEME[theme]["backgroundColor"]
    assert all(contrast(look.colour(theme), background) >= 3 for look in LOOKS)
    assert contrast(tokens.NEUTRAL, background) >= 3


@pytest.mark.parametrize("theme", THEMES)
def test_the_theme_has_the_colours_of_the_states(theme: ThemeType) -> None:
    assert {look.badge: THEME[theme][f"{look.badge}Color"] for look in LOOKS} == {
        look.badge: look.colour(theme) for look in LOOKS
    }


@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read(theme: ThemeType) -> None:
    colours = THEME[theme]
    text = [colours["textColor"], colours["grayTextColor"], colours["linkColor"]]
    assert all(contrast(colour, colours["backgroundColor"]) >= 4.5 for colour in text)


def test_a_state_is_named_by_glyph_and_word() -> None:
    assert tokens.badge("fail") == ":red-badge[✕ FAIL]"
    assert tokens.label("not_evaluable") == "? NOT EVALUABLE"
    assert tokens.label(None) == "– NOT ASKED"
