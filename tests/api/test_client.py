"""The client meets whatever answers at an address: a Phasegate, something else, or nobody."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import demo
from api.client import RemoteDesk
from data.errors import PhasegateError, ServerUnreachable, StoreLocked
from data.model import RunMeta
from ingest.service import Upload

RUN = next((demo.FOLDER / "runs").glob("*-chat-slow.json.gz"))
SUMMARY = next((demo.FOLDER / "runs").glob("*-chat-slow.summary.json"))


@contextmanager
def answering(status: int, content: bytes, **headers: str) -> Iterator[str]:
    """A server that answers everything in the same way; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            if "chunked" in self.headers.get("transfer-encoding", ""):
                while size := int(self.rfile.readline(), 16):
                    self.rfile.read(size + 2)
                self.rfile.readline()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815  # as http.server calls them

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@contextmanager
def desk(url: str) -> Iterator[RemoteDesk]:
    remote = RemoteDesk(url, None)
    yield remote
    remote.close()


ASKED = {
    "runs": lambda desk: desk.service.runs(),
    "run": lambda desk: desk.service.run("abcd"),
    "verdict": lambda desk: desk.service.verdict("abcd"),
    "overview": lambda desk: desk.service.overview(),
    "slo": lambda desk: desk.service.config_report(),
    "ingest": lambda desk: desk.ingest([Upload(RUN, RUN.name)], RunMeta()),
    "ingest with a summary": lambda desk: desk.ingest([Upload(p, p.name) for p in (RUN, SUMMARY)], RunMeta()),
    "demo": lambda desk: desk.load_demo(),
    "delete": lambda desk: desk.delete("abcd", "why"),
    "compare": lambda desk: desk.service.compare("abcd", "ef01", "7A"),
    "baseline": lambda desk: desk.service.baseline("abcd"),
    "history": lambda desk: desk.service.history("team/shop", test="smoke"),
    "decisions": lambda desk: desk.service.decisions(),
    "decide": lambda desk: desk.decide("abcd", "pinned", "why"),
}
FOREIGN = {
    "a page": (200, b"<!doctype html><p>hello", {"Content_Type": "text/html; charset=utf-8"}),
    "other JSON": (200, b'{"status": "ok"}', {"Content_Type": "application/json"}),
    "nothing": (204, b"", {}),
    "another 404": (404, b'{"detail": "Not Found"}', {"Content_Type": "application/json"}),
    "an error of another shape": (500, b'{"error": {"code": 5, "message": null}}', {}),
    "bytes": (502, b"\xff\xfe\x00", {"Content_Type": "text/plain"}),
    "a login": (302, b"", {"Location": "https://login.example/"}),
}


@pytest.mark.parametrize("question", ASKED)
@pytest.mark.parametrize("kind", FOREIGN)
def test_whatever_is_no_phasegate_is_told_as_that(kind: str, question: str) -> None:
    status, content, headers = FOREIGN[kind]
    with (
        answering(status, content, **headers) as url,
        desk(url) as remote,
        pytest.raises(ServerUnreachable) as refused,
    ):
        ASKED[question](remote)
    assert refused.value.message.startswith(f"{url} does not answer as this version of Phasegate does: ")
    assert f"got HTTP {status}" in refused.value.message
    assert headers.get("Location", "") in refused.value.message
    assert "--server" in (refused.value.help or "")


def test_an_error_of_a_phasegate_comes_as_the_class_it_is() -> None:
    content = b'{"error": {"code": "store_locked", "message": "held", "help": null}}'
    with answering(503, content) as url, desk(url) as remote, pytest.raises(StoreLocked, match="held"):
        remote.service.runs()


def test_an_error_of_a_newer_phasegate_keeps_its_words() -> None:
    content = b'{"error": {"code": "of_tomorrow", "message": "new", "help": "wait", "since": 3}}'
    with answering(418, content) as url, desk(url) as remote, pytest.raises(PhasegateError) as told:
        remote.service.runs()
    assert (told.value.message, told.value.help) == ("new", "wait")


def test_a_server_without_a_slo_yaml_has_no_report() -> None:
    with answering(200, b"null") as url, desk(url) as remote:
        assert remote.service.config_report() is None


def test_nobody_there_is_told_with_the_address() -> None:
    with desk("http://127.0.0.1:9/") as remote, pytest.raises(ServerUnreachable, match=r"no answer from http://127\.0"):
        remote.service.runs()


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://h:8501", "http://h:8501"),
        ("http://h:8501/", "http://h:8501"),
        ("http://h:8501//", "http://h:8501"),
        ("http://h:8501/run?run=7f3a91c2&phase=7A#x", "http://h:8501"),
        ("http://h:8501/overview", "http://h:8501"),
        ("http://h:8501/compare?run=7f3a91c2&with=81d0c4aa", "http://h:8501"),
        ("http://h:8501/api", "http://h:8501"),
        ("http://h:8501/api/v1/", "http://h:8501"),
        ("https://h/api/docs", "https://h"),
        ("https://h/phasegate/", "https://h/phasegate"),
        ("https://h/phasegate/run?x", "https://h/phasegate"),
        ("http://h/prerun", "http://h/prerun"),
        ("http://[::1]:8501/", "http://[::1]:8501"),
    ],
)
def test_any_address_of_a_server_is_its_address(url: str, server: str) -> None:
    with desk(url) as remote:
        assert remote.url == server


@pytest.mark.parametrize(
    ("url", "help_text"),
    [
        ("127.0.0.1:8501", "write http://127.0.0.1:8501"),
        ("localhost:8501", "write http://localhost:8501"),
        ("http://", "write http://HOST:PORT"),
        ("ftp://h", "write http://HOST:PORT"),
        ("http://h:port", "write http://HOST:PORT"),
        ("http://h:99999", "write http://HOST:PORT"),
        ("http://[::1", "write http://HOST:PORT"),
    ],
)
def test_what_is_no_address_says_what_one_is(url: str, help_text: str) -> None:
    with pytest.raises(ServerUnreachable, match="is not the address of a server") as refused:
        RemoteDesk(url, None)
    assert repr(url) in refused.value.message
    assert refused.value.help == help_text


@pytest.mark.parametrize("run_id", ["../runs", "a/b?c#d", "%2e%2e", "größe"])
def test_an_odd_id_stays_an_id(run_id: str) -> None:
    with answering(404, b"{}") as url, desk(url) as remote, pytest.raises(ServerUnreachable) as refused:
        remote.service.verdict(run_id)
    assert "/api/v1/runs/" in refused.value.message
    assert "/verdict got" in refused.value.message


def test_a_file_is_sent_with_progress(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    shares: list[float] = []
    with answering(200, b"{}") as url, desk(url) as remote, pytest.raises(ServerUnreachable):
        remote.ingest([Upload(tmp_path / "f", "f")], RunMeta(), lambda _step, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1
