"""An answer as Markdown: a comment for a pull request, and the summary of a pipeline's step."""

from __future__ import annotations

from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING

from reports.layout import GLYPHS, harmless, one_line
from slo import numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.answer import Answer, Check

MOST_CHARACTERS = 60_000
"""Of a comment; GitHub takes 65,536, GitLab more."""

_MOST_LINES = 12
_LONGEST = 800  # characters of one line as it is written
_OVERHEAD = 200  # characters of the table's frame, and of the line that counts what is left out
_PLAIN = (
    str.maketrans({mark: f"\\{mark}" for mark in r"\`*_{}[]()#+-.!|~"})
    | str.maketrans({mark: escape(mark) for mark in "&<>"})
    | str.maketrans({"@": "@\N{ZERO WIDTH SPACE}"})
)


def mark(answer: Answer) -> str:
    """The first line of a comment, by which the next one of the same question finds it: it names no version or run."""
    where = one_line(" ".join(filter(None, (answer.phase, answer.of, answer.environment))))
    return f"<!-- phasegate {answer.kind} {escape(harmless(where))} -->"


def comment(answer: Answer) -> str:
    """The answer, why, what was asked, and what to do.

    Never more than :data:`MOST_CHARACTERS`: the decisive checks come first, and what is left out is counted.
    """
    head = [
        mark(answer),
        f"### {GLYPHS[answer.state]} {answer.state.upper()}: {_plain(answer.sentence)}",
        "",
        *(f"- {_plain(reason)}" for reason in answer.reasons[:_MOST_LINES]),
    ]
    if (more := len(answer.reasons) - _MOST_LINES) > 0:
        head.append(f"- and {numbers.things(more, 'more reason')}")
    tail = [*_covered(answer.coverage)]
    tail += [*_section("Next", answer.next_steps), *_section("Verify", answer.verification)]
    if answer.rollback:
        tail += ["", f"**Rollback:** {_plain(answer.rollback)}"]
    tail += ["", f"<sub>{_plain(answer.about)}</sub>", ""]
    left = MOST_CHARACTERS - sum(len(line) + 1 for line in (*head, *tail)) - _OVERHEAD
    return "\n".join([*head, *_table(answer.checks, left), *tail])


def _table(checks: Sequence[Check], left: int) -> list[str]:
    """As many of the checks as fit."""
    rows = [f"| {GLYPHS[c.state]} {_word(c)} | {_plain(_name(c))} | {_plain(c.reason)} |" for c in checks]
    kept = [row for row, end in zip(rows, accumulate(len(row) + 1 for row in rows), strict=True) if end <= left]
    cut = [f"\n{len(rows) - len(kept)} more checks are not shown."] if len(kept) < len(rows) else []
    summary = f"<details><summary>{numbers.things(len(rows), 'check')}</summary>"
    return ["", summary, "", "| | what | why |", "|---|---|---|", *kept, *cut, "", "</details>"]


def _covered(services: Sequence[Sequence[str]]) -> list[str]:
    """How much of each service works, beside the pass rate of its checks."""
    if not services:
        return []
    rows = [
        f"| {_plain(name)} | {met} of {asked} | {share} | {checks} |" for name, met, asked, share, checks in services
    ]
    more = [f"\n{len(rows) - _MOST_LINES} more services are not shown."] if len(rows) > _MOST_LINES else []
    head = ["| service | objectives met | coverage | checks passed |", "|---|---:|---:|---:|"]
    summary = "<details><summary>Coverage by service</summary>"
    return ["", summary, "", *head, *rows[:_MOST_LINES], *more, "", "</details>"]


def _section(title: str, steps: Sequence[str]) -> list[str]:
    return ["", f"**{title}:**", "", *(f"- {_plain(step)}" for step in steps[:_MOST_LINES])] if steps else []


def _name(check: Check) -> str:
    where = f"{check.service} " if check.service else ""
    return f"{where}{check.name}{' (key)' if check.key else ''}"


def _word(check: Check) -> str:
    return check.state.upper().replace("_", " ")


def _plain(words: str) -> str:
    """Words as Markdown that shows them and nothing else; nobody is notified by an ``@``."""
    shown = [character.translate(_PLAIN) for character in harmless(one_line(words))]
    fits = sum(end <= _LONGEST for end in accumulate(map(len, shown)))
    return "".join(shown[:fits]) + (" ..." if fits < len(shown) else "")
