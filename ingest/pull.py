"""Pulls what Prometheus knows of a run's time into the store: a batch at a time, so that what was answered stays.

Asked again, only what was not answered is asked. A source that is away is asked once, not once per question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from data.errors import QueryRefused, SourceDown, SourceError
from data.model import Pull, PullState
from ingest.prometheus import Prometheus

if TYPE_CHECKING:
    from data.model import Run
    from data.pulled import Points
    from data.sources import Connection, Query, Span
    from data.store import Store

    Answered = tuple[Pull, tuple[Points, ...]]

BATCH = 25
"""Questions whose answers are stored at once: what an interruption costs."""
BATCH_POINTS = 1_000_000
"""Beyond so many points a batch is stored before it is full: they are held in memory until then."""
CLOCK_TOLERANCE_S = 5.0
"""A source whose clock is further off than this has stamped the samples with another time than k6 its own."""
ANSWERS_OF_BEFORE_S = 60.0
"""VictoriaMetrics answers of half a minute ago where no time is named, and its clock is right all the same."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Asked:
    """What became of a pull: how many questions there are, how many were asked now, and how many of those in vain.

    ``unasked`` are due and were not asked for want of time; ``open`` are to be asked again. ``answered`` are the
    sources that have answered something.
    """

    questions: int
    asked: int
    failed: int
    unasked: int
    open: int
    problems: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()


def is_open(pull: Pull | None, span: Span) -> bool:
    """Is there no answer yet, or one from before the time that it is about was over?"""
    return pull is None or pull.again or pull.pulled_at < span.settled_at


def is_due(pull: Pull | None, span: Span, place: str) -> bool:
    """Is it to be asked? What was refused may have been mended there; another place has other answers."""
    return pull is None or is_open(pull, span) or pull.state == "failed" or pull.place != place


def pull(  # noqa: PLR0913, PLR0917  # what is asked, of whom, about when, and what has been
    store: Store,
    run: Run,
    queries: Sequence[Query],
    connections: Mapping[str, Connection],
    spans: Mapping[str, Span],
    environment: Mapping[str, str],
    *,
    everything: bool = False,
    until: Callable[[], bool] = lambda: False,
    on_progress: Progress | None = None,
) -> Asked:
    """Ask what is due about a run and keep the answers; ``everything``: what was answered, too.

    ``until`` ends it early: what was not asked by then stays due. Nothing that a source does is an error here: why it
    has not answered is kept in the answer's place.

    Raises:
        StoreError: the answers cannot be kept.
    """
    known = store.record(run.id).pulls
    before = {one.query.id: one for one in known}

    def is_wanted(query: Query) -> bool:
        return everything or is_due(before.get(query.id), spans[query.source], connections[query.source].place)

    asked = [query for query in queries if is_wanted(query)]
    kept, answers = dict(before), dict[str, Pull]()
    for source, connection in connections.items():
        own = [query for query in asked if query.source == source]
        for found in _batches(source, own, connection, spans[source], environment, until):
            batch = [(replace(one, place=connection.place), points) for one, points in found]
            answers |= {one.query.id: one for one, _ in batch}
            kept |= {one.query.id: one for one, points in batch if _says_more(one, points, before.get(one.query.id))}
            if new := [answer for answer in batch if kept.get(answer[0].query.id) is answer[0]]:
                store.add_pulls(run.id, new)
            if on_progress:
                on_progress(len(answers), len(asked))
    failed = [one for one in answers.values() if one.state == "failed"]
    left = sum(is_open(kept.get(query.id), spans[query.source]) for query in queries)
    answered = dict.fromkeys(one.query.source for one in answers.values() if one.state != "failed")
    problems = dict.fromkeys(one.problem for one in failed if one.problem)
    return Asked(
        len(queries), len(answers), len(failed), len(asked) - len(answers), left, tuple(problems), tuple(answered)
    )


def _says_more(now: Pull, points: Sequence[Points], before: Pull | None) -> bool:
    """A failure takes no answer's place, and is not kept twice; nor does less than what the same place said before."""
    if before is None:
        return True
    if now.state == "failed":
        return before.state == "failed" and before.problem != now.problem
    if before.state == "failed" or before.place != now.place:
        return True
    within = (int(at.timestamp() * 1e6) for at in (now.start, now.end))
    first, last = within
    found = sum(int(np.count_nonzero((one.t >= first) & (one.t <= last) & np.isfinite(one.v))) for one in points)
    return found >= sum(one.n for one in before.series)


def _batches(  # noqa: PLR0913, PLR0917  # as above
    source: str,
    queries: Sequence[Query],
    connection: Connection,
    span: Span,
    environment: Mapping[str, str],
    until: Callable[[], bool],
) -> Iterator[list[Answered]]:
    if not queries:
        return
    try:
        prometheus = Prometheus(source, connection, environment)
    except SourceError as error:
        yield [(_failed(query, span, error), ()) for query in queries]
        return
    with prometheus:
        trouble = _trouble(prometheus)
        batch: list[Answered] = []
        for query in queries:
            if until():
                break
            answered = (_failed(query, span, trouble), ()) if trouble else _answer(prometheus, query, span)
            batch.append(answered)
            if answered[0].again and not trouble:  # one question may take too long: others need not wait for it
                trouble = _trouble(prometheus)
            if len(batch) == BATCH or sum(len(one.t) for _, points in batch for one in points) > BATCH_POINTS:
                yield batch
                batch = []
        if batch:
            yield batch


def _trouble(prometheus: Prometheus) -> SourceError | None:
    """Why it makes no sense to ask a source now: it is away, does not let us in, or lives at another time."""
    now = datetime.now(UTC)
    try:
        ahead = (prometheus.clock() - now).total_seconds()
    except SourceError as error:
        return error
    if abs(ahead) <= CLOCK_TOLERANCE_S:
        return None
    dated = prometheus.dated()
    if dated and abs((dated - now).total_seconds()) <= CLOCK_TOLERANCE_S and -ANSWERS_OF_BEFORE_S <= ahead <= 0:
        return None
    how = f"{timedelta(seconds=round(abs(ahead)))} {'ahead' if ahead > 0 else 'behind'}"
    return SourceDown(
        f"the clock of prometheus `{prometheus.name}` is {how}, so which samples are of this run cannot be told",
        help="set both clocks by NTP, then `phasegate prometheus pull RUN`",
    )


def _answer(prometheus: Prometheus, query: Query, span: Span) -> Answered:
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        if query.step_s is None:
            found = prometheus.instant(query.promql, span.end)
        else:
            steps = int(span.margin_s // query.step_s)
            before = span.start - timedelta(seconds=steps * query.step_s)
            after = min(span.end + timedelta(seconds=span.margin_s), max(now, span.end))
            found = prometheus.range(query.promql, before, after, query.step_s)
    except SourceError as error:
        return _failed(query, span, error), ()
    state: PullState = "ok" if found.series else "empty"
    return Pull(query, state, span.start, span.end, datetime.now(UTC), warnings=found.warnings), found.series


def _failed(query: Query, span: Span, error: SourceError) -> Pull:
    again = not isinstance(error, QueryRefused)
    return Pull(query, "failed", span.start, span.end, datetime.now(UTC), problem=error.message, again=again)
