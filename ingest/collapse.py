"""Too many different tags for memory: made fewer inside DuckDB, file to file, before Python sees any of them.

An honest run does this, too: requests without a name carry ids in their URLs, and every request has tags of its own.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import orjson

from data.sql import file_pattern, literal
from ingest.stage import POINT, copy
from ingest.tags import COLLAPSED, canonical

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

_LOOKED_AT = 20_000
"""Tag texts, of all, from which the tag with most values is told."""
_WHOLE = 1 << 30
"""Characters of a tag that are looked at: all."""

# What ingest.tags does later, as far as it makes texts equal: no url beside a name, no query in either.
_TIDY = r"""
    regexp_replace(CASE WHEN json_valid(tags) AND json_extract_string(tags, '/name') <> ''
                        THEN json_merge_patch(tags, '{"url":null}')::VARCHAR ELSE tags END,
                   '("(?:name|url)":\s*"[^"?\\]*)\?(?:[^"\\\s]|\\.)+', '\1', 'g')
"""
_MARKED = (
    "CASE WHEN json_valid(tags) AND json_exists(tags, $at) THEN json_merge_patch(tags, $mark)::VARCHAR ELSE tags END"
)


def collapse(
    connection: duckdb.DuckDBPyConnection, staged: Sequence[Path], limit: int
) -> tuple[list[Path], dict[str, int]]:
    """Staged files with at most about ``limit`` distinct tag texts, and how many values each collapsed tag had.

    The tags with most values are marked as :data:`~ingest.tags.COLLAPSED`, one after the other; files that are
    rewritten on the way are removed.
    """
    paths, collapsed = list(staged), dict[str, int]()
    if _distinct(connection, paths) > limit:
        paths = _rewritten(connection, paths, _TIDY, {})
    while (texts := _distinct(connection, paths)) > limit:
        values = _values(connection, paths, 1 + texts // _LOOKED_AT)
        widest = max(values, key=lambda key: len(values[key]), default=None)
        if widest is None or widest in collapsed or len(values[widest]) < len(values):
            # The keys themselves are without bound (or there is no tag in all this): nothing here names anything.
            return _rewritten(connection, paths, "'{}'", {}), collapsed | {"*": len(values)}
        at = "/" + widest.replace("~", "~0").replace("/", "~1")
        collapsed[widest] = _values_at(connection, paths, at)
        mark = orjson.dumps({widest: COLLAPSED}).decode()
        paths = _rewritten(connection, paths, _MARKED, {"at": at, "mark": mark})
    return paths, collapsed


def _points(paths: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(file_pattern(path)) for path in paths)}]) WHERE kind = {POINT}"


def _distinct(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> int:
    (n,) = connection.execute(f"SELECT approx_count_distinct(tags) FROM {_points(paths)}").fetchall()[0]
    return int(n)


def _values_at(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], at: str) -> int:
    value = "json_extract_string(CASE WHEN json_valid(tags) THEN tags END, $at)"
    (n,) = connection.execute(f"SELECT count(DISTINCT {value}) FROM {_points(paths)}", {"at": at}).fetchall()[0]
    return int(n)


def _values(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], one_in: int) -> dict[str, set[str]]:
    """The values by tag, in one of so many texts; the same ones whenever the same run is read."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    found = connection.execute(f"SELECT DISTINCT tags FROM {_points(paths)} AND hash(tags) % {one_in} = 0")
    for (text,) in found.fetchall():
        for key, value in canonical(text, _WHOLE):
            values[key].add(value)
    return values


def _rewritten(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], tags: str, parameters: dict[str, object]
) -> list[Path]:
    """The files with other tags for their points, under new names."""
    targets = [path.with_name(f"{path.stem}-collapsed{path.suffix}") for path in paths]
    for path, target in zip(paths, targets, strict=True):
        tags_or_data = f"CASE WHEN kind = {POINT} THEN {tags} ELSE tags END AS tags"
        source = f"read_parquet({literal(file_pattern(path))})"
        copy(connection, f"SELECT * REPLACE ({tags_or_data}) FROM {source}", target, parameters)
        path.unlink()
    return targets
