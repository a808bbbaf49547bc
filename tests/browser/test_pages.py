"""Both pages in a real Chromium, each from a cold deep link: a new browser whose first request is the link."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from playwright.sync_api import Page, expect

import demo
from pages.components import tokens
from pages.components.tokens import ThemeType
from tests.browser.conftest import (
    PHONE_PX,
    Reader,
    answer,
    held,
    is_dark,
    query,
    said,
    scrolls_sideways,
    settled,
    title,
)
from tests.running import Server, Workspace

EVENT = next((demo.FOLDER / "runs").glob("*-event-slow.json.gz"))

pytestmark = pytest.mark.browser


def link(server: Server, page: str, phase: str = "7A") -> str:
    """The deep link to a page; of a store without runs, to a run that somebody deleted."""
    if page == "overview":
        return f"{server.url}/?phase={phase}"
    if page == "runs":
        return f"{server.url}/run"
    runs = server.ask("runs", test="event-crud")
    return f"{server.url}/run?run={runs[0]['id'] if runs else 'deadbeef'}&phase={phase}"


def choose_phase(page: Page, phase: str) -> None:
    page.get_by_role("combobox", name="Phase").click()
    page.get_by_role("option", name=phase, exact=True).click()


# -- cold deep links ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("server", "page_name", "heading"),
    [
        ("demo", "overview", r"Phase 7A: Core services"),
        ("demo", "run", r"event: run [0-9a-f]{12}"),
        ("empty", "overview", r"No runs yet"),
        ("empty", "run", r"No runs yet"),
    ],
    indirect=["server"],
)
def test_a_cold_deep_link_opens_its_page(
    server: Server, page_name: str, heading: str, theme: ThemeType, reader: Reader
) -> None:
    address = link(server, page_name)
    page = reader.opens(address, theme)
    assert re.fullmatch(heading, title(page))
    assert page.url == address
    assert is_dark(page) is (theme == "dark")


@pytest.mark.parametrize(
    ("server", "page_name"),
    [("demo", "overview"), ("demo", "run"), ("demo", "runs"), ("empty", "overview")],
    indirect=["server"],
)
def test_a_phone_does_not_scroll_sideways(server: Server, page_name: str, reader: Reader) -> None:
    page = reader.opens(link(server, page_name), width=PHONE_PX)
    assert not scrolls_sideways(page)


def test_a_phone_shows_all_of_every_command(empty_server: Server, reader: Reader) -> None:
    page = reader.opens(empty_server.url, width=PHONE_PX)
    blocks = page.get_by_test_id("stCode").locator("pre").all()
    assert len(blocks) == 4
    assert [block.evaluate("pre => pre.scrollWidth - pre.clientWidth") for block in blocks] == [0] * len(blocks)


@pytest.mark.parametrize(("path", "named"), [("/foo", "/foo"), ("/f%20o%3Cb%3E?phase=7A", "/f o<b>")])
def test_an_address_that_leads_nowhere_is_told_with_the_ways_back(
    path: str, named: str, demo_server: Server, reader: Reader
) -> None:
    page = reader.opens(demo_server.url + path)
    assert title(page) == "No such page"
    assert f"There is nothing at {named}." in said(page)
    page.get_by_test_id("stMain").get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Phase 7A"))
    settled(page)
    assert urlsplit(page.url).path == "/"


# -- the page and the API say the same ------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["1", "7A"])
def test_the_overview_says_what_the_api_says(phase: str, demo_server: Server, reader: Reader) -> None:
    overview = demo_server.ask("overview", phase=phase)
    page = reader.opens(link(demo_server, "overview", phase))
    assert answer(page) == f"{tokens.label(overview['state'])} {overview['sentence']}"
    told = said(page)
    for row in overview["services"]:
        assert f"{tokens.label(row['state'])} {row['service']} " in told
        assert row["reason"] in told


@pytest.mark.parametrize(
    ("test", "phase", "verdict"),
    [
        ("auth", "7A", "pass"),
        ("venue", "7B", "warn"),
        ("event-crud", "7A", "fail"),
        ("plan-crud", "1", "inconclusive"),
    ],
)
def test_the_run_page_says_what_the_verdict_says(
    test: str, phase: str, verdict: str, demo_server: Server, reader: Reader
) -> None:
    run = demo_server.newest(test)
    document = demo_server.ask(f"runs/{run}/verdict", phase=phase)
    assert document["verdict"] == verdict
    page = reader.opens(f"{demo_server.url}/run?run={run}&phase={phase}")
    assert answer(page).startswith(tokens.label(verdict))
    told = said(page)
    assert [words for words in (*document["reasons"], *document["next_steps"]) if words not in told] == []


def test_a_run_that_cannot_be_believed_is_not_judged_and_not_compared(demo_server: Server, reader: Reader) -> None:
    run = demo_server.newest("plan-crud")
    document = demo_server.ask(f"runs/{run}/verdict", phase="1")
    page = reader.opens(f"{demo_server.url}/run?run={run}&phase=1")
    told = said(page)
    for finding in document["measurement"]["findings"]:
        assert finding["message"] in told
        assert finding["remedy"] in told
    assert "Numbers below are not judged." in told
    assert f"{len(document['objectives'])} not judged" in told
    assert "regress" not in held(page).lower()


# -- finding one's way ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_name", ["overview", "run"])
def test_a_chosen_phase_stands_in_the_address_and_the_address_opens_the_same_view(
    page_name: str, demo_server: Server, reader: Reader
) -> None:
    page = reader.opens(link(demo_server, page_name))
    choose_phase(page, "8")
    expect(page.get_by_role("heading", name=re.compile("phase 8", re.IGNORECASE)).first).to_be_visible()
    settled(page)
    assert query(page.url) == query(link(demo_server, page_name, "8"))
    assert said(reader.opens(page.url)) == said(page)


def test_the_phase_most_runs_are_for_opens_first_and_stands_in_the_address(demo_server: Server, reader: Reader) -> None:
    page = reader.opens(demo_server.url)
    assert title(page) == "Phase 7A: Core services"
    expect(page).to_have_url(f"{demo_server.url}/?phase=7A")


def test_a_phase_that_is_cleared_is_the_usual_one_again(demo_server: Server, reader: Reader) -> None:
    page = reader.opens(link(demo_server, "overview", "8"))
    page.get_by_test_id("stSelectbox").first.get_by_role("button", name=re.compile("clear", re.IGNORECASE)).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Phase 7A"))
    expect(page).to_have_url(f"{demo_server.url}/?phase=7A")


def test_a_run_opens_in_the_phase_that_it_was_uploaded_for(demo_server: Server, reader: Reader) -> None:
    run = demo_server.newest("venue")
    page = reader.opens(f"{demo_server.url}/run?run={run}")
    assert "phase 7B" in answer(page)
    expect(page).to_have_url(re.compile("phase=7B"))
    assert "Judged by" not in said(page)


def test_another_phase_is_said_to_be_another_and_one_press_leaves_it(demo_server: Server, reader: Reader) -> None:
    page = reader.opens(f"{demo_server.url}/run?run={demo_server.newest('venue')}&phase=7A")
    assert "Judged by phase 7A, as chosen above; uploaded for phase 7B." in said(page)
    button = page.get_by_role("button", name="Judge by phase 7B")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=4).first).to_contain_text("phase 7B")
    settled(page)
    expect(page).to_have_url(re.compile("phase=7B"))
    assert "Judged by" not in said(page)


def test_the_runs_can_be_reached_by_keyboard_and_their_ids_marked(demo_server: Server, reader: Reader) -> None:
    page = reader.opens(f"{demo_server.url}/run")
    run = demo_server.newest("event-crud")
    page.get_by_text(run, exact=True).dblclick()
    assert page.evaluate("getSelection().toString().trim()") == run
    page.get_by_role("button", name="event", exact=True).first.focus()  # the newest
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(run))
    expect(page).to_have_url(re.compile(f"run={run}"))


@pytest.mark.parametrize("start", ["/", "/?phase=7A", "/?phase=9Z"])
def test_a_click_on_a_service_leads_to_its_run(start: str, demo_server: Server, reader: Reader) -> None:
    run = demo_server.newest("event-crud")
    page = reader.opens(demo_server.url + start)
    shown = title(page).removeprefix("Phase ").split(":")[0]
    page.get_by_role("link", name=re.compile(r"^event\b")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(run))
    settled(page)
    assert urlsplit(page.url).path == "/run"
    assert query(page.url) == {"run": [run], "phase": [shown]}
    assert said(reader.opens(page.url)) == said(page)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/run?run=deadbeef&phase=7A", "no run 'deadbeef' in this store"),
        ("/run?run=%3Cb%3E&phase=7A", "no run '<b>' in this store"),
        ("/?phase=9Z", "slo.yaml has no phase 9Z"),
        ("/run?run={event}&phase=9Z", "slo.yaml has no phase 9Z"),
    ],
)
def test_a_link_to_what_is_not_there_is_answered_in_words(
    path: str, told: str, demo_server: Server, reader: Reader
) -> None:
    page = reader.opens(demo_server.url + path.replace("{event}", demo_server.newest("event-crud")))
    assert told in said(page)


# -- a store of one's own -------------------------------------------------------------------------------------------


def test_an_empty_store_tells_the_steps_of_a_first_run(empty_server: Server, reader: Reader) -> None:
    told = said(reader.opens(empty_server.url))
    assert "script.js; code=$?" in told
    assert "./phasegate ingest results.json.gz --summary summary.json --exit-code $code" in told
    assert f"--service checkout --phase beta --server {empty_server.url}" in told
    assert f'"{empty_server.url}/api/v1/runs?service=checkout&phase=beta&exit_code=$code"' in told


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """Serves a store of the test's own."""
    with Workspace(tmp_path).serving() as server:
        yield server


@pytest.mark.slow
def test_a_press_of_the_button_loads_the_demo(own_server: Server, reader: Reader) -> None:
    page = reader.opens(own_server.url)
    page.get_by_role("button", name="Load the demo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Phase "))
    settled(page)
    shown = title(page).removeprefix("Phase ").split(":")[0]
    overview = own_server.ask("overview", phase=shown)
    assert overview["runs"] == 32
    assert answer(page) == f"{tokens.label(overview['state'])} {overview['sentence']}"


HOSTILE = {
    "service": "<img src=planted onerror=alert(1)>",
    "test": "a|b",
    "branch": "![x](http://planted.example/x.png)",
    "commit": "[x](javascript:alert(1))",
    "environment": ":red[x] `y`",
    "label": "formula=$x$ & <script>alert(1)</script>",
}


def test_hostile_names_are_only_names(own_server: Server, reader: Reader) -> None:
    samples = gzip.decompress(EVENT.read_bytes()).replace(b'"/event/search"', json.dumps(HOSTILE["service"]).encode())
    sent = httpx.post(f"{own_server.url}/api/v1/runs", params=HOSTILE, content=samples, timeout=60)
    assert sent.status_code == 201
    run = sent.json()["run"]["id"]

    overview = reader.opens(own_server.url)
    overview.get_by_role("link", name=HOSTILE["service"]).click()
    expect(overview.get_by_role("heading", level=1)).to_contain_text(run)
    page = reader.opens(f"{own_server.url}/run?run={run}")
    assert title(page) == f"{HOSTILE['service']}: run {run}"
    page.get_by_text("About this run").click()
    page.get_by_text("Label formula").wait_for()
    told = said(page)
    assert [name for name in HOSTILE.values() if name.removeprefix("formula=") not in told] == []

    cut = samples.rstrip().rpartition(b"\n")[0]  # other bytes, so another run
    other = httpx.post(f"{own_server.url}/api/v1/runs", params=HOSTILE, content=cut, timeout=60).json()["run"]["id"]
    page = reader.opens(f"{own_server.url}/compare?run={run}&with={other}")
    assert title(page) == f"{HOSTILE['service']}: what changed in run {run}"
    assert f"{HOSTILE['service']} http_req_duration p(95)" in held(page)
    assert [url for url in reader.asked if "planted" in url] == []
