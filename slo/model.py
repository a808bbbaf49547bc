"""The documents Phasegate answers with: the verdict and what the pages show.

Frozen values, serialised with their field names (``slo.documents``). The verdict is a public contract: fields are
added, never renamed. Absent is ``None``; times are UTC; units are in the names or in ``unit``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from data.facts import Facts
from data.model import Attachment, PullState, Waiver

VerdictState = Literal["pass", "warn", "fail", "inconclusive"]
MeasurementState = Literal["valid", "suspect", "invalid"]
ObjectiveState = Literal["met", "at_risk", "missed", "no_data", "not_evaluable"]
Whereabouts = Literal["service", "way", "both"]
Severity = Literal["invalid", "suspect", "info"]
ComparisonState = Literal["improved", "unchanged", "regressed", "inconclusive", "no_baseline", "not_comparable"]
Outcome = Literal["regressed", "suspected", "inconclusive", "improved", "unchanged", "not_comparable", "no_baseline"]
BaselineKind = Literal["rolling", "pinned", "named", "none"]
Evidence = dict[str, str | int | float | bool | None | list[str]]

RULE_VERSION = 5
"""Raised whenever the same inputs could be judged differently, so that what is stored of both is told apart."""

EXIT_CODES: dict[VerdictState, int] = {"pass": 0, "warn": 0, "fail": 1, "inconclusive": 3}
"""What the command line exits with; 2 is wrong usage or an error of our own."""


@dataclass(frozen=True)
class Finding:
    """Something about the measurement itself, not about the service.

    ``service`` limits it to one service (``None``: the whole run). ``remedy`` is what would settle it.
    """

    code: str
    severity: Severity
    message: str
    evidence: Evidence = field(default_factory=dict)
    service: str | None = None
    remedy: str = ""


@dataclass(frozen=True)
class Measurement:
    """Can the run be believed? ``state`` is the worst severity of its findings."""

    state: MeasurementState
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class ObjectiveResult:
    """One objective against one run.

    ``value`` and ``ci`` are in ``unit`` (``ms``, ``ratio``, ``B``, ``/s``, or empty); ``ci`` is the 95 % interval,
    computed with ``ci_method``; ``margin`` is the share of the target that is left (negative: missed by that share).
    ``value_ok`` and ``n_ok`` are the same over requests that did not fail. ``proven``: the whole
    interval lies on the value's side of the target. ``include`` are parts of the run counted beside its load.
    Where several or relative targets are asked, ``decided_by`` is the absolute one that ``target_value``, ``margin``
    and ``proven`` are about; relative ones are held against ``baseline``, which is of ``baseline_runs``. ``source`` is
    the Prometheus that a promql objective is asked of; ``sli`` is its expression then, and ``n`` counts points.
    """

    service: str | None
    sli: str
    target: str
    state: ObjectiveState
    reason: str
    stat: str = ""
    warn: str | None = None
    key: bool = False
    weight: float = 1.0
    value: float | None = None
    target_value: float | None = None
    unit: str = ""
    n: int = 0
    count: int | None = None
    ci: tuple[float, float] | None = None
    ci_method: str | None = None
    margin: float | None = None
    proven: bool = False
    value_ok: float | None = None
    n_ok: int | None = None
    include: tuple[str, ...] = ()
    decided_by: str | None = None
    baseline: float | None = None
    baseline_runs: tuple[str, ...] = ()
    source: str | None = None


@dataclass(frozen=True)
class Comparison:
    """One SLI of a run, its repeats taken together with it, against the runs of its baseline.

    ``change``, its 95 % interval ``ci`` and ``detectable`` (the smallest worsening that this comparison finds in four
    of five cases) are relative (0.1: 10 % more), of shares (``unit`` is ``ratio``) absolute (0.009: 0.9 points more).
    ``noise`` is the change in units of the spread from run to run; ``confidence`` is what is left after the correction
    for the number of comparisons, where a change is believed. ``suspected``: regressed, and slo.yaml asks for more runs
    that show it. ``reason`` is one sentence; ``settle`` says what would settle an inconclusive one; ``method`` how it
    was judged.
    """

    service: str | None
    sli: str
    stat: str
    unit: str
    state: ComparisonState
    reason: str
    value: float | None = None
    baseline: float | None = None
    change: float | None = None
    ci: tuple[float, float] | None = None
    detectable: float | None = None
    noise: float | None = None
    confidence: float | None = None
    higher_is_worse: bool = True
    suspected: bool = False
    method: str = ""
    settle: str = ""
    baseline_runs: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class BaselineRef:
    """The runs that a run is held against, newest first, and since when they are from.

    ``kind``: the last valid runs of the test (``rolling``), one that somebody chose (``pinned``), one named in the
    question (``named``), or there is none. ``reason`` is that of the decision in force, or why there is none.
    ``repeats`` are earlier runs of the same commit, judged together with the run. ``left_out`` are runs of the same
    test that do not count, each with why.
    """

    kind: BaselineKind
    runs: tuple[str, ...] = ()
    oldest_at: datetime | None = None
    newest_at: datetime | None = None
    reason: str = ""
    repeats: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RunRef:
    """Which run: what was said of it at upload, and what its samples say."""

    id: str
    service: str | None
    test: str | None
    phase: str | None
    branch: str | None
    commit: str | None
    version: str | None
    environment: str | None
    started_at: datetime | None
    duration_s: float | None
    requests: int = 0
    services: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    received_at: datetime | None = None
    exit_code: int | None = None
    k6_version: str | None = None
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class ServerSide:
    """The p95 of a service as k6 measured it and by the service's own histogram, in ms, with what that says.

    ``server_before_ms`` and ``client_before_ms`` are of the runs that it is compared with. ``where`` is the time spent,
    or what got slower if something did: in the ``service``, on the ``way`` to it, or in ``both``.
    """

    service: str
    client_ms: float
    server_ms: float
    server_before_ms: float | None
    client_before_ms: float | None
    sentence: str
    where: Whereabouts


@dataclass(frozen=True)
class Verdict:
    """The answer for one run and one phase, with all it rests on; ``notes`` say what of the phase it leaves open.

    ``waivers`` are those by which gates overlook something of it now. They change nothing here, and are not kept with
    it: they are looked up whenever it is asked for.
    """

    schema: int
    rule_version: int
    config_digest: str
    phase: str
    run: RunRef
    verdict: VerdictState
    reasons: tuple[str, ...]
    next_steps: tuple[str, ...]
    measurement: Measurement
    objectives: tuple[ObjectiveResult, ...]
    comparisons: tuple[Comparison, ...]
    scope: tuple[str, ...]
    out_of_scope: int
    judged_at: datetime
    notes: tuple[str, ...] = ()
    baseline: BaselineRef | None = None
    waivers: tuple[Waiver, ...] = ()
    server_side: tuple[ServerSide, ...] = ()


@dataclass(frozen=True)
class IngestAnswer:
    """What ``ingest`` and ``POST /api/v1/runs`` answer. ``notes`` say what was not taken over from the upload."""

    run: RunRef
    created: bool
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None


@dataclass(frozen=True)
class PullAnswer:
    """What became of asking Prometheus about a run: of all ``questions``, those ``asked`` now, and how many in vain.

    ``open`` are to be asked again: in vain, not in time (``unasked``), or before everything that is kept was there.
    ``problems`` say why, each once.
    """

    run: RunRef
    questions: int
    asked: int
    failed: int
    open: int
    problems: tuple[str, ...] = ()
    unasked: int = 0


@dataclass(frozen=True)
class PulledSeries:
    """One series of an answer over the time of the run; numbers as Prometheus has them (seconds, bytes, shares)."""

    labels: dict[str, str]
    n: int
    min: float
    avg: float
    max: float
    last: float


@dataclass(frozen=True)
class Pulled:
    """A question to a Prometheus about a run, and its answer: series, none (``empty``), or (``failed``) why not.

    ``name`` is what it is about, where it is asked of every ``service``; an objective's has none.
    """

    source: str
    promql: str
    service: str | None
    name: str | None
    state: PullState
    problem: str | None
    pulled_at: datetime
    series: tuple[PulledSeries, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class PhaseRef:
    """A phase of slo.yaml, by id and title."""

    id: str
    title: str


@dataclass(frozen=True)
class HistoryPoint:
    """One run in a service's p95 history; ``state`` is the verdict, or ``None`` where the phase asks nothing of it."""

    run_id: str
    started_at: datetime | None
    p95_ms: float | None
    state: VerdictState | None


@dataclass(frozen=True)
class ServiceRow:
    """One service on the overview: the verdict of its latest run in the chosen phase and why.

    ``state`` is ``no_data`` where no run of the service is stored, ``None`` where the phase asks nothing of it.
    """

    service: str
    owner: str | None
    state: VerdictState | Literal["no_data"] | None
    reason: str
    run: RunRef | None
    p95_ms: float | None
    p95_target: str | None
    failed_ratio: float | None
    failed: int | None
    requests: int | None
    met: int
    asked: int
    history: tuple[HistoryPoint, ...] = ()


@dataclass(frozen=True)
class Overview:
    """Who is ready for a phase: services worst first, and one sentence that sums them up."""

    phase: PhaseRef | None
    phases: tuple[PhaseRef, ...]
    sentence: str
    state: VerdictState | Literal["no_data"]
    services: tuple[ServiceRow, ...]
    runs: int
    newest_run_at: datetime | None


@dataclass(frozen=True)
class TimeBin:
    """Requests that ended within one bin; ``at_s`` is the bin's start in seconds since the run's first sample."""

    at_s: float
    requests_per_s: float
    failed_per_s: float
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True)
class Endpoint:
    """All requests of one endpoint outside setup and teardown; latencies of all and of those that did not fail."""

    service: str | None
    method: str
    name: str
    requests: int
    failed: int
    p50_ms: float
    p95_ms: float | None
    p95_ok_ms: float | None
    max_ms: float


@dataclass(frozen=True)
class ErrorGroup:
    """Failed requests with the same service, endpoint, status, code and text."""

    service: str | None
    method: str
    name: str
    status: str
    error_code: str
    error: str
    requests: int
    first_s: float
    in_setup: bool


@dataclass(frozen=True)
class RunView:
    """Everything the Run page draws; ``verdict`` is ``None`` where no phase is configured or chosen."""

    run: RunRef
    phases: tuple[PhaseRef, ...]
    measurement: Measurement
    verdict: Verdict | None
    bin_s: float
    timeline: tuple[TimeBin, ...]
    endpoints: tuple[Endpoint, ...]
    errors: tuple[ErrorGroup, ...]
    artefacts: tuple[str, ...]
    attachments: tuple[Attachment, ...] = ()
    pulled: tuple[Pulled, ...] = ()


@dataclass(frozen=True)
class ObjectivePlace:
    """Where slo.yaml asks for an objective; line and column begin at 1."""

    phase: str
    service: str | None
    sli: str
    target: str
    include: tuple[str, ...]
    line: int
    column: int


@dataclass(frozen=True)
class ConfigReport:
    """What ``slo check`` says of a slo.yaml that can be used; ``places`` are its objectives."""

    source: str
    digest: str
    phases: tuple[PhaseRef, ...]
    services: tuple[str, ...]
    objectives: int
    notes: tuple[str, ...] = ()
    places: tuple[ObjectivePlace, ...] = ()
