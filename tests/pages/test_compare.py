"""The compare page: what changed, is it more than noise, and what it says when there is nothing to compare."""

from __future__ import annotations

import pytest

from pages.components import comparisons
from tests.pages.conftest import Open, text_of
from tests.pages.fakes import HOSTILE


def test_the_answer_stands_first_with_the_next_step(compare_page: Open) -> None:
    page = compare_page("morning", run="7f3a91c2", phase="7A")
    assert not page.exception
    assert page.title[0].value == "event\\: what changed in run 7f3a91c2"
    assert page.markdown[0].value.replace("\\", "") == (
        "#### :red-badge[✕ REGRESSED] Got worse than in 3 runs: event http_req_duration p(95) +66 %."
    )
    assert "**Next:** look at GET /event/search first: p95 went from 188 ms to 612 ms" in text_of(page)


def test_how_the_tests_differ_comes_before_the_numbers(compare_page: Open) -> None:
    page = compare_page("morning", run="7f3a91c2")
    assert [heading.value for heading in page.subheader] == [
        "Measurement", "What changed", "Response time", "Endpoints",
    ]  # fmt: skip
    assert "The script is another one: GET /event/near is new." in text_of(page)


def test_the_runs_compared_with_are_named_with_their_age_and_linked(compare_page: Open) -> None:
    told = text_of(compare_page("morning", run="7f3a91c2", phase="7A"))
    assert "Rolling baseline: 3 runs, 2 h ago to 3 d ago." in told
    assert "[`00000001`](run?run=00000001&phase=7A)" in told
    assert "together with [`5e5e5e5e`](run?run=5e5e5e5e&phase=7A)" in told


def test_runs_that_do_not_count_are_told_with_why(compare_page: Open) -> None:
    page = compare_page("morning", run="7f3a91c2")
    assert "1 run of this test left out" in [expander.label for expander in page.expander]
    assert "(run?run=0badbad0&phase=7A) 48 of 48 requests in setup() failed" in text_of(page)


def test_what_changed_is_shown_and_what_did_not_is_folded(compare_page: Open) -> None:
    page = compare_page("morning", run="7f3a91c2")
    shown, folded = (table.value["What"].str.replace("\\", "").tolist() for table in page.table)
    assert [what.split("]")[0] for what in shown] == [
        ":red-badge[✕ REGRESSED", ":violet-badge[? INCONCLUSIVE", ":gray-badge[– NOT COMPARABLE",
    ]  # fmt: skip
    assert len(folded) == 1
    assert page.expander[0].label == "and 1 unchanged"


def test_each_figure_has_its_numbers_in_a_tab_and_says_what_it_shows(compare_page: Open) -> None:
    page = compare_page("morning", run="7f3a91c2")
    assert [tab.label for tab in page.tabs] == ["Chart", "Table"] * 2
    shift, both = page.get("plotly_chart")
    assert shift.proto.alt.startswith("Slower from p75 up, most at p95: +66 %")
    assert both.proto.alt.startswith("p50 from 61.2 ms to 62.0 ms")
    assert [len(table.value) for table in page.dataframe[:2]] == [7, 7]


def test_the_service_that_changed_worst_is_shown_until_another_is_chosen(compare_page: Open) -> None:
    page = compare_page("morning", run="7f3a91c2")
    assert page.selectbox(key="service").value == "event"
    page.selectbox(key="service").select("auth").run()
    assert page.get("plotly_chart")[0].proto.alt == "Unchanged at every percentile."


def test_the_address_chooses_the_service(compare_page: Open) -> None:
    page = compare_page("morning", run="7f3a91c2", service="auth")
    assert page.get("plotly_chart")[0].proto.alt == "Unchanged at every percentile."


def test_endpoints_that_only_one_run_called_are_apart(compare_page: Open) -> None:
    page = compare_page("morning", run="7f3a91c2")
    both, alone = (table.value["Endpoint"].tolist() for table in page.dataframe[2:])
    assert both == ["GET /event/search", "POST /event"]
    assert alone == ["GET /event/near"]


def test_another_run_to_compare_with_goes_into_the_address_and_out_again(compare_page: Open) -> None:
    page = compare_page("morning", run="7f3a91c2")
    assert page.selectbox(key="before").value is None
    page.selectbox(key="before").select("4b118f03").run()
    assert page.query_params["with"] in ("4b118f03", ["4b118f03"])
    assert "This run, and run `4b118f03` before it" in text_of(page)
    assert "./phasegate compare 7f3a91c2 4b118f03 --phase 7A --server http://127.0.0.1:8501" in text_of(page)
    page.selectbox(key="before").set_value(None).run()
    assert "with" not in page.query_params


def test_the_page_gives_its_own_full_address(compare_page: Open) -> None:
    told = text_of(compare_page("morning", run="7f3a91c2", with_="4b118f03"))
    assert "http://127.0.0.1:8501/compare?run=7f3a91c2&with=4b118f03&phase=7A" in told


def test_without_a_run_in_the_address_the_latest_can_be_chosen(compare_page: Open) -> None:
    page = compare_page("morning")
    assert page.title[0].value == "Compare"
    page.button(key="open 7f3a91c2").click().run()
    assert page.title[0].value == "event\\: what changed in run 7f3a91c2"


def test_without_a_baseline_it_says_why_and_what_to_do(compare_page: Open) -> None:
    page = compare_page("morning", run="77c2d10e")
    told = text_of(page)
    assert ":gray-badge[– NO BASELINE] There is no run to compare with." in told
    assert "no earlier run of this test on branch main can be believed" in told
    assert f"**Next:** {comparisons.WITHOUT_BASELINE}" in told
    assert not page.get("plotly_chart")
    assert page.selectbox(key="before").options, "another run can still be chosen"


def test_without_a_baseline_a_run_can_be_named_instead(compare_page: Open) -> None:
    page = compare_page("morning", run="77c2d10e", with_="4b118f03")
    assert len(page.get("plotly_chart")) == 2


@pytest.mark.parametrize(
    ("query", "missing"),
    [({"run": "deadbeef"}, "run deadbeef"), ({"run": "7f3a91c2", "with_": "deadbeef"}, "run deadbeef")],
)
def test_a_run_that_is_not_there_is_told(compare_page: Open, query: dict[str, str], missing: str) -> None:
    page = compare_page("morning", **query)
    assert not page.exception
    assert f"{missing} is not in this store" in text_of(page)


def test_a_run_that_cannot_be_believed_is_not_compared(compare_page: Open) -> None:
    page = compare_page("morning", run="81d0c4aa")
    told = text_of(page)
    assert f":violet-badge[? INVALID] {comparisons.UNBELIEVED}" in told
    assert "48 of 48 requests in setup() failed (HTTP 500)." in told
    assert "Numbers below are not judged." in told


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_run_is_only_text(compare_page: Open, number: int) -> None:
    page = compare_page("hostile", run=f"run{number}{'&=#' if number == 0 else ''}", phase="7A")
    assert not page.exception
    title = page.title[0].value.replace("\\", "").replace("\N{WORD JOINER}", "")
    assert title.startswith(f"{HOSTILE[number]}: what changed in run run{number}")
