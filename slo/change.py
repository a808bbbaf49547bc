"""Did it get worse? A run, or several of one version, against the runs of its baseline, all SLIs at once.

How surely one changed is :mod:`slo.sizes` (latencies, throughput) and :mod:`slo.shares` (failures, checks); this
module is what they mean together.

**Many comparisons.** The p-values are stepped up (Benjamini and Hochberg 1995): the more a run moved, the less each
comparison has to prove, and one that moved alone among many has to prove most. ``confidence`` 0.99 sets both ends: of
what is called regressed at most a tenth is expected to be false (:data:`_FALSE_SHARE`), and nothing is believed at more
than twice its 1 % (:data:`_LOOSEST`), so that 2 % bounds the false alarms about any one latency.
``python -m bench.detection`` measures what comes of it; ``docs/comparison.md`` tells it to readers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from data.samples import Floats
from slo import numbers
from slo.pairs import Common, Pair, Proof, there
from slo.shares import shares
from slo.sizes import common_move, sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slo.model import ComparisonState
    from slo.plan import Regression
    from slo.profile import Profile

_FALSE_SHARE = 10.0  # times 1 - confidence: the share of regressions that may be false
_LOOSEST = 2.0  # times 1 - confidence: the largest p that is ever believed
_FEWEST_UNSURE = 3  # baseline runs that tell the spread of what does not tell its own doubt
_MUCH_LESS = 0.5  # of the requests, and the spread of the others is not its own


@dataclass(frozen=True)
class Change:
    """What became of one SLI.

    ``value`` and ``baseline`` are in the SLI's unit (over several runs the geometric mean; of shares the pooled one).
    ``change``, its 95 % interval ``ci`` and ``detectable`` are relative, of shares absolute; ``detectable`` is the
    smallest worsening that this rule finds with 80 % power. ``noise`` is the change in spreads of one run. ``p`` is
    one-sided, as tested; ``confidence`` is after the correction for the number of comparisons, where a change is
    believed. ``settle`` says what would settle an inconclusive one. ``environment``: inconclusive because all services
    moved together.
    """

    state: ComparisonState
    value: float | None = None
    baseline: float | None = None
    change: float | None = None
    ci: tuple[float, float] | None = None
    noise: float | None = None
    p: float | None = None
    confidence: float | None = None
    detectable: float | None = None
    method: str = ""
    settle: str = ""
    runs: int = 0
    repeats: int = 0
    environment: bool = False


@dataclass(frozen=True)
class Compared:
    """One change per pair, in order. ``common`` is ``None`` where too few services have latencies to tell."""

    changes: tuple[Change, ...]
    common: Common | None = None


def compare(pairs: Sequence[Pair], rule: Regression, *, plainly: bool = False) -> Compared:
    """Compare every pair under ``rule``; confidence is over all of them. Deterministic, and blind to their order.

    ``plainly``: without what could be detected and what would settle it, which take most of the time.
    """
    unfit = {i: change for i, pair in enumerate(pairs) if (change := _unfit(pair))}
    fit = {i: pair for i, pair in enumerate(pairs) if i not in unfit}
    if _same_runs(list(fit.values())):
        changes = unfit | {i: _itself(pair) for i, pair in fit.items()}
        return Compared(tuple(changes[i] for i in range(len(pairs))))
    families: dict[tuple[str, str, bool], list[int]] = {}
    for i, pair in fit.items():
        families.setdefault((pair.family, pair.unit, _is_share(pair)), []).append(i)
    evidence: dict[int, Proof] = {}
    commons: list[Common] = []
    for (_, unit, is_share), members in families.items():
        family = [pairs[i] for i in members]
        common = None if is_share or unit != "ms" else common_move(family, rule)
        found = shares(family, rule) if is_share else sizes(family, rule, moved=bool(common and common.moved))
        evidence |= zip(members, found, strict=True)
        commons += [common] if common else []
    changes = unfit | _judged(evidence, rule, plainly=plainly)
    sized = {i: replace(c, runs=len(there(pairs[i].baseline)), repeats=len(there(pairs[i].current)))
             for i, c in changes.items()}  # fmt: skip
    return Compared(
        tuple(sized[i] for i in range(len(pairs))), max(commons, key=lambda c: (c.moved, c.services), default=None)
    )


def _is_share(pair: Pair) -> bool:
    return there(pair.current)[0].kind == "share"


def _unfit(pair: Pair) -> Change | None:
    """The answer about a pair that needs no statistics; ``None`` if it does."""
    now, before = there(pair.current), there(pair.baseline)
    every = now + before
    if pair.current[0] is None:  # whatever its repeats have
        return Change("not_comparable", method="this run has no such measurement")
    if not before:
        return Change("no_baseline", value=now[0].value, method="there is no run to compare with")
    if not any(one.value for one in every) and now[0].kind != "share":
        return Change("unchanged", 0.0, 0.0, 0.0, method="0 in every run")
    if len({one.kind for one in every}) > 1:
        reason = "the runs measured different kinds of things"
    elif now[0].kind == "share":
        reason = "" if all(one.n for one in every) else "shares without counts"
    else:
        reason = "" if all(one.value > 0 for one in every) else "relative changes need values above 0"
        if not reason and now[0].kind == "trend" and not all(one.numbers for one in every):
            reason = _unsure(now, before)
    return Change("not_comparable", method=reason) if reason else None


def _unsure(now: Sequence[Profile], before: Sequence[Profile]) -> str:
    """Why a latency whose own doubt is not known cannot be compared: then only runs that are alike tell the spread."""
    if len(before) < _FEWEST_UNSURE:
        runs = numbers.things(_FEWEST_UNSURE, "baseline run")
        return f"how sure it is of itself is not known: it takes {runs} to see how far they lie apart"
    if min(one.n for one in now) < _MUCH_LESS * median(one.n for one in before):
        return "how sure it is of itself is not known, and it is of far fewer requests than before"
    return ""


def _same_runs(pairs: Sequence[Pair]) -> bool:
    """The same samples on both sides: their distributions would not agree to the last digit otherwise."""
    shaped = any(one.kind == "trend" and one.numbers for pair in pairs for one in there(pair.current))
    return shaped and all(set(there(pair.current)) == set(there(pair.baseline)) for pair in pairs)


def _itself(pair: Pair) -> Change:
    value = there(pair.current)[0].value
    return Change("unchanged", value, value, 0.0, (0.0, 0.0), 0.0, method="the same runs on both sides")


def _stepped(p: Floats) -> Floats:
    """P-values adjusted as Benjamini and Hochberg do."""
    order = np.argsort(p, kind="stable")
    raised = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(raised[::-1])[::-1]
    return adjusted


def _judged(evidence: dict[int, Proof], rule: Regression, *, plainly: bool) -> dict[int, Change]:
    """A p-value is believed up to 1 - confidence once it is corrected: both bounds of the module in one number."""
    found = list(evidence.values())
    doubt = 1 - rule.confidence
    weights = np.array([one.weight for one in found])
    worse, better = (
        np.minimum(1.0, np.array([getattr(one, way) for one in found]) / weights) for way in ("worse", "better")
    )
    sure_worse, sure_better = (np.maximum(p / _LOOSEST, _stepped(p) / _FALSE_SHARE) for p in (worse, better))
    judged = {}
    for place, (i, one) in enumerate(evidence.items()):
        believed = int((_stepped(np.where(np.arange(len(found)) == place, 0.0, worse)) <= _FALSE_SHARE * doubt).sum())
        level = doubt * one.weight * min(_LOOSEST, _FALSE_SHARE * believed / len(found))
        change = _judge(one, float(sure_worse[place]), float(sure_better[place]), doubt)
        judged[i] = (
            change if plainly else replace(change, detectable=one.reach(level), settle=_settle(one, change, level))
        )
    return judged


def _judge(one: Proof, worse: float, better: float, doubt: float) -> Change:
    state: ComparisonState = "inconclusive"
    p, confidence = min(worse, better), None
    is_worse = (one.change > 0) == one.up
    if p <= doubt and abs(one.change) >= one.least and is_worse == (worse < better):
        state, confidence = "regressed" if is_worse else "improved", 1 - p
    elif not one.environment and -one.least <= one.ci[0] and one.ci[1] <= one.least:
        state = "unchanged"
    return Change(
        state, one.value, one.baseline, one.change, one.ci, one.noise, min(one.worse, one.better), confidence,
        method=one.method, environment=one.environment and state == "inconclusive",
    )  # fmt: skip


def _settle(one: Proof, change: Change, level: float) -> str:
    if change.state != "inconclusive":
        return ""
    return "a run when the environment is as before" if change.environment else one.settle(level)
