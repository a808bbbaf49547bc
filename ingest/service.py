"""Take an upload: settle who the run is, have a worker read it, publish it. The effects' edge of ingesting."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import blake3
import structlog

from data import blocks
from data.errors import ArtefactTooLarge, BadRequest, Busy, PhasegateError, StoreError, UnreadableArtefact, error_of
from data.model import RunMeta
from ingest.limits import Limits
from ingest.recognise import recognise
from ingest.record import Identity
from ingest.worker import Job, JobFile, job_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.model import Run
    from data.store import Store

Progress = Callable[[str, float], None]

_ROOT = Path(__file__).resolve().parent.parent
_RUN_ID_CHARACTERS = 12
QUEUE = 8
"""Uploads that may wait for their turn."""
_log = structlog.get_logger()


@dataclass(frozen=True)
class Upload:
    """One file of an upload, on this machine's disk. ``name`` is only shown; ``digest`` is known of a spooled file."""

    path: Path
    name: str
    digest: str | None = None


@dataclass(frozen=True)
class Ingested:
    """The run an upload became; ``created`` is false where the same bytes were there before.

    ``notes`` say what was added to such a run, and what was not.
    """

    run: Run
    created: bool
    notes: tuple[str, ...] = ()


class Ingestor:
    """Ingests into one store, one upload at a time."""

    def __init__(self, store: Store, limits: Limits | None = None) -> None:
        self._store = store
        self.limits = limits or Limits()
        self._turn = threading.Lock()
        self._waiting = threading.BoundedSemaphore(QUEUE)

    def ingest(self, uploads: Sequence[Upload], meta: RunMeta, on_progress: Progress | None = None) -> Ingested:
        """Turn the files of one run into a stored run.

        Raises:
            BadInput: they cannot be used; nothing was stored.
            Busy: too many uploads wait already, or the disk is full.
            StoreError: the worker died without saying why, or the disk fails.
        """
        if not self._waiting.acquire(blocking=False):
            raise Busy(f"{QUEUE} uploads are waiting to be read", help="send it again in a minute")
        try:
            return self._ingest(uploads, meta, on_progress or (lambda _step, _share: None))
        finally:
            self._waiting.release()

    def _ingest(self, uploads: Sequence[Upload], meta: RunMeta, on_progress: Progress) -> Ingested:
        files = self._described(uploads)
        digest = _run_digest(files)
        identity = Identity(digest[:_RUN_ID_CHARACTERS], digest, meta, datetime.now(UTC))
        with self._turn:
            if self._store.has_run(identity.id):
                return self._known(identity, files)
            with blocks.at_disk("read an upload"):
                folder = Path(mkdtemp(dir=self._store.spool))
            try:
                self._work(Job(folder, tuple(files), identity, self.limits), on_progress)
                record = blocks.read_manifest(folder / "block").record
                self._store.add_run(record, folder / "block")
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        _log.info("run ingested", run=identity.id, points=record.run.points, requests=record.run.requests)
        return Ingested(record.run, created=True)

    def _described(self, uploads: Sequence[Upload]) -> list[JobFile]:
        if not uploads:
            raise BadRequest("no file was given", help="phasegate ingest results.json.gz")
        if len(uploads) > self.limits.parts:
            raise BadRequest(
                f"{len(uploads)} files were given; a run has at most {self.limits.parts}",
                help="upload each run on its own",
            )
        files: dict[str, JobFile] = {}
        for file in map(self._file, uploads):
            if known := files.get(file.digest):
                raise BadRequest(f"{file.name} and {known.name} are the same file", help="name each part once")
            files[file.digest] = file
        return list(files.values())

    def _file(self, upload: Upload) -> JobFile:
        path, name = upload.path, upload.name
        try:
            if not path.is_file():
                raise UnreadableArtefact(
                    f"{name} is not a file, but a folder or a device" if path.exists() else f"there is no file {name}",
                    help="name the file that k6 wrote with --out json or --out csv; - is standard input",
                )
            if (size := path.stat().st_size) > self.limits.artefact_bytes:
                raise ArtefactTooLarge(
                    f"{name} has {size:,} bytes; at most {self.limits.artefact_bytes:,} are taken",
                    help="k6's .gz output is about 20 times smaller: --out json=results.json.gz",
                )
            shape = recognise(path, name)
            return JobFile(path.resolve(), name, upload.digest or blocks.file_digest(path), shape)
        except OSError as error:
            raise UnreadableArtefact(
                f"{name} cannot be read: {error.strerror}", help="check its name, its permissions and the disk"
            ) from error

    def _known(self, identity: Identity, files: Sequence[JobFile]) -> Ingested:
        """The run that these bytes are; what was not said of it before is taken over."""
        record = self._store.record(identity.id)
        stored = {artefact.digest for artefact in record.artefacts}
        notes = [
            f"{file.name} was not added: a stored run takes no more files; `phasegate runs delete {identity.id}`, "
            "then ingest all of them together"
            for file in files
            if file.digest not in stored
        ]
        meta, told = filled(record.run.meta, identity.meta)
        run = record.run if meta == record.run.meta else self._store.amend_run(record.run, meta)
        return Ingested(run, created=False, notes=(*notes, *told))

    def _work(self, job: Job, on_progress: Progress) -> None:
        asked, said = job.folder / "job.json", job.folder / "worker.log"
        with blocks.at_disk("read an upload"):
            asked.write_bytes(job_json.dump_json(job))
        with (
            said.open("wb") as log,
            subprocess.Popen(  # noqa: S603  # our own module, no shell
                [sys.executable, "-m", "ingest.worker", str(asked)],
                cwd=_ROOT,
                env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"},  # no token, no address: it needs none
                stdin=subprocess.PIPE,  # nothing is said on it: it ends when this process does, however that happens
                stdout=subprocess.PIPE,
                stderr=log,
            ) as worker,
        ):
            deadline = threading.Timer(job.limits.wall_s, worker.kill)
            deadline.start()
            try:
                done = self._follow(worker, on_progress)
            finally:
                deadline.cancel()
                worker.kill()
        if not done:
            raise self._died(worker.returncode, said, ", ".join(file.name for file in job.files))

    def _follow(self, worker: subprocess.Popen[bytes], on_progress: Progress) -> bool:
        """Pass on what the worker says; whether it came to the end."""
        for line in worker.stdout or ():
            match json.loads(line):
                case {"step": str() as step, "share": float() | int() as share}:
                    on_progress(step, float(share))
                case {"error": dict() as error}:
                    raise self._told(error)
                case {"done": True}:
                    return True
        worker.wait()
        return False

    def _told(self, error: dict[str, Any]) -> PhasegateError:
        return error_of(error["code"])(error["message"], help=error["help"])

    def _died(self, code: int, said: Path, names: str) -> PhasegateError:
        _log.error("ingest worker died", code=code, stderr=said.read_text("utf-8", "replace")[-2000:])
        if code < 0:
            return UnreadableArtefact(
                f"reading {names} used up the limits of one ingest (signal {-code}); nothing was stored",
                help="is this k6 output? If it is, tell us: it should be readable",
            )
        return StoreError(f"reading {names} failed inside Phasegate (exit {code}); nothing was stored")


def filled(known: RunMeta, given: RunMeta) -> tuple[RunMeta, list[str]]:
    """``known`` with what only ``given`` says, and notes of what was added and of what they disagree on."""
    meta = RunMeta(**_said(given) | _said(known), labels=given.labels | known.labels)
    was, told = _named(known), _named(given)
    notes = [f"{name} is now {value!r}" for name, value in told.items() if name not in was]
    notes += [
        f"{name} stays {was[name]!r}; this upload said {value!r}"
        for name, value in told.items()
        if was.get(name, value) != value
    ]
    return meta, notes


def _said(meta: RunMeta) -> dict[str, Any]:
    """The fields that say something, without the labels."""
    return {name: value for name, value in vars(meta).items() if name != "labels" and value is not None}


def _named(meta: RunMeta) -> dict[str, Any]:
    """All that is said, by what people call it."""
    return _said(meta) | {f"label {key}": value for key, value in meta.labels.items()}


def _run_digest(files: Sequence[JobFile]) -> str:
    """Who the run is: the bytes of its samples, or of its summaries where there are none."""
    samples = [file.digest for file in files if file.shape != "json-document"]
    digests = sorted(samples or [file.digest for file in files])
    return digests[0] if len(digests) == 1 else blake3.blake3("\n".join(digests).encode()).hexdigest()
