"""How long a pull of 200 expressions over an hour takes, in steps of 5 s from a real Prometheus, and how many requests.

Beside it, in the same run and against the same server, the bare reference: the same questions asked one after the
other, their answers thrown away. Halfway through, the process that pulls is killed; another goes on, and what is stored
must be what one pull alone stores.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median

import httpx2 as httpx
import numpy as np
from rich.console import Console

from bench.make_k6_file import RESULTS
from data.model import RunMeta
from data.sources import Connection, Query, Span
from data.store import Store
from ingest.pull import pull
from ingest.service import Upload
from tests.ingesting import Quick
from tests.prom import Prometheus, openmetrics, prometheus

EXPRESSIONS = 200
STEP_S = 5
HOUR = timedelta(hours=1)
_TURNS = 3
_SOURCE = "main"
_START = datetime(2026, 11, 20, 8, tzinfo=UTC)
_SPAN = Span(_START, _START + HOUR, 30)


@dataclass(frozen=True)
class Result:
    """Seconds are medians over some turns. ``points`` were stored; ``requests`` were sent for one pull."""

    expressions: int
    points: int
    requests: int
    pull_s: float
    bare_s: float
    resumed_asked: int
    resumed_same: bool

    @property
    def bars(self) -> dict[str, bool]:
        """What is demanded, and whether it holds."""
        return {
            "a pull that was killed goes on without duplicates": self.resumed_same,
            "it does not ask again what was answered": self.resumed_asked < self.expressions,
        }


def measure(console: Console, results: Path = RESULTS, expressions: int = EXPRESSIONS, span: Span = _SPAN) -> Result:
    """Fill a Prometheus, then ask it in turns."""
    queries = [Query(_SOURCE, f'load{{n="{n}"}} * {n + 1}', float(STEP_S)) for n in range(expressions)]
    with tempfile.TemporaryDirectory(dir=results) as folder:
        home = Path(folder)
        with console.status("filling a Prometheus"), _filled(home, expressions, span) as server:
            asked = _answered(server)
            pulls, bare, whole = [], [], {}
            for turn in range(_TURNS):
                bare.append(_timed(partial(_bare, server, queries, span)))
                with _stored(home / f"turn-{turn}") as (store, run):
                    pulls.append(_timed(partial(_pull, store, run, server.url, queries, span)))
                    whole = _samples(store, run)
            requests = (_answered(server) - asked - _TURNS * expressions) // _TURNS
            again, same = _resumed(home / "resumed", server, queries, span, whole)
    return Result(expressions, sum(whole.values()), requests, median(pulls), median(bare), again, same)


def show(found: Result, console: Console) -> None:
    ratio = found.pull_s / found.bare_s
    console.print(
        f"pull: {found.expressions} expressions x 1 h at {STEP_S} s, {found.points:,} points in {found.pull_s:.2f} s "
        f"and {found.requests:,} requests; the bare requests alone take {found.bare_s:.2f} s ({ratio:.2f} x). Killed "
        f"and resumed: {found.resumed_asked} were left to ask."
    )
    for what, holds in found.bars.items():
        console.print(f"  {'yes' if holds else 'NO '}  {what}")


@contextmanager
def _filled(home: Path, series: int, span: Span) -> Iterator[Prometheus]:
    begin, end = (int(at.timestamp()) for at in (span.start, span.end))
    walk = np.random.default_rng(7).normal(size=(series, (end - begin) // STEP_S + 1)).cumsum(axis=1)
    text = openmetrics({
        f'load{{n="{n}"}}': [(begin + STEP_S * place, f"{value:.6g}") for place, value in enumerate(walk[n])]
        for n in range(series)
    })  # fmt: skip
    with prometheus(home / "prometheus", history=text) as running:
        yield running


def _answered(server: Prometheus) -> int:
    """How many questions over time the server has answered, by its own count."""
    page = httpx.get(f"{server.url}/metrics").text
    name = 'prometheus_http_requests_total{code="200",handler="/api/v1/query_range"}'
    return sum(int(float(line.split()[-1])) for line in page.splitlines() if line.startswith(name))


def _bare(server: Prometheus, queries: list[Query], span: Span) -> None:
    for query in queries:
        server.client.get(
            "/api/v1/query_range",
            params={"query": query.promql, "start": span.start.timestamp() - 30, "end": span.end.timestamp() + 30,
                    "step": STEP_S},
        ).raise_for_status()  # fmt: skip


@contextmanager
def _stored(home: Path) -> Iterator[tuple[Store, str]]:
    """A store with one run that was loaded at this time."""
    store = Store(home)
    file = home / "r.json"
    point = '{"metric":"http_reqs","type":"Point","data":{"time":"%s","value":1,"tags":{}}}\n'
    file.write_text("".join(point % at.isoformat() for at in (_START, _START + HOUR)))
    try:
        yield store, Quick(store).ingest([Upload(file, file.name)], RunMeta(service="load")).run.id
    finally:
        store.close()


def _pull(store: Store, run: str, url: str, queries: list[Query], span: Span) -> int:
    connections, spans = {_SOURCE: Connection(url)}, {_SOURCE: span}
    return pull(store, store.find_run(run), queries, connections, spans, {}).asked


def _samples(store: Store, run: str) -> dict[str, int]:
    """How many points of each expression are stored, and how many are there twice, if any."""
    names = {one.id: one.metric for asked in store.record(run).pulls for one in asked.series}
    counted = "SELECT series_id, count(DISTINCT t), count(*) FROM samples WHERE series_id < 0 GROUP BY series_id"
    found = store.samples.query(run, counted, {})
    twice = sum(rows - times for _, times, rows in found)
    return {names[number]: rows for number, _, rows in found} | ({"twice": twice} if twice else {})


def _resumed(
    home: Path, server: Prometheus, queries: list[Query], span: Span, whole: dict[str, int]
) -> tuple[int, bool]:
    """Kill a pull when half of it is stored, and go on."""
    with _stored(home) as (store, run):
        pass
    code = (
        "import sys; from pathlib import Path; from bench import pull; "
        f"pull.pull_for_good(Path({str(home)!r}), {run!r}, {server.url!r}, {len(queries)})"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        written = home / "blocks" / run / "pulled-1.parquet"
        while not written.exists() and process.poll() is None:
            time.sleep(0.001)
        process.kill()
    store = Store(home)
    try:
        left = _pull(store, run, server.url, queries, span)
        return left, _samples(store, run) == whole
    finally:
        store.close()


def pull_for_good(home: Path, run: str, url: str, expressions: int) -> None:
    """What is killed: the same pull, in a process of its own."""
    queries = [Query(_SOURCE, f'load{{n="{n}"}} * {n + 1}', float(STEP_S)) for n in range(expressions)]
    _pull(Store(home), run, url, queries, _SPAN)


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
