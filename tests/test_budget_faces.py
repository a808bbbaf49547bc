"""Error budgets as their askers meet them: over HTTP, and from a shell on a store and against a server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from api.routes import create_api
from desk import Desk
from settings import Settings
from slo.budget_model import BudgetView
from slo.documents import from_json, to_json
from tests import misbehaving as fake
from tests.test_cli import Shell

BUDGET = '  - {{name: {0}, service: event, objective: {1}, window: 1d, good: "good[$window]", total: "{2}[$window]"}}\n'
EXHAUSTED, OK, UNKNOWN = (
    BUDGET.format(*one) for one in (("event/spent", "99.9%", "t"), ("fine", "98%", "t"), ("dark", "99%", "none"))
)
COUNTS = {"good": 990.0, "t": 1000.0}
"""Of a thousand events in every five minutes, ten are bad."""


def slo(url: str, *budgets: str) -> str:
    asked = f"budgets:\n{''.join(budgets)}" if budgets else ""
    return f"""\
version: 1
prometheus: {{main: {{url: "{url}"}}}}
{asked}phases:
  - {{id: beta, objectives: [{{service: event, sli: http_req_failed, target: "rate < 5%"}}]}}
"""


def counted(asked: fake.Asked) -> fake.Answer:
    start, end = (float(asked.query[name]) for name in ("start", "end"))
    value = COUNTS.get(asked.query["query"].removesuffix("[5m]"))
    times = [start + n * 300 for n in range(int((end - start) / 300) + 1)]
    return fake.matrix(*([({}, [(at, value) for at in times])] if value is not None else []))


@pytest.fixture(scope="module")
def source() -> Iterator[str]:
    with fake.misbehaving({"*": [counted]}) as server:
        yield server.url


@pytest.fixture
def desk(tmp_path: Path, source: str) -> Iterator[Desk]:
    (tmp_path / "slo.yaml").write_text(slo(source, OK, UNKNOWN, EXHAUSTED))
    opened = Desk(Settings(tmp_path / "var", slo=tmp_path / "slo.yaml"))
    yield opened
    opened.close()


# -- over HTTP ------------------------------------------------------------------------------------------------------


def test_budgets_are_pulled_listed_and_shown(desk: Desk) -> None:
    with TestClient(create_api(lambda: desk)) as client:
        assert [one["state"] for one in client.get("/v1/budgets").json()] == ["unknown"] * 3
        pulled = client.post("/v1/budgets/pull").json()
        assert [(one["name"], one["asked"], one["found"], one["problem"]) for one in pulled] == [
            ("fine", 300, 300, None), ("dark", 300, 0, None), ("event/spent", 300, 300, None),
        ]  # fmt: skip
        listed = client.get("/v1/budgets").json()
        assert [(one["name"], one["state"]) for one in listed] == [
            ("event/spent", "exhausted"), ("dark", "unknown"), ("fine", "burning"),
        ]  # fmt: skip
        assert [one["over_time"] for one in listed] == [[], [], []]
        shown = client.get("/v1/budgets/event/spent")
        assert shown.json()["left"] == pytest.approx(-9.0)
        assert 0 < len(shown.json()["over_time"]) <= 500
        assert from_json(BudgetView, shown.content) == desk.service.budget("event/spent")
        missing = client.get("/v1/budgets/nothing")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


def test_a_pull_needs_the_token_and_a_question_does_not(desk: Desk) -> None:
    with TestClient(create_api(lambda: desk, token="secret")) as client:
        assert client.post("/v1/budgets/pull").status_code == 401
        assert client.post("/v1/budgets/pull", headers={"Authorization": "Bearer secret"}).status_code == 200
        assert client.get("/v1/budgets").status_code == 200


def test_a_budget_is_the_same_after_a_journey_as_json(desk: Desk) -> None:
    desk.pull_budgets()
    for view in desk.service.budgets():
        assert from_json(BudgetView, to_json(view)) == view


# -- from a shell ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=["store", "server"])
def shell(request: pytest.FixtureRequest, tmp_path: Path, source: str) -> Iterator[Shell]:
    (tmp_path / "slo.yaml").write_text(slo(source, OK, UNKNOWN, EXHAUSTED))
    if request.param == "store":
        yield Shell(tmp_path)
        return
    desk = Desk(Settings(tmp_path / "server", slo=tmp_path / "slo.yaml"))
    app = Starlette(routes=[Mount("/api", create_api(lambda: desk))])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Shell(tmp_path, "--server", f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join()
    desk.close()


@pytest.mark.slow
def test_a_shell_pulls_lists_and_shows(shell: Shell) -> None:
    before = shell("budget")
    assert before.returncode == 3
    assert b"nothing was asked of its source yet" in before.stdout
    pulled = shell("budget", "pull")
    assert (pulled.returncode, pulled.stdout.count(b"done")) == (0, 3)
    table = shell("budget")
    assert table.returncode == 1, "exhausted outranks unknown"
    assert [line.split()[0] for line in table.stdout.decode().splitlines()[1:4]] == ["event/spent", "dark", "fine"]
    assert "✕  EXHAUSTED" in table.stdout.decode()
    assert "?  UNKNOWN" in table.stdout.decode()
    shown = {name: shell("budget", "show", name) for name in ("event/spent", "dark", "fine")}
    assert {name: one.returncode for name, one in shown.items()} == {"event/spent": 1, "dark": 3, "fine": 0}
    assert b"`total` gives no series" in shown["dark"].stdout
    document = json.loads(shell("budget", "show", "fine", "--format", "json").stdout)
    assert (document["state"], document["left"]) == ("burning", pytest.approx(0.5))
    nothing = shell("budget", "show", "nothing")
    assert (nothing.returncode, b"budgets: fine, dark, event/spent" in nothing.stderr) == (2, True)


@pytest.mark.slow
def test_the_exit_code_is_that_of_the_worst(tmp_path: Path, source: str) -> None:
    shell, file = Shell(tmp_path), tmp_path / "slo.yaml"
    for budgets, code in (((OK,), 0), ((OK, UNKNOWN), 3), ((), 3)):
        file.write_text(slo(source, *budgets))
        assert shell("budget", "pull").returncode == 0
        assert shell("budget").returncode == code


@pytest.mark.slow
def test_a_source_that_is_away_is_an_error_of_the_pull(tmp_path: Path) -> None:
    (tmp_path / "slo.yaml").write_text(slo("http://127.0.0.1:1", OK))
    done = Shell(tmp_path)("budget", "pull")
    assert done.returncode == 2
    assert b"prometheus `main` does not answer" in done.stdout
