"""Recorded k6 runs with a known truth, read as users' runs are: ``<id>.json.gz`` and ``truth.json`` in one folder.

``truth.json`` is a list in order of time of ``{id, seed, shift: {service: factor}, err: {service: rate}}`` and, where
they say something, ``tail`` (only the slowest 3 % slower), ``endpoint`` (``{service: {name: factor}}``), ``throughput``
(a factor) and ``version``, which repeated runs of one change share.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data.model import RunMeta
from data.samples import Floats
from data.store import Store
from ingest.service import Upload
from slo.measure import measure
from slo.profile import Profile, from_text
from slo.selector import Selector
from slo.sli import Sli
from tests.ingesting import Quick

RECORDED = Path(__file__).parent / "data" / "detection"
P95, P99, FAILED, LOAD = "p(95)", "p(99)", "failed", "throughput"
CORE = (P95, FAILED)


@dataclass(frozen=True)
class Truth:
    """What was changed in a run, by service."""

    id: str
    shift: Mapping[str, float] = field(default_factory=dict)
    err: Mapping[str, float] = field(default_factory=dict)
    tail: Mapping[str, float] = field(default_factory=dict)
    endpoint: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    throughput: float = 1.0
    version: str = ""

    @property
    def unchanged(self) -> bool:
        return not (self.shift or self.err or self.tail or self.endpoint or self.throughput != 1)

    def size(self, service: str, what: str) -> float | None:
        """How what is measured of a service was changed: 1 is not at all, ``None`` is not known."""
        if what == FAILED:
            return self.err.get(service, 1.0)
        if what == LOAD:
            return self.throughput
        if what not in {P95, P99}:  # an endpoint
            return self.endpoint.get(service, {}).get(
                what, self.shift.get(service, None if service in self.tail else 1.0)
            )
        if service in self.endpoint or (service in self.tail and what == P95):
            return None
        return self.tail.get(service, self.shift.get(service, 1.0))


@dataclass(frozen=True)
class Seen:
    """A run as measured: profiles by service and what is measured; single requests by service, in ms."""

    truth: Truth
    profiles: Mapping[tuple[str, str], Profile | None]
    requests: Mapping[str, Floats]

    @property
    def services(self) -> list[str]:
        return sorted(self.requests)


def load(folder: Path, home: Path) -> list[Seen]:
    """Take all runs of a folder in, as users do, and measure them."""
    truths = [
        Truth(**{k: v for k, v in one.items() if k != "seed"})
        for one in json.loads((folder / "truth.json").read_text())
    ]
    endpoints = sorted({(s, name) for one in truths for s, names in one.endpoint.items() for name in names})
    store = Store(home)
    try:
        return [
            _seen(truth, store, folder / f"{truth.id}.json.gz", endpoints)
            for truth in truths
            if (folder / f"{truth.id}.json.gz").exists()
        ]
    finally:
        store.close()


def _seen(truth: Truth, store: Store, file: Path, endpoints: Sequence[tuple[str, str]]) -> Seen:
    run = Quick(store).ingest([Upload(file, file.name)], RunMeta(test="detection")).run
    record = store.record(run.id)
    slis = {key: sli for service in run.services for key, sli in _slis(service)}
    slis |= {(s, name): Sli(s, Selector.parse(f"http_req_duration{{name:{name}}}"), P95, 0.95) for s, name in endpoints}
    measured = measure(record, list(slis.values()), store.samples)
    kept = [from_text(one.profile) if one.profile else None for one in measured]
    requests = {}
    for service in run.services:
        ids = [s.id for s in record.series if s.metric == "http_req_duration" and s.tags.get("service") == service]
        rows = store.samples.query(run.id, "SELECT v FROM samples WHERE list_contains($ids, series_id)", {"ids": ids})
        requests[service] = np.array(rows, dtype=float)[:, 0]
    return Seen(truth, dict(zip(slis, kept, strict=True)), requests)


def _slis(service: str) -> Iterator[tuple[tuple[str, str], Sli]]:
    times = Selector("http_req_duration")
    yield (service, P95), Sli(service, times, P95, 0.95)
    yield (service, P99), Sli(service, times, P99, 0.99)
    yield (service, FAILED), Sli(service, Selector("http_req_failed"), "rate")
    yield (service, LOAD), Sli(service, Selector("http_reqs"), "rate", per_second=True)
