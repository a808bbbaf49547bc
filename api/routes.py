"""The HTTP API: parse, one call, JSON. Mounted under ``/api`` beside the pages."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from data.catalog import RunFilter
from data.errors import BadRequest, Busy, PhasegateError
from data.model import RunMeta
from desk import Desk, labels
from ingest.service import Upload
from settings import VERSION
from slo.model import ConfigReport, IngestAnswer, Overview, RunRef, RunView, Verdict

GetDesk = Callable[[], Desk]

_RETRY_AFTER_S = 5
_Text = Annotated[str | None, Query(max_length=200)]


def create_api(get_desk: GetDesk, token: str | None = None) -> FastAPI:
    """The API over the desk that ``get_desk`` gives; uploads need ``token`` as bearer where one is set."""
    api = FastAPIOffline(
        title="Phasegate",
        version=VERSION,
        description="Load-test runs in, release decisions out. Nothing that is missing counts as met.",
        redoc_url=None,
    )
    api.include_router(_questions(get_desk), prefix="/v1")
    api.include_router(_uploads(get_desk), prefix="/v1", dependencies=[Depends(_bearer(token))])
    api.add_exception_handler(PhasegateError, _refused)
    api.add_exception_handler(RequestValidationError, _invalid)
    return api


def _questions(get_desk: GetDesk) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz", summary="Is the service up?")
    def healthz() -> dict[str, str | int]:
        return {"status": "ok", "version": VERSION, "runs": get_desk().service.count()}

    @router.get("/runs", summary="Runs, newest first")
    def runs(  # one argument per query parameter
        service: _Text = None,
        test: _Text = None,
        branch: _Text = None,
        environment: _Text = None,
        version: _Text = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> tuple[RunRef, ...]:
        return get_desk().service.runs(RunFilter(service, test, branch, environment, version), limit)

    @router.get("/runs/{run}", summary="One run, by its id or the beginning of it")
    def run(run: str) -> RunRef:
        return get_desk().service.run(run)

    @router.get("/runs/{run}/verdict", summary="Does the run meet a phase?")
    def verdict(run: str, phase: _Text = None) -> Verdict:
        return get_desk().service.verdict(run, phase)

    @router.get("/runs/{run}/view", summary="Everything the Run page shows")
    def view(run: str, phase: _Text = None) -> RunView:
        return get_desk().service.run_view(run, phase)

    @router.get("/overview", summary="Which services are ready for a phase?")
    def overview(phase: _Text = None, environment: _Text = None, branch: _Text = None) -> Overview:
        return get_desk().service.overview(phase, environment, branch)

    @router.get("/slo", summary="The slo.yaml in force, in figures")
    def slo() -> ConfigReport | None:
        return get_desk().service.config_report()

    return router


def _uploads(get_desk: GetDesk) -> APIRouter:
    router = APIRouter()

    @router.post("/artefacts", status_code=201, summary="Upload a file that a later POST /runs names")
    async def artefact(request: Request) -> dict[str, str | int]:
        """The body is the file. Summaries and further parts of a run come this way; unclaimed, they stay a day."""
        upload = await _received(get_desk(), request)
        return {"artefact": upload.digest or "", "bytes": upload.path.stat().st_size}

    @router.post("/runs", status_code=201, summary="Upload a run")
    async def create(  # one argument per query parameter
        request: Request,
        response: Response,
        service: _Text = None,
        test: _Text = None,
        phase: _Text = None,
        branch: _Text = None,
        commit: _Text = None,
        version: _Text = None,
        environment: _Text = None,
        exit_code: Annotated[int | None, Query(ge=0, le=255)] = None,
        label: Annotated[list[str] | None, Query(description="k=v, repeated", max_length=50)] = None,
        artefact: Annotated[list[str] | None, Query(description="digests of POST /artefacts", max_length=70)] = None,
        name: _Text = None,
    ) -> IngestAnswer:
        """The body is a k6 file, plain or gzip; ``artefact`` adds files uploaded before. 200 if the run was known."""
        desk = get_desk()
        meta = RunMeta(service, test, phase, branch, commit, version, environment, exit_code, labels(label or []))
        uploads = [Upload(kept.path, kept.digest[:12], kept.digest) for kept in map(desk.spool.find, artefact or [])]
        body = await _received(desk, request, name or "upload", suffix=f".{uuid4().hex}")
        if body.path.stat().st_size or not uploads:
            uploads.insert(0, body)
        try:
            answer = await run_in_threadpool(desk.ingest, uploads, meta)
        finally:
            body.path.unlink(missing_ok=True)
        if not answer.created:
            response.status_code = 200
        return answer

    return router


async def _received(desk: Desk, request: Request, name: str = "upload", suffix: str = "") -> Upload:
    with desk.spool.receive() as incoming:
        try:
            async for chunk in request.stream():
                incoming.write(chunk)
        except ClientDisconnect as error:
            raise BadRequest("the upload broke off; nothing was stored", help="send it again") from error
        spooled = incoming.finish(suffix)
    return Upload(spooled.path, name, spooled.digest)


def _bearer(token: str | None) -> Callable[[Request], Awaitable[None]]:
    class Refused(PhasegateError):
        code = "unauthorized"
        http_status = 401

    async def check(request: Request) -> None:
        given = request.headers.get("authorization", "")
        if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise Refused("uploads need a token", help="send it as `Authorization: Bearer ...` (PHASEGATE_TOKEN)")

    return check


def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, PhasegateError):
        raise error
    headers = {"Retry-After": str(_RETRY_AFTER_S)} if isinstance(error, Busy) else None
    body = {"error": {"code": error.code, "message": error.message, "help": error.help}}
    return JSONResponse(body, error.http_status, headers)


def _invalid(_request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    told = "; ".join(f"{'.'.join(map(str, p['loc'][1:]))}: {p['msg']}" for p in problems)
    return _refused(_request, BadRequest(told or "the request cannot be read", help="see /api/docs"))
