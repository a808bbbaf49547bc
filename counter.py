"""Has Prometheus count for the error budgets of slo.yaml: when somebody asks for it, and every five minutes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from data.budgets import BUCKET_S
from data.errors import Busy, PhasegateError, SourceError
from ingest import budgets as counting
from ingest.prometheus import Prometheus
from slo.budget_config import LONGEST_DAYS
from slo.budget_model import BudgetPull

if TYPE_CHECKING:
    from data.budgets import RatioQuery
    from data.sources import Connection
    from data.store import Store
    from slo.service import Service

_LONGEST_KEPT_S = (LONGEST_DAYS + 1) * 86_400
"""Older counts are of no budget, whatever asked for them."""
_ENDING_S = 10.0
_log = structlog.get_logger()


class _Stopped(Busy):
    """The server is about to end: what is stored stays, and the rest is asked by the next."""


class Counter:
    """Asks the sources of slo.yaml what its budgets do not know yet. One at a time: who comes second waits."""

    def __init__(self, store: Store, service: Service, environment: Mapping[str, str] = os.environ) -> None:
        self._store, self._service, self._environment = store, service, environment
        self._turn = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def pull(self, on_progress: Callable[[str, float], None] | None = None) -> tuple[BudgetPull, ...]:
        """Ask for what is not counted yet; what it came to, for each budget.

        One that cannot be asked says why, and the others are asked. Interrupted, it goes on where it was.
        """
        config = self._service.config()
        budgets, sources = (config.budgets, config.prometheus) if config else ((), {})
        windows: dict[RatioQuery, int] = {}
        for one in budgets:  # several may count the same: it is asked once, over the longest window
            windows[one.query] = max(windows.get(one.query, 0), one.window_s)
        names = {one.query: one.name for one in reversed(budgets)}
        found: dict[RatioQuery, BudgetPull] = {}
        with self._turn:
            for number, (query, window_s) in enumerate(windows.items()):

                def on_share(share: float, query: RatioQuery = query, number: int = number) -> None:
                    if self._stopped.is_set():
                        raise _Stopped("the server is about to end", help="ask the next one: `phasegate budget pull`")
                    if on_progress:
                        on_progress(names[query], (number + share) / len(windows))

                on_share(0.0)
                found[query] = self._pull(query, window_s, sources[query.source].connection, on_share)
            self._store.drop_buckets(None, int(datetime.now(UTC).timestamp()) - _LONGEST_KEPT_S)
        return tuple(replace(found[one.query], name=one.name) for one in budgets)

    def _pull(
        self, query: RatioQuery, window_s: int, connection: Connection, on_share: Callable[[float], None]
    ) -> BudgetPull:
        now = datetime.now(UTC)
        removed = counting.tidy(self._store, query, window_s, now)
        try:
            with Prometheus(query.source, connection, self._environment) as source:
                due = counting.missing(self._store, query, window_s, now)
                counted = counting.pull(self._store, source, query, due, on_share)
        except SourceError as error:
            _log.warning("budget not counted", source=query.source, reason=error.message)
            return BudgetPull("", removed=removed, problem=str(error))
        return BudgetPull("", counted.asked, counted.found, removed)

    def start(self) -> None:
        """Begin to ask every five minutes."""
        self._thread = threading.Thread(target=self._work, name="counter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it, between two days of counts."""
        self._stopped.set()
        if self._thread:
            self._thread.join(_ENDING_S)

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                self.pull()
            except _Stopped:
                return
            except PhasegateError as error:  # slo.yaml is wrong, or the disk is full: it may be right again
                _log.warning("budgets not counted", reason=error.message)
            self._stopped.wait(BUCKET_S)
