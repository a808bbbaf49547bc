"""What a slo.yaml says, as values: services, phases, objectives, and how runs are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from data.errors import NotFound
from data.sources import Connection
from slo.alternatives import Alternatives
from slo.budget_model import Budget
from slo.criterion import Criterion
from slo.kinds import RunKind
from slo.selector import Selector
from slo.target import Target

BaselinePhase = Literal["any", "same", "previous"]
ChangeKind = Literal["fail", "inconclusive", "recovered", "warn"]
"""A change of state by what it comes to: of a fail or an inconclusive, back from one, or between pass and warn."""


@dataclass(frozen=True)
class ServiceInfo:
    """Who looks after a service. ``links`` maps a title to an http(s) URL."""

    owner: str | None = None
    tier: int | None = None
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Baseline:
    """What a run is compared with: the last ``runs`` valid runs of the same test and environment on ``branch``.

    ``phase``: those uploaded for ``any`` phase, for the ``same``, or for one that comes before it (``previous``).
    """

    branch: str = "main"
    runs: int = 10
    phase: BaselinePhase = "any"


@dataclass(frozen=True)
class Regression:
    """When a change counts: it is ``confidence`` sure and at least the relative and the absolute minimum.

    It is suspected until ``confirm`` runs of the same commit show it.
    """

    confidence: float = 0.99
    min_change_ratio: float = 0.05
    min_change_abs_ms: float = 1.0
    confirm: int = 1


@dataclass(frozen=True)
class Objective:
    """One thing asked of a service (``None``: of the whole run), measured from samples (``sli``) or by ``promql``.

    Exactly one of the two is set. ``warn`` is a stricter target; missing only that is a warning. ``include`` names the
    parts of a run that are counted although they are not load: ``setup``, ``teardown``. ``line`` and ``column`` say
    where it is written. ``source`` is the Prometheus that is asked (``None``: the only one).

    Where more than one target is asked, ``targets`` and ``warns`` have them all, and ``target`` and ``warn`` the one
    that stands for them; :attr:`asks` and :attr:`warned` are all of them in any case.
    """

    service: str | None
    sli: Selector | None
    promql: str | None
    target: Target
    warn: Target | None = None
    key: bool = False
    weight: float = 1.0
    include: tuple[str, ...] = ()
    line: int = 0
    column: int = 0
    targets: Alternatives | None = None
    warns: Alternatives | None = None
    source: str | None = None

    @property
    def asks(self) -> Alternatives:
        """What has to hold."""
        return self.targets or Alternatives(((self.target,),))

    @property
    def warned(self) -> Alternatives | None:
        """What has to hold for it not to be at risk."""
        return self.warns or (Alternatives(((self.warn,),)) if self.warn else None)


@dataclass(frozen=True)
class Saturation:
    """Something that can be used up: ``used`` of ``limit``, both PromQL, is told from the share ``at`` on.

    ``generator``: it is the machine that k6 runs on, so its own numbers are in doubt then.
    """

    name: str
    used: str
    limit: str
    at: float = 0.9
    generator: bool = False


@dataclass(frozen=True)
class MetricsSource:
    """A Prometheus: how it is reached, and what it is asked about the services of a run, beside objectives.

    ``scraped``: its metrics are, so that ``up`` tells whether a service was looked at; else they are pushed.
    ``select`` are the matchers that find a service's targets; ``latency`` is its histogram of times in seconds, by
    name; ``collect`` is what else to keep, by name. ``margin_s`` is asked for before and after a run. ``labels`` are
    names for expressions, as ``$cluster``.
    """

    connection: Connection
    step_s: float = 5.0
    margin_s: float = 30.0
    select: str = 'service="$service"'
    scraped: bool = True
    latency: str | None = None
    saturation: tuple[Saturation, ...] = ()
    collect: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreRule:
    """How high the score of a phase has to be, out of 100: to pass, and to pass with a warning (``None``: never)."""

    passed: float
    warned: float | None = None


@dataclass(frozen=True)
class Phase:
    """A step of the release: entered when every phase in ``after`` passed and every ``entry`` criterion holds.

    ``coverage`` is the share of the objectives that has to be met, ``score`` what they have to come to by weight
    (``None``: no such rule). ``runs`` are kinds of run that have to be there; none that counts is older than
    ``max_age_s`` (``None``: whatever its age). ``budget`` is the share of its services' error budgets that has to be
    left (``None``: no such rule).
    """

    id: str
    title: str
    objectives: tuple[Objective, ...]
    after: tuple[str, ...] = ()
    entry: tuple[Criterion, ...] = ()
    coverage: Target | None = None
    rollback: str | None = None
    verification: tuple[str, ...] = ()
    runs: tuple[RunKind, ...] = ()
    max_age_s: float | None = None
    score: ScoreRule | None = None
    budget: Target | None = None


@dataclass(frozen=True)
class Receiver:
    """Who is told of changes of state.

    ``url_env`` names the variable that holds an apprise URL; or ``webhook`` is the address itself, and ``secret_env``
    names the variable with the secret that signs what is sent there. Told are the kinds of change ``on``, of
    ``services``, ``phases`` and ``branches`` (empty: of every service and gate, all phases, the baseline's branch).
    """

    url_env: str | None = None
    webhook: str | None = None
    secret_env: str | None = None
    on: tuple[ChangeKind, ...] = get_args(ChangeKind)
    services: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called wherever it is shown: never what the variable holds."""
        return self.url_env or self.webhook or ""

    @property
    def variable(self) -> str:
        """The environment variable without which it cannot be told."""
        return self.url_env or self.secret_env or ""


@dataclass(frozen=True)
class Config:
    """A whole slo.yaml. ``digest`` identifies what it says, whatever its layout; ``source`` is the name of the file.

    ``notify`` is not part of the digest: who is told does not change what is judged, and must not judge it again. Nor
    is how a Prometheus is reached.
    """

    version: int
    services: Mapping[str, ServiceInfo]
    baseline: Baseline
    regression: Regression
    phases: tuple[Phase, ...]
    digest: str
    source: str
    notify: tuple[Receiver, ...] = ()
    budgets: tuple[Budget, ...] = ()
    prometheus: Mapping[str, MetricsSource] = field(default_factory=dict)

    def phase(self, phase_id: str) -> Phase:
        """Return the phase with this id; raises `NotFound`, which names those there are."""
        for phase in self.phases:
            if phase.id == phase_id:
                return phase
        known = ", ".join(phase.id for phase in self.phases)
        raise NotFound(f"{self.source} has no phase `{phase_id}`", help=f"phases: {known}")
