"""Questions to the sample blocks. One small interface, and DuckDB's answers to it.

All work is SQL over Parquet; nothing here loops over samples. Percentiles are k6's own: linear between order
statistics at ``p * (n - 1)``, which is ``quantile_cont``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import duckdb

from data import blocks
from data.errors import BadRequest, Busy
from data.sql import file_pattern, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

BLOCKS_OF_TIME = 30
"""Into how many equal spans of time a run is cut to see how much its requests depend on each other."""


@dataclass(frozen=True)
class Span:
    """One span of time of one group: ``n`` samples, of which ``hits`` are at or below the level (or non-zero)."""

    n: int
    hits: int
    sum: float


class SampleEngine(Protocol):
    """What Phasegate asks of the samples of one run. A group is a named set of series ids."""

    def spans(
        self, run_id: str, groups: Mapping[str, Sequence[int]], levels: Mapping[str, float | None]
    ) -> dict[str, list[Span]]:
        """Each group over equal spans of its own time; hits are <= the group's level, or != 0 where it is ``None``."""
        ...

    def quantiles(
        self, run_id: str, groups: Mapping[str, Sequence[int]], at: Mapping[str, Sequence[float]]
    ) -> dict[str, tuple[float, ...]]:
        """Each group's own quantiles."""
        ...

    def query(self, run_id: str, sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """One SELECT over the run's ``samples(series_id, t, v)``.

        Raises:
            BadRequest: it is something else.
            StoreError: the run's block is missing or damaged.
            Busy: all the questions asked at this time need more memory than there is.
        """
        ...


_SELECTED = """
    WITH member AS (SELECT unnest($names) AS name, unnest($ids) AS series_id),
    sample AS (SELECT m.name, s.t, s.v FROM samples s JOIN member m USING (series_id))
"""


class DuckDBSamples:
    """The engine of the embedded store: one in-memory DuckDB that may read the blocks folder and nothing else."""

    def __init__(self, folder: Path, *, memory_limit: str = "1GB", threads: int = 2) -> None:
        self._blocks = folder
        self._root = duckdb.connect(config={"memory_limit": memory_limit, "threads": threads, "temp_directory": ""})
        allowed = f"{literal(folder)}, {literal(file_pattern(folder))}"  # as it is called, and as it is asked for
        self._root.execute(f"SET TimeZone = 'UTC'; SET allowed_directories = [{allowed}]")
        self._root.execute("SET enable_external_access = false")
        self._root.execute("SET lock_configuration = true")

    def close(self) -> None:
        """Release the engine."""
        self._root.close()

    def spans(
        self, run_id: str, groups: Mapping[str, Sequence[int]], levels: Mapping[str, float | None]
    ) -> dict[str, list[Span]]:
        """See :class:`SampleEngine`."""
        sql = f"""{_SELECTED},
            level AS (SELECT unnest($level_names) AS name, unnest($levels) AS level),
            edge AS (SELECT name, min(epoch_us(t)) AS low, max(epoch_us(t)) + 1 AS high FROM sample GROUP BY name)
            SELECT name, count(*), count(*) FILTER (CASE WHEN level IS NULL THEN v <> 0 ELSE v <= level END), sum(v)
            FROM sample JOIN level USING (name) JOIN edge USING (name)
            GROUP BY name, (epoch_us(t) - low) * {BLOCKS_OF_TIME} // (high - low)
            ORDER BY name, min(t)"""
        found: dict[str, list[Span]] = {}
        levelled = {"level_names": list(levels), "levels": list(levels.values())}
        for name, n, hits, total in self._rows(run_id, groups, sql, levelled):
            found.setdefault(name, []).append(Span(n, hits, total))
        return found

    def quantiles(
        self, run_id: str, groups: Mapping[str, Sequence[int]], at: Mapping[str, Sequence[float]]
    ) -> dict[str, tuple[float, ...]]:
        """See :class:`SampleEngine`."""
        # The levels must be constants for DuckDB: ask for all of them, keep each group's own.
        wanted = sorted({level for levels in at.values() for level in levels})
        place = {level: i for i, level in enumerate(wanted)}
        sql = f"{_SELECTED} SELECT name, quantile_cont(v, {_array(wanted)}) FROM sample GROUP BY name"
        return {
            name: tuple(values[place[level]] for level in at[name]) for name, values in self._rows(run_id, groups, sql)
        }

    def query(self, run_id: str, sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """See :class:`SampleEngine`."""
        # The folder that may be read could be written to as well: let nothing through that writes.
        if [statement.type for statement in self._root.extract_statements(sql)] != [duckdb.StatementType.SELECT]:
            raise BadRequest("samples are only read", help="ask one SELECT of samples(series_id, t, v)")
        parts = self._parts(run_id)
        if not parts:
            return []
        source = ", ".join(literal(file_pattern(part)) for part in parts)
        try:
            with self._root.cursor() as cursor:
                cursor.execute(f"CREATE TEMP VIEW samples AS FROM read_parquet([{source}])")  # the cursor's own
                return cursor.execute(sql, parameters or None).fetchall()
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise blocks.damaged(run_id) from error
        except duckdb.OutOfMemoryException as error:  # the limit holds for all who ask at this time
            raise Busy(
                f"the samples of run {run_id} take more memory than questions may use now",
                help="ask again in a moment; if it stays so, let k6 write fewer metrics and names",
            ) from error

    def _rows(
        self, run_id: str, groups: Mapping[str, Sequence[int]], sql: str, more: Mapping[str, object] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        members = [(name, series_id) for name, ids in groups.items() for series_id in ids]
        if not members:
            return iter(())
        names, ids = zip(*members, strict=True)
        return iter(self.query(run_id, sql, {"names": list(names), "ids": list(ids), **(more or {})}))

    def _parts(self, run_id: str) -> list[Path]:
        folder = self._blocks / run_id
        if not folder.is_dir():
            raise blocks.missing(run_id)
        return blocks.parts(folder)


def _array(levels: Sequence[float]) -> str:
    return "[" + ", ".join(repr(float(level)) for level in levels) + "]"
