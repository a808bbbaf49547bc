"""From a run of the real k6 to a verdict, as the README has it: the same answer from the shell, a server and curl."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

import demo
from examples.nightbff import record
from tests.running import Server, Workspace, backend

SCRIPT = demo.FOLDER / "k6" / "event-crud.js"
RECORDED = next((demo.FOLDER / "runs").glob("*-auth.json.gz"))
LOAD = {"DURATION": "6s", "RATE": "20"}  # 600 requests: enough for every objective of the phase

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Story:
    """How the backend behaves, what k6 says to that by its exit code, and what Phasegate must say."""

    backend: tuple[str, ...]
    k6_exit: int
    verdict: str
    exit_code: int


STORIES = {
    # Twice as fast as need be: the machine that runs this may be busy.
    "healthy": Story(("--story=healthy", "--latency=event=0.5x"), 0, "pass", 0),
    "slow": Story(("--story=event-search-slow",), 99, "fail", 1),
    "unseeded": Story(("--story=seeding-broken",), 99, "inconclusive", 3),
}


@dataclass(frozen=True)
class Measured:
    """A story that k6 has measured, and the workspace in which its files lie."""

    story: Story
    workspace: Workspace

    def ingest(self, *more: str) -> dict[str, Any]:
        """What ``./phasegate ingest`` prints."""
        done = self.workspace(
            *("ingest", "r.json.gz", "--summary", "s.json", "--service", "event", "--phase", "7A"),
            *("--test", self.workspace.folder.name, "--branch", "main", "--commit", "abc123"),
            *("--exit-code", str(self.story.k6_exit)),
            *("--format", "json", *more),
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def verdict(self, run: str, *more: str) -> dict[str, Any]:
        """What ``./phasegate verdict`` prints, with the exit code of the story."""
        done = self.workspace("verdict", run, "--phase", "7A", "--format", "json", *more)
        assert done.returncode == self.story.exit_code, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.k6) for name in STORIES])
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    story = STORIES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    with backend(*story.backend) as url:
        k6 = subprocess.run(
            [record.K6, "run", "--out", "json=r.json.gz", "--summary-export=s.json", SCRIPT],
            cwd=folder,
            env=LOAD | {"BASE_URL": url, "K6_NO_USAGE_REPORT": "true"},
            capture_output=True,
            check=False,
        )
    assert k6.returncode == story.k6_exit, k6.stderr.decode()
    return Measured(story, Workspace(folder, demo.SLO))


@pytest.fixture(scope="module")
def stored(measured: Measured) -> dict[str, Any]:
    """The run in the store of the workspace, as ``ingest`` answered."""
    return measured.ingest()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a store of its own."""
    with Workspace(tmp_path_factory.mktemp("server"), demo.SLO).serving() as running:
        yield running


def test_ingest_prints_the_run_and_verdict_exits_as_it_says(measured: Measured, stored: dict[str, Any]) -> None:
    assert stored["created"] is True
    assert stored["run"]["commit"] == "abc123"
    assert stored["verdict"]["verdict"] == measured.story.verdict
    document = measured.verdict(stored["run"]["id"])
    assert document == stored["verdict"]
    again = measured.ingest()
    assert (again["created"], again["run"]["id"]) == (False, stored["run"]["id"])


def test_a_server_says_the_same_as_the_store(measured: Measured, stored: dict[str, Any], server: Server) -> None:
    sent = measured.ingest("--server", server.url)
    run = stored["run"]["id"]
    assert sent["run"]["id"] == run
    assert timeless(measured.verdict(run, "--server", server.url)) == timeless(stored["verdict"])


def test_curl_uploads_the_same_run(measured: Measured, stored: dict[str, Any], server: Server) -> None:
    query = f"service=event&phase=7A&exit_code={measured.story.k6_exit}"
    answer = posted(f"{server.url}/api/v1/runs?{query}", measured.workspace.folder / "r.json.gz")
    assert answer["run"]["id"] == stored["run"]["id"]
    assert answer["verdict"]["verdict"] == measured.story.verdict


def timeless(verdict: dict[str, Any]) -> dict[str, Any]:
    """A verdict without the moments that differ from store to store."""
    return verdict | {"judged_at": None, "run": verdict["run"] | {"received_at": None}}


def posted(address: str, file: Path) -> dict[str, Any]:
    """What the API answers to ``curl --data-binary @file``."""
    if curl := shutil.which("curl"):
        answer: dict[str, Any] = json.loads(
            subprocess.check_output([curl, "--silent", "--show-error", "--data-binary", f"@{file}", address])
        )
    else:
        answer = httpx.post(address, content=file.read_bytes(), timeout=120).json()
    return answer


def test_a_store_that_is_being_served_names_the_server_to_ask(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with workspace.serving() as running:
        refused = [workspace(*words) for words in (["runs"], ["ingest", RECORDED], ["demo"], ["serve"])]
        accepted = workspace("runs", "--server", running.url)
    assert [done.returncode for done in refused] == [2] * 4
    assert [done.stderr for done in refused if f"--server {running.url}" not in done.stderr] == []
    assert (accepted.returncode, accepted.stderr) == (0, "")
    assert workspace("runs").returncode == 0, "the server has let go of the store"


def test_a_server_says_what_it_serves_before_it_starts(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, demo.SLO)
    with workspace.serving() as running:
        said, *_ = (tmp_path / "serve.log").read_text().split("You can now view")
    for words in (f"{tmp_path / 'var'} (0 runs)", str(demo.SLO), "need no token", running.url):
        assert words in said


def test_a_server_that_cannot_start_says_why_and_exits_2(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, tmp_path / "nowhere.yaml")
    done = workspace("serve")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: there is no {tmp_path / 'nowhere.yaml'}" in done.stderr


def test_a_store_whose_server_was_killed_opens_again_with_its_runs(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, demo.SLO)
    with workspace.serving() as running:
        sent = workspace("ingest", RECORDED, "--service", "auth", "--server", running.url, "--format", "json")
        running.process.kill()
        running.process.wait()
    run = json.loads(sent.stdout)["run"]["id"]
    listed = workspace("runs", "--format", "json")
    assert [one["id"] for one in json.loads(listed.stdout)] == [run]
    assert workspace("verdict", run, "--phase", "7A").returncode == 0


def test_a_first_run_has_nothing_to_be_compared_with(
    measured: Measured, stored: dict[str, Any], server: Server
) -> None:
    run = stored["run"]["id"]
    done = measured.workspace("compare", run, "--phase", "7A")
    assert (done.returncode, done.stderr) == (3, "")
    assert f"phasegate compare {run} OTHER" in done.stdout
    measured.ingest("--server", server.url)
    assert server.ask(f"runs/{run}/baseline")["kind"] == "none"
    history = server.ask("services/event/history", phase="7A")
    assert run in [point["run_id"] for point in history["slis"][0]["points"]]
