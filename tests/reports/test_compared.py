"""What changed, as a terminal shows it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console, RenderableType

from reports import compared, text
from reports.layout import WIDTH
from slo.comparing import outcome
from slo.comparison import CompareView, EndpointChange
from slo.model import BaselineRef, Comparison, ComparisonState, Endpoint, Measurement, RunRef
from tests.builders import START, finding
from tests.reports.test_text import MET, RUN, verdict

OTHER = replace(RUN, id="0a1b2c3d4e5f", commit="1234567890", started_at=START - timedelta(days=2))
IDS = tuple(f"{number:012x}" for number in range(10))
ROLLING = BaselineRef("rolling", IDS, START - timedelta(days=9), START - timedelta(hours=2))
NONE = BaselineRef("none")


def one(state: ComparisonState, stat: str = "p(95)", **more: object) -> Comparison:
    blank = Comparison(
        "shop", "http_req_duration", stat, "ms", state, f"it is {state}", value=399.0, baseline=241.0, change=0.656,
        ci=(0.52, 0.81), detectable=0.14, noise=9.0, method="the spread of 10 runs",
    )  # fmt: skip
    return replace(blank, **more)  # type: ignore[arg-type]  # any field


REGRESSED = one("regressed")
SUSPECTED = one("regressed", "p(99)", suspected=True)
UNSURE = one("inconclusive", "avg", change=0.04, ci=(-0.03, 0.11), settle="3 more of this version")
IMPROVED = one("improved", "p(50)", change=-0.2, ci=(-0.3, -0.1))
SAME = one("unchanged", "med", change=0.001, ci=(-0.02, 0.022))
FAILED = one(
    "regressed", "rate", sli="http_req_failed", unit="ratio", value=0.01, baseline=0.001, change=0.009,
    ci=(0.004, 0.016), detectable=0.003,
)  # fmt: skip


def written(document: RenderableType) -> list[str]:
    """What a terminal shows, line by line, with single blanks."""
    console = Console(width=WIDTH, no_color=True)
    with console.capture() as capture:
        console.print(document)
    lines = capture.get().splitlines()
    assert all(len(line) <= WIDTH for line in lines)
    return [" ".join(line.split()) for line in lines]


def of_verdict(*comparisons: Comparison, found: BaselineRef = ROLLING, everything: bool = False) -> list[str]:
    return written(text.verdict(verdict("pass", MET, comparisons=comparisons, baseline=found), everything=everything))


def view(*comparisons: Comparison, **more: object) -> CompareView:
    blank = CompareView(RUN, OTHER, ROLLING, "shop got slower", outcome(comparisons), (), comparisons, (), (), ())
    return replace(blank, **more)  # type: ignore[arg-type]  # any field


def state_words(lines: list[str]) -> list[str]:
    return [line.split()[1] for line in lines if "http_req" in line and line[0] in "✕!?✓=–"]


def test_a_verdict_shows_what_changed_worst_first_and_sums_up_the_rest() -> None:
    lines = of_verdict(SAME, IMPROVED, UNSURE, SUSPECTED, REGRESSED, SAME)
    assert state_words(lines)[1:] == ["REGRESSED", "SUSPECTED", "INCONCLUSIVE", "IMPROVED"]
    assert "✕ REGRESSED shop http_req_duration p(95) 241 ms 399 ms +66 % +52 to +81 14 %" in lines
    assert "and 2 unchanged (--all)" in lines
    assert "to settle shop http_req_duration avg: 3 more of this version" in lines
    assert lines[-1] == "PASS exit 0"


def test_shares_change_by_points() -> None:
    (row,) = [line for line in of_verdict(FAILED) if "REGRESSED" in line]
    assert row.endswith("0.10 % 1.00 % +0.9 points +0.4 to +1.6 0.3 points")


def test_of_many_that_are_inconclusive_a_few_are_shown_and_what_settles_them_is_said_once() -> None:
    unsure = [replace(UNSURE, service=f"s{number}") for number in range(5)]
    lines = of_verdict(*unsure, SAME)
    assert state_words(lines).count("INCONCLUSIVE") == 3
    assert "and 2 inconclusive, 1 unchanged (--all)" in lines
    settled = "to settle s0 http_req_duration avg, s1 http_req_duration avg, s2 http_req_duration avg"
    assert [line for line in lines if line.startswith("to settle")] == [f"{settled}: 3 more of"]
    assert f"{settled} and 2 more:" in of_verdict(*unsure, everything=True)


def test_everything_is_shown_on_demand_with_how_it_was_judged() -> None:
    unfit = one("not_comparable", "p(90)", reason="other endpoints are called than before", method="", change=None)
    lines = of_verdict(SAME, UNSURE, unfit, everything=True)
    assert state_words(lines)[1:] == ["INCONCLUSIVE", "UNCHANGED", "NOT"]
    assert "not compared: shop http_req_duration p(90): other endpoints are called than before" in lines
    assert any(line.startswith("judged by the spread of 10 runs: shop") for line in lines)
    assert not any("(--all)" in line for line in lines)


def test_where_nothing_changed_one_line_says_so() -> None:
    assert "2 unchanged (--all)" in of_verdict(SAME, SAME)


def of_one(age: timedelta, **more: object) -> BaselineRef:
    return replace(ROLLING, runs=IDS[:1], oldest_at=START - age, newest_at=START - age, **more)  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize(
    ("found", "of", "age"),
    [
        (
            ROLLING,
            "the last 10 valid runs of the same test",
            "the newest 2 h before this run, the oldest 9 d before this run: 2026-11-11 to 2026-11-20",
        ),
        (
            replace(ROLLING, reason="new machine"),
            "the last 10 valid runs of the same test since its baseline began anew (new machine)",
            "the newest 2 h before this run",
        ),
        (
            of_one(timedelta(minutes=5)),
            "the only valid run of the same test",
            "5 min before this run: 2026-11-20 07:55",
        ),
        (
            of_one(timedelta(days=40), kind="pinned", reason="of release 2"),
            "the pinned run 000000000000 (of release 2)",
            "40 d before this run: 2026-10-11 08:00 UTC",
        ),
        (of_one(-timedelta(days=1), kind="named"), "run 000000000000", "1 d after this run: 2026-11-21 08:00 UTC"),
        (BaselineRef("named", IDS[:1]), "run 000000000000", "of unknown age: –"),
    ],
)
def test_a_baseline_says_what_it_is_and_how_old(found: BaselineRef, of: str, age: str) -> None:
    told = f"Compared with {of}, {age}"
    assert told in " ".join(written(compared.baseline(found, RUN)))
    assert told in " ".join(of_verdict(found=found))


def test_a_number_stays_with_its_unit() -> None:
    lines = written(compared.baseline(ROLLING, RUN))
    assert lines[0].endswith("the oldest")
    assert lines[1].startswith("9 d before this run")


def test_the_runs_of_a_baseline_are_named_and_those_left_out_with_their_reason() -> None:
    found = replace(ROLLING, repeats=("aa",), left_out=(("bb", "invalid: setup failed"), ("cc", "noisy neighbour")))
    lines = of_verdict(SAME, found=found)
    assert set(IDS) <= set(" ".join(lines).replace(",", " ").split())
    assert "judged together with 1 earlier run of its commit: aa" in lines
    assert "2 runs of the test left out (--all)" in lines
    shown = written(compared.baseline(found, RUN))
    assert "bb invalid: setup failed" in shown
    assert "cc noisy neighbour" in shown


def test_a_run_with_which_the_baseline_began_anew_says_so() -> None:
    assert "No baseline yet (a new machine): there is no" in " ".join(
        of_verdict(found=replace(NONE, reason="a new machine"))
    )


def test_where_nothing_can_be_compared_the_reason_is_shown() -> None:
    lines = of_verdict(one("not_comparable", reason="not believably measured"))
    assert "1 not comparable (--all)" in lines
    assert "not compared: shop http_req_duration p(95): not believably measured" in lines


def test_without_a_baseline_it_is_said_what_to_do() -> None:
    lines = of_verdict(one("no_baseline"), found=NONE)
    told = "No baseline yet: there is no earlier run to compare with. Ingest earlier runs of the same test, service and"
    assert f"{told} environment, or choose one: phasegate compare {RUN.id} OTHER" in " ".join(lines)
    assert "NO BASELINE" not in " ".join(lines)
    known = Measurement("valid", (finding("info", "no_baseline"),))
    assert "no_baseline" not in " ".join(written(text.verdict(verdict("pass", MET, baseline=NONE, measurement=known))))


def test_a_verdict_that_was_judged_without_a_comparison_says_nothing_of_one() -> None:
    assert "aseline" not in " ".join(written(text.verdict(verdict("pass", MET))))


@pytest.mark.parametrize(
    ("comparisons", "state", "exit_code"),
    [
        ((SAME, REGRESSED, SUSPECTED), "regressed", 1),
        ((SAME, SUSPECTED, UNSURE), "suspected", 0),
        ((SAME, UNSURE, IMPROVED), "inconclusive", 0),
        ((SAME, IMPROVED), "improved", 0),
        ((SAME, one("not_comparable")), "inconclusive", 0),
        ((one("no_baseline"), one("not_comparable")), "not_comparable", 3),
        ((one("no_baseline"),), "no_baseline", 3),
        ((), "no_baseline", 3),
    ],
)
def test_a_comparison_begins_with_its_answer_and_ends_with_its_exit_code(
    comparisons: tuple[Comparison, ...], state: str, exit_code: int
) -> None:
    lines = written(compared.compare(view(*comparisons)))
    word = state.upper().replace("_", " ")
    assert lines[0].endswith(f"{word} shop got slower")
    assert lines[-1] == f"{word} exit {exit_code}"
    assert compared.exit_code(outcome(comparisons)) == exit_code


def test_a_regression_has_its_reason_and_a_way_on() -> None:
    lines = written(compared.compare(view(REGRESSED, findings=(finding("suspect", "definition_changed"),))))
    assert lines[1] == "run 7f3a91c20b44 main@abcdef01, 1,234 requests in 20.0 s"
    assert "shop http_req_duration p(95): it is regressed" in lines
    assert "? SUSPECT definition_changed definition_changed it is" in lines
    assert "next phasegate history shop # since when, and at which commit" in lines
    assert any(line.startswith("phasegate baseline start 7f3a91c20b44 --reason TEXT") for line in lines)


def test_a_suspected_regression_asks_for_another_run() -> None:
    assert any(
        line.startswith("next run the same commit once more") for line in written(compared.compare(view(SUSPECTED)))
    )


def test_percentiles_are_shown_of_the_services_in_which_one_changed() -> None:
    percentiles = (one("unchanged", "p(50)"), REGRESSED, one("unchanged", "p(99)", service="cart"))
    told = " ".join(written(compared.compare(view(REGRESSED, percentiles=percentiles))))
    assert "Latency by percentile" in told
    assert "= UNCHANGED shop p(50) 241 ms 399 ms" in told
    assert "cart" not in told
    assert "cart" in " ".join(written(compared.compare(view(REGRESSED, percentiles=percentiles), everything=True)))
    assert "percentile" not in " ".join(written(compared.compare(view(SAME, percentiles=percentiles[:1]))))


def endpoint(name: str, failed: int = 0) -> Endpoint:
    return Endpoint("shop", "GET", name, 200, failed, 20.0, 95.0, 94.0, 120.0)


def test_endpoints_are_shown_that_changed_came_or_went() -> None:
    changes = (
        EndpointChange("shop", "GET", "/same", endpoint("/same"), endpoint("/same"), SAME, None),
        EndpointChange("shop", "GET", "/new", endpoint("/new", 20), None, None, None),
        EndpointChange("shop", "GET", "/gone", None, endpoint("/gone"), None, None),
        EndpointChange(
            "shop",
            "GET",
            "/slow",
            endpoint("/slow", 1),
            endpoint("/slow"),
            REGRESSED,
            replace(SAME, unit="ratio", baseline=0.0),
        ),
    )
    lines = written(compared.compare(view(REGRESSED, endpoints=changes)))
    start = lines.index("Endpoints")
    rows = lines[start + 2 : start + 5]
    assert rows == [
        "✕ REGRESSED shop GET /slow 241 ms 95.0 ms +66 % 0.00 % 0.50 %",
        "i NEW shop GET /new – 95.0 ms – – 10.00 %",
        "! GONE shop GET /gone 95.0 ms – – 0.00 % –",
    ]
    assert "NEW" not in " ".join(written(compared.compare(view(one("no_baseline"), before=None, endpoints=changes))))
    many = tuple(replace(changes[3], name=f"/{number}") for number in range(12))
    assert "and 2 more endpoints (--all)" in written(compared.compare(view(REGRESSED, endpoints=many)))
    assert " ".join(written(compared.compare(view(REGRESSED, endpoints=many), everything=True))).count("GET") == 12


@pytest.mark.parametrize(
    ("found", "run", "told"),
    [
        (ROLLING, RUN, f"phasegate baseline set {IDS[0]} --reason TEXT"),
        (replace(ROLLING, kind="pinned", runs=IDS[3:4]), RUN, f"phasegate baseline clear {IDS[3]} --reason TEXT"),
        (NONE, RUN, f"or choose one: phasegate compare {RUN.id} OTHER"),
    ],
)
def test_a_baseline_says_how_to_choose_another(found: BaselineRef, run: RunRef, told: str) -> None:
    assert told in " ".join(written(compared.baseline(found, run)))
