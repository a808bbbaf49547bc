"""The run page: can it be believed, what was missed, and what it looked like."""

from __future__ import annotations

import json

import pytest

from pages.components import comparisons
from tests.pages.conftest import Open, text_of
from tests.pages.fakes import HOSTILE


def test_the_verdict_stands_first_with_its_reasons_and_the_next_step(run_page: Open) -> None:
    page = run_page("morning", run="7f3a91c2", phase="7A")
    assert not page.exception
    assert page.title[0].value == "event\\: run 7f3a91c2"
    assert page.markdown[0].value == "#### :red-badge[✕ FAIL] event does not meet phase 7A"
    assert "- event http_req_failed rate = 4.00 %, target < 1 %" in text_of(page)
    assert "**Next:** Look at GET /event/search first." in text_of(page)


def test_the_measurement_comes_before_the_objectives(run_page: Open) -> None:
    page = run_page("morning", run="7f3a91c2", phase="7A")
    assert [heading.value for heading in page.subheader][:2] == ["Measurement", "Objectives"]
    assert ":blue-badge[✓ VALID] 3,396 requests, 0 findings" in text_of(page)


def test_what_is_not_met_is_shown_and_what_is_met_is_folded(run_page: Open) -> None:
    page = run_page("morning", run="7f3a91c2", phase="7A")
    told = text_of(page)
    assert told.count(":red-badge[✕ MISSED]") == 2
    assert "95 % interval 381–421 ms · missed by 60 % · 388 ms without failed requests" in told
    assert "too few samples: 71, p(99) needs 299" in told
    folded = page.expander[0]
    assert folded.label == "and 1 met"
    assert folded.table[0].value["State"].tolist() == [":blue-badge[✓ MET]"]


def test_a_pass_shows_every_objective_with_its_value_target_and_headroom(run_page: Open) -> None:
    page = run_page("morning", run="9be2f610")
    assert [expander.label for expander in page.expander] == ["1 unchanged", "About this run"]
    latency, checks = (row for _, row in page.table[0].value.iterrows())
    assert [latency["Target"].replace("\\", ""), latency["Measured"], latency["Margin"]] == [
        "p(95) < 20ms",
        "15.2 ms",
        "24 % to spare",
    ]
    assert checks["State"] == ":blue-badge[✓ MET]"
    assert "- interest http_req_duration p(95) = 15.2 ms, target < 20.0 ms" in text_of(page)
    assert "Left open: coverage is for the gate." in text_of(page)


def test_what_gates_overlook_is_told_and_the_verdict_stays(run_page: Open) -> None:
    page = run_page("waived", run="7f3a91c2", phase="7A")
    assert page.markdown[0].value == "#### :red-badge[✕ FAIL] event does not meet phase 7A"
    told = "http_req_duration of shop is waived at gates until 2026-11-27 by kim: fixed in <b>2.15</b>"
    assert f":orange-badge[! WAIVED] {told}" in text_of(page)
    assert "\\<b\\>" in "".join(element.value for element in page.markdown)
    assert "WAIVED" not in text_of(run_page("morning", run="7f3a91c2", phase="7A"))


@pytest.mark.parametrize(
    ("run", "phase", "told"),
    [
        ("7f3a91c2", "7A", "Judged by phase 7A, as chosen above; uploaded for phase 8."),
        ("77c2d10e", "7A", "Judged by phase 7A: no phase was named at upload."),
        ("81d0c4aa", "7A", "Judged by phase 7A: slo.yaml has no phase 9Z, for which this run was uploaded."),
    ],
)
def test_a_run_judged_by_another_phase_than_it_was_uploaded_for_says_so_first(
    run_page: Open, run: str, phase: str, told: str
) -> None:
    page = run_page("scattered", run=run, phase=phase)
    assert page.markdown[0].value.replace("\\", "") == told


def test_a_press_judges_a_run_by_the_phase_that_it_was_uploaded_for(run_page: Open) -> None:
    page = run_page("scattered", run="7f3a91c2", phase="7A")
    page.button(key="uploaded for").click().run()
    assert page.markdown[0].value.startswith("#### :red-badge[✕ FAIL] event does not meet phase 8")
    assert "uploaded for" not in [button.key for button in page.button]


def test_a_phase_that_slo_yaml_does_not_have_is_not_offered(run_page: Open) -> None:
    assert not run_page("scattered", run="81d0c4aa", phase="7A").button


def test_a_run_that_cannot_be_believed_shows_its_findings_and_judges_no_number(run_page: Open) -> None:
    page = run_page("morning", run="81d0c4aa", phase="7A")
    told = text_of(page)
    assert ":violet-badge[? INCONCLUSIVE] plan cannot be judged for phase 7A" in told
    assert ":violet-badge[? INVALID] 1,652 requests, 3 findings" in told
    assert "setup_failed · failed = 48 · requests = 48 · status = 500" in told
    assert "Numbers below are not judged." in told
    assert "MISSED" not in told
    assert page.expander[0].label == "6 not judged"
    assert len(page.get("plotly_chart")) == 2, "the figures stay"


def test_what_changed_against_the_baseline_stands_under_the_objectives(run_page: Open) -> None:
    page = run_page("morning", run="7f3a91c2", phase="7A")
    assert [heading.value for heading in page.subheader][1:3] == ["Objectives", "Compared with the baseline"]
    told = text_of(page)
    assert ":red-badge[✕ REGRESSED] 1 regressed, 1 inconclusive, 1 not comparable, 1 unchanged" in told
    assert "Rolling baseline: 3 runs, 2 h ago to 3 d ago." in told
    assert "[`00000000`](run?run=00000000&phase=7A)" in told
    changes = page.table[1].value
    assert changes["Change"].tolist() == ["+66 %", "+0.2 points", "–"]
    assert page.expander[1].label == "and 1 unchanged"
    links = {link.value: link.proto.query_string for link in page.page_link}
    assert links["Compare in detail"] == "run=7f3a91c2"


def test_a_run_without_a_baseline_says_why_and_what_to_do(run_page: Open) -> None:
    told = text_of(run_page("morning", run="77c2d10e", phase="7A"))
    assert ":gray-badge[– NO BASELINE] no earlier run of this test on branch main can be believed" in told
    assert "**Next:** run the test again on the branch of the baseline; or name the run" in told


def test_a_run_that_cannot_be_believed_is_compared_with_nothing(run_page: Open) -> None:
    page = run_page("morning", run="81d0c4aa", phase="7A")
    assert comparisons.UNBELIEVED in text_of(page)
    assert not [link for link in page.page_link if link.value == "Compare in detail"]


def test_each_figure_has_its_numbers_in_a_tab_and_says_what_it_shows(run_page: Open) -> None:
    page = run_page("morning", run="7f3a91c2", phase="7A")
    assert [tab.label for tab in page.tabs] == ["Chart", "Table"] * 2
    requests, latency = page.get("plotly_chart")
    assert "% failed, most at" in requests.proto.alt
    assert latency.proto.alt.startswith("p95 was over 250 ms in ")
    assert len(page.dataframe[0].value) == 20, "the second without requests has its line"


def test_the_target_of_the_only_service_is_drawn(run_page: Open) -> None:
    latency = run_page("morning", run="7f3a91c2", phase="7A").get("plotly_chart")[1]
    labels = [note["text"] for note in json.loads(latency.proto.spec)["layout"]["annotations"]]
    assert labels == ["target<br>250 ms"]


def test_the_target_of_one_service_is_not_drawn_against_the_requests_of_many(run_page: Open) -> None:
    latency = run_page("morning", run="77c2d10e", phase="7A").get("plotly_chart")[1]
    assert "annotations" not in json.loads(latency.proto.spec)["layout"]


def test_endpoints_and_errors_are_tables(run_page: Open) -> None:
    page = run_page("morning", run="7f3a91c2", phase="7A")
    tables = {next(iter(table.value.columns)): table.value for table in page.dataframe}
    assert tables["Endpoint"]["Endpoint"].tolist() == ["GET /event/search", "POST /event", "GET /event/:id"]
    assert tables["Code"]["Requests"].tolist() == [120, 16]


def test_the_page_gives_its_own_full_address_and_the_verdict_as_json(run_page: Open) -> None:
    page = run_page("morning", run="7f3a91c2")
    told = text_of(page)
    assert "http://127.0.0.1:8501/run?run=7f3a91c2&phase=7A" in told
    assert "(api/v1/runs/7f3a91c2/verdict?phase=7A)" in told


def test_without_a_run_in_the_address_the_latest_can_be_chosen(run_page: Open) -> None:
    page = run_page("morning")
    assert "The latest 7 runs of this store:" in text_of(page)
    page.button(key="open 9be2f610").click().run()
    assert page.title[0].value == "interest\\: run 9be2f610"
    assert page.query_params["run"] == "9be2f610"


def test_an_unknown_run_is_told_with_the_latest_to_choose_from(run_page: Open) -> None:
    page = run_page("morning", run="deadbeef")
    assert not page.exception
    assert "run deadbeef is not in this store" in text_of(page)
    assert "open 7f3a91c2" in [button.key for button in page.button]


def test_what_is_known_of_the_run_is_told(run_page: Open) -> None:
    about = run_page("morning", run="9be2f610").table[-1].value
    facts = dict(zip(about.index, about.iloc[:, 0], strict=True))
    told = {name.replace("\\", ""): text.replace("\\", "") for name, text in facts.items()}
    assert told["k6 exit code"] == "99"
    assert told["k6 version"] == "1.1.0"
    assert told["Label runner"] == "ci-7"
    assert told["Files"] == "results.json.gz (212 KB), summary.json (4 KB)"


def test_what_is_attached_can_be_saved(run_page: Open) -> None:
    told = text_of(run_page("morning", run="9be2f610")).replace("\\", "")
    assert "[unit_tests.xml](api/v1/runs/9be2f610/attachments/unit_tests.xml)" in told
    assert "all.xml" not in told.partition("Attached, to be saved: ")[2].partition("\n")[0], "its bytes were not kept"


def test_without_a_config_the_run_is_shown_and_not_judged(run_page: Open) -> None:
    page = run_page("unconfigured", run="7f3a91c2")
    assert "There is no slo.yaml, so runs are shown and nothing is judged." in text_of(page)
    assert "Objectives" not in [heading.value for heading in page.subheader]
    assert len(page.get("plotly_chart")) == 2


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_run_is_only_text(run_page: Open, number: int) -> None:
    page = run_page("hostile", run=f"run{number}{'&=#' if number == 0 else ''}", phase="7A")
    assert not page.exception
    title = page.title[0].value.replace("\\", "").replace("\N{WORD JOINER}", "")
    assert title.startswith(f"{HOSTILE[number]}: run run{number}")


def test_what_the_services_felt_is_a_table_with_units_and_reasons(run_page: Open) -> None:
    page = run_page("morning", run="7f3a91c2", phase="7A")
    assert "What the services felt" in [heading.value for heading in page.subheader]
    (table,) = [one.value for one in page.dataframe if "Highest" in one.value]
    refused, memory = table.to_dict("records")
    assert (memory["What"], memory["Points"], memory["Lowest"], memory["Highest"]) == (
        "memory",
        "20",
        "40.0 MiB",
        "42.0 MiB",
    )
    assert refused["Of"] == f"refused: {HOSTILE[0]}", "a cell of a frame shows text as it is"
    assert "Asked of Prometheus main at 2026-11-20 08:05 UTC" in text_of(page).replace("\\", "")
