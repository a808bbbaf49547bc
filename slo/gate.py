"""May a version enter a phase? What a gate rests on, and what that adds up to: the same evidence, the same answer.

A phase is entered when the phases before it are passed, every entry criterion holds, the newest run of the version that
speaks for each service can be believed and meets its objectives, and enough of them are met. Nothing that is missing is
taken for met, and what is proven to be missed outranks what cannot be told.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from data.facts import said
from data.model import Override, Waiver
from slo import numbers
from slo.criterion import Answer
from slo.findings import concerns, state_of
from slo.kinds import demanded
from slo.model import Verdict, VerdictState
from slo.score import Part, best_score, outcome, score

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slo.criterion import Criterion
    from slo.model import Comparison, ObjectiveResult, RunRef
    from slo.plan import Objective, Phase

CheckKind = Literal[
    "phase", "entry", "kind", "age", "run", "measurement", "objective", "coverage", "score", "regression"
]
CheckState = Literal["met", "at_risk", "missed", "unknown", "waived"]

GATE_SCHEMA = 1
_PASSED: dict[VerdictState, str] = {
    "pass": "is passed", "warn": "is passed, with a warning", "fail": "is not passed", "inconclusive": "cannot be told",
}  # fmt: skip
_ENTERED: dict[VerdictState, CheckState] = {
    "pass": "met", "warn": "at_risk", "fail": "missed", "inconclusive": "unknown",
}  # fmt: skip
_WORST_FIRST: tuple[CheckState, ...] = ("missed", "unknown", "at_risk", "waived", "met")


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
class GateEvidence:
    """All that a decision rests on: the verdicts of the newest runs, and the decisions about the phases before.

    ``runs`` maps a service (empty: the whole system) to the places in ``verdicts`` of those that speak for it: the
    newest of each test and kind that calls it. ``waivers`` are those that hold for this phase and version, ``stale``
    the runs that were older than the phase allows when it was asked, ``checks`` how many of k6's checks passed, and how
    many there were, by service. It is kept with the decision, and gives it again
    with slo.yaml (``config_digest``).
    """

    question: GateQuestion
    config_digest: str
    verdicts: tuple[Verdict, ...]
    runs: dict[str, tuple[int, ...]]
    earlier: tuple[GateDecision, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    stale: tuple[str, ...] = ()
    checks: dict[str, tuple[int, int]] = field(default_factory=dict)


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


def decide_gate(evidence: GateEvidence, phase: Phase, gate_id: str, rule_version: int) -> GateDecision:
    """What the evidence adds up to."""
    every = [_waived(check, evidence.waivers) for check in _objectives(evidence, phase)]
    asked = [check for check in every if check.state != "waived"]
    coverage = sum(c.state in {"met", "at_risk"} for c in asked) / len(asked) if asked else 0.0
    checks = [*_earlier(evidence, phase), *_entries(evidence, phase), *_kinds(evidence, phase), *_aged(evidence, phase)]
    checks += [*(_waived(check, evidence.waivers) for check in _measured(evidence)), *every]
    limits = [*_coverage(asked, phase), *_score(asked, phase)]
    checks += [*limits, *_regressions(evidence)]
    enough = bool(limits) and all(c.state != "missed" for c in limits)
    missed = [c for c in checks if c.state == "missed" and not (enough and _is_covered(c))]
    unknown = [c for c in checks if c.state == "unknown"]  # neither coverage nor score excuses what is not known
    passed = any(c.kind == "score" and c.state == "met" for c in limits)  # objectives have had their say in it
    counted = {"missed", "at_risk"} if passed else set()
    weak = [
        c
        for c in checks
        if c.state in {"missed", "at_risk", "waived"} and not (c.kind == "objective" and c.state in counted)
    ]
    decision: VerdictState = "pass"
    told = [c for c in checks if c.kind in {"phase", "entry", "kind", "coverage", "score"}] or checks
    if missed:
        decision, told = "fail", [*missed, *unknown]
    elif unknown:
        decision, told = "inconclusive", unknown
    elif weak:
        decision, told = "warn", weak
    steps = [c.next_step for c in told if c.next_step and decision != "pass"]
    return GateDecision(
        schema=GATE_SCHEMA, id=gate_id, question=evidence.question, title=phase.title, decision=decision,
        reasons=_reasons(told), next_steps=tuple(dict.fromkeys(steps)),
        checks=tuple(sorted(checks, key=lambda c: _WORST_FIRST.index(c.state))),
        coverage=coverage, score=score(_parts(asked)),
        config_digest=evidence.config_digest, rule_version=rule_version,
        runs=tuple(dict.fromkeys(v.run.id for v in evidence.verdicts)),
        rollback=phase.rollback if decision == "fail" else None,
        verification=phase.verification if decision != "pass" else (),
        services=tuple(_covered(service, asked, evidence) for service in services_of(phase)),
    )  # fmt: skip


def _covered(service: str | None, asked: Sequence[GateCheck], evidence: GateEvidence) -> ServiceCoverage:
    own = [check for check in asked if check.service == service]
    passed, checks = evidence.checks.get(service or "", (0, 0))
    return ServiceCoverage(service, sum(c.state in {"met", "at_risk"} for c in own), len(own), passed, checks)


def awaits_runs(decision: GateDecision) -> bool:
    """Could it be told once more runs of the version are stored?

    So it is where a service has no run, none of a kind that is demanded or only an old one, where facts are missing
    that come with a run, and where the same is true of a phase before. What was measured and cannot be believed does
    not change by waiting.
    """
    return decision.decision == "inconclusive" and any(
        check.state == "unknown" and check.kind in {"run", "kind", "age", "entry", "phase"} for check in decision.checks
    )


def _waived(check: GateCheck, waivers: Sequence[Waiver]) -> GateCheck:
    """A check that is not met, as far as somebody allows it to be overlooked. A run that is missing cannot be."""
    one = waiver_of(waivers, check.name, check.service)
    if one is None or check.state == "met" or check.kind == "run":
        return check
    reason = f"{check.reason}; waived by {one.owner} until {one.expires_at:%Y-%m-%d}: {one.reason}"
    return replace(check, state="waived", reason=reason, next_step="")


def waiver_of(waivers: Sequence[Waiver], about: str, service: str | None) -> Waiver | None:
    """What allows it to be overlooked, the first of several."""
    return next((one for one in waivers if one.about == about and one.service in {None, service}), None)


def waivers_on(verdict: Verdict, holding: Sequence[Waiver]) -> tuple[Waiver, ...]:
    """By which of the waivers that hold gates overlook an objective or a finding of this verdict."""
    here = [
        one for one in holding if one.phase in {None, verdict.phase} and one.version in {None, verdict.run.version}
    ]  # fmt: skip
    named = [(one.sli, one.service) for one in verdict.objectives]
    doubts = [one for one in verdict.measurement.findings if one.severity != "info"]
    named += [(one.code, service) for one in doubts for _, service in named if concerns(one, service)]
    return tuple(one for one in here if any(waiver_of([one], about, service) for about, service in named))


def _is_covered(check: GateCheck) -> bool:
    """Is it one of those of which the phase's coverage or score says how many may be missed? Key objectives may not."""
    return check.kind == "objective" and not check.key


def _told(check: GateCheck) -> str:
    where = f"{check.service} " if check.service and check.kind != "measurement" else ""
    return f"{where}{check.about} {check.reason}"


def _reasons(told: Sequence[GateCheck]) -> tuple[str, ...]:
    """Each once; what a finding explains is told by the finding."""
    causes = [c.reason.partition(": ")[2] for c in told if c.kind == "measurement"]
    return tuple(
        dict.fromkeys(_told(c) for c in told if c.kind != "objective" or not any(one in c.reason for one in causes))
    )


def _earlier(evidence: GateEvidence, phase: Phase) -> Iterator[GateCheck]:
    decided = {one.question.phase: one for one in evidence.earlier}
    for name in phase.after:
        one = decided.get(name)
        state: CheckState = _ENTERED[one.decision] if one else "unknown"
        reason = "was not decided" if one is None else _PASSED[one.decision]
        if one is not None and state != "met" and one.reasons:
            reason += f": {one.reasons[0]}"
        yield GateCheck(
            "phase", f"phase {name}", state, reason, runs=one.runs if one else (),
            next_step="" if state == "met" else f"see why: `phasegate gate --phase {name} "
            f"--version {shlex.quote(evidence.question.version)}`",
        )  # fmt: skip


def _entries(evidence: GateEvidence, phase: Phase) -> Iterator[GateCheck]:
    answers = [_entry(criterion, evidence.verdicts) for criterion in phase.entry]
    missing = dict.fromkeys(name for answer, _ in answers for name in answer.missing)
    tests = ["--junit 'reports/*.xml'"] if any(name.startswith("tests.") for name in missing) else []
    facts = " ".join([*(f"--fact {name}=VALUE" for name in missing if not name.startswith("tests.")), *tests])
    for criterion, (answer, runs) in zip(phase.entry, answers, strict=True):
        state: CheckState = answer.state if answer.state in {"met", "missed"} else "unknown"
        step = ""
        if answer.missing:
            step = f"say with the upload of the runs what was so: `phasegate ingest ... {facts}`"
        elif state != "met":
            step = f"put right what `{criterion.text}` asks for, and run the tests again"
        yield GateCheck("entry", f"`{criterion.text}`", state, answer.reason, runs=runs, next_step=step)


def _entry(criterion: Criterion, verdicts: Sequence[Verdict]) -> tuple[Answer, tuple[str, ...]]:
    """It has to hold in every environment that the runs are from.

    That is, by what each run says that says anything of it; else by what they say together, without contradiction.
    """
    found: list[tuple[Answer, tuple[str, ...]]] = []
    for environment in dict.fromkeys(v.run.environment for v in verdicts):
        of = [v.run for v in verdicts if v.run.environment == environment]
        alone = {run.id: criterion.judge(run.facts) for run in of}
        known = [run for run in of if set(criterion.names) & run.facts.keys()]
        runs = tuple(run.id for run in known)
        if missed := next((run for run, answer in alone.items() if answer.state == "missed"), None):
            found.append((alone[missed], (missed,)))
        elif known and all(alone[run].state == "met" for run in runs):
            found.append((alone[runs[0]], runs))
        elif name := next((n for n in criterion.names if len({_said(run, n) for run in known} - {None}) > 1), None):
            told = " and ".join(f"{_said(run, name)} in run {run.id}" for run in known if _said(run, name))
            found.append((Answer("not_evaluable", f"{name} is {told}"), runs))
        else:
            together = {name: fact for run in reversed(known) for name, fact in run.facts.items()}
            found.append((criterion.judge(together), runs))
    order = ("missed", "not_evaluable", "no_data", "met")
    return min(found, key=lambda one: order.index(one[0].state), default=(criterion.judge({}), ()))


def _said(run: RunRef, name: str) -> str | None:
    """What a run says of a fact, as people write it."""
    return said(run.facts[name]) if name in run.facts else None


def _kinds(evidence: GateEvidence, phase: Phase) -> Iterator[GateCheck]:
    """The kinds of run that the phase demands, for each service that it asks about."""
    names = {kind.name: kind for kind in phase.runs}
    for kind in phase.runs:
        for service in services_of(phase):
            if not kind.concerns(service):
                continue
            runs = [evidence.verdicts[place].run for place in evidence.runs.get(service or "", ())]
            found = demanded(kind, service, runs, names, evidence.question.version)
            yield GateCheck(
                "kind", f"run of kind {kind.name}", "met" if found.met else "unknown", found.reason, service,
                runs=found.runs, next_step=found.next_step,
            )  # fmt: skip


def services_of(phase: Phase) -> tuple[str | None, ...]:
    """The services that a phase asks about (``None``: the whole system), in the order of its objectives."""
    listed = [service for kind in phase.runs for service in kind.services]
    return tuple(dict.fromkeys([*(objective.service for objective in phase.objectives), *listed]))


def _aged(evidence: GateEvidence, phase: Phase) -> Iterator[GateCheck]:
    """A run that is older than the phase allows says what was so, not what is."""
    for verdict in evidence.verdicts:
        if verdict.run.id in evidence.stale:
            of = numbers.timestamp(verdict.run.started_at or verdict.run.received_at)
            yield GateCheck(
                "age", f"run {verdict.run.id}", "unknown",
                f"is from {of}; asked: not older than {numbers.lapse(timedelta(seconds=phase.max_age_s or 0))}",
                verdict.run.service, runs=(verdict.run.id,), next_step="run the test again",
            )  # fmt: skip


def _measured(evidence: GateEvidence) -> Iterator[GateCheck]:
    """Can the runs that speak for each service be believed about it?"""
    for service, places in evidence.runs.items():
        for verdict in (evidence.verdicts[place] for place in places):
            for finding in verdict.measurement.findings:
                if finding.severity != "info" and concerns(finding, service or None):
                    yield GateCheck(
                        "measurement", finding.code, "unknown", f"in run {verdict.run.id}: {finding.message}",
                        service or None, runs=(verdict.run.id,),
                        next_step=finding.remedy or "run the test again", name=finding.code,
                    )  # fmt: skip


def _objectives(evidence: GateEvidence, phase: Phase) -> Iterator[GateCheck]:
    """Each objective, by the worst of the runs that speak for it."""
    version = evidence.question.version
    for objective in phase.objectives:
        name, target = str(objective.sli or objective.promql), objective.asks.text
        places = evidence.runs.get(objective.service or "", ())
        if not places:
            where = objective.service or "the whole system"
            yield GateCheck(
                "run", f"{name} {objective.target.stat}", "unknown",
                f"is not known: no run of version {version} speaks for {where}",
                objective.service, objective.key, objective.weight,
                next_step=f"run the test of {where}, and store it with `--version {shlex.quote(version)}`", name=name,
                target=target, include=objective.include,
            )  # fmt: skip
            continue
        found = []
        for verdict in (evidence.verdicts[place] for place in places):
            result = next((o for o in verdict.objectives if _same(o, objective)), None)
            state, reason = objective_state(result, verdict, evidence.waivers)
            step = "" if state == "met" else f"look at it: `phasegate verdict {verdict.run.id} --phase {phase.id}`"
            found.append(
                GateCheck(
                    "objective", name, state, reason, objective.service, objective.key, objective.weight,
                    (verdict.run.id,), step, name, target, objective.include,
                )
            )  # fmt: skip
        yield min(found, key=lambda check: _WORST_FIRST.index(check.state))


def _same(result: ObjectiveResult, objective: Objective) -> bool:
    asked = objective.service, str(objective.sli or objective.promql), objective.asks.text, objective.include
    return (result.service, result.sli, result.target, result.include) == asked


def objective_state(
    result: ObjectiveResult | None, verdict: Verdict, waivers: Sequence[Waiver] = ()
) -> tuple[CheckState, str]:
    """What an objective's result comes to, as far as its run can be believed about the service, and why."""
    if result is None:
        return "unknown", f"was not asked of run {verdict.run.id}"
    about = [f for f in verdict.measurement.findings if concerns(f, result.service)]
    believed = state_of(f for f in about if waiver_of(waivers, f.code, result.service) is None) == "valid"
    match result.state:
        case "missed" if result.proven or believed:
            return "missed", result.reason
        case "met" | "at_risk" if believed:
            return result.state, result.reason
        case "met" | "at_risk" | "missed":
            return "unknown", f"{result.reason}, in a run that cannot be believed"
        case _:
            return "unknown", f"is not known: {result.reason}"


def _coverage(asked: Sequence[GateCheck], phase: Phase) -> Iterator[GateCheck]:
    """Enough of the objectives are met, or are not whatever becomes of those that are not known."""
    if phase.coverage is None:
        return
    if not asked:
        yield GateCheck("coverage", "coverage", "unknown", "every objective is waived", next_step="end a waiver")
        return
    sure = sum(c.state in {"met", "at_risk"} for c in asked)
    unknown = sum(c.state == "unknown" for c in asked)
    held, best = phase.coverage.holds(sure / len(asked)), phase.coverage.holds((sure + unknown) / len(asked))
    state: CheckState = "met" if held else "unknown" if best else "missed"
    open_ = f", {unknown} not known" if unknown else ""
    yield GateCheck(
        "coverage", "coverage", state,
        f"{sure} of {numbers.things(len(asked), 'objective')} met ({numbers.ratio(sure / len(asked))}){open_}; "
        f"asked: {phase.coverage.text}",
    )  # fmt: skip


def _score(asked: Sequence[GateCheck], phase: Phase) -> Iterator[GateCheck]:
    """The objectives by weight; unknown where what is not known may change what they come to."""
    rule, parts = phase.score, _parts(asked)
    if rule is None:
        return
    if not asked:
        yield GateCheck("score", "score", "unknown", "every objective is waived", next_step="end a waiver")
        return
    reached, best = score(parts), best_score(parts)
    told = f"{reached:.4g}" if reached == best else f"{reached:.4g} to {best:.4g}, by what is not known,"
    keys = [c for c in asked if c.key and c.state == "missed"]
    missed = f", and {numbers.things(len(keys), 'key objective')} missed" if keys else ""
    warned = "" if rule.warned is None else f", or {rule.warned:g} with a warning"
    reason = f"{told} of 100{missed}; asked: {rule.passed:g}{warned}"
    yield GateCheck("score", "score", outcome(parts, rule), reason)


def _parts(asked: Sequence[GateCheck]) -> list[Part]:
    """Objectives as the score counts them; those waived are not asked."""
    return [Part(c.state, c.weight, c.key) for c in asked if c.state != "waived"]


def _regressions(evidence: GateEvidence) -> Iterator[GateCheck]:
    for verdict in evidence.verdicts:
        for one in verdict.comparisons:
            if one.state == "regressed" and _speaks(evidence, verdict, one):
                may = "may have got" if one.suspected else "got"
                yield GateCheck(
                    "regression", f"{one.sli} {one.stat}", "at_risk", f"{may} worse: {one.reason}", one.service,
                    runs=(verdict.run.id, *one.baseline_runs),
                    next_step=f"see what changed: `phasegate compare {verdict.run.id}`",
                )  # fmt: skip


def _speaks(evidence: GateEvidence, verdict: Verdict, one: Comparison) -> bool:
    """Is this a run that speaks for the service?"""
    return any(evidence.verdicts[place] is verdict for place in evidence.runs.get(one.service or "", ()))
