"""The benchmark of pulls works; how fast it is, is not asked here."""

from pathlib import Path

import pytest
from rich.console import Console

from bench import pull


@pytest.mark.prometheus
def test_a_pull_is_killed_and_goes_on(tmp_path: Path) -> None:
    found = pull.measure(Console(stderr=True), tmp_path, expressions=60)
    assert (found.expressions, found.points, found.requests) == (60, 60 * 727, 60)
    assert all(found.bars.values()), found
    assert 0 < found.resumed_asked < 60
