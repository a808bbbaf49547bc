"""Each thing that a gate asks: phases before, facts, kinds of run, objectives, and whether enough of those are met."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import TYPE_CHECKING

from data.facts import said
from data.model import Waiver
from slo import numbers
from slo.criterion import Answer
from slo.findings import concerns, state_of
from slo.gate_model import (
    WORST_FIRST,
    BudgetSeen,
    CheckState,
    GateCheck,
    GateEvidence,
)
from slo.kinds import demanded
from slo.model import Verdict, VerdictState
from slo.score import Part, best_score, outcome, score

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slo.criterion import Criterion
    from slo.model import Comparison, ObjectiveResult, RunRef
    from slo.plan import Objective, Phase
    from slo.target import Target

_PASSED: dict[VerdictState, str] = {
    "pass": "is passed", "warn": "is passed, with a warning", "fail": "is not passed", "inconclusive": "cannot be told",
}  # fmt: skip
_ENTERED: dict[VerdictState, CheckState] = {
    "pass": "met", "warn": "at_risk", "fail": "missed", "inconclusive": "unknown",
}  # fmt: skip


def waiver_of(waivers: Sequence[Waiver], about: str, service: str | None) -> Waiver | None:
    """What allows it to be overlooked, the first of several."""
    return next((one for one in waivers if one.about == about and one.service in {None, service}), None)


def earlier(evidence: GateEvidence, phase: Phase) -> Iterator[GateCheck]:
    """The phases before, by their own gates for the same version."""
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


def entries(evidence: GateEvidence, phase: Phase) -> Iterator[GateCheck]:
    """The entry criteria, by what the runs say was so."""
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


def kinds(evidence: GateEvidence, phase: Phase) -> Iterator[GateCheck]:
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


def aged(evidence: GateEvidence, phase: Phase) -> Iterator[GateCheck]:
    """A run that is older than the phase allows says what was so, not what is."""
    for verdict in evidence.verdicts:
        if verdict.run.id in evidence.stale:
            of = numbers.timestamp(verdict.run.started_at or verdict.run.received_at)
            yield GateCheck(
                "age", f"run {verdict.run.id}", "unknown",
                f"is from {of}; asked: not older than {numbers.lapse(timedelta(seconds=phase.max_age_s or 0))}",
                verdict.run.service, runs=(verdict.run.id,), next_step="run the test again",
            )  # fmt: skip


def budgets(evidence: GateEvidence, phase: Phase) -> Iterator[GateCheck]:
    """Enough is left of each error budget.

    Not known is a service that has none, where none is of all services.
    """
    if phase.budget is None:
        return
    covered = {seen.service for seen in evidence.budgets}
    for service in services_of(phase):
        if not covered & {service, None}:
            yield GateCheck(
                "budget", "error budget", "unknown", f"is not known: slo.yaml has none; asked: {phase.budget.text}",
                service, next_step="add one to `budgets` of slo.yaml, or leave out `budget` of the phase",
            )  # fmt: skip
    for seen in evidence.budgets:
        state = _budget_state(seen, phase.budget)
        asked = phase.budget.bound
        reason = f"is not known: {seen.reason}" if state == "unknown" else f"{seen.reason}; asked: {asked} left"
        step = "" if state == "met" else seen.remedy or f"look at it: `phasegate budget show {shlex.quote(seen.name)}`"
        yield GateCheck("budget", f"error budget {seen.name}", state, reason, seen.service, next_step=step)


def _budget_state(seen: BudgetSeen, asked: Target) -> CheckState:
    """At risk where it burns; unknown where it depends on events of which it is not known whether they were good."""
    if seen.state == "unknown" or seen.left is None or seen.left_at_least is None:
        return "unknown"
    if seen.state == "exhausted" or not asked.holds(seen.left):
        return "missed"
    if not asked.holds(seen.left_at_least):
        return "unknown"
    return "at_risk" if seen.state == "burning" else "met"


def measured(evidence: GateEvidence) -> Iterator[GateCheck]:
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


def objectives(evidence: GateEvidence, phase: Phase) -> Iterator[GateCheck]:
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
        yield min(found, key=lambda check: WORST_FIRST.index(check.state))


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


def covered_enough(asked: Sequence[GateCheck], phase: Phase) -> Iterator[GateCheck]:
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


def scored(asked: Sequence[GateCheck], phase: Phase) -> Iterator[GateCheck]:
    """The objectives by weight; unknown where what is not known may change what they come to."""
    rule, parts = phase.score, parts_of(asked)
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


def parts_of(asked: Sequence[GateCheck]) -> list[Part]:
    """Objectives as the score counts them; those waived are not asked."""
    return [Part(c.state, c.weight, c.key) for c in asked if c.state != "waived"]


def regressions(evidence: GateEvidence) -> Iterator[GateCheck]:
    """What got worse in a run that speaks for its service."""
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
