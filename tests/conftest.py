"""Stores for tests: real ones, in temporary folders. The demo has many runs, so it is loaded once."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from desk import Desk
from settings import Settings
from tests.ingesting import Quick

settings.register_profile("noisy", deadline=None)  # machines are noisy; speed is measured in bench/
settings.load_profile("noisy")


@pytest.fixture
def store_home(tmp_path: Path) -> Path:
    """Where a store can be made; nothing is there yet."""
    return tmp_path / "store"


@pytest.fixture
def fresh_desk(store_home: Path) -> Iterator[Desk]:
    """A desk over an empty store, without a slo.yaml, for tests that write."""
    desk = Desk(Settings(home=store_home))
    yield desk
    desk.close()


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A store with the recorded runs of the demo and its slo.yaml: copy it, do not open it."""
    base = tmp_path_factory.getbasetemp()
    loaded = (base if worker_id == "master" else base.parent) / "demo"
    with loaded.with_suffix(".lock").open("w") as lock:  # one of the test processes loads it, all have a copy
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not loaded.exists():
            desk = Desk(Settings(home=loaded))
            desk._ingestor = Quick(desk._store)
            desk.load_demo()
            desk.close()
    return loaded


@pytest.fixture(scope="session")
def demo_desk(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk over the demo, shared by all tests: ask, do not ingest."""
    home = tmp_path_factory.mktemp("demo") / "store"
    shutil.copytree(demo_home, home)
    desk = Desk(Settings(home=home))
    yield desk
    desk.close()
