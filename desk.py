"""The desk: one open store with what reads into it and what answers from it. Page, API and command line sit here."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import demo
from data.errors import BadInput, BadRequest, NotFound, StoreError
from data.store import Store, announce_server
from ingest.service import Ingestor
from ingest.spool import Spool
from slo.model import IngestAnswer
from slo.service import ConfigSource, Service, run_ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from data.model import RunMeta
    from ingest.service import Upload
    from settings import Settings

    Progress = Callable[[str, float], None]


class Desk:
    """Opens the store of ``settings``; ``service`` answers every question, ``ingest`` takes every upload."""

    def __init__(self, settings: Settings) -> None:
        """Open the store.

        Raises:
            StoreLocked: another process holds it.
        """
        self.settings = settings
        self._store = Store(settings.home)
        self._ingestor = Ingestor(self._store)
        self.spool = Spool(self._store.spool / "uploads", self._ingestor.limits.artefact_bytes)
        self.service = Service(self._store, ConfigSource(settings.slo_paths))

    def close(self) -> None:
        """Release the store."""
        self._store.close()

    def ingest(self, uploads: Sequence[Upload], meta: RunMeta, on_progress: Progress | None = None) -> IngestAnswer:
        """Store the files of one run, and judge it at once where a phase was named.

        Raises:
            BadInput: the files cannot be used; nothing was stored.
        """
        taken = self._ingestor.ingest(uploads, meta, on_progress)
        notes = list(taken.notes)
        verdict = None
        if meta.phase is not None:
            try:
                verdict = self.service.verdict(taken.run.id, meta.phase)
            except (BadInput, NotFound) as error:  # the run is stored; its judgement can be asked for again
                notes.append(f"not judged: {error}")
        measurement = verdict.measurement if verdict else self.service.measurement(taken.run.id)
        return IngestAnswer(run_ref(taken.run), taken.created, measurement.findings, tuple(notes), verdict)

    def load_demo(self, on_progress: Progress | None = None) -> int:
        """Ingest the recorded runs of the demo and put its slo.yaml beside the store, unless one is there."""
        own = self.settings.home / "slo.yaml"
        if not own.exists():
            shutil.copyfile(demo.SLO, own)
        return demo.load(self.ingest, on_progress)


def labels(pairs: Sequence[str]) -> dict[str, str]:
    """``["k=v"]`` as a mapping.

    Raises:
        BadRequest: a pair has no ``=``.
    """
    for pair in pairs:
        if "=" not in pair:
            raise BadRequest(f"the label {pair!r} has no value", help="write key=value")
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


def announce(settings: Settings, url: str) -> None:
    """Leave word in the store of the server that is about to hold it; opens it once, so that a locked one says so.

    Raises:
        StoreLocked: another process holds it.
    """
    Store(settings.home).close()
    announce_server(settings.home, url)


_opened: list[Desk] = []


@contextmanager
def opened(settings: Settings) -> Iterator[Desk]:
    """The desk of this process, for as long as it serves; pages reach it with :func:`current`."""
    desk = Desk(settings)
    _opened.append(desk)
    try:
        yield desk
    finally:
        _opened.remove(desk)
        desk.close()


def current() -> Desk:
    """The desk that this process opened last.

    Raises:
        StoreError: it opened none.
    """
    if not _opened:
        raise StoreError("no store is open in this process", help="start the pages with `phasegate serve`")
    return _opened[-1]
