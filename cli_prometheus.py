"""The commands about Prometheus: ask it about a run, and see what it said."""
# ruff: noqa: FBT002  # typer turns a bool parameter into --flag/--no-flag
# ruff: noqa: PLR0913, PLR0917  # a command has as many parameters as it has options; typer passes them by name

from __future__ import annotations

from typing import Annotated

import typer

from cli_options import AllOption, FormatOption, RunArgument, ServerOption, SloOption, at_desk, given
from data.errors import PhasegateError
from reports import pulled as told
from reports.terminal import Format, progress, show

prometheus_app = typer.Typer(no_args_is_help=True, help="What Prometheus knows of the time of a run.")


@prometheus_app.command("pull")
def prometheus_pull(
    run: RunArgument,
    source: Annotated[
        str | None, typer.Option("--source", callback=given, help="One of slo.yaml; all, if none is named.")
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Ask what was answered, too.")] = False,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Ask Prometheus what it has not answered yet about a run; exits 2 if something stays without an answer."""
    with at_desk(server, slo) as desk:
        with progress() as on_progress:
            answer = desk.pull(
                run, source, everything=everything, on_progress=lambda done, all_: on_progress("ask", done / all_)
            )
        desk.judge_ahead(answer.run.id)
    show(answer, output, told.asked(answer))
    if answer.failed:
        raise typer.Exit(PhasegateError.exit_code)


@prometheus_app.command("show")
def prometheus_show(
    run: RunArgument, everything: AllOption = False, output: FormatOption = Format.text, server: ServerOption = None
) -> None:
    """Show what Prometheus was asked about a run, and answered."""
    with at_desk(server) as desk:
        found = desk.service.pulled(run)
    show(found, output, told.pulled(found, everything=everything))
