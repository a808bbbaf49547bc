"""What was measured, as frozen values: a run, its artefacts, metrics, series and what k6's own summary said.

One model for every source, Prometheus's own: a run has series (metric + tags), a series has samples (time, value).
Times are UTC; durations are in seconds; latencies keep k6's milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from data.facts import Facts
from data.sources import Query

ArtefactKind = Literal["k6-json", "k6-csv", "k6-summary-export", "k6-handle-summary", "k6-machine-summary"]
AttachmentKind = Literal["junit", "file"]
MetricKind = Literal["trend", "rate", "counter", "gauge"]
DecisionKind = Literal["invalidated", "restored", "pinned", "started", "released"]
PullState = Literal["ok", "empty", "failed"]
MetricType = MetricKind | Literal["unknown"]
MetricContains = Literal["time", "data", "default"]

_SERVER_ERROR = 500
_GRPC_OK = "0"

SAMPLE_KINDS: frozenset[ArtefactKind] = frozenset({"k6-json", "k6-csv"})
"""Artefacts that hold samples; the others only sum a run up."""


@dataclass(frozen=True)
class RunMeta:
    """What the uploader says of a run. ``service`` is the service of every series that carries no ``service`` tag.

    ``facts`` are what was true where it ran, for the entry criteria of phases.
    """

    service: str | None = None
    test: str | None = None
    phase: str | None = None
    branch: str | None = None
    commit: str | None = None
    version: str | None = None
    environment: str | None = None
    exit_code: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Artefact:
    """One file of a run, and what reading it showed.

    ``digest`` is BLAKE3 over the bytes as delivered. ``truncated`` says how the file ends early, if it does.
    ``points`` were kept; ``malformed_lines`` are not k6's JSON (or CSV); ``dropped_points`` had no finite value or
    no time.    ``collapsed_tags`` are tags with too many distinct values to keep, with that number.
    """

    name: str
    kind: ArtefactKind
    digest: str
    bytes: int
    lines: int = 0
    points: int = 0
    malformed_lines: int = 0
    first_malformed_line: int | None = None
    dropped_points: int = 0
    truncated: str | None = None
    collapsed_tags: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Attachment:
    """A file kept with a run as it was sent. ``junit``: the run has facts from it; a ``file`` is never read.

    ``kept``: its bytes are there; a report of tests may be too large for that. ``digest`` is BLAKE3.
    """

    name: str
    kind: AttachmentKind
    digest: str
    bytes: int
    kept: bool = True


@dataclass(frozen=True)
class Threshold:
    """A threshold of the k6 script; ``ok`` is k6's own result, ``None`` where no summary came with the run."""

    metric: str
    source: str
    ok: bool | None = None
    abort_on_fail: bool = False


@dataclass(frozen=True)
class MetricStats:
    """One metric over the whole run, setup and teardown included, with k6's own arithmetic.

    ``nonzero`` are a rate's trues. Percentiles are linear between order statistics (``quantile_cont``).
    """

    n: int
    sum: float
    min: float
    max: float
    avg: float
    med: float
    p90: float
    p95: float
    p99: float
    nonzero: int
    last: float


@dataclass(frozen=True)
class Metric:
    """A metric's definition and, where samples came, its statistics."""

    name: str
    type: MetricType = "unknown"
    contains: MetricContains = "default"
    submetrics: tuple[str, ...] = ()
    stats: MetricStats | None = None


@dataclass(frozen=True)
class Series:
    """A metric with one set of tags. ``id`` is unique within the run; ``tags`` never hold empty values."""

    id: int
    metric: str
    tags: dict[str, str]
    n: int
    sum: float
    min: float
    max: float
    nonzero: int
    first_at: datetime
    last_at: datetime
    last: float

    @property
    def part_of_test(self) -> str | None:
        """``setup`` or ``teardown``; ``None`` for the load. k6 gives those two no scenario, a user's group has one."""
        group = self.tags.get("group", "")
        if "scenario" in self.tags:
            return None
        return next((part for part in ("setup", "teardown") if f"{group}::".startswith(f"::{part}::")), None)

    @property
    def error_code(self) -> int | None:
        """k6's code of what went wrong with these requests, where k6 was told to keep it."""
        code = self.tags.get("error_code", "")
        return int(code) if code.isdecimal() else None

    @property
    def failed(self) -> bool:
        """Did these requests fail? k6's own answer, else what their status says."""
        if expected := self.tags.get("expected_response"):
            return expected == "false"
        status = self.tags.get("status", "")
        if self.metric.startswith("grpc_"):
            return status not in {"", _GRPC_OK}
        return self.error_code is not None or (
            status.isdecimal() and (int(status) == 0 or int(status) >= _SERVER_ERROR)
        )


@dataclass(frozen=True)
class SummaryValue:
    """One number of k6's own summary: ``metric`` may be a sub-metric such as ``http_req_duration{name:/a}``."""

    metric: str
    stat: str
    value: float


@dataclass(frozen=True)
class Run:
    """One load-test run: identity, what was said of it, and when it ran.

    ``id`` derives from ``digest``, which derives from the digests of the artefacts: the same bytes are the same run.
    ``duration_s`` is k6's own test-run duration where a summary gives it (``duration_source`` "summary"), else the span
    of the samples ("samples").
    """

    id: str
    digest: str
    meta: RunMeta
    received_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration_s: float | None
    duration_source: Literal["summary", "samples"] | None
    services: tuple[str, ...]
    requests: int
    points: int
    k6_version: str | None = None
    script_hash: str | None = None


@dataclass(frozen=True)
class Decision:
    """What somebody decided about a run, and why.

    ``invalidated``: it enters no baseline (``restored``: it may again). ``pinned``: it is the baseline of its test;
    ``started``: the rolling baseline of its test begins with it; ``released``: neither any more.
    """

    run_id: str
    kind: DecisionKind
    reason: str
    at: datetime


@dataclass(frozen=True)
class WaiverRequest:
    """What somebody allows to be overlooked until it expires: an objective (its SLI) or a finding (its code).

    It is to hold for one service, phase and version, or for all of them (``None``).
    """

    about: str
    owner: str
    reason: str
    expires_at: datetime
    service: str | None = None
    phase: str | None = None
    version: str | None = None


@dataclass(frozen=True, kw_only=True)
class Waiver(WaiverRequest):
    """What was allowed to be overlooked. ``ended_at``: it was taken back."""

    id: str
    created_at: datetime
    ended_at: datetime | None = None

    def holds_at(self, at: datetime) -> bool:
        """Does it count at this time?"""
        return at < self.expires_at and (self.ended_at is None or at < self.ended_at)


@dataclass(frozen=True)
class Override:
    """Who let a version through although a gate said no, and why."""

    gate_id: str
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Pull:
    """What a Prometheus answered to a question about a run: its ``series``, none, or (``failed``) why it did not.

    Asked was the time from ``start`` to ``end``. The samples of some time before and after it are kept, too, but the
    statistics of ``series`` are of that time alone. ``again``: a later attempt may be answered. ``warnings`` say that
    it is not all that there is. ``place`` is where the source was then.
    """

    query: Query
    state: PullState
    start: datetime
    end: datetime
    pulled_at: datetime
    series: tuple[Series, ...] = ()
    problem: str | None = None
    again: bool = False
    warnings: tuple[str, ...] = ()
    place: str = ""

    @property
    def expected(self) -> int:
        """How many points a series without a gap has."""
        step = self.query.step_s
        return 1 if step is None else int((self.end - self.start).total_seconds() // step) + 1


@dataclass(frozen=True)
class RunRecord:
    """A run with all that the catalog keeps of it; what a block's manifest holds.

    ``pulls`` come from beside the manifest: Prometheus may be asked later.
    """

    run: Run
    artefacts: tuple[Artefact, ...]
    metrics: tuple[Metric, ...]
    series: tuple[Series, ...]
    thresholds: tuple[Threshold, ...]
    summary: tuple[SummaryValue, ...]
    pulls: tuple[Pull, ...] = ()
