"""A server that stands in for a Prometheus which misbehaves: slow, cut short, elsewhere, too large, wrong."""

from __future__ import annotations

import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests.prom import Samples
from tests.receiving import Request, serving

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What to answer, and how badly: after some silence, byte by byte, or ended before ``length`` is reached."""

    status: int = 200
    body: bytes = b""
    headers: Labels = field(default_factory=dict)
    after_s: float = 0.0
    every_s: float = 0.0  # between two bytes
    length: int | None = None  # what Content-Length says; None: the truth


@dataclass(frozen=True)
class Asked(Request):
    """A request, and its parts."""

    @property
    def route(self) -> str:
        return urlsplit(self.path).path

    @property
    def query(self) -> dict[str, str]:
        """Its parameters, from the address or a form; of several with one name the last."""
        found = parse_qs(urlsplit(self.path).query) | parse_qs(self.body.decode())
        return {name: values[-1] for name, values in found.items()}


Script = Sequence[Answer | Callable[[Asked], Answer]]
"""Answers in turn, the last for good; one may depend on what was asked."""
NOT_FOUND: Script = [Answer(404)]


@dataclass
class Misbehaving:
    """What a server is told to answer, by path (``*`` is any other), what it was asked, and how many bytes it sent."""

    url: str
    scripts: Mapping[str, Script]
    requests: list[Asked] = field(default_factory=list)
    sent_bytes: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, path: str) -> list[Asked]:
        """The requests for a path: none, if a redirect to it was not followed."""
        return [request for request in self.requests if request.route == path]

    def answer(self, request: Asked) -> Answer:
        """Take a request down; what to answer."""
        script = self._script(request)
        with self._turn:
            self.requests.append(request)
            turn = sum(self._script(other) is script for other in self.requests)
        told = script[min(turn, len(script)) - 1]
        return told if isinstance(told, Answer) else told(request)

    def _script(self, request: Asked) -> Script:
        return self.scripts.get(request.route, self.scripts.get("*", NOT_FOUND))


@contextmanager
def misbehaving(scripts: Mapping[str, Script]) -> Iterator[Misbehaving]:
    """A server that misbehaves as told, for as long as it is needed."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # as http.server calls it
            self._answer(b"")

        def do_POST(self) -> None:  # as http.server calls it
            self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

        def _answer(self, body: bytes) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = told.answer(Asked(self.path, headers, body))
            told.closing.wait(answer.after_s)
            try:
                self._send(answer)
            except ConnectionError:
                self.close_connection = True  # whoever asked has had enough

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            length = len(answer.body) if answer.length is None else answer.length
            for name, value in {"Content-Length": str(length), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            step = 1 if answer.every_s else 2**16
            for start in range(0, len(answer.body), step):
                told.sent_bytes += self.wfile.write(answer.body[start : start + step])
                if told.closing.wait(answer.every_s):
                    return

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with serving(Handler) as port:
        told = Misbehaving(f"http://127.0.0.1:{port}", scripts)
        try:
            yield told
        finally:
            told.closing.set()


def document(content: object, status: int = 200, **headers: str) -> Answer:
    """Any JSON; ``retry_after="7"`` is a header."""
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/json", **named})


def answered(kind: str, result: object, **more: object) -> Answer:
    """What Prometheus answers to a query that went well; ``warnings=["..."]`` goes beside the data."""
    return document({"status": "success", "data": {"resultType": kind, "result": result}, **more})


def vector(*samples: tuple[Labels, float | str], at: float = 0.0, **more: object) -> Answer:
    """The answer to an instant query."""
    return answered("vector", [{"metric": labels, "value": [at, str(value)]} for labels, value in samples], **more)


def matrix(*series: tuple[Labels, Samples], **more: object) -> Answer:
    """The answer to a range query. The same labels twice are two series; NaN, +Inf and -Inf are values as they are."""
    found = [{"metric": labels, "values": [[at, str(value)] for at, value in samples]} for labels, samples in series]
    return answered("matrix", found, **more)


def many(count: int = 50_000) -> Answer:
    """The answer to a range query that should have been summed up: so many series of one sample."""
    return matrix(*(({"__name__": "up", "pod": f"pod-{number}"}, [(0.0, 1)]) for number in range(count)))


def clock(off_s: float) -> Answer:
    """The answer to ``time()`` of a server whose clock is off: ahead, or with a number below zero behind."""
    now = time.time() + off_s
    return answered("scalar", [now, str(now)])


def refused(status: int, kind: str, message: str, **headers: str) -> Answer:
    """What Prometheus answers to a query that did not go well."""
    return document({"status": "error", "errorType": kind, "error": message}, status, **headers)


def redirect(url: str) -> Answer:
    """Somewhere else."""
    return Answer(302, headers={"Location": url})


def half(answer: Answer) -> Answer:
    """An answer whose connection is closed in the middle."""
    return replace(answer, body=answer.body[: len(answer.body) // 2], length=len(answer.body))


def packed(answer: Answer) -> Answer:
    """An answer as gzip."""
    return replace(answer, body=gzip.compress(answer.body), headers={**answer.headers, "Content-Encoding": "gzip"})


def bomb(pieces: int = 640) -> Answer:
    """JSON that never ends, as gzip: a piece is 16 KiB, and 16 MiB unpacked; all of them by default 10 GiB."""
    stream = zlib.compressobj(wbits=31)
    start = stream.compress(b'{"status": "success", "data": ') + stream.flush(zlib.Z_FULL_FLUSH)
    piece = stream.compress(b" " * 2**24) + stream.flush(zlib.Z_FULL_FLUSH)  # refers to nothing before it: repeatable
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return Answer(body=start + piece * pieces, headers=headers)


UNAUTHORIZED = Answer(401, b"Unauthorized\n", {"WWW-Authenticate": "Basic"})
UNPROCESSABLE = refused(422, "execution", "multiple matches for labels: many-to-one matching must be explicit")
OVERLOADED = refused(503, "unavailable", "server is shutting down", retry_after="1")
NOT_JSON = Answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
WRONG_SHAPES = (
    document([]),
    document({"status": "success"}),
    document({"status": "success", "data": None}),
    answered("matrix", None),
    answered("matrix", [{"metric": {}}]),
    answered("matrix", [{"metric": {}, "values": [[1]]}]),
    answered("matrix", [{"metric": {}, "values": [[1, "seven"]]}]),
    answered("matrix", [{"metric": [], "values": [["now", "1"]]}]),
    answered("string", [1, "text"]),
)
