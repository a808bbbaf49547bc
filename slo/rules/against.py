"""Can the run be believed, seen beside the runs before it? Small pure rules over shapes, each with what it detects.

A test that was changed measures something else; a run that was cut, or was given less load, looks like a faster
service. None of it shows in a run alone: it takes the runs that it is compared with, the newest first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING

from slo import numbers
from slo.model import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slo.shape import Shape

LESS = 0.8
"""A run with less than this share of the load or length of those before it is another run: their own spread, with the
same script, is a few per cent."""
_SLACK_S = 2.0
_GENERATOR = 1.5
_GENERATOR_MS = 3.0
_SHOWN = 20
_ACCEPT = "if the change is meant, accept it: `phasegate baseline set RUN --reason ...`; else run the old test again"
_BOUND = re.compile(r"\s*([a-z]+(?:\([\d.]+\))?)\s*(<=|>=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


def find_against(run: Shape, before: Sequence[Shape]) -> tuple[Finding, ...]:
    """Every rule's findings about a run beside those before it; none where there are none."""
    return tuple(finding for rule in AGAINST for finding in rule(run, before)) if before and run.iterations else ()


def cut_short(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """The test ended earlier than it does: it was stopped, or crashed, whatever exit code was handed in.

    Signs: teardown() is missing although every run before had one; the load is shorter than four fifths
    (``LESS``) of their median, and by more than 2 s, which a short test is off by anyway.
    """
    usual_s = median(one.load_s for one in before)
    signs = []
    if not run.has_teardown and all(one.has_teardown for one in before):
        signs.append("teardown() did not run")
    if run.load_s < LESS * usual_s and usual_s - run.load_s > _SLACK_S:
        signs.append(f"its load lasted {numbers.seconds(run.load_s)} instead of {numbers.seconds(usual_s)}")
    if signs:
        yield Finding(
            "aborted", "suspect", f"the test did not come to its usual end: {' and '.join(signs)}",
            {"load_s": round(run.load_s, 1), "usual_s": round(usual_s, 1), "teardown": run.has_teardown},
            remedy="run the test to its end; " + _ACCEPT,
        )  # fmt: skip


def load_below(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """The service got less load than in the runs before, so its latency is that of an easier test.

    Less than four fifths (``LESS``) of their median. Iterations per second, not in all, so that a run that was cut is
    told once. Users that wait for a slower service (constant VUs) send less, too: then the latency shown is too good,
    and says so here.
    """
    usual = median(_per_s(one) for one in before)
    if _per_s(run) < LESS * usual:
        yield Finding(
            "load_not_delivered", "suspect",
            f"{_per_s(run):,.2f} iterations per second were run, {usual:,.2f} in the runs before",
            {"iterations_per_s": round(_per_s(run), 3), "usual_per_s": round(usual, 3)},
            remedy="use an arrival-rate executor with VUs to spare, so that a slower service gets the same load",
        )  # fmt: skip


def script_error(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """Iterations send fewer requests than they do: a script that throws midway, or leaves early.

    Fewer than four fifths (``LESS``) of the median before. k6 counts a thrown iteration as complete and exits 0. More
    requests are no loss; endpoints that are new are told by `definition_changed`.
    """
    usual = median(_per_iteration(one) for one in before)
    if usual and _per_iteration(run) < LESS * usual:
        yield Finding(
            "script_error", "suspect",
            f"{_per_iteration(run):.2f} requests per iteration instead of {usual:.2f}: iterations end early",
            {"requests_per_iteration": round(_per_iteration(run), 3), "usual": round(usual, 3)},
            remedy="look for exceptions in k6's log (level=error), or for a branch that is not taken any more",
        )  # fmt: skip


def endpoint_missing(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """An endpoint, or a whole service, that every run before called got no request: nothing is known of it now."""
    always = frozenset.intersection(*(one.endpoints for one in before))
    lost: defaultdict[str | None, list[str]] = defaultdict(list)
    for service, method, name in always - run.endpoints:
        lost[service].append(f"{method} {name}".strip())
    for service, names in sorted(lost.items(), key=lambda item: item[0] or ""):
        if service and service not in run.services:
            told = f"the service {service} got no request any more"
        else:
            told = f"{', '.join(sorted(names)[:5])} got no request any more"
        yield Finding(
            "endpoint_missing", "suspect", told, {"endpoints": sorted(names)[:_SHOWN]}, service,
            "see whether the script still calls it; " + _ACCEPT,
        )  # fmt: skip


def definition_changed(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """The test is another one than before, so its numbers are of something else; only what both have is compared.

    Signs: groups, checks, scenarios and tags that the run just before had and this one has not, or a quarter more
    iterations per second (1 / ``LESS``). That is suspect. What was only added, another script with the same outline and
    another k6 are told. Lost endpoints are told by `endpoint_missing`.
    """
    last = before[0]
    gone: list[str] = []
    new: list[str] = []
    for what in ("groups", "checks", "scenarios", "tags"):
        had, has = getattr(last, what), getattr(run, what)
        gone += [f"{what[:-1]} {name}" for name in sorted(had - has)]
        new += [f"{what[:-1]} {name}" for name in sorted(has - had)]
    new += [f"endpoint {method} {name}".replace("  ", " ") for _, method, name in sorted(_known(run) - _known(last))]
    if _per_s(run) > _per_s(last) / LESS and not gone:
        gone.append(f"{_per_s(last):,.2f} iterations per second (now {_per_s(run):,.2f})")
    others = [
        f"{name} {was} (now {now})"
        for name, was, now in (("script", last.script_hash, run.script_hash), ("k6", last.k6_version, run.k6_version))
        if was and now and was != now
    ]
    if gone or new or others:
        said = [*(f"without {one}" for one in gone), *(f"with new {one}" for one in new), *(f"not {o}" for o in others)]
        yield Finding(
            "definition_changed", "suspect" if gone else "info",
            f"the test was changed since run {last.run_id}: {'; '.join(said[:5])}",
            {"gone": gone[:_SHOWN], "new": new[:_SHOWN], "other": others, "compared_with": last.run_id},
            remedy=_ACCEPT,
        )  # fmt: skip


def thresholds_weakened(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """The script asks less of the service than before: a threshold is gone, or its bound is easier to hold.

    k6 exits green by what the script asks, so whoever weakens it decides the outcome. Thresholds of sub-metrics are
    only in a summary, and compared only where both runs have one.
    """
    last = before[0]
    had, has = (_thresholds(one, summaries=run.has_summary and last.has_summary) for one in (last, run))
    weaker = []
    for key, bound in sorted(had.items()):
        now = has.get(key)
        if now is None:
            weaker.append(f"{key[0]}: {key[1]}{key[2]}{bound:g} is gone")
        elif (now > bound) if key[2].startswith("<") else (now < bound):
            weaker.append(f"{key[0]}: {key[1]}{key[2]}{bound:g} is now {now:g}")
    if weaker:
        yield Finding(
            "thresholds_weakened", "suspect",
            f"the script asks less than in run {last.run_id}: {'; '.join(weaker[:5])}",
            {"weaker": weaker[:_SHOWN], "compared_with": last.run_id},
            remedy="the targets of slo.yaml still hold; " + _ACCEPT,
        )  # fmt: skip


def generator_starved(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """k6 itself was short of CPU: iterations take much longer around their requests than they did.

    Signs: what an iteration lasts beyond its requests, a time that only the generator spends, grew by half and by 3 ms,
    and half beyond any run before. The requests themselves are then measured late, and look slower than they were.
    """
    known = [one.work_ms for one in before if one.work_ms is not None]
    if run.work_ms is None or not known:
        return
    usual = median(known)
    if run.work_ms > max(_GENERATOR * usual, usual + _GENERATOR_MS, _GENERATOR * max(known)):
        yield Finding(
            "generator_starved", "suspect",
            f"an iteration spent {run.work_ms:,.1f} ms outside its requests, {usual:,.1f} ms in the runs before: "
            "k6 was short of CPU",
            {"outside_ms": round(run.work_ms, 1), "usual_ms": round(usual, 1)},
            remedy="give k6 a machine, or cores, of its own, and run the test again",
        )  # fmt: skip


AGAINST = (
    cut_short, load_below, script_error, endpoint_missing, definition_changed, thresholds_weakened, generator_starved,
)  # fmt: skip
"""Every rule that takes the runs before, in the order in which their causes come."""


def _per_s(shape: Shape) -> float:
    return shape.iterations / shape.load_s if shape.load_s else 0.0


def _per_iteration(shape: Shape) -> float:
    return shape.requests / shape.iterations if shape.iterations else 0.0


def _known(shape: Shape) -> set[tuple[str, str, str]]:
    return {(service or "", method, name) for service, method, name in shape.endpoints}


def _thresholds(shape: Shape, *, summaries: bool) -> dict[tuple[str, str, str], float]:
    """The strictest bound by metric, statistic and operator, as far as they can be read."""
    found: dict[tuple[str, str, str], float] = {}
    for text in shape.thresholds:
        metric, _, source = text.partition(": ") if "{" not in text else text.rpartition(": ")
        if ("{" in metric and not summaries) or not (bound := _BOUND.fullmatch(source)):
            continue
        key, limit = (metric, bound[1], bound[2]), float(bound[3])
        strictest = min if bound[2].startswith("<") else max
        found[key] = strictest(limit, found.get(key, limit))
    return found
