"""The service's own metrics, as Prometheus scrapes them: real requests, real stores, the real promtool."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from structlog.testing import capture_logs

import demo
from api.routes import create_api
from data.catalog import verdicts
from data.errors import StoreError
from data.model import RunMeta
from data.newest import NewestGate
from desk import Desk
from ingest.service import Upload
from settings import VERSION, Settings
from slo.exported import Exported, ExportedObjective, ExportedVerdict, LeftOut, Place
from slo.model import RULE_VERSION
from tests.ingesting import Quick
from tests.project import read
from tests.scraped import Scraped, linted

EVENT = next((demo.FOLDER / "runs").glob("*event-slow.json.gz"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(Settings(tmp_path / "var", slo=demo.SLO))
    opened._ingestor = Quick(opened._store)
    yield opened
    opened.close()


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(create_api(lambda: desk), raise_server_exceptions=False) as http:
        yield http


def scrape(client: TestClient) -> Scraped:
    answer = client.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return Scraped(answer.text)


def of(desk: Desk) -> Scraped:
    with TestClient(create_api(lambda: desk)) as http:
        return scrape(http)


def rows(desk: Desk) -> int:
    with desk._store._read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(verdicts)) or 0


def test_promtool_has_no_complaint_of_an_empty_store(fresh_desk: Desk) -> None:
    told = of(fresh_desk)
    assert linted(told.text) == (0, "")
    assert told.one("phasegate_runs") == 0
    assert told.one("phasegate_last_ingest_timestamp_seconds") is None, "there was none"
    assert told.one("phasegate_build_info", version=VERSION, rule_version=str(RULE_VERSION)) == 1
    assert told.states("phasegate_slo_config") == {(): "absent"}
    assert list(told.all("phasegate_verdict")) == []


def test_promtool_has_no_complaint_of_the_demo_and_nothing_is_judged(demo_desk: Desk) -> None:
    before = rows(demo_desk)
    told = of(demo_desk)
    assert linted(told.text) == (0, "")
    assert rows(demo_desk) == before
    assert told.one("phasegate_runs") == 32
    assert (told.one("phasegate_store_size_bytes", kind="blocks") or 0) > 1e6
    states = told.states("phasegate_verdict", phase="7A", branch="main")
    assert states["main", "ci", "7A", "event"] == "fail"
    assert states["main", "ci", "7A", "auth"] == "pass"


def test_what_was_measured_of_a_run_that_is_not_believed_is_not_told(demo_desk: Desk) -> None:
    run = next(run for run in demo_desk.service.runs(limit=None) if run.test == "notification")
    assert demo_desk.service.verdict(run.id, "1").measurement.state == "invalid"
    told = of(demo_desk)
    about = {"service": "notification", "phase": "1"}
    assert set(told.states("phasegate_verdict", **about).values()) == {"inconclusive"}
    assert set(told.states("phasegate_objective", **about).values()) == {"not_evaluable"}
    assert list(told.all("phasegate_objective_target_seconds", **about)) != []
    assert list(told.all("phasegate_objective_value_seconds", **about)) == [], "refused requests take 0 ms"


def test_uploads_are_counted_by_what_became_of_them(client: TestClient) -> None:
    for content, outcome, code in (
        (EVENT.read_bytes(), "created", ""),
        (EVENT.read_bytes(), "known", ""),
        (b"<html>login</html>", "refused", "unreadable_artefact"),
    ):
        assert scrape(client).one("phasegate_ingests_total", outcome=outcome, code=code) == 0
        client.post("/v1/runs?service=event&phase=7A", content=content)
        assert scrape(client).one("phasegate_ingests_total", outcome=outcome, code=code) == 1
    client.post(f"/v1/runs?artefact={'0' * 64}", content=b"x")
    told = scrape(client)
    assert told.one("phasegate_ingests_total", outcome="refused", code="not_found") == 1
    assert sum(value for _, value in told.all("phasegate_ingests_total")) == 4
    steps = {labels["step"]: value for labels, value in told.all("phasegate_ingest_step_seconds_count")}
    assert steps == {"receive": 3, "read": 3, "pull": 2, "judge": 2, "judge_ahead": 2}
    assert told.one("phasegate_ingests_in_progress") == 0
    assert told.one("phasegate_last_ingest_timestamp_seconds") == pytest.approx(datetime.now(UTC).timestamp(), abs=60)


def test_an_upload_that_is_too_large_is_a_refused_one(client: TestClient, desk: Desk) -> None:
    desk.spool._limit_bytes = 10
    client.post("/v1/runs", content=b"x" * 50)
    told = scrape(client)
    assert told.one("phasegate_ingests_total", outcome="refused", code="artefact_too_large") == 1
    assert told.one("phasegate_request_errors_total", code="artefact_too_large") == 1


def test_errors_and_answers_of_gates_are_counted(
    client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("/v1/runs/ffffffff", "/nowhere", "/v1/runs?limit=0", "/v1/gate?phase=7A&version=none"):
        client.get(path)
    monkeypatch.setattr(desk.service, "count", lambda: 1 / 0)
    failed = client.get("/v1/healthz")
    assert (failed.status_code, failed.json()["error"]["code"]) == (500, "internal")
    told = scrape(client)
    assert told.one("phasegate_request_errors_total", code="not_found") == 2
    assert told.one("phasegate_request_errors_total", code="bad_request") == 1
    assert told.one("phasegate_request_errors_total", code="internal") == 1
    assert told.one("phasegate_gate_answers_total", state="inconclusive") == 1


def test_each_store_counts_for_itself(fresh_desk: Desk, client: TestClient) -> None:
    client.get("/v1/runs/ffffffff")
    assert scrape(client).one("phasegate_request_errors_total", code="not_found") == 1
    assert of(fresh_desk).one("phasegate_request_errors_total", code="not_found") == 0


def test_a_store_in_trouble_is_said_and_what_was_counted_is_told(
    client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise StoreError("the catalog failed: I/O error")

    monkeypatch.setattr(desk._store, "figures", broken)
    with capture_logs() as logged:
        told = scrape(client)
    assert linted(told.text) == (0, "")
    assert told.one("phasegate_store_readable") == 0
    assert (told.one("phasegate_runs"), told.one("phasegate_gate_answers_total", state="pass")) == (None, 0)
    assert [(entry["event"], entry["reason"]) for entry in logged] == [
        ("store not read for metrics", "the catalog failed: I/O error")
    ]


def test_a_folder_that_is_gone_is_a_store_in_trouble(client: TestClient, desk: Desk) -> None:
    desk._store.spool.rename(desk.settings.home / "elsewhere")
    assert scrape(client).one("phasegate_store_readable") == 0


def test_without_an_open_store_there_is_one_clear_error() -> None:
    def closed() -> Desk:
        raise StoreError("no store is open in this process", help="start it")

    with TestClient(create_api(closed)) as http:
        answer = http.get("/metrics")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "store_error")


def test_metrics_are_read_without_a_token_as_all_questions_are(desk: Desk) -> None:
    with TestClient(create_api(lambda: desk, token="s3cret")) as http:
        assert http.get("/metrics").status_code == 200
        assert http.post("/metrics").status_code == 405


HOSTILE = ['a"} 1\nphasegate_runs 9', "back\\slash", "tab\tand\rreturn", "Größe 東京 🚀", "", 'x",state="pass', "nul\0"]


def _hostile() -> Exported:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    found = tuple(
        ExportedVerdict(
            Place(name or None, f"P{name}", name or None, name or None), "fail", "run", name, at, at,
            (ExportedObjective(name, name, (name,), "missed", 1.5, 1.0, "seconds"),),
        )
        for name in HOSTILE
    )  # fmt: skip
    gates = tuple(NewestGate(name, name or None, name, "fail", at, False) for name in HOSTILE)  # noqa: FBT003  # a row
    return Exported("in_force", found, gates, LeftOut())


def test_names_from_outside_stay_names(client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.service, "exported", _hostile)
    told = scrape(client)
    assert linted(told.text) == (0, "")
    assert told.one("phasegate_runs") == 0
    names = sorted(name.replace("\0", "\N{REPLACEMENT CHARACTER}") for name in HOSTILE)
    assert sorted(labels["service"] for labels, _ in told.all("phasegate_verdict", state="fail")) == names
    assert sorted(labels["sli"] for labels, _ in told.all("phasegate_objective_value_seconds")) == names
    assert sorted(labels["version"] for labels, _ in told.all("phasegate_gate_info")) == names


def test_a_name_is_escaped_all_the_way_from_its_upload(client: TestClient, desk: Desk) -> None:
    said = {"service": "event", "branch": 'x"} 1\ny\\', "environment": "東京", "version": "1\n2", "phase": "7A"}
    assert client.post("/v1/runs", params=said, content=EVENT.read_bytes()).status_code == 201
    told = scrape(client)
    assert linted(told.text) == (0, "")
    (labels,) = [labels for labels, value in told.all("phasegate_verdict_run_info", phase="7A")]
    assert {name: labels[name] for name in ("branch", "environment", "version")} == {
        name: said[name] for name in ("branch", "environment", "version")
    }
    assert desk.service.count() == 1


def test_a_scrape_while_uploads_are_read_is_whole(client: TestClient, desk: Desk) -> None:
    files = sorted((demo.FOLDER / "runs").glob("0*.json.gz"))[:4]
    done = threading.Event()

    def upload() -> None:
        for file in files:
            desk.judge_ahead(desk.ingest([Upload(file, file.name)], RunMeta(phase="7A")).run.id)
        done.set()

    uploading = threading.Thread(target=upload)
    uploading.start()
    seen = set()
    while not done.is_set():
        told = scrape(client)
        assert told.one("phasegate_store_readable") == 1
        told.states("phasegate_verdict")
        seen.add(told.one("phasegate_ingests_in_progress"))
    uploading.join()
    assert seen <= {0, 1}
    assert 1 in seen
    assert linted(scrape(client).text) == (0, "")


def test_a_wrong_slo_yaml_is_said(tmp_path: Path) -> None:
    (tmp_path / "slo.yaml").write_text("version: 1\nphases: [")
    other = Desk(Settings(tmp_path / "other", slo=tmp_path / "slo.yaml"))
    try:
        told = of(other)
    finally:
        other.close()
    assert told.states("phasegate_slo_config") == {(): "wrong"}
    assert told.one("phasegate_store_readable") == 1


def test_every_metric_is_in_the_table_and_the_other_way_round(fresh_desk: Desk) -> None:
    documented = [
        line.split("|")[1] for line in read("docs/metrics.md").splitlines() if line.startswith("| `phasegate_")
    ]
    named = [name.strip(" `") for cell in documented for name in cell.split(",")]
    assert sorted(named) == sorted(of(fresh_desk).names())
