"""The commands about gates: may a version enter a phase, what is overlooked, and who let it through all the same."""
# ruff: noqa: FBT002  # typer turns a bool parameter into --flag/--no-flag
# ruff: noqa: PLR0913, PLR0917  # a command has as many parameters as it has options; typer passes them by name

from __future__ import annotations

import re
import sys
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from cli_notify import telling_desk
from cli_options import (
    AllOption,
    EnvironmentOption,
    FormatOption,
    PhaseOption,
    ServerOption,
    SloOption,
    VersionOption,
    at_desk,
)
from data.errors import BadRequest
from data.model import WaiverRequest
from reports import gates
from reports.terminal import Format, show


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
    with telling_desk(server, slo) as desk:
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
    raise typer.Exit(gates.exit_code(decision))


def override(
    decision: Annotated[str, typer.Argument(help="Id of the gate's decision, in full.")],
    by: Annotated[str, typer.Option("--by", help="Who answers for it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the decision.")],
    output: FormatOption = Format.text,
    server: ServerOption = None,
) -> None:
    """Let a version through although its gate is shut. It is shown as overridden from then on, and never as a pass."""
    with at_desk(server) as desk:
        found = desk.service.gate_override(decision, by, reason)
    show(found, output, gates.gate(found, everything=False))


def waive(
    about: Annotated[str, typer.Argument(help="An objective, as `http_req_failed`, or a finding, as `error_storm`.")],
    owner: Annotated[str, typer.Option("--owner", help="Who answers for it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    until: Annotated[str, typer.Option("--until", help="14d, or a date as 2026-12-01; at most 30 days.")],
    service: Annotated[str | None, typer.Option("--service", help="Only of this service.")] = None,
    phase: Annotated[str | None, typer.Option("--phase", help="Only in this phase.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Only of this version.")] = None,
    output: FormatOption = Format.text,
    server: ServerOption = None,
) -> None:
    """Let gates overlook an objective or a finding for a while; they say so, and warn."""
    asked = WaiverRequest(about, owner, reason, _until(until), service, phase, version)
    with at_desk(server) as desk:
        found = desk.service.waive(asked)
    show(found, output, gates.waivers([found]))


def waivers(
    end: Annotated[str | None, typer.Option("--end", metavar="ID", help="Take this one back.")] = None,
    output: FormatOption = Format.text,
    server: ServerOption = None,
) -> None:
    """Show what gates overlook now, the next to expire first; or take one back."""
    with at_desk(server) as desk:
        if end is not None:
            ended = desk.service.end_waiver(end)
            show(ended, output, gates.waivers([ended]))
            return
        found = desk.service.waivers()
    show(found, output, gates.waivers(found))


def _until(text: str) -> datetime:
    """``14d`` from now, or the end of a day (UTC)."""
    if days := re.fullmatch(r"([0-9]{1,3})d", text.strip()):
        return datetime.now(UTC) + timedelta(days=int(days[1]))
    try:
        return datetime.combine(date.fromisoformat(text.strip()) + timedelta(days=1), time(), UTC)
    except ValueError as error:
        raise BadRequest(f"{text!r} is no end of a waiver", help="write 14d, or a date as 2026-12-01") from error
