"""Facts of a run: what was true where it ran, by name, as a number, a truth value or a text.

CI says them (``seeded_users=10000``), and entry criteria of a phase compare them. Names may have dots.
"""

from __future__ import annotations

import json
import math
import re
from textwrap import shorten
from typing import TYPE_CHECKING

from data.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Fact = bool | float | str
Facts = dict[str, Fact]

MOST_FACTS = 500
LONGEST = 500
"""Characters of a text, or of a name."""

_SHOWN = 60
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_NUMBER = re.compile(r"[-+]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][-+]?[0-9]{1,3})?")
_EXAMPLE = "write seeded_users=10000: a name of letters, digits, `_` and dots, and a value"


def facts_of(pairs: Sequence[str]) -> Facts:
    """``["migrated=true", "pool=50", "db=15.2-alpine"]`` as facts; a value in quotes is a text whatever it looks like.

    Raises:
        BadRequest: a pair is no fact, or a name comes twice with different values.
    """
    found: Facts = {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or not text:
            raise BadRequest(f"the fact {_short(pair)} has no value", help=_EXAMPLE)
        _add(found, name, _value(name, text))
    return found


def facts_in(document: str | bytes) -> Facts:
    """The facts of a JSON document: an object; objects inside it give names with dots.

    Raises:
        BadRequest: it is no such document.
    """
    try:
        tree = json.loads(document, parse_constant=_no_number, object_pairs_hook=_each_once)
        leaves = list(_leaves(tree)) if isinstance(tree, dict) else None
    except (ValueError, RecursionError) as error:
        told = str(error) if isinstance(error, ValueError) else "nested too deep"
        raise BadRequest(f"facts cannot be read: {told}", help="write a JSON object") from error
    if leaves is None:
        raise BadRequest("facts are a JSON object", help='write {"seeded_users": 10000}')
    found: Facts = {}
    for name, value in leaves:
        if not isinstance(value, bool | int | float | str):
            raise BadRequest(f"the fact {name} is neither number, truth value nor text", help=_EXAMPLE)
        _add(found, name, value if isinstance(value, bool | str) else _finite(name, value))
    return found


def together(parts: Iterable[Facts]) -> Facts:
    """All facts of several sources.

    Raises:
        BadRequest: two of them disagree.
    """
    found: Facts = {}
    for part in parts:
        for name, value in part.items():
            _add(found, name, value)
    return found


def pairs_of(facts: Facts) -> list[str]:
    """The other way round, to the last digit: what :func:`facts_of` reads as the same facts."""
    return [f"{name}={fact!r}" if isinstance(fact, float) else f"{name}={said(fact)}" for name, fact in facts.items()]


def said(fact: Fact) -> str:
    """A fact as people write it."""
    if isinstance(fact, bool):
        return "true" if fact else "false"
    return f"{fact:.15g}" if isinstance(fact, float) else f'"{fact}"'


def _value(name: str, text: str) -> Fact:
    if text in {"true", "false"}:
        return text == "true"
    if _NUMBER.fullmatch(text):
        return _finite(name, float(text))
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _add(found: Facts, name: str, value: Fact) -> None:
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise BadRequest(f"{_short(name)} is no name of a fact", help=_EXAMPLE)
    if isinstance(value, str) and len(value) > LONGEST:
        raise BadRequest(f"the fact {name} has more than {LONGEST} characters", help="attach it as a file instead")
    if name in found and (found[name] != value or type(found[name]) is not type(value)):
        raise BadRequest(f"the fact {name} is said twice: {said(found[name])} and {said(value)}", help="say it once")
    if len(found) >= MOST_FACTS:
        raise BadRequest(f"there are more than {MOST_FACTS} facts", help="say those that entry criteria ask for")
    found[name] = value


def _leaves(tree: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{rest}", leaf) for rest, leaf in _leaves(value))
        else:
            yield name, value


def _finite(name: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadRequest(f"the fact {name} is too large a number", help=_EXAMPLE)
    return number


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _short(text: str) -> str:
    return repr(shorten(text, _SHOWN, placeholder="..."))
