"""What the service says of itself, as metrics for Prometheus: ``docs/metrics.md`` lists them.

What happens is counted here as it happens. What is stored is asked when somebody looks, and only looked up: a scrape
judges nothing and writes nothing. Values from outside are labels, never names; how many series there can be is bounded
by ``slo.exported``.
"""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Literal, get_args

import prometheus_client
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from data.errors import PhasegateError, error_codes
from data.figures import StoredKind
from settings import VERSION
from slo.exported import BaseUnit, ConfigState
from slo.model import RULE_VERSION, ObjectiveState, VerdictState
from slo.telling import NoticeState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from data.figures import Figures, Sizes
    from slo.exported import Exported, Place

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
INTERNAL = "internal"
"""The code of an error that is none of ours."""

Step = Literal["receive", "read", "pull", "judge", "judge_ahead"]
_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_PLACE = ("service", "phase", "environment", "branch")
_GATE = ("phase", "environment")
_OBJECTIVE = (*_PLACE, "sli", "stat", "include")
_UNITS: dict[BaseUnit, str] = {
    "seconds": "in seconds", "bytes": "in bytes", "ratio": "as a share of 1", "per_second": "per second",
    "": "without a unit",
}  # fmt: skip
_log = structlog.get_logger()

# When a counter was made says nothing that its going back to 0 does not, and would be a series for each.
prometheus_client.disable_created_metrics()


class Telemetry:
    """The metrics of one open store, in a registry of their own. Safe to use from several threads.

    Something else that happens is one more counter here, with a method that says so; something else that is stored is
    one more family in :func:`_of_store` or :func:`_of_verdicts`.
    """

    def __init__(self) -> None:
        """Every series that can be known now begins at 0, so that the first of its kind is seen as a rise."""
        self.registry = CollectorRegistry()
        self._build = Gauge(
            "phasegate_build_info", "The version that runs, and that of its rules; always 1.",
            ["version", "rule_version"], registry=self.registry,
        )  # fmt: skip
        self._build.labels(VERSION, RULE_VERSION).set(1)
        self._ingests = Counter(
            "phasegate_ingests_total", "Uploads of runs by outcome; of those refused, why (code).",
            ["outcome", "code"], registry=self.registry,
        )  # fmt: skip
        self._under_way = Gauge(
            "phasegate_ingests_in_progress", "Uploads of runs that are being read or wait for it.",
            registry=self.registry,
        )  # fmt: skip
        self._steps = Histogram(
            "phasegate_ingest_step_seconds", "How long a step of an ingest took.",
            ["step"], buckets=_BUCKETS_S, registry=self.registry,
        )  # fmt: skip
        self._errors = Counter(
            "phasegate_request_errors_total", "Requests to the API that were answered with an error, by its code.",
            ["code"], registry=self.registry,
        )  # fmt: skip
        self._gates = Counter(
            "phasegate_gate_answers_total", "Answers of gates by state, the same ones again included.",
            ["state"], registry=self.registry,
        )  # fmt: skip
        self._pulled = Gauge(
            "phasegate_last_pull_timestamp_seconds", "When a Prometheus of slo.yaml answered last, in Unix seconds.",
            ["source"], registry=self.registry,
        )  # fmt: skip
        for outcome in ("created", "known"):
            self._ingests.labels(outcome, "")
        for code in error_codes():
            self._ingests.labels("refused", code)
            self._errors.labels(code)
        self._errors.labels(INTERNAL)
        for step in get_args(Step):
            self._steps.labels(step)
        for state in get_args(VerdictState):
            self._gates.labels(state)

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        """Time a step of an ingest, one that fails, too."""
        begin = monotonic()
        try:
            yield
        finally:
            self._steps.labels(step).observe(monotonic() - begin)

    @contextmanager
    def ingest(self) -> Iterator[None]:
        """An upload of a run is under way; refused, if it ends with an error."""
        with self._under_way.track_inprogress(), self.refusing():
            yield

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Count an upload of a run as refused, if this ends with an error."""
        try:
            yield
        except PhasegateError as error:
            self._ingests.labels("refused", error.code).inc()
            raise

    def ingested(self, *, created: bool) -> None:
        """A run was stored, or was known."""
        self._ingests.labels("created" if created else "known", "").inc()

    def erred(self, code: str) -> None:
        """A request was answered with an error."""
        self._errors.labels(code).inc()

    def pulled(self, source: str, at: datetime) -> None:
        """A Prometheus of slo.yaml has answered."""
        self._pulled.labels(source).set(at.timestamp())

    def decided(self, state: VerdictState) -> None:
        """A gate answered."""
        self._gates.labels(state).inc()

    def exposition(self, stored: Callable[[], tuple[Figures, Sizes, Exported]]) -> bytes:
        """All metrics in Prometheus's text format, those of what is ``stored`` among them.

        A store that cannot be read is said to be so, and its metrics are absent: what was counted is told all the same.
        """
        return generate_latest(_Families([*self.registry.collect(), *_stored_families(stored)]))


class _Families(Collector):
    """What one scrape answers with, as the library asks for it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _stored_families(stored: Callable[[], tuple[Figures, Sizes, Exported]]) -> list[Metric]:
    try:
        figures, sizes, exported = stored()
    except PhasegateError as error:
        _log.warning("store not read for metrics", reason=error.message)
        return [_readable(0)]
    return [_readable(1), *_of_store(figures, sizes), *_of_verdicts(exported), *_of_gates(exported)]


def _readable(value: int) -> Metric:
    return _family("phasegate_store_readable", "Can the store be read (1), or not (0)?", (), [((), value)])


def _of_store(figures: Figures, sizes: Sizes) -> Iterator[Metric]:
    yield _family("phasegate_runs", "Runs that are stored.", (), [((), figures.runs)])
    yield _family(
        "phasegate_last_ingest_timestamp_seconds", "When the newest run that is stored was received.",
        (), _at((), figures.received_at),
    )  # fmt: skip
    yield _family(
        "phasegate_store_size_bytes", "What the store takes on disk; at most 10 s old.",
        ("kind",), [((kind,), sizes.bytes_by_kind.get(kind, 0)) for kind in get_args(StoredKind)],
    )  # fmt: skip
    yield _family("phasegate_store_free_bytes", "What is free on the disk of the store.", (), [((), sizes.free_bytes)])
    yield _family(
        "phasegate_spool_files", "Files of uploads that arrive, are read, or wait to be named by a run.",
        (), [((), sizes.spool_files)],
    )  # fmt: skip
    yield _family(
        "phasegate_messages", "Messages of the last 30 days to those whom slo.yaml names, by what became of them.",
        ("state",), [((state,), figures.messages.get(state, 0)) for state in get_args(NoticeState)],
    )  # fmt: skip
    yield _family(
        "phasegate_oldest_pending_message_timestamp_seconds", "Since when a message waits; absent where none does.",
        (), _at((), figures.waiting_since),
    )  # fmt: skip


def _of_verdicts(exported: Exported) -> Iterator[Metric]:
    places = [(_place(one.place), one) for one in exported.verdicts]
    yield _family(
        "phasegate_slo_config", "Is there a slo.yaml to judge by? One of the states is 1.",
        ("state",), _states((), exported.config, get_args(ConfigState)),
    )  # fmt: skip
    yield _family(
        "phasegate_verdict", "State of a service in a phase by its newest run: one of the states is 1.",
        (*_PLACE, "state"),
        [row for place, one in places for row in _states(place, one.state, get_args(VerdictState))],
    )  # fmt: skip
    yield _family(
        "phasegate_verdict_timestamp_seconds", "When that run was judged; absent where it is not.",
        _PLACE, [row for place, one in places for row in _at(place, one.judged_at)],
    )  # fmt: skip
    yield _family(
        "phasegate_verdict_run_timestamp_seconds", "When that run began.",
        _PLACE, [row for place, one in places for row in _at(place, one.run_at)],
    )  # fmt: skip
    yield _family(
        "phasegate_verdict_run_info", "Which run that is, and of which version; always 1.",
        (*_PLACE, "run", "version"), [((*place, one.run, one.version or ""), 1) for place, one in places],
    )  # fmt: skip
    yield from _of_objectives(exported)
    more = exported.left_out
    yield _family(
        "phasegate_series_left_out", "Verdicts, objectives and gates beyond what is exported.",
        ("kind",), [(("verdict",), more.places), (("objective",), more.objectives), (("gate",), more.gates)],
    )  # fmt: skip


def _of_objectives(exported: Exported) -> Iterator[Metric]:
    asked = [
        ((*_place(verdict.place), one.sli, one.stat, ",".join(one.include)), one)
        for verdict in exported.verdicts
        for one in verdict.objectives
    ]
    yield _family(
        "phasegate_objective", "State of an objective in that run: one of the states is 1.",
        (*_OBJECTIVE, "state"),
        [row for labels, one in asked for row in _states(labels, one.state, get_args(ObjectiveState))],
    )  # fmt: skip
    for unit, said in _UNITS.items():
        suffix = f"_{unit}" if unit else ""
        own = [(labels, one) for labels, one in asked if one.unit == unit]
        yield _family(
            f"phasegate_objective_value{suffix}", f"What was measured of an objective, {said}.",
            _OBJECTIVE, [(labels, one.value) for labels, one in own if one.value is not None],
        )  # fmt: skip
        yield _family(
            f"phasegate_objective_target{suffix}", f"The absolute target of an objective, {said}.",
            _OBJECTIVE, [(labels, one.target) for labels, one in own if one.target is not None],
        )  # fmt: skip


def _of_gates(exported: Exported) -> Iterator[Metric]:
    gates = [((one.phase, one.environment or ""), one) for one in exported.gates]
    yield _family(
        "phasegate_gate", "What the gate of a phase decided last: one of the states is 1.",
        (*_GATE, "state"),
        [row for gate, one in gates for row in _states(gate, one.decision, get_args(VerdictState))],
    )  # fmt: skip
    yield _family(
        "phasegate_gate_timestamp_seconds", "When it decided that.",
        _GATE, [row for gate, one in gates for row in _at(gate, one.decided_at)],
    )  # fmt: skip
    yield _family(
        "phasegate_gate_info", "Which version it decided that about; always 1.",
        (*_GATE, "version"), [((*gate, one.version), 1) for gate, one in gates],
    )  # fmt: skip
    yield _family(
        "phasegate_gate_overridden", "Did somebody let that version through all the same (1), or not (0)?",
        _GATE, [(gate, int(one.overridden)) for gate, one in gates],
    )  # fmt: skip


_Row = tuple["tuple[str, ...]", float]


def _family(name: str, help: str, labels: Sequence[str], rows: Iterable[_Row]) -> Metric:
    family = GaugeMetricFamily(name, help, labels=labels)
    for values, value in rows:
        family.add_metric([one.replace("\0", "\N{REPLACEMENT CHARACTER}") for one in values], value)
    return family


def _states(labels: tuple[str, ...], now: str, states: Iterable[str]) -> list[_Row]:
    return [((*labels, state), int(state == now)) for state in states]


def _at(labels: tuple[str, ...], at: datetime | None) -> list[_Row]:
    return [] if at is None else [(labels, at.timestamp())]


def _place(place: Place) -> tuple[str, ...]:
    return (place.service or "", place.phase, place.environment or "", place.branch or "")
