"""NightBFF: the eight services of the demo in one process, as fast, slow or broken as they are told to be.

Latency is lognormal and slept away, failures and cache hits come in the shares asked for, and writes check that the
user they belong to was seeded, as a foreign key would. ``--story`` sets a whole situation, the other options one thing.
Prometheus scrapes each service on its own, at ``/metrics/{service}``.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import uvicorn
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

RUN_TO_RUN = 0.03  # sigma of the logarithm of an endpoint's median, from one seed to the next
HIT_FACTOR = 0.25  # latency of a cache hit, as a share of the same answer computed
MEDIA_FACTOR = 13.0
CACHE_HITS = 0.8
VENUES = 500
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
POOL = 50  # connections of each service to its database
BUCKETS_MS = (
    *(1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 100, 125, 150, 175, 200, 225, 250, 275, 300),
    *(350, 400, 500, 600, 800, 1000, 1250, 1500, 2000, 3000, 5000),
)
"""Upper edges: from 3 ms to 2 s each is at most a third above the one before, and targets of slo.yaml are edges."""
EXPECTED = (200, 201, 202, 500, 503)
"""Statuses that are counted from 0 on: Prometheus sees no increase in a series that begins at 1."""

Row = dict[str, Any]
Answer = tuple[int, Row]
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Behaviour:
    """What to change, by target: a service (``event``) or one path of it (``event:/event/search``)."""

    latency: Mapping[str, float] = field(default_factory=dict)
    fail: Mapping[str, float] = field(default_factory=dict)
    cache: Mapping[str, float] = field(default_factory=dict)
    seeding: bool = True


STORIES: dict[str, Behaviour] = {
    "healthy": Behaviour(),
    "event-search-slow": Behaviour(latency={"event:/event/search": 3.0}, fail={"event": 0.04}),
    "chat-slow": Behaviour(latency={"chat:/chat/messages": 1.5}, fail={"chat": 0.0113}),
    "venue-failures": Behaviour(fail={"venue": 0.04}),
    "interest-cache-cold": Behaviour(cache={"interest": 0.0}),
    "seeding-broken": Behaviour(seeding=False),
}


@dataclass
class Store:
    """Rows by table and id, in memory; what the services read and write."""

    tables: defaultdict[str, dict[str, Row]] = field(default_factory=lambda: defaultdict(dict))
    serial: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def seed(self, table: str, count: int) -> None:
        """Fill a table with predictable ids, ``user-00001`` and up."""
        ids = (f"{table}-{number:05d}" for number in range(1, count + 1))
        self.tables[table] = {row_id: {"id": row_id, "name": f"Seeded {row_id}"} for row_id in ids}

    def insert(self, table: str, row: Row) -> Row:
        row_id = f"{table}-new-{next(self.serial)}"
        return self.tables[table].setdefault(row_id, {**row, "id": row_id})


@dataclass(frozen=True)
class Call:
    """One request, taken apart: its service, the id in its path, its query and its JSON body."""

    service: str
    row_id: str
    query: Mapping[str, str]
    body: Row
    cache_hit: bool
    latency_ms: float


def listing(store: Store, call: Call) -> Answer:
    rows = store.tables[call.service]
    return 200, {"items": list(itertools.islice(rows.values(), 20)), "total": len(rows)}


def create(store: Store, call: Call) -> Answer:
    return 201, store.insert(call.service, call.body)


def read(store: Store, call: Call) -> Answer:
    row = store.tables[call.service].get(call.row_id)
    return (404, {"message": f"{call.row_id} not found"}) if row is None else (200, row)


def update(store: Store, call: Call) -> Answer:
    status, row = read(store, call)
    row.update(call.body)
    return status, row


def delete(store: Store, call: Call) -> Answer:
    answer = read(store, call)
    store.tables[call.service].pop(call.row_id, None)
    return answer


def login(store: Store, call: Call) -> Answer:
    """Answer with a token to whoever was seeded."""
    user_id = call.body.get("login")
    return (200, {"token": f"jwt.{user_id}"}) if user_id in store.tables["user"] else (401, {"message": "unknown user"})


def session(_store: Store, _call: Call) -> Answer:
    return 200, {"active": True}


def match(_store: Store, call: Call) -> Answer:
    return 200, {"matches": ["jazz", "rooftop bars", "salsa"], "cache": "hit" if call.cache_hit else "miss"}


def city(_store: Store, call: Call) -> Answer:
    return 200, {"city": call.query.get("name", "").title(), "lat": 40.71, "lon": -74.0}


def media(_store: Store, call: Call) -> Answer:
    """Accept an image; its variants are made afterwards, and take MEDIA_FACTOR times as long."""
    return 202, {"variants": ["thumb", "small", "medium", "large"], "pipeline_ms": MEDIA_FACTOR * call.latency_ms}


@dataclass(frozen=True)
class Endpoint:
    """One endpoint; ``spread`` is the sigma of the logarithm of its latency."""

    method: str
    path: str
    answer: Callable[[Store, Call], Answer]
    median_ms: float
    spread: float = 0.3

    @property
    def service(self) -> str:
        return self.path.split("/")[1]

    def setting(self, settings: Mapping[str, float], default: float) -> float:
        """Return what is set for this path, else for its service, else ``default``."""
        return settings.get(f"{self.service}:{self.path}", settings.get(self.service, default))


ENDPOINTS = (
    Endpoint("POST", "/auth/login", login, 14),
    Endpoint("GET", "/auth/session", session, 4),
    Endpoint("POST", "/auth/refresh", session, 8),
    Endpoint("GET", "/chat/messages", listing, 130, 0.32),
    Endpoint("GET", "/chat/conversations", listing, 70),
    Endpoint("POST", "/chat/send", create, 55),
    Endpoint("GET", "/event/search", listing, 94),
    Endpoint("GET", "/event/{id}", read, 25),
    Endpoint("POST", "/event", create, 45),
    Endpoint("DELETE", "/event/{id}", delete, 30),
    Endpoint("GET", "/interest/match", match, 8),
    Endpoint("GET", "/interest/categories", listing, 3),
    Endpoint("GET", "/notification/inbox", listing, 18),
    Endpoint("GET", "/notification/updates", listing, 12, 0.4),
    Endpoint("POST", "/notification/send", create, 22),
    Endpoint("GET", "/plan/city", city, 28),
    Endpoint("POST", "/plan", create, 58),
    Endpoint("GET", "/plan/{id}", read, 24),
    Endpoint("PUT", "/plan/{id}", update, 42),
    Endpoint("GET", "/user/discovery", listing, 85, 0.35),
    Endpoint("GET", "/user/profile/{id}", read, 22),
    Endpoint("PUT", "/user/profile/{id}", update, 35),
    Endpoint("POST", "/user/media", media, 48),
    Endpoint("GET", "/venue/search", listing, 21),
    Endpoint("GET", "/venue/{id}", read, 14),
    Endpoint("POST", "/venue/{id}/checkin", create, 19),
)


@dataclass
class Share:
    """Says yes to a share of the questions, as evenly as multiples of the golden ratio fall: short runs show it too."""

    share: float
    position: float

    def draw(self) -> bool:
        self.position = (self.position + GOLDEN_RATIO) % 1.0
        return self.position < self.share


class Dice:
    """The chances of one endpoint, from a stream of its own: its n-th request fares alike whatever others do."""

    def __init__(self, endpoint: Endpoint, behaviour: Behaviour, seed: int) -> None:
        self._rng = random.Random(f"{seed} {endpoint.method} {endpoint.path}")
        factor = endpoint.setting(behaviour.latency, 1.0) * self._rng.lognormvariate(0, RUN_TO_RUN)
        self._log_median_ms = math.log(endpoint.median_ms * factor)
        self._spread = endpoint.spread
        self.fails = Share(endpoint.setting(behaviour.fail, 0.0), self._rng.random())
        self.cache_hits = Share(endpoint.setting(behaviour.cache, CACHE_HITS), self._rng.random())

    def latency_ms(self) -> float:
        return self._rng.lognormvariate(self._log_median_ms, self._spread)


def respond(store: Store, endpoint: Endpoint, call: Call) -> Answer:
    """Answer one call, or as PostgreSQL makes a service answer that writes for a user who does not exist."""
    user_id, table = call.body.get("user_id"), call.service
    if user_id is None or user_id in store.tables["user"]:
        return endpoint.answer(store, call)
    message = f'insert or update on table "{table}" violates foreign key constraint "{table}_user_id_fkey"'
    detail = f'Key (user_id)=({user_id}) is not present in table "user".'
    return 500, {"code": "23503", "message": message, "detail": detail}


class Meters:
    """What one service says of itself to Prometheus, in a registry of its own as if it ran in its own process."""

    def __init__(self, service: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._duration = Histogram(
            "http_request_duration_seconds",
            "How long the service took to answer.",
            ["method", "path", "status"],
            buckets=[edge / 1000 for edge in BUCKETS_MS],
            registry=self._registry,
        )
        labels = ["method", "path", "code"]
        self._requests = Counter("http_requests", "Requests answered.", labels, registry=self._registry)
        self._in_use = Gauge(
            "db_pool_connections_in_use",
            "Requests in flight: each holds a connection, or waits for one.",
            registry=self._registry,
        )
        Gauge("db_pool_connections_max", "Connections of the pool.", registry=self._registry).set(POOL)
        if service == "interest":
            self._cache = Counter("cache_requests", "Questions to the cache.", ["result"], registry=self._registry)
            for result in ("hit", "miss"):
                self._cache.labels(result)

    def measured(self, endpoint: Endpoint, handle: Handler) -> Handler:
        """Make a handler that answers as ``handle`` does, and is measured."""
        labels = endpoint.method, endpoint.path
        for status in EXPECTED:
            self._requests.labels(*labels, status)

        async def measure(request: Request) -> Response:
            status, start = 500, time.perf_counter()  # what Starlette answers for a handler that raises
            with self._in_use.track_inprogress():
                try:
                    response = await handle(request)
                    status = response.status_code
                    return response
                finally:
                    self._duration.labels(*labels, status).observe(time.perf_counter() - start)
                    self._requests.labels(*labels, status).inc()

        return measure

    def cached(self, *, hit: bool) -> None:
        self._cache.labels("hit" if hit else "miss").inc()

    async def page(self, _request: Request) -> Response:
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)


def serve(endpoint: Endpoint, store: Store, dice: Dice, meters: Meters) -> Handler:
    """Make the handler of one endpoint."""

    async def handle(request: Request) -> JSONResponse:
        cache_hit = endpoint.answer is match and dice.cache_hits.draw()
        if endpoint.answer is match:
            meters.cached(hit=cache_hit)
        fails = dice.fails.draw()
        latency_ms = dice.latency_ms() * (HIT_FACTOR if cache_hit else 1)
        await asyncio.sleep(latency_ms / 1000)
        if fails:
            return JSONResponse({"message": f"{endpoint.service}: upstream connection reset"}, 503)
        body = await request.json() if request.method in {"POST", "PUT"} else {}
        row_id, query = request.path_params.get("id", ""), request.query_params
        call = Call(endpoint.service, row_id, query, body, cache_hit, latency_ms)
        status, answer = respond(store, endpoint, call)
        return JSONResponse(answer, status)

    return meters.measured(endpoint, handle)


def create_app(behaviour: Behaviour, seed: int, dice: type[Dice] = Dice) -> Starlette:
    """Build the backend: an ASGI application with a store of its own, whose chances are drawn with ``dice``."""
    store = Store()

    async def seed_tables(request: Request) -> JSONResponse:
        if not behaviour.seeding:
            return JSONResponse({"message": "ENOENT: no such file or directory, open 'seeds/users.csv'"}, 500)
        users = int((await request.json())["users"])
        store.seed("user", users)
        store.seed("venue", VENUES)
        return JSONResponse({"seeded": users, "token": f"jwt.setup.{users}"}, 201)

    async def healthz(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "seeded_users": len(store.tables["user"]), "pending_migrations": 0})

    meters = {service: Meters(service) for service in sorted({endpoint.service for endpoint in ENDPOINTS})}
    routes = [Route("/healthz", healthz), Route("/seed", seed_tables, methods=["POST"])]
    routes += [Route(f"/metrics/{service}", own.page) for service, own in meters.items()]
    for endpoint in ENDPOINTS:
        handler = serve(endpoint, store, dice(endpoint, behaviour, seed), meters[endpoint.service])
        routes.append(Route(endpoint.path, handler, methods=[endpoint.method]))
    return Starlette(routes=routes)


def setting(text: str) -> tuple[str, float]:
    """Read ``TARGET=NUMBER`` (``3.0x`` means 3.0); argparse turns a ValueError into its own message."""
    target, _, number = text.rpartition("=")
    if target.split(":")[0] not in {endpoint.service for endpoint in ENDPOINTS}:
        raise ValueError(text)
    return target, float(number.removesuffix("x"))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    epilog = "A TARGET is a service (venue) or one path of it (event:/event/search)."
    parser = argparse.ArgumentParser(description="The NightBFF demo backend.", epilog=epilog)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--seed", type=int, default=1, help="same seed, same latencies and failures")
    parser.add_argument("--story", choices=STORIES, default="healthy")
    several: dict[str, Any] = {"type": setting, "action": "append", "default": []}
    parser.add_argument("--latency", metavar="TARGET=FACTORx", help="e.g. event:/event/search=3.0x", **several)
    parser.add_argument("--fail", metavar="TARGET=SHARE", help="share answered with 503, e.g. venue=0.04", **several)
    parser.add_argument("--cache", metavar="TARGET=SHARE", help="share of cache hits, e.g. interest=0.1", **several)
    return parser.parse_args(argv)


def behaviour_of(options: argparse.Namespace) -> Behaviour:
    """Return the story, with the single settings laid over it."""
    story = STORIES[options.story]
    latency = {**story.latency, **dict(options.latency)}
    fail = {**story.fail, **dict(options.fail)}
    cache = {**story.cache, **dict(options.cache)}
    return replace(story, latency=latency, fail=fail, cache=cache)


def main() -> None:
    options = parse()
    uvicorn.run(
        create_app(behaviour_of(options), options.seed), port=options.port, log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main()
