"""May a version enter a phase? What a gate rests on, and what that adds up to: the same evidence, the same answer.

A phase is entered when the phases before it are passed, every entry criterion holds, enough is left of the error
budgets, the newest run of the version that
speaks for each service can be believed and meets its objectives, and enough of them are met. Nothing that is missing is
taken for met, and what is proven to be missed outranks what cannot be told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from data.model import Waiver
from slo.findings import concerns
from slo.gate_checks import (
    aged,
    budgets,
    covered_enough,
    earlier,
    entries,
    kinds,
    measured,
    objectives,
    parts_of,
    regressions,
    scored,
    services_of,
    waiver_of,
)
from slo.gate_model import (
    GATE_SCHEMA,
    WORST_FIRST,
    GateCheck,
    GateDecision,
    GateEvidence,
    ServiceCoverage,
)
from slo.model import Verdict, VerdictState
from slo.score import score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slo.plan import Phase


def decide_gate(evidence: GateEvidence, phase: Phase, gate_id: str, rule_version: int) -> GateDecision:
    """What the evidence adds up to."""
    every = [_waived(check, evidence.waivers) for check in objectives(evidence, phase)]
    asked = [check for check in every if check.state != "waived"]
    coverage = sum(c.state in {"met", "at_risk"} for c in asked) / len(asked) if asked else 0.0
    checks = [*earlier(evidence, phase), *entries(evidence, phase), *kinds(evidence, phase), *aged(evidence, phase)]
    checks += budgets(evidence, phase)
    checks += [*(_waived(check, evidence.waivers) for check in measured(evidence)), *every]
    limits = [*covered_enough(asked, phase), *scored(asked, phase)]
    checks += [*limits, *regressions(evidence)]
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
    told = [c for c in checks if c.kind in {"phase", "entry", "kind", "budget", "coverage", "score"}] or checks
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
        checks=tuple(sorted(checks, key=lambda c: WORST_FIRST.index(c.state))),
        coverage=coverage, score=score(parts_of(asked)),
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
