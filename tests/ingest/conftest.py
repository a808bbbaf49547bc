"""A store that the tests of a module share, into which bytes are put quickly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from data.store import Store
from tests.ingesting import Bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    store = Store(folder / "store")
    yield Bench(store, folder)
    store.close()
