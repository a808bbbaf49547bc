"""The HTTP API: parse, one call, JSON. Mounted under ``/api`` beside the pages."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field
from rich.console import RenderableType
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.status import HTTP_404_NOT_FOUND, HTTP_405_METHOD_NOT_ALLOWED

from data.catalog import RunFilter
from data.errors import BadRequest, Busy, NotFound, PhasegateError
from data.facts import MOST_FACTS, facts_of
from data.model import Attachment, Decision, DecisionKind, RunMeta, Waiver, WaiverRequest
from desk import Desk, labels
from ingest.service import Upload
from reports import badge as badges
from reports import gates, text
from reports.answer import Answer, of_gate, of_verdict
from reports.gitlab import Issue
from reports.outputs import MEDIA_TYPES, Output, written
from reports.terminal import plain
from settings import VERSION
from slo.budget_model import BudgetPull, BudgetView
from slo.comparison import CompareView, ServiceHistory
from slo.documents import to_json
from slo.gate import awaits_runs
from slo.gate_model import GateDecision
from slo.model import (
    BaselineRef,
    ConfigReport,
    IngestAnswer,
    Overview,
    PullAnswer,
    Pulled,
    RunRef,
    RunView,
    Verdict,
)
from slo.service import Service
from slo.telling import Notice, Tried
from telemetry import CONTENT_TYPE, INTERNAL

GetDesk = Callable[[], Desk]

_RETRY_AFTER_S = 5
_PIECE = 1 << 20
_MOST_NAMED = 330
"""Files that an upload may name: as many parts and reports of tests as a run may have, and some to be told of."""
_SHOWN = 200
_absent_if_empty = BeforeValidator(lambda given: given or None)
_Text = Annotated[str | None, Query(max_length=200), _absent_if_empty]
_Named = Annotated[str | None, Query(min_length=1, max_length=200)]
"""What, left empty, would mean everything: an unset variable must not widen it."""
_Texts = Annotated[list[str], BeforeValidator(lambda given: [text for text in given if text])]


class _RunQuery(BaseModel, extra="forbid"):
    """What is said of a run in the query of its upload; what is empty counts as not said."""

    service: _Text = None
    test: _Text = None
    phase: _Text = None
    branch: _Text = None
    commit: _Text = None
    version: _Text = None
    environment: _Text = None
    exit_code: Annotated[int | None, Field(ge=0, le=255), _absent_if_empty] = None
    label: Annotated[_Texts, Field(description="k=v, repeated", max_length=50)] = []
    fact: Annotated[_Texts, Field(description="name=value, repeated", max_length=MOST_FACTS)] = []
    artefact: Annotated[
        _Texts, Field(description="digests of POST /artefacts, each with :name if you like", max_length=_MOST_NAMED)
    ] = []
    attach: Annotated[
        _Texts, Field(description="the same, of files to keep with the run: digest:name", max_length=100)
    ] = []
    name: _Text = None
    prometheus: _Text = None

    def meta(self) -> RunMeta:
        """As the run keeps it."""
        said = self.model_dump(exclude={"label", "fact", "artefact", "attach", "name", "prometheus"})
        return RunMeta(**said, labels=labels(self.label), facts=facts_of(self.fact))


class _WaiverQuery(BaseModel, extra="forbid"):
    """What is to be overlooked, where, for how long, and who answers for it."""

    about: Annotated[str, Field(min_length=1, max_length=500)]
    owner: Annotated[str, Field(min_length=1, max_length=200)]
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    expires_at: AwareDatetime
    service: _Named = None
    phase: _Named = None
    version: _Named = None


class _Told(BaseModel):
    code: str
    message: str
    help: str | None


class ErrorAnswer(BaseModel):
    """Why a request was not answered, what is wrong with it, and what to do."""

    error: _Told


_ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorAnswer, "description": "What was asked cannot be answered, or may not be"},
    "5XX": {"model": ErrorAnswer, "description": "Busy (503: see Retry-After), or the store is not in order"},
}
_ANY_FILE = {
    "requestBody": {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


_Output = Annotated[Output, Query(alias="format")]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {"X-Phasegate-Exit-Code": {"schema": {"type": "integer"}, "description": "0, 1 or 3"}},
        "content": {
            kind: {"schema": {"type": "string"}} for kind in MEDIA_TYPES.values() if kind != "application/json"
        },
    }
}
T = TypeVar("T")


class _Svg(Response):
    media_type = "image/svg+xml"


class NotAllowed(PhasegateError):
    """A route that does not take this method."""

    code = "method_not_allowed"
    http_status = HTTP_405_METHOD_NOT_ALLOWED


class Unexpected(PhasegateError):
    """A fault of our own, which the log tells of."""

    code = INTERNAL


def create_api(get_desk: GetDesk, token: str | None = None) -> FastAPI:
    """The API over the desk that ``get_desk`` gives; changes to its store need ``token`` as bearer where one is set."""
    api = FastAPIOffline(
        title="Phasegate",
        version=VERSION,
        description="Load-test runs in, release decisions out. Nothing that is missing counts as met.",
        redoc_url=None,
        responses=_ERRORS,
    )
    for questions in (_whole(get_desk), _runs(get_desk), _gates(get_desk), _comparisons(get_desk), _budgets(get_desk)):
        api.include_router(questions, prefix="/v1", dependencies=[Depends(_known_parameters)])
    for changes in (_uploads(get_desk), _changes(get_desk), _trials(get_desk)):
        api.include_router(changes, prefix="/v1", dependencies=[Depends(_bearer(token))])
    api.include_router(_metrics(get_desk))
    api.add_exception_handler(PhasegateError, _refused)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTP_404_NOT_FOUND, _no_route)
    api.add_exception_handler(HTTP_405_METHOD_NOT_ALLOWED, _no_route)
    api.add_exception_handler(Exception, _unexpected)
    api.state.erred = _counting(get_desk)
    return api


def _counting(get_desk: GetDesk) -> Callable[[str], None]:
    def erred(code: str) -> None:
        with suppress(PhasegateError):  # no store is open, and so nobody counts
            get_desk().telemetry.erred(code)

    return erred


def _metrics(get_desk: GetDesk) -> APIRouter:
    router = APIRouter()

    @router.get("/metrics", include_in_schema=False)  # Prometheus's format, not ours: docs/metrics.md describes it
    def metrics() -> Response:
        return Response(get_desk().metrics(), media_type=CONTENT_TYPE)

    return router


def _runs(get_desk: GetDesk) -> APIRouter:
    router = APIRouter()

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

    @router.get(
        "/runs/{run}/verdict",
        summary="Does the run meet a phase?",
        response_model=Verdict | tuple[Issue, ...],
        responses=_ANSWERS,
    )
    def verdict(run: str, phase: _Text = None, output: _Output = Output.json) -> Response:
        """``format`` and ``X-Phasegate-Exit-Code`` are as of ``/gate``."""
        service = get_desk().service
        found = service.verdict(run, phase)
        return _answered(found, output, text.verdict(found), of_verdict, service)

    @router.get("/runs/{run}/view", summary="Everything the Run page shows")
    def view(run: str, phase: _Text = None) -> RunView:
        return get_desk().service.run_view(run, phase)

    @router.get("/runs/{run}/pulled", summary="What Prometheus was asked about the run, and answered")
    def pulled(run: str) -> tuple[Pulled, ...]:
        return get_desk().service.pulled(run)

    @router.get("/runs/{run}/attachments", summary="The files kept with the run, as they were sent")
    def attachments(run: str) -> tuple[Attachment, ...]:
        return get_desk().service.attachments(run)

    @router.get(
        "/runs/{run}/attachments/{name}",
        summary="One of them, to be saved",
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
    )
    def attachment(run: str, name: str) -> Response:
        """Never shown by a browser, whatever is in it: others wrote it."""
        found = get_desk().service.attachment(run, name)
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
        return Response(found, media_type="application/octet-stream", headers=headers)

    return router


def _whole(get_desk: GetDesk) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz", summary="Is the service up?")
    def healthz() -> dict[str, str | int]:
        return {"status": "ok", "version": VERSION, "runs": get_desk().service.count()}

    @router.get("/overview", summary="Which services are ready for a phase?")
    def overview(phase: _Text = None, environment: _Text = None, branch: _Text = None) -> Overview:
        return get_desk().service.overview(phase, environment, branch)

    @router.get("/notifications", summary="What became of messages about changes, those that wait or failed first")
    def notices(limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> tuple[Notice, ...]:
        return get_desk().service.notices(limit)

    @router.get("/slo", summary="The slo.yaml in force, in figures")
    def slo() -> ConfigReport | None:
        return get_desk().service.config_report()

    return router


def _gates(get_desk: GetDesk) -> APIRouter:
    router = APIRouter()

    @router.get(
        "/gate",
        summary="May a version enter a phase?",
        response_model=GateDecision | tuple[Issue, ...],
        responses=_ANSWERS,
    )
    def gate(
        phase: Annotated[str, Query(max_length=200)],
        version: Annotated[str, Query(max_length=200)],
        environment: _Named = None,
        output: _Output = Output.json,
    ) -> Response:
        """The decision is kept with all that it rests on; asked again with the same evidence, it is the same one.

        ``X-Phasegate-Exit-Code`` is what a pipeline exits with: 0, 1 or 3; ``X-Phasegate-Awaits-Runs`` says whether
        further runs of the version may settle it. ``format`` is as on the command line: ``markdown`` is a comment for a
        pull request, ``gitlab`` a list for GitLab's code quality report.
        """
        service = get_desk().service
        decision = service.gate(phase, version, environment)
        answer = _answered(decision, output, gates.gate(decision, everything=False), of_gate, service)
        answer.headers["X-Phasegate-Awaits-Runs"] = str(awaits_runs(decision)).lower()
        return answer

    @router.get("/waivers", summary="The waivers that hold now, the next to expire first")
    def waivers() -> tuple[Waiver, ...]:
        return get_desk().service.waivers()

    @router.get("/gates", summary="What gates decided, newest first")
    def decided(limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> tuple[GateDecision, ...]:
        return get_desk().service.gates(limit)

    @router.get("/gates/{decision}", summary="A decision made again from what it rested on")
    def gate_replay(decision: str) -> GateDecision:
        return get_desk().service.gate_replay(decision)

    @router.get("/badge.svg", summary="How a service stands in a phase, as an image", response_class=_Svg)
    def badge(
        phase: Annotated[str, Query(min_length=1, max_length=200)],
        service: _Named = None,
        environment: _Named = None,
        branch: _Named = None,
    ) -> Response:
        """As the overview has it; without ``service``, the worst of all. A phase or service unknown is shown as that.

        An image, whatever is asked: a page shows one with another status as broken.
        """
        try:
            drawn = badges.badge(get_desk().service.overview(phase, environment, branch), service)
        except NotFound:
            drawn = badges.unknown(phase, service)
        return _Svg(drawn, headers={"Cache-Control": "no-cache"})

    return router


def _comparisons(get_desk: GetDesk) -> APIRouter:
    router = APIRouter()

    @router.get("/runs/{run}/compare", summary="What changed in the run, beside its baseline or another run?")
    def compare(run: str, with_: Annotated[_Text, Query(alias="with")] = None, phase: _Text = None) -> CompareView:
        return get_desk().service.compare(run, with_, phase)

    @router.get("/runs/{run}/baseline", summary="Which runs is the run held against?")
    def baseline(run: str) -> BaselineRef:
        return get_desk().service.baseline(run)

    @router.get("/decisions", summary="What was decided about runs, newest first")
    def decisions(run: _Text = None) -> tuple[Decision, ...]:
        return get_desk().service.decisions(run)

    @router.get("/services/{service:path}/history", summary="A service over its runs: what moved, creeps and wavers?")
    def history(
        service: str, phase: _Text = None, test: _Text = None, branch: _Text = None, environment: _Text = None
    ) -> ServiceHistory:
        return get_desk().service.history(service, phase, test=test, branch=branch, environment=environment)

    return router


def _budgets(get_desk: GetDesk) -> APIRouter:
    router = APIRouter()

    @router.get("/budgets", summary="How every error budget stands, worst first")
    def budgets() -> tuple[BudgetView, ...]:
        """Without its course over time. By what was counted so far: ``as_of`` says until when."""
        return get_desk().service.budgets()

    @router.get("/budgets/{name:path}", summary="One error budget, with its course over its window")
    def budget(name: str) -> BudgetView:
        return get_desk().service.budget(name)

    return router


def _uploads(get_desk: GetDesk) -> APIRouter:
    router = APIRouter()

    @router.post(
        "/artefacts", status_code=201, summary="Upload a file that a later POST /runs names", openapi_extra=_ANY_FILE
    )
    async def artefact(request: Request) -> dict[str, str | int]:
        """The body is the file. Whatever a run has beside its first file comes this way; unclaimed, it stays a day."""
        upload = await _received(get_desk(), request)
        return {"artefact": upload.digest or "", "bytes": upload.path.stat().st_size}

    @router.post(
        "/runs",
        status_code=201,
        summary="Upload a run",
        openapi_extra=_ANY_FILE,
        responses={200: {"model": IngestAnswer, "description": "The run was known"}},
    )
    async def create(
        request: Request, response: Response, query: Annotated[_RunQuery, Query()], later: BackgroundTasks
    ) -> IngestAnswer:
        """The body is a k6 file, plain or gzip; ``artefact`` adds files uploaded before. 200 if the run was known.

        What an artefact is, is recognised by its content: a part of the run, its summary, or JUnit XML of tests that
        ran beside it, which gives the run facts. ``attach`` only keeps files with the run. Before it is judged,
        Prometheus is asked: every source of slo.yaml, the one that ``prometheus`` names, or ``none``.
        """
        desk = get_desk()
        with desk.telemetry.refusing():
            meta = query.meta()
            uploads, attached = ([_claimed(desk, named) for named in given] for given in (query.artefact, query.attach))
            body = await _received(desk, request, query.name or "upload", suffix=f".{uuid4().hex}")
        if body.path.stat().st_size or not uploads:
            uploads.insert(0, body)
        try:
            answer = await run_in_threadpool(desk.ingest, uploads, meta, attached=attached, prometheus=query.prometheus)
        finally:
            body.path.unlink(missing_ok=True)
        if not answer.created:
            response.status_code = 200
        later.add_task(desk.judge_ahead, answer.run.id)
        return answer

    return router


def _changes(get_desk: GetDesk) -> APIRouter:
    router = APIRouter()

    @router.post("/runs/{run}/pull", summary="Ask Prometheus what it has not answered yet about a run")
    def pull(
        run: str,
        source: _Text = None,
        everything: bool = False,  # noqa: FBT001, FBT002  # a query parameter
    ) -> PullAnswer:
        """``everything``: what it has answered, too, as after its samples were mended. ``source``: one of slo.yaml."""
        desk = get_desk()
        answer = desk.pull(run, source, everything=everything)
        desk.judge_ahead(answer.run.id)
        return answer

    @router.post("/runs/{run}/decisions", status_code=201, summary="Decide what a run is to later ones, and say why")
    def decide(run: str, kind: DecisionKind, reason: _Text = None) -> Decision:
        """What later runs are held against follows from the last decision.

        ``invalidated``: it enters no baseline, until it is ``restored``. ``pinned``: it is the baseline of its test;
        ``started``: the baseline begins anew with it; ``released``: neither any more.
        """
        return get_desk().decide(run, kind, reason or "")

    @router.post("/gates/{decision}/override", status_code=201, summary="Let a version through that a gate kept out")
    def override(decision: str, by: _Text = None, reason: _Text = None) -> GateDecision:
        """Kept with name and reason, and shown as overridden wherever the decision is."""
        return get_desk().service.gate_override(decision, by or "", reason or "")

    @router.post("/waivers", status_code=201, summary="Let an objective or a finding be overlooked for a while")
    def waive(query: Annotated[_WaiverQuery, Query()]) -> Waiver:
        """At most 30 days; a gate shows what it overlooks, and never passes without a word."""
        return get_desk().service.waive(WaiverRequest(**query.model_dump()))

    @router.delete("/waivers/{waiver}", summary="Take a waiver back")
    def end_waiver(waiver: str) -> Waiver:
        return get_desk().service.end_waiver(waiver)

    @router.delete("/runs/{run}", summary="Delete a run, for good")
    def delete(run: str, reason: _Text = None) -> RunRef:
        """The run that is no more, by its id or the beginning of it. ``reason`` is kept in the server's log."""
        return get_desk().delete(run, reason or "")

    return router


def _trials(get_desk: GetDesk) -> APIRouter:
    router = APIRouter()

    @router.post("/budgets/pull", summary="Ask Prometheus for what error budgets do not know yet")
    def pull_budgets() -> tuple[BudgetPull, ...]:
        """Waits for all of it; ``problem`` says of which budgets the counts are not whole, and why."""
        return get_desk().pull_budgets()

    @router.post("/notifications/test", summary="Send a test message to everyone whom slo.yaml names")
    def notify_test() -> tuple[Tried, ...]:
        """Waits for all of them, at most 10 s; ``problem`` says who was not told, and why."""
        return get_desk().notify_test()

    return router


def _answered(
    document: T,
    output: Output,
    rendered: RenderableType,
    answer: Callable[[T, ConfigReport | None], Answer],
    service: Service,
) -> Response:
    """A gate's decision or a verdict in the form that was asked for, with what a pipeline exits with."""
    told = answer(document, service.config_report())
    match output:
        case Output.json:
            body = to_json(document)
        case Output.text:
            body = plain(rendered)
        case _:
            body = written(told, output)
    headers = {"X-Phasegate-Exit-Code": str(told.exit_code)}
    return Response(body, media_type=MEDIA_TYPES[output], headers=headers)


def _claimed(desk: Desk, named: str) -> Upload:
    """The file of an earlier upload, by ``digest`` or ``digest:name``."""
    digest, _, name = named.partition(":")
    kept = desk.spool.find(digest)
    return Upload(kept.path, name[:_SHOWN] or digest[:12], kept.digest)


async def _received(desk: Desk, request: Request, name: str = "upload", suffix: str = "") -> Upload:
    with desk.telemetry.step("receive"), desk.spool.receive() as incoming:
        try:
            async for piece in _pieces(request):
                await run_in_threadpool(incoming.write, piece)
        except ClientDisconnect as error:
            raise BadRequest("the upload broke off; nothing was stored", help="send it again") from error
        spooled = await run_in_threadpool(incoming.finish, suffix)
    return Upload(spooled.path, name, spooled.digest)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces that are worth a thread's while."""
    piece = bytearray()
    async for chunk in request.stream():
        piece += chunk
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _known_parameters(request: Request) -> None:
    """A misspelt parameter of a question would be answered as if it had not been asked."""
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            raise BadRequest(_unknown_parameter(name, known), help="see /api/docs")


def _unknown_parameter(name: str, known: Iterable[str]) -> str:
    meant = get_close_matches(name, known, n=1)
    return f"there is no parameter {name!r}" + "".join(f"; did you mean {one!r}?" for one in meant)


def _bearer(token: str | None) -> Callable[[Request], Awaitable[None]]:
    class Refused(PhasegateError):
        code = "unauthorized"
        http_status = 401

    class Foreign(PhasegateError):  # a page that somebody looks at elsewhere could reach a server on their machine
        code = "foreign_origin"
        http_status = 403

    async def check(request: Request) -> None:
        given = request.headers.get("authorization", "")
        if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise Refused(
                "uploads, deletions and decisions need a token",
                help="send it as `Authorization: Bearer ...` (PHASEGATE_TOKEN)",
            )
        origin = request.headers.get("origin")
        if not token and origin and urlsplit(origin).netloc != request.headers.get("host"):
            raise Foreign(f"pages of {origin} may change nothing here", help="set PHASEGATE_TOKEN and send it along")

    return check


def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, PhasegateError):
        raise error
    request.app.state.erred(error.code)
    headers = {"Retry-After": str(_RETRY_AFTER_S)} if isinstance(error, Busy) else None
    body = {"error": {"code": error.code, "message": error.message, "help": error.help}}
    return JSONResponse(body, error.http_status, headers)


def _unexpected(request: Request, _error: Exception) -> Response:
    return _refused(request, Unexpected("this should not have happened", help="the server's log says what did"))


def _invalid(request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    told = "; ".join(_problem(problem) for problem in problems)
    return _refused(request, BadRequest(told or "the request cannot be read", help="see /api/docs"))


def _problem(problem: dict[str, Any]) -> str:
    name = ".".join(map(str, problem["loc"][1:]))
    if problem["type"] != "extra_forbidden":
        return f"{name}: {problem['msg']}"
    return _unknown_parameter(name, {**_RunQuery.model_fields, **_WaiverQuery.model_fields})


def _no_route(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == HTTP_405_METHOD_NOT_ALLOWED:
        return _refused(request, NotAllowed(f"{request.url.path} takes no {request.method}", help="see /api/docs"))
    return _refused(request, NotFound(f"there is no {request.url.path}", help="see /api/docs"))
