"""The command line: every command works on the local store or, with --server, on a running Phasegate.

Answers go to standard output, progress and errors to standard error. Exit codes: 0 pass or warn, 1 fail, 2 wrong usage
or an error, 3 inconclusive.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Protocol

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

import logs
from api.client import RemoteDesk
from data.catalog import RunFilter
from data.errors import BadRequest, PhasegateError
from data.model import RunMeta
from desk import Desk, announce, labels
from ingest.service import Upload
from reports import text
from settings import ROOT, Settings
from slo.config import load_config
from slo.documents import to_json
from slo.model import EXIT_CODES, ConfigReport, IngestAnswer, Overview, RunRef, Verdict
from slo.service import report_on

DEMO_PHASE = "7A"
"""The phase in which the demo's story shows best."""


class Questions(Protocol):
    """What the command line asks, of a store or of a server."""

    def runs(self, where: RunFilter | None = None, limit: int | None = 50) -> tuple[RunRef, ...]:
        """Runs, newest first."""
        ...

    def verdict(self, run_id: str, phase: str | None = None) -> Verdict:
        """Does this run meet a phase?"""
        ...

    def overview(self, phase: str | None = None, environment: str | None = None, branch: str | None = None) -> Overview:
        """Which services are ready for a phase?"""
        ...

    def config_report(self) -> ConfigReport | None:
        """The slo.yaml in force, in figures."""
        ...


class AnyDesk(Protocol):
    """A store, or a server that has one."""

    @property
    def service(self) -> Questions:
        """Where questions go."""
        ...

    def ingest(
        self, uploads: Sequence[Upload], meta: RunMeta, on_progress: Callable[[str, float], None] | None = None
    ) -> IngestAnswer:
        """Store the files of one run."""
        ...

    def load_demo(self, on_progress: Callable[[str, float], None] | None = None) -> int:
        """Store the recorded runs of the demo."""
        ...

    def close(self) -> None:
        """Let go of the store or the connection."""
        ...


class Format(StrEnum):
    """For people, or for machines."""

    text = "text"
    json = "json"


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Load-test runs in, release decisions out. Start with `phasegate demo` and `phasegate serve`, or with your "
    "own run: `k6 run --out json=results.json.gz script.js`, then `phasegate ingest results.json.gz --service NAME`.",
)
slo_app = typer.Typer(no_args_is_help=True, help="Work on slo.yaml.")
app.add_typer(slo_app, name="slo")

ServerOption = Annotated[
    str | None, typer.Option("--server", envvar="PHASEGATE_URL", help="Ask this server, not the local store.")
]
SloOption = Annotated[Path | None, typer.Option("--slo", envvar="PHASEGATE_SLO", help="The slo.yaml to judge by.")]
FormatOption = Annotated[Format, typer.Option("--format", help="text for people, json for machines.")]
PhaseOption = Annotated[str | None, typer.Option("--phase", help="A phase of slo.yaml.")]

out = Console(width=None if sys.stdout.isatty() else text.WIDTH, highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)


@app.command()
def ingest(  # one argument per option
    files: Annotated[
        list[str],
        typer.Argument(help="k6 output of one run: NDJSON, CSV or a summary, plain or gzip; - is standard input."),
    ],
    summary: Annotated[list[Path] | None, typer.Option("--summary", help="k6's summary of the same run.")] = None,
    service: Annotated[
        str | None, typer.Option("--service", help="The service of series that have no `service` tag.")
    ] = None,
    test: Annotated[
        str | None, typer.Option("--test", help="Name of the test: runs of one test are comparable.")
    ] = None,
    phase: PhaseOption = None,
    branch: Annotated[str | None, typer.Option("--branch")] = None,
    commit: Annotated[str | None, typer.Option("--commit")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Version of what was tested.")] = None,
    environment: Annotated[str | None, typer.Option("--environment", help="Where it ran: ci, staging ...")] = None,
    exit_code: Annotated[int | None, typer.Option("--exit-code", help="k6's exit code ($?).", min=0, max=255)] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="key=value, may be repeated.")] = None,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Store a run.

    Several FILES are parts of one run, as a distributed test writes them. The same bytes twice are the same run.
    """
    meta = RunMeta(service, test, phase, branch, commit, version, environment, exit_code, labels(label or []))
    with (
        _uploads([*files, *map(str, summary or [])]) as uploads,
        _desk(server, slo) as desk,
        _progress() as on_progress,
    ):
        answer = desk.ingest(uploads, meta, on_progress)
    _show(answer, output, text.ingested(answer))


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
    _show(found, output, text.verdict(found, everything=everything))
    raise typer.Exit(EXIT_CODES[found.verdict])


@app.command()
def runs(  # one argument per option
    service: Annotated[str | None, typer.Option("--service")] = None,
    test: Annotated[str | None, typer.Option("--test")] = None,
    branch: Annotated[str | None, typer.Option("--branch")] = None,
    environment: Annotated[str | None, typer.Option("--environment")] = None,
    version: Annotated[str | None, typer.Option("--version")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 20,
    output: FormatOption = Format.text,
    server: ServerOption = None,
) -> None:
    """List runs, newest first."""
    with _desk(server, None) as desk:
        found = desk.service.runs(RunFilter(service, test, branch, environment, version), limit)
    _show(found, output, text.runs(found, datetime.now(UTC)))


@app.command()
def overview(
    phase: PhaseOption = None,
    environment: Annotated[str | None, typer.Option("--environment")] = None,
    branch: Annotated[str | None, typer.Option("--branch")] = None,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Show every service's latest run in one phase, worst first."""
    with _desk(server, slo) as desk:
        found = desk.service.overview(phase, environment, branch)
    _show(found, output, text.overview(found))


@slo_app.command("check")
def slo_check(
    file: Annotated[Path | None, typer.Argument(help="The file; default: the slo.yaml in force.")] = None,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Check a slo.yaml: every error with line and column, and what to write instead."""
    if server and not (file or slo):
        with _desk(server, None) as desk:
            report = desk.service.config_report()
        if report is None:
            raise BadRequest(f"{server} has no slo.yaml")
    else:
        paths = (file,) if file else Settings.from_environment().slo_paths if not slo else (slo,)
        report = report_on(load_config(next((path for path in paths if path.is_file()), paths[0])))
    _show(report, output, text.config(report))


@app.command()
def demo(server: ServerOption = None) -> None:
    """Load the demo: recorded k6 runs of eight services, good and bad, with a slo.yaml."""
    with _desk(server, None) as desk, _progress() as on_progress:
        loaded = desk.load_demo(on_progress)
        report = desk.service.config_report()
        phases = [phase.id for phase in report.phases] if report else []
        found = desk.service.overview(DEMO_PHASE if DEMO_PHASE in phases else None)
    out.print(f"{loaded} runs of the demo are stored.\n")
    out.print(text.overview(found))
    out.print("\n  next  phasegate serve, then open http://127.0.0.1:8501", style="dim")


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 8501,
    slo: SloOption = None,
) -> None:
    """Serve pages and API on one port, from one process."""
    settings = Settings.from_environment()
    if slo:
        os.environ["PHASEGATE_SLO"] = str(slo)
    reachable = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104  # compared, not bound
    announce(settings, f"http://{reachable}:{port}")
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
        err.print(f"error: {error}", markup=False, soft_wrap=True)
        raise SystemExit(error.exit_code) from None
    except Exception as error:  # noqa: BLE001  # the last line: an error of our own must not exit 1, which says "fail"
        err.print_exception()
        err.print(f"error: Phasegate failed ({type(error).__name__}); nothing was judged", markup=False)
        raise SystemExit(PhasegateError.exit_code) from None


@contextmanager
def _desk(server: str | None, slo: Path | None) -> Iterator[AnyDesk]:
    settings = Settings.from_environment()
    if server and slo and "PHASEGATE_SLO" not in os.environ:
        raise BadRequest("--server judges by its own slo.yaml", help="leave out --slo, or --server")
    desk: AnyDesk = RemoteDesk(server, settings.token) if server else Desk(Settings(settings.home, slo or settings.slo))
    try:
        yield desk
    finally:
        desk.close()


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


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on standard error, where someone looks at it."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=err, transient=True,
        disable=not err.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("start", total=1.0)
        yield lambda step, share: bar.update(task, description=step, completed=share)


def _show(document: object, output: Format, rendered: RenderableType) -> None:
    if output is Format.json:
        sys.stdout.write(to_json(document, indent=2) + "\n")
    else:
        out.print(rendered)


if __name__ == "__main__":
    main()
