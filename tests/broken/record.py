"""Record every broken measurement with the real k6: ``python -m tests.broken.record`` (ten minutes), or some by name.

Each run has a backend of its own on a free port. k6's samples are packed tighter, its summaries packed; no byte of
what is inside is changed, but where a case asks for it: then its note in ``index.json`` says so.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from examples.nightbff.record import K6, facts_of, free_port
from tests.broken.cases import CASES, Case, Ending

HERE = Path(__file__).parent
RUNS = HERE / "runs"
INDEX = HERE / "index.json"
ROOT = HERE.parent.parent

SIGKILLED = 137  # the exit code a shell reports for a process ended by SIGKILL
BUSY_LOOPS = 4
QUOTA_S, PERIOD_S = 0.03, 0.15
TORN_OFF = 40  # bytes: less than a line

Entry = dict[str, Any]


@contextmanager
def closed_port() -> Iterator[int]:
    """A port of ours on which nobody listens, so that nobody else can begin to."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@contextmanager
def resetting_port() -> Iterator[int]:
    """A port whose connections are reset as soon as something was asked."""

    def reset_all() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed below
                return
            with connection:
                connection.recv(1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=reset_all, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextmanager
def backend(case: Case, port: int) -> Iterator[None]:
    """The backend of a case; on the last core if k6 is starved on the first."""
    command = [*pinned(case, last_core()), sys.executable, "-m", "tests.broken.backend", f"--port={port}"]
    with subprocess.Popen([*command, f"--seed={case.seed}", *case.backend], cwd=ROOT) as process:
        try:
            while not facts_of(f"http://127.0.0.1:{port}") and process.poll() is None:
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


def last_core() -> int:
    return max(os.sched_getaffinity(0))


def pinned(case: Case, core: int) -> list[str]:
    return ["taskset", "-c", str(core)] if case.starved == "busy core" else []


@contextmanager
def busy_core(core: int) -> Iterator[None]:
    """Keep one core busy."""
    loops = [
        subprocess.Popen(["taskset", "-c", str(core), sys.executable, "-c", "while True: pass"])
        for _ in range(BUSY_LOOPS)
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def throttle(process: subprocess.Popen[bytes]) -> None:
    """Let a process run a part of each period, as Linux does to a container that used up its share of the CPU."""
    while process.poll() is None:
        process.send_signal(signal.SIGSTOP)
        time.sleep(PERIOD_S - QUOTA_S)
        process.send_signal(signal.SIGCONT)
        time.sleep(QUOTA_S)


def end(process: subprocess.Popen[bytes], how: Ending, api: str) -> None:
    if how == "sigint":
        process.send_signal(signal.SIGINT)
    elif how == "sigkill":
        process.kill()
    else:
        stop = {"data": {"type": "status", "id": "default", "attributes": {"stopped": True}}}
        request = urllib.request.Request(f"http://{api}/v1/status", json.dumps(stop).encode(), method="PATCH")
        urllib.request.urlopen(request, timeout=5).close()  # noqa: S310  our own http address


def run_k6(case: Case, addresses: Mapping[str, object], folder: Path) -> int:
    """Run k6 as the case tells it, into ``raw.*`` and ``summary.json``; return its exit code as a shell would."""
    script = HERE / "k6" / f"{case.script}.js"
    if case.script_edit:
        (folder / script.name).write_text(f"{case.script_edit}\n{script.read_text()}")
        script = folder / script.name
    api = f"127.0.0.1:{free_port()}"
    command: list[str | Path] = [
        *pinned(case, 0),
        K6,
        "run",
        "--quiet",
        f"--address={api}",
        f"--out=json={raw(case, folder)}",
    ]
    command += [f"--summary-export={folder / 'summary.json'}", *case.options, script]
    env = {"BASE_URL": "{url}", **case.env}
    env = {name: value.format(**addresses) for name, value in env.items()} | {"TZ": "UTC", "K6_NO_USAGE_REPORT": "true"}
    env |= {"PATH": os.environ["PATH"]} | ({"GOMAXPROCS": "1"} if case.starved else {})
    with ExitStack() as stack:
        if case.starved == "busy core":
            stack.enter_context(busy_core(0))
        log = stack.enter_context((folder / "k6.log").open("w"))
        process = stack.enter_context(subprocess.Popen(command, env=env, stdout=log, stderr=log))
        if case.starved == "quota":
            throttle(process)
        if case.ending:
            time.sleep(case.after_s or 0)
            end(process, case.ending, api)
        code = process.wait()
    return SIGKILLED if code == -signal.SIGKILL else code


def raw(case: Case, folder: Path) -> Path:
    return folder / ("raw.json" if "cut" in case.packing else "raw.json.gz")


def packed(case: Case, written: bytes) -> bytes:
    """What k6 wrote, as the case hands it in."""
    match case.packing:
        case "gz":
            return gzip.compress(gzip.decompress(written), compresslevel=9, mtime=0)
        case "gz cut after a line":
            return gzip.compress(_whole_lines(written), compresslevel=9, mtime=0)
        case "plain cut in a line":
            return written[:-TORN_OFF]
        case "plain cut after a line":
            return _whole_lines(written)
        case "gz as killed":
            return written


def _whole_lines(written: bytes) -> bytes:
    return written[: written.rindex(b"\n") + 1]


def machine_readable(case: Case, exported: Mapping[str, Any], script: str) -> dict[str, Any]:
    """The summary that k6 1.5 and later write with --new-machine-readable-summary, from what 1.1 says in its own."""
    metrics = exported["metrics"]
    return {
        "version": "1.0.0",
        "metadata": {"generated_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "k6_version": case.k6_version},
        "config": {
            "duration": metrics["http_reqs"]["count"] / metrics["http_reqs"]["rate"],
            "execution": "local",
            "script": script,
        },
        "results": {"metrics": [{"name": name, **_metric(body)} for name, body in metrics.items()]},
    }


def _metric(body: Mapping[str, Any]) -> Entry:
    """A metric of ``--summary-export`` as the machine-readable summary has it."""
    match body:
        case {"avg": _}:
            values = {re.sub(r"[()]", "", stat): number for stat, number in body.items() if stat != "thresholds"}
            return {"type": "trend", "contains": "time", "values": values}
        case {"passes": matches, "fails": others, "value": rate}:
            values = {"matches": matches, "rate": rate, "total": matches + others}
            return {"type": "rate", "contains": "default", "values": values}
        case {"count": count}:
            return {"type": "counter", "contains": "default", "values": {"count": count}}
        case _:
            return {"type": "gauge", "contains": "default", "values": dict(body)}


def summary_of(case: Case, folder: Path) -> bytes | None:
    """The summary that is handed in with the run; none where k6 wrote none."""
    written = folder / "summary.json"
    if not written.exists():
        return None
    if case.summary == "machine-readable":
        script = (HERE / "k6" / f"{case.script}.js").read_text()
        script = f"{case.script_edit}\n{script}" if case.script_edit else script
        return json.dumps(machine_readable(case, json.loads(written.read_bytes()), script)).encode()
    return written.read_bytes()


def entry(case: Case, exit_code: int, *, has_summary: bool) -> Entry:
    """What the index says of the run; ``metadata`` and ``exit_code`` are options of ``phasegate ingest``."""
    suffix = ".json" if case.packing.startswith("plain") else ".json.gz"
    metadata = {
        "service": case.service, "test": case.test, "phase": case.phase, "branch": "main", "environment": "ci",
    }  # fmt: skip
    return {
        "name": case.name,
        "file": f"{case.name}{suffix}",
        "summary": f"{case.summary_of or case.name}.summary.json.gz" if has_summary else None,
        "exit_code": exit_code if case.tells_exit_code else None,
        "metadata": metadata,
        "baseline": list(case.baseline),
        "expect": case.expect.entry(),
        "note": case.note,
    }


def record(case: Case) -> Entry:
    """Record one case into ``RUNS``; return its entry of the index."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        addresses = {
            "port": port,
            "url": f"http://127.0.0.1:{port}",
            "closed": stack.enter_context(closed_port()),
            "resetting": stack.enter_context(resetting_port()),
        }
        with backend(case, port):
            exit_code = run_k6(case, addresses, folder)
        summary = summary_of(case, folder)
        told = entry(case, exit_code, has_summary=summary is not None)
        (RUNS / told["file"]).write_bytes(packed(case, raw(case, folder).read_bytes()))
        if summary and not case.summary_of:
            (RUNS / told["summary"]).write_bytes(gzip.compress(summary, compresslevel=9, mtime=0))
        return told


def main(names: list[str]) -> None:
    """Record the cases named, or all; after each, write the index, where what is told of the cases is always new."""
    if unknown := set(names) - {case.name for case in CASES}:
        sys.exit(f"there is no case {', '.join(sorted(unknown))}")
    RUNS.mkdir(exist_ok=True)
    known = {told["name"]: told for told in json.loads(INDEX.read_text())["runs"]} if INDEX.exists() else {}
    for case in CASES:
        if not names or case.name in names:
            known[case.name] = told = record(case)
            size = (RUNS / told["file"]).stat().st_size
            sys.stdout.write(f"{case.name}: exit {told['exit_code']}, {size:,} bytes\n")
            INDEX.write_text(json.dumps({"runs": index(known)}, indent=1) + "\n")


def index(known: Mapping[str, Entry]) -> list[Entry]:
    """The entries of the cases recorded so far."""
    recorded = [(case, known[case.name]) for case in CASES if case.name in known]
    return [entry(case, told["exit_code"], has_summary=told["summary"] is not None) for case, told in recorded]


if __name__ == "__main__":
    main(sys.argv[1:])
