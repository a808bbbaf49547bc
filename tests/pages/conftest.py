"""Pages in memory: Streamlit's own test runner, with a desk made by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

import desk
from settings import ROOT
from tests.pages.fakes import FakeDesk, desk_for

Open = Callable[..., AppTest]


@pytest.fixture
def fake_desk(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], FakeDesk]:
    """Puts the desk of a scenario in the place of the process's own."""

    def put(scenario: str) -> FakeDesk:
        fake = desk_for(scenario)
        monkeypatch.setattr(desk, "current", lambda: fake)
        return fake

    return put


@pytest.fixture
def overview(fake_desk: Callable[[str], FakeDesk]) -> Open:
    """Opens the overview: ``overview("morning", phase="7A")``."""

    def open_overview(scenario: str, **query: str) -> AppTest:
        fake_desk(scenario)
        page = AppTest.from_file(ROOT / "pages" / "router.py", default_timeout=20)
        for name, value in query.items():
            page.query_params[name] = value
        return page.run()

    return open_overview


@pytest.fixture
def run_page(overview: Open) -> Open:
    """Opens the run page: ``run_page("morning", run="7f3a91c2", phase="7A")``."""

    def open_run(scenario: str, **query: str) -> AppTest:
        page = overview(scenario)
        page.switch_page("run.py")
        for name, value in query.items():
            page.query_params[name] = value
        return page.run()

    return open_run


@pytest.fixture
def compare_page(overview: Open) -> Open:
    """Opens the compare page: ``compare_page("morning", run="7f3a91c2")``."""

    def open_compare(scenario: str, **query: str) -> AppTest:
        page = overview(scenario)
        page.switch_page("compare.py")
        for name, value in query.items():
            page.query_params[name.removesuffix("_")] = value
        return page.run()

    return open_compare


def text_of(page: AppTest) -> str:
    """Everything a page says in markdown, with the backslashes and invisible characters of escaping taken out."""
    parts = [
        element.value for kind in (page.title, page.markdown, page.caption, page.code, page.warning) for element in kind
    ]
    return "\n".join(parts).replace("\\", "").replace("\N{WORD JOINER}", "")
