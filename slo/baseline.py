"""Which earlier runs a run is held against: the last ones of its test that can be believed and agree in what they do.

A run that is invalid or suspect never enters a baseline, nor does one that was taken out by hand. Neither does a run
whose test was another one than that of the others: of the runs looked back on, the largest set counts in which each is
what the older ones are. Nor does one that got worse than those before it, or whose environment moved, or that would be
the usual after some nights: somebody has to accept it. Somebody may choose one run instead (pinned), or the run with
which all begins anew (started).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slo.rules.against import find_against

if TYPE_CHECKING:
    from collections.abc import Iterable

    from data.catalog import Test
    from data.model import Decision, Run
    from slo.model import BaselineKind
    from slo.plan import Baseline, Phase
    from slo.shape import Shape

LOOK_BACK = 3
"""Times as many runs are looked at as a baseline has: so long is a regression remembered that nobody accepts."""
MOST_REPEATS = 4
FEWEST = 3
"""Runs from which on their own spread says whether another one got worse."""
MOST_LEFT_OUT = 20
"""Runs that do not count and are told; they are kept with every verdict."""

Departure = Callable[[str, Sequence[str]], str | None]
"""How this run left the level of those, newest first; ``None``: it did not."""


@dataclass(frozen=True)
class Assessed:
    """What is known of a run alone: its shape, and why it is not believed (``None``: it is)."""

    shape: Shape
    doubt: str | None = None


@dataclass(frozen=True)
class Past:
    """What a run is compared with, newest first. ``repeats`` are earlier runs of the same commit, judged together.

    ``decided`` is the decision in force; ``left_out`` are runs that do not count, with why.
    """

    kind: BaselineKind = "none"
    runs: tuple[Shape, ...] = ()
    repeats: tuple[Shape, ...] = ()
    decided: Decision | None = None
    left_out: tuple[tuple[str, str], ...] = ()


def same_test(run: Run, others: Iterable[Run]) -> list[Run]:
    """Runs of the same test, service and environment that began before it, on whatever branch, newest first."""
    return sorted(
        (one for one in others if one.id != run.id and test_of(one) == test_of(run) and began(one) < began(run)),
        key=began,
        reverse=True,
    )


def candidates(run: Run, earlier: Iterable[Run], rule: Baseline, phase: Phase | None = None) -> list[Run]:
    """Of :func:`same_test`, those on the branch of the baseline and of the phases that it asks for.

    ``phase`` is the one that the run is judged by. Where runs carry no branch, those without one count. Runs of the
    same commit are repeats, whatever their branch.
    """
    branches = {rule.branch, None} if run.meta.branch is None else {rule.branch}
    phases = _phases(run, phase, rule)
    return [
        other
        for other in earlier
        if _is_repeat(run, other) or (other.meta.branch in branches and (phases is None or other.meta.phase in phases))
    ]


def decision_in_force(
    run: Run, earlier: Sequence[Run], rule: Baseline, decisions: Iterable[Decision]
) -> Decision | None:
    """The last decision about the baseline of a run's test that was not taken back; in order of time.

    A decision about a run holds from that run on, and so does the one that starts a baseline for that run itself. One
    about a run of another branch than the baseline's holds on that branch only.
    """
    branches = {rule.branch, None, run.meta.branch}
    ids = {other.id for other in earlier if other.meta.branch in branches}
    standing: dict[str, Decision] = {}
    for one in decisions:
        own = one.run_id == run.id and one.kind != "pinned"  # a run is not compared with itself
        if one.kind in {"pinned", "started", "released"} and (one.run_id in ids or own):
            standing.pop(one.run_id, None)
            if one.kind != "released":
                standing[one.run_id] = one
    return next(reversed(standing.values()), None)


@dataclass(frozen=True)
class Judges:
    """What is asked of other runs: what is known of one alone, and how one left the level of others."""

    assess: Callable[[Run], Assessed]
    departure: Departure = lambda _run, _before: None


def past_of(run: Run, earlier: Sequence[Run], rule: Baseline, judges: Judges, decided: Decision | None = None) -> Past:
    """The baseline of a run among its candidates, the newest first."""
    pinned = decided.run_id if decided and decided.kind == "pinned" else None
    left_out: list[tuple[str, str]] = []
    repeats: list[Shape] = []
    looked_at: list[Shape] = []
    for other in _within(run, earlier, decided):
        same = other.id != pinned and _is_repeat(run, other)
        if same and len(repeats) >= MOST_REPEATS:
            continue
        assessed = judges.assess(other)
        if assessed.doubt is not None:
            left_out.append((other.id, assessed.doubt))
        else:
            (repeats if same else looked_at).append(assessed.shape)
        if len(looked_at) >= LOOK_BACK * rule.runs or len(left_out) >= LOOK_BACK * rule.runs:
            break
    agreed = agreeing(looked_at)
    level, departed = _level(agreed, rule, judges.departure)
    left_out += [(one.run_id, "its test was another one") for one in looked_at if one not in agreed]
    left_out += [(run_id, f"{how}, and nobody has accepted it") for run_id, how in departed]
    kept = tuple(level[: rule.runs])
    kind: BaselineKind = "none" if not kept else "pinned" if pinned else "rolling"
    return Past(kind, kept, tuple(repeats), decided, tuple(left_out[:MOST_LEFT_OUT]))


def _level(
    newest_first: Sequence[Shape], rule: Baseline, departure: Departure
) -> tuple[list[Shape], list[tuple[str, str]]]:
    """The runs that stayed at the level of those before them, and how each of the others left it; newest first."""
    kept: list[Shape] = []
    departed: list[tuple[str, str]] = []
    for shape in reversed(newest_first):
        before = [one.run_id for one in kept[-rule.runs :]][::-1]
        if len(before) >= FEWEST and (how := departure(shape.run_id, before)):
            departed.append((shape.run_id, how))
        else:
            kept.append(shape)
    return kept[::-1], departed[::-1]


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


def began(run: Run) -> tuple[float, str]:
    """When a run began, as runs are ordered: by receipt where its clock ran ahead."""
    return min(run.started_at or run.received_at, run.received_at).timestamp(), run.id


def _within(run: Run, earlier: Sequence[Run], decided: Decision | None) -> Sequence[Run]:
    """The candidates that a decision leaves: the pinned run, or those since the start; repeats stay."""
    if decided is None:
        return earlier
    if decided.kind == "pinned":
        return [one for one in earlier if one.id == decided.run_id or _is_repeat(run, one)]
    first = next((began(one) for one in earlier if one.id == decided.run_id), None)
    if first is None:  # the run itself begins the baseline, or one on another branch does
        return [one for one in earlier if _is_repeat(run, one)]
    return [one for one in earlier if began(one) >= first]


def _is_repeat(run: Run, other: Run) -> bool:
    return run.meta.commit is not None and other.meta.commit == run.meta.commit


def _phases(run: Run, phase: Phase | None, rule: Baseline) -> set[str | None] | None:
    """The phases whose runs count; ``None`` for all of them."""
    if rule.phase == "any":
        return None
    if rule.phase == "same":
        return {phase.id if phase else run.meta.phase}
    return {*(phase.after if phase else ())}


def test_of(run: Run) -> Test:
    """What runs have to share to be compared: service, test, environment."""
    return run.meta.service, run.meta.test, run.meta.environment
