"""The commands about slo.yaml: check one, take one over from a neighbour, hand it to k6."""
# ruff: noqa: FBT002  # typer turns a bool parameter into --flag/--no-flag
# ruff: noqa: PLR0913, PLR0917  # a command has as many parameters as it has options; typer passes them by name

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli_options import FormatOption, PhaseOption, ServerOption, ServiceOption, SloOption, at_desk, given, typed
from data.errors import BadRequest
from notify import unset
from reports import imported as checked
from reports import text
from reports.terminal import Format, say, show, write
from settings import Settings
from slo.config import Config, Phase, load_config, read_text
from slo.neighbours.draft import Imported
from slo.neighbours.files import lines_of
from slo.neighbours.k6 import HOW, import_k6, read_script
from slo.neighbours.k6_export import as_js, as_json, differences, export_k6
from slo.neighbours.keptn import import_keptn
from slo.neighbours.keptn_check import Evaluation, check_import, read_evaluations
from slo.neighbours.openslo import import_openslo
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
        config = _in_force(named)
        report = report_on(config)
        report = replace(report, notes=(*report.notes, *unset(config.notify, os.environ)))
    show(report, output, text.config(report))


class ThresholdFormat(StrEnum):
    """As options in JSON, or as a module of a script."""

    json = "json"
    js = "js"


@slo_app.command("export")
def slo_export(
    k6: Annotated[bool, typer.Option("--k6", help="As thresholds of a k6 script.")] = False,
    phase: PhaseOption = None,
    service: ServiceOption = None,
    check: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Compare with the thresholds in this summary or k6 inspect."),
    ] = None,
    output: Annotated[ThresholdFormat, typer.Option("--format", help="json: options; js: a module to import.")] = (
        ThresholdFormat.json
    ),
    slo: SloOption = None,
) -> None:
    """Write what a phase asks as thresholds of a k6 script; a note says what k6 cannot check.

    With --check, exits 1 if a script's thresholds are others, and lists what only one of the two has.
    """
    if not k6:
        raise BadRequest("it is not said what to export to", help="add --k6")
    exported = export_k6(_phase(_in_force(slo), phase), service)
    for note in exported.notes:
        say(f"note: {note}")
    if check is None:
        sys.stdout.write(as_js(exported.thresholds) if output is ThresholdFormat.js else as_json(exported.thresholds))
        return
    script = read_script(lines_of(check), str(check))
    if not script.complete:
        raise BadRequest(f"{check} holds k6's samples, which do not tell all thresholds", help=HOW)
    if found := differences(exported.thresholds, script.thresholds):
        write(Text("\n".join(found)))
        raise typer.Exit(1)
    write(Text(f"{check} asks the same"))


def _in_force(named: Path | None) -> Config:
    paths = (named,) if named else Settings.from_environment().slo_paths
    return load_config(next((path for path in paths if path.is_file()), paths[0]))


def _phase(config: Config, named: str | None) -> Phase:
    """The phase that was named, or the only one."""
    if named is None and len(config.phases) > 1:
        known = ", ".join(phase.id for phase in config.phases)
        raise BadRequest(f"{config.source} has several phases", help=f"add --phase, one of {known}")
    return config.phase(named or config.phases[0].id)


@slo_app.command("import")
def slo_import(
    k6: Annotated[
        Path | None,
        typer.Option("--k6", exists=True, dir_okay=False, help="k6's summary, its samples, or what k6 inspect prints."),
    ] = None,
    openslo: Annotated[
        list[Path] | None,
        typer.Option("--openslo", exists=True, help="A file of OpenSLO v1, or a folder of them; repeated."),
    ] = None,
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

    With --values, prints what Keptn says of these SLI values and what the imported slo.yaml says instead.
    """
    sources: dict[str, Callable[[], Imported] | None] = {
        "--k6": partial(_from_k6, k6, phase, service) if k6 else None,
        "--openslo": partial(_from_openslo, openslo, phase, service) if openslo else None,
        "--keptn": partial(_from_keptn, keptn, sli, phase, service) if keptn else None,
    }
    if (sli or values) and not keptn:
        raise BadRequest("--sli and --values are for Keptn's slo.yaml", help="name it with --keptn")
    if previous and not values:
        raise BadRequest("--previous is held against --values", help="name the values, too")
    source = _only(sources)
    if keptn and values:
        now, *more = _evaluations(values) or [Evaluation()]
        if more:
            raise BadRequest(f"{values} holds several sets of values", help="name the earlier ones with --previous")
        before = _evaluations(previous) if previous else []
        write(checked.keptn(check_import(_source(keptn), now, before, service, _source(sli) if sli else None)))
    if out or not values:
        _hand_over(source(), out)


def _only(sources: Mapping[str, Callable[[], Imported] | None]) -> Callable[[], Imported]:
    """The one source that was named on the command line."""
    named = [source for source in sources.values() if source]
    if len(named) != 1:
        raise BadRequest("one source can be imported at a time", help=f"name one: {' or '.join(sources)}")
    return named[0]


def _from_k6(file: Path, phase: str, service: str | None) -> Imported:
    return import_k6(lines_of(file), str(file), phase, service)


def _from_openslo(named: Sequence[Path], phase: str, service: str | None) -> Imported:
    files = [file for path in named for file in (_yaml_in(path) if path.is_dir() else [path])]
    return import_openslo([_source(file) for file in files], phase, service)


def _from_keptn(slo: Path, sli: Path | None, phase: str, service: str | None) -> Imported:
    return import_keptn(_source(slo), phase, service, _source(sli) if sli else None)


def _source(file: Path) -> Source:
    return Source(str(file), read_text(file))


def _evaluations(file: Path) -> list[Evaluation]:
    return read_evaluations(file.read_bytes(), str(file))


def _yaml_in(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix in {".yaml", ".yml"} and path.is_file())
    if not found:
        raise BadRequest(f"{folder} has no .yaml file", help="name the files, or the folder that they are in")
    return found


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
