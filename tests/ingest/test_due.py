"""Which questions are asked again, and which are settled."""

from dataclasses import replace
from datetime import timedelta

import pytest

from data.model import Pull
from data.sources import Query, Span
from ingest.pull import is_due, is_open
from tests.builders import START

SPAN = Span(START, START + timedelta(seconds=60), margin_s=30)
HERE, ELSEWHERE = "http://here", "http://elsewhere"
ANSWERED = Pull(Query("main", "up", 5.0), "ok", SPAN.start, SPAN.end, SPAN.end + timedelta(seconds=30), place=HERE)
EARLY = replace(ANSWERED, pulled_at=SPAN.end + timedelta(seconds=29))
EMPTY = replace(ANSWERED, state="empty")
AWAY = replace(ANSWERED, state="failed", again=True)
REFUSED = replace(ANSWERED, state="failed", again=False)


@pytest.mark.parametrize(
    ("pull", "place", "still_open", "due"),
    [
        (None, HERE, True, True),
        (ANSWERED, HERE, False, False),
        (ANSWERED, ELSEWHERE, False, True),
        (EARLY, HERE, True, True),
        (EMPTY, HERE, False, False),
        (EMPTY, ELSEWHERE, False, True),
        (AWAY, HERE, True, True),
        (REFUSED, HERE, False, True),
    ],
    ids=["never", "answered", "moved", "before its margin", "nothing", "nothing elsewhere", "away", "refused"],
)
def test_what_is_asked_again(pull: Pull | None, place: str, *, still_open: bool, due: bool) -> None:
    """By itself only what is open; by hand what was refused, too, and what another place may know."""
    assert (is_open(pull, SPAN), is_due(pull, SPAN, place)) == (still_open, due)
