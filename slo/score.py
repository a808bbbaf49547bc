"""The score of a phase: its objectives by weight, out of 100, as Keptn counts it; met 1, at risk a half, missed 0.

Nothing that is not known counts for anything: a result stands only if it is the same whatever becomes of that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slo.plan import Objective, ScoreRule

State = Literal["met", "at_risk", "missed", "unknown"]

_POINTS: dict[State, float] = {"met": 1.0, "at_risk": 0.5, "missed": 0.0, "unknown": 0.0}


@dataclass(frozen=True)
class Part:
    """One objective: what became of it, and how much it counts."""

    state: State
    weight: float = 1.0
    key: bool = False


def score(parts: Sequence[Part]) -> float:
    """What the parts come to, out of 100; 0 where there are none."""
    whole = sum(part.weight for part in parts)
    return 100 * sum(_POINTS[part.state] * part.weight for part in parts) / whole if whole else 0.0


def best_score(parts: Sequence[Part]) -> float:
    """The same if all that is not known turns out to be met."""
    return score([_as(part, "met") for part in parts])


def outcome(parts: Sequence[Part], rule: ScoreRule) -> State:
    """What they add up to: met (pass), at risk (warn), missed (fail), or unknown where that depends on what is unknown.

    A key objective that is missed misses all; one at risk does not.
    """
    worst, best = (_outcome([_as(part, state) for part in parts], rule) for state in ("missed", "met"))
    return worst if worst == best else "unknown"


def state_of(
    objective: Objective, value: float | None, baseline: float | None = None, *, unheld: bool | None = None
) -> State:
    """The state of an objective by one value alone, in its unit, and what was measured before.

    ``unheld`` is what a relative target without a baseline counts as; ``None``: it leaves the state unknown.
    """
    if value is None:
        return "unknown"
    met = objective.asks.holds(value, baseline, unheld=unheld)
    if not met:
        return "unknown" if met is None else "missed"
    calm = objective.warned is None or objective.warned.holds(value, baseline, unheld=unheld)
    return "unknown" if calm is None else "met" if calm else "at_risk"


def _outcome(parts: Sequence[Part], rule: ScoreRule) -> State:
    reached = score(parts)
    if any(part.key and part.state == "missed" for part in parts):
        return "missed"
    if reached >= rule.passed:
        return "met"
    return "at_risk" if rule.warned is not None and reached >= rule.warned else "missed"


def _as(part: Part, state: State) -> Part:
    return replace(part, state=state) if part.state == "unknown" else part
