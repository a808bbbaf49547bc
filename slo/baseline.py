"""Which earlier runs a run is held against: the last ones of its test that can be believed and agree in what they do.

A run that is invalid or suspect never enters a baseline, be it by itself or beside those before it, nor does one that
was taken out by hand. Nor does one that got worse than those before it, or whose environment moved: a regression would
be the usual after some nights. Somebody has to accept such a change: the baseline begins anew with that run (started).
Or somebody chooses one run for all (pinned).
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
"""Times as many runs are looked at as a baseline has, or as ten: so long is remembered what nobody accepts."""
USUAL_RUNS = 10
MOST_REPEATS = 4
FEWEST = 3
"""Runs from which on their own spread says whether another one got worse."""
MOST_LEFT_OUT = 20
"""Runs that do not count and are told; they are kept with every verdict."""

Departure = Callable[["Shape", Sequence["Shape"]], str | None]
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
    own = judges.assess(run).shape
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
        elif not same:
            looked_at.append(assessed.shape)
        elif doubt := _doubt(own, [assessed.shape]) or _doubt(assessed.shape, [own]):
            left_out.append((other.id, f"of this commit, but not the same test: {doubt}"))
        else:
            repeats.append(assessed.shape)
        if len(looked_at) >= looked_back(rule):
            break
    level, departed = _level(looked_at, rule, judges.departure)
    kept = tuple(level[: rule.runs])
    kind: BaselineKind = "none" if not kept else "pinned" if pinned else "rolling"
    return Past(kind, kept, tuple(repeats), decided, tuple([*left_out, *departed][:MOST_LEFT_OUT]))


def looked_back(rule: Baseline) -> int:
    """How many believable runs are looked at to find a baseline."""
    return LOOK_BACK * max(rule.runs, USUAL_RUNS)


def _level(
    newest_first: Sequence[Shape], rule: Baseline, departure: Departure
) -> tuple[list[Shape], list[tuple[str, str]]]:
    """The runs that stayed at the level of those before them, and how each of the others left it; newest first.

    The first few have nobody before them, and are held against those after, once there are as many again.
    """
    kept: list[Shape] = []
    departed: list[tuple[str, str]] = []
    near = max(rule.runs, FEWEST)
    for shape in reversed(newest_first):
        before = kept[-near:][::-1]
        how = _doubt(shape, before)
        if how is None and len(before) >= FEWEST:
            how = departure(shape, before)
        if how is None:
            kept.append(shape)
        else:
            departed.append((shape.run_id, f"{how}, and nobody has accepted it"))
    if len(kept) >= 2 * FEWEST:
        for shape in kept[:FEWEST]:
            others = [one for one in kept if one is not shape][:near][::-1]
            if how := departure(shape, others):
                kept.remove(shape)
                departed.append((shape.run_id, f"{how} beside the runs after it"))
    return kept[::-1], departed[::-1]


def _doubt(run: Shape, before: Sequence[Shape]) -> str | None:
    """What makes a run suspect beside others, if anything does."""
    codes = [finding.code for finding in find_against(run, before) if finding.severity != "info"] if before else []
    return f"suspect beside the others: {', '.join(dict.fromkeys(codes))}" if codes else None


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
