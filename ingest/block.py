"""From staged rows to a sample block: intern the tags, number the series, sort, and describe what is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from data.blocks import PARTS, part_name
from data.errors import BadInput
from data.k6_metrics import metric_named
from data.model import Metric, MetricStats, Series, Threshold
from data.sql import file_pattern, literal
from ingest.collapse import collapse
from ingest.record import Window
from ingest.stage import DEFINITION, HEADER, POINT
from ingest.summary import metric_contains, metric_type
from ingest.tags import bounded, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import duckdb

    from ingest.limits import Limits
    from ingest.stage import Refused

# Times that a calendar shows, and values whose sums and squares stay finite.
_KEPT = f"kind = {POINT} AND t BETWEEN '1970-01-01'::TIMESTAMPTZ AND '9999-01-01'::TIMESTAMPTZ AND abs(v) <= 1e100"

# Version 2 keeps times as differences: a block is a tenth smaller than in version 1, and written faster.
_FORMAT = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd"


@dataclass(frozen=True)
class Counts:
    """What became of a staged file's lines."""

    lines: int
    points: int
    malformed: int
    dropped: int


def counts(connection: duckdb.DuckDBPyConnection, staged: Path, refused: Refused) -> Counts:
    """Lines, points kept, lines that could not be read, and points without a finite value or a time."""
    lines, points, malformed, dropped = connection.execute(
        f"""SELECT count(*), count(*) FILTER ({_KEPT}), count(*) FILTER (kind IS NULL),
                   count(*) FILTER (kind = {POINT} AND ({_KEPT}) IS NOT TRUE)
            FROM {_read([staged])}"""
    ).fetchall()[0]
    return Counts(lines + refused.lines, points, malformed + refused.lines, dropped)


def window(connection: duckdb.DuckDBPyConnection, staged: Path, name: str) -> Window:
    """When the samples of a staged file were taken, and their test ids."""
    first, last, ids = connection.execute(
        f"""SELECT min(t), max(t),
                   array_agg(DISTINCT json_extract_string(CASE WHEN json_valid(tags) THEN tags END, '$.testid'))
            FROM {_read([staged])} WHERE {_KEPT}"""
    ).fetchall()[0]
    return Window(name, first, last, frozenset(i for i in ids or () if i))


def definitions(connection: duckdb.DuckDBPyConnection, staged: Path, name: str) -> list[tuple[Metric, list[Threshold]]]:
    """The metrics that a file defines, with their thresholds.

    Raises:
        BadInput: a metric is defined twice, so the file holds more than one run.
    """
    rows = connection.execute(
        f"SELECT metric, kind = {HEADER}, any_value(tags), count(*) FROM {_read([staged])} "
        f"WHERE kind IN ({DEFINITION}, {HEADER}) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for metric, is_header, _, n in rows:
        if is_header or n > 1:
            what = f"the CSV header comes {n + 1}" if is_header else f"the definition of {metric} comes {n}"
            raise BadInput(
                f"{name} holds several runs one after the other: {what} times",
                help="upload each run on its own; parts of one run go as separate files of one upload",
            )
    return [_definition(metric, orjson.loads(data)) for metric, _, data, _ in rows]


def write_parts(
    connection: duckdb.DuckDBPyConnection, staged: Sequence[Path], folder: Path, limits: Limits
) -> tuple[list[Series], dict[str, int]]:
    """Write ``part-N.parquet`` for every staged file; return the run's series and the tags that were collapsed.

    Raises:
        BadInput: there are more metrics than any k6 script has.
    """
    fewer, collapsed = collapse(connection, staged, limits.tag_texts)
    collapsed |= _intern(connection, _read(fewer), limits)
    for number, path in enumerate(fewer):
        connection.execute(
            f"""COPY (SELECT series_id, t, v FROM {_read([path])} JOIN series_of USING (metric, tags)
                             WHERE {_KEPT} ORDER BY series_id, t)
                TO {literal(folder / part_name(number))} ({_FORMAT})"""
        )
    return _describe(connection, folder), collapsed


def metric_stats(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, MetricStats]:
    """Every metric over the whole run, setup and teardown included, as k6's own summary has it.

    To be asked after :func:`write_parts`, on the same connection: only percentiles need the samples once more, and only
    of what varies (half of k6's samples are always 0 or 1).
    """
    rows = connection.execute(
        f"""WITH varies AS (
                SELECT metric FROM described JOIN series USING (series_id) GROUP BY metric HAVING min(low) < max(high)
            ), distributed AS (
                SELECT metric, quantile_cont(v, [0.5, 0.9, 0.95, 0.99]) AS percentiles
                FROM {_parts(folder)} JOIN series USING (series_id) SEMI JOIN varies USING (metric) GROUP BY metric
            )
            SELECT metric, sum(n)::BIGINT, sum(total), min(low), max(high), sum(total) / sum(n), sum(nonzero)::BIGINT,
                   arg_max(latest, last_at), coalesce(any_value(percentiles), list_resize([min(low)], 4, min(low)))
            FROM described JOIN series USING (series_id) LEFT JOIN distributed USING (metric) GROUP BY metric"""
    ).fetchall()
    return {
        metric: MetricStats(n, total, low, high, avg, med, p90, p95, p99, nonzero, last)
        for metric, n, total, low, high, avg, nonzero, last, (med, p90, p95, p99) in rows
    }


def _intern(connection: duckdb.DuckDBPyConnection, everything: str, limits: Limits) -> dict[str, int]:
    """Make ``series(metric, tag_set, series_id)``, ``tag_names(tag_set, tag_json)``, and which series texts mean.

    That is ``series_of(metric, tags, series_id)``, one small table, for every sample is joined with it.
    """
    connection.execute(
        f"""CREATE TEMP TABLE written AS
            SELECT DISTINCT metric, tags FROM {everything} WHERE {_KEPT}"""
    )
    found = connection.execute("SELECT DISTINCT tags FROM written").fetchall()
    texts = [text for (text,) in found]
    kept, collapsed = bounded([canonical(text, limits.tag_characters) for text in texts], limits.series)
    number = {tags: i for i, tags in enumerate(sorted(set(kept)))}
    connection.execute(
        "CREATE TEMP TABLE tag_sets AS SELECT unnest($texts) AS tags, unnest($numbers) AS tag_set",
        {"texts": texts, "numbers": [number[tags] for tags in kept]},
    )
    connection.execute(
        "CREATE TEMP TABLE tag_names AS SELECT unnest($numbers) AS tag_set, unnest($json) AS tag_json",
        {"numbers": list(number.values()), "json": [orjson.dumps(dict(tags)).decode() for tags in number]},
    )
    connection.execute(
        """CREATE TEMP TABLE series AS
           SELECT metric, tag_set, (row_number() OVER (ORDER BY metric, tag_set))::BIGINT AS series_id
           FROM (SELECT DISTINCT metric, tag_set FROM written JOIN tag_sets USING (tags))"""
    )
    connection.execute(
        """CREATE TEMP TABLE series_of AS
           SELECT metric, tags, series_id FROM written JOIN tag_sets USING (tags) JOIN series USING (metric, tag_set)"""
    )
    names = connection.execute("SELECT count(DISTINCT metric) FROM series").fetchone()
    if names and names[0] > limits.metrics:
        raise BadInput(
            f"the run has {names[0]:,} different metrics; at most {limits.metrics:,} are kept",
            help="give custom metrics fixed names and put what varies into tags",
        )
    return collapsed


def _describe(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[Series]:
    connection.execute(
        f"""CREATE TEMP TABLE described AS
            SELECT series_id, count(*) AS n, sum(v) AS total, min(v) AS low, max(v) AS high,
                   count(*) FILTER (v <> 0) AS nonzero, min(t) AS first_at, max(t) AS last_at, arg_max(v, t) AS latest
            FROM {_parts(folder)} GROUP BY series_id"""
    )
    rows = connection.execute(
        """SELECT series_id, metric, tag_json, n, total, low, high, nonzero, first_at, last_at, latest
           FROM described JOIN series USING (series_id) JOIN tag_names USING (tag_set) ORDER BY series_id"""
    ).fetchall()
    return [Series(series_id, metric, orjson.loads(tags), *rest) for series_id, metric, tags, *rest in rows]


def _parts(folder: Path) -> str:
    return _read(sorted(folder.glob(PARTS)))


def _read(paths: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(file_pattern(path)) for path in paths)}])"


def _definition(name: str, data: dict[str, Any]) -> tuple[Metric, list[Threshold]]:
    submetrics = tuple(
        sub["name"]
        for sub in _json_list(data.get("submetrics"))
        if isinstance(sub, dict) and isinstance(sub.get("name"), str)
    )
    metric = Metric(
        name=name,
        type=metric_type(data.get("type")) if data.get("type") else metric_named(name).type,
        contains=metric_contains(data.get("contains")),
        submetrics=submetrics,
    )
    return metric, list(_thresholds(name, _json_list(data.get("thresholds"))))


def _thresholds(metric: str, listed: list[Any]) -> Iterable[Threshold]:
    for item in listed:
        match item:
            case str():
                yield Threshold(metric, item)
            case {"threshold": str() as source}:
                yield Threshold(metric, source, abort_on_fail=item.get("abortOnFail") is True)


def _json_list(text: object) -> list[Any]:
    try:
        found = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:  # a plain string, or lists nested without end
        return []
    return found if isinstance(found, list) else []
