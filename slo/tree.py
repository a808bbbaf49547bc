"""YAML as a tree in which every value knows where it stands.

Built from ruamel.yaml's events, so that what a configuration has no use for and an attacker has (aliases that multiply,
depth without end, tags that name types) is refused when it is first seen, before anything is made of it. Scalars are
YAML 1.2: ``yes`` is text, ``7A`` is text, ``1`` is a number that remembers how it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
)
from ruamel.yaml.reader import ReaderError

from slo.source import InvalidConfig, Source, quoted

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20

_WRITE_OUT = "write the value out where it is used"

Kind = Literal["text", "integer", "number", "boolean", "nothing"]

# The core schema of YAML 1.2, chapter 10.3.2.
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("nothing", re.compile(r"~|null|Null|NULL|")),
    ("boolean", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("integer", re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")),
    ("number", re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")),
    ("number", re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")),
)


@dataclass(frozen=True)
class Leaf:
    """A scalar: what it would be in YAML, and its text as written, between two offsets of the source."""

    kind: Kind
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Items:
    """A list."""

    nodes: tuple[Node, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Table:
    """A mapping in the order of the file; a key that is written twice is there twice."""

    entries: tuple[tuple[Node, Node], ...]
    start: int
    end: int


Node = Leaf | Items | Table


def read_tree(source: Source) -> Node | None:
    """Read the one document of a YAML text; ``None`` if there is nothing in it. Raises `InvalidConfig`."""
    return next(iter(_read(source, several=False)), None)


def read_documents(source: Source) -> list[Node]:
    """Read all documents of a YAML text, those without content left out; raises `InvalidConfig`."""
    return [tree for tree in _read(source, several=True) if not (isinstance(tree, Leaf) and tree.kind == "nothing")]


def _read(source: Source, *, several: bool) -> list[Node]:
    if len(source.text.encode(errors="replace")) > MAX_BYTES:
        _refuse(source, 0, "too-large", f"the file is larger than {MAX_BYTES // 1024} KiB")
    if source.text.startswith("\N{BYTE ORDER MARK}"):
        _refuse(source, 0, "byte-order-mark", "the file starts with a byte order mark", "save it as UTF-8 without BOM")
    try:
        return _Builder(source).documents(several=several)
    except MarkedYAMLError as error:
        _refuse_yaml(source, error)
    except ReaderError as error:
        message = f"this is not YAML: it has the character {error.character:#06x}"
        _refuse(source, error.position, "not-yaml", message)
    except (ValueError, OverflowError) as error:
        # ruamel.yaml lets through what chr() says of an escape such as "\UFFFFFFFF", and does not say where.
        _refuse(source, 0, "not-yaml", f"this is not YAML: {error}")


def _refuse(source: Source, offset: int, code: str, message: str, help: str | None = None) -> NoReturn:
    raise InvalidConfig(source, [source.problem((offset, offset + 1), code, message, help=help)])


def _refuse_yaml(source: Source, error: MarkedYAMLError) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    offset = mark.index if mark else 0
    line = source.text[source.text.rfind("\n", 0, offset) + 1 :]
    if "\t" in line[: len(line) - len(line.lstrip())]:
        _refuse(source, offset, "tab-indentation", "YAML cannot be indented with tabs", "use spaces")
    context = f" ({error.context})" if error.context else ""
    _refuse(source, offset, "not-yaml", f"this is not YAML: {error.problem}{context}")


class _Builder:
    """Builds the tree in one pass over the events."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._events: Iterator[Event] = YAML(typ="safe", pure=True).parse(source.text)

    def documents(self, *, several: bool) -> list[Node]:
        trees: list[Node] = []
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                if trees and not several:
                    self._refuse(event, "several-documents", "a second document starts here", "keep one per file")
                if event.version or event.tags:
                    self._refuse(event, "directive", "`%YAML` and `%TAG` lines are not supported", "remove them")
                trees.append(self._node(next(self._events), 1))
        return trees

    def _node(self, event: Event, depth: int) -> Node:
        self._check(event, depth)
        if isinstance(event, ScalarEvent):
            return _leaf(event)
        if isinstance(event, MappingStartEvent):
            return self._table(event, depth)
        return self._items(event, depth)

    def _items(self, start: Event, depth: int) -> Items:
        nodes = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            nodes.append(self._node(event, depth + 1))
        return Items(tuple(nodes), start.start_mark.index, event.end_mark.index)

    def _table(self, start: Event, depth: int) -> Table:
        entries = []
        while not isinstance(event := next(self._events), MappingEndEvent):
            entries.append((self._node(event, depth + 1), self._node(next(self._events), depth + 1)))
        return Table(tuple(entries), start.start_mark.index, event.end_mark.index)

    def _check(self, event: Event, depth: int) -> None:
        if isinstance(event, AliasEvent):
            self._refuse(event, "alias", f"the alias {quoted('*' + event.anchor)} is not supported", _WRITE_OUT)
        if isinstance(event, NodeEvent) and event.anchor:
            self._refuse(event, "alias", f"the anchor {quoted('&' + event.anchor)} is not supported", _WRITE_OUT)
        if isinstance(event, ScalarEvent | CollectionStartEvent) and event.ctag:
            self._refuse(event, "tag", f"the tag {quoted(str(event.ctag))} is not supported", "remove it")
        if depth > MAX_DEPTH:
            self._refuse(event, "too-deep", f"this is nested deeper than {MAX_DEPTH} levels")

    def _refuse(self, event: Event, code: str, message: str, help: str | None = None) -> NoReturn:
        _refuse(self._source, event.start_mark.index, code, message, help)


def _leaf(event: ScalarEvent) -> Leaf:
    plain = event.style is None
    kinds = (kind for kind, pattern in _KINDS if plain and pattern.fullmatch(event.value))
    return Leaf(next(kinds, "text"), event.value, event.start_mark.index, event.end_mark.index)
