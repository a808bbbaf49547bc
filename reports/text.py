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

    from slo.model import ConfigReport, Finding, IngestAnswer, ObjectiveResult, Overview, RunRef, Verdict

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


def verdict(document: Verdict, *, everything: bool = False) -> RenderableType:
    """A verdict: headline, reasons, findings, the objectives that are not met (or all), next steps, exit code."""
    return Group(*_verdict(document, everything=everything))


def ingested(answer: IngestAnswer) -> RenderableType:
    """What became of an upload."""
    run = answer.run
    word = "Stored" if answer.created else "Known already: the same bytes are"
    facts = [f"{run.requests:,} requests", *([numbers.seconds(run.duration_s)] if run.duration_s else [])]
    lines: list[RenderableType] = [
        Text.assemble((f"{word} run ", ""), (run.id, "bold"), f"  {', '.join(facts)}{_of(run)}")
    ]
    lines += [Text(f"  note: {note}") for note in answer.notes]
    if answer.verdict is not None:
        return Group(*lines, Text(), *_verdict(answer.verdict, everything=False))
    lines += [_finding(finding) for finding in answer.findings]
    return Group(*lines, Text(f"  next  phasegate verdict {run.id} --phase PHASE", style="dim"))


def runs(found: Sequence[RunRef], now: datetime) -> RenderableType:
    """Runs as a table, newest first."""
    if not found:
        return Text("No run matches. `phasegate ingest FILE` stores one; `phasegate demo` loads the demo.")
    table = _table("run", "started", "service", "test", "branch", "commit", "requests>", "lasted>")
    for run in found:
        service = run.service or f"{len(run.services)} services"
        table.add_row(
            run.id, numbers.ago(run.started_at or run.received_at, now), service, run.test or "–", run.branch or "–",
            (run.commit or "–")[:8], numbers.count(run.requests), numbers.seconds(run.duration_s),
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
    phases = ", ".join(f"{p.id} ({p.title})" if p.title else p.id for p in report.phases)
    lines = [
        Text(f"{report.source} is fine: {numbers.things(report.objectives, 'objective')} in phases {phases}"),
        Text(f"  services  {', '.join(report.services) or 'none declared'}"),
        Text(f"  digest    {report.digest}"),
    ]
    return Group(*lines, *(Text(f"  note      {note}") for note in report.notes))


def _verdict(document: Verdict, *, everything: bool) -> Iterator[RenderableType]:
    run = document.run
    what = run.service or (f"{len(document.scope)} services" if document.scope else "the run")
    yield _headline(document.verdict, f"{_SENTENCES[document.verdict].format(what=what, phase=document.phase)}")
    yield Text(
        f"  run {run.id}{_of(run)}, {numbers.things(run.requests, 'request')} in {numbers.seconds(run.duration_s)}",
        style="dim",
    )
    yield Text()
    for reason in document.reasons[:_MOST_REASONS]:
        yield _wrapped(reason)
    if len(document.reasons) > _MOST_REASONS:
        yield Text(f"  and {len(document.reasons) - _MOST_REASONS} more reasons", style="dim")
    yield Text()
    yield from (_finding(finding) for finding in document.measurement.findings)
    if not document.measurement.findings:
        yield Text("  The measurement is valid: no findings.")
    shown = [o for o in document.objectives if everything or o.state != "met"]
    if shown:
        yield Text()
        yield _objectives(shown)
    met = sum(o.state == "met" for o in document.objectives)
    if met and not everything:
        yield Text(
            f"  {'and ' if shown else ''}{met} of {len(document.objectives)} objectives met (--all)", style="dim"
        )
    if document.out_of_scope:
        yield Text(
            f"  {numbers.things(document.out_of_scope, 'objective')} of other services not asked of this run",
            style="dim",
        )
    for number, step in enumerate(document.next_steps):
        yield _wrapped(f"{'next' if number == 0 else '    '}  {step}", indent=8)
    yield Text()
    yield Text.assemble((document.verdict.upper(), _STYLES[document.verdict]), f"  exit {EXIT_CODES[document.verdict]}")


_SENTENCES = {
    "pass": "{what} meets phase {phase}",
    "warn": "{what} meets phase {phase}, narrowly",
    "fail": "{what} does not meet phase {phase}",
    "inconclusive": "cannot tell whether {what} meets phase {phase}",
}


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
