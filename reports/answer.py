"""What a gate and a verdict answer, as every output for machines and pull requests tells it: one shape for both."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

from reports import gates, text
from reports.layout import about, waived
from slo.gate_checks import objective_state, waiver_of
from slo.gate_model import CheckState
from slo.model import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from slo.gate_model import GateCheck, GateDecision
    from slo.model import Comparison, ConfigReport, Finding, ObjectivePlace, ObjectiveResult, Verdict

_UNSEEN = PurePath("slo.yaml")
_ORDER: tuple[CheckState, ...] = ("missed", "unknown", "at_risk", "waived", "met")


@dataclass(frozen=True)
class Place:
    """Where something is written: a file, and line and column in it, which begin at 1."""

    file: str
    line: int = 1
    column: int = 1


@dataclass(frozen=True)
class Check:
    """One thing that was asked. ``service`` and ``name`` together tell it from every other, run after run."""

    service: str | None
    name: str
    state: CheckState
    reason: str
    next_step: str = ""
    key: bool = False
    place: Place | None = None


@dataclass(frozen=True)
class Answer:
    """What was answered, the decisive checks first.

    ``about`` says which document it is from. ``place`` is the file that it was judged by; only its name is known where
    no slo.yaml is in force. ``state`` is a verdict's, or ``overridden``.
    """

    kind: Literal["gate", "verdict"]
    phase: str
    of: str
    state: str
    exit_code: int
    sentence: str
    reasons: tuple[str, ...]
    next_steps: tuple[str, ...]
    checks: tuple[Check, ...]
    about: str
    place: Place
    environment: str | None = None
    at: datetime | None = None
    rollback: str | None = None
    verification: tuple[str, ...] = ()
    coverage: tuple[tuple[str, ...], ...] = ()


def of_gate(decision: GateDecision, slo: ConfigReport | None = None) -> Answer:
    """A gate's decision; ``slo`` is the slo.yaml in force, which says where its objectives are written."""
    asked, places = decision.question, _places(slo, decision.config_digest, decision.question.phase)
    return Answer(
        kind="gate", phase=asked.phase, of="", state=gates.state(decision), exit_code=gates.exit_code(decision),
        sentence=gates.sentence(decision), reasons=decision.reasons, next_steps=decision.next_steps,
        checks=_told_apart(_of_gate(check, places) for check in decision.checks), about=gates.about(decision),
        place=_file(slo), environment=asked.environment, at=decision.decided_at, rollback=decision.rollback,
        verification=decision.verification, coverage=tuple(map(gates.coverage, decision.services)),
    )  # fmt: skip


def of_verdict(verdict: Verdict, slo: ConfigReport | None = None) -> Answer:
    """A run's verdict; ``slo`` as in :func:`of_gate`."""
    run, places = verdict.run, _places(slo, verdict.config_digest, verdict.phase)
    return Answer(
        kind="verdict", phase=verdict.phase, of=" ".join(filter(None, (run.service, run.test))), state=verdict.verdict,
        exit_code=EXIT_CODES[verdict.verdict], sentence=text.sentence(verdict), reasons=verdict.reasons,
        next_steps=verdict.next_steps, checks=_told_apart(_of_verdict(verdict, places)), about=about(run).plain.strip(),
        place=_file(slo), environment=run.environment, at=verdict.judged_at,
    )  # fmt: skip


_Objective = tuple[str | None, str, str, tuple[str, ...]]


def _places(slo: ConfigReport | None, digest: str, phase: str) -> dict[_Objective, Place]:
    """Where the objectives of a phase are written, as long as this slo.yaml is the one that was judged by."""
    if slo is None or slo.digest != digest:
        return {}
    file = _file(slo).file
    return {_key(one): Place(file, one.line, one.column) for one in slo.places if one.phase == phase}


def _file(slo: ConfigReport | None) -> Place:
    """The file as a repository knows it: relative as it was named; of one that lies elsewhere, its name."""
    path = PurePath(slo.source) if slo else _UNSEEN
    return Place(path.name if path.is_absolute() else path.as_posix())


def _key(one: ObjectivePlace | ObjectiveResult) -> _Objective:
    return one.service, one.sli, one.target, one.include


def _of_gate(check: GateCheck, places: dict[_Objective, Place]) -> Check:
    name = check.about
    match check.kind:
        case "regression":
            name = _regression(check.about)
        case "age":  # what it is about is one run, and the next is another
            name = "age of the run"
        case _ if check.target:
            name = _objective(check.name, check.target, check.include)
    place = places.get((check.service, check.name, check.target, check.include))
    return Check(check.service, name, check.state, check.reason, check.next_step, check.key, place)


def _of_verdict(verdict: Verdict, places: dict[_Objective, Place]) -> Iterator[Check]:
    steps = f"look at it: `phasegate verdict {verdict.run.id} --phase {verdict.phase}`"
    yield from (_finding(found, verdict) for found in verdict.measurement.findings if found.severity != "info")
    for one in verdict.objectives:
        state, reason = objective_state(one, verdict)
        if state != "met" and (by := waiver_of(verdict.waivers, one.sli, one.service)):
            reason += f"; {waived(by)}"
        yield Check(
            one.service, _objective(one.sli, one.target, one.include), state, reason, "" if state == "met" else steps,
            one.key, places.get(_key(one)),
        )  # fmt: skip
    yield from (_worse(one, verdict.run.id) for one in verdict.comparisons if one.state == "regressed")


def _finding(found: Finding, verdict: Verdict) -> Check:
    of = {found.service, None}
    by = next(
        (w for w in verdict.waivers if w.about == found.code and (found.service is None or w.service in of)), None
    )
    reason = f"{found.message}; {waived(by)}" if by else found.message
    return Check(found.service, found.code, "unknown", reason, found.remedy or "run the test again")


def _worse(one: Comparison, run: str) -> Check:
    may = "may have got" if one.suspected else "got"
    step = f"see what changed: `phasegate compare {run}`"
    return Check(one.service, _regression(f"{one.sli} {one.stat}"), "at_risk", f"{may} worse: {one.reason}", step)


def _objective(sli: str, target: str, include: tuple[str, ...]) -> str:
    return " ".join((sli, target, *(["with", ", ".join(include)] if include else [])))


def _regression(about: str) -> str:
    return f"{about} beside the baseline"


def _told_apart(checks: Iterable[Check]) -> tuple[Check, ...]:
    """The decisive first; readers of JUnit drop a case that is named as another, so the second has a number."""
    seen: Counter[tuple[str | None, str]] = Counter()
    told = []
    for check in sorted(checks, key=lambda one: _ORDER.index(one.state)):
        seen[check.service, check.name] += 1
        again = seen[check.service, check.name]
        told.append(check if again == 1 else replace(check, name=f"{check.name} ({again})"))
    return tuple(told)
