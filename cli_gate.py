"""The command that asks a gate: may a version enter a phase?"""
# ruff: noqa: FBT002  # typer turns a bool parameter into --flag/--no-flag
# ruff: noqa: PLR0913, PLR0917  # a command has as many parameters as it has options; typer passes them by name

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from cli_options import AllOption, EnvironmentOption, PhaseOption, ServerOption, SloOption, VersionOption, at_desk
from data.errors import BadRequest
from reports import gates
from reports.terminal import Format, show
from slo.model import EXIT_CODES


class GateFormat(StrEnum):
    """For people, for machines, or for a pull request."""

    text = "text"
    json = "json"
    markdown = "markdown"


def gate(
    phase: PhaseOption = None,
    version: VersionOption = None,
    environment: EnvironmentOption = None,
    replay: Annotated[str | None, typer.Option("--replay", metavar="ID", help="Decide again what was decided.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List what was decided, newest first.")] = False,
    everything: AllOption = False,
    output: Annotated[GateFormat, typer.Option("--format")] = GateFormat.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Say whether a version may enter a phase, and why; exits 0 (pass, warn), 1 (fail) or 3 (inconclusive).

    Judged are the newest runs of the version, one for each service that the phase asks about. The decision is kept.
    """
    plain = Format.json if output is GateFormat.json else Format.text
    with at_desk(server, slo) as desk:
        if listed:
            found = desk.service.gates()
            show(found, plain, gates.gates(found))
            return
        if replay is not None:
            decision = desk.service.gate_replay(replay)
        elif phase is None or version is None:
            raise BadRequest("a gate is asked about a phase and a version", help="add --phase 7A --version 1.4.0")
        else:
            decision = desk.service.gate(phase, version, environment)
    if output is GateFormat.markdown:
        sys.stdout.write(gates.markdown(decision))
    else:
        show(decision, plain, gates.gate(decision, everything=everything))
    raise typer.Exit(EXIT_CODES[decision.decision])
