"""The overview: the answer first, then every service, worst first; and what it says when there is nothing to show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import desk
from pages.components import states
from settings import ROOT
from slo.config import load_config
from tests.pages.conftest import Open, text_of
from tests.pages.fakes import HOSTILE, FakeDesk


def test_the_answer_stands_first_as_glyph_word_and_sentence(overview: Open) -> None:
    page = overview("morning", phase="7A")
    assert not page.exception
    assert page.title[0].value == "Phase 7A\\: Core services"
    assert page.markdown[0].value.startswith("#### :red-badge[✕ FAIL] Phase 7A")
    assert "Blocking: event p(95)" in text_of(page)


def test_every_service_is_told_with_its_state_reason_and_numbers(overview: Open) -> None:
    told = text_of(overview("morning", phase="7A"))
    for part in (
        ":red-badge[✕ FAIL]",
        ":violet-badge[? INCONCLUSIVE]",
        ":gray-badge[– NOT ASKED]",
        "http_req_duration p(95) = 399 ms, target < 250 ms",
        "p95 **399 ms**, target < 250ms",
        "failed 4.00 % (136 of 3,396) · 38 min ago",
        "p95 not judged: 4,200 ms",
    ):
        assert part in told


def test_every_service_with_a_run_links_to_it_in_the_phase_shown(overview: Open) -> None:
    links = {link.value: link.proto.query_string for link in overview("morning").page_link}
    assert links["**event**"] == "run=7f3a91c2&phase=7A"
    assert "**notification**" not in links


def test_a_phase_in_the_address_goes_along_by_itself(overview: Open) -> None:
    links = {link.value: link.proto.query_string for link in overview("morning", phase="8").page_link}
    assert links["**event**"] == "run=7f3a91c2"


def test_the_worst_service_is_the_next_step(overview: Open) -> None:
    assert overview("morning").page_link[0].value == "**Next:** the latest run of event"


def test_every_trend_says_what_it_shows(overview: Open) -> None:
    said = [chart.proto.alt for chart in overview("morning").get("plotly_chart")]
    assert "p95 of event over 12 runs: from 241 ms to 399 ms." in said


def test_the_same_is_a_table(overview: Open) -> None:
    assert list(overview("morning").dataframe[0].value["Service"])[:2] == ["event", "venue"]


def test_choosing_a_phase_shows_it(overview: Open) -> None:
    page = overview("morning")
    page.selectbox(key="phase").select("8").run()
    assert page.title[0].value == "Phase 8\\: Production readiness"


def test_a_phase_that_the_config_does_not_know_falls_back_and_says_so(overview: Open) -> None:
    page = overview("morning", phase="9Z")
    assert "slo.yaml has no phase 9Z" in text_of(page)
    assert page.title[0].value == "Phase 7A\\: Core services"
    page.selectbox(key="phase").select("1").run()
    assert not page.warning


def test_filters_that_leave_no_run_say_what_was_looked_at_and_can_be_cleared(overview: Open) -> None:
    page = overview("morning", env="staging", branch="none")
    assert "No run matches environment staging and branch none" in text_of(page)
    assert "the latest 7 runs" in text_of(page)
    page.button[0].click().run()
    assert page.title[0].value == "Phase 7A\\: Core services"


def test_an_empty_store_offers_the_demo_and_the_steps_of_a_first_run(overview: Open) -> None:
    page = overview("empty")
    assert page.title[0].value == "No runs yet"
    told = text_of(page)
    assert "k6 run --out json=" in told
    assert "./phasegate ingest results.json.gz" in told
    assert "'http://127.0.0.1:8501/api/v1/runs?service=checkout'" in told


def test_the_steps_name_the_server_as_the_browser_reached_it(fake_desk: Callable[[str], FakeDesk]) -> None:
    fake_desk("empty")
    page = AppTest.from_file(ROOT / "pages" / "router.py", default_timeout=20)
    page.context = {"url": "https://perf.example:8443/"}
    assert "'https://perf.example:8443/api/v1/runs?" in text_of(page.run())


def test_loading_the_demo_fills_the_page(overview: Open) -> None:
    page = overview("empty")
    page.button[0].click().run()
    assert not page.exception
    assert page.title[0].value == "Phase 7A\\: Core services"


def test_without_a_config_runs_are_shown_and_the_way_to_one_is_told(overview: Open) -> None:
    page = overview("unconfigured")
    told = text_of(page)
    assert page.title[0].value == "Services"
    assert "There is no slo.yaml, so runs are shown and nothing is judged." in told
    assert "phases:" in told
    assert "p95 **399 ms**" in told


def test_the_config_shown_as_an_example_is_a_good_one(tmp_path: Path) -> None:
    example = tmp_path / "slo.yaml"
    example.write_text(states.EXAMPLE_CONFIG, encoding="utf-8")
    assert len(load_config(example).phases[0].objectives) == 2


def test_a_wrong_config_is_told_as_message_and_help_and_not_as_a_traceback(overview: Open) -> None:
    page = overview("misconfigured")
    assert not page.exception
    assert "slo.yaml:14:59: `p(95) < 250` has no unit" in text_of(page)
    assert "**Next:** write `p(95) < 250ms`" in text_of(page)


def test_a_process_without_a_store_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_opened", [])
    page = AppTest.from_file(ROOT / "pages" / "router.py", default_timeout=20).run()
    assert not page.exception
    assert "no store is open in this process" in text_of(page)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_a_name(overview: Open, name: str) -> None:
    page = overview("hostile")
    assert not page.exception
    labels = [link.value.replace("\\", "").replace("\N{WORD JOINER}", "") for link in page.page_link]
    assert f"**{name}**" in labels
    everything = [element.value for element in (*page.markdown, *page.title, *page.caption)]
    assert not any(name in text for text in everything if any(sign in name for sign in "<|$*"))
