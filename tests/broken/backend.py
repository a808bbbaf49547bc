"""The demo's backend, and what it takes to break a test: tokens that are asked for, error storms, a WebSocket.

Options beside the demo's own: ``--storm=PATH`` answers 500 at once, on this path and below, from ``--storm-after``
seconds after the first request of the load on.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from examples.nightbff import backend

FREE = {"/healthz", "/seed"}
"""Paths that ask for no token and are no load."""
ANSWER_AFTER_S = 0.02


@dataclass
class Troubles:
    """ASGI middleware: refuses whoever has no token, and starts a storm when its time has come."""

    app: ASGIApp
    storm: str | None
    storm_after_s: float
    first_at: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self.refused(scope) if scope["type"] == "http" and scope["path"] not in FREE else None
        await (refused or self.app)(scope, receive, send)

    def refused(self, scope: Scope) -> JSONResponse | None:
        if self.first_at is None:
            self.first_at = time.monotonic()
        if not Request(scope).headers.get("authorization", "").startswith("Bearer jwt."):
            return JSONResponse({"message": "invalid token"}, 401)
        storming = self.storm is not None and scope["path"].startswith(self.storm)
        if storming and time.monotonic() - self.first_at >= self.storm_after_s:
            return JSONResponse({"message": "remaining connection slots are reserved"}, 500)
        return None


async def echo(socket: WebSocket) -> None:
    """Answer each message with itself, a little later."""
    await socket.accept()
    async for text in socket.iter_text():
        await asyncio.sleep(ANSWER_AFTER_S)
        await socket.send_text(text)


def create_app(options: argparse.Namespace, storm: str | None, storm_after_s: float) -> ASGIApp:
    app: Starlette = backend.create_app(backend.behaviour_of(options), options.seed)
    app.routes.append(WebSocketRoute("/chat/socket", echo))
    return Troubles(app, storm, storm_after_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storm", metavar="PATH")
    parser.add_argument("--storm-after", type=float, default=0.0, metavar="SECONDS")
    own, others = parser.parse_known_args()
    options = backend.parse(others)
    app = create_app(options, own.storm, own.storm_after)
    uvicorn.run(app, port=options.port, log_level="critical", access_log=False)


if __name__ == "__main__":
    main()
