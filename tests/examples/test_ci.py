"""What pipelines copy, run for real: the shell script with curl, and the steps of the GitHub action."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest
from ruamel.yaml import YAML

import demo
from tests.examples.forges import TOKEN, forge
from tests.project import ROOT
from tests.running import Server, Workspace

pytestmark = pytest.mark.slow

CI = ROOT / "examples" / "ci"
SCRIPT = CI / "phasegate.sh"
RUNS = demo.FOLDER / "runs"
SLO = """
version: 1
phases:
  - id: "1"
    entry: ["seeded_users >= 10000"]
    objectives: [{service: event, sli: http_req_duration, target: "p(95) < 250ms"}]
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("ci")
    (folder / "slo.yaml").write_text(SLO)
    return Workspace(folder, folder / "slo.yaml")


@pytest.fixture(scope="module")
def server(workspace: Workspace) -> Iterator[Server]:
    with workspace.serving() as running:
        yield running


def file(slug: str, kind: str = "json.gz") -> Path:
    return min(RUNS.glob(f"*-{slug}.{kind}"))


def script(url: str, *words: str | Path, shell: str = "sh") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PHASEGATE_URL": url, "PHASEGATE_PAUSE": "0.2"}
    return subprocess.run([shell, SCRIPT, *words], env=environment, capture_output=True, text=True, check=False)


def upload(server: Server, slug: str, version: str, *said: str) -> subprocess.CompletedProcess[str]:
    about = ("service=event", "test=event crud & more", f"version={version}", "fact=seeded_users=10000", *said)
    return script(server.url, "upload", file(slug), file(slug, "summary.json"), "--", *about)


@pytest.mark.parametrize(
    ("slug", "version", "code", "answer"),
    [("event", "1.0", 0, "PASS"), ("event-slow", "2.0", 1, "FAIL"), (None, "3.0", 3, "INCONCLUSIVE")],
)
def test_upload_gate_comment_and_exit_code(
    server: Server, slug: str | None, version: str, code: int, answer: str
) -> None:
    if slug:
        stored = upload(server, slug, version)
        assert stored.returncode == 0, stored.stderr
        assert '"created":true' in stored.stdout
        again = upload(server, slug, version)
        assert '"created":false' in again.stdout
    asked = script(server.url, "gate", "phase=1", f"version={version}")
    assert asked.returncode == code, asked.stderr
    lines = asked.stdout.splitlines()
    assert lines[0] == "<!-- phasegate gate 1 -->"
    assert answer in lines[1]


def test_what_goes_wrong_exits_2_and_says_what(server: Server, tmp_path: Path) -> None:
    for words, told in (
        (("gate", "phase=nosuch", "version=1"), "404"), (("gate", "phase"), "is not name=value"),
        (("upload",), "name the file"), (("ask",), "say upload or gate"),
        (("upload", SCRIPT, "--", "service=event"), "422"),
        (("upload", file("auth"), "--", "service=auth", "oops"), "oops is not name=value"),
        (("upload", file("auth"), "--", "a&b=1"), "is not name=value"),
        (("upload", file("auth"), tmp_path / "nosuch.json"), "there is no file"),
    ):  # fmt: skip
        done = script(server.url, *words)
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert not [run for run in server.ask("runs") if "auth" in run["services"]], "nothing was stored"


def test_a_gate_gives_the_format_that_is_asked_for(server: Server) -> None:
    upload(server, "event-slow", "2.0")
    for output, begins in (("junit", "<?xml "), ("github", "::error "), ("gitlab", "["), ("text", "✕ FAIL ")):
        asked = script(server.url, "gate", "phase=1", "version=2.0", f"format={output}")
        assert (asked.returncode, asked.stdout[: len(begins)]) == (1, begins), asked.stderr


def test_a_gate_waits_for_runs_that_other_jobs_upload(server: Server) -> None:
    about = ("service=event", "test=another", "version=6.0", "fact=seeded_users=10000")
    timer = Timer(2.0, script, (server.url, "upload", RUNS / "24-event.json.gz", "--", *about))
    began = time.monotonic()
    timer.start()
    waited = script(server.url, "gate", "wait=120", "phase=1", "version=6.0")
    timer.join()
    assert (waited.returncode, "asking again for up to 120 s" in waited.stderr) == (0, True), waited.stderr
    assert time.monotonic() - began > 1.5
    assert waited.stdout.startswith("<!-- phasegate gate 1 -->\n### ✓ PASS")


def test_a_gate_that_waited_in_vain_says_what_it_says_without(server: Server) -> None:
    waited = script(server.url, "gate", "phase=1", "version=7.0", "wait=1")
    asked = script(server.url, "gate", "phase=1", "version=7.0")
    assert (waited.returncode, asked.returncode) == (3, 3)
    assert waited.stdout.splitlines()[:4] == asked.stdout.splitlines()[:4]
    for words, told in (
        (("version=7.0", "wait=soon"), "wait=soon is not a number"), (("version=7.0", "phase=no", "wait=9"), "404"),
    ):  # fmt: skip
        began = time.monotonic()
        refused = script(server.url, "gate", "phase=1", *words)
        assert (refused.returncode, told in refused.stderr, refused.stdout) == (2, True, ""), refused.stderr
        assert time.monotonic() - began < 8


def test_a_server_that_is_away_while_a_gate_waits_opens_no_gate(tmp_path: Path) -> None:
    (tmp_path / "slo.yaml").write_text(SLO)
    workspace = Workspace(tmp_path, tmp_path / "slo.yaml")
    with workspace.serving() as server:
        timer = Timer(2.0, server.process.terminate)
        timer.start()
        waited = script(server.url, "gate", "phase=1", "version=1.0", "wait=8")
        timer.join()
    assert (waited.returncode, "INCONCLUSIVE" in waited.stdout) == (3, True), waited.stderr
    never = script(server.url, "gate", "phase=1", "version=1.0", "wait=1")
    assert (never.returncode, never.stdout, "no answer from" in never.stderr) == (2, "", True)


def test_an_upload_waits_for_a_server_that_restarts(tmp_path: Path) -> None:
    (tmp_path / "slo.yaml").write_text(SLO)
    workspace = Workspace(tmp_path, tmp_path / "slo.yaml")
    with workspace.serving() as first:
        url, port = first.url, first.url.rpartition(":")[2]
    restarted: list[subprocess.Popen[bytes]] = []

    def restart() -> None:
        command = [str(ROOT / "phasegate"), "serve", "--port", port]
        restarted.append(subprocess.Popen(command, cwd=tmp_path, env=workspace._environment()))

    timer = Timer(1.0, restart)
    timer.start()
    try:
        done = script(url, "upload", file("event-slow"), "--", "service=event", "version=1.0")
        assert (done.returncode, '"created":true' in done.stdout) == (0, True), done.stderr
    finally:
        timer.join()
        for process in restarted:
            process.terminate()
            process.wait(30)


def test_the_steps_of_the_github_action_run_as_shell(server: Server, tmp_path: Path) -> None:
    action = YAML(typ="safe").load((CI / "action.yml").read_text())
    shutil.copytree(CI, tmp_path, dirs_exist_ok=True)
    given = {
        "inputs.url": server.url, "inputs.results": str(file("event-slow")), "inputs.phase": "1",
        "inputs.version": "2.0",
        "inputs.said": "service=event\ntest=an action *\nenvironment=ci\nfact=seeded_users=10000",
        "inputs.wait": action["inputs"]["wait"]["default"], "inputs.github_token": TOKEN,
        "github.event.pull_request.number": "12", "steps.gate.outputs.comment": f"{tmp_path}/phasegate.md",
    }  # fmt: skip
    codes, logs = [], []
    with forge() as github:
        for step in action["runs"]["steps"]:
            environment = {
                name: re.sub(r"\$\{\{ (.+?) \}\}", lambda found: given.get(found[1], ""), str(value))
                for name, value in step["env"].items()
            }
            done = subprocess.run(
                ["sh", "-e", "-c", step["run"]],
                env={
                    "PATH": os.environ["PATH"], "GITHUB_ACTION_PATH": str(tmp_path), "GITHUB_SHA": "abc",
                    "GITHUB_REF_NAME": "main", "GITHUB_REPOSITORY": "me/shop", "GITHUB_API_URL": github.url,
                    "GITHUB_OUTPUT": str(tmp_path / "output"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
                    "RUNNER_TEMP": str(tmp_path),
                } | environment,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            codes.append(done.returncode)
            logs.append(done.stdout)
        told = [comment["body"] for comment in github.comments]
    assert codes == [0, 1, 0]
    assert "FAIL" in (tmp_path / "summary").read_text()
    assert told == [(tmp_path / "phasegate.md").read_text()] == [(tmp_path / "summary").read_text()]
    assert logs[1].startswith("::error title=✕ FAIL phase 1::")
    assert (tmp_path / "output").read_text() == f"comment={tmp_path}/phasegate.md\n"


def test_the_gitlab_template_calls_the_script_as_it_is(server: Server, tmp_path: Path) -> None:
    jobs = YAML(typ="safe").load((CI / "gitlab.yml").read_text())
    shutil.copytree(CI, tmp_path, dirs_exist_ok=True)
    shutil.copy(file("event-slow"), tmp_path / "results.json.gz")
    shutil.copy(file("event-slow", "summary.json"), tmp_path / "summary.json")
    (tmp_path / "k6-exit-code").write_text("99\n")
    with forge() as gitlab:
        environment = {
            "PATH": os.environ["PATH"], "PHASEGATE_URL": server.url, "CI_JOB_NAME": "load-test", "CI_COMMIT_TAG": "5.0",
            "CI_COMMIT_BRANCH": "", "CI_COMMIT_SHA": "abc", "CI_API_V4_URL": gitlab.url, "CI_PROJECT_ID": "5",
            "CI_MERGE_REQUEST_IID": "12", "GITLAB_TOKEN": TOKEN,
        }  # fmt: skip
        codes = [
            subprocess.run(
                ["sh", "-e", "-c", command.replace("phase=7A", "phase=1").replace("wait=600", "wait=1")],
                cwd=tmp_path, env=environment, capture_output=True, check=False,
            ).returncode
            for job in ("store-run", "release-gate", "gate-comment")
            for command in jobs[job]["script"]
        ]  # fmt: skip
        told = [note["body"] for note in gitlab.comments]
    assert codes == [0, 3, 0], "the same bytes were stored as version 2.0: there is no run of 5.0"
    kept = jobs["release-gate"]["artifacts"]
    assert set(kept["reports"]) == {"junit", "codequality"}
    assert all((tmp_path / name).stat().st_size for name in (*kept["paths"], *kept["reports"].values()))
    assert told == [(tmp_path / "gate.md").read_text()]
    assert "INCONCLUSIVE" in told[0]
