"""Tables as values: numbers stay numbers, what is missing stays missing, links lead to the run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pages.components import tables
from tests.pages.fakes import ENDPOINTS, ERRORS, HOSTILE, OBJECTIVES, history, morning_rows, run_ref, timeline

ROWS = morning_rows()


def test_services_keep_the_order_they_come_in() -> None:
    assert list(tables.services(ROWS, "7A")["Service"]) == [row.service for row in ROWS]


def test_a_service_leads_to_its_latest_run_in_the_phase_shown() -> None:
    links = tables.services(ROWS, "7A")["Run"]
    assert links[0] == "run?run=7f3a91c2&phase=7A"
    assert tables.services(ROWS, None)["Run"][0] == "run?run=7f3a91c2"


def test_a_service_shows_of_which_code_its_latest_run_is() -> None:
    first = tables.services(ROWS, "7A").iloc[0]
    assert list(first[["Branch", "Commit"]]) == ["main", "abc1234def"]


def test_what_a_narrow_screen_shows_of_an_objective_ends_with_what_is_left_of_its_target() -> None:
    assert list(tables.objectives(OBJECTIVES))[:5] == ["State", "Objective", "Target", "Measured", "Margin"]


def test_a_service_without_a_run_has_no_link_and_no_zeros() -> None:
    row = next(place for place, row in enumerate(ROWS) if row.run is None)
    frame = tables.services(ROWS, "7A")
    assert frame["Run"].isna()[row]
    assert frame.loc[row, ["p95", "Failed", "Failed requests", "Requests", "Last run"]].isna().all()


def test_an_id_with_signs_of_an_address_is_quoted() -> None:
    row = replace(ROWS[0], run=run_ref("a&b=c#d", "event"))
    assert tables.services([row], "7 A")["Run"][0] == "run?run=a%26b%3Dc%23d&phase=7+A"


def test_the_sparkline_leaves_out_runs_that_cannot_be_believed() -> None:
    row = replace(ROWS[0], history=history([20.0, 4_000.0, 21.0], broken=1))
    assert tables.services([row], "7A")["p95 of the last runs"][0] == [20.0, 21.0]


def test_states_are_shown_by_glyph_and_word() -> None:
    assert tables.services(ROWS, "7A")["State"][0] == ["✕ FAIL"]
    config = tables.services_config(ROWS, "dark")["State"]["type_config"]
    assert {option["value"]: option["color"] for option in config["options"]}["✕ FAIL"] == "#F87171"


def test_a_missed_objective_shows_value_interval_margin_and_samples() -> None:
    shown = tables.objectives(OBJECTIVES).iloc[0]
    assert shown["State"] == ":red-badge[✕ MISSED]"
    assert shown["Measured"] == "399 ms :small[(388 ms without failed)]"
    assert list(shown[["95 % interval", "Margin", "Samples"]]) == ["381–421 ms", "missed by 60 %", "3,396"]


def test_a_rate_shows_what_it_rests_on() -> None:
    assert tables.objectives(OBJECTIVES)["Measured"][1] == "4.00 % :small[(136 of 3,396)]"


def test_a_value_close_to_its_target_is_not_rounded_to_it() -> None:
    shown = tables.objectives([replace(OBJECTIVES[0], value=250.3, value_ok=None)])
    assert shown["Measured"][0] == "250.3 ms"


def test_an_objective_without_a_value_says_why() -> None:
    assert tables.objectives(OBJECTIVES)["Measured"][4] == r"– :small[the run has no metric cache\_hits]"


def test_the_target_is_shown_in_the_users_own_words() -> None:
    assert tables.objectives(OBJECTIVES)["Target"][0] == r"p\(95\) \< 250ms"


def test_endpoints_without_enough_samples_have_no_p95() -> None:
    frame = tables.endpoints(ENDPOINTS)
    assert frame["p95"].isna().tolist() == [False, False, True]
    assert frame["Failed share"][0] == pytest.approx(120 / 612)


def test_a_column_of_latencies_has_as_many_decimals_as_its_smallest_needs() -> None:
    config = tables.endpoints_config(ENDPOINTS)
    assert config["p50"]["type_config"]["format"] == "%.2f ms"
    assert config["p95"]["type_config"]["format"] == "%.0f ms"


def test_an_error_without_a_text_has_none() -> None:
    frame = tables.errors([replace(ERRORS[0], error="", in_setup=True), ERRORS[1]])
    assert frame["Error"].isna().tolist() == [True, False]
    assert list(frame["Part"]) == ["setup or teardown", "load"]


def test_the_numbers_behind_a_figure_are_those_it_is_drawn_from() -> None:
    bins = timeline(5)
    assert list(tables.timeline(bins)["p95"]) == [point.p95_ms for point in bins]


@pytest.mark.parametrize("name", HOSTILE)
def test_facts_about_a_run_are_escaped(name: str) -> None:
    facts = tables.about(replace(run_ref("r", name), labels={name: name}), [name])
    bare = name.replace("\\", "")
    shown = {text.replace("\\", "").replace("\N{WORD JOINER}", "") for text in facts.values()}
    assert bare in shown
    assert not any("<" in text.replace(r"\<", "") or "$" in text.replace(r"\$", "") for text in facts.values())


def test_what_is_not_known_of_a_run_is_a_dash() -> None:
    assert tables.about(replace(run_ref("r", "event"), commit=None), [])["Commit"] == "–"
