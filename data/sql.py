"""Text into SQL, for the few places that DuckDB takes no parameter: file names in COPY and table functions."""

from __future__ import annotations


def literal(value: object) -> str:
    """A quoted SQL string."""
    return "'" + str(value).replace("'", "''") + "'"


def name(value: str) -> str:
    """A quoted SQL identifier."""
    return '"' + value.replace('"', '""') + '"'
