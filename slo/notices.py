"""Who is told of what a store concludes: what is now beside what was told last becomes messages in its outbox.

They are written in one transaction with the states that they tell, after the verdict or decision is kept. A crash in
between loses nothing: the next upload or question finds the same difference and tells it.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, cast
from uuid import uuid4

import structlog

from data.errors import PhasegateError
from data.notices import StoredNotice
from slo.baseline import test_of
from slo.documents import from_json, to_json
from slo.gate import awaits_runs
from slo.overview import tested
from slo.telling import SCHEMA, Message, Notice, changes, heard, link_to, standing_of_gate, standings, tells, title

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from data.store import Store
    from slo.config import Config
    from slo.gate_model import GateDecision
    from slo.judging import Judging
    from slo.model import VerdictState
    from slo.telling import MessageKind, NoticeState, Standing

_log = structlog.get_logger()


class Notices:
    """The outbox of one store. ``written`` is called whenever something new waits in it.

    Safe to use from several threads: of several uploads at once one tells a change, and the last the newest state.
    """

    def __init__(
        self, store: Store, judging: Judging, clock: Callable[[], datetime], public_url: str | None = None
    ) -> None:
        self._store = store
        self._judging = judging
        self._clock = clock
        self._public_url = public_url
        self._turn = threading.Lock()
        self.written: Callable[[], None] = lambda: None

    def after_upload(self, run_id: str, phase_id: str, config: Config, text: str) -> None:
        """Tell what an upload changed: the states by the newest run of its test on its branch, judged by the phase.

        That is mostly the run itself; of one that comes late it is a later run, which may be judged anew beside it.
        """
        if not config.notify:
            return
        phase = config.phase(phase_id)
        with self._turn, _in_nobodys_way():
            uploaded = self._store.find_run(run_id)
            same = self._store.runs_of_tests([test_of(uploaded)])
            speaking = (
                run
                for run in same
                if run.id == run_id or (run.meta.phase, run.meta.branch) == (phase_id, uploaded.meta.branch)
            )
            if newest := next(speaking, None):  # none: it was deleted meanwhile
                verdict = self._judging.verdicts([newest], config, phase, text)[newest.id]
                self._tell("services", standings(verdict, phase, tested(same)[newest.id]), config)

    def turn(self, config: Config) -> AbstractContextManager[object]:
        """To be held while a gate decides and its decision is told: the decision told last is then the newest."""
        return self._turn if config.notify else nullcontext()

    def after_gate(self, decision: GateDecision, config: Config) -> None:
        """Tell what a decision changed, for who holds the :meth:`turn`; what rests on no run is no state of a gate.

        Nor is it one while the first runs of a version still arrive: other jobs upload.
        """
        if config.notify and decision.runs:
            with _in_nobodys_way():
                standing = standing_of_gate(decision)
                if not awaits_runs(decision) or self._store.told([standing.subject.key]):
                    self._tell("gate", [standing], config)

    def recent(self, limit: int) -> tuple[Notice, ...]:
        """What became of messages: those that wait or failed first, each newest first."""
        return tuple(_notice(row) for row in self._store.notices(limit))

    def _tell(self, kind: MessageKind, found: Sequence[Standing], config: Config) -> None:
        told_to = config.notify
        found = [one for one in found if any(tells(receiver, one.subject, config.baseline) for receiver in told_to)]
        before = cast("Mapping[str, VerdictState]", self._store.told([one.subject.key for one in found]))
        states = {one.subject.key: one.now for one in found if before.get(one.subject.key) != one.now}
        if not states:
            return
        now = self._clock()
        rows = []
        for name, said in heard(told_to, changes(found, before), config.baseline).items():
            message = Message(SCHEMA, uuid4().hex, now, kind, said, link_to(self._public_url, said[0]))
            rows.append(StoredNotice(message.id, now, name, to_json(message), "pending", 0, now))
        self._store.tell(states, rows, now)
        if rows:
            self.written()


@contextmanager
def _in_nobodys_way() -> Iterator[None]:
    """What cannot be told is logged: the verdict stands, and is answered."""
    try:
        yield
    except PhasegateError as error:
        _log.warning("change not told", reason=error.message)


def _notice(row: StoredNotice) -> Notice:
    return Notice(
        row.id, row.receiver, title(from_json(Message, row.document)), cast("NoticeState", row.state), row.attempts,
        row.created_at, row.next_attempt_at, row.last_error,
    )  # fmt: skip
