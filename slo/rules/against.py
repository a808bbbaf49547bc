"""Can the run be believed, seen beside the runs before it? Small pure rules over shapes, each with what it detects.

A run that was cut, or was given less load, looks like a faster service. None of it shows in a run alone: it takes the
runs that it is compared with, the newest first.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from slo import numbers
from slo.model import Finding
from slo.rules.definition import definition_changed, endpoint_missing, thresholds_weakened
from slo.shape import beside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slo.shape import Flow, Shape

LESS = 0.8
"""A run with less than this share of the load or length of those before it is another run: their own spread, with the
same script, is a few per cent."""
OFF_BEAT_MS = 10.0
"""k6's clock is mostly less than 1 ms off its beat of a second, on a busy machine too; stopped for most of its time,
40 ms."""
_SLACK_S = 2.0
_STRAY = 2
_GENERATOR = 1.5
_GENERATOR_MS = 3.0
_SHOWN = 5
_OWN_CORES = "give k6 a machine, or cores, of its own, and run the test again"


def find_against(run: Shape, before: Sequence[Shape]) -> tuple[Finding, ...]:
    """Every rule's findings about a run beside those before it; without any, only what needs none."""
    if not (run.iterations or run.requests):
        return ()
    return tuple(finding for rule in (AGAINST if before else (off_beat,)) for finding in rule(run, before))


def cut_short(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """The test ended earlier than it does: it was stopped, or crashed, whatever exit code was handed in.

    Signs: teardown() is missing although every run before had one; the load is shorter than four fifths (``LESS``)
    of their median, by more than 2 s, which a short test is off by anyway, and did less: a test of so many iterations
    is over earlier when the service is faster.
    """
    usual_s = median(one.load_s for one in before)
    shorter = run.load_s < LESS * usual_s and usual_s - run.load_s > _SLACK_S
    signs = []
    if not run.has_teardown and all(one.has_teardown for one in before):
        signs.append("teardown() did not run")
    if shorter and _did_less(run, before):
        signs.append(f"its load lasted {numbers.seconds(run.load_s)} instead of {numbers.seconds(usual_s)}")
    if signs:
        yield Finding(
            "aborted", "suspect", f"the test did not come to its usual end: {' and '.join(signs)}",
            {"load_s": round(run.load_s, 1), "usual_s": round(usual_s, 1), "teardown": run.has_teardown},
            remedy="run the test to its end",
        )  # fmt: skip


def load_below(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """The service got less load than in the runs before, so its latency is that of an easier test.

    A scenario ran less than four fifths (``LESS``) of its usual iterations per second, fewer than in any run before,
    and more than two (``_STRAY``) were missing. Per second, not in all, so that a run that was cut is told once. Users
    that wait for a slower service (constant VUs) send less, too: then the latency shown is too good, and says so here.
    A test of so many iterations that took longer is left alone.
    """
    less = []
    for flow, past in beside(run, before):
        usual = median(one.per_s for one in past)
        missing = round(usual * flow.span_s) - flow.iterations
        if flow.per_s >= min(LESS * usual, *(one.per_s for one in past)) or missing <= _STRAY or _all_run(flow, past):
            continue
        waited = flow.users >= LESS * median(one.users for one in past)
        why = "as many users at once waited longer" if waited else "the script asks for less, or k6 fell behind"
        less.append(f"{flow.per_s:,.2f} iterations per second{run.of(flow)} were run instead of {usual:,.2f}: {why}")
    if less:
        yield Finding(
            "load_not_delivered", "suspect", "; ".join(less[:_SHOWN]), {"scenarios": less},
            remedy="use an arrival-rate executor with VUs to spare, so that a slower service gets the same load",
        )  # fmt: skip


def script_error(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """Iterations send fewer requests than they do: a script that throws midway, or leaves early.

    In a scenario, fewer than four fifths (``LESS``) of the usual, and fewer than in any run before. k6 counts a thrown
    iteration as complete and exits 0. More requests are no loss; endpoints that are new are told by
    `definition_changed`.
    """
    less = []
    for flow, past in beside(run, before):
        usual = median(one.per_iteration for one in past)
        if flow.iterations and flow.per_iteration < min(LESS * usual, *(one.per_iteration for one in past)):
            less.append(f"{flow.per_iteration:.2f} requests per iteration{run.of(flow)} instead of {usual:.2f}")
    if less:
        yield Finding(
            "script_error", "suspect", f"{'; '.join(less[:_SHOWN])}: iterations end early", {"scenarios": less},
            remedy="look for exceptions in k6's log (level=error), or for a branch that is not taken any more",
        )  # fmt: skip


def generator_starved(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """k6 itself was short of CPU: iterations take much longer around their requests than they did, and in reading.

    What an iteration lasts beyond its requests, a time that only the generator spends, grew by half and by 3 ms, and
    half beyond any run before; and so by half did the time to read an answer, else the script was given a longer sleep.
    The requests themselves are then measured late, and look slower than they were.
    """
    known = [one.work_ms for one in before if one.work_ms is not None]
    if run.work_ms is None or not known:
        return
    usual = median(known)
    reading = [one.receiving_ms for one in before if one.receiving_ms is not None]
    slept = bool(reading) and run.receiving_ms is not None and run.receiving_ms <= _GENERATOR * max(reading)
    if run.work_ms > max(usual + _GENERATOR_MS, _GENERATOR * max(known)) and not slept:
        yield Finding(
            "generator_starved", "suspect",
            f"an iteration spent {run.work_ms:,.1f} ms outside its requests, {usual:,.1f} ms in the runs before: "
            "k6 was short of CPU",
            {"outside_ms": round(run.work_ms, 1), "usual_ms": round(usual, 1)}, remedy=_OWN_CORES,
        )  # fmt: skip


def off_beat(run: Shape, _before: Sequence[Shape]) -> Iterator[Finding]:
    """k6's own clock stumbles, as under a container's CPU quota: the latencies it measured are partly its own.

    k6 counts its virtual users once a second. In more than half of the seconds it was more than 10 ms
    (``OFF_BEAT_MS``) off that beat; a stumble now and then is usual. It takes no earlier run to see that.
    """
    if run.off_beat_ms is not None and run.off_beat_ms > OFF_BEAT_MS:
        yield Finding(
            "generator_starved", "suspect",
            f"k6 was mostly {run.off_beat_ms:,.0f} ms or more off its own beat of a second: it was short of CPU, and "
            "took its own stops for latency",
            {"off_beat_ms": round(run.off_beat_ms, 1)}, remedy=_OWN_CORES,
        )  # fmt: skip


AGAINST = (
    cut_short, load_below, script_error, endpoint_missing, definition_changed, thresholds_weakened, generator_starved,
    off_beat,
)  # fmt: skip
"""Every rule that takes the runs before, in the order in which their causes come."""


def _did_less(run: Shape, before: Sequence[Shape]) -> bool:
    usual = [median(one.iterations for one in before), median(one.requests for one in before)]
    return any(did < LESS * one for did, one in zip((run.iterations, run.requests), usual, strict=True))


def _all_run(flow: Flow, past: Sequence[Flow]) -> bool:
    """As many iterations as ever, by as many users at once: only the service took longer."""
    iterations, users = median(one.iterations for one in past), median(one.users for one in past)
    return flow.iterations >= LESS * iterations and flow.users >= LESS * users
