"""Text from outside, made harmless for the two places that would interpret it.

Names of services and endpoints, error texts and tags come from whoever wrote the test. Streamlit reads markdown
(with colours, icons and formulas of its own), plotly reads a little HTML and formulas.
"""

from __future__ import annotations

import html
import re
from typing import Final

_PUNCTUATION: Final = re.compile(r"([!-/:-@\[-`{-~])")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_BACKTICKS: Final = re.compile(r"`+")
_WORD_JOINER: Final = "\N{WORD JOINER}"

# Streamlit and GitHub's markdown look for emoji, icons and addresses in the finished text, where the backslashes are
# gone: an invisible character inside them keeps them text.
_FOUND_LATE: Final = re.compile(r"(?<=:)(?=[\w+-]+:|material/|//)|(?<=www)(?=\.)|(?<=\w)(?=@\w)", re.IGNORECASE)


def markdown(text: str) -> str:
    """``text`` as one line of markdown that shows exactly its characters."""
    one_line = _CONTROL.sub(" ", text)
    return _PUNCTUATION.sub(r"\\\1", _FOUND_LATE.sub(_WORD_JOINER, one_line))


def code(text: str) -> str:
    """``text`` as code within a line of markdown: a fence longer than any within it, and blanks where that begins."""
    one_line = _CONTROL.sub(" ", text)
    fence = "`" * (max(map(len, _BACKTICKS.findall(one_line)), default=0) + 1)
    blank = " " if "`" in one_line else ""
    return f"{fence}{blank}{one_line}{blank}{fence}"


def plotly(text: str) -> str:
    """``text`` as a label of a figure: no tags, and no ``$``, between two of which plotly sets a formula."""
    return html.escape(_CONTROL.sub(" ", text).replace("$", ""))
