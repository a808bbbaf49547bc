"""The process that reads what was uploaded: alone, under limits, so that hostile input can kill only it.

``python -m ingest.worker`` takes its job, a line of JSON, from standard input, builds the block in the job's folder and
reports as JSON lines on standard output:
``{"step": ..., "share": ...}`` while it works, then ``{"done": true}`` or ``{"error": {"code", "message", "help"}}``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from pydantic import TypeAdapter

from data import blocks
from data.errors import FULL, ArtefactTooLarge, BadInput, NoSpace, PhasegateError, StoreError, UnreadableArtefact
from data.facts import Facts, together
from data.model import Artefact, ArtefactKind
from ingest import block
from ingest.inflate import MAGIC, inflate
from ingest.junit import check_junit_size, read_report
from ingest.junit_facts import facts_of_tests
from ingest.limits import Limits
from ingest.recognise import Shape
from ingest.record import Identity, assemble, check_parts
from ingest.stage import Source, ends_mid_line, first_not_k6s, stage
from ingest.summary import Summary, parse_summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from data.model import Metric, Series, Threshold
    from ingest.junit import TestReport

Report = Callable[[str, float], None]

FACTS = "facts.json"
"""Where in its folder a job leaves the facts of its tests, for a run that is stored already."""
_POLL_S = 0.2
_NICE = 10
_DISK_IS_FULL = ("No space left", "Disk quota exceeded", "max_temp_directory_size")
"""What DuckDB says then; the last names a setting, which is the room that the disk had when work began."""
_KINDS: dict[Shape, ArtefactKind] = {"k6-json": "k6-json", "k6-csv": "k6-csv"}


@dataclass(frozen=True)
class JobFile:
    """One file to read: where it is, what its user calls it, its digest and its shape."""

    path: Path
    name: str
    digest: str
    shape: Shape


@dataclass(frozen=True)
class Job:
    """Everything a worker needs: it asks nobody. Where all files are reports of tests, it leaves no block."""

    folder: Path
    files: tuple[JobFile, ...]
    identity: Identity
    limits: Limits


job_json = TypeAdapter(Job)


@dataclass(frozen=True)
class Staged:
    """A file of samples after staging."""

    file: Path
    artefact: Artefact
    definitions: list[tuple[Metric, list[Threshold]]]


class Worker:
    """One job, step by step."""

    def __init__(self, job: Job, report: Report) -> None:
        self._job = job
        self._report = report
        self._scratch = job.folder / "scratch"
        self._block = job.folder / "block"
        self._scratch.mkdir()
        self._block.mkdir()
        self._db = duckdb.connect(
            config={
                "memory_limit": f"{job.limits.memory_bytes >> 20}MB",
                "threads": min(os.cpu_count() or 1, 4),
                "temp_directory": str(self._scratch / "spill"),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        self._db.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = true; SET enable_progress_bar_print = false")

    def run(self) -> None:
        """Read every file and leave a finished block, and the facts of tests, in the job's folder."""
        identity = self._job.identity
        if reports := [file for file in self._job.files if file.shape == "junit-xml"]:
            facts = self._tests(reports)
            (self._job.folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
            if len(reports) == len(self._job.files):
                return
            identity = replace(identity, meta=replace(identity.meta, facts=together([identity.meta.facts, facts])))
        samples = [f for f in self._job.files if f.shape in _KINDS]
        summaries = [self._summary(f) for f in self._job.files if f.shape == "json-document"]
        staged = [self._stage(number, file) for number, file in enumerate(samples)]
        series, collapsed = self._write_parts(staged)
        with self._progress("statistics"):
            stats = block.metric_stats(self._db, self._block) if staged else {}
        record = assemble(
            identity,
            [replace(s.artefact, collapsed_tags=collapsed) for s in staged] + [artefact for artefact, _ in summaries],
            series,
            [definition for s in staged for definition in s.definitions],
            stats,
            [summary for _, summary in summaries],
        )
        blocks.write_manifest(self._block, record)

    def _tests(self, files: Sequence[JobFile]) -> Facts:
        """The facts of all reports of tests together."""
        reports: list[TestReport] = []
        limits = self._job.limits
        cases = 0
        for file in files:
            plain, damage = self._plain(file)
            if damage:
                raise UnreadableArtefact(
                    f"could not read {file.name}: {damage}", help="give the file as it was written"
                )
            check_junit_size(file.name, plain.stat().st_size, limits)
            reports.append(read_report(plain.read_bytes(), file.name, limits))
            cases += sum(len(suite.cases) for suite in reports[-1].suites)
            if cases > limits.junit_cases:
                raise ArtefactTooLarge(
                    f"the reports up to {file.name} have more than {limits.junit_cases:,} test cases together",
                    help="give those that entry criteria ask about",
                )
            self._report("tests", len(reports) / len(files))
        return facts_of_tests(reports)

    def _summary(self, file: JobFile) -> tuple[Artefact, Summary]:
        plain, truncated = self._plain(file)
        summary = parse_summary(plain, file.name, self._job.limits.summary_bytes)
        return Artefact(file.name, summary.kind, file.digest, file.path.stat().st_size, truncated=truncated), summary

    def _plain(self, file: JobFile) -> tuple[Path, str | None]:
        """The file without compression, and how it is damaged."""
        with file.path.open("rb") as start:
            if start.read(len(MAGIC)) != MAGIC:
                return file.path, None
        target = self._scratch / f"{file.digest}.plain"
        on_progress = partial(self._report, "inflate")
        return target, inflate(file.path, target, file.name, self._job.limits, on_progress)

    def _stage(self, number: int, file: JobFile) -> Staged:
        plain, truncated = self._plain(file)
        target = self._scratch / f"stage-{number}.parquet"
        source = Source(plain, file.name, file.shape)
        with self._progress("read"):
            refused = stage(self._db, source, target, self._job.limits)
        found = block.counts(self._db, target, refused)
        if not found.points:
            raise UnreadableArtefact(
                f"{file.name} holds no k6 samples: {found.lines:,} lines, {found.malformed:,} of them unreadable",
                help="check that k6 ran: a run without any sample leaves nothing to judge",
            )
        first_malformed = refused.first_line
        if found.malformed and file.shape == "k6-json":
            first_malformed = first_not_k6s(self._db, source, self._job.limits)
        if found.malformed and not truncated and ends_mid_line(source):
            truncated = "the file ends in the middle of a line"
        if plain != file.path:
            plain.unlink()
        artefact = Artefact(
            file.name, _KINDS[file.shape], file.digest, file.path.stat().st_size, found.lines, found.points,
            found.malformed, first_malformed, found.dropped, truncated,
        )  # fmt: skip
        return Staged(target, artefact, block.definitions(self._db, target, file.name))

    def _write_parts(self, staged: list[Staged]) -> tuple[list[Series], dict[str, int]]:
        if not staged:
            return [], {}
        if len(staged) > 1:
            check_parts([block.window(self._db, s.file, s.artefact.name) for s in staged])
        with self._progress("sort"):
            return block.write_parts(self._db, [s.file for s in staged], self._block, self._job.limits)

    @contextmanager
    def _progress(self, step: str) -> Iterator[None]:
        """Report DuckDB's own progress while a statement runs."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_POLL_S):
                self._report(step, max(0.0, self._db.query_progress()) / 100)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
        self._report(step, 1.0)


def _confine(limits: Limits) -> None:
    """Give this process bounds of its own, and an end when its parent ends."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.address_space_bytes, limits.address_space_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.wall_s * 2, limits.wall_s * 2))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)

    def watch() -> None:
        os.read(0, 1)  # after the job comes nothing but the end, when the parent ends
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def explained(error: duckdb.Error | OSError | MemoryError, job: Job) -> PhasegateError:
    """What the user of a job is told of an error that is not ours."""
    names = ", ".join(file.name for file in job.files)
    full = error.errno in FULL if isinstance(error, OSError) else any(word in str(error) for word in _DISK_IS_FULL)
    if full:
        return NoSpace(f"the disk has no room to read {names}; nothing was stored", help="make room, then try again")
    if isinstance(error, duckdb.OutOfMemoryException | MemoryError):
        mebibytes = job.limits.memory_bytes >> 20
        return BadInput(
            f"reading {names} takes more than the {mebibytes:,} MiB of memory that one ingest may use",
            help="give requests names without ids, and let k6 write fewer metrics",
        )
    if isinstance(error, OSError | duckdb.IOException):
        return StoreError(f"reading {names} failed at the disk; nothing was stored", help="check the disk, try again")
    return UnreadableArtefact(f"{names} cannot be read as k6 output", help="upload the file that k6 wrote")


def main() -> None:
    """Do the job that standard input names."""
    # DuckDB imports pandas, if it is there, the first time it binds a parameter: half of a small run's time.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    job = job_json.validate_json(sys.stdin.buffer.readline())
    _confine(job.limits)

    def say(message: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def fail(error: PhasegateError) -> None:
        say({"error": {"code": error.code, "message": error.message, "help": error.help}})

    try:
        Worker(job, lambda step, share: say({"step": step, "share": round(share, 3)})).run()
    except PhasegateError as error:
        fail(error)
    except (duckdb.Error, OSError, MemoryError) as error:
        sys.stderr.write(f"{error}\n")  # to the worker's log: words that only help who knows DuckDB
        fail(explained(error, job))
    else:
        say({"done": True})


if __name__ == "__main__":
    main()
