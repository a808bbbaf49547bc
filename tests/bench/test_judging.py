"""The benchmark of judging works; how fast it is, is not asked here."""

from pathlib import Path

import pytest
from rich.console import Console

from bench import judging


@pytest.mark.slow
def test_the_newest_night_is_judged_against_the_others(tmp_path: Path) -> None:
    found = judging.measure(Console(stderr=True), tmp_path, size=3_000_000, nights=4)
    assert (found.objectives, found.baseline_runs) == (50, 3)
    assert found.samples > 1000
    assert found.judge_ms > 0
