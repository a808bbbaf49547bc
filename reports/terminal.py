"""The terminal: answers to standard output, as text or JSON; progress, notes and errors to standard error."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from reports.text import WIDTH
from slo.documents import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

out = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)


class Format(StrEnum):
    """For people, or for machines."""

    text = "text"
    json = "json"


def show(document: object, output: Format, rendered: RenderableType) -> None:
    """Answer with a document, or with what it says to people."""
    if output is Format.json:
        sys.stdout.write(to_json(document, indent=2) + "\n")
    else:
        out.print(rendered)


def say(line: str) -> None:
    """One line on standard error, whatever it holds; as long as it is, so that it can be searched for."""
    err.print(line, markup=False, soft_wrap=True)


@contextmanager
def progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on standard error, where someone looks at it."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=err, transient=True,
        disable=not err.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("start", total=1.0)
        yield lambda step, share: bar.update(task, description=step, completed=share)
