"""The documents about what changed: a run beside its baseline, two runs beside each other, a service over its runs.

Like the verdict, a public contract: fields are added, never renamed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from data.model import Decision
from slo.drift import Drift, Flaky
from slo.model import BaselineRef, Comparison, Endpoint, Finding, ObjectiveState, Outcome, RunRef
from slo.shifts import Shift


@dataclass(frozen=True)
class EndpointChange:
    """One endpoint on both sides; a side that did not call it is ``None``. ``p95`` and ``failed`` are compared."""

    service: str | None
    method: str
    name: str
    now: Endpoint | None
    before: Endpoint | None
    p95: Comparison | None
    failed: Comparison | None

    @property
    def p95_before_ms(self) -> float | None:
        """What the change is from: the level of the baseline; where nothing was compared, of the run before."""
        if self.p95 and self.p95.baseline is not None:
            return self.p95.baseline
        return self.before.p95_ms if self.before else None

    @property
    def failed_before(self) -> float | None:
        """The same of the share of requests that failed."""
        if self.failed and self.failed.baseline is not None:
            return self.failed.baseline
        return self.before.failed / self.before.requests if self.before and self.before.requests else None


@dataclass(frozen=True)
class Distribution:
    """Latency of one service at each of ``levels`` (0.5: the median), in ms: of the run and of the run before."""

    service: str | None
    levels: tuple[float, ...]
    now_ms: tuple[float, ...]
    before_ms: tuple[float, ...]


@dataclass(frozen=True)
class CompareView:
    """What changed in a run: everything the Compare page draws.

    ``before`` is the run it is drawn beside: the one named, or the newest of the baseline; ``None`` without any.
    ``outcome`` is what all ``comparisons`` come to. ``findings`` tell how the tests themselves differ.
    ``comparisons`` are what the verdict compares, worst first;
    ``percentiles`` are latencies of every service at more percentiles, each judged with the others of this list.
    """

    run: RunRef
    before: RunRef | None
    baseline: BaselineRef
    sentence: str
    outcome: Outcome
    findings: tuple[Finding, ...]
    comparisons: tuple[Comparison, ...]
    percentiles: tuple[Comparison, ...]
    endpoints: tuple[EndpointChange, ...]
    distributions: tuple[Distribution, ...]


@dataclass(frozen=True)
class SliPoint:
    """An SLI in one run; ``state`` is its objective's, if there is one, ``valid`` whether the run can be believed."""

    run_id: str
    at: datetime
    value: float | None
    n: int
    state: ObjectiveState | None
    valid: bool
    commit: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class SliHistory:
    """One SLI of a service over its runs, oldest first, with what a run alone does not show.

    ``shifts`` are changes of level, ``open_shift`` the one that nobody has accepted; ``drift`` is a slow trend towards
    the target, ``flaky`` an objective that flips without a change. ``sentence`` sums it up.
    """

    sli: str
    stat: str
    unit: str
    higher_is_worse: bool
    target: str | None
    target_value: float | None
    sentence: str
    points: tuple[SliPoint, ...] = ()
    shifts: tuple[Shift, ...] = ()
    open_shift: Shift | None = None
    drift: Drift | None = None
    flaky: Flaky | None = None


@dataclass(frozen=True)
class ServiceHistory:
    """A service over the runs of one test on one branch; ``slis`` with something to say come first."""

    service: str
    phase: str | None
    branch: str | None
    environment: str | None
    test: str | None
    runs: int
    sentence: str
    slis: tuple[SliHistory, ...] = ()
    decisions: tuple[Decision, ...] = field(default_factory=tuple)
