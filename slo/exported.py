"""What is stored of verdicts and gates, for those who watch many services at once: nothing is judged for them.

A place is a service in a phase, in an environment, on a branch. Its state is what the newest run that speaks for it
says, as on the overview. Where that run has no stored verdict by the slo.yaml in force, the place is inconclusive: an
older run that passed says nothing of a newer one.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import structlog

from data.errors import ConfigError, StoreError
from slo.documents import from_json
from slo.findings import state_of
from slo.model import RULE_VERSION, Verdict
from slo.overview import LAST, part_of
from slo.verdict import covers, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from data.newest import NewestGate, NewestRun
    from data.store import Store
    from slo.config import Config, Phase
    from slo.model import ObjectiveResult, ObjectiveState, VerdictState

ConfigState = Literal["in_force", "absent", "wrong"]
BaseUnit = Literal["seconds", "bytes", "ratio", "per_second", ""]

MOST_PLACES = 200
"""Places that are told: those on the branch of the baseline, or on none, first, then those that were run last."""
MOST_OBJECTIVES = 1000
"""Objectives that are told, of those places in their order."""
MOST_GATES = 100
"""Gates that are told, those that decided last."""
_MOST_RUNS = 1000

_BASE: dict[str, tuple[BaseUnit, float]] = {
    "ms": ("seconds", 1e-3), "B": ("bytes", 1.0), "ratio": ("ratio", 1.0), "/s": ("per_second", 1.0), "": ("", 1.0),
}  # fmt: skip
_log = structlog.get_logger()


@dataclass(frozen=True)
class Place:
    """Where a state holds; ``service`` is ``None`` for the whole system, the others where nothing was said of them."""

    service: str | None
    phase: str
    environment: str | None
    branch: str | None


@dataclass(frozen=True)
class ExportedObjective:
    """An objective's state, and its value and absolute target in ``unit``."""

    sli: str
    stat: str
    include: tuple[str, ...]
    state: ObjectiveState
    value: float | None
    target: float | None
    unit: BaseUnit


@dataclass(frozen=True)
class ExportedVerdict:
    """The state of a place by its newest run, which began at ``run_at`` (``judged_at`` is ``None``: not judged)."""

    place: Place
    state: VerdictState
    run: str
    version: str | None
    run_at: datetime
    judged_at: datetime | None = None
    objectives: tuple[ExportedObjective, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """How much there is beyond what is told."""

    places: int = 0
    objectives: int = 0
    gates: int = 0


@dataclass(frozen=True)
class Exported:
    """What is told: by which slo.yaml, the places in their order, the gates that decided last, and what is left out."""

    config: ConfigState
    verdicts: tuple[ExportedVerdict, ...]
    gates: tuple[NewestGate, ...]
    left_out: LeftOut


_Part = tuple["VerdictState", tuple[ExportedObjective, ...]]
_Key = tuple[str, str, str, "datetime"]


@dataclass(frozen=True)
class _Judged:
    """What a stored verdict says of each service that its phase asks something of."""

    at: datetime
    parts: Mapping[str | None, _Part]


class Exporter:
    """Reads what one store keeps, each verdict once. Safe to ask from several threads."""

    def __init__(self, store: Store, load: Callable[[], Config | None]) -> None:
        self._store = store
        self._load = load
        self._read: dict[_Key, _Judged | None] = {}
        self._turn = threading.Lock()

    def exported(self) -> Exported:
        """What is stored now. Without a slo.yaml, or with a wrong one, no verdict is in force.

        Raises:
            StoreError: the catalog fails.
        """
        gates, more_gates = self._store.newest_gates(MOST_GATES)
        try:
            config = self._load()
        except ConfigError:
            return Exported("wrong", (), tuple(gates), LeftOut(gates=more_gates))
        if config is None:
            return Exported("absent", (), tuple(gates), LeftOut(gates=more_gates))
        runs, more_runs = self._store.newest_runs(config.baseline.branch, _MOST_RUNS)
        speaking = sorted(_speaking(runs, config), key=lambda pair: _rank(pair[0], pair[1], config.baseline.branch))
        told = speaking[:MOST_PLACES]
        with self._turn:
            judged = self._judged(told, config)
        verdicts, objectives = _bounded([_verdict(place, run, judged) for place, run in told])
        left_out = LeftOut(len(speaking) - len(told) + more_runs, objectives, more_gates)
        return Exported("in_force", verdicts, tuple(gates), left_out)

    def _judged(
        self, told: Sequence[tuple[Place, NewestRun]], config: Config
    ) -> Mapping[tuple[str, str], _Judged | None]:
        """The stored verdicts on some runs, by run id and phase; ``None`` of one that cannot be read."""
        times = self._store.verdict_times({run.id for _, run in told}, config.digest, RULE_VERSION)
        asked = {(run.id, place.phase) for place, run in told} & times.keys()
        keys: dict[tuple[str, str], _Key] = {one: (*one, config.digest, times[one]) for one in asked}
        for phase in config.phases:
            unread = [run for (run, of), key in keys.items() if of == phase.id and key not in self._read]
            if unread:
                found = self._store.verdicts(unread, phase.id, config.digest, RULE_VERSION)
                self._read |= {keys[run, phase.id]: _parsed(row.document, phase) for run, row in found.items()}
        self._read = {key: self._read.get(key) for key in keys.values()}  # dropped meanwhile: as if there were none
        return {one: self._read[key] for one, key in keys.items()}


def _speaking(runs: Sequence[NewestRun], config: Config) -> Iterator[tuple[Place, NewestRun]]:
    """Every place that a phase asks something of, with the newest run that speaks for it."""
    tested: defaultdict[tuple[str | None, ...], set[str]] = defaultdict(set)
    where: defaultdict[tuple[str | None, str | None], list[NewestRun]] = defaultdict(list)
    for run in runs:
        where[run.environment, run.branch].append(run)
        if run.place <= LAST:
            tested[run.test].update(run.services)
    asked = {phase.id: dict.fromkeys(one.service for one in phase.objectives) for phase in config.phases}
    for (environment, branch), newest_first in where.items():
        of = {
            service: next((run for run in newest_first if covers(run, service, tested[run.test])), None)
            for service in dict.fromkeys(service for services in asked.values() for service in services)
        }
        for phase, services in asked.items():
            for service in services:
                if (speaks := of[service]) is not None:
                    yield Place(service, phase, environment, branch), speaks


def _rank(place: Place, run: NewestRun, baseline: str) -> tuple[bool, float, str, str, str]:
    return (
        (place.branch or baseline) != baseline,
        -run.began_at.timestamp(),
        place.phase,
        place.service or "",
        place.environment or "",
    )


def _parsed(document: str, phase: Phase) -> _Judged | None:
    try:
        verdict = from_json(Verdict, document)
    except StoreError as error:
        _log.warning("stored verdict not exported", phase=phase.id, reason=error.message)
        return None
    return _Judged(
        verdict.judged_at, {service: _part(verdict, service) for service in {o.service for o in phase.objectives}}
    )


def _part(verdict: Verdict, service: str | None) -> _Part:
    objectives, findings, comparisons = part_of(verdict, service)
    believed = state_of(findings) != "invalid"
    return decide(objectives, findings, comparisons)[0], tuple(_objective(one, believed=believed) for one in objectives)


def _objective(result: ObjectiveResult, *, believed: bool) -> ExportedObjective:
    """An objective in base units; without its value where that is not believed, since refused requests take 0 ms."""
    unit, factor = _BASE.get(result.unit, _BASE[""])
    value, target = (None if one is None else one * factor for one in (result.value, result.target_value))
    value = value if believed else None
    return ExportedObjective(result.sli, result.stat, result.include, result.state, value, target, unit)


def _verdict(place: Place, run: NewestRun, judged: Mapping[tuple[str, str], _Judged | None]) -> ExportedVerdict:
    stored = judged.get((run.id, place.phase))
    if stored is None:
        return ExportedVerdict(place, "inconclusive", run.id, run.version, run.began_at)
    state, objectives = stored.parts[place.service]
    return ExportedVerdict(place, state, run.id, run.version, run.began_at, stored.at, objectives)


def _bounded(verdicts: Sequence[ExportedVerdict]) -> tuple[tuple[ExportedVerdict, ...], int]:
    """The same with at most :data:`MOST_OBJECTIVES` objectives together, and how many that leaves out."""
    room = MOST_OBJECTIVES
    bounded = []
    for verdict in verdicts:
        kept = verdict.objectives[:room]
        room -= len(kept)
        bounded.append(replace(verdict, objectives=kept))
    return tuple(bounded), sum(len(one.objectives) for one in verdicts) - (MOST_OBJECTIVES - room)
