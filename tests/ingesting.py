"""Ingesting quickly: everything real but for the worker's own process."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from data.model import RunMeta, RunRecord
from data.store import Store
from ingest.limits import Limits
from ingest.process import Progress
from ingest.service import Ingested, Ingestor, Upload
from ingest.worker import Job, Worker

_numbers = count()


class _Here:
    """A worker in this process."""

    def read(self, job: Job, on_progress: Progress) -> None:
        Worker(job, on_progress).run()


class Quick(Ingestor):
    """The real thing but for the worker's own process, which takes a third of a second to start."""

    def _worker(self, _folder: Path) -> AbstractContextManager[_Here]:
        return nullcontext(_Here())


@dataclass(frozen=True)
class Bench:
    """A store, and a folder for what is put into it."""

    store: Store
    folder: Path

    def upload(self, content: bytes, name: str = "r.json") -> Upload:
        """A file with this content, known by this name."""
        path = self.folder / f"upload-{next(_numbers)}"
        path.write_bytes(content)
        return Upload(path, name)

    def ingest(self, *uploads: Upload | bytes, meta: RunMeta | None = None, limits: Limits | None = None) -> Ingested:
        """Ingest the files of one run, without a process of their own."""
        files = [self.upload(u, f"r{i}.json") if isinstance(u, bytes) else u for i, u in enumerate(uploads)]
        return Quick(self.store, limits).ingest(files, meta or RunMeta())

    def record(self, *uploads: Upload | bytes, meta: RunMeta | None = None) -> RunRecord:
        """What the catalog keeps of the run that these files are."""
        return self.store.record(self.ingest(*uploads, meta=meta).run.id)

    def holdings(self) -> tuple[int, list[str], list[str]]:
        """Everything there is: how many runs, which blocks, and what lies in the spool."""
        names = [sorted(path.name for path in (self.store.home / part).iterdir()) for part in ("blocks", "spool")]
        return self.store.count_runs(), names[0], names[1]
