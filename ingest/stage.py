"""k6's NDJSON and CSV into one staged Parquet shape, read by DuckDB itself.

The staged file has a row per line: ``kind`` (0 point, 1 metric definition, 2 another object, 3 CSV header that comes
again, NULL not k6's), ``metric``, ``tags`` (JSON text of the tags; of a definition, its data), ``t`` (TIMESTAMPTZ) and
``v`` (DOUBLE). CSV lines that are no row under their header are left out and counted.
Tag texts repeat, so Parquet's dictionary keeps them small until they are interned.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from data.errors import ArtefactTooLarge, UnreadableArtefact
from data.sql import file_pattern, literal, name

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.limits import Limits
    from ingest.recognise import Shape

POINT, DEFINITION, HEADER = 0, 1, 3
METRIC_BYTES = 128
"""k6's own limit for the name of a metric."""

# Read again at once and thrown away: cheap to write comes first. DuckDB holds a row group per thread in memory.
_FORMAT = "FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE 40960"

_NDJSON = f"""
    SELECT CASE WHEN type IS NULL OR metric IS NULL OR strlen(metric) > {METRIC_BYTES} THEN NULL
                WHEN type = 'Point' THEN {POINT} WHEN type = 'Metric' THEN {DEFINITION} ELSE 2 END::UTINYINT AS kind,
           metric,
           CASE WHEN type = 'Metric'
                THEN json_object('type', data.type, 'contains', data.contains,
                                 'thresholds', data.thresholds, 'submetrics', data.submetrics)::VARCHAR
                ELSE coalesce(data.tags, '{{}}') END AS tags,
           TRY_CAST(data.time AS TIMESTAMPTZ) AS t,
           data.value AS v
    FROM read_ndjson($source, ignore_errors = true, maximum_object_size = $line_bytes, columns = {{
        metric: 'VARCHAR', type: 'VARCHAR',
        data: 'STRUCT("time" VARCHAR, "value" DOUBLE, tags VARCHAR, "type" VARCHAR, contains VARCHAR,
                      thresholds VARCHAR, submetrics VARCHAR)'}})
"""

# k6 writes whole numbers of s, ms, us or ns, or RFC 3339; a whole number's size tells which, from 1973 to 5138.
_CSV_TIME = """
    CASE WHEN try_cast(timestamp AS BIGINT) IS NULL THEN TRY_CAST(timestamp AS TIMESTAMPTZ)
         WHEN timestamp::BIGINT < 0 THEN NULL
         ELSE make_timestamptz(CASE WHEN timestamp::BIGINT < 100000000000 THEN timestamp::BIGINT * 1000000
                                    WHEN timestamp::BIGINT < 100000000000000 THEN timestamp::BIGINT * 1000
                                    WHEN timestamp::BIGINT < 100000000000000000 THEN timestamp::BIGINT
                                    ELSE timestamp::BIGINT // 1000 END) END
"""
# k=v&k=v, unescaped: the first = of each piece separates. As JSON text, where the last of two equal keys counts.
_CSV_EXTRA_TAGS = """
    coalesce(array_to_string(list_transform(
        list_filter(string_split(extra_tags, '&'), lambda p: contains(p, '=')),
        lambda p: ',' || to_json(split_part(p, '=', 1)) || ':' || to_json(substr(p, instr(p, '=') + 1))), ''), '')
"""
_CSV_OWN = ("metric_name", "timestamp", "metric_value", "extra_tags", "metadata")
_CSV_LINE_BYTES = 1 << 16
_CSV_REFUSED_KEPT = 100_000
_CSV_COLUMNS = 200
_LINE_START = re.compile(rb"[\r\n][^\r\n]")
_PIECE = 1 << 20


@dataclass(frozen=True)
class Source:
    """A file without compression, and what its user calls it."""

    path: Path
    name: str
    shape: Shape


@dataclass(frozen=True)
class Refused:
    """CSV lines that are no row of their own: how many, and the number of the first that does not fit the header."""

    lines: int = 0
    first_line: int | None = None


def stage(connection: duckdb.DuckDBPyConnection, source: Source, target: Path, limits: Limits) -> Refused:
    """Read ``source`` into the staged file ``target``; return the rows that were left out.

    Raises:
        UnreadableArtefact: a line is too long, or the CSV header is not k6's.
    """
    path = file_pattern(source.path)
    try:
        if source.shape == "k6-csv":
            rows = copy(connection, _csv_select(source), target, {"source": path})
            return _refused(connection, source, rows)
        copy(connection, _NDJSON, target, {"source": path, "line_bytes": limits.line_bytes})
    except duckdb.InvalidInputException as error:
        if "maximum_object_size" in str(error):
            raise ArtefactTooLarge(
                f"a line of {source.name} is longer than {limits.line_bytes >> 20} MiB; k6's have a few hundred bytes",
                help="upload the file that k6 wrote",
            ) from error
        raise UnreadableArtefact(
            f"{source.name} could not be read: {str(error).splitlines()[0]}", help="upload the file that k6 wrote"
        ) from error
    return Refused()


def first_not_k6s(connection: duckdb.DuckDBPyConnection, source: Source, limits: Limits) -> int | None:
    """The number of the first NDJSON line that is not k6's, blank lines apart. Slow: only for files that have one."""
    connection.execute("SET preserve_insertion_order = true")
    found = connection.execute(
        f"SELECT n FROM (SELECT row_number() OVER () AS n, kind FROM ({_NDJSON})) WHERE kind IS NULL LIMIT 1",
        {"source": file_pattern(source.path), "line_bytes": limits.line_bytes},
    ).fetchone()
    connection.execute("SET preserve_insertion_order = false")
    return int(found[0]) if found else None


def ends_mid_line(source: Source) -> bool:
    """Does the file lack the line end that k6 writes after every line?"""
    with source.path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def copy(connection: duckdb.DuckDBPyConnection, select: str, target: Path, parameters: dict[str, object]) -> int:
    """Write what is selected as a staged file; how many rows that was."""
    (rows,) = connection.execute(f"COPY ({select}) TO {literal(target)} ({_FORMAT})", parameters).fetchall()[0]
    return int(rows)


def _refused(connection: duckdb.DuckDBPyConnection, source: Source, rows: int) -> Refused:
    """Every line must have become a row: a quote that is not closed makes one row, or none, of all lines behind it."""
    (first_line,) = connection.execute("SELECT min(line) FROM refused").fetchall()[0]
    connection.execute("DROP TABLE refused; DROP TABLE refused_scans")
    return Refused(max(0, _lines(source) - 1 - rows), first_line)


def _lines(source: Source) -> int:
    """How many lines of a file are not empty."""
    lines, last = 0, b"\n"
    with source.path.open("rb") as file:
        while piece := file.read(_PIECE):
            lines += len(_LINE_START.findall(last + piece))
            last = piece[-1:]
    return lines


def _csv_select(source: Source) -> str:
    header = _csv_header(source)
    columns = "{" + ", ".join(f"{literal(column)}: 'VARCHAR'" for column in header) + "}"
    tags = "".join(f", {literal(column)}, {name(column)}" for column in header if column not in _CSV_OWN)
    return f"""
        SELECT CASE WHEN metric_name = 'metric_name' THEN {HEADER}
                    WHEN metric_name IS NULL OR strlen(metric_name) > {METRIC_BYTES} THEN NULL
                    ELSE {POINT} END::UTINYINT AS kind,
               metric_name AS metric,
               left(json_object('', ''{tags})::VARCHAR, -1) || {_CSV_EXTRA_TAGS} || '}}' AS tags,
               {_CSV_TIME} AS t,
               try_cast(metric_value AS DOUBLE) AS v
        FROM read_csv($source, header = true, delim = ',', quote = '"', escape = '"', columns = {columns},
                      auto_detect = false, max_line_size = {_CSV_LINE_BYTES}, store_rejects = true,
                      rejects_table = 'refused', rejects_scan = 'refused_scans', rejects_limit = {_CSV_REFUSED_KEPT})
    """


def _csv_header(source: Source) -> list[str]:
    with source.path.open("rb") as file:
        line = file.readline(_CSV_LINE_BYTES).decode("utf-8-sig", "replace").strip()
    header = line.split(",")
    known = header[:3] == ["metric_name", "timestamp", "metric_value"] and "extra_tags" in header
    distinct = {column.strip().lower() for column in header} - {""}  # as DuckDB tells columns apart
    # A byte 0 would end the statement that names the columns, in the middle.
    if not known or "\0" in line or len(distinct) < len(header) or len(header) > _CSV_COLUMNS:
        raise UnreadableArtefact(
            f"the CSV header of {source.name} is not k6's: {line[:120]}",
            help="expected metric_name,timestamp,metric_value,...,extra_tags,metadata",
        )
    return header
