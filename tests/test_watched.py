"""k6 and Prometheus together, all real: their objectives side by side, a service that is killed, one that restarts."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import demo
from examples.nightbff import record
from tests.prom import Prometheus, demo_config, prometheus
from tests.running import Workspace, stop

pytestmark = [pytest.mark.slow, pytest.mark.k6, pytest.mark.prometheus]

SCRIPT = demo.FOLDER / "k6" / "event-crud.js"
SLO = (demo.FOLDER / "with-prometheus.yaml").read_text()


@dataclass
class Bench:
    """A backend that can be killed and started again, watched by a Prometheus, and a workspace that asks it."""

    workspace: Workspace
    prometheus: Prometheus
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        command: list[str | Path] = [
            sys.executable,
            demo.FOLDER / "backend.py",
            f"--port={self.port}",
            "--latency=event=0.5x",
        ]
        self.processes.append(subprocess.Popen(command))
        while not record.facts_of(self.url):
            assert self.processes[-1].poll() is None, "the backend ended"
            time.sleep(0.1)

    def kill(self) -> None:
        self.processes[-1].kill()
        self.processes[-1].wait()

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                stop(process)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def loaded(self, name: str, meanwhile: Callable[[], None] = lambda: None, duration: str = "15s") -> dict[str, Any]:
        """Load the service with k6, ``meanwhile`` something happens to it; what ``ingest`` answers."""
        folder = self.workspace.folder
        load = {"DURATION": duration, "RATE": "20", "BASE_URL": self.url, "K6_NO_USAGE_REPORT": "true"}
        command: list[str | Path] = [record.K6, "run", "--quiet", "--out", f"json={folder / name}.json.gz", SCRIPT]
        with subprocess.Popen(command, env=load, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as k6:
            meanwhile()
            k6.wait(120)
        words = (
            "--service",
            "event",
            "--phase",
            "watched",
            "--test",
            "watched",
            "--branch",
            "main",
            "--format",
            "json",
        )
        done = self.workspace("ingest", f"{name}.json.gz", *words)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    port = record.free_port()
    with ExitStack() as stack:
        watching = stack.enter_context(prometheus(folder / "prometheus", demo_config(port).replace(": 2s", ": 1s")))
        slo = folder / "slo.yaml"
        slo.write_text(
            SLO.replace("http://127.0.0.1:9090", watching.url).replace("step: 2s", "step: 1s").replace("10s", "2s")
            .replace("250ms", "2s").replace('_max{$select}"}', '_max{$select}", at: 1%}')
        )  # fmt: skip  # faster, for a machine that may be busy, and a pool that is soon used up
        running = Bench(Workspace(folder, slo), watching, port)
        stack.callback(running.stop)
        running.start()
        watching.wait_for('up{service="event"} == 1')
        time.sleep(3)  # a rate takes two scrapes
        yield running


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("watched")) as running:
        yield running


@pytest.fixture(scope="module")
def healthy(watched: Bench) -> dict[str, Any]:
    return watched.loaded("healthy")


def _findings(answer: dict[str, Any]) -> dict[str, str]:
    found = answer["verdict"]["measurement"]["findings"]
    return {one["code"]: one["severity"] for one in found if one["severity"] != "info"}


def test_a_verdict_holds_what_k6_and_what_prometheus_measured(healthy: dict[str, Any]) -> None:
    verdict = healthy["verdict"]
    objectives = verdict["objectives"]
    assert verdict["verdict"] == "pass", (verdict["reasons"], objectives)
    assert [one["source"] for one in objectives] == [None, None, "main", "main", "main", "main"]
    assert {one["state"] for one in objectives} == {"met"}
    memory, failed, p95, up = objectives[2:]
    assert 1 << 20 < memory["value"] < 1 << 30
    assert (failed["value"], up["value"]) == (0, 1)
    assert 10 < p95["value"] < 2000, "seconds there, milliseconds here"
    assert healthy["notes"] == []


def test_the_service_and_k6_agree_on_its_latency(healthy: dict[str, Any]) -> None:
    (side,) = healthy["verdict"]["server_side"]
    assert side["service"] == "event"
    assert 0.5 < side["server_ms"] / side["client_ms"] < 1.5
    assert "spent in the service" in side["sentence"]


def test_what_is_used_up_and_what_is_collected_is_told(watched: Bench, healthy: dict[str, Any]) -> None:
    run = healthy["run"]["id"]
    codes = [one["code"] for one in healthy["verdict"]["measurement"]["findings"]]
    assert "saturated" in codes, "one connection in fifty is more than the 1 % of this slo.yaml"
    shown = watched.workspace("prometheus", "show", run)
    assert shown.returncode == 0
    for words in ("memory", "requests", "own p95", "pool"):
        assert words in shown.stdout
    documents = json.loads(watched.workspace("prometheus", "show", run, "--format", "json").stdout)
    (requests,) = [one for one in documents if one["name"] == "collected: requests"]
    assert requests["series"][0]["max"] > requests["series"][0]["min"]


def test_asked_again_there_is_nothing_left_to_ask(watched: Bench, healthy: dict[str, Any]) -> None:
    time.sleep(2)  # the margin after the run has passed
    run = healthy["run"]["id"]
    first, second = (
        json.loads(watched.workspace("prometheus", "pull", run, "--format", "json").stdout) for _ in range(2)
    )
    assert first["failed"] == 0
    assert (second["asked"], second["open"]) == (0, 0)
    assert second["questions"] == first["questions"] > 10


@pytest.mark.usefixtures("healthy")
def test_a_service_that_is_killed_is_no_regression(watched: Bench) -> None:
    def killed() -> None:
        time.sleep(7)
        watched.kill()

    answer = watched.loaded("killed", killed)
    verdict = answer["verdict"]
    assert verdict["verdict"] == "inconclusive", verdict["reasons"]
    assert _findings(answer)["target_down"] == "invalid"
    assert [one["state"] for one in verdict["comparisons"] if one["state"] == "regressed"] == []
    assert "log of event" in " ".join(verdict["next_steps"])


@pytest.mark.usefixtures("healthy")
def test_a_service_that_restarts_is_noticed(watched: Bench) -> None:
    if watched.processes[-1].poll() is None:
        watched.kill()
    watched.start()
    watched.prometheus.wait_for('up{service="event"} == 1')

    def again() -> None:
        time.sleep(6)
        watched.kill()
        watched.start()

    answer = watched.loaded("restarted", again)
    assert _findings(answer)["restarted"] == "suspect"
    assert answer["verdict"]["verdict"] in {"inconclusive", "fail"}, "what was lost meanwhile may prove a miss"


def test_while_prometheus_is_away_a_run_is_stored_and_completed_later(watched: Bench) -> None:
    if watched.processes[-1].poll() is not None:
        watched.start()
    watched.prometheus.wait_for('up{service="event"} == 1')
    time.sleep(3)
    slo = watched.workspace.folder / "slo.yaml"
    there = slo.read_text()
    slo.write_text(there.replace(watched.prometheus.url, f"http://127.0.0.1:{record.free_port()}"))
    answer = watched.loaded("away", duration="8s")
    assert answer["created"]
    assert answer["verdict"]["verdict"] == "inconclusive"
    assert {one["state"] for one in answer["verdict"]["objectives"] if one["source"]} == {"no_data"}
    assert "does not answer" in " ".join(answer["notes"])
    slo.write_text(there)
    pulled = watched.workspace("prometheus", "pull", answer["run"]["id"])
    assert pulled.returncode == 0, pulled.stdout + pulled.stderr
    verdict = json.loads(watched.workspace("verdict", answer["run"]["id"], "--format", "json").stdout)
    assert {one["state"] for one in verdict["objectives"]} == {"met"}, verdict["reasons"]
