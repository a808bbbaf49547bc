"""Which earlier runs a run is held against: the last ones of its test that can be believed and agree in what they do.

A run that is invalid or suspect never enters a baseline, nor does one that was taken out by hand. Neither does a run
whose test was another one than that of the others: of the runs looked back on, the largest set counts in which each is
what the older ones are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from slo.rules.against import find_against

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from data.model import Run
    from slo.plan import Baseline
    from slo.shape import Shape

LOOK_BACK = 2
"""Times as many runs are looked at as a baseline has, so that a few odd ones do not leave it short."""
MOST_REPEATS = 4


@dataclass(frozen=True)
class Past:
    """What a run is compared with, newest first. ``repeats`` are earlier runs of the same commit, judged together."""

    kind: Literal["rolling", "pinned"] = "rolling"
    runs: tuple[Shape, ...] = ()
    repeats: tuple[Shape, ...] = ()


def candidates(run: Run, others: Iterable[Run], rule: Baseline) -> list[Run]:
    """Earlier runs of the same test, service and environment on the branch of the baseline, newest first.

    Where runs carry no branch, those without one count.
    """
    branches = {rule.branch, None} if run.meta.branch is None else {rule.branch}
    return [
        other
        for other in others
        if other.id != run.id
        and _began(other) < _began(run)
        and other.meta.branch in branches
        and _test_of(other) == _test_of(run)
    ]


def past_of(run: Run, earlier: Sequence[Run], rule: Baseline, believed: Callable[[Run], Shape | None]) -> Past:
    """The baseline of a run among its candidates; ``believed`` gives a run's shape, or ``None`` if it is in doubt."""
    repeats: list[Shape] = []
    looked_at: list[Shape] = []
    for other in earlier:
        same = run.meta.commit is not None and other.meta.commit == run.meta.commit
        if same and len(repeats) >= MOST_REPEATS:
            continue
        if (shape := believed(other)) is None:
            continue
        (repeats if same else looked_at).append(shape)
        if len(looked_at) >= LOOK_BACK * rule.runs:
            break
    return Past(runs=tuple(agreeing(looked_at)[: rule.runs]), repeats=tuple(repeats))


def agreeing(newest_first: Sequence[Shape]) -> list[Shape]:
    """The largest set of shapes in which none is suspect beside the older ones, newest first; of equals the newest."""
    oldest_first = list(reversed(newest_first))
    best: list[Shape] = []
    for start in range(len(oldest_first)):
        if len(oldest_first) - start < len(best):
            break
        kept: list[Shape] = []
        for shape in oldest_first[start:]:
            if not any(finding.severity != "info" for finding in find_against(shape, kept[::-1])):
                kept.append(shape)
        if len(kept) >= len(best):
            best = kept
    return best[::-1]


def _began(run: Run) -> tuple[float, str]:
    return min(run.started_at or run.received_at, run.received_at).timestamp(), run.id


def _test_of(run: Run) -> tuple[str | None, str | None, str | None]:
    return run.meta.service, run.meta.test, run.meta.environment
