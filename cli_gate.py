"""The commands about gates: may a version enter a phase, what is overlooked, and who let it through all the same."""
# ruff: noqa: FBT002  # typer turns a bool parameter into --flag/--no-flag
# ruff: noqa: PLR0913, PLR0917  # a command has as many parameters as it has options; typer passes them by name

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Annotated, TypeVar

import stamina
import typer
from stamina import instrumentation

from cli_notify import telling_desk
from cli_options import (
    AllOption,
    AnyDesk,
    EnvironmentOption,
    FormatOption,
    OutputOption,
    PhaseOption,
    ServerOption,
    SloOption,
    VersionOption,
    answered,
    at_desk,
    given,
    in_force,
)
from data.errors import BadRequest, Busy, ServerUnreachable
from data.model import WaiverRequest
from reports import gates
from reports.answer import of_gate
from reports.outputs import Output
from reports.terminal import Format, say, show
from slo.gate import awaits_runs
from slo.gate_model import GateDecision
from slo.kinds import parse_duration
from slo.model import ConfigReport
from slo.source import ExpressionError

T = TypeVar("T")

_PAUSE_S = 5.0
_AWAY = (ServerUnreachable, Busy)


class _RunsMissing(Exception):
    """It cannot be told yet: other jobs may still upload."""


gate_app = typer.Typer()


@gate_app.callback(invoke_without_command=True)
def gate(
    context: typer.Context,
    phase: PhaseOption = None,
    version: VersionOption = None,
    environment: EnvironmentOption = None,
    replay: Annotated[str | None, typer.Option("--replay", metavar="ID", help="Decide again what was decided.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List what was decided, newest first.")] = False,
    wait: Annotated[
        str | None,
        typer.Option("--wait", callback=given, help="Ask again so long while runs are missing: 90s, 10m, 1h."),
    ] = None,
    everything: AllOption = False,
    output: OutputOption = Output.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Say whether a version may enter a phase, and why; exits 0 (pass, warn), 1 (fail) or 3 (inconclusive).

    Judged are the newest runs of the version, of each test and of each kind that the phase demands. It is kept.
    """
    if context.invoked_subcommand is not None:
        return
    if listed:
        with at_desk(server, slo) as desk:
            found = desk.service.gates()
        show(found, Format.json if output is Output.json else Format.text, gates.gates(found))
        return

    if replay is not None and wait:
        raise BadRequest("what was decided does not change by waiting", help="leave out --wait, or --replay")

    def ask(desk: AnyDesk) -> tuple[GateDecision, ConfigReport | None]:
        if replay is not None:
            return desk.service.gate_replay(replay), in_force(desk, output)
        if phase is None or version is None:
            raise BadRequest("a gate is asked about a phase and a version", help="add --phase 7A --version 1.4.0")
        return desk.service.gate(phase, version, environment), in_force(desk, output)

    def ask_anew() -> tuple[GateDecision, ConfigReport | None]:
        with telling_desk(server, slo) as desk:  # closed in between: nobody uploads to a store that somebody holds
            return ask(desk)

    if wait:
        decision, judged_by = waited(ask_anew, _seconds(wait))
        answered(decision, output, gates.gate(decision, everything=everything), of_gate, judged_by)
    else:
        with telling_desk(server, slo) as desk:
            decision, judged_by = ask(desk)
            answered(decision, output, gates.gate(decision, everything=everything), of_gate, judged_by)
    raise typer.Exit(gates.exit_code(decision))


def waited(
    ask: Callable[[], tuple[GateDecision, T]], longest_s: float, pause_s: float = _PAUSE_S
) -> tuple[GateDecision, T]:
    """The answer once no run is missing any more, or the last one when the time is over.

    A server that restarts meanwhile, or a store that somebody else holds, is asked again, too.

    Raises:
        ServerUnreachable, Busy: nobody answered in all that time.
    """
    answers: list[tuple[GateDecision, T]] = []

    def once() -> None:
        answers.append(ask())
        if awaits_runs(answers[-1][0]):
            raise _RunsMissing

    again = stamina.RetryingCaller(
        attempts=None, timeout=longest_s, wait_initial=pause_s, wait_max=pause_s, wait_jitter=0, wait_exp_base=1
    )
    hooks = instrumentation.get_on_retry_hooks()
    instrumentation.set_on_retry_hooks([partial(_say_once, longest_s)])
    try:
        again((_RunsMissing, *_AWAY), once)
    except (_RunsMissing, *_AWAY):
        if not answers:
            raise
    finally:
        instrumentation.set_on_retry_hooks(hooks)
    return answers[-1]


@gate_app.command()
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
            show(ended, output, gates.ended(ended))
            return
        found = desk.service.waivers()
    show(found, output, gates.waivers(found))


def _say_once(longest_s: float, details: instrumentation.RetryDetails) -> None:
    if details.retry_num == 1:
        why = "runs are missing" if isinstance(details.caused_by, _RunsMissing) else details.caused_by
        say(f"note: {why}; asking again for up to {longest_s:.0f} s")


def _seconds(text: str) -> float:
    """``90s``, ``10m`` or ``1h``."""
    try:
        return parse_duration(text)
    except ExpressionError as error:
        raise BadRequest(f"{text!r} is no time to wait", help="write 90s, 10m or 1h") from error


def _until(text: str) -> datetime:
    """``14d`` from now, or the end of a day (UTC)."""
    if days := re.fullmatch(r"([0-9]{1,3})d", text.strip()):
        return datetime.now(UTC) + timedelta(days=int(days[1]))
    try:
        return datetime.combine(date.fromisoformat(text.strip()) + timedelta(days=1), time(), UTC)
    except ValueError as error:
        raise BadRequest(f"{text!r} is no end of a waiver", help="write 14d, or a date as 2026-12-01") from error
