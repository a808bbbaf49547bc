"""k6's NDJSON and CSV into one staged Parquet shape, read by DuckDB itself.

The staged file has a row per line: ``kind`` (0 point, 1 metric definition, 2 another object, NULL not readable),
``metric``, ``tags`` (JSON text of the tags; of a definition, its data), ``t`` (TIMESTAMPTZ) and ``v`` (DOUBLE).
Tag texts repeat, so Parquet's dictionary keeps them small until they are interned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from data.errors import ArtefactTooLarge, UnreadableArtefact
from data.sql import literal, name

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.limits import Limits
    from ingest.recognise import Shape

POINT, DEFINITION = 0, 1

# Read again at once and thrown away: cheap to write comes first. DuckDB holds a row group per thread in memory.
_FORMAT = "FORMAT parquet, COMPRESSION lz4_raw, ROW_GROUP_SIZE 40960"

_NDJSON = """
    SELECT CASE type WHEN 'Point' THEN 0 WHEN 'Metric' THEN 1
                     ELSE CASE WHEN metric IS NULL AND type IS NULL THEN NULL ELSE 2 END END::UTINYINT AS kind,
           metric,
           CASE WHEN type = 'Metric'
                THEN json_object('type', data.type, 'contains', data.contains,
                                 'thresholds', data.thresholds, 'submetrics', data.submetrics)::VARCHAR
                ELSE coalesce(data.tags, '{}') END AS tags,
           TRY_CAST(data.time AS TIMESTAMPTZ) AS t,
           data.value AS v
    FROM read_ndjson($source, ignore_errors = true, columns = {
        metric: 'VARCHAR', type: 'VARCHAR',
        data: 'STRUCT("time" VARCHAR, "value" DOUBLE, tags VARCHAR, "type" VARCHAR, contains VARCHAR,
                      thresholds VARCHAR, submetrics VARCHAR)'})
"""

# k6 writes whole numbers of s, ms, us or ns, or RFC 3339; a whole number's size tells which, from 1973 to 5138.
_CSV_TIME = """
    CASE WHEN try_cast(timestamp AS BIGINT) IS NULL THEN TRY_CAST(timestamp AS TIMESTAMPTZ)
         ELSE make_timestamptz(CASE WHEN abs(timestamp::BIGINT) < 100000000000 THEN timestamp::BIGINT * 1000000
                                    WHEN abs(timestamp::BIGINT) < 100000000000000 THEN timestamp::BIGINT * 1000
                                    WHEN abs(timestamp::BIGINT) < 100000000000000000 THEN timestamp::BIGINT
                                    ELSE timestamp::BIGINT // 1000 END) END
"""
_CSV_OWN = ("metric_name", "timestamp", "metric_value", "extra_tags", "metadata")


def stage(connection: duckdb.DuckDBPyConnection, source: Path, shape: Shape, target: Path, limits: Limits) -> None:
    """Read a plain file of ``shape`` into the staged file ``target``.

    Raises:
        UnreadableArtefact: a line is too long, or the CSV header is not k6's.
    """
    select = _NDJSON if shape == "k6-json" else _csv_select(source)
    try:
        connection.execute(f"COPY ({select}) TO {literal(target)} ({_FORMAT})", {"source": str(source)})
    except duckdb.InvalidInputException as error:
        if "maximum_object_size" in str(error):
            raise ArtefactTooLarge(
                f"a line is longer than {limits.line_bytes >> 20} MiB; k6's lines are a few hundred bytes",
                help="upload the file that k6 wrote",
            ) from error
        raise UnreadableArtefact(f"could not be read: {str(error).splitlines()[0]}") from error


def _csv_select(source: Path) -> str:
    with source.open("rb") as file:
        header = file.readline(1 << 16).decode("utf-8", "replace").strip().split(",")
    if header[:3] != ["metric_name", "timestamp", "metric_value"] or "extra_tags" not in header:
        raise UnreadableArtefact(
            f"the CSV header is not k6's: {','.join(header)[:120]}",
            help="expected metric_name,timestamp,metric_value,...,extra_tags,metadata",
        )
    columns = "{" + ", ".join(f"{literal(column)}: 'VARCHAR'" for column in header) + "}"
    tags = ", ".join(f"{literal(column)}, {name(column)}" for column in header if column not in _CSV_OWN)
    # extra_tags is k=v&k=v, unescaped: the first = of each piece separates.
    extra = """CASE WHEN extra_tags IS NULL THEN '{}' ELSE to_json(map_from_entries(list_transform(
        list_filter(string_split(extra_tags, '&'), lambda p: contains(p, '=')),
        lambda p: {'k': split_part(p, '=', 1), 'v': substr(p, instr(p, '=') + 1)})))::VARCHAR END"""
    return f"""
        SELECT CASE WHEN metric_name IS NULL OR metric_value IS NULL THEN NULL ELSE {POINT} END::UTINYINT AS kind,
               metric_name AS metric,
               json_merge_patch(json_object({tags}), {extra})::VARCHAR AS tags,
               {_CSV_TIME} AS t,
               try_cast(metric_value AS DOUBLE) AS v
        FROM read_csv($source, header = true, delim = ',', quote = '"', escape = '"', columns = {columns},
                      auto_detect = false, null_padding = true, ignore_errors = true, strict_mode = false)
    """
