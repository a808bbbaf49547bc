"""The commands about slo.yaml: check one, take one over from a neighbour."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cli_options import FormatOption, ServerOption, SloOption, at_desk, typed
from data.errors import BadRequest
from notify import unset
from reports import text
from reports.terminal import Format, show
from settings import Settings
from slo.config import load_config
from slo.service import report_on

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
        config = load_config(next((path for path in paths if path.is_file()), paths[0]))
        report = report_on(config)
        report = replace(report, notes=(*report.notes, *unset(config.notify, os.environ)))
    show(report, output, text.config(report))
