"""The phase a page judges by when nobody chose one, and what it says where a run was uploaded for another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from slo.model import PhaseRef, RunRef


def usual(runs: Sequence[RunRef], phases: Sequence[PhaseRef]) -> str | None:
    """The phase most of ``runs`` were uploaded for, of two the one of the newest; else the first of slo.yaml.

    ``None`` where there are no runs that could say, or no phases.
    """
    if not runs or not phases:
        return None
    ids = [phase.id for phase in phases]
    named = Counter(run.phase for run in runs if run.phase in ids)
    return max(named, key=named.__getitem__, default=ids[0])


def difference(run: RunRef, judged_by: str, phases: Sequence[PhaseRef]) -> str | None:
    """By which phase a run is judged, and why; ``None`` where it is the one that it was uploaded for."""
    if run.phase == judged_by:
        return None
    if run.phase is None:
        return f"Judged by phase {judged_by}: no phase was named at upload."
    if not is_known(run.phase, phases):
        return f"Judged by phase {judged_by}: slo.yaml has no phase {run.phase}, for which this run was uploaded."
    return f"Judged by phase {judged_by}, as chosen above; uploaded for phase {run.phase}."


def is_known(phase: str | None, phases: Sequence[PhaseRef]) -> bool:
    """Whether slo.yaml has this phase."""
    return any(known.id == phase for known in phases)
