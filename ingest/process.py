"""The worker seen from outside: its process is started, given its job, followed, and gone at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from data.blocks import at_disk
from data.errors import PhasegateError, StoreError, UnreadableArtefact, error_of
from ingest.worker import Job, job_json

if TYPE_CHECKING:
    from collections.abc import Iterator

Progress = Callable[[str, float], None]

_ROOT = Path(__file__).resolve().parent.parent
_log = structlog.get_logger()


@contextmanager
def worker_process(log: Path) -> Iterator[WorkerProcess]:
    """A worker that waits for its job and writes what goes wrong into ``log``; it ends with the block."""
    with at_disk("read an upload"):
        said = log.open("wb")
    with (
        said,
        subprocess.Popen(  # our own module, no shell
            [sys.executable, "-m", "ingest.worker"],
            cwd=_ROOT,
            env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"},  # no token, no address: it needs none
            stdin=subprocess.PIPE,  # its job; then only the end, which comes when this process ends, however it does
            stdout=subprocess.PIPE,
            stderr=said,
        ) as process,
    ):
        try:
            yield WorkerProcess(process, log)
        finally:
            process.kill()


class WorkerProcess:
    """A worker that has started: it loads what it needs while nobody asks yet."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._said = log

    def read(self, job: Job, on_progress: Progress) -> None:
        """Have the job done.

        Raises:
            BadInput: its files cannot be used.
            StoreError: the worker died without saying why, or the disk fails.
        """
        deadline = threading.Timer(job.limits.wall_s, self._process.kill)
        deadline.start()
        try:
            self._give(job)
            done = self._follow(on_progress)
        finally:
            deadline.cancel()
        if not done:
            raise self._died(", ".join(file.name for file in job.files))

    def _give(self, job: Job) -> None:
        if stdin := self._process.stdin:
            try:
                stdin.write(job_json.dump_json(job) + b"\n")
                stdin.flush()
            except BrokenPipeError:  # it is dead, which is told where it is followed
                with suppress(BrokenPipeError):
                    stdin.close()

    def _follow(self, on_progress: Progress) -> bool:
        """Pass on what the worker says; whether it came to the end."""
        for line in self._process.stdout or ():
            match json.loads(line):
                case {"step": str() as step, "share": float() | int() as share}:
                    on_progress(step, float(share))
                case {"error": dict() as error}:
                    raise _told(error)
                case {"done": True}:
                    return True
        self._process.wait()
        return False

    def _died(self, names: str) -> PhasegateError:
        code = self._process.returncode
        _log.error("ingest worker died", code=code, stderr=self._said.read_text("utf-8", "replace")[-2000:])
        if code < 0:
            return UnreadableArtefact(
                f"reading {names} used up the limits of one ingest (signal {-code}); nothing was stored",
                help="is this k6 output? If it is, tell us: it should be readable",
            )
        return StoreError(f"reading {names} failed inside Phasegate (exit {code}); nothing was stored")


def _told(error: dict[str, Any]) -> PhasegateError:
    return error_of(error["code"])(error["message"], help=error["help"])
