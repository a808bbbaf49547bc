"""Stores for tests: real ones, in temporary folders. The demo has many runs, so it is loaded once."""

from __future__ import annotations

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
def demo_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with the recorded runs of the demo and its slo.yaml, shared by all tests: ask, do not ingest."""
    home = tmp_path_factory.mktemp("demo") / "store"
    desk = Desk(Settings(home=home))
    ingestor = desk._ingestor
    desk._ingestor = Quick(desk._store)
    desk.load_demo()
    desk._ingestor = ingestor
    yield desk
    desk.close()
