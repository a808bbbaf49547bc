"""Text into SQL, for the few places that DuckDB takes no parameter: file names in COPY and table functions."""

from __future__ import annotations

import re

_WILD = re.compile(r"([*?\[])")


def literal(value: object) -> str:
    """A quoted SQL string."""
    return "'" + str(value).replace("'", "''") + "'"


def file_pattern(path: object) -> str:
    """What DuckDB reads as this one file, where it would take ``*``, ``?`` and ``[`` in the path for a pattern."""
    return _WILD.sub(r"[\1]", str(path))


def name(value: str) -> str:
    """A quoted SQL identifier."""
    return '"' + value.replace('"', '""') + '"'
