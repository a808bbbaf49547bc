"""Nights of load tests that are made up: k6 output whose truth is known, put into a store through the real ingest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from data.model import RunMeta
from data.store import Store
from slo.model import Verdict
from slo.service import Service
from tests.builders import START
from tests.ingesting import Bench

LOAD_S = 20
KINDS = {
    "http_req_duration": ("trend", "time"), "http_reqs": ("counter", "default"), "http_req_failed": ("rate", "default"),
    "grpc_req_duration": ("trend", "time"), "iterations": ("counter", "default"),
    "dropped_iterations": ("counter", "default"), "iteration_duration": ("trend", "time"), "vus": ("gauge", "default"),
}  # fmt: skip


@dataclass
class Calls:
    """Requests to one endpoint: ``n`` in a run, of ``ms`` on average, of which so many fail."""

    service: str | None = "a"
    name: str = "/a"
    n: int = 300
    ms: float = 50.0
    failing: float = 0.0
    metric: str = "http_req_duration"


@dataclass
class Nights:
    """A store under one slo.yaml, into which nights are put."""

    store: Store
    bench: Bench
    service: Service
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    nights: int = 0

    def put(
        self,
        *calls: Calls,
        iterations: int = 300,
        noise: float = 0.02,
        commit: str | None = None,
        meta: RunMeta | None = None,
    ) -> str:
        """A night with these requests; the id of its run."""
        self.nights += 1
        start = START + timedelta(days=self.nights)
        lines = [json.dumps({"type": "Metric", "metric": name, "data": {"name": name, "type": kind, "contains": what}})
                 for name, (kind, what) in KINDS.items()]  # fmt: skip
        lines += [_point("vus", start + timedelta(seconds=second), 2.0, {}) for second in range(LOAD_S)]
        for at in self._times(start, iterations):
            lines += [_point(name, at, 1.0, {"scenario": "s"}) for name in ("iterations", "iteration_duration")]
        for one in calls or (Calls(),):
            lines += self._requests(one, start, noise)
        said = meta or RunMeta(test="nightly", branch="main", phase="P", exit_code=0, commit=commit)
        return self.bench.ingest(("\n".join(lines) + "\n").encode(), meta=said).run.id

    def _requests(self, one: Calls, start: datetime, noise: float) -> Iterator[str]:
        level = one.ms * np.exp(noise * self.random.standard_normal())
        for at in self._times(start, one.n):
            failed = bool(self.random.random() < one.failing)
            tags = {
                "name": one.name, "method": "GET", "status": "500" if failed else "200", "scenario": "s",
                "expected_response": str(not failed).lower(),
            } | ({"service": one.service} if one.service else {})  # fmt: skip
            yield _point(one.metric, at, float(level * np.exp(0.3 * self.random.standard_normal())), tags)
            if one.metric == "http_req_duration":
                yield _point("http_reqs", at, 1.0, tags)
                yield _point("http_req_failed", at, float(failed), tags)

    def _times(self, start: datetime, n: int) -> Iterator[datetime]:
        return (start + timedelta(seconds=LOAD_S * (i + 0.5) / n) for i in range(n))

    def verdict(self, *calls: Calls, commit: str | None = None) -> Verdict:
        """What is said of one more night."""
        return self.service.verdict(self.put(*calls, commit=commit))


def _point(metric: str, at: datetime, value: float, tags: dict[str, str]) -> str:
    return json.dumps(
        {"type": "Point", "metric": metric, "data": {"time": at.isoformat(), "value": value, "tags": tags}}
    )
