"""Documents as a terminal shows them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console, RenderableType

from reports import text
from reports.layout import WIDTH
from slo.model import (
    ConfigReport,
    IngestAnswer,
    Measurement,
    ObjectiveResult,
    ObjectiveState,
    PhaseRef,
    RunRef,
    Verdict,
    VerdictState,
)  # fmt: skip
from tests.answers import WAIVER
from tests.builders import START, finding, result

RUN = RunRef(
    "7f3a91c20b44", "shop", "smoke", "7A", "main", "abcdef0123456789", None, None, START, 20.0, 1234, ("shop",)
)
MET = result("met", service="shop", value=132.0, target_value=250.0, unit="ms", n=1234, ci=(128.0, 139.0))


def verdict(state: VerdictState, *objectives: ObjectiveResult, **more: object) -> Verdict:
    blank = Verdict(
        schema=1, rule_version=1, config_digest="d", phase="7A", run=RUN, verdict=state,
        reasons=("it is so",), next_steps=(), measurement=Measurement("valid"), objectives=objectives,
        comparisons=(), scope=("shop",), out_of_scope=0, judged_at=START,
    )  # fmt: skip
    return replace(blank, **more)  # type: ignore[arg-type]  # any field


def written(document: RenderableType) -> str:
    console = Console(width=WIDTH, no_color=True)
    with console.capture() as capture:
        console.print(document)
    return capture.get()


def test_a_pass_shows_what_it_rests_on() -> None:
    told = written(text.verdict(verdict("pass", MET)))
    (row,) = [line.split() for line in told.splitlines() if " MET " in line]
    assert " ".join(row) == "✓ MET shop http_req_duration p(95) < 250ms 132 ms 128–139 ms 1,234"
    assert "--all" not in told


def test_a_waiver_is_told_with_the_verdict_that_it_does_not_change() -> None:
    told = written(text.verdict(verdict("fail", result("missed", service="shop"), waivers=(WAIVER,))))
    assert told.startswith("✕ FAIL  shop does not meet")
    waived = "! WAIVED http_req_duration of shop is waived at gates until 2026-11-27 by kim: fixed in <b>2.15</b>"
    assert waived in " ".join(told.split())


@pytest.mark.parametrize(
    ("state", "of", "keys", "everything", "shown"),
    [
        ("pass", 12, 0, False, 12),
        ("pass", 13, 3, False, 3),
        ("pass", 13, 0, False, 0),
        ("pass", 13, 3, True, 13),
        ("warn", 3, 1, False, 0),
        ("fail", 3, 1, True, 3),
    ],
)
def test_of_many_objectives_that_are_met_the_key_ones_are_shown(
    state: VerdictState, of: int, keys: int, *, everything: bool, shown: int
) -> None:
    objectives = [replace(MET, sli=f"m{i}", key=i < keys) for i in range(of)]
    told = written(text.verdict(verdict(state, *objectives), everything=everything))
    assert sum(" MET " in line for line in told.splitlines()) == shown
    assert (f"{of - shown} of {of} objectives met (--all)" in told) == (shown < of)


def test_a_fail_shows_what_is_not_met() -> None:
    missed = replace(MET, state="missed", value=399.0, ci=(381.0, 421.0))
    told = written(text.verdict(verdict("fail", missed, replace(MET, sli="other"))))
    assert "399 ms 381–421 ms" in " ".join(told.split())
    assert "other" not in told
    assert "and 1 of 2 objectives met (--all)" in told


@pytest.mark.parametrize(
    ("named", "scope", "state", "sentence"),
    [
        ("shop", ("shop",), "pass", "shop meets phase 7A"),
        (None, ("shop",), "fail", "shop does not meet phase 7A"),
        (None, tuple("abcdefgh"), "pass", "8 services meet phase 7A"),
        (None, tuple("abcdefgh"), "warn", "8 services meet phase 7A, but got worse"),
        (None, tuple("abcdefgh"), "fail", "8 services do not meet phase 7A"),
        (None, tuple("abcdefgh"), "inconclusive", "cannot tell whether 9 services meet phase 7A"),
        (None, (), "inconclusive", "cannot tell whether shop meets phase 7A"),
        (None, (), "pass", "the run meets phase 7A"),
    ],
)
def test_the_headline_is_a_sentence(
    named: str | None, scope: tuple[str, ...], state: VerdictState, sentence: str
) -> None:
    document = verdict(state, MET, run=replace(RUN, service=named), scope=scope)
    assert written(text.verdict(document)).splitlines()[0].rstrip().endswith(f"{state.upper()}  {sentence}")


@pytest.mark.parametrize(
    ("state", "of", "finds", "sentence"),
    [
        ("fail", "missed", (), "shop does not meet phase 7A"),
        ("inconclusive", "no_data", (), "cannot tell whether shop meets phase 7A"),
        ("inconclusive", "met", ("search", "cart"), "cannot tell whether cart, search meet phase 7A"),
        ("inconclusive", "met", ("search", None), "cannot tell whether a, b, shop meet phase 7A"),
    ],
)
def test_the_headline_names_the_services_that_it_is_about(
    state: VerdictState, of: ObjectiveState, finds: tuple[str | None, ...], sentence: str
) -> None:
    findings = tuple(finding("suspect", "error_storm", service) for service in finds)
    document = verdict(
        state, replace(MET, state=of), run=replace(RUN, service=None), scope=("a", "b"),
        measurement=Measurement("suspect" if finds else "valid", findings),
    )  # fmt: skip
    assert written(text.verdict(document)).splitlines()[0].rstrip().endswith(f"{state.upper()}  {sentence}")


def test_counts_agree_with_their_nouns() -> None:
    one = verdict("pass", MET, run=replace(RUN, requests=1), out_of_scope=1, reasons=tuple("abcdefg"))
    told = written(text.verdict(one))
    for words in ("1 request in 20.0 s", "1 objective of other services", "and 2 more reasons\n"):
        assert words in told.replace(" \n", "\n")


def test_a_verdict_ends_with_its_exit_code_and_an_upload_says_where_to_get_it() -> None:
    document = verdict("fail", replace(MET, state="missed"), notes=("coverage is not judged",))
    assert written(text.verdict(document)).rstrip().endswith("FAIL  exit 1")
    told = written(text.ingested(IngestAnswer(RUN, created=True, findings=(), verdict=document)))
    assert "exit 1" not in told
    assert "  next  phasegate verdict 7f3a91c20b44 --phase 7A  #" in told.splitlines()[-1]
    assert "  note  coverage is not judged" in told
    assert told.startswith("Stored run 7f3a91c20b44  1,234 requests in 20.0 s  main@abcdef01")


def test_an_upload_without_a_verdict_shows_what_was_found() -> None:
    told = written(text.ingested(IngestAnswer(RUN, created=False, findings=(finding("suspect"),))))
    assert told.startswith("Known already: the same bytes are run 7f3a91c20b44")
    assert "? SUSPECT  truncated  truncated it is" in told
    assert "--phase PHASE" in told


def test_runs_are_a_table() -> None:
    several = replace(RUN, id="aaaaaaaaaaaa", service=None, services=("a", "b"), test=None, commit=None)
    nameless = replace(RUN, id="bbbbbbbbbbbb", service=None, services=())
    _, *rows = written(text.runs([RUN, several, nameless], START + timedelta(minutes=5))).splitlines()
    assert [" ".join(row.split()) for row in rows] == [
        "7f3a91c20b44 5 min ago shop smoke main abcdef01 1,234 20.0 s",
        "aaaaaaaaaaaa 5 min ago 2 services – main – 1,234 20.0 s",
        "bbbbbbbbbbbb 5 min ago – smoke main abcdef01 1,234 20.0 s",
    ]
    assert "phasegate ingest" in written(text.runs([], START))


def test_a_deletion_says_what_was_deleted() -> None:
    assert written(text.deleted(RUN)).startswith("Deleted run 7f3a91c20b44  1,234 requests")


REPORT = ConfigReport("/home/me/slo.yaml", "d", (PhaseRef("7A", "Core"), PhaseRef("8", "")), ("shop",), 3, ("a note",))


@pytest.mark.parametrize(
    ("runs", "slo", "token", "told"),
    [
        (
            1,
            REPORT,
            True,
            ["/store (1 run)", "/home/me/slo.yaml (phases 7A (Core), 8)", "need the token", "http://h:1"],
        ),
        (0, None, False, ["/store (0 runs)", "none: runs are stored, and not judged", "need no token: who can reach"]),
    ],
)
def test_a_server_says_what_it_serves(runs: int, slo: ConfigReport | None, *, token: bool, told: list[str]) -> None:
    said = written(text.serving("http://h:1", "/store", runs, slo, token=token))
    assert [words for words in told if words not in said] == []


def test_a_slo_yaml_of_one_phase_says_so() -> None:
    told = written(text.config(replace(REPORT, phases=REPORT.phases[1:], objectives=1)))
    assert told.startswith("/home/me/slo.yaml is fine: 1 objective in phase 8")
    assert "note      a note" in told
