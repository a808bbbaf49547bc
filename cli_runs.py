"""The commands about runs: which there are, and what somebody decides about one, as what others are held against."""
# ruff: noqa: FBT002  # typer turns a bool parameter into --flag/--no-flag
# ruff: noqa: PLR0913, PLR0917  # a command has as many parameters as it has options; typer passes them by name

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli_options import (
    BranchOption,
    EnvironmentOption,
    FormatOption,
    RunArgument,
    ServerOption,
    ServiceOption,
    SloOption,
    TestOption,
    VersionOption,
    at_desk,
    given,
)
from data.catalog import RunFilter
from data.errors import BadRequest
from data.model import DecisionKind
from reports import compared, history, text
from reports.terminal import Format, show
from slo import numbers
from slo.model import RunRef

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is kept with the decision.")]

runs_app = typer.Typer(invoke_without_command=True)
baseline_app = typer.Typer(
    no_args_is_help=True,
    help="Show and choose what runs are held against: by default the last valid runs of the same test.",
)


@runs_app.callback()
def runs(
    context: typer.Context,
    service: ServiceOption = None,
    test: TestOption = None,
    branch: BranchOption = None,
    environment: EnvironmentOption = None,
    version: VersionOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 20,
    output: FormatOption = Format.text,
    server: ServerOption = None,
) -> None:
    """List runs, newest first; or work on one of them."""
    if command := context.invoked_subcommand:
        sources = [context.get_parameter_source(name) for name in context.params]
        if any(source and source.name == "COMMANDLINE" for source in sources):
            # `runs --server URL delete ID` must not delete here what it meant to delete there.
            raise BadRequest(f"an option stands before `{command}`", help=f"write options after `runs {command}`")
        return
    with at_desk(server) as desk:
        found = desk.service.runs(RunFilter(service, test, branch, environment, version), limit)
    show(found, output, text.runs(found, datetime.now(UTC)))


@runs_app.command("delete")
def runs_delete(
    run: RunArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is logged.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: FormatOption = Format.text,
    server: ServerOption = None,
) -> None:
    """Delete a run for good, with all that was said of it: it is wrong, or is to be uploaded again with more files."""
    with at_desk(server) as desk:
        found = desk.service.run(run)
        if not yes:
            _confirm(found)
        desk.delete(found.id, reason)
    show(found, output, text.deleted(found))


@runs_app.command("attachments")
def runs_attachments(
    run: RunArgument,
    get: Annotated[str | None, typer.Option("--get", callback=given, help="Save the file of this name.")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Where to; - is standard output.")] = None,
    output: FormatOption = Format.text,
    server: ServerOption = None,
) -> None:
    """List the files kept with a run, as `ingest --junit` and `--attach` sent them; or save one of them."""
    if (get is None) != (to is None):
        raise BadRequest("--get and --out go together", help="runs attachments RUN --get NAME --out FILE")
    with at_desk(server) as desk:
        if get is None or to is None:
            found = desk.service.attachments(run)
            show(found, output, text.attachments(found))
            return
        content = desk.service.attachment(run, get)
    try:
        if str(to) == "-":
            sys.stdout.buffer.write(content)
        else:
            with to.open("xb") as file:
                file.write(content)
    except FileExistsError:
        raise BadRequest(f"{to} is there already", help="name a new file with --out") from None
    except OSError as error:
        raise BadRequest(f"{to} cannot be written: {error.strerror}", help="name another file with --out") from error


@runs_app.command("invalidate")
def runs_invalidate(
    run: RunArgument, reason: ReasonOption, output: FormatOption = Format.text, server: ServerOption = None
) -> None:
    """Take a run out of every baseline, and keep why; `runs restore` takes that back."""
    _decide(run, "invalidated", reason, output, server)


@runs_app.command("restore")
def runs_restore(
    run: RunArgument, reason: ReasonOption, output: FormatOption = Format.text, server: ServerOption = None
) -> None:
    """Let a run that was invalidated enter baselines again."""
    _decide(run, "restored", reason, output, server)


@baseline_app.command("show")
def baseline_show(
    run: RunArgument, output: FormatOption = Format.text, server: ServerOption = None, slo: SloOption = None
) -> None:
    """Show which runs a run is held against, how old they are, and which are left out and why; exits 0."""
    with at_desk(server, slo) as desk:
        about = desk.service.run(run)
        found = desk.service.baseline(about.id)
    show(found, output, compared.baseline(found, about))


@baseline_app.command("set")
def baseline_set(
    run: RunArgument, reason: ReasonOption, output: FormatOption = Format.text, server: ServerOption = None
) -> None:
    """Pin a run: later runs of its test are held against this one, until `baseline clear` or another decision."""
    _decide(run, "pinned", reason, output, server)


@baseline_app.command("start")
def baseline_start(
    run: RunArgument, reason: ReasonOption, output: FormatOption = Format.text, server: ServerOption = None
) -> None:
    """Begin the baseline anew with a run: its level, or its changed test, is accepted, and earlier runs are past."""
    _decide(run, "started", reason, output, server)


@baseline_app.command("clear")
def baseline_clear(
    run: RunArgument, reason: ReasonOption, output: FormatOption = Format.text, server: ServerOption = None
) -> None:
    """Take back `baseline set` or `baseline start` of a run: what stood before counts again."""
    _decide(run, "released", reason, output, server)


def _decide(run: str, kind: DecisionKind, reason: str, output: Format, server: str | None) -> None:
    with at_desk(server) as desk:
        decision = desk.decide(run, kind, reason)
    show(decision, output, history.decided(decision))


def _confirm(run: RunRef) -> None:
    if not sys.stdin.isatty():
        raise BadRequest(f"nobody is here to confirm that run {run.id} is to be deleted", help="add --yes")
    if not typer.confirm(f"Delete run {run.id} ({numbers.things(run.requests, 'request')}) for good?", err=True):
        raise BadRequest("nothing was deleted")
