"""How long it takes to judge a large run against its baseline, and to read the verdict again.

Eleven nights of one test with a million samples each; the slo.yaml has fifty objectives. Measured is what a user waits
for after an upload: measurements and profiles of the new run, findings, comparison, verdict, all kept.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import structlog
from rich.console import Console

import logs
from bench.make_k6_file import RESULTS, k6_file
from data.catalog import RunFilter
from data.model import RunMeta
from data.store import Store
from ingest.service import Ingestor, Upload
from slo.service import ConfigSource, Service

NIGHTS = 11
BYTES = 281_000_000
MAX_MS = 500
SERVICES = ("auth", "chat", "event", "interest", "notification", "plan", "user", "venue")
_ASKED = (
    ("http_req_duration", "p(95) < 10s"),
    ("http_req_duration", "p(99) < 10s"),
    ("http_req_duration", "avg < 10s"),
    ("http_req_waiting", "p(95) < 10s"),
    ("http_req_failed", "rate < 90%"),
    ("checks", "rate > 1%"),
)
_AGAIN = 5


@dataclass(frozen=True)
class Result:
    """``judge_ms``: the median over some judgements of the newest run, each without anything kept of it."""

    samples: int
    objectives: int
    baseline_runs: int
    judge_ms: float
    all_ms: tuple[float, ...]

    @property
    def bars(self) -> dict[str, bool]:
        """What is demanded, and whether it holds."""
        return {f"a verdict is reached in under {MAX_MS} ms": self.judge_ms < MAX_MS}


def measure(console: Console, results: Path = RESULTS, size: int = BYTES, nights: int = NIGHTS) -> Result:
    """Take the nights in, of ``size`` bytes each, judge all but the newest, then judge that one some times."""
    logs.configure(verbose=False)
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(dir=results) as folder:
        home = Path(folder)
        config = ConfigSource([write_slo(home)])
        store = Store(home / "store")
        try:
            with console.status(f"taking {nights} nights in"):
                for night in range(nights):
                    file = k6_file(size, results, night)
                    Ingestor(store).ingest([Upload(file, file.name)], RunMeta(test="nightly", branch="main"))
            newest, *before = store.runs(RunFilter())
            service = Service(store, config)
            for run in reversed(before):
                service.verdict(run.id, "P")
            times = []
            for _ in range(_AGAIN):
                store.amend_run(newest, newest.meta)  # forget what is known of it
                started = time.perf_counter()
                service.verdict(newest.id, "P")
                times.append((time.perf_counter() - started) * 1000)
            found = service.verdict(newest.id, "P")
        finally:
            store.close()
    runs = len(found.baseline.runs) if found.baseline else 0
    return Result(newest.points, len(found.objectives), runs, median(times), tuple(times))


def write_slo(folder: Path, about: str | None = None) -> Path:
    """A slo.yaml of fifty objectives: six of every service, and two more of one (``None``: of the whole system)."""
    objectives = [
        f'      - {{service: {service}, sli: {sli}, target: "{target}"}}'
        for service in SERVICES
        for sli, target in _ASKED
    ]
    of = f"service: {about}, " if about else ""
    objectives += [f'      - {{{of}sli: http_req_duration, target: "{stat} < 10s"}}' for stat in ("p(90)", "med")]
    path = folder / "slo.yaml"
    path.write_text("version: 1\nphases:\n  - id: P\n    objectives:\n" + "\n".join(objectives) + "\n")
    return path


def show(result: Result, console: Console) -> None:
    """Print the result for people."""
    console.print(
        f"Judging a run of {result.samples:,} samples by {result.objectives} objectives against "
        f"{result.baseline_runs} baseline runs takes {result.judge_ms:,.0f} ms (median of {len(result.all_ms)})."
    )
    for bar, holds in result.bars.items():
        console.print(f"  {'met   ' if holds else 'MISSED'}  {bar}", style=None if holds else "bold red")
