"""The commands about error budgets: how they stand, one of them in full, and asking Prometheus for what is new."""

from __future__ import annotations

from typing import Annotated

import typer

from cli_options import FormatOption, ServerOption, SloOption, at_desk
from data.errors import PhasegateError
from reports import budgets
from reports.terminal import Format, progress, show

budget_app = typer.Typer()


@budget_app.callback(invoke_without_command=True)
def budget(
    context: typer.Context,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Show every error budget of slo.yaml, worst first; exits 0, 1 (one is exhausted) or 3 (one cannot be told).

    It is told by what was counted so far: `budget pull` asks for what is new, and a server does so by itself.
    """
    if context.invoked_subcommand is not None:
        return
    with at_desk(server, slo) as desk:
        found = desk.service.budgets()
    show(found, output, budgets.budgets(found))
    raise typer.Exit(budgets.exit_code(found))


@budget_app.command("show")
def budget_show(
    name: Annotated[str, typer.Argument(help="Name of the budget.")],
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Show one error budget: how much is left, how fast it burns, by when it is used up; exits as `budget` does."""
    with at_desk(server, slo) as desk:
        found = desk.service.budget(name)
    show(found, output, budgets.budget(found))
    raise typer.Exit(budgets.exit_code([found]))


@budget_app.command("pull")
def budget_pull(output: FormatOption = Format.text, server: ServerOption = None, slo: SloOption = None) -> None:
    """Ask Prometheus for what is not counted yet; exits 2 where it did not answer for all budgets."""
    with at_desk(server, slo) as desk, progress() as on_progress:
        found = desk.pull_budgets(on_progress)
    show(found, output, budgets.pulled(found))
    if any(one.problem for one in found):
        raise typer.Exit(PhasegateError.exit_code)
