"""GitHub's and GitLab's comments as far as a pipeline uses them, on a port of this machine."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MOST = 65_536
"""Characters of a comment that GitHub takes."""

TOKEN = "s3cret-token"  # noqa: S105  # opens nothing but this server
ME = {"id": 7, "login": "phasegate", "type": "Bot"}
LISTS = {
    re.compile(r"/repos/me/shop/issues/12/comments"): "user",
    re.compile(r"/projects/5/merge_requests/12/notes"): "author",
}
ONE = re.compile(r"/(?:repos/me/shop/issues/comments|projects/5/merge_requests/12/notes)/(\d+)")


@dataclass
class Forge:
    """What lies on a pull request, and what was asked of the API. ``knows_me``: a token that may ask who it is."""

    url: str
    comments: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    knows_me: bool = False
    refuses: bool = False

    def said(self, body: str, **author: object) -> int:
        """Somebody comments."""
        by = {"id": 99, "login": "somebody", "type": "User"} | author
        self.comments.append({"id": len(self.comments) + 1000, "body": body, "user": by, "author": by})
        return int(self.comments[-1]["id"])

    def body(self, comment: int) -> str:
        """What a comment says."""
        return str(next(one["body"] for one in self.comments if one["id"] == comment))


class _Handler(BaseHTTPRequestHandler):
    known: Forge

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if path.path == "/user":
            self._answer(200, ME) if self.known.knows_me else self._answer(403, {"message": "not by integration"})
        elif any(one.fullmatch(path.path) for one in LISTS):
            asked = {name: int(value[0]) for name, value in parse_qs(path.query).items()}
            size = min(asked.get("per_page", 30), 100)
            start = (asked.get("page", 1) - 1) * size
            self._answer(200, self.known.comments[start : start + size])
        else:
            self._answer(404, {"message": "Not Found"})

    def do_POST(self) -> None:
        if any(one.fullmatch(self.path) for one in LISTS):
            self._write(201, lambda body: self.known.said(body, **ME))

    def do_PATCH(self) -> None:
        found = ONE.fullmatch(self.path)
        comment = next(one for one in self.known.comments if found and one["id"] == int(found[1]))

        def change(body: str) -> int:
            comment["body"] = body
            return int(comment["id"])

        self._write(200, change)

    def do_PUT(self) -> None:
        self.do_PATCH()

    def _write(self, status: int, keep: Any) -> None:  # noqa: ANN401  # a function
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        if self.known.refuses or len(body) > MOST:
            self._answer(422, {"message": "Validation Failed"})
        else:
            self._answer(status, {"id": keep(body)})

    def _answer(self, status: int, document: object) -> None:
        self.known.asked.append(f"{self.command} {self.path}")
        given = {self.headers.get("Authorization"), self.headers.get("PRIVATE-TOKEN")}
        if not given & {f"Bearer {TOKEN}", TOKEN}:
            status, document = 401, {"message": "Bad credentials"}
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_words: object) -> None:
        pass


@contextmanager
def forge() -> Iterator[Forge]:
    """An API that pages its lists as both do, and knows one token."""
    known = Forge("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"known": known}))
    known.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
