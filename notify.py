"""Sends what waits in the outbox: a signed webhook, or through apprise to Slack, e-mail and the rest.

Whoever is told is outside: they may be slow, gone or hostile. So nothing waits for them: each receiver has a thread of
its own for each round, which is left behind when the time is up. Addresses come from slo.yaml and the variables that it
names, at the moment of sending, and from nowhere else. What went wrong is said in our own words, because a library's
may hold an address with its token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx2 as httpx
import structlog

from data.errors import BadRequest, PhasegateError
from data.notices import StoredNotice
from settings import VERSION
from slo.documents import from_json, to_json
from slo.telling import SCHEMA, Message, Tried, text, title

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from data.store import Store
    from slo.model import VerdictState
    from slo.plan import Receiver

LIMIT_S = 10.0
"""How long a receiver may take, and a whole round."""

RETRIES = (
    timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=12),
)  # fmt: skip
"""How long after each attempt that failed comes the next; after the last one the message is given up."""

_IDLE_S = 60.0
"""How often to look without being woken: a slo.yaml that was wrong may be right again."""

_KEY = "whsec_"
_STATUS = re.compile(r"error=([1-5][0-9]{2})\b")
_REDIRECTS = range(300, 400)
_COLOURS: dict[VerdictState, str] = {"fail": "failure", "inconclusive": "warning", "warn": "warning", "pass": "success"}
_log = structlog.get_logger()


def unset(receivers: Sequence[Receiver], environment: Mapping[str, str]) -> list[str]:
    """Who cannot be told because a variable is not set, a sentence each."""
    missing = {one.name: one.variable for one in receivers if not environment.get(one.variable)}
    return [
        f"{name} cannot be told: it is not set" if name == variable else f"{name} cannot be told: {variable} is not set"
        for name, variable in missing.items()
    ]


def signature(secret: str, message_id: str, at_s: int, body: bytes) -> str:
    """The ``webhook-signature`` of a body, as Standard Webhooks define it; ``at_s`` is the time in Unix seconds.

    A secret that begins with ``whsec_`` is base64 of the key; any other is the key itself.

    Raises:
        ValueError: what follows ``whsec_`` is not base64.
    """
    coded = secret.removeprefix(_KEY)
    key = base64.b64decode(coded, validate=True) if secret.startswith(_KEY) else secret.encode()
    signed = hmac.new(key, f"{message_id}.{at_s}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed.digest()).decode()}"


def send(receiver: Receiver, document: str, environment: Mapping[str, str]) -> str | None:
    """Send a message (JSON text) to a receiver; why it was not delivered, or ``None``."""
    value = environment.get(receiver.variable)
    if not value:
        return f"{receiver.variable} is not set"
    message = from_json(Message, document)
    if receiver.webhook:
        return _post(receiver.webhook, value, message.id, document.encode())
    return _through_apprise(value, message)


def _post(url: str, secret: str, message_id: str, body: bytes) -> str | None:
    at_s = int(datetime.now(UTC).timestamp())
    try:
        signed = signature(secret, message_id, at_s, body)
    except binascii.Error:
        return f"the secret begins with {_KEY} and is not base64"
    headers = {
        "content-type": "application/json", "user-agent": f"phasegate/{VERSION}", "webhook-id": message_id,
        "webhook-timestamp": str(at_s), "webhook-signature": signed,
    }  # fmt: skip
    try:
        # What is answered is not read: only its status counts. No redirect is followed, to wherever that might lead.
        with (
            httpx.Client(timeout=LIMIT_S, follow_redirects=False) as client,
            client.stream("POST", url, content=body, headers=headers) as answer,
        ):
            return _refused(answer.status_code)
    except httpx.TimeoutException:
        return _no_answer()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"it cannot be reached ({type(error).__name__})"


def _through_apprise(url: str, message: Message) -> str | None:
    import apprise  # noqa: PLC0415  # takes a second, which only who sends has to spend

    asset = apprise.AppriseAsset(
        app_id="Phasegate",
        app_desc="Phasegate",
        app_url="",
        image_url_mask="",  # no picture from another's server in what we send
        image_url_logo="",
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        http_redirects=False,
        async_mode=False,
        service_timeout=0,  # its own would leave a thread behind that keeps the process from ending
        language="en",
    )
    target = apprise.Apprise(asset=asset)
    if not target.add(url) or len(target) != 1:  # of several, those that were told would be told again
        return "what the variable holds is not one apprise URL"
    colour = "info" if message.kind == "test" else _COLOURS[message.changes[0].now]
    sent = target.notify(body=text(message), title=title(message), body_format="text", notify_type=colour)
    if sent:
        return None
    told = " ".join(entry.message for entry in sent.logs())
    if status := _STATUS.search(told):
        return _refused(int(status[1])) or "it was not taken"
    return "it cannot be reached" if "onnection" in told else "it was not taken"


def _refused(status: int) -> str | None:
    if status in _REDIRECTS:
        return f"HTTP {status}: it redirects, which is not followed"
    return None if httpx.codes.is_success(status) else f"HTTP {status}"


def _no_answer() -> str:
    return f"no answer in {LIMIT_S:g} s"


def deliver(
    due: Sequence[StoredNotice],
    receivers: Sequence[Receiver],
    environment: Mapping[str, str],
    limit_s: float = LIMIT_S,
) -> dict[str, str | None]:
    """Send messages, to all receivers at once, to each in order; by id why one was not delivered (``None``: it was).

    Takes at most ``limit_s``. What could not be tried in that time is not in the answer.
    """
    named = {one.name: one for one in receivers}
    results: dict[str, str | None] = {}
    until = monotonic() + limit_s
    queues: defaultdict[str, list[StoredNotice]] = defaultdict(list)
    for notice in due:
        if notice.receiver in named:
            queues[notice.receiver].append(notice)

    def work(receiver: Receiver, queue: Sequence[StoredNotice]) -> None:
        for notice in queue:
            if monotonic() >= until:
                return
            results[notice.id] = _no_answer()  # what it stays, if this thread is left behind
            try:
                results[notice.id] = send(receiver, notice.document, environment)
            except Exception as error:  # noqa: BLE001  # apprise has 130 plugins: none of them may end the others' turn
                results[notice.id] = f"it failed ({type(error).__name__})"

    threads = [
        threading.Thread(target=work, args=(named[name], queue), name=f"notify {name}", daemon=True)
        for name, queue in queues.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    return dict(results)


def after(notice: StoredNotice, problem: str | None, now: datetime) -> StoredNotice:
    """A message after an attempt: delivered, to be tried again, or given up."""
    tried = replace(notice, attempts=notice.attempts + 1, next_attempt_at=None, last_error=problem)
    if problem is None:
        return replace(tried, state="delivered")
    if tried.attempts > len(RETRIES):
        _log.error("message given up", receiver=notice.receiver, message=notice.id, reason=problem)
        return replace(tried, state="given_up")
    _log.warning("message not delivered", receiver=notice.receiver, message=notice.id, reason=problem)
    return replace(tried, next_attempt_at=now + RETRIES[tried.attempts - 1])


@dataclass(frozen=True)
class Round:
    """Messages that are due, and the receivers of the slo.yaml in force. Sending needs no store."""

    due: Sequence[StoredNotice]
    receivers: Sequence[Receiver]
    environment: Mapping[str, str]

    def send(self, limit_s: float = LIMIT_S) -> list[StoredNotice]:
        """Send them, and say what became of them; those that there was no time for are left out.

        Those to somebody whom slo.yaml names no longer are given up: they have no address any more.
        """
        results = deliver(self.due, self.receivers, self.environment, limit_s)
        now = datetime.now(UTC)
        named = {one.name for one in self.receivers}
        gone = [
            replace(one, state="given_up", next_attempt_at=None, last_error="slo.yaml names it no longer")
            for one in self.due
            if one.receiver not in named
        ]
        return [*gone, *(after(one, results[one.id], now) for one in self.due if one.id in results)]


def probe(receivers: Sequence[Receiver], environment: Mapping[str, str]) -> tuple[Tried, ...]:
    """Send a test message to every receiver, at once.

    Raises:
        BadRequest: there is none.
    """
    if not receivers:
        raise BadRequest("slo.yaml names nobody to tell", help="add `notify` (docs/notifications.md)")
    now = datetime.now(UTC)
    notices = []
    for name in dict.fromkeys(one.name for one in receivers):
        message = Message(SCHEMA, uuid4().hex, now, "test", ())
        notices.append(StoredNotice(message.id, now, name, to_json(message), "pending", 0, now))
    results = deliver(notices, receivers, environment)
    return tuple(Tried(one.receiver, results.get(one.id, _no_answer())) for one in notices)


class Courier:
    """Delivers what waits in the outbox of an open store, in a thread of its own, from :meth:`start` to :meth:`stop`.

    At least once: what is under way when it stops is sent again by the next one, with the same id.
    """

    def __init__(
        self, store: Store, receivers: Callable[[], Sequence[Receiver]], environment: Mapping[str, str]
    ) -> None:
        """``receivers`` are those of the slo.yaml in force, read anew for each round."""
        self._store = store
        self._receivers = receivers
        self._environment = environment
        self._woken = threading.Event()
        self._open = threading.Lock()
        self._stopped = False

    def start(self) -> None:
        """Begin, after saying who cannot be told."""
        try:
            for missing in unset(self._receivers(), self._environment):
                _log.warning(missing)
        except PhasegateError as error:
            _log.warning("nobody can be told", reason=error.message)
        threading.Thread(target=self._run, name="courier", daemon=True).start()

    def wake(self) -> None:
        """Something new waits."""
        self._woken.set()

    def stop(self) -> None:
        """Touch the store no more: it may be closed once this returns, whatever is still under way."""
        with self._open:
            self._stopped = True
        self._woken.set()

    def waiting(self) -> Round:
        """What is due now; nothing once it is stopped.

        Raises:
            ConfigError: slo.yaml is wrong, so that nobody knows whom to tell.
            StoreError: the catalog fails.
        """
        with self._open:
            due = [] if self._stopped else self._store.due_notices(datetime.now(UTC))
        return Round(due, self._receivers() if due else (), self._environment)

    def keep(self, became: Sequence[StoredNotice]) -> None:
        """Keep what became of messages, unless it is stopped."""
        with self._open:
            if not self._stopped:
                self._store.settle_notices(became)

    def _run(self) -> None:
        while not self._stopped:
            self._woken.clear()
            wait_s = _IDLE_S
            try:
                self.keep(self.waiting().send())
                wait_s = self._until_next_s()
            except PhasegateError as error:  # a slo.yaml that is wrong, a disk that is full: later perhaps not any more
                _log.warning("nobody can be told", reason=error.message)
            except Exception:  # noqa: BLE001  # the last line of its thread: what it does not know must not end it
                _log.exception("nobody can be told")
            self._woken.wait(wait_s)

    def _until_next_s(self) -> float:
        with self._open:
            at = None if self._stopped else self._store.next_notice_at()
        return min(_IDLE_S, max(0.0, (at - datetime.now(UTC)).total_seconds())) if at else _IDLE_S
