"""Which phase a page judges by, and when it has to say so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pages.components import phases
from slo.model import PhaseRef, RunRef
from tests.pages.fakes import PHASES, run_ref


def runs(*uploaded_for: str | None) -> list[RunRef]:
    """Runs, newest first, by the phase each was uploaded for."""
    return [replace(run_ref(f"r{place}", "event"), phase=phase) for place, phase in enumerate(uploaded_for)]


@pytest.mark.parametrize(
    ("uploaded_for", "usual"),
    [
        (["7A", "8", "7A"], "7A"),
        (["8", "7A", "7A", "8"], "8"),  # of two the newest run's
        (["9Z", "9Z", "8"], "8"),  # slo.yaml does not have 9Z
        ([None, None, "7B"], "7B"),
        ([None, "9Z"], "1"),
    ],
)
def test_the_usual_phase_is_the_one_most_runs_are_for(uploaded_for: list[str | None], usual: str) -> None:
    assert phases.usual(runs(*uploaded_for), PHASES) == usual


def test_without_runs_or_phases_none_is_usual() -> None:
    assert phases.usual([], PHASES) is None
    assert phases.usual(runs("7A"), []) is None


def test_the_phase_of_the_upload_needs_no_word() -> None:
    assert phases.difference(run_ref("r", "event"), "7A", [PhaseRef("7A", "")]) is None
