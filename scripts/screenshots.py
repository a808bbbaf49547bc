"""Take the pictures in ``docs/images``: the demo's overview, the run to look at next, and what changed in event."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx2
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
PHASEGATE = ROOT / "phasegate"
PORT = 8599
ADDRESS = f"http://127.0.0.1:{PORT}"
START_S = 60
WIDTH_PX, TALLEST_PX = 1280, 1900
DRAW_MS = 1000  # charts fade in after the script has ended
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@contextmanager
def demo_server() -> Iterator[None]:
    """Serve the recorded runs from a store of their own, gone afterwards."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"PHASEGATE_HOME": home, "PHASEGATE_SLO": str(ROOT / "examples/nightbff/slo.yaml")}
        subprocess.run([PHASEGATE, "demo"], env=environment, check=True)
        with subprocess.Popen([PHASEGATE, "serve", "--port", str(PORT)], env=environment) as server:
            try:
                wait_until_it_answers()
                yield
            finally:
                server.terminate()


def wait_until_it_answers() -> None:
    """Ask until the service is healthy; ``TimeoutError`` after ``START_S`` seconds."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"{ADDRESS}/api/v1/healthz", timeout=2).raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.3)
        else:
            return
    raise TimeoutError(f"{ADDRESS} does not answer after {START_S} s")


def take(page: Page, name: str) -> None:
    """One picture of the page from its top, once everything is drawn."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_timeout(DRAW_MS)
    height = page.get_by_test_id("stMain").evaluate("main => main.scrollHeight")
    page.set_viewport_size({"width": WIDTH_PX, "height": min(height, TALLEST_PX)})
    page.wait_for_timeout(DRAW_MS)
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"docs/images/{name}.png")


def take_all(browser: Browser) -> None:
    """Every page in both themes."""
    runs = httpx2.get(f"{ADDRESS}/api/v1/runs", params={"test": "event-crud", "limit": 1}, timeout=30).json()
    for theme in THEMES:
        page = browser.new_page(color_scheme=theme, viewport={"width": WIDTH_PX, "height": 900})
        page.goto(f"{ADDRESS}/?phase=7A")
        take(page, f"overview-{theme}")
        page.get_by_role("link", name=re.compile("^Next: ")).click()
        page.wait_for_url("**/run?*")
        take(page, f"run-{theme}")
        page.goto(f"{ADDRESS}/compare?run={runs[0]['id']}&phase=7A")
        take(page, f"compare-{theme}")
        page.close()


def main() -> None:
    """Serve, look, and leave nothing behind but the pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with demo_server(), sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        take_all(chromium)


if __name__ == "__main__":
    main()
