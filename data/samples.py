"""Questions to the sample blocks. One small interface, and DuckDB's answers to it.

All work is SQL over Parquet; nothing here loops over samples. Percentiles are k6's own: linear between order
statistics at ``p * (n - 1)``, which is ``quantile_cont``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
import numpy as np
from numpy.typing import NDArray

from data import blocks, pulled
from data.errors import BadRequest, Busy
from data.sql import file_pattern, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from data.model import Series

BLOCKS_OF_TIME = 30
"""Into how many equal spans of time a run is cut to see how much its requests depend on each other."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """How one group's samples are distributed, together and over equal spans of its time.

    ``quantiles`` are those at the ascending ``levels``. Of every span with samples: their number ``n``, their ``sums``,
    how many are not zero, and how many are at or ``below`` each quantile (spans x levels).
    """

    levels: tuple[float, ...]
    quantiles: Floats
    n: Floats
    sums: Floats
    nonzero: Floats
    below: Floats

    def quantile(self, level: float) -> float:
        """One of ``quantiles``; in the samples' unit."""
        return float(self.quantiles[self.levels.index(level)])

    def below_quantile(self, level: float) -> Floats:
        """Of every span, how many samples are at or below that quantile."""
        return self.below[:, self.levels.index(level)]


class SampleEngine(Protocol):
    """What Phasegate asks of the samples of one run. A group is a named set of series."""

    def distributions(
        self, run_id: str, groups: Mapping[str, Sequence[Series]], levels: Mapping[str, Sequence[float]]
    ) -> dict[str, Distribution]:
        """Every group that has samples; at these levels, or at none. Two statements, however many groups."""
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


_MEMBERS = "WITH member AS (SELECT unnest($places)::INTEGER AS place, unnest($ids) AS series_id)"


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

    def distributions(
        self, run_id: str, groups: Mapping[str, Sequence[Series]], levels: Mapping[str, Sequence[float]]
    ) -> dict[str, Distribution]:
        """See :class:`SampleEngine`."""
        filled = {name: series for name, series in groups.items() if series}
        ids = {name: [one.id for one in series] for name, series in filled.items()}
        wanted = sorted({level for name in filled for level in levels.get(name, ())})
        at = {name: wanted for name in filled if levels.get(name)}
        quantiles = self.quantiles(run_id, {name: ids[name] for name in at}, at)
        everything = (math.inf,) * len(wanted)  # settled at the first step
        columns = {f"q{i}": [quantiles.get(name, everything)[i] for name in filled] for i in range(len(wanted))}
        # Which quantile a sample is below is found once per sample; counting for each of them takes twice as long.
        step = "".join(f" WHEN v <= q{i} THEN {i}" for i in range(len(wanted)))
        sql = f"""
            {_MEMBERS},
            grouped AS (SELECT unnest(range(len($lows)))::INTEGER AS place, unnest($lows) AS low, unnest($highs) AS high
                        {"".join(f", unnest(${column}) AS {column}" for column in columns)}),
            member_of AS (FROM member JOIN grouped USING (place)),
            counted AS (
                SELECT place, (epoch_us(t) - low) * {BLOCKS_OF_TIME} // (high - low) AS span,
                       {f"CASE{step} ELSE {len(wanted)} END" if wanted else 0} AS step,
                       count(*) AS n, sum(v) AS total, count(*) FILTER (v <> 0) AS nonzero
                FROM samples JOIN member_of USING (series_id) GROUP BY ALL
            )
            SELECT place, sum(n)::DOUBLE, sum(total), sum(nonzero)::DOUBLE
                   {"".join(f", coalesce(sum(n) FILTER (step <= {i}), 0)::DOUBLE" for i in range(len(wanted)))}
            FROM counted GROUP BY place, span ORDER BY place, span"""
        bound: dict[str, object] = {
            "lows": [_microseconds(min(one.first_at for one in series)) for series in filled.values()],
            "highs": [_microseconds(max(one.last_at for one in series)) + 1 for series in filled.values()],
        }
        rows: dict[str, list[list[float]]] = {}
        for name, *row in self._rows(run_id, ids, sql, bound | columns):
            rows.setdefault(name, []).append(row)
        return {
            name: _distribution(wanted, quantiles.get(name), levels.get(name, ()), np.array(found, dtype=float))
            for name, found in rows.items()
        }

    def quantiles(
        self, run_id: str, groups: Mapping[str, Sequence[int]], at: Mapping[str, Sequence[float]]
    ) -> dict[str, tuple[float, ...]]:
        """See :class:`SampleEngine`."""
        # The levels must be constants for DuckDB: ask for all of them, keep each group's own.
        wanted = sorted({level for levels in at.values() for level in levels})
        place = {level: i for i, level in enumerate(wanted)}
        sql = f"""{_MEMBERS} SELECT place, quantile_cont(v, {_array(wanted)})
                  FROM samples JOIN member USING (series_id) GROUP BY place"""
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
            pulled.check(self._blocks / run_id)  # what Prometheus said can be asked again
            raise blocks.damaged(run_id) from error
        except duckdb.OutOfMemoryException as error:  # the limit holds for all who ask at this time
            raise Busy(
                f"the samples of run {run_id} take more memory than questions may use now",
                help="ask again in a moment; if it stays so, let k6 write fewer metrics and names",
            ) from error

    def _rows(
        self, run_id: str, groups: Mapping[str, Sequence[int]], sql: str, more: Mapping[str, object] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement over ``member(place, series_id)``, with each group's name for its place."""
        names = list(groups)
        members = [(place, series_id) for place, name in enumerate(names) for series_id in groups[name]]
        if not members:
            return
        places, ids = zip(*members, strict=True)
        for place, *row in self.query(run_id, sql, {"places": list(places), "ids": list(ids), **(more or {})}):
            yield names[place], *row

    def _parts(self, run_id: str) -> list[Path]:
        folder = self._blocks / run_id
        if not folder.is_dir():
            raise blocks.missing(run_id)
        return [*blocks.parts(folder), *pulled.files(folder)]


def _distribution(
    wanted: Sequence[float], quantiles: tuple[float, ...] | None, levels: Sequence[float], rows: Floats
) -> Distribution:
    """A group at its own of the ``wanted`` levels, from rows of n, sum, non-zero and the counts at all of them."""
    own = sorted(set(levels)) if quantiles else []
    places = [wanted.index(level) for level in own]
    at = np.array(quantiles or (), dtype=float)[places]
    return Distribution(tuple(own), at, rows[:, 0], rows[:, 1], rows[:, 2], rows[:, [3 + place for place in places]])


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _array(levels: Sequence[float]) -> str:
    return "[" + ", ".join(repr(float(level)) for level in levels) + "]"
