"""The commands about notifications: try them out, see what waits; and telling after a command has answered."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cli_options import AnyDesk, FormatOption, ServerOption, SloOption, at_desk
from data.errors import PhasegateError
from desk import Desk
from notify import probe
from reports import told
from reports.terminal import Format, show
from settings import Settings
from slo.service import ConfigSource

notify_app = typer.Typer(no_args_is_help=True, help="Who is told when a state changes.")


@contextmanager
def telling_desk(server: str | None, slo: Path | None = None) -> Iterator[AnyDesk]:
    """The desk of a command that may change a state; whoever waits to be told is told after it has answered.

    A server does so by itself. Here it takes at most 10 s and one attempt, while the store is free for others; the
    next command of this kind tries again, or a server. Raises as :func:`at_desk` does.
    """
    waiting = None
    with at_desk(server, slo) as desk:
        yield desk
        with suppress(PhasegateError):  # a slo.yaml that is wrong was told already
            waiting = desk.courier.waiting() if isinstance(desk, Desk) else None
    if waiting is None or not waiting.due:
        return
    sys.stdout.flush()  # who reads the answer has it before anybody else is asked for anything
    became = waiting.send()
    with suppress(PhasegateError), at_desk(None, slo) as desk:  # a store that is taken by now: it is sent once more
        if isinstance(desk, Desk):
            desk.courier.keep(became)


@notify_app.command("test")
def notify_test(output: FormatOption = Format.text, server: ServerOption = None, slo: SloOption = None) -> None:
    """Send a test message to everyone whom slo.yaml names; exits 0 if all were told, else 2."""
    if server:
        with at_desk(server, slo) as desk:
            found = desk.notify_test()
    else:  # needs no store, so that it can be tried beside a server
        settings = Settings.from_environment()
        paths = replace(settings, slo=slo or settings.slo).slo_paths
        found = probe(ConfigSource(paths).require().notify, os.environ)
    show(found, output, told.tried(found))
    if any(one.problem for one in found):
        raise typer.Exit(PhasegateError.exit_code)


@notify_app.command("status")
def notify_status(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 20,
    output: FormatOption = Format.text,
    server: ServerOption = None,
) -> None:
    """Show what became of messages, those that wait or failed first."""
    with at_desk(server) as desk:
        found = desk.service.notices(limit)
    show(found, output, told.notices(found))
