"""The command line as a shell sees it: a process, its output and its exit code; on a store, and against a server."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

import demo
from api.routes import create_api
from data.address import announce_server
from desk import Desk
from settings import ROOT, Settings

RUNS = demo.FOLDER / "runs"

pytestmark = pytest.mark.slow  # a process for each command


def file(slug: str, kind: str = "json.gz") -> Path:
    return next(RUNS.glob(f"*-{slug}.{kind}"))


class Shell:
    """Runs `phasegate` in a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self.home = folder / "var"

    def __call__(self, *words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PHASEGATE_")}
        return subprocess.run(
            [sys.executable, str(ROOT / "cli.py"), *map(str, words), *self.options],
            cwd=self.folder,
            env=environment | {"PHASEGATE_HOME": str(self.home)},
            input=stdin,
            capture_output=True,
            check=False,
        )

    def json(self, *words: str | Path) -> object:
        done = self(*words, "--format", "json")
        assert done.stderr == b"", done.stderr
        return json.loads(done.stdout)


@pytest.fixture(params=["store", "server"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    """Every command works on a local store, and against a server that holds one."""
    (tmp_path / "slo.yaml").write_text(demo.SLO.read_text())
    if request.param == "store":
        yield Shell(tmp_path)
        return
    desk = Desk(Settings(tmp_path / "server", slo=demo.SLO))
    app = Starlette(routes=[Mount("/api", create_api(lambda: desk))])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Shell(tmp_path, "--server", f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join()
    desk.close()


def ingest(shell: Shell, slug: str, service: str, *more: str) -> str:
    answer = shell.json("ingest", file(slug), "--service", service, "--branch", "main", "--commit", "abc123", *more)
    assert isinstance(answer, dict)
    assert answer["created"] is True
    return str(answer["run"]["id"])


@pytest.mark.parametrize(
    ("slug", "service", "phase", "exit_code", "first_word"),
    [
        ("auth", "auth", "7A", 0, "✓ PASS"),
        ("event-slow", "event", "7A", 1, "✕ FAIL"),
        ("plan-unseeded", "plan", "1", 3, "? INCONCLUSIVE"),
    ],
)
def test_a_verdict_exits_0_1_or_3(
    shell: Shell, slug: str, service: str, phase: str, exit_code: int, first_word: str
) -> None:
    run = ingest(shell, slug, service, "--phase", phase)
    done = shell("verdict", run, "--phase", phase)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == exit_code
    assert lines[0].startswith(first_word)
    assert lines[-1].endswith(f"exit {exit_code}")
    assert shell("overview", "--phase", phase).returncode in {exit_code, 3}, "services without a run are no data"
    assert all(len(line.rstrip()) <= 100 for line in lines)
    assert b"\x1b[" not in done.stdout, "colour only on a terminal"
    document = shell.json("verdict", run)
    assert isinstance(document, dict)
    assert (document["verdict"], document["run"]["id"]) == (first_word.split()[1].lower(), run)


def test_a_run_comes_with_its_summary_and_labels(shell: Shell) -> None:
    answer = shell.json("ingest", file("chat-slow"), "--summary", file("chat-slow", "summary.json"), "--label", "a=b")
    assert isinstance(answer, dict)
    assert {found["severity"] for found in answer["findings"]} == {"info"}
    assert "thresholds_crossed" in [found["code"] for found in answer["findings"]]
    assert answer["run"]["labels"] == {"a": "b"}
    again = shell("ingest", file("chat-slow"), "--commit", "abc", "--label", "a=c", "--label", "")
    assert again.returncode == 0
    assert b"the same bytes" in again.stdout
    assert b"exit 0" not in again.stdout
    assert again.stderr.decode().splitlines() == [
        "note: commit is now 'abc'",
        "note: label a stays 'b'; this upload said 'c'",
    ]
    answer["run"]["commit"] = "abc"
    listed = shell.json("runs")
    assert isinstance(listed, list)
    assert listed == [answer["run"]]


def test_a_run_comes_with_reports_of_tests_and_files(shell: Shell) -> None:
    for name, result in (("unit/junit.xml", ""), ("all/junit.xml", "<failure/>")):
        path = shell.folder / "reports" / name
        path.parent.mkdir(parents=True)
        path.write_text(f'<testsuite name="s"><testcase classname="c" name="t">{result}</testcase></testsuite>')
    (shell.folder / "k6.log").write_bytes(b"a log\n")
    done = shell("ingest", file("auth"), "--junit", "reports/*/*.xml", "--junit", "", "--attach", "k6.log")
    assert done.returncode == 0, done.stderr
    told = done.stdout.decode()
    assert "  tests  1 passed, 1 failed, 1 inconsistent" in told
    assert "inconsistent: c::t (fails in reports/all/junit.xml, passes in reports/unit/junit.xml)" in told
    answer = shell.json("ingest", file("auth"))
    assert isinstance(answer, dict)
    run = answer["run"]["id"]
    listed = shell.json("runs", "attachments", run)
    assert isinstance(listed, list)
    assert [one["name"] for one in listed] == ["junit.xml", "junit-2.xml", "k6.log"]
    assert "k6.log" in shell("runs", "attachments", run).stdout.decode()
    saved = shell("runs", "attachments", run, "--get", "k6.log", "--out", "saved.log")
    assert (saved.returncode, saved.stdout, (shell.folder / "saved.log").read_bytes()) == (0, b"", b"a log\n")
    assert shell("runs", "attachments", run, "--get", "k6.log", "--out", "-").stdout == b"a log\n"
    for words in (["--get", "k6.log"], ["--get", "x", "--out", "x"], ["--get", "k6.log", "--out", "no/such/x"]):
        assert shell("runs", "attachments", run, *words).returncode == 2
    assert not (shell.folder / "x").exists()


def test_a_pattern_of_reports_that_matches_none_is_an_error(shell: Shell) -> None:
    done = shell("ingest", file("auth"), "--junit", "reports/*.xml")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"no file matches reports/*.xml" in done.stderr
    assert shell.json("runs") == []


def test_a_shell_may_expand_the_pattern(shell: Shell) -> None:
    for name in ("a.xml", "b.xml"):
        (shell.folder / name).write_text(f'<testsuite name="{name}"><testcase name="{name}"/></testsuite>')
    answer = shell.json("ingest", file("auth"), "--junit", "a.xml", "b.xml")
    assert isinstance(answer, dict)
    assert answer["run"]["facts"]["tests.passed"] == 2


def test_standard_input_is_a_file(shell: Shell) -> None:
    done = shell("ingest", "-", "--service", "auth", stdin=file("auth").read_bytes())
    assert done.returncode == 0, done.stderr
    assert b"420 requests" in done.stdout


def test_the_overview_and_the_slo_check_answer(shell: Shell) -> None:
    ingest(shell, "event-slow", "event")
    overview = shell("overview", "--phase", "7A")
    assert (overview.returncode, overview.stdout.decode()[:16]) == (1, "✕ FAIL  Phase 7A")
    assert shell("overview", "--phase", "8", "--branch", "other").returncode == 3, "nothing was measured there"
    assert b"is fine" in shell("slo", "check").stdout


def test_an_option_that_is_empty_was_not_given(shell: Shell) -> None:
    options = [word for name in ("service", "test", "phase", "branch", "commit", "version", "environment")
               for word in (f"--{name}", "")]  # fmt: skip
    answer = shell.json("ingest", file("auth"), *options)
    assert isinstance(answer, dict)
    assert {answer["run"][word[2:]] for word in options[::2]} == {None}
    assert len(shell.json("runs", "--service", "", "--branch", "", "--test", "")) == 1  # type: ignore[arg-type]


def test_a_phase_that_is_unknown_stores_the_run_and_exits_2(shell: Shell) -> None:
    done = shell("ingest", file("auth"), "--service", "auth", "--phase", "9Z")
    assert done.returncode == 2
    assert b"Stored run" in done.stdout
    assert done.stderr.decode().startswith("note: not judged: ")
    assert "slo.yaml has no phase `9Z`" in done.stderr.decode()
    assert len(shell.json("runs")) == 1  # type: ignore[arg-type]


def test_an_upload_says_the_verdict_and_where_to_get_its_exit_code(shell: Shell) -> None:
    done = shell("ingest", file("event-slow"), "--service", "event", "--phase", "7A")
    told = done.stdout.decode()
    assert done.returncode == 0, "it is stored"
    assert "✕ FAIL  event does not meet phase 7A" in told
    assert "exit 1" not in told
    assert "  next  phasegate verdict " in told.splitlines()[-1]


def test_a_run_is_deleted_for_a_reason_by_someone_who_means_it(shell: Shell) -> None:
    run, other = ingest(shell, "event-slow", "event"), ingest(shell, "auth", "auth")
    unasked = shell("runs", "delete", run, "--reason", "a test")
    assert (unasked.returncode, unasked.stdout) == (2, b"")
    assert "--yes" in unasked.stderr.decode()
    for words in ([run], [run, "--reason", ""], ["ffffffff", "--reason", "x"]):
        assert shell("runs", "delete", *words, "--yes").returncode == 2
    assert len(shell.json("runs")) == 2  # type: ignore[arg-type]
    deleted = shell("runs", "delete", run[:6], "--reason", "a test", "--yes")
    assert deleted.returncode == 0
    assert deleted.stdout.decode().startswith(f"Deleted run {run}")
    listed = shell.json("runs", "--limit", "5")
    assert isinstance(listed, list)
    assert [one["id"] for one in listed] == [other]
    assert ingest(shell, "event-slow", "event") == run


def test_a_terminal_is_asked_before_a_run_is_deleted(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    run = ingest(shell, "auth", "auth")
    for answer, exit_code in ((b"n\n", 2), (b"y\n", 0)):
        ours, theirs = os.openpty()
        os.write(ours, answer)
        done = subprocess.run(
            [sys.executable, ROOT / "cli.py", "runs", "delete", run, "--reason", "a test"],
            env=os.environ | {"PHASEGATE_HOME": str(shell.home)}, stdin=theirs, capture_output=True, check=False,
        )  # fmt: skip
        os.close(ours)
        os.close(theirs)
        assert done.returncode == exit_code, done.stderr
        assert f"Delete run {run} (420 requests) for good?" in done.stderr.decode()
    assert shell.json("runs") == []


def history_of(shell: Shell, *numbers: int) -> list[str]:
    """Ingest healthy runs of one test on main, each of a commit of its own; their ids."""
    options = ("--test", "all", "--branch", "main", "--environment", "ci", "--exit-code", "0")
    answers = [shell.json("ingest", RUNS / f"{n:02}-healthy.json.gz", *options, "--commit", f"c{n}") for n in numbers]
    return [str(answer["run"]["id"]) for answer in answers if isinstance(answer, dict)]


def test_a_run_is_compared_with_its_baseline_or_another_run_and_the_exit_code_tells(shell: Shell) -> None:
    first, second, third = history_of(shell, 1, 2, 3)
    slow = ingest(shell, "event-slow", "event")
    compared = shell("compare", third, "--phase", "7A")
    told = " ".join(compared.stdout.decode().split())
    assert (compared.returncode, compared.stderr) == (0, b"")
    assert "Compared with the last 2 valid runs of the same test, the newest " in told
    assert f"runs {second}, {first}" in told
    worse = shell("compare", slow, third)
    assert (worse.returncode, worse.stdout.decode()[:11]) == (1, "✕ REGRESSED")
    assert worse.stdout.decode().splitlines()[-1] == "REGRESSED  exit 1"
    assert shell("compare", first).returncode == 3, "it is the first"
    document = shell.json("compare", slow, third[:8])
    assert isinstance(document, dict)
    assert (document["run"]["id"], document["before"]["id"], document["baseline"]["kind"]) == (slow, third, "named")


def test_a_gate_answers_for_a_version_and_its_exit_code_tells(shell: Shell) -> None:
    facts = shell.folder / "facts.json"
    facts.write_text('{"seeded_users": 10000}')
    shell(
        "ingest",
        file("event-slow"),
        "--service",
        "event",
        "--version",
        "2.0",
        "--facts",
        facts,
        "--fact",
        "pending_migrations=0",
    )
    asked = ("gate", "--phase", "7A", "--version", "2.0")
    done = shell(*asked)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("✕ FAIL  version 2.0 may not enter phase 7A".encode())
    decision = shell.json(*asked)
    assert isinstance(decision, dict)
    assert decision["runs"]
    assert {c["state"] for c in decision["checks"] if c["kind"] == "entry"} == {"met"}
    assert shell.json("gate", "--replay", decision["id"]) == decision
    for of, words in (("gate", asked), ("verdict", ("verdict", *decision["runs"], "--phase", "7A"))):
        for output, begins in (
            ("markdown", f"<!-- phasegate {of} 7A"), ("junit", "<?xml "), ("gitlab", "["),
            ("github", "::error title=✕ FAIL phase 7A::"),
        ):  # fmt: skip
            told = shell(*words, "--format", output)
            assert (told.returncode, told.stdout.decode()[: len(begins)]) == (1, begins)
            assert output != "github" or b"\n::error file=slo.yaml,line=" in told.stdout
    assert decision["id"].encode() in shell("gate", "--list").stdout
    waited = shell("gate", "--phase", "7A", "--version", "0.9", "--wait", "1s")
    assert (waited.returncode, b"note: runs are missing" in waited.stderr) == (3, True)
    assert shell(*asked, "--wait", "1h").returncode == 1, "what is missed is final"
    assert shell(*asked, "--wait", "soon").returncode == 2
    waived = shell.json(
        "waive", "http_req_failed", "--service", "event", "--owner", "kim", "--reason", "r", "--until", "7d"
    )
    assert isinstance(waived, dict)
    assert waived["id"].encode() in shell("waivers").stdout
    assert shell("waivers", "--end", waived["id"]).returncode == 0
    for until in ("31d", "soon", "2020-01-01"):
        assert shell("waive", "x", "--owner", "kim", "--reason", "r", "--until", until).returncode == 2
    assert shell("gate", "override", decision["id"], "--by", "kim", "--reason", "the launch").returncode == 0
    through = shell(*asked)
    assert (through.returncode, through.stdout.startswith(b"! OVERRIDDEN")) == (0, True)
    refused = shell("gate", "--phase", "7A")
    assert (refused.returncode, b"about a phase and a version" in refused.stderr) == (2, True)
    wrong = shell("ingest", file("event-slow"), "--fact", "seeded")
    assert (wrong.returncode, b"has no value" in wrong.stderr) == (2, True)


def test_a_service_has_a_history(shell: Shell) -> None:
    runs = history_of(shell, 1, 2)
    done = shell("history", "event", "--phase", "7A", "--test", "all", "--branch", "main", "--environment", "ci")
    told = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert told.index(runs[1]) < told.index(runs[0]), "newest first"
    assert "✓  MET" in told
    document = shell.json("history", "event")
    assert isinstance(document, dict)
    assert [point["run_id"] for point in document["slis"][0]["points"]] == runs
    unknown = shell("history", "nowhere")
    assert (unknown.returncode, unknown.stdout) == (2, b"")
    assert "nowhere" in unknown.stderr.decode()


def test_somebody_decides_for_a_reason_what_runs_are_held_against(shell: Shell) -> None:
    first, second, third = history_of(shell, 1, 2, 3)

    def baseline() -> tuple[str, list[str]]:
        document = shell.json("baseline", "show", third)
        assert isinstance(document, dict)
        return document["kind"], document["runs"]

    assert baseline() == ("rolling", [second, first])
    for words, kind, runs in (
        (("baseline", "set", first), "pinned", [first]),
        (("baseline", "start", second), "rolling", [second]),
        (("baseline", "clear", second), "pinned", [first]),
        (("baseline", "clear", first), "rolling", [second, first]),
        (("runs", "invalidate", first[:8]), "rolling", [second]),
        (("runs", "restore", first), "rolling", [second, first]),
    ):
        done = shell(*words, "--reason", "as agreed")
        assert done.returncode == 0, done.stderr
        assert "as agreed" in done.stdout.decode()
        assert baseline() == (kind, runs), words
    for more in ([], ["--reason", ""], ["--reason", "  "]):
        refused = shell("baseline", "set", first, *more)
        assert (refused.returncode, refused.stdout) == (2, b"")
        assert "reason" in refused.stderr.decode()
    assert shell("baseline", "show", third).returncode == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ingest", "nowhere.json"], "no file nowhere.json"),
        (["verdict", "ffffffff", "--phase", "7A"], "no run 'ffffffff'"),
        (["compare", "ffffffff"], "no run 'ffffffff'"),
        (["baseline", "show", "ffffffff"], "no run 'ffffffff'"),
        (["runs", "invalidate", "ffffffff", "--reason", "x"], "no run 'ffffffff'"),
        (["ingest", "-", "--label", "x"], "has no value"),
        (["runs", "--limit", "3", "delete", "ffffffff", "--reason", "x"], "an option stands before `delete`"),
    ],
)
def test_an_error_is_one_message_on_standard_error_and_exit_2(shell: Shell, words: list[str], told: str) -> None:
    done = shell(*words)
    assert done.returncode == 2
    assert done.stdout == b""
    assert told in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_broken_slo_yaml_says_file_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "slo.yaml").write_text("version: 1\nphases:\n  - id: 7A\n    titel: x\n")
    done = Shell(tmp_path)("slo", "check")
    assert done.returncode == 2
    assert "slo.yaml:4:5" in done.stderr.decode()
    assert "`title`" in done.stderr.decode()


def test_a_store_in_use_names_the_server_to_talk_to(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    holder = Desk(Settings(shell.home))
    announce_server(shell.home, "http://127.0.0.1:8599")
    done = shell("runs")
    holder.close()
    assert done.returncode == 2
    assert "--server http://127.0.0.1:8599" in done.stderr.decode()


def test_an_unreachable_server_says_so(tmp_path: Path) -> None:
    done = Shell(tmp_path, "--server", "http://127.0.0.1:9")("runs")
    assert done.returncode == 2
    assert "is `phasegate serve` running there?" in done.stderr.decode()


def test_a_server_is_not_asked_to_use_a_slo_yaml_of_ours(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9"
    for words in (
        ["slo", "check", "--slo", "mine.yaml"],
        ["slo", "check", "mine.yaml"],
        ["overview", "--slo", "mine.yaml"],
    ):
        done = Shell(tmp_path, "--server", url)(*words)
        assert done.returncode == 2
        assert f"error: {url} " in done.stderr.decode()
        assert "its own slo.yaml" in done.stderr.decode()
        assert "leave out" in done.stderr.decode()


def test_the_demo_is_told_what_answers_is_no_phasegate(tmp_path: Path) -> None:
    done = Shell(tmp_path, "--server", "127.0.0.1:8501")("demo")
    assert done.returncode == 2
    assert "write http://127.0.0.1:8501" in done.stderr.decode()


def test_help_teaches(tmp_path: Path) -> None:
    done = Shell(tmp_path)("--help")
    words = " ".join(done.stdout.decode().replace("│", " ").split())
    assert "k6 run --out json=results.json.gz script.js" in words
