"""What each engine makes of a k6 file, alone in a process: ``python -m bench.engines NAME FILE`` prints it as JSON.

All read the same columns: metric, time (microseconds), value and the tags' text. Phasegate goes the whole way, from the
file to a stored verdict. The others go as far as its worker does: they read the samples, sort them by metric, tags and
time into a Parquet file compressed with zstd, and compute four percentiles of every metric. Each has as many threads.
"""

# ruff: noqa: PLC0415, S608  an engine's process loads that engine only; its SQL names files of our own

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

THREADS = min(os.cpu_count() or 1, 4)  # as many as the ingest worker takes
QUANTILES = (0.5, 0.9, 0.95, 0.99)
SLO = Path(__file__).parent.parent / "examples" / "nightbff" / "slo.yaml"
_VERDICTS_ASKED = 50

_COLUMNS = "{metric: 'VARCHAR', type: 'VARCHAR', data: 'STRUCT(time VARCHAR, value DOUBLE, tags VARCHAR)'}"
_BARE_READ = f"FROM read_ndjson($file, columns = {_COLUMNS}, ignore_errors = true) WHERE type = 'Point'"


@dataclass
class Work:
    """One file on its way; ``laps`` are seconds from the start to the end of each step, ``block`` is what it wrote."""

    file: Path
    folder: Path
    block: Path | None = None
    more: dict[str, float | str] = field(default_factory=dict)
    laps: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        """What came before (imports, opening a database) is not counted."""
        self._started_s, self._used_s = time.perf_counter(), _cpu_s()

    def lap(self, step: str) -> None:
        self.laps |= {f"{step}_s": time.perf_counter() - self._started_s, "cpu_s": _cpu_s() - self._used_s}


@dataclass(frozen=True)
class Found:
    """What an engine must agree on with every other: how many samples, and the p95 of http_req_duration in ms."""

    points: int
    p95_ms: float | None


def phasegate(work: Work) -> Found:
    import logs
    from data import blocks
    from data.model import RunMeta
    from desk import Desk
    from ingest.service import Upload
    from settings import Settings

    logs.configure(verbose=False)
    desk = Desk(Settings(home=work.folder, slo=SLO))
    work.start()
    answer = desk.ingest([Upload(work.file, work.file.name)], RunMeta(test="bench", phase="7A"))
    work.lap("done")
    if answer.verdict is None:
        sys.exit(f"the run was not judged: {answer.notes}")
    work.block = work.folder / "blocks" / answer.run.id
    work.more = {"verdict": answer.verdict.verdict, "verdict_read_ms": _verdict_ms(desk.service.verdict, answer.run.id)}
    run = blocks.read_manifest(work.block).record
    p95_ms = next(m.stats.p95 for m in run.metrics if m.name == "http_req_duration" and m.stats)
    desk.close()
    return Found(run.run.points, p95_ms)


def duckdb_read(work: Work) -> Found:
    """The bare read that Phasegate is held against: the columns, into a table."""
    import duckdb

    connection = duckdb.connect(config={"threads": THREADS})
    work.start()
    connection.execute(
        "CREATE TEMP TABLE samples AS SELECT metric, data.time::TIMESTAMP AS time, data.value AS value, "
        f"data.tags AS tags {_BARE_READ}",
        {"file": str(work.file)},
    )
    work.lap("read")
    points, p95_ms = connection.execute(
        "SELECT count(*), quantile_cont(value, 0.95) FILTER (metric = 'http_req_duration') FROM samples"
    ).fetchall()[0]
    return Found(points, p95_ms)


def duckdb_scan(work: Work) -> Found:
    """The least that reading can take: the same columns are decoded, and nothing is kept."""
    import duckdb

    connection = duckdb.connect(config={"threads": THREADS})
    work.start()
    counted = connection.execute(
        f"SELECT count(metric), count(data.time::TIMESTAMP), count(data.value), count(data.tags) {_BARE_READ}",
        {"file": str(work.file)},
    ).fetchall()[0]
    work.lap("read")
    return Found(min(counted), None)


def polars(work: Work) -> Found:
    import polars as pl

    data = pl.Struct({"time": pl.String, "value": pl.Float64, "tags": pl.String})
    part = pl.col("data").struct
    work.block = work.folder / "block.parquet"
    work.start()
    samples = (
        pl.scan_ndjson(work.file, schema={"metric": pl.String, "type": pl.String, "data": data}, ignore_errors=True)
        .filter(pl.col("type") == "Point")
        .select(
            pl.col("metric").cast(pl.Categorical),
            part.field("time").str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False),
            part.field("value"),
            part.field("tags").cast(pl.Categorical),
        )
        .collect()
    )
    work.lap("read")
    samples.sort("metric", "tags", "time").write_parquet(work.block, compression="zstd")
    at = [pl.col("value").quantile(q, "linear").alias(str(q)) for q in QUANTILES]
    statistics = samples.group_by("metric").agg(at)
    work.lap("done")
    return Found(samples.height, statistics.filter(pl.col("metric") == "http_req_duration")["0.95"].item())


def python(work: Work) -> Found:
    """A loop with orjson over the lines; metrics and tags are numbered as they come, so that they can be sorted."""
    import numpy as np
    import orjson
    import pyarrow as pa
    import pyarrow.parquet as pq

    gc.disable()  # a line's objects are gone with the next one, and hold no cycles
    work.block = work.folder / "block.parquet"
    work.start()
    metric_numbers: dict[str, int] = {}
    tags_numbers: dict[bytes, int] = {}
    metric, tags, seconds, value = array("i"), array("i"), array("d"), array("d")
    with work.file.open("rb") as lines:
        for line in lines:
            sample = orjson.loads(line)
            if sample["type"] == "Point":
                data = sample["data"]
                metric.append(metric_numbers.setdefault(sample["metric"], len(metric_numbers)))
                tags.append(tags_numbers.setdefault(orjson.dumps(data["tags"]), len(tags_numbers)))
                seconds.append(datetime.fromisoformat(data["time"]).timestamp())
                value.append(data["value"])
    work.lap("read")
    metrics, tag_sets, values = np.array(metric), np.array(tags), np.array(value)
    micros = (np.array(seconds) * 1e6).round().astype("int64")
    order = np.lexsort((micros, tag_sets, metrics))
    columns = {
        "metric": pa.DictionaryArray.from_arrays(metrics[order], list(metric_numbers)),
        "tags": pa.DictionaryArray.from_arrays(tag_sets[order], [text.decode() for text in tags_numbers]),
        "time": pa.array(micros[order], pa.timestamp("us", "UTC")),
        "value": values[order],
    }
    pq.write_table(pa.table(columns), work.block, compression="zstd")
    statistics = {name: np.quantile(values[metrics == n], QUANTILES) for name, n in metric_numbers.items()}
    work.lap("done")
    return Found(len(value), float(statistics["http_req_duration"][QUANTILES.index(0.95)]))


def chdb(work: Work) -> Found:
    """ClickHouse in this process; texts are interned (LowCardinality) as they are stored, which is its fastest way."""
    session: Any = import_module("chdb.session").Session()  # it has no types
    structure = "metric String, type String, data Tuple(time String, value Float64, tags String)"
    samples = f"FROM file('{work.file}', JSONEachRow, '{structure}') WHERE type = 'Point'"
    work.block = work.folder / "block.parquet"
    session.query(f"SET max_threads = {THREADS}, input_format_json_read_objects_as_strings = 1")
    work.start()
    session.query(
        "CREATE TABLE samples ENGINE = Memory AS SELECT metric::LowCardinality(String) AS metric, "
        "parseDateTime64BestEffortOrNull(data.time, 6) AS time, data.value AS value, "
        f"data.tags::LowCardinality(String) AS tags {samples}"
    )
    work.lap("read")
    session.query(
        f"INSERT INTO FUNCTION file('{work.block}', Parquet) SELECT * FROM samples ORDER BY metric, tags, time "
        "SETTINGS output_format_parquet_compression_method = 'zstd'"
    )
    levels = ", ".join(map(str, QUANTILES))
    session.query(f"SELECT metric, quantilesExactInclusive({levels})(value) FROM samples GROUP BY metric")
    work.lap("done")
    found = session.query(
        "SELECT count(), quantileExactInclusiveIf(0.95)(value, metric = 'http_req_duration') FROM samples"
    )
    points, p95_ms = str(found).split(",")
    return Found(int(points), float(p95_ms))


ENGINES: dict[str, Callable[[Work], Found]] = {
    "phasegate": phasegate,
    "duckdb-read": duckdb_read,
    "duckdb-scan": duckdb_scan,
    "chdb": chdb,
    "polars": polars,
    "python": python,
}


def _verdict_ms(ask: Callable[[str], object], run_id: str) -> float:
    def once() -> float:
        started_s = time.perf_counter()
        ask(run_id)
        return (time.perf_counter() - started_s) * 1000

    return median(once() for _ in range(_VERDICTS_ASKED))


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())


def main() -> None:
    name, file = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="phasegate-bench-", dir=Path(file).parent) as folder:
        work = Work(Path(file).resolve(), Path(folder))
        found = ENGINES[name](work)
        block_bytes = _bytes(work.block) if work.block else None
    json.dump({**asdict(found), **work.laps, **work.more, "block_bytes": block_bytes}, sys.stdout)


if __name__ == "__main__":
    main()
