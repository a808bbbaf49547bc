"""The API as its callers meet it: real requests through the real application, on real stores."""

from collections.abc import Iterator
from pathlib import Path

import blake3
import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

import demo
from api.routes import create_api
from desk import Desk
from settings import Settings
from slo.documents import to_json
from slo.model import RULE_VERSION
from slo.service import ConfigSource
from tests.ingesting import Quick

RUNS = demo.FOLDER / "runs"
EVENT = next(RUNS.glob("*event-slow.json.gz"))
JUNIT = b'<testsuite name="smoke"><testcase name="t"><failure/></testcase></testsuite>'
EVENT_SUMMARY = next(RUNS.glob("*event-slow.summary.json"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(Settings(tmp_path / "var", slo=demo.SLO))
    opened._ingestor = Quick(opened._store)
    yield opened
    opened.close()


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(create_api(lambda: desk)) as http:
        yield http


@pytest.fixture(scope="module")
def demo_client(demo_desk: Desk) -> Iterator[TestClient]:
    with TestClient(create_api(lambda: demo_desk)) as http:
        yield http


def test_a_run_is_uploaded_as_the_body_and_judged(client: TestClient) -> None:
    sent = client.post(
        "/v1/runs?service=event&phase=7A&branch=main&commit=abc&exit_code=99&label=a=b", content=EVENT.read_bytes()
    )
    assert sent.status_code == 201
    answer = sent.json()
    assert answer["created"] is True
    assert answer["run"]["labels"] == {"a": "b"}
    assert answer["verdict"]["verdict"] == "fail"
    run = answer["run"]["id"]
    assert client.get(f"/v1/runs/{run}").json()["commit"] == "abc"
    assert client.get(f"/v1/runs/{run}/verdict").json() == answer["verdict"]
    again = client.post("/v1/runs?service=event", content=EVENT.read_bytes())
    assert (again.status_code, again.json()["created"], again.json()["run"]["id"]) == (200, False, run)


def test_an_upload_is_judged_by_every_phase_behind_the_answer(client: TestClient, desk: Desk) -> None:
    answer = client.post("/v1/runs?service=event", content=EVENT.read_bytes()).json()
    assert answer["verdict"] is None, "no phase was named"
    run, digest = answer["run"]["id"], desk.service.config_report()
    assert digest
    kept = {phase: desk._store.verdicts([run], phase, digest.digest, RULE_VERSION) for phase in ("1", "7A", "7B", "8")}
    assert {phase for phase, found in kept.items() if found} == {"7A", "8"}, "those that ask something of it"


def test_an_upload_succeeds_where_nothing_can_be_judged(client: TestClient, desk: Desk) -> None:
    (desk.settings.home / "slo.yaml").write_text("version: 1\nphases: [")
    desk.service._config = ConfigSource([desk.settings.home / "slo.yaml"])
    with capture_logs() as logged:
        answer = client.post("/v1/runs?service=event", content=EVENT.read_bytes())
    assert (answer.status_code, desk.service.count()) == (201, 1)
    assert answer.json()["notes"][0].startswith("not judged: ")
    assert [entry["event"] for entry in logged if entry["log_level"] == "warning"] == ["not judged ahead"]


def test_a_summary_comes_before_its_run(client: TestClient, desk: Desk) -> None:
    summary = client.post("/v1/artefacts", content=EVENT_SUMMARY.read_bytes())
    assert summary.status_code == 201
    digest = summary.json()["artefact"]
    sent = client.post(f"/v1/runs?service=event&artefact={digest}", content=EVENT.read_bytes()).json()
    assert "thresholds_crossed" in [f["code"] for f in sent["findings"]]
    assert {a.kind for a in desk._store.record(sent["run"]["id"]).artefacts} == {"k6-json", "k6-summary-export"}


def test_a_report_of_tests_is_known_by_what_it_holds(client: TestClient) -> None:
    report = client.post("/v1/artefacts", content=JUNIT).json()["artefact"]
    sent = {}
    for named in (report, f"{report}:../reports/tests.xml"):
        sent = client.post(f"/v1/runs?service=event&artefact={named}", content=EVENT.read_bytes()).json()
        assert sent["run"]["facts"]["tests.failed"] == 1
        assert sent["notes"] == []
    run = sent["run"]["id"]
    (kept,) = client.get(f"/v1/runs/{run}/attachments").json()
    assert (kept["name"], kept["kind"], kept["digest"]) == (report[:12], "junit", report)
    assert client.get(f"/v1/runs/{run[:6]}/attachments/{report[:12]}").content == JUNIT


def test_an_attachment_is_saved_and_never_shown(client: TestClient) -> None:
    hostile = b"<script>alert(1)</script>"
    digest = client.post("/v1/artefacts", content=hostile).json()["artefact"]
    params = {"attach": f'{digest}:../x"\r\n.html'}
    run = client.post("/v1/runs", params=params, content=EVENT.read_bytes()).json()["run"]["id"]
    (kept,) = client.get(f"/v1/runs/{run}/view").json()["attachments"]
    answer = client.get(f"/v1/runs/{run}/attachments/{kept['name']}")
    assert (answer.status_code, answer.content) == (200, hostile)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="{kept["name"]}"'
    assert kept["name"] == "x_.html"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for name in ("nothing", "..%2f..%2fcatalog.duckdb", "manifest.json"):
        assert client.get(f"/v1/runs/{run}/attachments/{name}").status_code == 404


def test_an_attachment_over_the_limit_is_refused_and_nothing_is_stored(client: TestClient) -> None:
    digest = client.post("/v1/artefacts", content=b"x" * (5 * 2**20 + 1)).json()["artefact"]
    answer = client.post(f"/v1/runs?attach={digest}:core", content=EVENT.read_bytes())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "artefact_too_large")
    assert client.get("/v1/runs").json() == []


def test_what_was_uploaded_is_not_kept_beside_the_store(client: TestClient, desk: Desk) -> None:
    client.post("/v1/runs?service=event", content=EVENT.read_bytes())
    assert not [path for path in (desk.settings.home / "spool").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/runs", b"", 422, "unreadable_artefact"),
        ("POST", "/v1/runs", b"<html>login</html>", 422, "unreadable_artefact"),
        ("POST", "/v1/runs?label=novalue", EVENT.read_bytes(), 400, "bad_request"),
        ("POST", "/v1/runs?exit_code=many", b"x", 400, "bad_request"),
        ("POST", f"/v1/runs?artefact={'0' * 64}", b"x", 404, "not_found"),
        ("POST", "/v1/runs?artefact=../../etc/passwd", b"x", 404, "not_found"),
        ("POST", f"/v1/runs?attach={'0' * 64}:x", b"x", 404, "not_found"),
        ("POST", "/v1/runs", JUNIT, 400, "bad_request"),
        ("GET", "/v1/runs/ffffffff/attachments", None, 404, "not_found"),
        ("GET", "/v1/runs/ffffffff/attachments/x", None, 404, "not_found"),
        ("GET", "/v1/runs/ffffffff", None, 404, "not_found"),
        ("GET", "/v1/runs/ffffffff/verdict?phase=7A", None, 404, "not_found"),
        ("GET", "/v1/overview?phase=9Z", None, 404, "not_found"),
        ("GET", "/v1/runs?limit=0", None, 400, "bad_request"),
        ("DELETE", "/v1/runs/ffffffff?reason=x", None, 404, "not_found"),
        ("GET", "/v1/runs/ffffffff/compare", None, 404, "not_found"),
        ("GET", "/v1/runs/ffffffff/baseline", None, 404, "not_found"),
        ("GET", "/v1/services/nowhere/history", None, 404, "not_found"),
        ("GET", "/v1/decisions?run=ffffffff", None, 404, "not_found"),
        ("POST", "/v1/runs/ffffffff/decisions?kind=pinned&reason=x", None, 404, "not_found"),
        ("POST", "/v1/runs/ffffffff/decisions?kind=liked&reason=x", None, 400, "bad_request"),
        ("POST", "/v1/runs/ffffffff/decisions?reason=x", None, 400, "bad_request"),
    ],
)
def test_an_error_has_one_shape(
    client: TestClient, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    answer = client.request(method, path, content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["message"]
    assert client.get("/v1/runs").json() == [], "nothing was stored"


def test_an_upload_over_the_limit_is_cut_off(client: TestClient, desk: Desk) -> None:
    desk.spool._limit_bytes = 1000
    answer = client.post("/v1/runs", content=b"x" * 5000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "artefact_too_large")
    assert not list((desk.settings.home / "spool" / "uploads").iterdir())


def test_uploads_need_the_token_where_one_is_set_and_questions_do_not(desk: Desk) -> None:
    with TestClient(create_api(lambda: desk, token="s3cret")) as http:
        assert http.post("/v1/runs", content=b"x").status_code == 401
        assert http.post("/v1/runs", content=b"x", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert http.post("/v1/runs", content=b"x", headers={"Authorization": "Bearer s3cret"}).status_code == 422
        assert http.get("/v1/runs").status_code == 200
        assert http.delete("/v1/runs/ffffffff?reason=x").status_code == 401
        assert http.delete("/v1/runs/ffffffff?reason=x", headers={"Authorization": "Bearer s3cret"}).status_code == 404


def test_the_answers_are_the_services_own(demo_client: TestClient, demo_desk: Desk) -> None:
    assert demo_client.get("/v1/healthz").json()["runs"] == 32
    listed = demo_client.get("/v1/runs?limit=1000").json()
    assert [run["id"] for run in listed] == [run.id for run in demo_desk.service.runs(limit=None)]
    assert [run["id"] for run in demo_client.get("/v1/runs?service=chat&test=chat").json()] == [
        run.id for run in demo_desk.service.runs(limit=None) if run.test == "chat"
    ]
    view = demo_client.get(f"/v1/runs/{listed[0]['id']}/view?phase=7A").json()
    assert view["run"] == listed[0]
    overview = demo_client.get("/v1/overview?phase=7A").json()
    assert overview["services"][0]["state"] == "fail"
    assert demo_client.get("/v1/slo").json()["phases"][0]["id"] == "1"


@pytest.mark.parametrize(
    ("output", "kind", "begins"),
    [
        ("text", "text/plain; charset=utf-8", "{glyph} "),
        ("json", "application/json", "{{"),
        ("markdown", "text/markdown; charset=utf-8", "<!-- phasegate "),
        ("junit", "application/xml", "<?xml "),
        ("github", "text/plain; charset=utf-8", "::error title="),
        ("gitlab", "application/json", "["),
    ],
)
def test_an_answer_comes_in_the_form_that_was_asked_for(
    demo_client: TestClient, output: str, kind: str, begins: str
) -> None:
    run = demo_client.get("/v1/runs?service=event").json()[0]["id"]
    for asked, code, glyph in ((f"runs/{run}/verdict?phase=7A", "1", "✕"), ("gate?phase=7A&version=none", "3", "?")):
        answer = demo_client.get(f"/v1/{asked}&format={output}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert answer.headers["x-phasegate-exit-code"] == code
        assert answer.headers.get("x-phasegate-awaits-runs") == ("true" if asked.startswith("gate") else None)
        assert answer.text.startswith(begins.format(glyph=glyph))
    assert demo_client.get(f"/v1/runs/{run}/verdict?phase=7A&format=pdf").status_code == 400


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ("phase=7A&service=event", "✕ fail"),
        ("phase=7A&service=auth", "✓ pass"),
        ("phase=7A", "✕ fail"),
        ("phase=7A&service=auth&branch=nowhere", "– no data"),
        ("phase=7A&service=nosuch", "? unknown"),
        ("phase=9Z", "? unknown"),
    ],
)
def test_a_badge_says_how_a_service_stands_as_the_overview_does(demo_client: TestClient, asked: str, word: str) -> None:
    answer = demo_client.get(f"/v1/badge.svg?{asked}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.headers["cache-control"] == "no-cache"
    assert f">{word}</text>" in answer.text
    assert demo_client.get(f"/v1/badge.svg?{asked}&service=").status_code == 400, "an unset variable asks for nothing"


def test_a_missed_objective_is_annotated_where_slo_yaml_asks_for_it(demo_client: TestClient) -> None:
    run = demo_client.get("/v1/runs?service=event").json()[0]["id"]
    (*_, told) = demo_client.get(f"/v1/runs/{run}/verdict?phase=7A&format=github").text.splitlines()[:2]
    line = int(told.partition("line=")[2].partition(",")[0])
    assert told.startswith("::error file=slo.yaml,line=")
    assert "service: event" in demo.SLO.read_text().splitlines()[line - 1]


def test_what_changed_is_asked_over_http(demo_client: TestClient, demo_desk: Desk) -> None:
    first, *_, last = [run for run in demo_desk.service.runs(limit=None) if run.test == "mobile-app-comprehensive"][
        ::-1
    ]
    service = demo_desk.service
    for path, document in (
        (f"runs/{last.id}/compare?phase=7A", service.compare(last.id, phase="7A")),
        (f"runs/{last.id}/compare?with={first.id}", service.compare(last.id, first.id)),
        (f"runs/{last.id}/compare?with=", service.compare(last.id)),
        (f"runs/{last.id}/baseline", service.baseline(last.id)),
        (f"services/event/history?phase=7A&test={last.test}", service.history("event", "7A", test=last.test)),
        ("decisions", service.decisions()),
    ):
        assert sorted(demo_client.get(f"/v1/{path}").text) == sorted(to_json(document)), path  # services in any order


def test_a_gate_is_asked_and_its_decision_made_again(client: TestClient) -> None:
    told = "service=event&version=2.0&fact=seeded_users=10000&fact=pending_migrations=0"
    run = client.post(f"/v1/runs?{told}", content=EVENT.read_bytes()).json()["run"]
    assert run["facts"] == {"seeded_users": 10000, "pending_migrations": 0}
    decision = client.get("/v1/gate?phase=7A&version=2.0").json()
    assert decision["decision"] == "fail"
    assert decision["runs"] == [run["id"]]
    assert client.get(f"/v1/gates/{decision['id']}").json() == decision
    assert decision["id"] in {one["id"] for one in client.get("/v1/gates").json()}
    assert client.delete(f"/v1/runs/{run['id']}?reason=gone").status_code == 200
    assert client.get(f"/v1/gates/{decision['id']}").json() == decision, "a record outlives its runs"
    assert client.get("/v1/gate?phase=7A").status_code == 400
    assert client.get("/v1/gate?phase=7A&version=").status_code == 400
    assert client.post("/v1/runs?fact=seeded", content=EVENT.read_bytes()).status_code == 400


def test_a_decision_has_a_reason_and_is_kept(client: TestClient) -> None:
    run = client.post("/v1/runs?service=team/shop&test=smoke", content=EVENT.read_bytes()).json()["run"]["id"]
    path = f"/v1/runs/{run}/decisions"
    refused = client.post(f"{path}?kind=pinned")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_request")
    assert "reason" in refused.json()["error"]["message"]
    made = [client.post(path, params={"kind": kind, "reason": f"it is {kind}"}) for kind in ("invalidated", "restored")]
    assert [answer.status_code for answer in made] == [201, 201]
    decisions = [answer.json() for answer in made][::-1]
    assert [decision["kind"] for decision in decisions] == ["restored", "invalidated"]
    assert client.get("/v1/decisions").json() == client.get(f"/v1/decisions?run={run[:6]}").json() == decisions
    history = client.get("/v1/services/team%2Fshop/history").json()
    assert (history["service"], history["runs"], history["decisions"]) == ("team/shop", 1, decisions)


def test_decisions_need_the_token_where_one_is_set(desk: Desk) -> None:
    path = "/v1/runs/ffffffff/decisions?kind=pinned&reason=x"
    with TestClient(create_api(lambda: desk, token="s3cret")) as http:
        assert http.post(path).status_code == 401
        assert http.post(path, headers={"Authorization": "Bearer s3cret"}).status_code == 404
    with TestClient(create_api(lambda: desk)) as http:
        assert http.post(path, headers={"Origin": "https://evil.example"}).status_code == 403


def test_the_api_documents_itself(demo_client: TestClient) -> None:
    paths = demo_client.get("/openapi.json").json()["paths"]
    assert {"/v1/runs", "/v1/runs/{run}", "/v1/runs/{run}/verdict", "/v1/healthz"} <= paths.keys()
    assert all(operation["summary"] for path in paths.values() for operation in path.values())
    page = demo_client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text, "nothing is fetched from elsewhere"


def test_a_parameter_that_does_not_exist_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/runs?servce=event", content=EVENT.read_bytes())
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "there is no parameter 'servce'; did you mean 'service'?"
    assert client.get("/v1/runs").json() == []


def test_an_empty_parameter_counts_as_absent(client: TestClient) -> None:
    answer = client.post("/v1/runs?service=&exit_code=&label=&artefact=&phase=", content=EVENT.read_bytes())
    run = answer.json()["run"]
    assert (answer.status_code, run["service"], run["labels"]) == (201, None, {})
    assert len(client.get("/v1/runs?service=&branch=").json()) == 1


def test_an_artefact_stays_so_that_an_upload_can_be_repeated(client: TestClient, desk: Desk) -> None:
    digest = client.post("/v1/artefacts", content=EVENT_SUMMARY.read_bytes()).json()["artefact"]
    uploads = desk.settings.home / "spool" / "uploads"
    assert client.post(f"/v1/runs?artefact={digest}", content=b"<html>").status_code == 422
    assert [path.name for path in uploads.iterdir()] == [digest]
    answers = [client.post(f"/v1/runs?artefact={digest}", content=EVENT.read_bytes()) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200], "the answer to the first may have been lost"
    assert [path.name for path in uploads.iterdir()] == [digest]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("DELETE", "/v1/runs", 405, "method_not_allowed"),
    ],
)
def test_a_route_that_does_not_exist_answers_as_every_error(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert path in answer.json()["error"]["message"]


def test_pages_of_other_sites_may_change_nothing(desk: Desk) -> None:
    foreign, own = {"Origin": "https://evil.example"}, {"Origin": "http://testserver"}
    with TestClient(create_api(lambda: desk)) as http:
        refused = http.post("/v1/runs", content=EVENT.read_bytes(), headers=foreign)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "foreign_origin")
        assert http.post("/v1/runs", content=b"x", headers={"Origin": "null"}).status_code == 403
        assert http.delete("/v1/runs/ffffffff?reason=x", headers=foreign).status_code == 403
        assert http.post("/v1/runs", content=b"x", headers=own).status_code == 422
    with TestClient(create_api(lambda: desk, token="s3cret")) as http:
        known = {"Authorization": "Bearer s3cret"}
        assert http.post("/v1/runs", content=b"x", headers=foreign | known).status_code == 422


def test_a_large_body_arrives_whole(client: TestClient) -> None:
    body = [bytes([i]) * 700_000 for i in range(5)]
    sent = client.post("/v1/artefacts", content=iter(body)).json()
    assert sent == {"artefact": blake3.blake3(b"".join(body)).hexdigest(), "bytes": 3_500_000}


def test_what_is_said_later_of_the_same_bytes_is_added_and_judged(client: TestClient) -> None:
    first = client.post("/v1/runs?phase=7A&branch=main", content=EVENT.read_bytes()).json()
    assert "end_unknown" in [found["code"] for found in first["findings"]]
    later = client.post(
        "/v1/runs?service=event&phase=7A&exit_code=99&commit=abc&branch=dev", content=EVENT.read_bytes()
    )
    answer = later.json()
    assert (later.status_code, answer["created"]) == (200, False)
    assert answer["notes"] == [
        "service is now 'event'",
        "commit is now 'abc'",
        "exit_code is now 99",
        "branch stays 'main'; this upload said 'dev'",
    ]
    run = first["run"] | {"service": "event", "commit": "abc", "exit_code": 99}
    assert answer["run"] == run == client.get(f"/v1/runs/{run['id']}").json()
    verdict = client.get(f"/v1/runs/{run['id']}/verdict").json()
    assert verdict == answer["verdict"]
    assert verdict["run"] == run
    assert "end_unknown" not in [found["code"] for found in verdict["measurement"]["findings"]]
    assert first["verdict"]["out_of_scope"] == 0
    assert verdict["out_of_scope"] > 0, "it is asked about its own service only"


def test_a_phase_that_is_unknown_stores_the_run_and_says_so(client: TestClient) -> None:
    answer = client.post("/v1/runs?service=event&phase=9Z", content=EVENT.read_bytes())
    assert answer.status_code == 201
    assert answer.json()["verdict"] is None
    assert answer.json()["notes"][0].startswith("not judged: ")
    assert "slo.yaml has no phase `9Z`" in answer.json()["notes"][0]


def test_a_deleted_run_is_gone_until_it_is_uploaded_again(client: TestClient, desk: Desk) -> None:
    run = client.post("/v1/runs?service=event&phase=7A", content=EVENT.read_bytes()).json()["run"]
    path = f"/v1/runs/{run['id']}"
    refused = client.delete(path)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_request")
    assert "reason" in refused.json()["error"]["message"]
    with capture_logs() as logs:
        deleted = client.delete(path, params={"reason": "the wrong service"})
    assert (deleted.status_code, deleted.json()) == (200, run)
    assert [(line["event"], line["reason"]) for line in logs] == [("run deleted", "the wrong service")]
    assert client.get(path).status_code == client.delete(f"{path}?reason=again").status_code == 404
    assert client.get("/v1/runs").json() == []
    assert not list((desk.settings.home / "blocks").iterdir())
    again = client.post("/v1/runs?service=shop", content=EVENT.read_bytes())
    assert (again.status_code, again.json()["run"]["service"]) == (201, "shop")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("runs/{run}/compare?wiht=9e26", "there is no parameter 'wiht'; did you mean 'with'?"),
        ("runs?servise=event", "there is no parameter 'servise'; did you mean 'service'?"),
        ("healthz?x=1", "there is no parameter 'x'"),
    ],
)
def test_a_misspelt_parameter_of_a_question_is_an_error(demo_client: TestClient, asked: str, told: str) -> None:
    run = demo_client.get("/v1/runs?limit=1").json()[0]["id"]
    answer = demo_client.get(f"/v1/{asked.format(run=run)}")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == told


def test_what_became_of_messages_is_listed_and_they_can_be_tried_out(tmp_path: Path) -> None:
    slo = tmp_path / "slo.yaml"
    slo.write_text(demo.SLO.read_text() + "\nnotify:\n  - {url_env: NOT_SET_AT_ALL}\n")
    desk = Desk(Settings(tmp_path / "var", slo=slo))
    desk._ingestor = Quick(desk._store)
    with TestClient(create_api(lambda: desk, "token")) as http:
        bearer = {"Authorization": "Bearer token"}
        http.post("/v1/runs?service=event&phase=7A&branch=main", content=EVENT.read_bytes(), headers=bearer)
        (waiting,) = http.get("/v1/notifications").json()
        assert (waiting["receiver"], waiting["state"]) == ("NOT_SET_AT_ALL", "pending")
        assert http.post("/v1/notifications/test").status_code == 401
        assert http.post("/v1/notifications/test", headers=bearer).json() == [
            {"receiver": "NOT_SET_AT_ALL", "problem": "NOT_SET_AT_ALL is not set"}
        ]
    desk.close()
