"""What every command line has in common: the options of several commands, and the desk that they name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from api.client import RemoteDesk
from data.errors import BadRequest
from desk import Desk
from reports.terminal import Format
from settings import Settings

AnyDesk = Desk | RemoteDesk
"""A store, or a server that has one: both answer the same questions."""


def given(option: str | None) -> str | None:
    """An option as it counts: one that is empty, as of a variable that a pipeline has not set, was not given."""
    return option or None


ServerOption = Annotated[
    str | None, typer.Option("--server", envvar="PHASEGATE_URL", callback=given, help="Ask this server, not a store.")
]
SloOption = Annotated[Path | None, typer.Option("--slo", envvar="PHASEGATE_SLO", help="The slo.yaml to judge by.")]
FormatOption = Annotated[Format, typer.Option("--format", help="text for people, json for machines.")]
PhaseOption = Annotated[str | None, typer.Option("--phase", callback=given, help="A phase of slo.yaml.")]
TestOption = Annotated[
    str | None, typer.Option("--test", callback=given, help="Name of the test: runs of one test are comparable.")
]
BranchOption = Annotated[str | None, typer.Option("--branch", callback=given)]
VersionOption = Annotated[str | None, typer.Option("--version", callback=given, help="Version of what was tested.")]
EnvironmentOption = Annotated[
    str | None, typer.Option("--environment", callback=given, help="Where it ran: ci, staging ...")
]
ServiceOption = Annotated[str | None, typer.Option("--service", callback=given)]
AllOption = Annotated[bool, typer.Option("--all", help="Show everything, also what did not change.")]
RunArgument = Annotated[str, typer.Argument(help="Id of the run, or its beginning.")]


@contextmanager
def at_desk(server: str | None, slo: Path | None = None) -> Iterator[AnyDesk]:
    """The store, or the server where one is named, for as long as a command works on it.

    Raises:
        BadRequest: a server is to judge by a slo.yaml that was named here.
        StoreLocked: another process holds the store.
        ServerUnreachable: what was named is no server's address.
    """
    settings = Settings.from_environment()
    if server and typed(slo, "PHASEGATE_SLO"):
        raise BadRequest(f"{server} judges by its own slo.yaml", help="leave out --slo, or --server (PHASEGATE_URL)")
    desk: AnyDesk = RemoteDesk(server, settings.token) if server else Desk(replace(settings, slo=slo or settings.slo))
    try:
        yield desk
    finally:
        desk.close()


def typed(option: str | Path | None, variable: str) -> bool:
    """Was an option written on the command line? Else it comes from the environment."""
    return option is not None and str(option) != os.environ.get(variable)
