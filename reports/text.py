"""Documents as text for people: the verdict first, then the reason, the evidence, and what to do next."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from slo import numbers
from slo.model import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from slo.model import ConfigReport, Finding, IngestAnswer, ObjectiveResult, Overview, RunRef, Verdict, VerdictState

WIDTH = 100

_STYLES = {
    "pass": "bold blue", "warn": "bold yellow", "fail": "bold red", "inconclusive": "bold magenta", "no_data": "dim",
    "met": "blue", "at_risk": "yellow", "missed": "red", "not_evaluable": "magenta",
    "invalid": "magenta", "suspect": "magenta", "info": "dim", None: "dim",
}  # fmt: skip
_GLYPHS = {
    "pass": "✓", "warn": "!", "fail": "✕", "inconclusive": "?", "no_data": "–",
    "met": "✓", "at_risk": "!", "missed": "✕", "not_evaluable": "?",
    "invalid": "?", "suspect": "?", "info": "i", None: "–",
}  # fmt: skip
_MOST_REASONS = 5
_MOST_MET = 12
"""Up to so many objectives, a pass shows them all: they are what it rests on."""


def verdict(document: Verdict, *, everything: bool = False) -> RenderableType:
    """A verdict: headline, reasons, findings, the objectives that matter (or all), next steps, exit code."""
    state = document.verdict
    last = Text.assemble((state.upper(), _STYLES[state]), f"  exit {EXIT_CODES[state]}")
    return Group(*_verdict(document, everything=everything), Text(), last)


def ingested(answer: IngestAnswer) -> RenderableType:
    """What became of an upload."""
    run = answer.run
    word = "Stored" if answer.created else "Known already: the same bytes are"
    head = Text.assemble((f"{word} run ", ""), (run.id, "bold"), f"  {_measured(run)}{_of(run)}")
    phase = answer.verdict.phase if answer.verdict else "PHASE"
    next_ = Text(f"  next  phasegate verdict {run.id} --phase {phase}  # its exit code is the verdict", style="dim")
    if answer.verdict is not None:
        return Group(head, Text(), *_verdict(answer.verdict, everything=False), next_)
    return Group(head, *(_finding(finding) for finding in answer.findings), next_)


def deleted(run: RunRef) -> RenderableType:
    """What was deleted."""
    return Text.assemble("Deleted run ", (run.id, "bold"), f"  {_measured(run)}{_of(run)}")


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
    table = _table("run", "started", "service", "test", "branch", "commit", "requests>", "lasted>")
    for run in found:
        table.add_row(
            run.id, numbers.ago(run.started_at or run.received_at, now),
            _services(run.service, run.services) or numbers.MISSING, run.test or numbers.MISSING,
            run.branch or numbers.MISSING, (run.commit or numbers.MISSING)[:8], numbers.count(run.requests),
            numbers.seconds(run.duration_s),
        )  # fmt: skip
    return table


def overview(document: Overview) -> RenderableType:
    """Every service in one phase, worst first."""
    table = _table("", "service", "state", "p95>", "failed>", "why")
    for row in document.services:
        state = row.state or "not asked"
        table.add_row(
            _GLYPHS[row.state], row.service, Text(state.upper().replace("_", " "), style=_STYLES[row.state]),
            numbers.duration_ms(row.p95_ms), numbers.ratio(row.failed_ratio), row.reason,
        )  # fmt: skip
    return Group(_headline(document.state, document.sentence), Text(), table)


def config(report: ConfigReport) -> RenderableType:
    """What a slo.yaml says."""
    lines = [
        Text(f"{report.source} is fine: {numbers.things(report.objectives, 'objective')} in {_phases(report)}"),
        Text(f"  services  {', '.join(report.services) or 'none declared'}"),
        Text(f"  digest    {report.digest}"),
    ]
    return Group(*lines, *(Text(f"  note      {note}") for note in report.notes))


def _verdict(document: Verdict, *, everything: bool) -> Iterator[RenderableType]:
    run = document.run
    what = _services(run.service, document.scope) or "the run"
    several = run.service is None and len(document.scope) > 1
    yield _headline(document.verdict, _sentence(document.verdict, what, document.phase, several=several))
    yield Text(f"  run {run.id}{_of(run)}, {_measured(run)}", style="dim")
    yield Text()
    for reason in document.reasons[:_MOST_REASONS]:
        yield _wrapped(reason)
    if (more := len(document.reasons) - _MOST_REASONS) > 0:
        yield Text(f"  and {numbers.things(more, 'more reason')}", style="dim")
    yield Text()
    yield from (_finding(finding) for finding in document.measurement.findings)
    if not document.measurement.findings:
        yield Text("  The measurement is valid: no findings.")
    yield from _evidence(document, everything=everything)
    if document.out_of_scope:
        told = f"  {numbers.things(document.out_of_scope, 'objective')} of other services not asked of this run"
        yield Text(told, style="dim")
    yield from (_wrapped(f"note  {note}", indent=8) for note in document.notes)
    for number, step in enumerate(document.next_steps):
        yield _wrapped(f"{'next' if number == 0 else '    '}  {step}", indent=8)


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
        told = f"{'and ' if shown else ''}{hidden} of {numbers.things(len(objectives), 'objective')} met (--all)"
        yield Text(f"  {told}", style="dim")


def _sentence(state: VerdictState, what: str, phase: str, *, several: bool) -> str:
    meet, do = ("meet", "do") if several else ("meets", "does")
    match state:
        case "pass":
            return f"{what} {meet} phase {phase}"
        case "warn":
            return f"{what} {meet} phase {phase}, narrowly"
        case "fail":
            return f"{what} {do} not meet phase {phase}"
        case "inconclusive":
            return f"cannot tell whether {what} {meet} phase {phase}"


def _services(named: str | None, found: Sequence[str]) -> str:
    """The service that a run was uploaded for, or those it speaks for; nothing where it has none."""
    if named is not None or len(found) == 1:
        return named or found[0]
    return numbers.things(len(found), "service") if found else ""


def _measured(run: RunRef) -> str:
    lasted = f" in {numbers.seconds(run.duration_s)}" if run.duration_s else ""
    return f"{numbers.things(run.requests, 'request')}{lasted}"


def _phases(report: ConfigReport) -> str:
    ids = ", ".join(f"{p.id} ({p.title})" if p.title else p.id for p in report.phases)
    return f"{'phase' if len(report.phases) == 1 else 'phases'} {ids}"


def _objectives(results: Sequence[ObjectiveResult]) -> RenderableType:
    table = _table("", "state", "objective", "target", "measured>", "95 % interval>", "samples>")
    for one in results:
        told = numbers.distinct(one.value, one.target_value, one.unit)[0] if one.value is not None else numbers.MISSING
        name = f"{one.service + ' ' if one.service else ''}{one.sli}{' (key)' if one.key else ''}"
        table.add_row(
            _GLYPHS[one.state], Text(one.state.upper().replace("_", " "), style=_STYLES[one.state]), name, one.target,
            told, numbers.interval(one.ci, one.unit), numbers.count(one.n or None),
        )  # fmt: skip
    return Padding(table, (0, 0, 0, 2))


def _finding(finding: Finding) -> RenderableType:
    head = f"{_GLYPHS[finding.severity]} {finding.severity.upper()}  {finding.code}"
    paragraph = _wrapped(f"{head}  {finding.message}", indent=6)
    paragraph.stylize(_STYLES[finding.severity], 2, 2 + len(head))
    return paragraph


def _wrapped(words: str, indent: int = 2) -> Text:
    """A paragraph, indented; rich would fill it up with blanks to the full width."""
    return Text("\n".join(wrap(words, WIDTH, initial_indent="  ", subsequent_indent=" " * indent)))


def _headline(state: str, sentence: str) -> Text:
    return Text.assemble((f"{_GLYPHS[state]} {state.upper().replace('_', ' ')}", _STYLES[state]), f"  {sentence}")


def _of(run: RunRef) -> str:
    version = "@".join(part for part in (run.branch, run.commit and run.commit[:8]) if part)
    return f"  {version}" if version else ""


def _table(*columns: str) -> Table:
    """A plain table; a name that ends in ``>`` is of numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column.rstrip(">"), justify="right" if column.endswith(">") else "left", overflow="fold")
    return table
