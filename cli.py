"""The command line: every command works on the local store or, with --server, on a running Phasegate.

Answers go to standard output; progress, notes and errors to standard error. Exit codes: 0 pass or warn, 1 fail, 2 wrong
usage or an error, 3 inconclusive or no data.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer

import logs
from api.client import RemoteDesk
from data.catalog import RunFilter
from data.errors import BadRequest, PhasegateError
from data.model import RunMeta
from desk import Desk, announce, labels
from ingest.service import Upload
from reports import text
from reports.terminal import Format, err, out, progress, say, show
from settings import ROOT, Settings
from slo import numbers
from slo.config import load_config
from slo.model import EXIT_CODES, RunRef
from slo.service import report_on

DEMO_PHASE = "7A"
"""The phase in which the demo's story shows best."""

AnyDesk = Desk | RemoteDesk
"""A store, or a server that has one: both answer the same questions."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Load-test runs in, release decisions out. Start with `phasegate demo` and `phasegate serve`, or with your "
    "own run: `k6 run --out json=results.json.gz script.js`, then `phasegate ingest results.json.gz --service NAME`.",
)
slo_app = typer.Typer(no_args_is_help=True, help="Work on slo.yaml.")
app.add_typer(slo_app, name="slo")
runs_app = typer.Typer(invoke_without_command=True)
app.add_typer(runs_app, name="runs")


def _given(option: str | None) -> str | None:
    """An option as it counts: one that is empty, as of a variable that a pipeline has not set, was not given."""
    return option or None


ServerOption = Annotated[
    str | None, typer.Option("--server", envvar="PHASEGATE_URL", callback=_given, help="Ask this server, not a store.")
]
SloOption = Annotated[Path | None, typer.Option("--slo", envvar="PHASEGATE_SLO", help="The slo.yaml to judge by.")]
FormatOption = Annotated[Format, typer.Option("--format", help="text for people, json for machines.")]
PhaseOption = Annotated[str | None, typer.Option("--phase", callback=_given, help="A phase of slo.yaml.")]
TestOption = Annotated[
    str | None, typer.Option("--test", callback=_given, help="Name of the test: runs of one test are comparable.")
]
BranchOption = Annotated[str | None, typer.Option("--branch", callback=_given)]
VersionOption = Annotated[str | None, typer.Option("--version", callback=_given, help="Version of what was tested.")]
EnvironmentOption = Annotated[
    str | None, typer.Option("--environment", callback=_given, help="Where it ran: ci, staging ...")
]


@app.command()
def ingest(  # one argument per option
    files: Annotated[
        list[str],
        typer.Argument(help="k6 output of one run: NDJSON, CSV or summary, plain or gzip; - is standard input."),
    ],
    summary: Annotated[list[Path] | None, typer.Option("--summary", help="k6's summary of the same run.")] = None,
    service: Annotated[
        str | None, typer.Option("--service", callback=_given, help="Service of series that have no `service` tag.")
    ] = None,
    test: TestOption = None,
    phase: PhaseOption = None,
    branch: BranchOption = None,
    commit: Annotated[str | None, typer.Option("--commit", callback=_given)] = None,
    version: VersionOption = None,
    environment: EnvironmentOption = None,
    exit_code: Annotated[int | None, typer.Option("--exit-code", help="k6's exit code ($?).", min=0, max=255)] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="key=value, may be repeated.")] = None,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Store a run; with --phase, judge it at once. Exits 0 once it is stored, whatever the verdict.

    Several FILES are parts of one run, as a distributed test writes them. The same bytes twice are the same run: what
    was not said of it before is added.
    """
    said = labels([pair for pair in label or [] if pair])
    meta = RunMeta(service, test, phase, branch, commit, version, environment, exit_code, said)
    names = [*files, *map(str, summary or [])]
    with _uploads(names) as uploads, _desk(server, slo) as desk, progress() as on_progress:
        answer = desk.ingest(uploads, meta, on_progress)
    show(answer, output, text.ingested(answer))
    for note in answer.notes:
        say(f"note: {note}")
    if meta.phase and answer.verdict is None:
        raise typer.Exit(PhasegateError.exit_code)


@app.command()
def verdict(
    run: Annotated[str, typer.Argument(help="Id of the run, or its beginning.")],
    phase: PhaseOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Show the objectives that are met, too.")] = False,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Say whether a run meets a phase, and why; exits 0 (pass, warn), 1 (fail) or 3 (inconclusive)."""
    with _desk(server, slo) as desk:
        found = desk.service.verdict(run, phase)
    show(found, output, text.verdict(found, everything=everything))
    raise typer.Exit(EXIT_CODES[found.verdict])


@runs_app.callback()
def runs(
    context: typer.Context,
    service: Annotated[str | None, typer.Option("--service", callback=_given)] = None,
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
    with _desk(server, None) as desk:
        found = desk.service.runs(RunFilter(service, test, branch, environment, version), limit)
    show(found, output, text.runs(found, datetime.now(UTC)))


@runs_app.command("delete")
def runs_delete(
    run: Annotated[str, typer.Argument(help="Id of the run, or its beginning.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is logged.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: FormatOption = Format.text,
    server: ServerOption = None,
) -> None:
    """Delete a run for good, with all that was said of it: it is wrong, or is to be uploaded again with more files."""
    with _desk(server, None) as desk:
        found = desk.service.run(run)
        if not yes:
            _confirm(found)
        desk.delete(found.id, reason)
    show(found, output, text.deleted(found))


@app.command()
def overview(
    phase: PhaseOption = None,
    environment: EnvironmentOption = None,
    branch: BranchOption = None,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Show every service's latest run in one phase, worst first; exits 0, 1 or 3 as the worst of them would."""
    with _desk(server, slo) as desk:
        found = desk.service.overview(phase, environment, branch)
    show(found, output, text.overview(found))
    raise typer.Exit(EXIT_CODES["inconclusive" if found.state == "no_data" else found.state])


@slo_app.command("check")
def slo_check(
    file: Annotated[Path | None, typer.Argument(help="The file; default: the slo.yaml in force.")] = None,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Check a slo.yaml: every error with line and column, and what to write instead."""
    named = file or (slo if _typed(slo, "PHASEGATE_SLO") else None)
    if named and server and _typed(server, "PHASEGATE_URL"):
        raise BadRequest(f"{server} checks its own slo.yaml, not {named}", help=f"leave out --server, or {named}")
    if server and not named:
        with _desk(server, None) as desk:
            report = desk.service.config_report()
        if report is None:
            raise BadRequest(f"{server} has no slo.yaml", help="start it with one: `phasegate serve --slo FILE`")
    else:
        paths = (named,) if named else Settings.from_environment().slo_paths
        report = report_on(load_config(next((path for path in paths if path.is_file()), paths[0])))
    show(report, output, text.config(report))


@app.command()
def demo(server: ServerOption = None) -> None:
    """Load the demo: recorded k6 runs of eight services, good and bad, with a slo.yaml."""
    with _desk(server, None) as desk, progress() as on_progress:
        loaded = desk.load_demo(on_progress)
        report = desk.service.config_report()
        phases = [phase.id for phase in report.phases] if report else []
        found = desk.service.overview(DEMO_PHASE if DEMO_PHASE in phases else None)
    out.print(f"{numbers.things(loaded, 'run')} of the demo are stored.\n")
    out.print(text.overview(found))
    pages = f"open {desk.url}" if isinstance(desk, RemoteDesk) else "phasegate serve, then open http://127.0.0.1:8501"
    out.print(f"\n  next  {pages}", style="dim")


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8501,
    slo: SloOption = None,
) -> None:
    """Serve pages and API on one port, from one process; says first what, by which slo.yaml, to whom and where."""
    if slo:
        os.environ["PHASEGATE_SLO"] = str(slo)
    settings = Settings.from_environment()
    opening = announce(settings, host, port)
    home, token = settings.home.resolve(), bool(settings.token)
    err.print(text.serving(opening.url, str(home), opening.runs, opening.slo, token=token), soft_wrap=True)
    options = [f"--server.address={host}", f"--server.port={port}"]
    # -P: a folder called `data` where the user stands must not stand in for ours.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(ROOT / "app.py"), *options]
    os.execv(sys.executable, command)  # noqa: S606  # our own interpreter, no shell


def main() -> None:
    """Run the command line; errors of ours become one message and an exit code."""
    logs.configure(verbose=False)
    try:
        app(prog_name="phasegate")
    except PhasegateError as error:
        say(f"error: {error}")
        raise SystemExit(error.exit_code) from None
    except Exception as error:  # noqa: BLE001  # the last line: an error of our own must not exit 1, which says "fail"
        err.print_exception()
        say(f"error: Phasegate failed ({type(error).__name__}); nothing was judged")
        raise SystemExit(PhasegateError.exit_code) from None


@contextmanager
def _desk(server: str | None, slo: Path | None) -> Iterator[AnyDesk]:
    settings = Settings.from_environment()
    if server and _typed(slo, "PHASEGATE_SLO"):
        raise BadRequest(f"{server} judges by its own slo.yaml", help="leave out --slo, or --server (PHASEGATE_URL)")
    desk: AnyDesk = RemoteDesk(server, settings.token) if server else Desk(Settings(settings.home, slo or settings.slo))
    try:
        yield desk
    finally:
        desk.close()


def _typed(option: str | Path | None, variable: str) -> bool:
    """Was an option written on the command line? Else it comes from the environment."""
    return option is not None and str(option) != os.environ.get(variable)


def _confirm(run: RunRef) -> None:
    if not sys.stdin.isatty():
        raise BadRequest(f"nobody is here to confirm that run {run.id} is to be deleted", help="add --yes")
    if not typer.confirm(f"Delete run {run.id} ({numbers.things(run.requests, 'request')}) for good?", err=True):
        raise BadRequest("nothing was deleted")


@contextmanager
def _uploads(files: Sequence[str]) -> Iterator[list[Upload]]:
    """The files, with standard input copied to one."""
    if files.count("-") > 1:
        raise BadRequest("standard input can be read once")
    if missing := [file for file in files if file != "-" and not Path(file).is_file()]:
        raise BadRequest(f"there is no file {missing[0]}")
    with NamedTemporaryFile(prefix="phasegate-") as standard_input:
        if "-" in files:
            shutil.copyfileobj(sys.stdin.buffer, standard_input)
            standard_input.flush()
        yield [
            Upload(Path(standard_input.name), "standard input") if file == "-" else Upload(Path(file), Path(file).name)
            for file in files
        ]


if __name__ == "__main__":
    main()
