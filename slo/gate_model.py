"""What a gate is asked, what it rests on and what it decides: values that are kept, and answered with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from data.model import Override, Waiver
from slo.budget_model import BudgetState
from slo.model import Verdict, VerdictState

CheckKind = Literal[
    "phase", "entry", "kind", "age", "budget", "run", "measurement", "objective", "coverage", "score", "regression"
]
CheckState = Literal["met", "at_risk", "missed", "unknown", "waived"]

GATE_SCHEMA = 1
WORST_FIRST: tuple[CheckState, ...] = ("missed", "unknown", "at_risk", "waived", "met")


@dataclass(frozen=True)
class GateCheck:
    """One thing that a gate asks, and what became of it. ``runs`` are those it was seen in.

    ``about`` is what people read; ``name`` is what a waiver calls it: an objective's SLI, or a finding's code. With
    ``target`` and ``include``, it says which objective of slo.yaml it is.
    """

    kind: CheckKind
    about: str
    state: CheckState
    reason: str
    service: str | None = None
    key: bool = False
    weight: float = 1.0
    runs: tuple[str, ...] = ()
    next_step: str = ""
    name: str = ""
    target: str = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceCoverage:
    """How much of a service (``None``: the whole system) works: objectives that are met, of those asked and not waived.

    Beside it, k6's ``checks`` under load in the runs that speak for it, and how many of them passed.
    """

    service: str | None
    met: int
    asked: int
    checks_passed: int = 0
    checks: int = 0


@dataclass(frozen=True)
class GateQuestion:
    """May this version enter this phase, as seen in an environment (``None``: in any)?"""

    phase: str
    version: str
    environment: str | None = None


@dataclass(frozen=True)
class BudgetSeen:
    """An error budget as it stood when a gate was asked; ``left`` and ``left_at_least`` are shares of it."""

    name: str
    service: str | None
    state: BudgetState
    left: float | None
    left_at_least: float | None
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class GateEvidence:
    """All that a decision rests on: the verdicts of the newest runs, and the decisions about the phases before.

    ``runs`` maps a service (empty: the whole system) to the places in ``verdicts`` of those that speak for it: the
    newest of each test and kind that calls it. ``waivers`` are those that hold for this phase and version, ``stale``
    the runs that were older than the phase allows when it was asked, ``checks`` how many of k6's checks passed, and how
    many there were, by service, ``budgets`` the error budgets that the phase asks about. It is kept with the decision,
    and gives it again with slo.yaml (``config_digest``).
    """

    question: GateQuestion
    config_digest: str
    verdicts: tuple[Verdict, ...]
    runs: dict[str, tuple[int, ...]]
    earlier: tuple[GateDecision, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    stale: tuple[str, ...] = ()
    checks: dict[str, tuple[int, int]] = field(default_factory=dict)
    budgets: tuple[BudgetSeen, ...] = ()


@dataclass(frozen=True)
class GateDecision:
    """The answer of a gate, with every check, the decisive ones first.

    ``coverage`` is the share of the objectives that are met, those waived apart; ``score`` the same by weight, in per
    cent, where one at risk counts half; ``services`` is the coverage of each. ``rollback`` and ``verification`` are the
    phase's own, where it is not passed. ``override``: somebody let the version through all the same.
    """

    schema: int
    id: str
    question: GateQuestion
    title: str
    decision: VerdictState
    reasons: tuple[str, ...]
    next_steps: tuple[str, ...]
    checks: tuple[GateCheck, ...]
    coverage: float
    score: float
    config_digest: str
    rule_version: int
    runs: tuple[str, ...]
    rollback: str | None = None
    verification: tuple[str, ...] = ()
    decided_at: datetime | None = None
    override: Override | None = None
    services: tuple[ServiceCoverage, ...] = ()
