"""The benchmark of gates works; how fast it is, is not asked here."""

from pathlib import Path

import pytest
from rich.console import Console

from bench import gate


@pytest.mark.slow
def test_a_gate_is_asked_of_many_runs(tmp_path: Path) -> None:
    found = gate.measure(Console(stderr=True), tmp_path, runs=32)
    assert (found.runs, found.services, found.objectives, found.decision) == (32, 8, 50, "pass")
    assert found.judged_ms > 0
