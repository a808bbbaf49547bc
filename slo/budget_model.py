"""What is asked of error budgets, and what is answered: values, with their units in the names."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from data.budgets import RatioQuery

BudgetState = Literal["ok", "burning", "exhausted", "unknown"]
AlertSeverity = Literal["page", "ticket"]

BUDGET_EXIT_CODES: dict[BudgetState, int] = {"ok": 0, "burning": 0, "exhausted": 1, "unknown": 3}
WORST_FIRST: tuple[BudgetState, ...] = ("exhausted", "unknown", "burning", "ok")


@dataclass(frozen=True)
class Budget:
    """A share of events that has to be good (``objective``, between 0 and 1) over the last ``window_s`` seconds."""

    name: str
    objective: float
    window_s: int
    query: RatioQuery
    service: str | None = None

    @property
    def allowed(self) -> float:
        """The share of events that may be bad: the error budget. Decimal, as 1 - 0.999 is not 0.001 in floats."""
        return float(1 - Decimal(str(self.objective)))


@dataclass(frozen=True)
class BurnAlert:
    """A rule of two windows: it ``fires`` where the budget burns faster than ``factor`` over both (1: it just lasts).

    ``share`` of the budget is spent in the ``long`` window at that rate; the ``short`` one ends it when it is over. A
    burn is ``None`` where nothing is known of its window.
    """

    severity: AlertSeverity
    long: str
    short: str
    share: float
    factor: float
    long_burn: float | None
    short_burn: float | None
    fires: bool


@dataclass(frozen=True)
class BudgetFinding:
    """Why a budget cannot be told, in one sentence, and what would settle it."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True)
class BudgetPoint:
    """The budget that was left at a time, of all that the window has; ``None`` where nothing is known of before it."""

    at: datetime
    left: float | None


@dataclass(frozen=True)
class BudgetView:
    """How an error budget stands at ``as_of``, the end of the newest bucket that is known.

    ``left`` is the share of the budget that is left, below 0 where more was spent than there is; ``left_at_least`` the
    same if all events were bad of which only the number is known. ``burns`` is by window (``1h``): 1 spends the budget
    in exactly its window. ``coverage`` is the share of the window that is known, ``oldest`` where that begins.
    ``exhausted_at``: when nothing is left if it goes on as in the last hour. Numbers that cannot be told are ``None``.
    """

    name: str
    service: str | None
    source: str
    objective: float
    window_s: int
    state: BudgetState
    reason: str
    remedy: str = ""
    sli: float | None = None
    left: float | None = None
    left_at_least: float | None = None
    good: float | None = None
    total: float | None = None
    burns: dict[str, float | None] = field(default_factory=dict)
    alerts: tuple[BurnAlert, ...] = ()
    coverage: float = 0.0
    as_of: datetime | None = None
    oldest: datetime | None = None
    exhausted_at: datetime | None = None
    findings: tuple[BudgetFinding, ...] = ()
    over_time: tuple[BudgetPoint, ...] = ()


@dataclass(frozen=True)
class BudgetPull:
    """What asking for a budget's counts came to, in buckets of five minutes: asked for, with numbers, and removed.

    ``problem`` says why it is not whole.
    """

    name: str
    asked: int = 0
    found: int = 0
    removed: int = 0
    problem: str | None = None
