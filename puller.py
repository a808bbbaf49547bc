"""Has Prometheus asked about runs: at an upload, by hand, and in the background until there is an answer.

A source that is away costs an upload a moment and nothing else: the run is stored, its promql objectives have no data,
and what was not answered is asked again, ever more seldom, for a day.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from data.catalog import RunFilter
from data.errors import BadRequest, Busy, NotFound, PhasegateError, StoreError
from data.sources import SETTLE_S
from ingest.pull import pull
from slo.model import PullAnswer
from slo.reader import suggestion
from slo.refs import run_ref

if TYPE_CHECKING:
    from data.store import Store
    from slo.queries import Questions
    from slo.service import Service

UPLOAD_LIMIT_S = 10.0
"""How long an upload waits for what Prometheus says of it; the rest is asked later."""
DAY = timedelta(days=1)
"""How long a run is asked about by itself. Later only by hand: `phasegate prometheus pull`."""
NONE = "none"
"""What is said in place of a source, to ask none."""
_NEWEST = 100
_FIRST_WAIT_S, _LONGEST_WAIT_S, _IDLE_S = 10.0, 600.0, 15.0
_log = structlog.get_logger()


class Puller:
    """Asks the sources of slo.yaml about the runs of a store. One run at a time, whoever wants it."""

    def __init__(
        self,
        store: Store,
        service: Service,
        answered: Callable[[str, datetime], None],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """``answered`` is told of a source that has answered, by name, and when."""
        self._store, self._service, self._environment = store, service, environment
        self._answered = answered
        self._turn = threading.Lock()
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._done: set[tuple[str, str]] = set()
        self._waiting: dict[str, tuple[float, float]] = {}
        self._thread: threading.Thread | None = None

    def pull(
        self,
        run_id: str,
        source: str | None = None,
        *,
        everything: bool = False,
        limit_s: float | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> PullAnswer:
        """Ask what is not answered yet about a run; ``everything``: what is, too. ``source``: one alone.

        Raises:
            NotFound: there is no such run, no slo.yaml, or no such source in it.
            BadRequest: slo.yaml describes no Prometheus, or the run does not say when it was.
            Busy: Prometheus is asked about another run for longer than ``limit_s``.
        """
        found = self._service.questions(run_id)
        _check(found, source)
        until = math.inf if limit_s is None else monotonic() + limit_s
        connections = {name: one for name, one in found.connections.items() if source in {None, name}}
        with self._my_turn(limit_s):
            asked = pull(
                self._store, found.run, [query for query in found.queries if query.source in connections], connections,
                found.spans, self._environment, everything=everything, on_progress=on_progress,
                until=lambda: self._stopped.is_set() or monotonic() > until,
            )  # fmt: skip
        for name in asked.answered:
            self._answered(name, datetime.now(UTC))
        return PullAnswer(
            run_ref(found.run), asked.questions, asked.asked, asked.failed, asked.open, asked.problems, asked.unasked
        )

    @contextmanager
    def _my_turn(self, limit_s: float | None) -> Iterator[None]:
        """Wait while somebody else asks, for no longer than the limit.

        Raises:
            Busy: it took longer.
        """
        if not self._turn.acquire(timeout=-1 if limit_s is None else limit_s):
            raise Busy("it is being asked about another run", help="ask again later")
        try:
            yield
        finally:
            self._turn.release()

    def after_upload(self, run_id: str, source: str | None) -> tuple[str, ...]:
        """Ask about a run that was just stored, within ``UPLOAD_LIMIT_S``; notes of what is not answered.

        ``source`` is one of slo.yaml, ``none``, or ``None``: all there are.
        """
        if source == NONE or (source is None and not self._service.sources()):
            return ()
        try:
            self._settle(run_id)
            asked = self.pull(run_id, source, limit_s=UPLOAD_LIMIT_S)
        except PhasegateError as error:
            return (f"Prometheus was not asked: {error.message}",)
        later = f"ask again with `phasegate prometheus pull {run_id}`; a server does so by itself"
        if asked.unasked:
            told = (
                f"{asked.unasked:,} of {asked.questions:,} questions to Prometheus were left after {UPLOAD_LIMIT_S:g} s"
            )
            return (*asked.problems, told, later)
        return (*asked.problems, later) if asked.problems else ()

    def _settle(self, run_id: str) -> None:
        """Wait until the last scrapes of a run that has just ended are in; of one that ends later, a clock is wrong."""
        ends = [span.end for span in self._service.questions(run_id).spans.values()]
        left_s = max((SETTLE_S - (datetime.now(UTC) - end).total_seconds() for end in ends), default=0.0)
        if 0 < left_s <= SETTLE_S + 1:
            self._stopped.wait(left_s)

    # -- in the background --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to ask what is open about the runs of the last day."""
        self._thread = threading.Thread(target=self._work, name="puller", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; what is being asked is not waited for."""
        self._stopped.set()
        self._woken.set()
        if self._thread:
            self._thread.join(_FIRST_WAIT_S)

    def wake(self) -> None:
        """Look at once: something was stored."""
        self._woken.set()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                self.look()
            except PhasegateError as error:  # slo.yaml is wrong, or the disk is full: it may be right again
                _log.warning("prometheus not asked", reason=error.message)
            self._woken.wait(_IDLE_S)
            self._woken.clear()

    def look(self) -> None:
        """Ask what is open about the runs of the last day, each at its time."""
        digest = self._service.sources()
        if not digest:
            return
        since = datetime.now(UTC) - DAY
        for run in self._store.runs(RunFilter(), _NEWEST):
            key = (run.id, digest)
            next_at, wait_s = self._waiting.get(run.id, (0.0, _FIRST_WAIT_S))
            if run.received_at < since or key in self._done or monotonic() < next_at or self._stopped.is_set():
                continue
            try:
                asked = self.pull(run.id)
            except (BadRequest, NotFound):  # a summary alone has no time; or it was deleted meanwhile
                self._done.add(key)
                continue
            except StoreError as error:  # its block is damaged: the others are not
                _log.warning("prometheus not asked", run=run.id, reason=error.message)
                self._waiting[run.id] = monotonic() + _LONGEST_WAIT_S, _LONGEST_WAIT_S
                continue
            if asked.asked > asked.failed:
                self._judge(run.id, run.meta.phase)
            if asked.open:
                self._waiting[run.id] = monotonic() + wait_s, min(2 * wait_s, _LONGEST_WAIT_S)
            else:
                self._done.add(key)
                self._waiting.pop(run.id, None)

    def _judge(self, run_id: str, phase: str | None) -> None:
        self._service.judge_ahead(run_id)
        if phase is not None:
            self._service.tell(run_id, phase)


def _check(found: Questions, source: str | None) -> None:
    if not found.connections:
        raise BadRequest("slo.yaml describes no Prometheus", help="add `prometheus` (docs/prometheus.md)")
    if source is not None and source not in found.connections:
        known = suggestion(source, found.connections, "sources")
        raise NotFound(f"slo.yaml has no prometheus `{source}`", help=known)
    if not found.spans:
        raise BadRequest(
            f"run {found.run.id} does not say when it was, so Prometheus cannot be asked about it",
            help="upload its samples (`--out json=...`), not only a summary",
        )
