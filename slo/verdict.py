"""The verdict: what the measurement and the objectives add up to, in which order of precedence, and what to do next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from slo import numbers
from slo.findings import concerns, state_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from slo.config import Phase
    from slo.model import Comparison, Finding, ObjectiveResult, RunRef, VerdictState


class Speaking(Protocol):
    """What speaks for services: a run."""

    @property
    def service(self) -> str | None:
        """The one that it was uploaded for, if it was."""

    @property
    def services(self) -> tuple[str, ...]:
        """Those that it called."""


def decide(
    objectives: Sequence[ObjectiveResult], findings: Sequence[Finding], comparisons: Sequence[Comparison] = ()
) -> tuple[VerdictState, tuple[str, ...]]:
    """The verdict and its reasons, the decisive one first.

    1. A target missed by what was believably measured is a **fail**; where the measurement is suspect, only if the
       whole confidence interval misses it.
    2. Otherwise anything not believed, not measured or not evaluable makes it **inconclusive**. So does having nothing
       to judge.
    3. Otherwise an objective at risk makes it a **warn**, and so does what regressed although its target is met.
    4. Otherwise it is a **pass**; its reasons are what was measured, the tightest first.
    """
    missed = [o for o in objectives if o.state == "missed" and (o.proven or _trusted(o, findings))]
    doubts = [f.message for f in findings if f.severity != "info"]
    unknown = [
        o for o in objectives if o.state in {"no_data", "not_evaluable"} or (o.state == "missed" and o not in missed)
    ]
    at_risk = [o for o in objectives if o.state == "at_risk"]
    worse = [_worse(c) for c in comparisons if c.state == "regressed"]
    if missed:
        return "fail", (*_told(sorted(missed, key=lambda o: not o.key)), *doubts, *worse)
    if not objectives:
        return "inconclusive", ("no objective of the phase is asked of this run, so nothing was judged", *doubts)
    if doubts or unknown:
        return "inconclusive", (*doubts, *(r for r in _told(unknown) if not any(d in r for d in doubts)), *worse)
    if at_risk or worse:
        return "warn", (*_told(at_risk), *worse)
    tightest = sorted(objectives, key=lambda o: (not o.key, o.margin if o.margin is not None else math.inf))
    return "pass", (f"{len(objectives)} of {numbers.things(len(objectives), 'objective')} met", *_told(tightest))


def next_steps(
    verdict: VerdictState,
    objectives: Sequence[ObjectiveResult],
    findings: Sequence[Finding],
    comparisons: Sequence[Comparison] = (),
    run_id: str = "RUN",
) -> tuple[str, ...]:
    """What would settle it, or improve it, in the order to do it."""
    remedies = [f.remedy for f in findings if f.severity != "info" and f.remedy]
    match verdict:
        case "pass":
            return ()
        case "inconclusive":
            steps = [*remedies, *_what_is_missing(objectives, run_id, alone=not findings)]
            if not objectives:
                steps.append("tag requests with `service`, or upload with --service, so that objectives apply")
            return tuple(dict.fromkeys(steps)) or ("run the test again",)
        case "warn":
            risky = any(o.state == "at_risk" for o in objectives)
            steps = ["a repeat may miss what is at risk: look at it before it does"] if risky else []
            return (*steps, *_what_changed(comparisons, run_id))
        case "fail":
            missed = [o for o in objectives if o.state == "missed"]
            return (*dict.fromkeys(remedies), *_where_to_look(missed, run_id))


def _what_is_missing(objectives: Sequence[ObjectiveResult], run_id: str, *, alone: bool) -> Iterator[str]:
    """How what was not measured is; ``alone``: no finding says why it was not."""
    few = [o for o in objectives if o.state == "not_evaluable" and "too few" in o.reason]
    unknown = [o for o in objectives if o.state == "no_data"]
    absent = [o for o in unknown if o.value is None and not o.source]
    unheld = [o for o in unknown if o.value is not None]
    if few:
        yield f"run the test longer: {_names(few)} needs more samples"
    if absent:
        yield f"see that the script measures what slo.yaml asks for: {_names(absent)}"
        if alone:
            yield "a run for one service is uploaded with --service, and is asked about that one only"
    if any(o.source and o.value is None for o in objectives):
        yield f"see above why Prometheus has no answer, then ask it again: `phasegate prometheus pull {run_id}`"
    if unheld:
        yield (
            "store a run of the same test that can be believed, on the branch of the baseline: "
            f"{_names(unheld)} is held against it"
        )


def _what_changed(comparisons: Sequence[Comparison], run_id: str) -> list[str]:
    worse = [c for c in comparisons if c.state == "regressed"]
    service = next((c.service for c in worse if c.service), None)
    since = f", and since when: `phasegate history {service}`" if service else ""
    steps = [f"see which endpoints changed: `phasegate compare {run_id}`{since}"]
    if any(c.suspected for c in worse):
        steps.append("run the test again with the same --commit: a second run confirms or clears what is suspected")
    steps.append(f"if the new level is meant, accept it: `phasegate baseline start {run_id} --reason ...`")
    return steps if worse else []


def scope_of(run: RunRef, phase: Phase) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Which services a run speaks for, and which objectives of a phase (by index) are asked of it.

    A run uploaded for one service speaks for that one. Any other is asked everything: a service that it has no samples
    of may be one whose load was lost.
    """
    everything = range(len(phase.objectives))
    if run.service is not None:
        return (run.service,), tuple(i for i in everything if phase.objectives[i].service == run.service)
    return run.services, tuple(everything)


def covers(run: Speaking, service: str | None, tested: Container[str] = ()) -> bool:
    """Does a run speak for a service (``None``: for the system as a whole)?

    ``tested`` are the services of its test: one that a run should have called and has not is one it says something of.
    """
    if run.service is not None:
        return run.service == service
    return service is None or service in run.services or service in tested


def _where_to_look(missed: Sequence[ObjectiveResult], run_id: str) -> list[str]:
    """Requests are broken down by endpoint and cause; of anything else only its own number is known."""
    http = [o for o in missed if o.sli.startswith("http_req") and not o.source]
    steps = []
    if http:
        services = ", ".join(sorted({o.service or "the system" for o in http}))
        steps.append(f"look at the endpoints of {services}: `phasegate compare {run_id}`")
    if any(o.source for o in missed):
        steps.append(f"see what Prometheus has of it: `phasegate prometheus show {run_id}`")
    if other := [o for o in missed if o not in http and not o.source]:
        steps.append(f"find out in the script what it counts as {_names(other)}")
    return steps


def _names(objectives: Sequence[ObjectiveResult]) -> str:
    """The SLIs of some objectives, at most five."""
    return ", ".join(sorted({o.sli for o in objectives})[:5])


def _trusted(objective: ObjectiveResult, findings: Sequence[Finding]) -> bool:
    return state_of(f for f in findings if concerns(f, objective.service)) == "valid"


def _worse(one: Comparison) -> str:
    what = f"{one.service + ' ' if one.service else ''}{one.sli} {one.stat}"
    return f"{what} {'may have got' if one.suspected else 'got'} worse: {one.reason}"


def _told(objectives: Sequence[ObjectiveResult]) -> list[str]:
    return [f"{o.service + ' ' if o.service else ''}{o.sli} {o.reason}" for o in objectives]
