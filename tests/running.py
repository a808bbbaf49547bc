"""Phasegate as its users run it: the launcher, from a folder of their own, and the server on a free port."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

import demo
from examples.nightbff import record
from tests.project import ROOT

LAUNCHER = ROOT / "phasegate"
_START_S = 120  # a machine that runs other things beside the tests is slow
_STOP_S = 30


@dataclass(frozen=True)
class Server:
    """A server that runs: its address and its process."""

    url: str
    process: subprocess.Popen[bytes]

    def ask(self, path: str, **query: str) -> Any:  # noqa: ANN401  # any document
        """What the API answers to ``GET /api/v1/{path}``."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=query, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def newest(self, test: str) -> str:
        """The id of the newest run of a test."""
        return str(self.ask("runs", test=test, limit="1")[0]["id"])

    def answers(self) -> bool:
        """Whether it is healthy."""
        try:
            return httpx.get(f"{self.url}/api/v1/healthz", timeout=10).is_success
        except httpx.TransportError:
            return False


@dataclass(frozen=True)
class Workspace:
    """Where a user stands: ``workspace("runs")`` is ``./phasegate runs`` on the store in its ``var``."""

    folder: Path
    slo: Path | None = None

    def __call__(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [LAUNCHER, *words], cwd=self.folder, env=self._environment(), capture_output=True, text=True, check=False
        )

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """The server, once it is healthy; what it had to say must not be a traceback."""
        port = record.free_port()
        command = [str(LAUNCHER), "serve", "--port", str(port)]
        log = self.folder / "serve.log"
        with (
            log.open("wb") as out,
            subprocess.Popen(command, cwd=self.folder, env=self._environment(), stdout=out, stderr=out) as process,
        ):
            try:
                server = Server(f"http://127.0.0.1:{port}", process)
                _wait_until_healthy(server, log)
                yield server
            finally:
                stop(process)
        assert "Traceback" not in log.read_text()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PHASEGATE_")}
        slo = {"PHASEGATE_SLO": str(self.slo)} if self.slo else {}
        return kept | slo | {"PHASEGATE_HOME": str(self.folder / "var")}


@contextmanager
def backend(*options: str) -> Iterator[str]:
    """The demo's backend on a free port; its address."""
    port = record.free_port()
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, demo.FOLDER / "backend.py", f"--port={port}", *options]) as process:
        try:
            while not record.facts_of(url):
                assert process.poll() is None, "the backend ended"
                time.sleep(0.1)
            yield url
        finally:
            stop(process)


def _wait_until_healthy(server: Server, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not server.answers():
        assert server.process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process; one that does not end in time is killed, and that is an error."""
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
