"""Telling, to real servers: signed, tried again, given up; never in anybody's way, and no secret ever said."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import demo
import desk as desks
import notify
from data.errors import BadRequest
from data.model import RunMeta
from data.notices import StoredNotice
from data.store import Store
from desk import Desk
from ingest.service import Upload
from notify import LIMIT_S, RETRIES, Courier, Round, after, deliver, probe, send, signature, unset
from settings import Settings
from slo.documents import to_json
from slo.plan import Receiver
from slo.telling import Message, Standing, Subject, changes
from tests.builders import START
from tests.ingesting import Quick
from tests.project import read
from tests.receiving import Receiving, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  # of the documentation of Standard Webhooks
TOKEN = "s3cr3t-t0ken"  # noqa: S105  # opens nothing
GONE = "http://127.0.0.1:1/hook"
SLOW = next((demo.FOLDER / "runs").glob("*event-slow.json.gz"))


def document(name: str = "event", number: int = 1) -> str:
    subject = Subject("7A", name, test="nightly", branch="main")
    return to_json(
        Message(1, f"message-{number}", START, "services", changes([Standing(subject, "fail", "p(95) = 400 ms")], {}))
    )


def notice(receiver: Receiver, number: int = 1, **more: object) -> StoredNotice:
    now = datetime.now(UTC)
    row = StoredNotice(f"message-{number}", now, receiver.name, document(number=number), "pending", 0, now)
    return replace(row, **more)  # type: ignore[arg-type]


def hook(url: str) -> Receiver:
    return Receiver(webhook=url, secret_env="HOOK_SECRET")


ENVIRONMENT = {"HOOK_SECRET": SECRET}


# -- the signature -------------------------------------------------------------------------------------------------


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The example of the specification's own reference implementations.
    signed = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_without_the_mark_is_the_key_itself() -> None:
    expected = hmac.new(b"plain", b"m.1.{}", hashlib.sha256).digest()
    assert signature("plain", "m", 1, b"{}") == f"v1,{base64.b64encode(expected).decode()}"


def test_a_webhook_is_verified_as_the_documentation_says() -> None:
    example = re.search(r"```python\n(.*?)```", read("docs/notifications.md"), flags=re.DOTALL)
    assert example
    said: dict[str, object] = {}
    exec(example[1], said)  # noqa: S102  # the documentation's own example
    verified = said["verified"]
    assert callable(verified)
    with receiving() as server:
        assert send(hook(server.url), document(), ENVIRONMENT) is None
    (request,) = server.requests
    assert verified(request.headers, request.body, SECRET)
    assert not verified(request.headers, request.body + b" ", SECRET)
    assert not verified(request.headers, request.body, "whsec_" + base64.b64encode(b"another").decode())
    assert not verified(request.headers | {"webhook-timestamp": "1614265330"}, request.body, SECRET), "too old"
    assert not verified(request.headers | {"webhook-id": "x"}, request.body, SECRET)


def test_a_webhook_receives_the_message_as_json() -> None:
    with receiving() as server:
        assert send(hook(server.url), document(), ENVIRONMENT) is None
    (request,) = server.requests
    assert (request.path, request.headers["content-type"]) == ("/hook", "application/json")
    told = json.loads(request.body)
    assert {"schema", "id", "at", "kind", "changes"} <= told.keys()
    assert request.headers["webhook-id"] == told["id"] == "message-1"
    assert (told["changes"][0]["subject"]["service"], told["changes"][0]["now"]) == ("event", "fail")


# -- what may go wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (204, None),
        (500, "HTTP 500"),
        (404, "HTTP 404"),
        (302, "HTTP 302: it redirects, which is not followed"),
        (307, "HTTP 307: it redirects, which is not followed"),
    ],
)
def test_only_a_success_counts_and_no_redirect_is_followed(status: int, problem: str | None) -> None:
    with receiving(status) as server:
        assert send(hook(server.url), document(), ENVIRONMENT) == problem
        json_url = f"json://{server.address}/a?token={TOKEN}"
        assert send(Receiver("CHAT"), document(), {"CHAT": json_url}) == problem
    assert [request.path.partition("?")[0] for request in server.requests] == ["/hook", "/a"]


@pytest.mark.parametrize(
    ("receiver", "value", "problem"),
    [
        (hook(GONE), SECRET, "it cannot be reached (ConnectError)"),
        (hook(GONE), "whsec_not base64", "the secret begins with whsec_ and is not base64"),
        (hook(GONE), "", "HOOK_SECRET is not set"),
        (Receiver("CHAT"), "", "CHAT is not set"),
        (Receiver("CHAT"), f"json://user:{TOKEN}@127.0.0.1:1/{TOKEN}?x={TOKEN}", "it cannot be reached"),
        (Receiver("CHAT"), f"nonsense://{TOKEN}", "what the variable holds is not one apprise URL"),
        (Receiver("CHAT"), f"json://a/{TOKEN}, json://b", "what the variable holds is not one apprise URL"),
        (Receiver("CHAT"), TOKEN, "what the variable holds is not one apprise URL"),
    ],
)
def test_what_went_wrong_is_said_without_a_secret(
    receiver: Receiver, value: str, problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    environment = {receiver.variable: value}
    row = notice(receiver)
    with capture_logs() as logs:
        (became,) = Round([row], [receiver], environment).send()
    assert became.last_error == problem
    assert became.state == "pending"
    assert [(line["receiver"], line["reason"]) for line in logs] == [(receiver.name, problem)]
    out, err = capfd.readouterr()
    assert TOKEN not in f"{out}{err}{logs}{became}"
    assert SECRET not in f"{out}{err}{logs}{became}"


def test_a_chat_receives_the_text_and_no_markup() -> None:
    name = "@everyone [x](http://evil) <b>"
    with receiving() as server:
        assert send(Receiver("CHAT"), document(name), {"CHAT": f"json://{server.address}/"}) is None
    told = json.loads(server.requests[0].body)
    assert told["title"] == "Phase 7A: @\u200beveryone [x]\u200b(http://evil) <b> fails"
    assert told["message"].splitlines()[1] == "  p(95) = 400 ms"
    assert told["type"] == "failure"


def test_slack_receives_names_escaped() -> None:
    # The plugin itself, up to the request that it would send.
    import apprise  # noqa: PLC0415  # takes a second

    slack = apprise.Apprise.instantiate("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general")
    assert slack
    assert slack.dialect_convert("<!channel> & <b>", apprise.NotifyFormat.TEXT) == "&lt;!channel&gt; &amp; &lt;b&gt;"


def test_who_hangs_is_left_behind_and_holds_up_nobody() -> None:
    with receiving(0) as hanging, receiving() as fine:
        receivers = [hook(hanging.url), hook(fine.url)]
        due = [notice(receivers[0], 1), notice(receivers[0], 2), notice(receivers[1], 3), notice(receivers[1], 4)]
        began = time.monotonic()
        results = deliver(due, receivers, ENVIRONMENT, limit_s=0.5)
        assert time.monotonic() - began < 5
    assert results == {"message-1": f"no answer in {LIMIT_S:g} s", "message-3": None, "message-4": None}


def test_a_receiver_that_slo_yaml_names_no_longer_is_never_asked() -> None:
    with receiving() as server:
        (became,) = Round([notice(hook(server.url))], [], ENVIRONMENT).send()
    assert (became.state, became.last_error) == ("given_up", "slo.yaml names it no longer")
    assert server.requests == []


def test_variables_that_are_not_set_are_told() -> None:
    receivers = [Receiver("CHAT"), Receiver("CHAT", on=("fail",)), hook("https://ci.example/"), Receiver("SET")]
    assert unset(receivers, {"SET": "x", "HOOK_SECRET": ""}) == [
        "CHAT cannot be told: it is not set",
        "https://ci.example/ cannot be told: HOOK_SECRET is not set",
    ]


def test_a_test_message_is_sent_once_to_each_and_says_what_happened() -> None:
    with receiving() as fine, receiving(500) as broken:
        receivers = [hook(fine.url), hook(fine.url), hook(broken.url), Receiver("CHAT")]
        tried = probe(receivers, ENVIRONMENT)
    assert [(one.receiver, one.problem) for one in tried] == [
        (fine.url, None), (broken.url, "HTTP 500"), ("CHAT", "CHAT is not set"),
    ]  # fmt: skip
    assert json.loads(fine.requests[0].body)["kind"] == "test"
    with pytest.raises(BadRequest, match="names nobody"):
        probe([], ENVIRONMENT)


# -- again, and in the end no more ---------------------------------------------------------------------------------


def test_it_is_tried_again_ever_later_and_then_given_up() -> None:
    row, waits = notice(hook(GONE)), []
    while row.state == "pending":
        row = after(row, "HTTP 500", START)
        waits.append(row.next_attempt_at and row.next_attempt_at - START)
    assert waits == [*RETRIES, None]
    assert [str(wait) for wait in RETRIES] == ["0:01:00", "0:05:00", "0:30:00", "2:00:00", "12:00:00"]
    assert (row.state, row.attempts, row.last_error) == ("given_up", 6, "HTTP 500")
    assert after(row, None, START).state == "delivered"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


def put(store: Store, *rows: StoredNotice) -> None:
    store.tell({f"subject {row.id}": "fail" for row in rows}, rows, datetime.now(UTC))


def states(store: Store) -> dict[str, tuple[str, int, str | None]]:
    return {row.id: (row.state, row.attempts, row.last_error) for row in store.notices(100)}


def one_round(store: Store, *receivers: Receiver) -> None:
    courier = Courier(store, lambda: receivers, ENVIRONMENT)
    courier.keep(courier.waiting().send())


def test_the_outbox_survives_a_restart(tmp_path: Path) -> None:
    with receiving(500, 200) as server:
        store = Store(tmp_path / "store")
        put(store, notice(hook(server.url)))
        one_round(store, hook(server.url))
        assert states(store) == {"message-1": ("pending", 1, "HTTP 500")}
        store.close()
        store = Store(tmp_path / "store")
        one_round(store, hook(server.url))
        assert len(server.requests) == 1, "not before its time"
        (row,) = store.notices(1)
        assert row.next_attempt_at
        assert row.next_attempt_at - datetime.now(UTC) < timedelta(minutes=1)
        store.settle_notices([replace(row, next_attempt_at=datetime.now(UTC))])
        one_round(store, hook(server.url))
        one_round(store, hook(server.url))
        assert states(store) == {"message-1": ("delivered", 2, None)}
        store.close()
    assert [request.headers["webhook-id"] for request in server.requests] == ["message-1"] * 2, "one id, to know it by"


def test_what_became_of_messages_is_forgotten_after_a_month(store: Store) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=40)
    old = notice(hook(GONE), 1, created_at=long_ago, state="delivered", next_attempt_at=None)
    waiting = notice(hook(GONE), 2, created_at=long_ago)
    put(store, old, waiting)
    put(store, notice(hook(GONE), 3))
    assert states(store).keys() == {"message-2", "message-3"}


def test_the_newest_of_those_that_failed_is_listed_first(store: Store) -> None:
    now = datetime.now(UTC)
    put(store, *(
        notice(hook(GONE), number, created_at=now + timedelta(seconds=number), state=state)
        for number, state in enumerate(["pending", "delivered", "given_up", "delivered"])
    ))  # fmt: skip
    assert list(states(store)) == ["message-2", "message-0", "message-3", "message-1"]


def test_a_courier_delivers_what_it_is_woken_for_and_touches_no_store_that_is_closed(tmp_path: Path) -> None:
    with receiving(200, 0) as server:
        store = Store(tmp_path / "store")
        courier = Courier(store, lambda: [hook(server.url)], ENVIRONMENT)
        courier.start()
        put(store, notice(hook(server.url), 1))
        courier.wake()
        server.wait()
        _until(lambda: states(store)["message-1"][0] == "delivered")
        put(store, notice(hook(server.url), 2))
        courier.wake()
        server.wait()
        courier.stop()  # while the second is under way
        store.close()
        assert courier.waiting().due == []
        courier.keep([notice(hook(server.url), 2, state="delivered")])
    again = Store(tmp_path / "store")
    assert states(again)["message-2"][0] == "pending", "the next courier sends it once more"
    again.close()


def test_a_courier_outlives_a_slo_yaml_that_is_wrong(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "_IDLE_S", 0.05)
    wrong = [True, True]

    def receivers() -> list[Receiver]:
        if wrong and wrong.pop():
            raise BadRequest("slo.yaml:1:1: the file is empty")
        return [hook(server.url)]

    with receiving() as server, capture_logs() as logs:
        put(store, notice(hook(server.url)))
        courier = Courier(store, receivers, ENVIRONMENT)
        courier.start()
        server.wait()
        _until(lambda: states(store)["message-1"][0] == "delivered")
        courier.stop()
    events = {line["event"] for line in logs} - {"catalog not checkpointed"}  # it was being read; the next commit does
    assert events == {"nobody can be told"}


def _until(true: object, seconds: float = 20) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- a service that tells ------------------------------------------------------------------------------------------


def slo(folder: Path, *receivers: str) -> Path:
    path = folder / "slo.yaml"
    path.write_text(demo.SLO.read_text() + "\nnotify:\n" + "".join(f"  - {one}\n" for one in receivers))
    return path


def upload(desk: Desk, service: str = "event") -> float:
    """Upload a run that fails; how long the answer took."""
    desk._ingestor = Quick(desk._store)
    began = time.monotonic()
    answer = desk.ingest([Upload(SLOW, "r.json")], RunMeta(service=service, phase="7A", branch="main", test="nightly"))
    assert answer.verdict
    assert answer.verdict.verdict == "fail"
    return time.monotonic() - began


def serve(server: Receiving, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    written = slo(folder, f"{{webhook: '{server.url}', secret_env: HOOK_SECRET}}", "{url_env: NOT_SET_AT_ALL}")
    return Settings(folder / "var", slo=written, public_url="https://pg.example")


def test_an_upload_is_told_and_what_cannot_be_told_is_said_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as server, capture_logs() as logs, desks.opened(serve(server, tmp_path, monkeypatch)) as desk:
        upload(desk)
        server.wait()
        _until(lambda: desk.service.notices()[-1].state == "delivered")
        assert [(one.receiver, one.state) for one in desk.service.notices()] == [
            ("NOT_SET_AT_ALL", "pending"), (server.url, "delivered"),
        ]  # fmt: skip
    told = json.loads(server.requests[0].body)
    assert [(one["subject"]["service"], one["before"], one["now"]) for one in told["changes"]] == [
        ("event", None, "fail")
    ]
    assert told["link"].startswith("https://pg.example/run?run=")
    assert "NOT_SET_AT_ALL cannot be told: it is not set" in [line["event"] for line in logs]


def test_a_receiver_that_hangs_delays_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(0) as server, desks.opened(serve(server, tmp_path, monkeypatch)) as desk:
        upload(desk)
        server.wait()  # it has been asked, and does not answer
        began = time.monotonic()
        desk.service.verdict(desk.service.runs()[0].id, "7A")
        desk.service.gate("7A", "1.0")
        assert upload(desk) < LIMIT_S / 2
        assert time.monotonic() - began < LIMIT_S / 2


def test_no_secret_is_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT", f"json://user:{TOKEN}@127.0.0.1:1/{TOKEN}")
    settings = Settings(tmp_path / "var", slo=slo(tmp_path, "{url_env: CHAT}"))
    desk = Desk(settings)
    upload(desk)
    desk.courier.keep(desk.courier.waiting().send())
    assert [(one.attempts, one.last_error) for one in desk.service.notices()] == [(1, "it cannot be reached")]
    desk.close()
    written = [path.read_bytes() for path in settings.home.rglob("*") if path.is_file()]
    assert written
    assert not any(TOKEN.encode() in content for content in written)
