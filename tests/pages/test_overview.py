"""The overview: the answer first, then every service, worst first; and what it says when there is nothing to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import desk
from pages.components import charts, services, states
from settings import ROOT
from slo.config import load_config
from tests.pages.conftest import Open, text_of
from tests.pages.fakes import HOSTILE, FakeDesk, morning_rows, run_ref


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
        "missed by 60 %",
        "failed 4.00 % (136 of 3,396)",
        "1 of 4 objectives met · owner discovery",
        "p95 not judged: 4,200 ms",
    ):
        assert part in told


def test_every_service_with_a_run_links_to_it_and_no_other_does(overview: Open) -> None:
    page = overview("morning")
    links = {link.value: link.proto.query_string for link in page.page_link}
    assert links["**event**"] == "run=7f3a91c2"
    assert "**notification**" not in links


def test_every_row_shows_its_run_as_text_to_copy_with_branch_and_commit(overview: Open) -> None:
    told = text_of(overview("scattered"))
    assert ":small[run `7f3a91c2` · rewrite@abc1234d · 38 min ago]" in told
    assert ":small[run `77c2d10e` · abc1234d · 38 min ago]" in told
    assert ":small[run `4b118f03` · rewrite · 38 min ago]" in told


def test_rows_of_several_branches_are_said_to_be_so(overview: Open) -> None:
    caption = overview("scattered").caption[0].value.replace("\\", "")
    assert caption.endswith("· 7 runs · latest runs of 3 branches: main (4), rewrite (2), none (1)")
    assert "branches" not in overview("morning").caption[0].value


def test_many_branches_are_counted_and_only_the_commonest_named() -> None:
    event = morning_rows()[0]
    rows = [replace(event, run=run_ref("r", "event", branch=name)) for name in "aabbccde"]
    assert services.mixed(rows) == ["latest runs of 5 branches: a (2), b (2), c (2), 2 more"]


def test_a_pass_shows_its_value_its_target_and_what_is_left_of_it(overview: Open) -> None:
    told = text_of(overview("morning"))
    assert "p95 **15.2 ms**, target < 20ms  \n:small[24 % to spare]" in told


def test_what_a_reason_says_is_not_said_again(overview: Open) -> None:
    told = text_of(overview("morning"))
    assert "target < 20 ms (24 % to spare)  \n:small[owner discovery]" in told
    assert ":small[2 of 2 objectives met · owner messaging]" in told


def test_the_worst_service_is_the_next_step(overview: Open) -> None:
    assert overview("morning").page_link[0].value == "**Next:** the latest run of event"


def test_every_trend_says_what_it_shows(overview: Open) -> None:
    said = [chart.proto.alt for chart in overview("morning").get("plotly_chart")]
    assert "p95 of event over 12 runs: from 241 ms to 399 ms." in said


def test_the_trends_have_a_legend(overview: Open) -> None:
    assert charts.SPARKLINE_LEGEND in [caption.value for caption in overview("morning").caption]


def test_the_same_is_a_table(overview: Open) -> None:
    assert list(overview("morning").dataframe[0].value["Service"])[:2] == ["event", "venue"]


def test_choosing_a_phase_shows_it(overview: Open) -> None:
    page = overview("morning")
    page.selectbox(key="phase").select("8").run()
    assert page.title[0].value == "Phase 8\\: Production readiness"


@pytest.mark.parametrize(("scenario", "usual"), [("morning", "7A"), ("scattered", "7A")])
def test_the_first_phase_shown_is_the_one_most_runs_are_for(overview: Open, scenario: str, usual: str) -> None:
    page = overview(scenario)
    assert page.selectbox(key="phase").value == usual
    assert page.query_params["phase"] == usual


def test_a_phase_that_is_cleared_is_the_usual_one_again(overview: Open) -> None:
    page = overview("morning", phase="8")
    page.selectbox(key="phase").set_value(None).run()
    assert page.selectbox(key="phase").value == "7A"


def test_a_phase_that_the_config_does_not_know_falls_back_and_says_so(overview: Open) -> None:
    page = overview("morning", phase="9Z")
    assert "slo.yaml has no phase 9Z: phase 7A is shown instead." in text_of(page)
    assert page.title[0].value == "Phase 7A\\: Core services"
    page.selectbox(key="phase").select("1").run()
    assert not page.warning


def test_filters_that_leave_no_run_say_what_was_looked_at_and_can_be_cleared(overview: Open) -> None:
    page = overview("morning", env="staging", branch="none")
    assert "No run matches environment staging and branch none" in text_of(page)
    assert "Looked at 7 runs: all that this store holds." in text_of(page)
    page.button[0].click().run()
    assert page.title[0].value == "Phase 7A\\: Core services"


def test_an_empty_store_offers_the_demo_and_the_steps_of_a_first_run(overview: Open) -> None:
    page = overview("new")
    server, said = "http://127.0.0.1:8501", "--service checkout --phase beta"
    assert page.title[0].value == "No runs yet"
    assert [button.label for button in page.button] == ["Load the demo"]
    assert [code.value for code in page.code] == [
        states.EXAMPLE_CONFIG.strip(),
        "k6 run --out json=results.json.gz --summary-export=summary.json script.js; code=$?",
        f"./phasegate ingest results.json.gz --summary summary.json --exit-code $code {said} --server {server}",
        f'curl --data-binary @results.json.gz "{server}/api/v1/runs?service=checkout&phase=beta&exit_code=$code"',
    ]
    assert all(code.proto.wrap_lines for code in page.code), "a phone shows all of it"


def test_the_steps_name_what_a_slo_yaml_asks_for_where_there_is_one(overview: Open) -> None:
    told = text_of(overview("empty"))
    assert "The slo.yaml in force has these: 1, 7A, 7B, 8." in told
    assert "--service event --phase 1" in told
    assert "checkout" not in told


def test_where_uploads_need_a_token_the_demo_is_loaded_from_a_terminal(overview: Open) -> None:
    page = overview("guarded")
    told = text_of(page)
    assert not page.button
    assert "PHASEGATE_TOKEN=... ./phasegate demo --server http://127.0.0.1:8501" in told
    assert 'curl -H "Authorization: Bearer $PHASEGATE_TOKEN" ' in told
    assert "s3cret" not in told


def test_the_steps_name_the_server_as_the_browser_reached_it(fake_desk: Callable[[str], FakeDesk]) -> None:
    fake_desk("empty")
    page = AppTest.from_file(ROOT / "pages" / "router.py", default_timeout=20)
    page.context = {"url": "https://perf.example:8443/"}
    assert '"https://perf.example:8443/api/v1/runs?' in text_of(page.run())


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


@pytest.mark.parametrize(
    "path", ["foo", "overview", "run", "preview-run", "f%20o%3Cb%3E", "f%20o/f o", "%2F", "a/../b"]
)
def test_no_address_breaks_the_frame(fake_desk: Callable[[str], FakeDesk], path: str) -> None:
    fake_desk("morning")
    page = AppTest.from_file(ROOT / "pages" / "router.py", default_timeout=20)
    page.context = {"url": f"http://127.0.0.1:8501/{path}"}
    assert not page.run().exception


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_a_name(overview: Open, name: str) -> None:
    page = overview("hostile")
    assert not page.exception
    labels = [link.value.replace("\\", "").replace("\N{WORD JOINER}", "") for link in page.page_link]
    assert f"**{name}**" in labels
    everything = [element.value for element in (*page.markdown, *page.title, *page.caption)]
    assert not any(name in text for text in everything if any(sign in name for sign in "<|$*"))
