"""Which earlier runs count: the newest of the same test that can be believed, agree, and were not taken out."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from data.model import Decision, DecisionKind, Run, RunMeta
from slo.baseline import (
    MOST_REPEATS,
    Assessed,
    Departure,
    Judges,
    Past,
    candidates,
    decision_in_force,
    looked_back,
    past_of,
    same_test,
)
from slo.config import parse_config
from slo.plan import Baseline
from slo.shape import Shape, shape_of
from tests.builders import START, record, requests, series

RULE = Baseline(runs=3)
NIGHTLY = RunMeta(test="nightly", branch="main", environment="ci", phase="7A")


def run(number: int, meta: RunMeta = NIGHTLY, **more: object) -> Run:
    """The run of night ``number``."""
    night = START + timedelta(days=number)
    base = replace(record().run, id=f"run{number:02}", meta=meta, started_at=night, received_at=night)
    return replace(base, **more)  # type: ignore[arg-type]


def shape(of: Run, *names: str) -> Shape:
    """What a run was made of that called these endpoints 100 times each."""
    load = [s for name in names or ("/a",) for s in requests(service="shop", method="GET", name=name)]
    return replace(shape_of(record(*load, series("iterations", 100))), run_id=of.id)


HISTORY = [run(number) for number in range(6)]
NOW = run(9)


def past(
    now: Run = NOW,
    history: Sequence[Run] = HISTORY,
    *,
    doubts: dict[str, str] | None = None,
    odd: Sequence[str] = (),
    decided: Decision | None = None,
    departure: Departure = lambda _run, _before: None,
) -> Past:
    def assess(other: Run) -> Assessed:
        return Assessed(shape(other, *(("/b",) if other.id in odd else ())), (doubts or {}).get(other.id))

    chosen = candidates(now, same_test(now, history), RULE)
    return past_of(now, chosen, RULE, Judges(assess, departure), decided)


def ids(shapes: Sequence[Shape]) -> list[str]:
    return [one.run_id for one in shapes]


def test_the_last_runs_before_it_are_its_baseline_the_newest_first() -> None:
    found = past()
    assert (found.kind, ids(found.runs), found.repeats) == ("rolling", ["run05", "run04", "run03"], ())


@pytest.mark.parametrize(
    "meta",
    [
        replace(NIGHTLY, test="other"), replace(NIGHTLY, test=None), replace(NIGHTLY, environment="staging"),
        replace(NIGHTLY, service="shop"), replace(NIGHTLY, branch="feature"), replace(NIGHTLY, branch=None),
    ],
)  # fmt: skip
def test_runs_of_another_test_or_branch_do_not_count(meta: RunMeta) -> None:
    assert past(history=[run(1, meta)]).kind == "none"


def test_a_branch_is_held_against_main_and_runs_without_branches_against_each_other() -> None:
    feature, bare = replace(NIGHTLY, branch="feature"), replace(NIGHTLY, branch=None)
    assert ids(past(run(9, feature)).runs) == ["run05", "run04", "run03"]
    assert ids(past(run(9, bare), [run(1, bare), run(2)]).runs) == ["run02", "run01"]


def test_a_later_run_is_no_baseline_even_if_it_was_uploaded_before() -> None:
    assert ids(past(run(2)).runs) == ["run01", "run00"]


def test_a_run_whose_clock_runs_ahead_is_ordered_by_its_receipt() -> None:
    ahead = run(1, started_at=START + timedelta(days=999))
    assert ids(past(run(2), [ahead]).runs) == ["run01"]


def test_a_run_in_doubt_is_left_out_and_said_so() -> None:
    found = past(doubts={"run04": "suspect: truncated"})
    assert ids(found.runs) == ["run05", "run03", "run02"]
    assert found.left_out == (("run04", "suspect: truncated"),)


def test_an_odd_one_out_does_not_make_the_baseline() -> None:
    found = past(odd=["run05"])
    assert ids(found.runs) == ["run04", "run03", "run02"]
    (left,) = found.left_out
    assert left == ("run05", "suspect beside the others: endpoint_missing, and nobody has accepted it")


def test_a_changed_test_stays_suspect_however_often_it_ran_until_somebody_accepts_it() -> None:
    changed = [f"run{number:02}" for number in range(2, 6)]
    assert ids(past(odd=changed).runs) == ["run01", "run00"]
    assert ids(past(odd=changed, decided=decision("run02", "started")).runs) == ["run05", "run04", "run03"]


def test_an_early_run_that_was_bad_is_found_out_by_those_after_it() -> None:
    def departure(one: Shape, before: Sequence[Shape]) -> str | None:
        return "it got worse" if one.run_id == "run01" and len(before) > 1 else None

    found = past(departure=departure)
    assert "run01" in dict(found.left_out)


def test_a_short_baseline_remembers_as_long_as_any() -> None:
    def departure(one: Shape, _before: Sequence[Shape]) -> str | None:
        return "it got worse" if one.run_id >= "run04" else None

    assert looked_back(Baseline(runs=1)) == looked_back(Baseline())
    found = past_of(NOW, same_test(NOW, HISTORY), Baseline(runs=1), Judges(lambda r: Assessed(shape(r)), departure))
    assert ids(found.runs) == ["run03"]


def test_runs_of_the_same_commit_count_together_on_whatever_branch() -> None:
    same = replace(NIGHTLY, commit="abc")
    history = [*HISTORY, run(6, replace(same, branch="feature")), run(7, same)]
    found = past(run(9, same), history)
    assert ids(found.repeats) == ["run07", "run06"]
    assert ids(found.runs) == ["run05", "run04", "run03"]


def test_only_some_repeats_are_looked_at() -> None:
    same = replace(NIGHTLY, commit="abc")
    found = past(run(30, same), [run(number, same) for number in range(20)])
    assert (len(found.repeats), found.kind) == (MOST_REPEATS, "none")


def decision(run_id: str, kind: DecisionKind, reason: str = "because") -> Decision:
    return Decision(run_id, kind, reason, START)


def test_a_pinned_run_is_the_baseline_whatever_came_after() -> None:
    found = past(decided=decision("run01", "pinned", "release 1.3"))
    assert (found.kind, ids(found.runs)) == ("pinned", ["run01"])
    assert found.decided is not None
    assert found.decided.reason == "release 1.3"


def test_a_baseline_begins_anew_with_a_run() -> None:
    assert ids(past(decided=decision("run04", "started")).runs) == ["run05", "run04"]
    assert past(decided=decision("run09", "started")).kind == "none", "the run itself begins it"


@pytest.mark.parametrize(
    ("decisions", "held"),
    [
        ([], None),
        ([decision("run01", "pinned")], "run01"),
        ([decision("run01", "pinned"), decision("run03", "started")], "run03"),
        ([decision("run03", "started"), decision("run01", "pinned")], "run01"),
        ([decision("run01", "pinned"), decision("run01", "released")], None),
        ([decision("run01", "pinned"), decision("run02", "released")], "run01"),
        ([decision("run01", "started"), decision("run02", "pinned"), decision("run02", "released")], "run01"),
        ([decision("run01", "invalidated")], None),
        ([decision("run09", "started")], "run09"),
        ([decision("run09", "pinned")], None),
        ([decision("run11", "started")], None),
        ([decision("elsewhere", "pinned")], None),
    ],
)
def test_the_last_decision_about_a_run_before_it_holds(decisions: list[Decision], held: str | None) -> None:
    found = decision_in_force(NOW, same_test(NOW, [*HISTORY, run(11)]), RULE, decisions)
    assert (found and found.run_id) == held


PHASES = parse_config(
    """
version: 1
phases:
  - {id: "1", objectives: [{sli: http_reqs, target: "count > 0"}]}
  - {id: 7A, after: ["1"], objectives: [{sli: http_reqs, target: "count > 0"}]}
"""
)


@pytest.mark.parametrize(
    ("rule", "expected"), [("any", ["run02", "run01"]), ("same", ["run02"]), ("previous", ["run01"])]
)
def test_a_baseline_may_be_of_one_phase(rule: str, expected: list[str]) -> None:
    history = [run(1, replace(NIGHTLY, phase="1")), run(2)]
    found = candidates(NOW, same_test(NOW, history), Baseline(phase=rule), PHASES.phase("7A"))  # type: ignore[arg-type]
    assert [one.id for one in found] == expected


def test_a_decision_about_another_branch_holds_there_only() -> None:
    feature = replace(NIGHTLY, branch="feature")
    there = run(3, feature)
    decisions = [decision(there.id, "started")]
    assert decision_in_force(NOW, [there], RULE, decisions) is None
    assert decision_in_force(run(9, feature), [there], RULE, decisions) == decisions[0]


def test_a_run_that_got_worse_is_left_out_until_somebody_accepts_it() -> None:
    def departure(one: Shape, before: Sequence[Shape]) -> str | None:
        assert one not in before
        return "it got worse" if one.run_id in {"run04", "run05"} else None

    found = past(departure=departure)
    assert ids(found.runs) == ["run03", "run02", "run01"]
    assert dict(found.left_out) == dict.fromkeys(("run05", "run04"), "it got worse, and nobody has accepted it")
    assert ids(past(departure=departure, decided=decision("run04", "started")).runs) == ["run05", "run04"]


def test_a_pinned_run_of_the_same_commit_is_the_baseline_and_no_repeat() -> None:
    same = replace(NIGHTLY, commit="abc")
    found = past(run(9, same), [run(1, same), run(2)], decided=decision("run01", "pinned"))
    assert (found.kind, ids(found.runs), found.repeats) == ("pinned", ["run01"], ())


def test_of_a_long_history_of_doubt_only_so_much_is_told() -> None:
    history = [run(number) for number in range(40)]
    found = past(run(50), history, doubts={one.id: "invalid: unreachable" for one in history})
    assert found.kind == "none"
    assert len(found.left_out) <= 20
