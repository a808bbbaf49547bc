"""The commands about slo.yaml: check one, take one over from a neighbour."""
# ruff: noqa: PLR0913, PLR0917  # a command has as many parameters as it has options; typer passes them by name

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli_options import FormatOption, ServerOption, SloOption, at_desk, given, typed
from data.errors import BadRequest
from reports import imported as report
from reports import text
from reports.terminal import Format, say, show, write
from settings import Settings
from slo.config import load_config, read_text
from slo.neighbours.draft import Imported
from slo.neighbours.keptn import import_keptn
from slo.neighbours.keptn_check import Evaluation, check_import, read_evaluations
from slo.service import report_on
from slo.source import Source

slo_app = typer.Typer(no_args_is_help=True, help="Work on slo.yaml.")


@slo_app.command("check")
def slo_check(
    file: Annotated[Path | None, typer.Argument(help="The file; default: the slo.yaml in force.")] = None,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Check a slo.yaml: every error with line and column, and what to write instead."""
    named = file or (slo if typed(slo, "PHASEGATE_SLO") else None)
    if named and server and typed(server, "PHASEGATE_URL"):
        raise BadRequest(f"{server} checks its own slo.yaml, not {named}", help=f"leave out --server, or {named}")
    if server and not named:
        with at_desk(server) as desk:
            report = desk.service.config_report()
        if report is None:
            raise BadRequest(f"{server} has no slo.yaml", help="start it with one: `phasegate serve --slo FILE`")
    else:
        paths = (named,) if named else Settings.from_environment().slo_paths
        report = report_on(load_config(next((path for path in paths if path.is_file()), paths[0])))
    show(report, output, text.config(report))


@slo_app.command("import")
def slo_import(
    keptn: Annotated[
        Path | None, typer.Option("--keptn", exists=True, dir_okay=False, help="A slo.yaml of Keptn v1 quality gates.")
    ] = None,
    sli: Annotated[
        Path | None,
        typer.Option("--sli", exists=True, dir_okay=False, help="Keptn's sli.yaml: its PromQL is asked, not k6."),
    ] = None,
    values: Annotated[
        Path | None,
        typer.Option("--values", exists=True, dir_okay=False, help="SLI values: print what Keptn says of them."),
    ] = None,
    previous: Annotated[
        Path | None,
        typer.Option("--previous", exists=True, dir_okay=False, help="The values before those, newest first."),
    ] = None,
    phase: Annotated[str, typer.Option("--phase", help="Id of the phase to write.")] = "1",
    service: Annotated[
        str | None, typer.Option("--service", callback=given, help="Service of what names none itself.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write here, to a new file; else to standard output.")
    ] = None,
) -> None:
    """Write a slo.yaml that asks what another tool asks; a note says what could not be taken over, or was assumed.

    With --values, prints instead what Keptn says of these SLI values and what the imported slo.yaml says.
    """
    if (sli or values) and not keptn:
        raise BadRequest("--sli and --values are for Keptn's slo.yaml", help="name it with --keptn")
    if previous and not values:
        raise BadRequest("--previous is held against --values", help="name the values, too")
    sources: dict[str, Callable[[], Imported] | None] = {
        "--keptn": partial(_from_keptn, keptn, sli, phase, service) if keptn else None,
    }
    source = _only(sources)
    if keptn and values:
        now, *more = _evaluations(values)
        if more:
            raise BadRequest(f"{values} holds several sets of values", help="name the earlier ones with --previous")
        before = _evaluations(previous) if previous else []
        write(report.keptn(check_import(_yaml(keptn), now, before, service, _yaml(sli) if sli else None)))
    if out or not values:
        _hand_over(source(), out)


def _only(sources: Mapping[str, Callable[[], Imported] | None]) -> Callable[[], Imported]:
    """The one source that was named on the command line."""
    named = [source for source in sources.values() if source]
    if len(named) != 1:
        raise BadRequest(
            f"{len(named) or 'no'} sources are named; one is imported", help=f"name one: {', '.join(sources)}"
        )
    return named[0]


def _from_keptn(slo: Path, sli: Path | None, phase: str, service: str | None) -> Imported:
    return import_keptn(_yaml(slo), phase, service, _yaml(sli) if sli else None)


def _yaml(path: Path) -> Source:
    return Source(str(path), read_text(path))


def _evaluations(path: Path) -> list[Evaluation]:
    return read_evaluations(path.read_bytes(), str(path))


def _hand_over(imported: Imported, out: Path | None) -> None:
    """Hand out the text and the notes; what is there already is never written over."""
    if out:
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(imported.text)
        except FileExistsError:
            raise BadRequest(f"{out} is there already", help="name a new file") from None
        except OSError as error:
            raise BadRequest(f"{out} cannot be written: {error.strerror}") from error
    else:
        sys.stdout.write(imported.text)
    for note in imported.notes:
        say(f"note: {note}")
