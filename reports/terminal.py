"""The terminal: answers to standard output, as text or JSON; progress, notes and errors to standard error.

What others named a run or a service must not steer the terminal: control characters and the marks that turn the
direction of writing around are shown as ``�``.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.segment import Segment
from rich.text import Text

from reports.layout import WIDTH, harmless
from slo.documents import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import ConsoleOptions, RenderableType

out = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)


class Format(StrEnum):
    """For people, or for machines."""

    text = "text"
    json = "json"


@dataclass(frozen=True)
class _Harmless:
    """What is rendered, with its own colours and nothing else that a terminal obeys."""

    rendered: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.rendered, options):
            yield Segment(harmless(segment.text), segment.style, segment.control)


def write(rendered: RenderableType) -> None:
    """Answer with text for people."""
    out.print(_Harmless(rendered))


def plain(rendered: RenderableType) -> str:
    """Text for people as it is where there is no terminal: without colour, and as wide as everything here."""
    page = StringIO()
    Console(width=WIDTH, file=page, color_system=None, highlight=False).print(_Harmless(rendered))
    return page.getvalue()


def show(document: object, output: Format, rendered: RenderableType) -> None:
    """Answer with a document, or with what it says to people."""
    if output is Format.json:
        sys.stdout.write(to_json(document, indent=2) + "\n")
    else:
        write(rendered)


def say(line: str) -> None:
    """One line on standard error, whatever it holds; as long as it is, so that it can be searched for."""
    err.print(_Harmless(Text(line)), soft_wrap=True)


@contextmanager
def progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on standard error, where someone looks at it."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=err, transient=True,
        disable=not err.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("start", total=1.0)
        yield lambda step, share: bar.update(task, description=step, completed=share)
