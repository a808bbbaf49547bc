"""A service over its runs, as a terminal shows it."""

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest

from data.model import Decision, DecisionKind
from reports import history
from slo.comparison import ServiceHistory, SliHistory, SliPoint
from slo.drift import Drift, Flaky, Return
from slo.shifts import Level, Point, Shift
from tests.builders import START
from tests.reports.test_compared import written

POINTS = tuple(
    SliPoint(f"run{day:02}", START + timedelta(days=day), 240.0 if day < 15 else 300.0, 500, "met", valid=day != 3,
             commit=f"{day:02}345678abc")
    for day in range(25)
)  # fmt: skip
SHIFT = Shift(
    15, Point("run14", POINTS[14].at, 240, "14345678abc"), Point("run15", POINTS[15].at, 300, "15345678abc"), 0.25,
    0.001, "worse", Level(240.0, 15), Level(300.0, 10), ("run14", "run15", "run16"), undone=False,
)  # fmt: skip
DRIFT = Drift(
    0.004, (0.002, 0.006), proven=True, headroom=0.12, breach_at=START + timedelta(days=60),
    breach_earliest=START + timedelta(days=50), breach_latest=START + timedelta(days=90), n=14, days=20.0,
)  # fmt: skip
FLAKY = Flaky((Return("run01", ("run02",), "run04", explained=False),), 14, 3)
QUIET = SliHistory(
    "http_req_duration", "p(95)", "ms", higher_is_worse=True, target="p(95) < 350ms", target_value=350.0,
    sentence="", points=POINTS,
)  # fmt: skip


def sli(**more: object) -> SliHistory:
    return replace(QUIET, **more)  # type: ignore[arg-type]  # any field


def of_service(*slis: SliHistory, **more: object) -> ServiceHistory:
    blank = ServiceHistory("shop", "7A", "main", "ci", "smoke", 25, "shop has a history", slis)
    return replace(blank, **more)  # type: ignore[arg-type]  # any field


def told(document: ServiceHistory, *, everything: bool = False) -> list[str]:
    return written(history.history(document, everything=everything))


@pytest.mark.parametrize(
    ("slis", "headline"),
    [
        ((QUIET, sli(shifts=(SHIFT,), open_shift=SHIFT), sli(flaky=FLAKY)), "✕ SHIFTED"),
        ((sli(shifts=(SHIFT,)), sli(drift=DRIFT)), "! DRIFTING"),
        ((QUIET, sli(flaky=FLAKY)), "! FLAKY"),
        ((QUIET, sli(drift=replace(DRIFT, breach_at=None))), "= STEADY"),
        ((), "– NO DATA"),
    ],
)
def test_a_history_begins_with_its_answer(slis: tuple[SliHistory, ...], headline: str) -> None:
    lines = told(of_service(*slis))
    assert lines[0] == f"{headline} shop has a history"
    assert lines[1] == "25 runs of test smoke on main in ci phase 7A"


def test_runs_are_listed_newest_first_with_glyph_and_word() -> None:
    lines = told(of_service(QUIET))
    rows = [line for line in lines if " run" in line and "UTC" in line]
    assert rows[0] == "✓ MET run24 2026-12-14 08:00 UTC 300 ms 500 24345678"
    assert len(rows) == 20
    assert "and 5 older runs (--all)" in lines
    every = told(of_service(QUIET), everything=True)
    assert "? IN DOUBT run03 2026-11-23 08:00 UTC 240 ms 500 03345678" in every


def test_a_shift_has_its_date_size_commits_and_runs_and_is_marked_at_its_run() -> None:
    lines = " ".join(told(of_service(sli(shifts=(SHIFT,), open_shift=SHIFT))))
    assert (
        "✕ SHIFT 2026-12-05 08:00 UTC +25 % (240 ms to 300 ms), worse, between run run14 and run run15, "
        "commits 14345678..15345678; nobody has accepted it" in lines
    )
    assert "run15 2026-12-05 08:00 UTC 300 ms 500 15345678 ◂ +25 % from here on" in lines
    assert "next phasegate compare run15 run14 # what changed there" in lines
    assert "phasegate baseline start run15 --reason TEXT" in lines


@pytest.mark.parametrize(
    ("shift", "words"),
    [
        (replace(SHIFT, undone=True), "= SHIFT"),
        (replace(SHIFT, undone=True), "; the level is back by now"),
        (replace(SHIFT, direction="better", size=-0.2), "✓ SHIFT 2026-12-05 08:00 UTC −20 %"),
        (SHIFT, "i SHIFT"),
        (
            replace(SHIFT, first_after=replace(SHIFT.first_after, commit="14345678abc")),
            "both of commit 14345678: it was not the code",
        ),
        (
            replace(
                SHIFT,
                last_before=replace(SHIFT.last_before, commit=None, version="1.0"),
                first_after=replace(SHIFT.first_after, version="1.1"),
            ),
            "versions 1.0..1.1",
        ),
    ],
)
def test_a_shift_that_is_not_open_says_what_became_of_it(shift: Shift, words: str) -> None:
    lines = " ".join(told(of_service(sli(shifts=(shift,)))))
    assert words in lines
    assert "nobody has accepted it" not in lines


def test_shares_shift_by_points() -> None:
    shift = replace(SHIFT, size=0.009, before=Level(0.001, 15), after=Level(0.01, 10))
    lines = " ".join(told(of_service(sli(unit="ratio", shifts=(shift,)))))
    assert "+0.9 points (0.10 % to 1.00 %)" in lines


def test_a_drift_has_what_is_left_and_when_the_target_is_reached() -> None:
    lines = " ".join(told(of_service(sli(drift=DRIFT))))
    assert (
        "! DRIFT +8.3 % over the last 20 d (+4.1 to +13 %, 14 runs); 12 % to spare; reaches the target on 2027-01-19 "
        "(2027-01-09 to 2027-02-18)" in lines
    )
    assert "next phasegate compare run24 run00 # what has grown" in lines
    open_end = replace(DRIFT, breach_latest=None)
    assert "(2027-01-09 at the earliest)" in " ".join(told(of_service(sli(drift=open_end))))
    unproven = replace(DRIFT, proven=False, breach_at=None)
    assert "DRIFT" not in " ".join(told(of_service(sli(drift=unproven))))
    assert "not told from noise" in " ".join(told(of_service(sli(drift=unproven)), everything=True))


def test_a_flaky_objective_names_the_runs_between_which_it_flipped() -> None:
    lines = told(of_service(sli(flaky=FLAKY)), everything=True)
    assert (
        "! FLAKY failed in 3 of 14 judged runs and came back without a change: run02 between run01 and run04"
        in " ".join(lines)
    )
    assert "✓ MET run02 2026-11-22 08:00 UTC 240 ms 500 02345678 flaky" in lines


def test_what_did_not_move_is_summed_up() -> None:
    rate = sli(sli="http_req_failed", stat="rate", unit="ratio", target=None, points=POINTS[:0])
    lines = told(of_service(sli(shifts=(SHIFT,)), rate))
    assert lines[lines.index("The other numbers did not move (--all)") + 2] == "http_req_failed rate – – 0"
    assert "The other numbers did not move (--all)" not in told(of_service(QUIET, rate), everything=True)


def test_a_service_without_runs_says_how_to_begin() -> None:
    assert told(of_service())[-1].startswith("next phasegate ingest FILE --service shop")


def test_decisions_are_part_of_a_history() -> None:
    decision = Decision("run03", "invalidated", "noisy\nneighbour", START)
    lines = told(of_service(QUIET, decisions=(decision,)))
    assert "2026-11-20 08:00 UTC run run03 enters no baseline any more noisy neighbour" in lines


@pytest.mark.parametrize("kind", get_args(DecisionKind))
def test_a_decision_says_what_it_means(kind: DecisionKind) -> None:
    first, *_, last = written(history.decided(Decision("run03", kind, "a reason", START)))
    assert "run03" in first
    assert first.endswith(": a reason")
    assert first[0].isupper()
    assert last == "next phasegate baseline show run03"
