"""Takes typed values out of a YAML tree and notes every problem on the way, so that one reading finds them all.

Each method returns ``None`` for what it cannot read, after noting why; callers go on with the rest.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from slo.source import CONTROL, ExpressionError, Problem, Source, quoted
from slo.tree import Items, Kind, Leaf, Node, Table

T = TypeVar("T")
Read = Callable[[Node, str], T | None]
"""Reads a value; the second argument is how messages call it."""

_INTEGER = re.compile(r"[0-9]{1,9}")

_COMPARED, _LISTED = 200, 12
"""Known words that an unknown one is compared with (comparing is slow), and that a message lists."""

_FOUND: dict[Kind, str] = {
    "text": "text",
    "integer": "a number",
    "number": "a number",
    "boolean": "true or false",
    "nothing": "empty",
}


class Reader:
    """Reads one source; ``problems`` is what was wrong so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def note(self, node: Node, code: str, message: str, *, help: str | None = None, label: str = "") -> None:
        """Note what is wrong with a value."""
        self.problems.append(self.source.problem((node.start, node.end), code, message, help=help, label=label))

    def line(self, node: Node) -> int:
        """Return the line on which a value starts."""
        return self.source.place(node.start)[0]

    def entries(self, node: Node, what: str) -> dict[str, tuple[Leaf, Node]] | None:
        """Read a mapping with any keys: key -> the key's place, and the value."""
        if not isinstance(node, Table):
            self._wrong_type(node, what, "keys with values")
            return None
        found: dict[str, tuple[Leaf, Node]] = {}
        for key, value in node.entries:
            name = self.name(key, "a key")
            if not isinstance(key, Leaf) or name is None:
                continue
            if name in found:
                first = self.line(found[name][0])
                self.note(key, "duplicate-key", f"the key {quoted(name)} is already on line {first}", help="keep one")
            else:
                found[name] = key, value
        return found

    def table(
        self, node: Node, what: str, *, required: Iterable[str] = (), optional: Iterable[str] = ()
    ) -> dict[str, Node] | None:
        """Read a mapping of known keys; what is unknown or missing is noted."""
        entries = self.entries(node, what)
        if entries is None:
            return None
        known = [*required, *optional]
        for name in entries.keys() - set(known):
            help = suggestion(name, known, "keys")
            self.note(entries[name][0], "unknown-key", f"{what} has no key {quoted(name)}", help=help)
        for name in required:
            if name not in entries:
                self.note(node, "missing-key", f"{what} needs the key `{name}`", help=f"add `{name}: ...`")
        return {name: entries[name][1] for name in known if name in entries}

    def items(self, node: Node, what: str) -> tuple[Node, ...] | None:
        """Read a list."""
        if isinstance(node, Items):
            return node.nodes
        self._wrong_type(node, what, "a list")
        return None

    def each(self, read: Read[T]) -> Read[list[tuple[T, Node]]]:
        """Make a method that reads a list, and every item of it with ``read``; items keep their places."""

        def read_all(node: Node, what: str) -> list[tuple[T, Node]] | None:
            nodes = self.items(node, what)
            if nodes is None:
                return None
            values = [(read(item, f"an item of {what}"), item) for item in nodes]
            return [(value, item) for value, item in values if value is not None]

        return read_all

    def text(self, node: Node, what: str) -> str | None:
        """Read a text, of one or more lines, that is not empty."""
        if not isinstance(node, Leaf) or node.kind != "text":
            self._wrong_type(node, what, "text")
            return None
        return self._clean(node, what, lines=True)

    def name(self, node: Node, what: str) -> str | None:
        """Read one line that may look like a number, as it is written: ``1`` and ``"1"`` are the same name."""
        if not isinstance(node, Leaf) or node.kind not in {"text", "integer", "number"}:
            self._wrong_type(node, what, "text")
            return None
        return self._clean(node, what)

    def boolean(self, node: Node, what: str) -> bool | None:
        """Read ``true`` or ``false``."""
        if not isinstance(node, Leaf) or node.kind != "boolean":
            self._wrong_type(node, what, "true or false")
            return None
        return node.text.lower() == "true"

    def integer(self, node: Node, what: str) -> int | None:
        """Read a whole number from 0 to 999,999,999."""
        if not isinstance(node, Leaf) or node.kind != "integer" or not _INTEGER.fullmatch(node.text):
            self._wrong_type(node, what, "a whole number")
            return None
        return int(node.text)

    def number(self, node: Node, what: str) -> float | None:
        """Read a number; it may turn out to be infinite or none."""
        if not isinstance(node, Leaf) or node.kind not in {"integer", "number"}:
            self._wrong_type(node, what, "a number")
            return None
        try:
            return float(node.text)
        except ValueError:  # YAML's .inf, .nan and 0x1F
            return math.nan

    def expression(self, parse: Callable[[str], T]) -> Read[T]:
        """Make a method that reads a text with its own grammar; errors are noted at their place within the text."""

        def read(node: Node, what: str) -> T | None:
            text = self.name(node, what)
            try:
                return None if text is None else parse(text)
            except ExpressionError as error:
                self.note_expression(node, error)
                return None

        return read

    def note_expression(self, node: Node, error: ExpressionError) -> None:
        """Note what is wrong with a part of a text, if the part can be found in the source (escapes hide it)."""
        start = self.source.text.find(node.text.strip(), node.start, node.end) if isinstance(node, Leaf) else -1
        span = (node.start, node.end) if start < 0 else (start + error.offset, start + error.offset + error.length)
        self.problems.append(self.source.problem(span, error.code, error.message, help=error.help, label=error.label))

    def _clean(self, leaf: Leaf, what: str, *, lines: bool = False) -> str | None:
        text = leaf.text.strip()
        if not text:
            self.note(leaf, "empty", f"{what} is empty")
        elif CONTROL.search(text.replace("\n", "") if lines else text):
            self.note(leaf, "control-character", f"{what} has characters that cannot be shown")
        else:
            return text
        return None

    def _wrong_type(self, node: Node, what: str, expected: str) -> None:
        found = _FOUND[node.kind] if isinstance(node, Leaf) else "a list" if isinstance(node, Items) else "a mapping"
        help = "put it in quotes" if expected == "text" and isinstance(node, Leaf) else None
        self.note(node, "wrong-type", f"{what} should be {expected}, not {found}", help=help)


def optional(fields: Mapping[str, Node], key: str, read: Read[T]) -> T | None:
    """Read the value of a key if it is there."""
    return read(fields[key], f"`{key}`") if key in fields else None


def suggestion(word: str, known: Collection[str], what: str) -> str:
    """Say which known word was meant, or which there are."""
    close = difflib.get_close_matches(word, [*known][:_COMPARED], n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    listed = [*known][:_LISTED] + ["..."] * (len(known) > _LISTED)
    return f"{what}: {', '.join(listed)}"
