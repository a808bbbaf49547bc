"""Was the service there, and was it watched? Rules over what Prometheus said of the run's time."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from slo import numbers
from slo.model import Evidence, Finding
from slo.queries import AGE, DOWN, GENERATOR, SATURATION, SCRAPES, STARTED, UP
from slo.rules.traffic import requests_of, unreached

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data.model import Pull, RunRecord, Series

FEWEST_SCRAPES = 2
"""Of one alone nothing is known of what came before or after it in the run."""
GAP = 3.0
"""Scrapes missed in a row are a gap from this many usual intervals on: one that is late is no sign of anything."""
MANY_SCRAPES = 12
"""What the usual interval is, can be told from so many: of few, a gap would be a large part of it."""
MOST_UNSEEN = 0.2
"""A larger share of the run's time than this without a scrape is a gap, whatever is usual."""


def target_down(record: RunRecord) -> Iterator[Finding]:
    """A service could not be scraped while it was loaded (``up`` is 0).

    Where k6 could not reach it either, it was not there: what was measured then is no latency, and what it does under
    this load is not known. That is invalid. Where k6 did, only Prometheus lost it, and what is measured by Prometheus
    is not known for that time.
    """
    for service, pull in _answers(record, DOWN):
        if not (down := [one for one in pull.series if one.n]):
            continue
        first, last = min(one.first_at for one in down), max(one.last_at for one in down)
        beside = timedelta(seconds=2 * (pull.query.step_s or 0))
        lost = [
            s
            for s in _requests(record, service)
            if unreached(s) and s.first_at <= last + beside and s.last_at >= first - beside
        ]
        n = sum(s.n for s in lost)
        for_s = (last - first).total_seconds() + (pull.query.step_s or 0)
        when = f"from {_into(pull, first)} on, for about {numbers.seconds(for_s)}"
        evidence: Evidence = {"from": first.isoformat(), "for_s": for_s, "unreached": n}
        if lost:
            yield Finding(
                "target_down", "invalid",
                f"{service} was down {when}: Prometheus could not scrape it, and {numbers.things(n, 'request')} of k6 "
                "did not reach it",
                evidence, service,
                f"see in the log of {service} why it stopped: if it was this load, it has failed whatever the numbers",
            )  # fmt: skip
        else:
            yield Finding(
                "target_down", "info", f"Prometheus could not scrape {service} {when}, while k6 reached it",
                evidence, service, "see that its metrics are served under load, and scraped in time (scrape_timeout)",
            )  # fmt: skip


def restarted(record: RunRecord) -> Iterator[Finding]:
    """A service began anew while it was loaded (``process_start_time_seconds`` lies within the run).

    Before and after are two processes: cold caches, other memory, perhaps another version. What looks met is not
    proven.
    """
    for service, pull in _answers(record, STARTED):
        starts = sorted({s.max for s in pull.series if s.n and pull.start.timestamp() + 1 < s.max})
        starts = [at for at in starts if at <= pull.end.timestamp()]
        if starts:
            at = datetime.fromtimestamp(starts[-1], UTC)
            yield Finding(
                "restarted", "suspect", f"{service} was started anew {_into(pull, at)} into the run",
                {"started_at": at.isoformat(), "restarts": len(starts)}, service,
                "see why: a deployment, a crash, a kill for its memory; then run the test again",
            )  # fmt: skip


def scrape_gap(record: RunRecord) -> Iterator[Finding]:
    """Prometheus has looked at a service too seldom to tell what it did in the run.

    That is no target at all, fewer than two scrapes within the run (``FEWEST_SCRAPES``), or none for more
    than a fifth of it (``MOST_UNSEEN``), or for three usual intervals (``GAP``) where there are scrapes enough to know
    what is usual (``MANY_SCRAPES``). Between scrapes it shows the last value, for up to five minutes. Of several
    targets the one that was looked at best counts: others come and go. k6's own numbers are not in doubt by that.
    """
    ages = {(pull.query.source, service): pull for service, pull in _answers(record, AGE)}
    counts = {(pull.query.source, service): _largest(pull) for service, pull in _answers(record, SCRAPES)}
    for service, pull in _answers(record, UP):
        place = pull.query.source, service
        if not pull.series:
            yield Finding(
                "scrape_gap", "info",
                f"Prometheus knows no target of {service} ({pull.query.promql} is empty), so whether it looked is not "
                "known",
                {"promql": pull.query.promql}, service,
                "say in slo.yaml how its targets are found (`select`), or `scraped: false` where they push",
            )  # fmt: skip
            continue
        scrapes, oldest = round(counts.get(place, 0.0)), _largest(ages[place]) if place in ages else 0.0
        seconds = (pull.end - pull.start).total_seconds()
        unseen = 1 - max(one.n for one in pull.series) / pull.expected
        evidence: Evidence = {"scrapes": scrapes, "oldest_s": oldest, "unseen": unseen}
        usual = seconds / scrapes if scrapes >= MANY_SCRAPES else math.inf
        if scrapes < FEWEST_SCRAPES:
            told = f"scraped {service} {('not at all', 'once')[scrapes]} in the {numbers.seconds(seconds)} of the run"
        elif oldest > min(GAP * usual, MOST_UNSEEN * seconds):
            told = f"did not scrape {service} for {numbers.seconds(oldest)} of the run's {numbers.seconds(seconds)}"
        elif unseen > MOST_UNSEEN:
            told = f"had {service} among its targets for {numbers.ratio(1 - unseen, 0)} of the run only"
        else:
            continue
        yield Finding(
            "scrape_gap", "info", f"Prometheus {told}", evidence, service,
            "let the test run longer, or scrape more often (scrape_interval)",
        )  # fmt: skip


def saturated(record: RunRecord) -> Iterator[Finding]:
    """Something of a service was used up, as ``saturation`` in slo.yaml has it: a pool, its memory, its CPU.

    What is slow then is slow for that. The measurement is as good as any.
    """
    for pull, peak in _peaks(record, SATURATION):
        of = f" of {pull.query.service}" if pull.query.service else ""
        yield Finding(
            "saturated", "info",
            f"{pull.query.name.removeprefix(SATURATION) if pull.query.name else ''}{of} was used up to "
            f"{numbers.ratio(peak, 0)}",
            {"peak": peak, "at": pull.query.at}, pull.query.service,
            "raise the limit, or use less of it, before looking for what else is slow",
        )  # fmt: skip


def generator_used_up(record: RunRecord) -> Iterator[Finding]:
    """The machine that k6 ran on was used up, as ``saturation`` with ``generator: true`` in slo.yaml has it.

    k6 measures with its own clock: where it waits for a CPU, it takes that for a slow service.
    """
    for pull, peak in _peaks(record, GENERATOR):
        name = pull.query.name.removeprefix(GENERATOR) if pull.query.name else ""
        yield Finding(
            "generator_starved", "suspect",
            f"the machine that k6 ran on was used up: {name} at {numbers.ratio(peak, 0)}; its waiting counts as the "
            "service's time",
            {"peak": peak, "at": pull.query.at},
            remedy="give k6 a larger machine, or several, or send less load from it",
        )  # fmt: skip


def _answers(record: RunRecord, name: str) -> Iterator[tuple[str, Pull]]:
    for pull in record.pulls:
        if pull.query.name == name and pull.query.service is not None and pull.state != "failed":
            yield pull.query.service, pull


def _peaks(record: RunRecord, prefix: str) -> Iterator[tuple[Pull, float]]:
    for pull in record.pulls:
        if (pull.query.name or "").startswith(prefix) and (series := [one for one in pull.series if one.n]):
            peak = max(one.max for one in series)
            if pull.query.at is not None and peak >= pull.query.at:
                yield pull, peak


def _requests(record: RunRecord, service: str) -> list[Series]:
    return [one for of, series, _ in requests_of(record) if of == service for one in series]


def _largest(pull: Pull) -> float:
    return max((one.max for one in pull.series if one.n), default=0.0)


def _into(pull: Pull, at: datetime) -> str:
    return numbers.seconds(max(0.0, (at - pull.start).total_seconds()))
