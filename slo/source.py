"""A text that a person wrote, and how to tell them what is wrong with it.

Positions are offsets into the text until they are shown; lines and columns count from 1, columns in characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from data.errors import ConfigError

_WIDTH = 88
"""Characters of a source line that are shown; with the gutter a report stays under 100 columns."""

_QUOTED = 60
"""Characters of the user's own words that a message repeats."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What no terminal or page should be sent: controls, text-direction overrides, half characters."""


def quoted(text: str) -> str:
    """Return the user's words in backticks, shortened and harmless to a terminal."""
    clean = CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return f"`{clean if len(clean) <= _QUOTED else clean[: _QUOTED - 3] + '...'}`"


class ExpressionError(ValueError):
    """A selector, a target or another expression cannot be read.

    ``length`` characters from ``offset`` on are meant; whoever knows the file makes a `Problem` of it. ``label`` is the
    short remark beside the marks, ``help`` what to write instead.
    """

    def __init__(
        self, code: str, message: str, at: tuple[int, int], *, label: str = "", help: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.offset, self.length = at
        self.label = label
        self.help = help


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where: ``length`` characters from ``line`` and ``column``, both from 1."""

    code: str
    message: str
    line: int
    column: int
    length: int = 1
    help: str | None = None
    label: str = ""


@dataclass(frozen=True)
class Source:
    """A text and the name it is known by, mostly its path."""

    name: str
    text: str

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset."""
        return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)

    def problem(
        self, span: tuple[int, int], code: str, message: str, *, help: str | None = None, label: str = ""
    ) -> Problem:
        """Describe what is wrong between two offsets; the marks end with the first line of the span."""
        start, end = span
        stop = self.text.find("\n", start)
        length = min(end, len(self.text) if stop < 0 else stop) - start
        line, column = self.place(start)
        return Problem(code, message, line, column, max(length, 1), help, label)


class InvalidConfig(ConfigError):
    """All that is wrong with one file. ``message`` has one ``file:line:column: what`` line for each problem.

    ``str()`` is the report for people, with the lines of the file and marks under what is meant.
    """

    def __init__(self, source: Source, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        lines = [f"{source.name}:{p.line}:{p.column}: {p.message}" for p in self.problems]
        super().__init__("\n".join(lines), help=self.problems[0].help if len(lines) == 1 else None)

    def __str__(self) -> str:
        count = len(self.problems)
        lines = self.source.text.split("\n")
        blocks = [_block(self.source.name, lines[problem.line - 1], problem) for problem in self.problems]
        return "\n\n".join(blocks) + f"\n\n{count} {'error' if count == 1 else 'errors'}; nothing was judged"


def _block(name: str, line: str, problem: Problem) -> str:
    """Draw one problem the way rustc and ruff do."""
    gutter = " " * len(str(problem.line))
    shown, before = _window(line, problem.column - 1)
    marks = "^" * max(1, min(problem.length, len(shown) - before))
    drawn = [
        f"error[{problem.code}]: {problem.message}",
        f"{gutter}--> {name}:{problem.line}:{problem.column}",
        f"{gutter} |",
        f"{problem.line} | {shown}".rstrip(),
        f"{gutter} | {' ' * before}{marks} {problem.label}".rstrip(),
    ]
    if problem.help:
        drawn.append(f"{gutter} = help: {problem.help}")
    return "\n".join(drawn)


def _window(line: str, at: int) -> tuple[str, int]:
    """Return the part of a line around ``at`` that fits, and where ``at`` is in it."""
    clean = CONTROL.sub(" ", line)
    if len(clean) <= _WIDTH:
        return clean, at
    start = max(0, min(at - _WIDTH // 2, len(clean) - _WIDTH))
    head, tail = "..." if start else "", "..." if start + _WIDTH < len(clean) else ""
    return head + clean[start : start + _WIDTH] + tail, at - start + len(head)
