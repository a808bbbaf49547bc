"""The same questions, asked of a running server over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2 as httpx

import demo
from data.errors import ServerUnreachable, error_of
from slo.documents import from_json
from slo.model import ConfigReport, IngestAnswer, Overview, RunRef, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from data.catalog import RunFilter
    from data.model import RunMeta
    from ingest.service import Upload

    Progress = Callable[[str, float], None]

T = TypeVar("T")

_TIMEOUT = httpx.Timeout(30, read=1200)
_CHUNK = 1 << 20


class RemoteService:
    """The questions of ``slo.service.Service`` that the command line asks."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def runs(self, where: RunFilter | None = None, limit: int | None = 50) -> tuple[RunRef, ...]:
        """Runs, newest first."""
        return self._get(tuple[RunRef, ...], "runs", **(asdict(where) if where else {}), limit=limit)

    def verdict(self, run_id: str, phase: str | None = None) -> Verdict:
        """Does this run meet a phase?"""
        return self._get(Verdict, f"runs/{run_id}/verdict", phase=phase)

    def overview(self, phase: str | None = None, environment: str | None = None, branch: str | None = None) -> Overview:
        """Which services are ready for a phase?"""
        return self._get(Overview, "overview", phase=phase, environment=environment, branch=branch)

    def config_report(self) -> ConfigReport | None:
        """The slo.yaml that the server judges by."""
        text = ask(self._http, "GET", "slo")
        return None if text == b"null" else from_json(ConfigReport, text)

    def _get(self, kind: type[T], path: str, **parameters: object) -> T:
        return from_json(kind, ask(self._http, "GET", path, params=_given(parameters)))


class RemoteDesk:
    """A server in place of a store."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=_TIMEOUT)
        self.service = RemoteService(self._http)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def ingest(self, uploads: Sequence[Upload], meta: RunMeta, on_progress: Progress | None = None) -> IngestAnswer:
        """Send the files of one run: the first as the body, the others before it."""
        first, *others = uploads
        digests = [
            httpx.Response(200, content=ask(self._http, "POST", "artefacts", content=_chunks(other.path))).json()[
                "artefact"
            ]
            for other in others
        ]
        told = _given(asdict(meta) | {"labels": None, "name": first.name, "artefact": digests})
        told["label"] = [f"{key}={value}" for key, value in meta.labels.items()]
        body = _chunks(first.path, on_progress)
        return from_json(IngestAnswer, ask(self._http, "POST", "runs", params=told, content=body))

    def load_demo(self, on_progress: Progress | None = None) -> int:
        """Send the recorded runs of the demo; the server judges them by its own slo.yaml."""
        return demo.load(self.ingest, on_progress)


def ask(http: httpx.Client, method: str, path: str, **request: Any) -> bytes:  # noqa: ANN401  # httpx's own options
    """Send a request; the body of the answer.

    Raises:
        ServerUnreachable: nobody answers, or it is no Phasegate.
        PhasegateError: what the server raised, as it raised it.
    """
    try:
        response = http.request(method, path, **request)
    except httpx.HTTPError as error:
        raise ServerUnreachable(
            f"no answer from {http.base_url.host}:{http.base_url.port}: {error}",
            help="is `phasegate serve` running there?",
        ) from error
    if response.is_success:
        return response.content
    try:
        told = response.json()["error"]
        code, message, help_text = told["code"], told["message"], told["help"]
    except (ValueError, KeyError, TypeError) as error:
        raise ServerUnreachable(
            f"{http.base_url} answered HTTP {response.status_code}, not as Phasegate does"
        ) from error
    raise error_of(code)(message, help=help_text)


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
