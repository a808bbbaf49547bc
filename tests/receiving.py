"""A receiver of messages as it may be: a real HTTP server that takes them, refuses, redirects, or never answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """What arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiving:
    """What a server is asked, and how it answers: with ``statuses`` in turn, the last of them for good.

    A status of 0 is no answer at all, for as long as the server lives.
    """

    port: int
    statuses: list[int] = field(default_factory=lambda: [200])
    requests: list[Request] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where a webhook is posted."""
        return f"http://{self.address}/hook"

    def wait(self, count: int = 1, seconds: float = 20) -> None:
        """Until so many more have arrived."""
        for _ in range(count):
            assert self.arrived.acquire(timeout=seconds), f"{len(self.requests)} arrived"


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiving]:
    """A receiver, for as long as it is needed."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # as http.server calls it
            self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

        def do_GET(self) -> None:  # as http.server calls it
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.requests.append(Request(self.path, headers, body))
            status = found.statuses.pop(0) if len(found.statuses) > 1 else found.statuses[0]
            found.arrived.release()
            if not status:
                found.closing.wait(60)
                return
            self.send_response(status)
            self.send_header("Location", f"http://{found.address}/elsewhere")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with serving(Handler) as port:
        found = Receiving(port, [*statuses] or [200])
        try:
            yield found
        finally:
            found.closing.set()


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """The port of a server that answers with a handler, for as long as it is needed."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
