"""Telling from the command line, as a shell sees it: after the answer, and never for longer than it takes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

import demo
from notify import LIMIT_S
from tests.receiving import receiving
from tests.test_cli import Shell, file

pytestmark = pytest.mark.slow  # a process for each command


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("HOOK_SECRET", "whsec_c2VjcmV0")
    return Shell(tmp_path)


def tell(shell: Shell, *receivers: str) -> None:
    (shell.folder / "slo.yaml").write_text(
        demo.SLO.read_text() + "\nnotify:\n" + "".join(f"  - {one}\n" for one in receivers)
    )


def hook(url: str) -> str:
    return f"{{webhook: '{url}', secret_env: HOOK_SECRET}}"


def ingest(shell: Shell, slug: str = "event-slow") -> bytes:
    said = ("--service", "event", "--branch", "main", "--phase", "7A", "--version", "2.0", "--format", "json")
    done = shell("ingest", file(slug), *said)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"]["verdict"] == "fail"
    return done.stderr


def test_a_command_tells_once_it_has_answered(shell: Shell) -> None:
    with receiving() as server:
        tell(shell, hook(server.url))
        assert ingest(shell) == b""
        assert shell("gate", "--phase", "7A", "--version", "2.0").returncode == 1
        assert shell("gate", "--phase", "7A", "--version", "2.0").returncode == 1
        assert [json.loads(request.body)["kind"] for request in server.requests] == ["services", "gate"]
    found = shell.json("notify", "status")
    assert isinstance(found, list)
    assert [(one["state"], one["title"]) for one in found] == [
        ("delivered", "Phase 7A: 2.0 may not enter"), ("delivered", "Phase 7A: event fails"),
    ]  # fmt: skip
    assert b"Phase 7A: event fails" in shell("notify", "status").stdout


def test_a_receiver_that_fails_or_hangs_fails_no_command(shell: Shell) -> None:
    with receiving(500) as broken, receiving(0) as hanging:
        tell(shell, hook(broken.url), hook(hanging.url), "{url_env: NOT_SET_AT_ALL}")
        began = time.monotonic()
        said = ingest(shell)
        assert time.monotonic() - began < LIMIT_S + 15, "the time that a process takes to start and to read"
        assert b"HTTP 500" in said
        assert b"no answer in 10 s" in said
        assert b"NOT_SET_AT_ALL is not set" in said
        assert len(broken.requests) == 1, "one try"
    assert {(one["state"], one["attempts"]) for one in shell.json("notify", "status")} == {("pending", 1)}  # type: ignore[attr-defined]


def test_it_can_be_tried_out(shell: Shell) -> None:
    with receiving() as server:
        tell(shell, hook(server.url))
        assert shell("notify", "test").returncode == 0
        tell(shell, hook(server.url), "{url_env: NOT_SET_AT_ALL}")
        done = shell("notify", "test")
        assert done.returncode == 2
        assert b"NOT_SET_AT_ALL is not set" in done.stdout
        assert [json.loads(request.body)["kind"] for request in server.requests] == ["test", "test"]
    assert not shell.home.exists(), "it needs no store"
    assert b"NOT_SET_AT_ALL cannot be told: it is not set" in shell("slo", "check").stdout
    tell(shell, "{url_env: A, on: [green]}")
    done = shell("notify", "test")
    assert (done.returncode, b"no kind of change" in done.stderr) == (2, True)
    (shell.folder / "slo.yaml").write_text(demo.SLO.read_text())
    done = shell("notify", "test")
    assert (done.returncode, b"names nobody to tell" in done.stderr) == (2, True)
