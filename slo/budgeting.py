"""Error budgets asked of a store: how each stands now, by what was counted so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from data.errors import NotFound
from slo.budget_model import WORST_FIRST
from slo.budgets import WINDOWS_S, judge_budget

if TYPE_CHECKING:
    from data.store import Store
    from slo.budget_model import Budget, BudgetView
    from slo.plan import Config

_SPARE_S = WINDOWS_S["1d"]
"""A budget is told as of its newest count, so its window may begin so much earlier."""


class Budgets:
    """The error budgets of one store under one slo.yaml. Safe to ask from several threads."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def all(self, config: Config | None) -> tuple[BudgetView, ...]:
        """Every budget, worst first, without its course over time."""
        found = [replace(self._view(one), over_time=()) for one in config.budgets] if config else []
        return tuple(sorted(found, key=lambda one: WORST_FIRST.index(one.state)))

    def one(self, name: str, config: Config) -> BudgetView:
        """A budget by its name.

        Raises:
            NotFound: slo.yaml has none of this name.
        """
        for budget in config.budgets:
            if budget.name == name:
                return self._view(budget)
        known = ", ".join(budget.name for budget in config.budgets) or "there are none"
        raise NotFound(f"{config.source} has no budget {name!r}", help=f"budgets: {known}")

    def _view(self, budget: Budget) -> BudgetView:
        now = self._clock()
        stored = self._store.buckets(budget.query.id, int(now.timestamp()) - budget.window_s - _SPARE_S)
        return judge_budget(budget, stored, now)
