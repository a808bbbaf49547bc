"""The command line: every command works on the local store or, with --server, on a running Phasegate.

Answers go to standard output; progress, notes and errors to standard error. Exit codes: 0 pass or warn, 1 fail, 2 wrong
usage or an error, 3 inconclusive or no data. Commands on runs are in `cli_runs`, options in `cli_options`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer

import logs
from api.client import RemoteDesk
from cli_budget import budget_app
from cli_gate import gate_app, waive, waivers
from cli_notify import notify_app, telling_desk
from cli_options import (
    AllOption,
    BranchOption,
    EnvironmentOption,
    FormatOption,
    OutputOption,
    PhaseOption,
    RunArgument,
    ServerOption,
    SloOption,
    TestOption,
    VersionOption,
    answered,
    at_desk,
    given,
    in_force,
)
from cli_prometheus import prometheus_app
from cli_runs import baseline_app, runs_app
from cli_slo import slo_app
from data.errors import BadRequest, PhasegateError
from data.facts import facts_in, facts_of, together
from data.model import RunMeta
from desk import announce, labels
from ingest.service import Upload
from reports import compared, text
from reports import history as past
from reports.answer import of_verdict
from reports.outputs import Output
from reports.terminal import Format, err, out, progress, say, show, write
from settings import ROOT, Settings
from slo import numbers
from slo.model import EXIT_CODES

DEMO_PHASE = "7A"
"""The phase in which the demo's story shows best."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Load-test runs in, release decisions out. Start with `phasegate demo` and `phasegate serve`, or with your "
    "own run: `k6 run --out json=results.json.gz script.js`, then `phasegate ingest results.json.gz --service NAME`.",
)
app.add_typer(slo_app, name="slo")
app.add_typer(runs_app, name="runs")
app.add_typer(baseline_app, name="baseline")
app.add_typer(notify_app, name="notify")
app.add_typer(gate_app, name="gate")
app.add_typer(budget_app, name="budget")
app.add_typer(prometheus_app, name="prometheus")
for command in (waive, waivers):
    app.command()(command)


@app.command()
def ingest(  # one argument per option
    files: Annotated[
        list[str],
        typer.Argument(help="k6 output of one run: NDJSON, CSV or summary, plain or gzip; - is standard input."),
    ],
    summary: Annotated[list[Path] | None, typer.Option("--summary", help="k6's summary of the same run.")] = None,
    junit: Annotated[
        list[str] | None,
        typer.Option(
            "--junit", help="JUnit XML of tests that ran beside it: a file, or a pattern in quotes; repeated."
        ),
    ] = None,
    attach: Annotated[
        list[str] | None, typer.Option("--attach", help="A file to keep with the run, up to 5 MiB; repeated.")
    ] = None,
    service: Annotated[
        str | None, typer.Option("--service", callback=given, help="Service of series that have no `service` tag.")
    ] = None,
    test: TestOption = None,
    phase: PhaseOption = None,
    branch: BranchOption = None,
    commit: Annotated[str | None, typer.Option("--commit", callback=given)] = None,
    version: VersionOption = None,
    environment: EnvironmentOption = None,
    exit_code: Annotated[int | None, typer.Option("--exit-code", help="k6's exit code ($?).", min=0, max=255)] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="key=value, may be repeated.")] = None,
    fact: Annotated[
        list[str] | None, typer.Option("--fact", help="name=value for entry criteria: pending_migrations=0; repeated.")
    ] = None,
    facts: Annotated[
        list[Path] | None, typer.Option("--facts", exists=True, dir_okay=False, help="A JSON object of such facts.")
    ] = None,
    prometheus: Annotated[
        str | None,
        typer.Option("--prometheus", callback=given, help="The source of slo.yaml to ask (default: all), or none."),
    ] = None,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Store a run; with --phase, judge it at once. Exits 0 once it is stored, whatever the verdict.

    Several FILES are parts of one run, as a distributed test writes them. The same bytes twice are the same run: what
    was not said of it before is added.
    """
    said = labels([pair for pair in label or [] if pair])
    known = together(
        [facts_of([pair for pair in fact or [] if pair]), *(facts_in(f.read_bytes()) for f in facts or [])]
    )
    meta = RunMeta(service, test, phase, branch, commit, version, environment, exit_code, said, known)
    kept = [name for name in attach or [] if name]
    names = [*files, *map(str, summary or []), *_matching(pattern for pattern in junit or [] if pattern)]
    with _uploads([*names, *kept]) as sent, telling_desk(server, slo) as desk:
        with progress() as on_progress:
            answer = desk.ingest(sent[: len(names)], meta, on_progress, sent[len(names) :], prometheus=prometheus)
        show(answer, output, text.ingested(answer))
        for note in answer.notes:
            say(f"note: {note}")
        desk.judge_ahead(answer.run.id)
    if meta.phase and answer.verdict is None:
        raise typer.Exit(PhasegateError.exit_code)


@app.command()
def verdict(
    run: RunArgument,
    phase: PhaseOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Show what is met and did not change, too.")] = False,
    output: OutputOption = Output.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Say whether a run meets a phase, and why; exits 0 (pass, warn), 1 (fail) or 3 (inconclusive)."""
    with at_desk(server, slo) as desk:
        found, judged_by = desk.service.verdict(run, phase), in_force(desk, output)
    answered(found, output, text.verdict(found, everything=everything), of_verdict, judged_by)
    raise typer.Exit(EXIT_CODES[found.verdict])


@app.command()
def compare(
    run: RunArgument,
    other: Annotated[
        str | None,
        typer.Argument(metavar="WITH", callback=given, help="The run to compare it with; else its baseline."),
    ] = None,
    phase: PhaseOption = None,
    everything: AllOption = False,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Say what changed in a run, beside its baseline or one other run.

    Exits 1 if anything regressed, 3 if nothing could be compared, else 0.

    A regression that is only suspected, and what cannot be told from noise, exit 0 as well.
    """
    with at_desk(server, slo) as desk:
        found = desk.service.compare(run, other, phase)
    show(found, output, compared.compare(found, everything=everything))
    raise typer.Exit(compared.exit_code(found.outcome))


@app.command()
def history(
    service: Annotated[str, typer.Argument(help="Name of the service.")],
    phase: PhaseOption = None,
    test: TestOption = None,
    branch: BranchOption = None,
    environment: EnvironmentOption = None,
    everything: AllOption = False,
    output: FormatOption = Format.text,
    server: ServerOption = None,
    slo: SloOption = None,
) -> None:
    """Show a service over its runs: when a number moved and between which commits, what creeps, what is flaky.

    Exits 0.
    """
    with at_desk(server, slo) as desk:
        found = desk.service.history(service, phase, test=test, branch=branch, environment=environment)
    show(found, output, past.history(found, everything=everything))


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
    with at_desk(server, slo) as desk:
        found = desk.service.overview(phase, environment, branch)
    show(found, output, text.overview(found))
    raise typer.Exit(EXIT_CODES["inconclusive" if found.state == "no_data" else found.state])


@app.command()
def demo(server: ServerOption = None) -> None:
    """Load the demo: recorded k6 runs of eight services, good and bad, with a slo.yaml."""
    with at_desk(server) as desk, progress() as on_progress:
        loaded = desk.load_demo(on_progress)
        report = desk.service.config_report()
        phases = [phase.id for phase in report.phases] if report else []
        found = desk.service.overview(DEMO_PHASE if DEMO_PHASE in phases else None)
    out.print(f"{numbers.things(loaded, 'run')} of the demo are stored.\n")
    write(text.overview(found))
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


def _matching(patterns: Iterable[str]) -> list[str]:
    """The files that are named, or that a pattern stands for; each once.

    Raises:
        BadRequest: a pattern stands for none: tests that did not run must not look like tests that did not fail.
    """
    found: list[str] = []
    for pattern in patterns:
        named = [pattern] if Path(pattern).is_file() else glob(pattern, recursive=True)  # noqa: PTH207  # may be absolute
        its = sorted(name for name in named if Path(name).is_file())
        if not its:
            raise BadRequest(f"no file matches {pattern}", help="did the tests run, and write JUnit XML there?")
        found += its
    return list(dict.fromkeys(found))


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
        names = [Path(file).name for file in files]
        yield [
            Upload(Path(standard_input.name), "standard input")
            if file == "-"
            else Upload(Path(file), name if names.count(name) == 1 else file)  # several tools write junit.xml
            for file, name in zip(files, names, strict=True)
        ]


if __name__ == "__main__":
    main()
