"""The service: ``streamlit run app.py`` serves the pages and ``/api`` from one process, which holds the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.routing import Mount
from streamlit.starlette import App

import desk
import logs
from api.routes import create_api
from settings import ROOT, Settings

SETTINGS = Settings.from_environment()


@asynccontextmanager
async def lifespan(_app: App) -> AsyncIterator[None]:
    """Hold the store open for as long as the service runs."""
    logs.configure(verbose=True)
    with desk.opened(SETTINGS):
        yield


app = App(
    ROOT / "pages" / "router.py",
    lifespan=lifespan,
    routes=[Mount("/api", app=create_api(desk.current, SETTINGS.token))],
)
