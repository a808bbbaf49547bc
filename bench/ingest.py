"""From a k6 file to a stored verdict: how fast, in how much memory, and beside other engines on the same file.

Each engine of ``bench.engines`` runs in a process of its own. Those near each other take turns for some rounds; a ratio
is the median over pairs of one round, so that what else the machine does weighs on both. The slow ones run once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.engines import ENGINES
from bench.memory import watched

ROOT = Path(__file__).parent.parent
MAX_RATIO = 1.6
MAX_PEAK_BYTES = 1_200_000_000
MAX_VERDICT_MS = 100
_MB = 1_000_000
_TOLERANCE = 1e-9

WHAT = {
    "phasegate": "Phasegate: file to stored verdict",
    "duckdb-read": "DuckDB: bare read_ndjson, into a table",
    "duckdb-scan": "DuckDB: scan only, nothing kept",
    "chdb": "chdb (ClickHouse): read, sorted Parquet, percentiles",
    "polars": "Polars: read, sorted Parquet, percentiles",
    "python": "Python with orjson: read, sorted Parquet, percentiles",
}
IN_TURN = ("phasegate", "duckdb-read", "duckdb-scan", "chdb")
ONCE = ("polars", "python")


@dataclass(frozen=True)
class Sample:
    """One engine, once. ``read_s``: until the columns are there; ``total_s``: until all is done; CPU of all threads."""

    engine: str
    read_s: float | None
    total_s: float
    cpu_s: float
    peak_bytes: int
    points: int
    p95_ms: float | None
    block_bytes: int | None
    verdict_read_ms: float | None


@dataclass(frozen=True)
class Result:
    """What a run of this benchmark found; an engine's figures are those of its median run, ratios medians of pairs."""

    file_bytes: int
    points: int
    cores: int
    load_before: float
    seconds: float
    mb_per_s: float
    peak_bytes: int
    block_bytes: int
    verdict_read_ms: float
    ratio_to_bare_read: float
    ratio_to_scan: float
    engines: dict[str, Sample]
    samples: tuple[Sample, ...]

    @property
    def bars(self) -> dict[str, bool]:
        """What is demanded, and whether it holds."""
        return {
            f"at most {MAX_RATIO} times DuckDB's bare read": self.ratio_to_bare_read <= MAX_RATIO,
            f"peak memory under {MAX_PEAK_BYTES / _MB:,.0f} MB": self.peak_bytes < MAX_PEAK_BYTES,
            "every other engine takes longer": all(
                self.engines[name].total_s > self.seconds for name in ("chdb", *ONCE)
            ),
            f"a stored verdict is read in under {MAX_VERDICT_MS} ms": self.verdict_read_ms < MAX_VERDICT_MS,
        }


def run(engine: str, file: Path) -> Sample:
    """One engine on one file, in a process of its own."""
    command = [sys.executable, "-m", "bench.engines", engine, str(file)]
    with (
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        watched(process.pid) as peak,
    ):
        said, log = process.communicate()
    if process.returncode:
        sys.exit(f"{engine} failed:\n{log}")
    told = json.loads(said)
    return Sample(
        engine=engine,
        read_s=told.get("read_s"),
        total_s=told.get("done_s", told.get("read_s")),
        cpu_s=told["cpu_s"],
        peak_bytes=peak.tree_bytes,
        points=told["points"],
        p95_ms=told["p95_ms"],
        block_bytes=told["block_bytes"],
        verdict_read_ms=told.get("verdict_read_ms"),
    )


def measure(file: Path, rounds: int, console: Console) -> Result:
    """The near ones in turn, then the others once each; all must have read the same samples."""
    load_before = os.getloadavg()[0]
    subprocess.run(["cat", file], stdout=subprocess.DEVNULL, check=True)  # all read from memory, the first one, too
    plan = [*IN_TURN * rounds, *ONCE]
    samples = []
    for number, engine in enumerate(plan, start=1):
        with console.status(f"{number} of {len(plan)}: {WHAT[engine]}"):
            samples.append(run(engine, file))
    _check_agreement(samples)
    engines = {name: _middle([one for one in samples if one.engine == name]) for name in ENGINES}
    ours = engines["phasegate"]
    return Result(
        file_bytes=file.stat().st_size,
        points=ours.points,
        cores=os.cpu_count() or 1,
        load_before=load_before,
        seconds=ours.total_s,
        mb_per_s=file.stat().st_size / _MB / ours.total_s,
        peak_bytes=max(one.peak_bytes for one in samples if one.engine == "phasegate"),
        block_bytes=ours.block_bytes or 0,
        verdict_read_ms=ours.verdict_read_ms or 0.0,
        ratio_to_bare_read=_ratio(samples, "duckdb-read"),
        ratio_to_scan=_ratio(samples, "duckdb-scan"),
        engines=engines,
        samples=tuple(samples),
    )


def _middle(samples: Sequence[Sample]) -> Sample:
    return sorted(samples, key=lambda one: one.total_s)[len(samples) // 2]


def _ratio(samples: Sequence[Sample], other: str) -> float:
    ours, theirs = ([one.total_s for one in samples if one.engine == name] for name in ("phasegate", other))
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def _check_agreement(samples: Sequence[Sample]) -> None:
    points = {one.points for one in samples}
    p95s = [one.p95_ms for one in samples if one.p95_ms is not None]
    if len(points) > 1 or max(p95s) - min(p95s) > _TOLERANCE * max(p95s):
        sys.exit(f"the engines do not agree: {[(one.engine, one.points, one.p95_ms) for one in samples]}")


def show(result: Result, console: Console) -> None:
    """Print the result for people."""
    table = Table(
        title=f"A k6 file of {result.file_bytes / _MB:,.0f} MB, {result.points:,} samples, {result.cores} cores "
        f"(load before: {result.load_before:.1f})",
        title_justify="left",
    )
    table.add_column("engine")
    for column in ("read s", "total s", "CPU s", "MB/s", "peak MB", "block MB", "to Phasegate"):
        table.add_column(column, justify="right")
    for name, one in result.engines.items():
        table.add_row(
            WHAT[name],
            "" if one.read_s is None else f"{one.read_s:.2f}",
            f"{one.total_s:.2f}",
            f"{one.cpu_s:.1f}",
            f"{result.file_bytes / _MB / one.total_s:,.0f}",
            f"{one.peak_bytes / _MB:,.0f}",
            "" if one.block_bytes is None else f"{one.block_bytes / _MB:,.1f}",
            f"{one.total_s / result.seconds:.2f}",
            style="bold" if name == "phasegate" else None,
        )
    console.print(table)
    console.print("Peak: resident memory of the process and all it starts, added up every 10 ms (bench/memory.py).")
    console.print(
        f"Phasegate takes {result.ratio_to_bare_read:.2f} times as long as the bare read and "
        f"{result.ratio_to_scan:.2f} times as long as the scan (median of pairs); "
        f"a stored verdict is read in {result.verdict_read_ms:.1f} ms (median of 50)."
    )
    for bar, holds in result.bars.items():
        console.print(f"  {'met   ' if holds else 'MISSED'}  {bar}", style=None if holds else "bold red")
