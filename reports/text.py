"""Documents as text for people: the verdict first, then the reason, the evidence, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from reports import compared
from reports.layout import (
    GLYPHS,
    about,
    ending,
    finding,
    headline,
    marked,
    measured,
    next_steps,
    paragraph,
    services,
    short,
    state_word,
    table,
    version,
    waived,
)
from slo import numbers
from slo.model import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from data.model import Attachment, AttachmentKind
    from slo.model import (
        ConfigReport,
        IngestAnswer,
        ObjectiveResult,
        Overview,
        RunRef,
        ServerSide,
        Verdict,
        VerdictState,
    )

_ATTACHED: dict[AttachmentKind, str] = {"junit": "tests (JUnit XML)", "file": "file"}
_MOST_NAMED = 3
_MOST_REASONS = 5
_MOST_MET = 12
"""Up to so many objectives, a pass shows them all: they are what it rests on."""


def verdict(document: Verdict, *, everything: bool = False) -> RenderableType:
    """A verdict: headline, reasons, findings, objectives and comparisons that matter (or all), next steps."""
    last = ending(document.verdict, EXIT_CODES[document.verdict])
    return Group(*_verdict(document, everything=everything), Text(), last)


def ingested(answer: IngestAnswer) -> RenderableType:
    """What became of an upload."""
    run = answer.run
    word = "Stored" if answer.created else "Known already: the same bytes are"
    head: RenderableType = Text.assemble(f"{word} run ", (run.id, "bold"), f"  {measured(run)}{version(run)}")
    phase = answer.verdict.phase if answer.verdict else "PHASE"
    next_ = Text(f"  next  phasegate verdict {run.id} --phase {phase}  # its exit code is the verdict", style="dim")
    head = Group(head, *(Text(f"  {line}") for line in _tests(run)))
    if answer.verdict is not None:
        return Group(head, Text(), *_verdict(answer.verdict, everything=False), next_)
    return Group(head, *(finding(found) for found in answer.findings), next_)


def attachments(found: Sequence[Attachment]) -> RenderableType:
    """The files kept with a run as a table."""
    if not found:
        return Text("Nothing is attached to this run: `ingest --junit FILE` and `--attach FILE` keep files with one.")
    return table(
        "name|what|bytes>|BLAKE3",
        (
            (
                one.name,
                f"{_ATTACHED[one.kind]}{'' if one.kept else ', too large to keep'}",
                f"{one.bytes:,}",
                one.digest[:16],
            )
            for one in found
        ),
    )


def deleted(run: RunRef) -> RenderableType:
    """What was deleted."""
    return Text.assemble("Deleted run ", (run.id, "bold"), f"  {measured(run)}{version(run)}")


def serving(url: str, home: str, runs: int, slo: ConfigReport | None, *, token: bool) -> RenderableType:
    """What a server is about to serve, and to whom."""
    judged = f"{slo.source} ({_phases(slo)})" if slo else "none: runs are stored, and not judged"
    changes = (
        "need the token that PHASEGATE_TOKEN has here"
        if token
        else "need no token: who can reach this address may upload and delete (PHASEGATE_TOKEN asks for one)"
    )
    told = {"store": f"{home} ({numbers.things(runs, 'run')})", "slo.yaml": judged, "changes": changes, "address": url}
    return Group(*(Text(f"  {name:<9} {words}") for name, words in told.items()))


def runs(found: Sequence[RunRef], now: datetime) -> RenderableType:
    """Runs as a table, newest first."""
    if not found:
        return Text("No run matches. `phasegate ingest FILE` stores one; `phasegate demo` loads the demo.")
    return table(
        "run|started|service|test|branch|commit|requests>|lasted>",
        (
            (
                run.id, numbers.ago(run.started_at or run.received_at, now),
                services(run.service, run.services) or numbers.MISSING, run.test or numbers.MISSING,
                run.branch or numbers.MISSING, short(run.commit) or numbers.MISSING, numbers.count(run.requests),
                numbers.seconds(run.duration_s),
            )
            for run in found
        ),
    )  # fmt: skip


def overview(document: Overview) -> RenderableType:
    """Every service in one phase, worst first."""
    rows = (
        (
            GLYPHS[row.state], row.service, state_word(row.state), numbers.duration_ms(row.p95_ms),
            (row.p95_target or numbers.MISSING).removeprefix("p(95) "), numbers.ratio(row.failed_ratio),
            row.run.id if row.run else numbers.MISSING, row.reason,
        )
        for row in document.services
    )  # fmt: skip
    evidence = table("|service|state|p95>|target>|failed>|run|why", rows)
    return Group(headline(document.state, document.sentence), Text(), evidence)


def config(report: ConfigReport) -> RenderableType:
    """What a slo.yaml says."""
    lines = [
        Text(f"{report.source} is fine: {numbers.things(report.objectives, 'objective')} in {_phases(report)}"),
        Text(f"  services  {', '.join(report.services) or 'none declared'}"),
        Text(f"  digest    {report.digest}"),
    ]
    return Group(*lines, *(Text(f"  note      {note}") for note in report.notes))


def _tests(run: RunRef) -> Iterator[str]:
    """What came of the tests that ran beside a run, if their reports came with it."""
    facts = run.facts
    counts = {
        what: int(fact)
        for what in ("passed", "failed", "skipped", "flaky", "inconsistent")
        if isinstance(fact := facts.get(f"tests.{what}"), float) and (fact or what in {"passed", "failed"})
    }
    if counts:
        yield f"tests  {', '.join(f'{count:,} {what}' for what, count in counts.items())}"
    elif "tests.total" in facts:
        yield "tests  none ran"
    for what in ("failed", "flaky", "inconsistent"):
        if what in counts and (names := facts.get(f"tests.{what}_names")):
            yield f"       {what}: {names}"


def _verdict(document: Verdict, *, everything: bool) -> Iterator[RenderableType]:
    yield headline(document.verdict, sentence(document))
    yield about(document.run)
    yield Text()
    fits = len(document.reasons) <= _MOST_REASONS + 1  # a line that says "one more" is as long as that one
    reasons = document.reasons if fits else document.reasons[:_MOST_REASONS]
    for reason in reasons:
        yield paragraph(reason)
    if (more := len(document.reasons) - len(reasons)) > 0:
        yield Text(f"  and {numbers.things(more, 'more reason')}", style="dim")
    yield Text()
    findings = [found for found in document.measurement.findings if found.code not in compared.TOLD]
    yield from (finding(found) for found in findings)
    if not findings:
        yield Text("  The measurement is valid: no findings.")
    yield from _evidence(document, everything=everything)
    if document.out_of_scope:
        told = f"  {numbers.things(document.out_of_scope, 'objective')} of other services not asked of this run"
        yield Text(told, style="dim")
    yield from (marked("waived", "WAIVED", waived(one)) for one in document.waivers)
    yield from compared.in_verdict(document, everything=everything)
    yield from (paragraph(f"server  {one.sentence}", indent=8) for one in remarkable(document, everything=everything))
    yield from (paragraph(f"note  {note}", indent=8) for note in document.notes)
    yield from next_steps(document.next_steps)


def remarkable(document: Verdict, *, everything: bool = False) -> list[ServerSide]:
    """What services saw of themselves, where it says more than that all is as usual."""
    worse = {c.service for c in document.comparisons if c.state == "regressed"}
    return [one for one in document.server_side if everything or one.where != "service" or one.service in worse]


def _evidence(document: Verdict, *, everything: bool) -> Iterator[RenderableType]:
    """The objectives that are not met; of a pass those it rests on: all, or the key ones of many."""
    objectives = document.objectives
    if not everything and document.verdict != "pass":
        shown = [o for o in objectives if o.state != "met"]
    elif not everything and len(objectives) > _MOST_MET:
        shown = [o for o in objectives if o.key]
    else:
        shown = list(objectives)
    if shown:
        yield Text()
        yield _objectives(shown)
    if hidden := len(objectives) - len(shown):
        met = "look met, which is not proven" if document.verdict == "inconclusive" else "met"
        told = f"{'and ' if shown else ''}{hidden} of {numbers.things(len(objectives), 'objective')} {met} (--all)"
        yield Text(f"  {told}", style="dim")


def _in_question(document: Verdict) -> list[str]:
    """The services that a verdict is about: those that miss a target, or that nobody can tell about, else all."""
    states = {"fail": {"missed"}, "inconclusive": {"missed", "no_data", "not_evaluable"}}.get(document.verdict, set())
    found = {o.service for o in document.objectives if o.state in states}
    if document.verdict == "inconclusive":
        found |= {f.service for f in document.measurement.findings if f.severity != "info"}
    if document.verdict == "inconclusive" and document.run.service is None:  # of what it has not called it cannot tell
        everything = {*document.scope, *(o.service for o in document.objectives)}
    else:
        everything = {*document.scope}
    return sorted(service for service in (found if found and None not in found else everything) if service)


def sentence(document: Verdict) -> str:
    """A verdict in one sentence."""
    named = _in_question(document)
    what = ", ".join(named) if len(named) <= _MOST_NAMED else numbers.things(len(named), "service")
    worse = [one for one in document.comparisons if one.state == "regressed"]
    how = "but may have got worse" if worse and all(one.suspected for one in worse) else "but got worse"
    how = "narrowly" if any(one.state == "at_risk" for one in document.objectives) else how
    return _sentence(document.verdict, what or "the run", document.phase, how, several=len(named) > 1)


def _sentence(state: VerdictState, what: str, phase: str, how: str, *, several: bool) -> str:
    meet, do = ("meet", "do") if several else ("meets", "does")
    match state:
        case "pass":
            return f"{what} {meet} phase {phase}"
        case "warn":
            return f"{what} {meet} phase {phase}, {how}"
        case "fail":
            return f"{what} {do} not meet phase {phase}"
        case "inconclusive":
            return f"cannot tell whether {what} {meet} phase {phase}"


def _phases(report: ConfigReport) -> str:
    ids = ", ".join(f"{p.id} ({p.title})" if p.title else p.id for p in report.phases)
    return f"{'phase' if len(report.phases) == 1 else 'phases'} {ids}"


def _objectives(results: Sequence[ObjectiveResult]) -> RenderableType:
    columns = "|state|objective|target|measured>|95 % interval>|samples>"
    return table(columns, (_objective(one) for one in results), indent=2)


def _objective(one: ObjectiveResult) -> tuple[str | Text, ...]:
    told = numbers.distinct(one.value, one.target_value, one.unit)[0] if one.value is not None else numbers.MISSING
    name = f"{one.service + ' ' if one.service else ''}{one.sli}{' (key)' if one.key else ''}"
    return (
        GLYPHS[one.state], state_word(one.state), name, one.target, told, numbers.interval(one.ci, one.unit),
        numbers.count(one.n or None),
    )  # fmt: skip
