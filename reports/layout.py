"""How every text for people is set: its width, states as glyph and word, paragraphs, tables and runs.

What comes from outside (names, labels, reasons) stays on its line and is never read as markup.
"""

from __future__ import annotations

import re
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from slo import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from data.model import Waiver
    from slo.model import Finding, RunRef

WIDTH: Final = 100

STYLES: Final[dict[str | None, str]] = {
    "pass": "bold blue", "warn": "bold yellow", "fail": "bold red", "inconclusive": "bold magenta", "no_data": "dim",
    "met": "blue", "at_risk": "yellow", "missed": "red", "not_evaluable": "magenta",
    "invalid": "magenta", "suspect": "magenta", "info": "dim", "in_doubt": "magenta",
    "regressed": "bold red", "suspected": "bold yellow", "improved": "bold blue", "unchanged": "dim",
    "no_baseline": "dim", "not_comparable": "dim", "new": "dim", "gone": "yellow",
    "waived": "yellow", "overridden": "bold yellow", "unknown": "magenta",
    "shifted": "bold red", "drifting": "bold yellow", "flaky": "bold yellow",
    "unsettled": "bold yellow", "steady": "dim", "ok": "bold blue", "burning": "bold yellow", "exhausted": "bold red",
    None: "dim",
}  # fmt: skip
GLYPHS: Final[dict[str | None, str]] = {
    "pass": "✓", "warn": "!", "fail": "✕", "inconclusive": "?", "no_data": "–",
    "met": "✓", "at_risk": "!", "missed": "✕", "not_evaluable": "?",
    "invalid": "?", "suspect": "?", "info": "i", "in_doubt": "?",
    "regressed": "✕", "suspected": "!", "improved": "✓", "unchanged": "=",
    "no_baseline": "–", "not_comparable": "–", "new": "i", "gone": "!",
    "waived": "!", "overridden": "!", "unknown": "?",
    "shifted": "✕", "drifting": "!", "flaky": "!", "unsettled": "!", "steady": "=",
    "ok": "✓", "burning": "!", "exhausted": "✕", None: "–",
}  # fmt: skip
"""By state; ``None`` is a state that nothing was asked for."""

_LONGEST_COMMIT: Final = 8
_STEERING: Final = {*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)} - {ord("\n")}
_IN_NO_XML: Final = {*range(0xD800, 0xE000), 0xFFFE, 0xFFFF}
_SHOWN: Final = dict.fromkeys(_STEERING | _IN_NO_XML, "�")
_BEFORE_UNIT: Final = re.compile(r"(?<=\d) (?=(?:%|points?|ms|s|min|h|d|UTC)(?!\w))")
_HELD: Final = "\N{NO-BREAK SPACE}"


def one_line(words: str) -> str:
    """Words from outside, on one line."""
    return " ".join(words.split())


def harmless(words: str) -> str:
    """Words without what steers a terminal, turns the direction of writing around or may stand in no XML: ``�``."""
    return words.translate(_SHOWN)


def cut(words: str, most: int) -> str:
    """Words from outside on one line, harmless, and no longer than ``most`` characters and a mark that says so."""
    line = harmless(one_line(words))
    return line if len(line) <= most else line[:most] + " ..."


def state_word(state: str | None) -> Text:
    """A state in capitals: ``AT RISK``, ``NOT ASKED``."""
    return Text((state or "not_asked").upper().replace("_", " "), style=STYLES[state])


def headline(state: str, sentence: str) -> Text:
    """The answer: glyph, word, sentence."""
    return Text.assemble(
        (f"{GLYPHS[state]} {state.upper().replace('_', ' ')}", STYLES[state]), f"  {one_line(sentence)}"
    )


def ending(state: str, exit_code: int) -> Text:
    """The last line of an answer that is a gate."""
    return Text.assemble((state.upper().replace("_", " "), STYLES[state]), f"  exit {exit_code}")


def paragraph(words: str, indent: int = 2, style: str = "") -> Text:
    """A paragraph, its further lines indented, each number on the line of its unit.

    Rich would fill it up with blanks to the full width.
    """
    held = _BEFORE_UNIT.sub(_HELD, words)
    lines = wrap(held, WIDTH, initial_indent="  ", subsequent_indent=" " * indent)
    return Text("\n".join(lines).replace(_HELD, " "), style=style)


def next_steps(steps: Sequence[str]) -> Iterator[Text]:
    """What to do now, one step a paragraph."""
    for number, step in enumerate(steps):
        yield paragraph(f"{'next' if number == 0 else '    '}  {step}", indent=8)


def marked(state: str, name: str, words: str) -> Text:
    """A paragraph that begins with glyph and name in the look of a state."""
    head = f"{GLYPHS[state]} {name}"
    told = paragraph(f"{head}  {words}", indent=6)
    told.stylize(STYLES[state], 2, 2 + len(head))
    return told


def finding(found: Finding) -> Text:
    """A finding with its severity and code."""
    return marked(found.severity, f"{found.severity.upper()}  {found.code}", found.message)


def waived(one: Waiver) -> str:
    """What gates overlook, until when, and who answers for it."""
    of = f" of {one.service}" if one.service else ""
    return f"{one.about}{of} is waived at gates until {one.expires_at:%Y-%m-%d} by {one.owner}: {one.reason}"


def table(columns: str, rows: Iterable[Sequence[str | Text]], *, indent: int = 0) -> RenderableType:
    """A plain table; ``columns`` are parted by ``|``, and one that ends in ``>`` is of numbers."""
    plain = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns.split("|"):
        plain.add_column(column.rstrip(">"), justify="right" if column.endswith(">") else "left", overflow="fold")
    for row in rows:
        plain.add_row(*(cell if isinstance(cell, Text) else Text(one_line(cell)) for cell in row))
    return Padding(plain, (0, 0, 0, indent))


def services(named: str | None, found: Sequence[str]) -> str:
    """The service that a run was uploaded for, or those it speaks for; nothing where it has none."""
    if named is not None or len(found) == 1:
        return named or found[0]
    return numbers.things(len(found), "service") if found else ""


def measured(run: RunRef) -> str:
    """How much a run is."""
    lasted = f" in {numbers.seconds(run.duration_s)}" if run.duration_s else ""
    return f"{numbers.things(run.requests, 'request')}{lasted}"


def version(run: RunRef) -> str:
    """``main@abcdef01`` with two blanks before it; nothing where neither is known."""
    told = "@".join(part for part in (run.branch, short(run.commit)) if part)
    return f"  {one_line(told)}" if told else ""


def short(commit: str | None) -> str:
    """A commit as people read it."""
    return (commit or "")[:_LONGEST_COMMIT]


def about(run: RunRef) -> Text:
    """The line under an answer: which run it is about."""
    return Text(f"  run {run.id}{version(run)}, {measured(run)}", style="dim")
