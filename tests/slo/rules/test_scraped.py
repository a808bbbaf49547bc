"""What Prometheus saw of a run that makes it doubtful, and what only explains it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from data.model import Pull, RunRecord, Series
from data.sources import Query
from slo.findings import find
from slo.queries import AGE, DOWN, GENERATOR, SATURATION, SCRAPES, STARTED, UP
from tests.builders import START, record, requests
from tests.slo.rules.runs import HEALTHY, during, refused, told

END = START + timedelta(seconds=60)
EVENT = "event"
Points = Sequence[tuple[float, float]]
"""Seconds into the run, and values."""


def answer(name: str, *series: Points, service: str | None = EVENT, at: float | None = None) -> Pull:
    """What Prometheus said to one question about a minute, asked every 5 s."""
    query = Query("main", name, 5.0, service, name, at)
    found = tuple(_series(-n, one) for n, one in enumerate(series, 1))
    return Pull(query, "ok" if found else "empty", START, END, END, found)


def _series(number: int, points: Points) -> Series:
    at, values = [START + timedelta(seconds=s) for s, _ in points], [v for _, v in points]
    return Series(
        number, "m", {}, len(values), sum(values), min(values), max(values), sum(v != 0 for v in values), at[0], at[-1],
        values[-1],
    )  # fmt: skip


def seen(*pulls: Pull, run: RunRecord = HEALTHY) -> RunRecord:
    return replace(run, pulls=pulls)


WATCHED = answer(UP, [(s, 1) for s in range(0, 61, 5)])


def scraped(scrapes: int, oldest_s: float) -> RunRecord:
    return seen(WATCHED, answer(SCRAPES, [(60, scrapes)]), answer(AGE, [(0, 0.5), (30, oldest_s)]))


DOWN_FROM_30 = answer(DOWN, [(s, 0.0) for s in (30, 35, 40)])
LOST = record(*requests(service=EVENT), *during(refused(20, service=EVENT), 31, 42))
LOST_EARLY = record(*requests(service=EVENT), *during(refused(20, service=EVENT), 1, 12))
THIRTY_IN = (START + timedelta(seconds=30)).timestamp()

SIGNS = {
    "k6 did not reach it either": (seen(DOWN_FROM_30, run=LOST), [("target_down", "invalid")]),
    "only the scrape failed": (seen(DOWN_FROM_30), [("target_down", "info")]),
    "another service was lost": (seen(replace(DOWN_FROM_30, query=Query("main", DOWN, 5, "chat", DOWN)), run=LOST),
                                 [("target_down", "info")]),
    "it was never down": (seen(answer(DOWN)), []),
    "a start within the run": (seen(answer(STARTED, [(0, 1.0), (35, THIRTY_IN)])), [("restarted", "suspect")]),
    "a new instance within the run": (seen(answer(STARTED, [(0, 1.0)], [(35, THIRTY_IN)])), [("restarted", "suspect")]),
    "a start before the run": (seen(answer(STARTED, [(0, START.timestamp() - 5)])), []),
    "a start just as the run begins": (seen(answer(STARTED, [(0, START.timestamp() + 0.5)])), []),
    "a start after the run": (seen(answer(STARTED, [(0, 1.0), (60, END.timestamp() + 5)])), []),
    "scraped all the time": (scraped(12, 6.0), []),
    "late by less than three intervals": (scraped(20, 8.9), []),
    "late by more": (scraped(20, 9.1), [("scrape_gap", "info")]),
    "late by less than a fifth of the run": (scraped(5, 11.9), []),
    "late by a larger share of it": (scraped(5, 12.1), [("scrape_gap", "info")]),
    "seen for the first seconds alone": (scraped(3, 60.0), [("scrape_gap", "info")]),
    "gone from the targets half-way": (
        seen(answer(UP, [(s, 1) for s in range(0, 31, 5)]), answer(SCRAPES, [(60, 6)]), answer(AGE, [(0, 5.0)])),
        [("scrape_gap", "info")],
    ),
    "lost long before it was down": (seen(DOWN_FROM_30, run=LOST_EARLY), [("target_down", "info")]),
    "scraped once": (scraped(1, 1.0), [("scrape_gap", "info")]),
    "not scraped at all": (seen(answer(UP, [(0, 1)])), [("scrape_gap", "info")]),
    "unknown to Prometheus": (seen(answer(UP), answer(SCRAPES), answer(AGE)), [("scrape_gap", "info")]),
    "pushed": (seen(answer(STARTED)), []),
    "used up": (seen(answer(f"{SATURATION}pool", [(0, 0.2), (30, 0.9)], at=0.9)), [("saturated", "info")]),
    "nearly used up": (seen(answer(f"{SATURATION}pool", [(0, 0.2), (30, 0.89)], at=0.9)), []),
    "one of two instances used up": (seen(answer(f"{SATURATION}pool", [(0, 0.2)], [(0, 1.0)], at=0.9)),
                                     [("saturated", "info")]),
    "k6's machine used up": (seen(answer(f"{GENERATOR}CPU", [(0, 0.99)], service=None, at=0.9)),
                             [("generator_starved", "suspect")]),
}  # fmt: skip


@pytest.mark.parametrize("case", SIGNS)
def test_a_rule_takes_its_sign_and_no_other(case: str) -> None:
    run, expected = SIGNS[case]
    ours = {"target_down", "restarted", "scrape_gap", "saturated", "generator_starved"}
    assert [one for one in told(run) if one[0] in ours] == expected


@pytest.mark.parametrize("case", [case for case in SIGNS if SIGNS[case][1]])
def test_a_finding_says_what_and_what_to_do(case: str) -> None:
    (code, _), *_ = SIGNS[case][1]
    (found,) = [one for one in find(SIGNS[case][0]).findings if one.code == code]
    assert found.message
    assert found.evidence
    assert found.remedy
    assert (found.service is None) == (code == "generator_starved")


def test_what_was_not_answered_is_no_sign() -> None:
    asked = (DOWN_FROM_30, answer(UP), answer(STARTED))
    failed = [replace(one, state="failed", series=(), problem="away") for one in asked]
    assert told(seen(*failed)) == []


def test_it_says_from_when_on_and_for_how_long() -> None:
    (found, *_) = find(seen(DOWN_FROM_30, run=LOST)).findings
    assert found.message == (
        "event was down from 30.0 s on, for about 15.0 s: Prometheus could not scrape it, and 20 requests of k6 "
        "did not reach it"
    )
