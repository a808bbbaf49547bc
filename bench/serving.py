"""Do pages and API still answer while a large upload is ingested?

The real service on an empty store takes the file from the command line, and all the while is asked for a list of
things, each at its own steady pace: idle first, then from the first byte of the upload until its verdict is there. A
request that waits for the one before it counts as late: times run from when it was due.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.engines import SLO
from bench.memory import Peak, watched
from examples.nightbff.record import RUNS, free_port

ROOT = Path(__file__).parent.parent
MAX_P99_MS = 500
_MB = 1_000_000
_OK = 200
_PATIENCE_S = 60


@dataclass(frozen=True)
class Route:
    """Something that is asked for every ``every_s`` seconds; with a ``body`` by POST."""

    name: str
    path: str
    every_s: float = 0.05
    body: str | None = None


@dataclass(frozen=True)
class Latency:
    """How long one route took, in milliseconds from when each request was due."""

    requests: int
    failed: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True)
class Result:
    """What a run of this benchmark found; latencies by route."""

    file_bytes: int
    upload_s: float
    server_peak_bytes: int
    tree_peak_bytes: int
    idle: dict[str, Latency]
    busy: dict[str, Latency]

    @property
    def bars(self) -> dict[str, bool]:
        """What is demanded, and whether it holds."""
        return {
            f"every p99 under {MAX_P99_MS} ms during the upload": all(
                one.p99_ms < MAX_P99_MS for one in self.busy.values()
            ),
            "every request answered": not any(one.failed for one in (*self.idle.values(), *self.busy.values())),
        }


class Visitor(threading.Thread):
    """Asks for one route until it is told to stop; ``took_ms`` has every answer, ``failed`` counts what was not 200."""

    def __init__(self, port: int, route: Route, first_after_s: float) -> None:
        super().__init__(daemon=True)
        self.route = route
        self._first_after_s = first_after_s
        self.took_ms: list[float] = []
        self.failed = 0
        self._connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
        self._stopped = threading.Event()

    def run(self) -> None:
        due_s = time.perf_counter() + self._first_after_s
        while not self._stopped.wait(max(0.0, due_s - time.perf_counter())):
            status, _ = ask(self._connection, self.route.path, self.route.body)
            self.took_ms.append((time.perf_counter() - due_s) * 1000)
            self.failed += status != _OK
            due_s += self.route.every_s

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def latency(self) -> Latency:
        took_ms = sorted(self.took_ms)
        p99_ms = took_ms[math.ceil(0.99 * len(took_ms)) - 1]
        return Latency(len(took_ms), self.failed, median(took_ms), p99_ms, took_ms[-1])


def ask(connection: HTTPConnection, path: str, body: str | bytes | None = None) -> tuple[int, bytes]:
    """Status and body of one answer."""
    headers = {"Content-Type": "application/json"} if isinstance(body, str) else {}
    connection.request("GET" if body is None else "POST", path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def measure(file: Path, idle_s: float, console: Console) -> Result:
    """Serve an empty store, load one small run, and watch the routes idle and during the upload of ``file``."""
    with (
        tempfile.TemporaryDirectory(prefix="phasegate-bench-", dir=file.parent) as home,
        served(Path(home)) as (port, peak),
    ):
        connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
        small = (RUNS / "01-healthy.json.gz").read_bytes()
        run = json.loads(ask(connection, "/api/v1/runs?test=small&phase=7A", small)[1])["run"]["id"]
        _, session = ask(connection, "/_stcore/agent/interact", "{}")
        rerun = json.dumps({"session_id": json.loads(session)["session_id"]})
        routes = (
            Route("API: /api/v1/healthz", "/api/v1/healthz"),
            Route("API: /api/v1/runs?limit=10", "/api/v1/runs?limit=10"),
            Route("API: a stored verdict", f"/api/v1/runs/{run}/verdict?phase=7A"),
            Route("page: /", "/"),
            Route("page: /_stcore/health", "/_stcore/health"),
            Route("page: the Overview's script, once a second", "/_stcore/agent/interact", every_s=1, body=rerun),
        )
        with console.status("idle"):
            idle = visited(port, routes, lambda: time.sleep(idle_s))
        with console.status("upload and ingest"):
            started_s = time.perf_counter()
            busy = visited(port, routes, lambda: upload(file, port))
            upload_s = time.perf_counter() - started_s
        return Result(file.stat().st_size, upload_s, peak.root_bytes, peak.tree_bytes, idle, busy)


def visited(port: int, routes: Sequence[Route], meanwhile: Callable[[], None]) -> dict[str, Latency]:
    """The latency of each route while ``meanwhile`` runs; the routes are due one after the other, not all at once."""
    visitors = [Visitor(port, route, number * route.every_s / len(routes)) for number, route in enumerate(routes)]
    for visitor in visitors:
        visitor.start()
    meanwhile()
    for visitor in visitors:
        visitor.stop()
    return {visitor.route.name: visitor.latency() for visitor in visitors}


def upload(file: Path, port: int) -> None:
    """Send a file as users do, and wait for its verdict."""
    server = f"--server=http://127.0.0.1:{port}"
    command: list[str | Path] = [
        ROOT / "phasegate",
        "ingest",
        file,
        server,
        "--test=large",
        "--phase=7A",
        "--format=json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not json.loads(done.stdout)["verdict"]:
        sys.exit(f"the upload failed:\n{done.stdout}{done.stderr}")


@contextmanager
def served(home: Path) -> Iterator[tuple[int, Peak]]:
    """The service over a store in ``home``: its port, and how much memory it takes."""
    port = free_port()
    env = {
        **os.environ,
        "PHASEGATE_HOME": str(home),
        "PHASEGATE_SLO": str(SLO),
        "STREAMLIT_SERVER_ENABLE_AGENT_API": "true",  # runs a page's script as a browser would, without one
    }
    command: list[str | Path] = [ROOT / "phasegate", "serve", f"--port={port}"]
    with (
        (home / "server.log").open("wb") as log,
        subprocess.Popen(command, env=env, stdout=log, stderr=log) as process,
        watched(process.pid) as peak,
    ):
        try:
            _wait_until_up(port)
            yield port, peak
        finally:
            process.terminate()


def _wait_until_up(port: int) -> None:
    give_up_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up_s:
        try:
            if ask(HTTPConnection("127.0.0.1", port, timeout=1), "/api/v1/healthz")[0] == _OK:
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("the service does not start")


def show(result: Result, console: Console) -> None:
    """Print the result for people."""
    table = Table(
        title=f"Serving while {result.file_bytes / _MB:,.0f} MB are uploaded and ingested ({result.upload_s:.1f} s)",
        title_justify="left",
    )
    table.add_column("ms from when it was due")
    for when in ("idle", "busy"):
        for column in ("requests", "p50", "p99", "max"):
            table.add_column(f"{when} {column}", justify="right")
    for name, idle in result.idle.items():
        figures = [
            cell
            for one in (idle, result.busy[name])
            for cell in (f"{one.requests:,}", f"{one.p50_ms:.1f}", f"{one.p99_ms:.1f}", f"{one.max_ms:.1f}")
        ]
        table.add_row(name, *figures)
    console.print(table)
    console.print(
        f"Peak memory: the server {result.server_peak_bytes / _MB:,.0f} MB, "
        f"together with the ingest worker {result.tree_peak_bytes / _MB:,.0f} MB."
    )
    for bar, holds in result.bars.items():
        console.print(f"  {'met   ' if holds else 'MISSED'}  {bar}", style=None if holds else "bold red")
