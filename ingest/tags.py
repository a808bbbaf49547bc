"""From the tags k6 wrote to the tags kept: canonical, without secrets, and bounded in number."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

TagSet = tuple[tuple[str, str], ...]

COLLAPSED = "(many)"
_USER_INFO = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY = re.compile(r"(?P<kept>://[^?#\s]*)[?#]\S*")
_ANY_QUERY = re.compile(r"\?\S+")
_ADDRESSES = frozenset({"name", "url"})
"""Tags that hold the address of a request, which may be a path alone."""


def canonical(text: str, tag_characters: int) -> TagSet:
    """The tags in a JSON object's text, sorted.

    Empty values are absent (k6 writes ``"group": ""`` for no group). ``url`` goes where ``name`` stands for it. URLs
    lose user, password, query and fragment, where tokens travel. What is not an object has no tags.
    """
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ()
    if not isinstance(found, dict):
        return ()
    tags = {key: _without_secrets(key, _text(value)) for key, value in found.items()}
    if tags.get("name"):
        tags.pop("url", None)
    return tuple(sorted((key[:tag_characters], value[:tag_characters]) for key, value in tags.items() if value))


def bounded(tag_sets: Sequence[TagSet], limit: int) -> tuple[list[TagSet], dict[str, int]]:
    """At most ``limit`` distinct tag sets: the tags with most distinct values are collapsed until it holds.

    Returns the tag sets in the order given, and which tags were collapsed with how many distinct values they had.
    """
    current = list(tag_sets)
    collapsed: dict[str, int] = {}
    while len(set(current)) > limit:
        values: defaultdict[str, set[str]] = defaultdict(set)
        for tags in current:
            for key, value in tags:
                values[key].add(value)
        widest = max(values, key=lambda key: len(values[key]))
        if len(values[widest]) == 1:  # the keys themselves are without bound: nothing here names anything
            return [()] * len(current), collapsed | {"*": len(values)}
        collapsed[widest] = len(values[widest])
        current = [tuple((key, COLLAPSED if key == widest else value) for key, value in tags) for tags in current]
    return current, collapsed


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _without_secrets(key: str, value: str) -> str:
    if "://" in value:
        value = _QUERY.sub(r"\g<kept>", _USER_INFO.sub("", value))
    return _ANY_QUERY.sub("", value) if key in _ADDRESSES else value
