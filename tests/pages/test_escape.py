"""Text from outside stays text."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pages.components import escape

JOINER = "\N{WORD JOINER}"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("event", "event"),
        ("<script>", r"\<script\>"),
        ("a|b", r"a\|b"),
        ("@team", r"\@team"),
        ("$x$", r"\$x\$"),
        ("**b** _i_ `c`", r"\*\*b\*\* \_i\_ \`c\`"),
        ("[x](y)", r"\[x\]\(y\)"),
        ("# title\n- item", r"\# title \- item"),
    ],
)
def test_markdown_of_a_name_shows_the_name(text: str, escaped: str) -> None:
    assert escape.markdown(text) == escaped


@pytest.mark.parametrize(
    "text", [":tada:", ":material/home:", "https://evil.example", "www.evil.example", "me@evil.example"]
)
def test_what_markdown_finds_after_unescaping_is_broken_up_invisibly(text: str) -> None:
    escaped = escape.markdown(text)
    assert JOINER in escaped
    assert escaped.replace(JOINER, "").replace("\\", "") == text


def test_a_selector_can_be_copied_as_it_is() -> None:
    assert JOINER not in escape.markdown("http_req_duration{name:/event/:id}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("7f3a91c2", "`7f3a91c2`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```"), ("$x$ :tada:", "`$x$ :tada:`")],
)
def test_code_ends_where_the_text_ends(text: str, shown: str) -> None:
    assert escape.code(text) == shown


@given(some.text())
def test_no_punctuation_of_markdown_is_left_bare(text: str) -> None:
    assert re.search(r"(?<!\\)[<>*_`\[\]$|#~:]", escape.markdown(text).replace("\\\\", "")) is None


@given(some.text())
def test_a_label_of_a_figure_has_neither_tags_nor_formulas(text: str) -> None:
    label = escape.plotly(text)
    assert not set("<>$") & set(label)
    assert html.unescape(label) == re.sub(r"[\x00-\x1f\x7f]+", " ", text.replace("$", ""))
