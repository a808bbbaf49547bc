"""Killed at any moment of an ingest, the store opens, and the run is there whole or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import demo
from data.blocks import file_digest
from data.model import RunMeta, RunRecord
from desk import Desk
from ingest.service import Upload
from settings import Settings
from tests.project import ROOT

RUNS = demo.FOLDER / "runs"
KEPT = next(RUNS.glob("*-auth.json.gz"))
KILLED = next(RUNS.glob("*-event-slow.json.gz"))
META = RunMeta(service="event", phase="7A", branch="main")
RUN_ID = file_digest(KILLED)[:12]
KILLS = 48
DIED = 9

FAILPOINT = """
import os, sys
from pathlib import Path
from data import blocks, catalog, store
from data.model import RunMeta
from ingest import process, service

home, file, owner, name, when = sys.argv[1:]
opened = store.Store(Path(home))
owners = {"blocks": blocks, "catalog": catalog, "service": service, "Store": store.Store}
owner = (owners | {"WorkerProcess": process.WorkerProcess})[owner]
original = getattr(owner, name)

def dying(*given, **named):
    if when == "after":
        original(*given, **named)
    os._exit(9)

setattr(owner, name, dying)
service.Ingestor(opened).ingest([service.Upload(Path(file), "r.json.gz")], RunMeta(service="event", phase="7A"))
"""
STEPS = [
    ("service", "_hashed", "before"),  # the folder in the spool is made, the worker starts
    ("WorkerProcess", "read", "before"),
    ("WorkerProcess", "read", "after"),  # the worker is done
    ("blocks", "read_manifest", "after"),
    ("blocks", "publish", "before"),
    ("blocks", "publish", "after"),  # the block is in its place
    ("catalog", "add_run", "before"),
    ("catalog", "add_run", "after"),  # the rows are written and not committed
    ("Store", "_checkpoint", "before"),  # committed, and only in the log
    ("Store", "_checkpoint", "after"),
    ("Store", "add_run", "after"),
]

INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from data.model import RunMeta
from data.store import Store
from ingest.service import Ingestor, Upload

home, file, reports = sys.argv[1:]
left = int(reports)

def on_progress(step, share):
    global left
    left -= 1
    if not left:
        os.killpg(0, signal.SIGKILL)

Ingestor(Store(Path(home))).ingest([Upload(Path(file), "r.json.gz")], RunMeta(), on_progress)
"""


@dataclass(frozen=True)
class Base:
    """A store with one run, and what the other run is when nothing goes wrong; an ingest of it takes ``duration_s``."""

    home: Path
    kept: RunRecord
    whole: RunRecord
    duration_s: float


def opened(home: Path) -> Desk:
    return Desk(Settings(home, slo=demo.SLO))


def command(home: Path) -> subprocess.Popen[bytes]:
    """``phasegate ingest`` of the run, in a process group of its own."""
    words = ["ingest", str(KILLED), "--service", "event", "--phase", "7A", "--branch", "main"]
    return subprocess.Popen(
        [sys.executable, ROOT / "cli.py", *words],
        env=os.environ | {"PHASEGATE_HOME": str(home), "PHASEGATE_SLO": str(demo.SLO)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("crash")
    home = folder / "home"
    desk = opened(home)
    kept_id = desk.ingest([Upload(KEPT, KEPT.name)], RunMeta(phase="7A")).run.id
    kept = desk._store.record(kept_id)
    desk.close()
    shutil.copytree(home, folder / "whole")
    start = time.monotonic()
    with command(folder / "whole") as process:
        process.wait()
    duration_s = time.monotonic() - start
    desk = opened(folder / "whole")
    whole = desk._store.record(RUN_ID)
    desk.close()
    return Base(home, kept, whole, duration_s)


@pytest.fixture
def home(base: Base, tmp_path: Path) -> Iterator[Path]:
    """A copy of the store that may be hurt."""
    home = tmp_path / "home"
    shutil.copytree(base.home, home)
    yield home
    shutil.rmtree(home)


def measured(record: RunRecord) -> RunRecord:
    """A record without when it was received, and what its uploader said."""
    run = replace(record.run, received_at=record.run.started_at or record.run.received_at, meta=META)
    artefacts = tuple(replace(artefact, name="") for artefact in record.artefacts)
    return replace(record, run=run, artefacts=artefacts)


def assert_whole_or_absent(home: Path, base: Base) -> bool:
    """The store opens; the run is whole, or absent and can be ingested again. Returns whether it was there."""
    desk = opened(home)
    store = desk._store
    there = store.has_run(RUN_ID)
    runs = {base.kept.run.id, RUN_ID} if there else {base.kept.run.id}
    assert {run.id for run in desk.service.runs()} == runs
    assert {path.name for path in (home / "blocks").iterdir()} == runs
    assert [path.name for path in store.spool.iterdir()] == ["uploads"]
    assert store.record(base.kept.run.id) == base.kept
    again = desk.ingest([Upload(KILLED, KILLED.name)], META)
    assert (again.run.id, again.created) == (RUN_ID, not there)
    assert measured(store.record(RUN_ID)) == measured(base.whole)
    assert store.samples.query(RUN_ID, "SELECT count(*) FROM samples", {}) == [(base.whole.run.points,)]
    assert desk.service.verdict(RUN_ID, "7A").verdict == "fail", "search is slow in this run"
    assert len(desk.service.runs()) == 2
    desk.close()
    return there


@pytest.mark.slow
@pytest.mark.parametrize("kill", range(KILLS))
def test_killed_at_any_moment_the_run_is_whole_or_absent(
    base: Base, home: Path, kill: int, record_property: Callable[[str, object], None]
) -> None:
    process = command(home)
    time.sleep(base.duration_s * (kill + 1) / KILLS)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    record_property("run was there", assert_whole_or_absent(home, base))


@pytest.mark.slow
@pytest.mark.parametrize(("owner", "name", "when"), STEPS, ids=["-".join(step) for step in STEPS])
def test_ended_at_any_step_the_run_is_whole_or_absent(base: Base, home: Path, owner: str, name: str, when: str) -> None:
    script = [sys.executable, "-c", FAILPOINT, str(home), str(KILLED), owner, name, when]
    assert subprocess.run(script, cwd=ROOT, check=False).returncode == DIED, "it came to this step"
    published = STEPS.index((owner, name, when)) >= STEPS.index(("blocks", "publish", "after"))
    assert assert_whole_or_absent(home, base) == published


@pytest.mark.slow
@pytest.mark.parametrize("reports", [1, 2, 3, 4])
def test_killed_while_the_worker_reads_the_run_is_absent(base: Base, home: Path, reports: int) -> None:
    script = [sys.executable, "-c", INTERRUPTED, str(home), str(KILLED), str(reports)]
    assert subprocess.run(script, cwd=ROOT, check=False, start_new_session=True).returncode == -signal.SIGKILL
    assert not assert_whole_or_absent(home, base)


@pytest.mark.slow
def test_killed_again_and_again_the_store_still_opens(base: Base, home: Path) -> None:
    for kill in range(6):
        with command(home) as process:
            time.sleep(base.duration_s * (0.5 + kill / 12))
            os.killpg(process.pid, signal.SIGKILL)
    assert_whole_or_absent(home, base)


@pytest.mark.slow
def test_a_worker_ends_with_the_process_that_started_it(home: Path) -> None:
    script = INTERRUPTED.replace("os.killpg(0, signal.SIGKILL)", "os.kill(os.getpid(), signal.SIGKILL)")
    children = "Path(f'/proc/self/task/{os.getpid()}/children').read_text()"
    script = script.replace("left -= 1", f"left -= 1; print({children}, flush=True)")
    done = subprocess.run(
        [sys.executable, "-c", script, str(home), str(KILLED), "1"], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    worker = Path("/proc", done.stdout.decode().split()[0])
    deadline = time.monotonic() + 10
    while worker.exists() and "State:\tZ" not in (worker / "status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
