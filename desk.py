"""The desk: one open store with what reads into it and what answers from it. Page, API and command line sit here."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

import demo
from counter import Counter
from data.address import announce_server
from data.errors import BadInput, BadRequest, Busy, ConfigError, NotFound, PhasegateError, StoreError
from data.model import Decision
from data.store import Store
from ingest.service import Ingestor
from ingest.spool import Spool
from notify import Courier, probe
from puller import Puller
from slo.model import IngestAnswer
from slo.refs import run_ref
from slo.service import ConfigSource, Service
from telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from data.model import DecisionKind, RunMeta
    from ingest.service import Ingested, Upload
    from settings import Settings
    from slo.budget_model import BudgetPull
    from slo.model import ConfigReport, PullAnswer, RunRef
    from slo.telling import Tried

    Progress = Callable[[str, float], None]

_log = structlog.get_logger()


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
        self.service = Service(self._store, ConfigSource(settings.slo_paths), public_url=settings.public_url)
        self.courier = Courier(self._store, self.service.receivers, os.environ)
        self.telemetry = Telemetry()
        self.puller = Puller(self._store, self.service, self.telemetry.pulled)
        self.counter = Counter(self._store, self.service)
        self.service.decided = lambda decision: self.telemetry.decided(decision.decision)

    def close(self) -> None:
        """Release the store."""
        self._store.close()

    def ingest(
        self,
        uploads: Sequence[Upload],
        meta: RunMeta,
        on_progress: Progress | None = None,
        attached: Sequence[Upload] = (),
        *,
        prometheus: str | None = None,
    ) -> IngestAnswer:
        """Store the files of one run, with those attached to it, and judge it at once where a phase was named.

        Before that, Prometheus is asked: every source of slo.yaml, the one named ``prometheus``, or ``none``.

        Raises:
            BadInput: the files cannot be used; nothing was stored.
        """
        with self.telemetry.ingest(), self.telemetry.step("read"):
            taken = self._ingestor.ingest(uploads, meta, on_progress, attached)
        self.telemetry.ingested(created=taken.created)
        with self.telemetry.step("pull"):
            notes = self._asked_about(taken.run.id, prometheus)
        with self.telemetry.step("judge"):
            answer = self._answer(taken, meta)
        return replace(answer, notes=(*answer.notes, *notes))

    def pull(
        self,
        run_id: str,
        source: str | None = None,
        *,
        everything: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> PullAnswer:
        """Ask Prometheus what it has not answered yet about a run; see :meth:`puller.Puller.pull`."""
        return self.puller.pull(run_id, source, everything=everything, on_progress=on_progress)

    def _asked_about(self, run_id: str, prometheus: str | None) -> tuple[str, ...]:
        try:
            return self.puller.after_upload(run_id, prometheus)
        except ConfigError:  # said where the run is judged
            return ()
        finally:
            self.puller.wake()

    def _answer(self, taken: Ingested, meta: RunMeta) -> IngestAnswer:
        notes = list(taken.notes)
        verdict = None
        try:
            if meta.phase is not None:
                verdict = self.service.verdict(taken.run.id, meta.phase)
                self.service.tell(taken.run.id, meta.phase)
            measurement = verdict.measurement if verdict else self.service.measurement(taken.run.id)
        except (BadInput, NotFound) as error:  # the run is stored; its judgement can be asked for again
            notes.append(f"not judged: {error}")
            measurement = self.service.measurement(taken.run.id, by_defaults=True)
        return IngestAnswer(run_ref(taken.run), taken.created, measurement.findings, tuple(notes), verdict)

    def judge_ahead(self, run_id: str) -> None:
        """Judge a run by every phase, behind the back of who uploaded it: what goes wrong is for the log."""
        try:
            with self.telemetry.step("judge_ahead"):
                self.service.judge_ahead(run_id)
        except PhasegateError as error:  # deleted meanwhile, or slo.yaml is wrong: whoever asks is told
            _log.warning("not judged ahead", run=run_id, error=str(error))

    def delete(self, run_id: str, reason: str) -> RunRef:
        """Delete a run, by its id or the beginning of it, with all that was said of it; what it was.

        Raises:
            BadRequest: there is no reason, or the id could mean several runs.
            NotFound: there is no such run.
        """
        if not reason.strip():
            raise BadRequest("a run is deleted for a reason", help="say it: --reason TEXT, or ?reason=")
        run = self.service.run(run_id)
        self._store.delete_run(run.id, reason)
        return run

    def decide(self, run_id: str, kind: DecisionKind, reason: str) -> Decision:
        """Keep a decision about a run, by its id or the beginning of it.

        Raises:
            BadRequest: there is no reason, the id could mean several runs, the run cannot be a baseline, or there is
                nothing to take back.
            NotFound: there is no such run.
        """
        if not reason.strip():
            raise BadRequest("what is decided about a run has a reason", help="say it: --reason TEXT, or ?reason=")
        decision = Decision(self.service.run(run_id).id, kind, reason.strip(), datetime.now(UTC))
        if kind in {"pinned", "started"}:
            self.service.require_believed(decision.run_id)
        if undoes := {"restored": {"invalidated"}, "released": {"pinned", "started"}}.get(kind):
            own = [one.kind for one in self.service.decisions(decision.run_id) if one.kind in {*undoes, kind}]
            if own[:1] in ([], [kind]):
                raise BadRequest(f"run {decision.run_id} is not {' or '.join(sorted(undoes))}: nothing to take back")
        self._store.decide(decision)
        return decision

    def metrics(self) -> bytes:
        """What the service says of itself and of what is stored, in Prometheus's text format."""
        return self.telemetry.exposition(lambda: (self._store.figures(), self._store.sizes(), self.service.exported()))

    def notify_test(self) -> tuple[Tried, ...]:
        """Send a test message to everyone whom slo.yaml names; what became of it. Takes at most 10 s.

        Raises:
            BadRequest: it names nobody.
        """
        return probe(self.service.receivers(), os.environ)

    def pull_budgets(self, on_progress: Progress | None = None) -> tuple[BudgetPull, ...]:
        """Ask Prometheus what the error budgets of slo.yaml do not know yet; see :meth:`counter.Counter.pull`."""
        return self.counter.pull(on_progress)

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


@dataclass(frozen=True)
class Opening:
    """What a server is about to serve: how many runs, judged by which slo.yaml (``None``: there is none), and where."""

    url: str
    runs: int
    slo: ConfigReport | None


def announce(settings: Settings, host: str, port: int) -> Opening:
    """Try everything that a server needs, and leave word in the store of the one that is about to hold it.

    Raises:
        StoreLocked: another process holds the store.
        NotFound: the slo.yaml that was named is not there.
        ConfigError: slo.yaml is wrong.
        Busy: the address is in use.
        BadRequest: nobody can listen on it.
    """
    desk = Desk(settings)
    try:
        if settings.slo and not settings.slo.is_file():
            raise NotFound(f"there is no {settings.slo}", help="name your slo.yaml with --slo, or PHASEGATE_SLO")
        runs, slo = desk.service.count(), desk.service.config_report()
        _try_to_listen(host, port)
    finally:
        desk.close()
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not bound
    url = f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
    announce_server(settings.home, url)
    return Opening(url, runs, slo and replace(slo, source=str(Path(slo.source).resolve())))


def _try_to_listen(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: nobody waits for TIME_WAIT
            listener.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Busy(
                f"port {port} of {host} is in use", help="stop what listens there, or choose another with --port"
            ) from error
        raise BadRequest(f"cannot listen on port {port} of {host}: {error.strerror}", help="see --host") from error


_opened: list[Desk] = []


@contextmanager
def opened(settings: Settings) -> Iterator[Desk]:
    """The desk of this process, for as long as it serves; pages reach it with :func:`current`.

    Meanwhile whoever is to be told of changes is told.
    """
    desk = Desk(settings)
    _opened.append(desk)
    desk.service.outbox.written = desk.courier.wake
    desk.courier.start()
    desk.puller.start()
    desk.counter.start()
    try:
        yield desk
    finally:
        _opened.remove(desk)
        desk.counter.stop()
        desk.puller.stop()
        desk.courier.stop()
        desk.close()


def current() -> Desk:
    """The desk that this process opened last.

    Raises:
        StoreError: it opened none.
    """
    if not _opened:
        raise StoreError("no store is open in this process", help="start the pages with `phasegate serve`")
    return _opened[-1]
