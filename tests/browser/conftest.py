"""A real Chromium in front of the real service. Loading the demo takes a worker per run, so it is done once."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, expect, sync_playwright

import demo
from pages.components.tokens import ThemeType
from tests.running import Server, Workspace

QUIET = (
    "--no-sandbox",  # containers have no user namespaces to make one of
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
PHONE_PX = 400
PATIENCE_MS = 60_000  # nothing waits this long unless it is broken, or the machine is busy
# Streamlit looks for its own server under the path of the page first, and then where it is.
HARMLESS = re.compile(r"/[^/]+/_stcore/(health|host-config)")

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves the recorded runs: look, do not upload."""
    workspace = Workspace(tmp_path_factory.mktemp("demo"), demo.SLO)
    loaded = workspace("demo")
    assert loaded.returncode == 0, loaded.stderr
    with workspace.serving() as server:
        yield server


@pytest.fixture(scope="package")
def empty_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves a store without runs: it stays so."""
    with Workspace(tmp_path_factory.mktemp("empty")).serving() as server:
        yield server


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """The server that the test's parameter names."""
    found = request.getfixturevalue(f"{request.param}_server")
    assert isinstance(found, Server)
    return found


@dataclass
class Reader:
    """Someone with a browser of their own, and what the pages did to it."""

    chromium: Browser
    asked: list[str] = field(default_factory=list)
    unwanted: list[str] = field(default_factory=list)

    def opens(self, address: str, theme: ThemeType = "light", width: int = 1280) -> Page:
        """Open ``address`` as the first request of a new browser, and wait until the page stands."""
        context = self.chromium.new_context(color_scheme=theme, viewport={"width": width, "height": 900})
        self._watch(context)
        page = context.new_page()
        page.goto(address)
        settled(page)
        return page

    def _watch(self, context: BrowserContext) -> None:
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", lambda request: self._note(request.url))
        context.on("page", lambda page: page.on("websocket", lambda socket: self._note(socket.url)))
        context.on("dialog", self._dismiss)
        context.on("weberror", lambda error: self.unwanted.append(f"exception {error.error}"))
        context.on("console", self._hear)

    def _note(self, url: str) -> None:
        self.asked.append(url)
        if urlsplit(url).hostname not in {"127.0.0.1", None}:  # None: data and blob
            self.unwanted.append(f"request {url}")

    def _dismiss(self, dialog: Dialog) -> None:
        self.unwanted.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _hear(self, message: ConsoleMessage) -> None:
        where = urlsplit(message.location["url"]).path
        if message.type == "error" and not HARMLESS.fullmatch(where):
            self.unwanted.append(f"console {message.text} ({where})")


@pytest.fixture
def reader(chromium: Browser) -> Iterator[Reader]:
    """Opens addresses. Whatever the test looks at: no dialog, no error, and no request to anyone else."""
    someone = Reader(chromium)
    yield someone
    for context in chromium.contexts:
        context.close()
    assert someone.unwanted == []


def settled(page: Page) -> None:
    """Wait until the script has ended and everything that it sent is drawn."""
    page.mouse.move(0, 0)  # a figure under the mouse would say more
    page.wait_for_function(_IS_DRAWN)


# What is loaded late (figures, tables, code) has a skeleton in its place; the footer is the last thing that is sent.
_IS_DRAWN = """() => {
    const all = name => [...document.querySelectorAll(`[data-testid="${name}"]`)];
    return document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        && all("stMain").some(main => main.innerText.trimEnd().endsWith("Phasegate · API"))
        && all("stSkeleton").length === 0
        && all("stPlotlyChart").every(chart => chart.querySelector(".main-svg"));
}"""


def title(page: Page) -> str:
    """The page's first heading."""
    return _plain(page.get_by_role("heading", level=1).inner_text())


def answer(page: Page) -> str:
    """The sentence of the frame at the top, with its glyph and word."""
    return _plain(page.get_by_role("heading", level=4).first.inner_text())


def said(page: Page) -> str:
    """All that can be read on the page, on one line."""
    return _plain(page.get_by_test_id("stMain").inner_text())


def held(page: Page) -> str:
    """All text of the page, also what is folded away."""
    return _plain(page.locator("body").text_content() or "")


def is_dark(page: Page) -> bool:
    """Whether the background is darker than the text on it."""
    style = page.get_by_test_id("stApp").evaluate_handle("getComputedStyle")
    colours = (style.get_property(name).json_value() for name in ("backgroundColor", "color"))
    background, text = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    return background < text


def scrolls_sideways(page: Page) -> bool:
    """Whether the page is wider than the screen."""
    return bool(
        page.evaluate(
            "[document.documentElement, document.querySelector('[data-testid=\"stMain\"]')]"
            ".some(part => part.scrollWidth > part.clientWidth)"
        )
    )


def query(address: str) -> dict[str, list[str]]:
    """What an address asks for."""
    return parse_qs(urlsplit(address).query)


def _plain(text: str) -> str:
    return " ".join(text.replace("\N{WORD JOINER}", "").split())
