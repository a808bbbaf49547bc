"""The same questions, asked of a running server over HTTP."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx2 as httpx

import demo
from data.errors import ServerUnreachable, StoreError, error_of
from data.facts import pairs_of
from data.model import Attachment, Decision, Waiver, WaiverRequest
from slo.budget_model import BudgetPull, BudgetView
from slo.comparison import CompareView, ServiceHistory
from slo.documents import from_json
from slo.gate_model import GateDecision
from slo.model import BaselineRef, ConfigReport, IngestAnswer, Overview, PullAnswer, Pulled, RunRef, Verdict
from slo.telling import Notice, Tried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from data.catalog import RunFilter
    from data.model import DecisionKind, RunMeta
    from ingest.service import Upload

    Progress = Callable[[str, float], None]

T = TypeVar("T")

_TIMEOUT = httpx.Timeout(30, read=1200)
_CHUNK = 1 << 20
_FACE = re.compile(r"(/(api|api/v1|api/docs|overview|run|compare))?/*$")
"""Where in a server an address may lead: what people copy from a browser is an address of the server, too."""
_ANOTHER = "check the address (--server, PHASEGATE_URL): it is the one that `phasegate serve` says when it starts"


@dataclass(frozen=True)
class _Artefact:
    """What the server answers to an upload that a run is to name; ``artefact`` is its digest."""

    artefact: str


@dataclass(frozen=True)
class _Problem:
    """An error of the server's, as our classes take it."""

    code: str
    message: str
    help: str | None


@dataclass(frozen=True)
class _Refusal:
    """What the server answers when it says no."""

    error: _Problem


class Connection:
    """HTTP to a Phasegate. Whatever else answers there, or does not, is one error that says so."""

    def __init__(self, url: str, token: str | None) -> None:
        """To the server with any of these addresses; nothing is sent yet.

        Raises:
            ServerUnreachable: it is no address.
        """
        self.url = _server_of(url)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=_TIMEOUT)

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def ask(self, kind: type[T], method: str, path: str, **request: Any) -> T:  # noqa: ANN401  # httpx's own options
        """Send a request; the document that answers it.

        Raises:
            ServerUnreachable: nobody answers, or it is no Phasegate.
            PhasegateError: what the server raised, as it raised it.
        """
        return self.document(kind, self.send(method, path, **request))

    def document(self, kind: type[T], response: httpx.Response) -> T:
        """What an answer says. Raises as :meth:`ask` does."""
        try:
            return from_json(kind, response.content)
        except StoreError as error:
            raise self._no_phasegate(response) from error

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401  # httpx's own options
        """Send a request; the answer, which says yes. Raises as :meth:`ask` does."""
        try:
            response = self._http.request(method, path, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServerUnreachable(
                f"no answer from {self.url}: {error}", help="is `phasegate serve` running there?"
            ) from error
        if response.is_success:
            return response
        problem = self.document(_Refusal, response).error
        raise error_of(problem.code)(problem.message, help=problem.help)

    def _no_phasegate(self, response: httpx.Response) -> ServerUnreachable:
        kind = response.headers.get("content-type", "nothing").partition(";")[0]
        leads = f" that leads to {response.headers['location']}" if response.has_redirect_location else ""
        return ServerUnreachable(
            f"{self.url} does not answer as this version of Phasegate does: "
            f"{response.request.method} {response.request.url.path} got HTTP {response.status_code}{leads}, {kind}",
            help=_ANOTHER,
        )


class RemoteService:
    """The questions of ``slo.service.Service`` that the command line asks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def runs(self, where: RunFilter | None = None, limit: int | None = 50) -> tuple[RunRef, ...]:
        """Runs, newest first."""
        return self._get(tuple[RunRef, ...], "runs", **(asdict(where) if where else {}), limit=limit)

    def run(self, run_id: str) -> RunRef:
        """One run by its id, or the beginning of it."""
        return self._get(RunRef, _path("runs", run_id))

    def pulled(self, run_id: str) -> tuple[Pulled, ...]:
        """What Prometheus was asked about a run, and answered."""
        return self._get(tuple[Pulled, ...], _path("runs", run_id, "pulled"))

    def attachments(self, run_id: str) -> tuple[Attachment, ...]:
        """The files kept with a run."""
        return self._get(tuple[Attachment, ...], _path("runs", run_id, "attachments"))

    def attachment(self, run_id: str, name: str) -> bytes:
        """The bytes of a file kept with a run."""
        return self._connection.send("GET", _path("runs", run_id, "attachments", name)).content

    def verdict(self, run_id: str, phase: str | None = None) -> Verdict:
        """Does this run meet a phase?"""
        return self._get(Verdict, _path("runs", run_id, "verdict"), phase=phase)

    def compare(self, run_id: str, before: str | None = None, phase: str | None = None) -> CompareView:
        """What changed in a run, beside its baseline or the run ``before``?"""
        return self._get(CompareView, _path("runs", run_id, "compare"), phase=phase, **{"with": before})

    def baseline(self, run_id: str) -> BaselineRef:
        """What a run is held against."""
        return self._get(BaselineRef, _path("runs", run_id, "baseline"))

    def history(
        self,
        service: str,
        phase: str | None = None,
        *,
        test: str | None = None,
        branch: str | None = None,
        environment: str | None = None,
    ) -> ServiceHistory:
        """A service over its runs."""
        narrowed = {"phase": phase, "test": test, "branch": branch, "environment": environment}
        return self._get(ServiceHistory, _path("services", service, "history"), **narrowed)

    def decisions(self, run_id: str | None = None) -> tuple[Decision, ...]:
        """What was decided about runs, newest first."""
        return self._get(tuple[Decision, ...], "decisions", run=run_id)

    def overview(self, phase: str | None = None, environment: str | None = None, branch: str | None = None) -> Overview:
        """Which services are ready for a phase?"""
        return self._get(Overview, "overview", phase=phase, environment=environment, branch=branch)

    def gate(self, phase: str, version: str, environment: str | None = None) -> GateDecision:
        """May a version enter a phase?"""
        return self._get(GateDecision, "gate", phase=phase, version=version, environment=environment)

    def gate_replay(self, decision_id: str) -> GateDecision:
        """A decision of a gate made again, from what it rested on."""
        return self._get(GateDecision, _path("gates", decision_id))

    def gate_override(self, decision_id: str, by: str, reason: str) -> GateDecision:
        """Let a version through that a gate has kept out, for a reason."""
        told = {"by": by, "reason": reason}
        return self._connection.ask(GateDecision, "POST", _path("gates", decision_id, "override"), params=told)

    def waive(self, asked: WaiverRequest) -> Waiver:
        """Let an objective or a finding be overlooked by gates for at most 30 days."""
        told = _given(asdict(asked) | {"expires_at": asked.expires_at.isoformat()})
        return self._connection.ask(Waiver, "POST", "waivers", params=told)

    def end_waiver(self, waiver_id: str) -> Waiver:
        """Take a waiver back."""
        return self._connection.ask(Waiver, "DELETE", _path("waivers", waiver_id))

    def waivers(self) -> tuple[Waiver, ...]:
        """The waivers that hold now, the next to expire first."""
        return self._get(tuple[Waiver, ...], "waivers")

    def gates(self, limit: int = 50) -> tuple[GateDecision, ...]:
        """What gates decided, newest first."""
        return self._get(tuple[GateDecision, ...], "gates", limit=limit)

    def budgets(self) -> tuple[BudgetView, ...]:
        """How every error budget of the server's slo.yaml stands, worst first."""
        return self._get(tuple[BudgetView, ...], "budgets")

    def budget(self, name: str) -> BudgetView:
        """How an error budget stands, with its course over its window."""
        return self._get(BudgetView, _path("budgets", name))

    def notices(self, limit: int = 50) -> tuple[Notice, ...]:
        """What became of messages about changes: those that wait or failed first."""
        return self._get(tuple[Notice, ...], "notifications", limit=limit)

    def config_report(self) -> ConfigReport | None:
        """The slo.yaml that the server judges by."""
        response = self._connection.send("GET", "slo")
        return None if response.content == b"null" else self._connection.document(ConfigReport, response)

    def _get(self, kind: type[T], path: str, **parameters: object) -> T:
        return self._connection.ask(kind, "GET", path, params=_given(parameters))


class RemoteDesk:
    """A server in place of a store."""

    def __init__(self, url: str, token: str | None) -> None:
        """Ask the server with this address.

        Raises:
            ServerUnreachable: it is no address.
        """
        self._connection = Connection(url, token)
        self.url = self._connection.url
        self.service = RemoteService(self._connection)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def ingest(
        self,
        uploads: Sequence[Upload],
        meta: RunMeta,
        on_progress: Progress | None = None,
        attached: Sequence[Upload] = (),
        *,
        prometheus: str | None = None,
    ) -> IngestAnswer:
        """Send the files of one run: the first as the body, the others and those attached to it before it."""
        first, *others = uploads
        sent = {"artefact": self._sent(others), "attach": self._sent(attached)}
        told = (
            _given(asdict(meta) | {"labels": None, "facts": None, "name": first.name, "prometheus": prometheus}) | sent
        )
        told["label"] = [f"{key}={value}" for key, value in meta.labels.items()]
        told["fact"] = pairs_of(meta.facts)
        body = _chunks(first.path, on_progress)
        return self._connection.ask(IngestAnswer, "POST", "runs", params=told, content=body)

    def pull(
        self,
        run_id: str,
        source: str | None = None,
        *,
        everything: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> PullAnswer:
        """Have the server ask Prometheus about a run; how far that is it does not say."""
        del on_progress
        told = _given({"source": source, "everything": everything or None})
        return self._connection.ask(PullAnswer, "POST", _path("runs", run_id, "pull"), params=told)

    def judge_ahead(self, run_id: str) -> None:
        """The server does that by itself."""

    def _sent(self, uploads: Sequence[Upload]) -> list[str]:
        """Files that are on the server now, as the run names them."""
        sent = [self._connection.ask(_Artefact, "POST", "artefacts", content=_chunks(one.path)) for one in uploads]
        return [f"{there.artefact}:{one.name}" for there, one in zip(sent, uploads, strict=True)]

    def delete(self, run_id: str, reason: str) -> RunRef:
        """Delete a run; what it was."""
        return self._connection.ask(RunRef, "DELETE", _path("runs", run_id), params={"reason": reason})

    def decide(self, run_id: str, kind: DecisionKind, reason: str) -> Decision:
        """Decide what a run is to later ones, and say why."""
        told = {"kind": kind, "reason": reason}
        return self._connection.ask(Decision, "POST", _path("runs", run_id, "decisions"), params=told)

    def notify_test(self) -> tuple[Tried, ...]:
        """Have a test message sent to everyone whom the server's slo.yaml names."""
        return self._connection.ask(tuple[Tried, ...], "POST", "notifications/test")

    def pull_budgets(self, _on_progress: Progress | None = None) -> tuple[BudgetPull, ...]:
        """Have the server ask for what its error budgets do not know yet."""
        return self._connection.ask(tuple[BudgetPull, ...], "POST", "budgets/pull")

    def load_demo(self, on_progress: Progress | None = None) -> int:
        """Send the recorded runs of the demo; the server judges them by its own slo.yaml."""
        return demo.load(self.ingest, on_progress)


def _server_of(url: str) -> str:
    """A server's own address, from the address of anything it has, as a browser shows it."""
    wrong = ServerUnreachable(
        f"{url!r} is not the address of a server",
        help=f"write http://{url}" if url and "://" not in url else "write http://HOST:PORT",
    )
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as error:  # brackets that do not close, or a port that is none
        raise wrong from error
    if not usable:
        raise wrong
    return parts._replace(path=_FACE.sub("", parts.path), query="", fragment="").geturl()


def _path(*parts: str) -> str:
    """A path of these parts, whatever they hold."""
    return "/".join(quote(part, safe="") for part in parts)


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parameters.items() if value is not None}


def _chunks(path: Path, on_progress: Progress | None = None) -> Iterator[bytes]:
    total = path.stat().st_size or 1
    sent = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
            sent += len(chunk)
            if on_progress:
                on_progress("upload", sent / total)
