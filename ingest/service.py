"""Take an upload: settle who the run is, have a worker read it, publish it. The effects' edge of ingesting."""

from __future__ import annotations

import shutil
import threading
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Protocol

import blake3
import structlog

from data import attachments, blocks
from data.errors import ArtefactTooLarge, BadRequest, Busy, UnreadableArtefact
from data.facts import facts_in, said, together
from data.model import Attachment, RunMeta
from ingest.limits import Limits
from ingest.process import Progress, worker_process
from ingest.recognise import Shape, recognise
from ingest.record import Identity
from ingest.worker import FACTS, Job, JobFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from data.facts import Facts
    from data.model import Run
    from data.store import Store

_RUN_ID_CHARACTERS = 12
QUEUE = 8
"""Uploads that may wait for their turn."""
_OF_TESTS = "tests."
"""How the names of facts begin that reports of tests give."""
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


class Reader(Protocol):
    """Who reads the files of a job into a block."""

    def read(self, job: Job, on_progress: Progress) -> None:
        """Leave a finished block in the job's folder."""


class Ingestor:
    """Ingests into one store, one upload at a time."""

    def __init__(self, store: Store, limits: Limits | None = None) -> None:
        self._store = store
        self.limits = limits or Limits()
        self._turn = threading.Lock()
        self._waiting = threading.BoundedSemaphore(QUEUE)

    def ingest(
        self,
        uploads: Sequence[Upload],
        meta: RunMeta,
        on_progress: Progress | None = None,
        attached: Sequence[Upload] = (),
    ) -> Ingested:
        """Turn the files of one run into a stored run; ``attached`` are kept with it and not read.

        Raises:
            BadInput: they cannot be used; nothing was stored.
            Busy: too many uploads wait already, or the disk is full.
            StoreError: the worker died without saying why, or the disk fails.
        """
        if not self._waiting.acquire(blocking=False):
            raise Busy(f"{QUEUE} uploads are waiting to be read", help="send it again in a minute")
        try:
            return self._ingest(uploads, meta, on_progress or (lambda _step, _share: None), attached)
        finally:
            self._waiting.release()

    def _ingest(
        self, uploads: Sequence[Upload], meta: RunMeta, on_progress: Progress, attached: Sequence[Upload]
    ) -> Ingested:
        shapes = self._shapes(uploads)
        given = [self._attachment(upload) for upload in attached]
        with self._turn, self._folder() as folder, self._worker(folder) as worker:
            files = _hashed(uploads, shapes)  # a second for each 4 GB, while the worker starts
            digest = _run_digest(files)
            identity = Identity(digest[:_RUN_ID_CHARACTERS], digest, meta, datetime.now(UTC))
            there = self._store.attachments(identity.id) if (known := self._store.has_run(identity.id)) else []
            if any(file.shape == "junit-xml" for file in files) or any(one.kind == "junit" for one in there):
                _check_facts(meta)
            given = self._kept_reports(files, there) + self._within(given, there)
            job = Job(folder, tuple(files), identity, self.limits)
            if known:
                return self._known(job, given, there, lambda asked: worker.read(asked, on_progress))
            worker.read(job, on_progress)
            record = blocks.read_manifest(folder / "block").record
            attachments.attach(folder / "block", given)
            self._store.add_run(record, folder / "block")
        _log.info("run ingested", run=identity.id, points=record.run.points, requests=record.run.requests)
        return Ingested(record.run, created=True)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        with blocks.at_disk("read an upload"):
            folder = Path(mkdtemp(dir=self._store.spool))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _worker(self, folder: Path) -> AbstractContextManager[Reader]:
        return worker_process(folder / "worker.log")

    def _shapes(self, uploads: Sequence[Upload]) -> list[Shape]:
        if not uploads:
            raise BadRequest("no file was given", help="phasegate ingest results.json.gz")
        shapes = [self._shape(upload) for upload in uploads]
        reports = shapes.count("junit-xml")
        if reports == len(shapes):
            raise BadRequest(
                f"{', '.join(upload.name for upload in uploads[:3])}: reports of tests alone are no run",
                help="give the k6 output of the run with them: phasegate ingest results.json.gz --junit report.xml",
            )
        if len(shapes) - reports > self.limits.parts:
            raise BadRequest(
                f"{len(shapes) - reports} files were given; a run has at most {self.limits.parts}",
                help="upload each run on its own",
            )
        if reports > self.limits.junit_files:
            raise BadRequest(
                f"{reports} reports of tests were given; a run has at most {self.limits.junit_files}",
                help="merge them first: junitparser merge 'reports/*.xml' all.xml",
            )
        return shapes

    def _shape(self, upload: Upload) -> Shape:
        self._check_size(
            upload, self.limits.artefact_bytes, "k6's .gz output is about 20 times smaller: --out json=results.json.gz"
        )
        with _readable(upload.name):
            return recognise(upload.path, upload.name)

    def _check_size(self, upload: Upload, most: int, advice: str) -> int:
        path, name = upload.path, upload.name
        with _readable(name):
            if not path.is_file():
                raise UnreadableArtefact(
                    f"{name} is not a file, but a folder or a device" if path.exists() else f"there is no file {name}",
                    help="name a file, as the one that k6 wrote with --out json or --out csv; - is standard input",
                )
            if (size := path.stat().st_size) > most:
                raise ArtefactTooLarge(f"{name} has {size:,} bytes; at most {most:,} are taken", help=advice)
        return size

    def _attachment(self, upload: Upload) -> tuple[Attachment, Path]:
        """A file that is only kept."""
        advice = "attach its beginning, or where it can be found"
        size = self._check_size(upload, self.limits.attachment_bytes, advice)
        with _readable(upload.name):
            digest = upload.digest or blocks.file_digest(upload.path)
        return Attachment(attachments.safe_name(upload.name), "file", digest, size), upload.path

    def _within(
        self, given: list[tuple[Attachment, Path]], there: Sequence[Attachment]
    ) -> list[tuple[Attachment, Path]]:
        """Those files, if a run may have so many."""
        stored = {(one.name, one.digest) for one in there if one.kind == "file"}
        total = stored | {(one.name, one.digest) for one, _ in given}
        if len(total) > self.limits.attachments:
            raise BadRequest(
                f"{len(total)} files would be attached to the run; it has at most {self.limits.attachments}",
                help="attach one archive of them",
            )
        return given

    def _kept_reports(self, files: Sequence[JobFile], there: Sequence[Attachment]) -> list[tuple[Attachment, Path]]:
        """The reports of tests as attachments; those that there is no room for are listed alone."""
        room = self.limits.attachments * self.limits.attachment_bytes
        room -= sum(one.bytes for one in there if one.kind == "junit" and one.kept)
        found = []
        for file in files:
            if file.shape == "junit-xml":
                size = file.path.stat().st_size
                kept = size <= min(room, self.limits.attachment_bytes)
                room -= size if kept else 0
                found.append((Attachment(file.name, "junit", file.digest, size, kept=kept), file.path))
        return found

    def _known(
        self,
        job: Job,
        given: Sequence[tuple[Attachment, Path]],
        there: Sequence[Attachment],
        read: Callable[[Job], None],
    ) -> Ingested:
        """The run that these bytes are; what was not said of it before is taken over, and what is new is attached."""
        identity, files = job.identity, job.files
        record = self._store.record(identity.id)
        reports = tuple(file for file in files if file.shape == "junit-xml")
        read_before = {one.digest for one in there if one.kind == "junit"}
        stored = {artefact.digest for artefact in record.artefacts} | read_before
        if not read_before:
            stored |= {file.digest for file in reports}  # the tests of a run are told once, all together
        _check_reports(identity.id, [file for file in reports if file.digest not in stored])
        notes = [
            f"{file.name} was not added: a stored run takes no more files; `phasegate runs delete {identity.id}`, "
            "then ingest all of them together"
            for file in files
            if file.digest not in stored
        ]
        meta = identity.meta
        if reports and {file.digest for file in reports} == (read_before or {file.digest for file in reports}):
            read(replace(job, files=reports))
            told_by_tests = facts_in((job.folder / FACTS).read_bytes())
            _check_told(identity.id, record.run.meta.facts, told_by_tests)
            meta = replace(meta, facts=together([meta.facts, told_by_tests]))
        added = self._store.attach(
            identity.id, [one for one in given if one[0].digest in stored or one[0].kind == "file"]
        )
        notes += [f"{one.name} is attached now" for one in added]
        meta, told = filled(record.run.meta, meta)
        run = record.run if meta == record.run.meta else self._store.amend_run(record.run, meta)
        return Ingested(run, created=False, notes=(*notes, *told))


def _check_facts(meta: RunMeta) -> None:
    """Of a run with reports nobody else says what its tests came to: a gate would believe whoever spoke first."""
    if told := next((name for name in meta.facts if name.startswith(_OF_TESTS)), None):
        raise BadRequest(
            f"the fact {told} cannot be said of a run that has reports of tests: they say it",
            help="leave the fact out, or give it another name",
        )


def _check_reports(run: str, later: Sequence[JobFile]) -> None:
    """The tests of a run are told once, all together: reports left out in silence may be those that failed."""
    if later:
        raise BadRequest(
            f"{', '.join(file.name for file in later[:3])}: run {run} has its reports of tests already, and these are "
            "others; nothing was changed",
            help=f"`phasegate runs delete {run}`, then ingest the run with all its reports together",
        )


def _check_told(run: str, known: Facts, told: Facts) -> None:
    """What is stored of the tests, as somebody said it or an older version read it, may not outlive their reports."""
    if name := next((n for n, fact in known.items() if n.startswith(_OF_TESTS) and told.get(n) != fact), None):
        reported = said(told[name]) if name in told else "nothing of it"
        raise BadRequest(
            f"run {run} has the fact {name}={said(known[name])}, and its reports of tests say {reported}; "
            "nothing was changed",
            help=f"`phasegate runs delete {run}`, then ingest the run with all its reports together",
        )


def _hashed(uploads: Sequence[Upload], shapes: Sequence[Shape]) -> list[JobFile]:
    files: dict[str, JobFile] = {}
    for upload, shape in zip(uploads, shapes, strict=True):
        with _readable(upload.name):
            digest = upload.digest or blocks.file_digest(upload.path)
        if known := files.get(digest):
            raise BadRequest(f"{upload.name} and {known.name} are the same file", help="name each part once")
        files[digest] = JobFile(upload.path.resolve(), upload.name, digest, shape)
    return list(files.values())


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnreadableArtefact(
            f"{name} cannot be read: {error.strerror}", help="check its name, its permissions and the disk"
        ) from error


def filled(known: RunMeta, given: RunMeta) -> tuple[RunMeta, list[str]]:
    """``known`` with what only ``given`` says, and notes of what was added and of what they disagree on."""
    labels, facts = given.labels | known.labels, given.facts | known.facts
    meta = RunMeta(**_said(given) | _said(known), labels=labels, facts=facts)
    was, told = _named(known), _named(given)
    notes = [f"{name} is now {value!r}" for name, value in told.items() if name not in was]
    notes += [
        f"{name} stays {was[name]!r}; this upload said {value!r}"
        for name, value in told.items()
        if was.get(name, value) != value
    ]
    return meta, notes


def _said(meta: RunMeta) -> dict[str, Any]:
    """The fields that say something, without labels and facts."""
    return {name: value for name, value in vars(meta).items() if name not in {"labels", "facts"} and value is not None}


def _named(meta: RunMeta) -> dict[str, Any]:
    """All that is said, by what people call it."""
    labels = {f"label {key}": value for key, value in meta.labels.items()}
    return _said(meta) | labels | {f"fact {key}": value for key, value in meta.facts.items()}


def _run_digest(files: Sequence[JobFile]) -> str:
    """Who the run is: the bytes of its samples, or of its summaries where there are none."""
    samples = [file.digest for file in files if file.shape in {"k6-json", "k6-csv"}]
    digests = sorted(samples or [file.digest for file in files if file.shape == "json-document"])
    return digests[0] if len(digests) == 1 else blake3.blake3("\n".join(digests).encode()).hexdigest()
