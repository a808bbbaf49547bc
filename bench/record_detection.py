"""Record labelled runs for judging the detection of regressions: ``python -m bench.record_detection`` (25 minutes).

Real k6 against the demo's backend with the noise of a CI machine (``bench/noisy_backend.py``); ``truth.json`` says of
each run what was changed. The same seeds draw the same noise; what the machine adds differs each time. Runs that are
there already are left alone; name some to record those again. A run during which others kept the machine busy is
thrown away unseen and recorded again: its truth would not be what was changed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from examples.nightbff.record import K6, facts_of, free_port

HERE = Path(__file__).parent
DATA = HERE / "data" / "detection"
TRUTH = DATA / "truth.json"

SERVICES = ("auth", "chat", "event", "interest", "notification", "plan", "user", "venue")
ENDPOINTS = {
    "auth": "/auth/refresh", "chat": "/chat/messages", "event": "/event/search", "interest": "/interest/match",
    "notification": "/notification/inbox", "plan": "/plan", "user": "/user/discovery", "venue": "/venue/search",
}  # fmt: skip
"""The slower endpoint of each service."""
BASE_ERR = 0.001
DURATION_S = 20
PER_MINUTE = 900
FIRST_SEED = 3000
UNCHANGED_FIRST = 14

BUSY = 0.45  # share of the machine's time in use during a run; the run itself takes half of that on two cores
ATTEMPTS = 20
PAUSE_S = 20  # between attempts

METRICS = ("http_reqs", "http_req_duration", "http_req_failed")
TAGS = ("expected_response", "name", "service", "status")
_KEPT = re.compile(rb'"(?:%s)":"[^"]*"' % "|".join(TAGS).encode())
_TAGS = re.compile(rb'"tags":\{(?:"[^"]*":"[^"]*",?)*\}')


@dataclass(frozen=True)
class Labelled:
    """One run and its truth: what was changed, by service. ``version`` is shared by repeated runs of one change."""

    id: str
    seed: int
    shift: dict[str, float] = field(default_factory=dict)
    err: dict[str, float] = field(default_factory=dict)
    tail: dict[str, float] = field(default_factory=dict)
    endpoint: dict[str, dict[str, float]] = field(default_factory=dict)
    throughput: float = 1.0
    version: str = "unchanged"

    def truth(self) -> dict[str, Any]:
        """As in ``truth.json``: id, seed, shift and err always, the others where they say something."""
        said = asdict(self)
        absent = {"tail": {}, "endpoint": {}, "throughput": 1.0}
        return {name: value for name, value in said.items() if name not in absent or value != absent[name]}

    def change(self) -> str:
        """The option of the backend."""
        return json.dumps({
            "shift": self.shift, "tail": self.tail, "endpoint": self.endpoint, "err": self.err, "base_err": BASE_ERR,
        })  # fmt: skip


def plan() -> list[Labelled]:
    """All runs, in order: unchanged ones first, then changes with an unchanged run after every three."""
    rng = random.Random(20261121)
    changed = [change for make in (_mixes, _tails, _endpoints, _throughputs) for change in make(rng)]
    runs = [Labelled("", 0)] * UNCHANGED_FIRST
    for trio in _trios(changed):
        runs += [*trio, Labelled("", 0)]
    return [replace(run, id=f"{_letter(run)}{n:02}", seed=FIRST_SEED + n) for n, run in enumerate(runs)]


def _letter(run: Labelled) -> str:
    return "U" if run.version == "unchanged" else "C"


def _mixes(rng: random.Random) -> Iterator[Labelled]:
    """Six versions, each recorded three times: three services slower, one failing; each service has three turns."""
    turns = [service for _ in range(3) for service in rng.sample(SERVICES, len(SERVICES))]
    for n in range(6):
        *slower, failing = turns[4 * n : 4 * n + 4]
        shift = dict(zip(slower, (1.1, 1.2, 1.4), strict=True))
        err = {failing: (0.01, 0.03)[n % 2]}
        yield from [Labelled("", 0, shift=shift, err=err, version=f"mix-{n + 1}")] * 3


def _tails(rng: random.Random) -> Iterator[Labelled]:
    """Only the slowest 3 % of the requests are slower; six runs."""
    for n, factor in enumerate((1.4, 1.4, 1.4, 2.0, 2.0, 2.0)):
        tail = dict.fromkeys(rng.sample(SERVICES, 2), factor)
        yield Labelled("", 0, tail=tail, version=f"tail-{n + 1}")


def _endpoints(rng: random.Random) -> Iterator[Labelled]:
    """One endpoint of two services is slower; in two runs of six another service fails as well."""
    for n in range(6):
        first, second, failing = rng.sample(SERVICES, 3)
        slower = {service: {ENDPOINTS[service]: 1.4} for service in (first, second)}
        err = {failing: (0.01, 0.03)[n // 3]} if n in {0, 3} else {}
        yield Labelled("", 0, endpoint=slower, err=err, version=f"endpoint-{n + 1}")


def _throughputs(rng: random.Random) -> Iterator[Labelled]:
    """A fifth less load arrives; in half of the runs one service is slower, too."""
    for n in range(6):
        shift = {rng.choice(SERVICES): (1.2, 1.4)[n // 4]} if n % 2 else {}
        yield Labelled("", 0, throughput=0.8, shift=shift, version=f"throughput-{n + 1}")


def _trios(runs: list[Labelled]) -> Iterator[list[Labelled]]:
    for first in range(0, len(runs), 3):
        yield runs[first : first + 3]


@contextmanager
def backend(run: Labelled, port: int) -> Iterator[None]:
    """The backend of a run."""
    command = [sys.executable, "-m", "bench.noisy_backend", f"--port={port}", f"--seed={run.seed}"]
    with subprocess.Popen([*command, f"--change={run.change()}"], cwd=HERE.parent) as process:
        try:
            while not facts_of(f"http://127.0.0.1:{port}") and process.poll() is None:
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


def stripped(ndjson: bytes) -> bytes:
    """The lines of the metrics needed, with the tags needed; all else of a line as k6 wrote it."""
    wanted = tuple(b'{"metric":"%s"' % name.encode() for name in METRICS)
    defined = tuple(b'{"type":"Metric","data":{"name":"%s"' % name.encode() for name in METRICS)
    kept = (line for line in ndjson.splitlines() if line.startswith(wanted + defined))
    return b"".join(_TAGS.sub(lambda tags: b'"tags":{%s}' % b",".join(_KEPT.findall(tags[0])), line, count=1) + b"\n"
                    if line.startswith(wanted) else line + b"\n" for line in kept)  # fmt: skip


def record(run: Labelled) -> bytes:
    """Record one run on a quiet machine; return its packed samples."""
    for _ in range(ATTEMPTS):
        before = machine_time()
        packed = record_once(run)
        busy = busy_since(before)
        print(f"{run.id} {run.version}: {len(packed):,} bytes, machine {busy:.0%} busy", flush=True)
        if busy <= BUSY:
            return packed
        time.sleep(PAUSE_S)
    sys.exit("the machine is too busy; try again later: what is recorded stays")


def machine_time() -> tuple[int, int]:
    """Time that all cores together were in use, and time that passed for them, in the kernel's ticks."""
    _, *ticks = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()
    user, nice, system, idle, waiting, *rest = map(int, ticks[:8])
    used = user + nice + system + sum(rest)
    return used, used + idle + waiting


def busy_since(before: tuple[int, int]) -> float:
    """The share of the machine's time in use since then."""
    used, passed = (now - then for now, then in zip(machine_time(), before, strict=True))
    return used / passed


def record_once(run: Labelled) -> bytes:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, backend(run, port):
        raw = Path(folder, "raw.json")
        env = {
            "BASE_URL": f"http://127.0.0.1:{port}", "DURATION": f"{DURATION_S}s", "TZ": "UTC",
            "PER_MINUTE": str(round(PER_MINUTE * run.throughput)), "PATH": os.environ["PATH"],
        }  # fmt: skip
        address = f"--address=127.0.0.1:{free_port()}"
        command: list[str | Path] = [
            K6,
            "run",
            "--quiet",
            "--no-usage-report",
            address,
            f"--out=json={raw}",
            HERE / "detection.js",
        ]
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return gzip.compress(stripped(raw.read_bytes()), compresslevel=9, mtime=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="*", help="runs to record again; else those that are missing")
    ids = parser.parse_args().ids
    DATA.mkdir(parents=True, exist_ok=True)
    runs = plan()
    TRUTH.write_text(json.dumps([run.truth() for run in runs], indent=1) + "\n")
    for run in runs:
        target = DATA / f"{run.id}.json.gz"
        if run.id in ids or (not ids and not target.exists()):
            target.write_bytes(record(run))


if __name__ == "__main__":
    main()
