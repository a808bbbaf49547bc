"""The compare page in a real Chromium, from cold deep links: event's slow search against runs in which it was quick."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from pages.components import tokens
from pages.components.tokens import ThemeType
from slo import numbers
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
from tests.running import Server

EVERYTHING = "mobile-app-comprehensive"
"""The test that calls every service, in which nothing went wrong."""

pytestmark = pytest.mark.browser


def slow_search(server: Server) -> str:
    """Event's slow run, beside the newest in which all was well."""
    return f"{server.url}/compare?run={server.newest('event-crud')}&with={server.newest(EVERYTHING)}&phase=7A"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_cold_deep_link_says_what_the_api_says(theme: ThemeType, demo_server: Server, reader: Reader) -> None:
    asked = query(slow_search(demo_server))
    document = demo_server.ask(f"runs/{asked['run'][0]}/compare", **{"with": asked["with"][0], "phase": "7A"})
    page = reader.opens(slow_search(demo_server), theme)
    assert page.url == slow_search(demo_server)
    assert title(page) == f"event: what changed in run {asked['run'][0]}"
    assert is_dark(page) is (theme == "dark")
    assert answer(page) == f"{tokens.label('regressed')} {document['sentence']}"
    told = said(page)
    assert "Next: look at GET /event/search first: p95 went from" in told
    for row in document["comparisons"]:
        assert f"{tokens.label(row['state'])} {row['service']} {row['sli']} {row['stat']}" in told
        assert numbers.change(row["change"], row["unit"]) in told
    assert re.search(r"Slower from p\d+ up, most at p\d+: \+\d+ %", told)


def test_against_its_baseline_the_runs_are_named(demo_server: Server, reader: Reader) -> None:
    run = demo_server.newest("event-crud")
    baseline = demo_server.ask(f"runs/{run}/baseline")
    told = said(reader.opens(f"{demo_server.url}/compare?run={run}&phase=7A"))
    assert f"Rolling baseline: {numbers.things(len(baseline['runs']), 'run')}, " in told
    assert [known for known in baseline["runs"] if known not in told] == []


def test_a_phone_shows_state_and_change_and_does_not_scroll_sideways(demo_server: Server, reader: Reader) -> None:
    page = reader.opens(slow_search(demo_server), width=PHONE_PX)
    assert not scrolls_sideways(page)
    first = page.get_by_test_id("stTable").first.get_by_role("cell").nth(1)
    box = first.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= PHONE_PX


def test_a_chosen_service_stands_in_the_address_and_the_address_opens_the_same_view(
    demo_server: Server, reader: Reader
) -> None:
    page = reader.opens(f"{demo_server.url}/compare?run={demo_server.newest(EVERYTHING)}&phase=7A")
    page.set_viewport_size({"width": 1280, "height": 3000})  # a list of options closes when the page scrolls
    box = page.get_by_role("combobox", name="Service")
    other = "chat" if box.input_value() != "chat" else "event"
    box.fill(other)
    page.get_by_role("option", name=other, exact=True).click()
    expect(page).to_have_url(re.compile(f"service={other}"))
    settled(page)
    again = reader.opens(page.url)
    assert again.get_by_role("combobox", name="Service").input_value() == other
    assert said(again) == said(page)
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Phase 7A"))
    settled(page)
    assert query(page.url) == {"phase": ["7A"]}, "what was chosen here is of no use elsewhere"


def test_another_run_to_compare_with_stands_in_the_address_and_can_be_cleared(
    demo_server: Server, reader: Reader
) -> None:
    run, other = demo_server.newest("event-crud"), demo_server.newest(EVERYTHING)
    page = reader.opens(f"{demo_server.url}/compare?run={run}&phase=7A")
    page.get_by_role("combobox", name="Compare with").fill(other)
    page.get_by_role("option", name=re.compile(f"^{other}")).click()
    expect(page).to_have_url(re.compile(f"with={other}"))
    expect(page.get_by_text("Compared as asked: 1 run")).to_be_visible()
    settled(page)
    assert said(reader.opens(page.url)) == said(page)
    box = page.get_by_test_id("stSelectbox").filter(has_text="Compare with")
    box.get_by_role("button", name=re.compile("clear", re.IGNORECASE)).click()
    expect(page.get_by_text("Rolling baseline")).to_be_visible()
    assert "with" not in query(page.url)


def test_the_run_page_leads_to_what_changed(demo_server: Server, reader: Reader) -> None:
    run = demo_server.newest("event-crud")
    page = reader.opens(f"{demo_server.url}/run?run={run}&phase=7A")
    page.get_by_role("link", name="Compare in detail").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("what changed in run"))
    settled(page)
    assert urlsplit(page.url).path == "/compare"
    assert query(page.url) == {"run": [run], "phase": ["7A"]}
    assert said(reader.opens(page.url)) == said(page)


def test_the_run_page_shows_what_its_verdict_compares(demo_server: Server, reader: Reader) -> None:
    run = demo_server.newest("event-crud")
    verdict = demo_server.ask(f"runs/{run}/verdict", phase="7A")
    text = held(reader.opens(f"{demo_server.url}/run?run={run}&phase=7A"))
    for row in verdict["comparisons"]:
        assert f"{tokens.label(row['state'])} {row['service']} {row['sli']} {row['stat']}" in text


def test_a_run_that_cannot_be_believed_is_not_compared(demo_server: Server, reader: Reader) -> None:
    page = reader.opens(f"{demo_server.url}/compare?run={demo_server.newest('plan-crud')}&phase=1")
    assert answer(page).startswith(f"{tokens.label('invalid')} This run cannot be believed")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/compare", "Choose the run that you want to know about"),
        ("/compare?run=deadbeef", "no run 'deadbeef' in this store"),
        ("/compare?run={event}&with=%3Cb%3E", "no run '<b>' in this store"),
        ("/compare?run={event}&with={event}", "itself"),
    ],
)
def test_a_link_with_nothing_to_compare_is_answered_in_words(
    path: str, told: str, demo_server: Server, reader: Reader
) -> None:
    page = reader.opens(demo_server.url + path.replace("{event}", demo_server.newest("event-crud")))
    assert told in said(page)
