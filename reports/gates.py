"""Decisions of gates for people, in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from reports.layout import GLYPHS, ending, headline, next_steps, one_line, paragraph, state_word, table
from slo import numbers
from slo.model import EXIT_CODES
from slo.overview import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from data.model import Waiver
    from slo.gate_model import GateCheck, GateDecision, ServiceCoverage

_MOST_REASONS = 12
_COUNTED = {"unknown": "not known", "waived": "waived"}

COVERAGE = "service|objectives met>|of>|coverage>|checks passed>"
"""What :func:`coverage` gives of each service."""


def gate(decision: GateDecision, *, everything: bool) -> RenderableType:
    """The answer first, then why, what was asked, and what to do."""
    return Group(*_gate(decision, everything=everything))


def gates(decisions: Sequence[GateDecision]) -> RenderableType:
    """What was decided, newest first."""
    if not decisions:
        return Text("No gate has decided anything yet. `phasegate gate --phase P --version V` asks one.")
    return table(
        "decision|when|phase|version|environment||answer",
        (
            (
                one.id, numbers.timestamp(one.decided_at), one.question.phase, one.question.version,
                one.question.environment or numbers.MISSING, GLYPHS[state(one)], state_word(state(one)),
            )
            for one in decisions
        ),
    )  # fmt: skip


def waivers(found: Sequence[Waiver]) -> RenderableType:
    """What is overlooked now, and until when."""
    if not found:
        return Text("Nothing is waived.")
    return table(
        "waiver|until|about|service|phase|version|owner|reason",
        (
            (
                one.id, numbers.timestamp(one.expires_at), one.about, one.service or "any", one.phase or "any",
                one.version or "any", one.owner, one.reason,
            )
            for one in found
        ),
    )  # fmt: skip


def ended(waiver: Waiver) -> RenderableType:
    """That a waiver was taken back."""
    return Text(f"Waiver {waiver.id} of {one_line(waiver.about)} is taken back: gates ask for it again.")


def _gate(decision: GateDecision, *, everything: bool) -> Iterator[RenderableType]:
    yield headline(state(decision), sentence(decision))
    yield paragraph(about(decision), style="dim")
    yield Text()
    for reason in decision.reasons[:_MOST_REASONS]:
        yield paragraph(reason, indent=4)
    if (more := len(decision.reasons) - _MOST_REASONS) > 0:
        yield Text(f"  and {numbers.things(more, 'more reason')}", style="dim")
    yield Text()
    shown = [c for c in decision.checks if everything or c.state != "met"]
    if shown:
        yield table("|state|what|why", ((GLYPHS[c.state], _word(c.state), _name(c), c.reason) for c in shown), indent=2)
    if hidden := len(decision.checks) - len(shown):
        met = f"{hidden} of {numbers.things(len(decision.checks), 'check')} met (--all)"
        yield Text(f"  {'and ' if shown else ''}{met}", style="dim")
    if covered := [one for one in decision.services if one.asked or one.checks]:
        yield Text()
        yield table(COVERAGE, map(coverage, covered), indent=2)
    if decision.rollback:
        yield paragraph(f"roll back  {decision.rollback}", indent=13)
    yield from (paragraph(f"verify     {step}", indent=13) for step in decision.verification)
    yield from next_steps(decision.next_steps)
    yield Text()
    yield ending(state(decision), exit_code(decision))


def coverage(one: ServiceCoverage) -> tuple[str, ...]:
    """One service: objectives met, of how many, their share, and the share of k6's checks that passed beside it."""
    return (
        one.service or SYSTEM, str(one.met), str(one.asked),
        numbers.ratio(one.met / one.asked if one.asked else None),
        numbers.ratio(one.checks_passed / one.checks if one.checks else None),
    )  # fmt: skip


def exit_code(decision: GateDecision) -> int:
    """What a pipeline is told: 0 also where somebody let the version through."""
    return 0 if decision.override else EXIT_CODES[decision.decision]


def state(decision: GateDecision) -> str:
    """How a decision is shown: overridden, where somebody let the version through, never as what the gate said."""
    return "overridden" if decision.override else decision.decision


def sentence(decision: GateDecision) -> str:
    """A decision in one sentence."""
    asked, through = decision.question, decision.override
    phase = f"phase {asked.phase}" + (f" ({decision.title})" if decision.title else "")
    if through:
        said = f"{through.by} let version {asked.version} into {phase}: {through.reason}"
        return f"{said}. The gate says {decision.decision}"
    match decision.decision:
        case "pass":
            return f"version {asked.version} may enter {phase}"
        case "warn":
            return f"version {asked.version} may enter {phase}, but look at this first"
        case "fail":
            return f"version {asked.version} may not enter {phase}"
        case "inconclusive":
            return f"nobody can tell whether version {asked.version} may enter {phase}"


def about(decision: GateDecision) -> str:
    """Which decision it is, and what it rests on, in figures."""
    where = f" in {decision.question.environment}" if decision.question.environment else ""
    if not decision.runs:
        return f"no run{where}, so that nothing is kept of this answer; {numbers.timestamp(decision.decided_at)}"
    runs = f"{numbers.things(len(decision.runs), 'run')}{where}"
    asked = [c for c in decision.checks if c.kind in {"objective", "run"}]
    counted = {state: sum(c.state == state for c in asked) for state in ("unknown", "waived")}
    told = [f"{of} {_COUNTED[state]}" for state, of in counted.items() if of]
    met = sum(c.state in {"met", "at_risk"} for c in asked)
    if of := len(asked) - counted["waived"]:
        told.insert(0, f"{met} of {numbers.things(of, 'objective')} met ({numbers.ratio(met / of)})")
        if not counted["unknown"]:
            told.append(f"score {decision.score:.0f} of 100")
    return f"decision {decision.id}, {numbers.timestamp(decision.decided_at)}: {', '.join([runs, *told])}"


def _name(check: GateCheck) -> str:
    where = f"{check.service} " if check.service else ""
    return f"{where}{check.about}{' (key)' if check.key else ''}"


def _word(state: str) -> str:
    return state.upper().replace("_", " ")
