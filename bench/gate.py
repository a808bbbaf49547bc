"""How long a gate takes to answer: eight services, fifty objectives, ten baseline runs each, a store of 1,000 runs.

Every service has a test of its own with 125 nights on main; the newest of each is of the version that is asked about.
``judged``: as a server does after every upload, the runs were judged by every phase; what remains is to find them, and
to decide. ``fresh``: they were not, as in a store without a server, so that the gate does it, beside their baselines.
Either way no decision is kept of that evidence.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import structlog
from rich.console import Console

import logs
from bench.judging import SERVICES, write_slo
from bench.make_k6_file import RESULTS
from data.catalog import RunFilter
from data.model import RunMeta
from data.store import Store
from ingest.service import Upload
from slo.model import VerdictState
from slo.service import ConfigSource, Service
from tests.ingesting import Quick

RUNS = 1000
MAX_MS = 300
_VERSION = "2.0"
_REQUESTS = 300
_LOAD_S = 60
_TURNS = 5
_START = datetime(2026, 3, 1, 3, tzinfo=UTC)


@dataclass(frozen=True)
class Result:
    """Medians over some turns, in ms."""

    runs: int
    services: int
    objectives: int
    decision: VerdictState
    fresh_ms: float
    judged_ms: float

    @property
    def bars(self) -> dict[str, bool]:
        """What is demanded, and whether it holds."""
        return {f"a gate answers in under {MAX_MS} ms": self.judged_ms < MAX_MS}


def measure(console: Console, results: Path = RESULTS, runs: int = RUNS) -> Result:
    """Make a store, judge all but what is asked about, then ask."""
    logs.configure(verbose=False)
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(dir=results) as folder:
        home = Path(folder)
        slo = write_slo(home, SERVICES[0])
        with console.status(f"making {runs} runs"):
            _fill(home, runs)
        store = Store(home / "store")
        try:
            service = Service(store, ConfigSource([slo]))
            fresh: list[float] = []
            judged: list[float] = []
            newest = store.runs(RunFilter(version=_VERSION), limit=None)
            for run in store.runs(RunFilter(), limit=200):
                if run.meta.version != _VERSION:
                    service.verdict(run.id, "P")
            for turn in range(_TURNS):
                for times, ask in ((fresh, service.measurement), (judged, service.judge_ahead)):
                    for run in newest:  # what is known of a run that is amended is forgotten
                        store.amend_run(run, replace(run.meta, labels={"turn": f"{turn} {len(times)}"}))
                        ask(run.id)  # as an upload does
                    times.append(_timed(service))
            found = service.gate("P", _VERSION)
        finally:
            store.close()
    objectives = sum(check.kind == "objective" for check in found.checks)
    return Result(runs, len(SERVICES), objectives, found.decision, median(fresh), median(judged))


def _timed(service: Service) -> float:
    started = time.perf_counter()
    service.gate("P", _VERSION)
    return (time.perf_counter() - started) * 1000


def _fill(home: Path, runs: int) -> None:
    random = np.random.default_rng(11)
    nights = runs // len(SERVICES)
    store = Store(home / "store")
    try:
        for night in range(nights):
            version = _VERSION if night == nights - 1 else f"1.{night}"
            for service in SERVICES:
                file = home / "run.json"
                file.write_text("\n".join(_lines(service, _START + timedelta(days=night), random)) + "\n")
                said = RunMeta(service, service, branch="main", version=version, commit=f"c{night}", exit_code=0)
                Quick(store).ingest([Upload(file, "run.json")], said)
    finally:
        store.close()


def _lines(service: str, start: datetime, random: np.random.Generator) -> Iterator[str]:
    kinds = {
        "http_req_duration": ("trend", "time"), "http_req_waiting": ("trend", "time"), "checks": ("rate", "default"),
        "http_reqs": ("counter", "default"), "http_req_failed": ("rate", "default"),
        "iterations": ("counter", "default"),
    }  # fmt: skip
    for name, (kind, contains) in kinds.items():
        yield json.dumps({"type": "Metric", "metric": name, "data": {"name": name, "type": kind, "contains": contains}})
    level = 50 * np.exp(0.03 * random.standard_normal())
    for i, ms in enumerate(level * np.exp(0.4 * random.standard_normal(_REQUESTS))):
        tags = {"service": service, "name": f"/{service}/{i % 4}", "method": "GET", "status": "200", "scenario": "load",
                "expected_response": "true"}  # fmt: skip
        at = (start + timedelta(seconds=_LOAD_S * i / _REQUESTS)).isoformat()
        values = {"http_req_duration": ms, "http_req_waiting": 0.9 * ms, "http_req_failed": 0.0, "http_reqs": 1.0}
        for name, value in values.items():
            data = {"time": at, "value": float(value), "tags": tags}
            yield json.dumps({"type": "Point", "metric": name, "data": data})
        for name, more in (("iterations", {}), ("checks", {"check": "ok", "service": service})):
            data = {"time": at, "value": 1.0, "tags": {"scenario": "load", **more}}
            yield json.dumps({"type": "Point", "metric": name, "data": data})


def show(result: Result, console: Console) -> None:
    """Print the result for people."""
    console.print(
        f"A gate over {result.services} services and {result.objectives} objectives on a store of {result.runs:,} runs "
        f"answers ({result.decision}) in {result.judged_ms:,.0f} ms where its runs are judged already, and in "
        f"{result.fresh_ms:,.0f} ms where they are not."
    )
    for bar, holds in result.bars.items():
        console.print(f"  {'met   ' if holds else 'MISSED'}  {bar}", style=None if holds else "bold red")
