"""Every question that page, API and command line ask of the store, one method each, with the same answer for all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from data.catalog import RunFilter, StoredConfig, StoredVerdict
from data.errors import BadRequest, NotFound
from slo import overview, views
from slo.config import load_config
from slo.documents import from_json, to_json
from slo.findings import concerns, find
from slo.measure import measure
from slo.model import RULE_VERSION, ConfigReport, PhaseRef, RunRef, RunView, Verdict
from slo.objectives import judge
from slo.sli import of_objective, standard
from slo.verdict import covers, decide, next_steps, scope_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from data.catalog import StoredMeasurement
    from data.model import Run, RunRecord
    from data.store import Store
    from slo.config import Config, Phase
    from slo.model import Finding, Measurement, Overview

SCHEMA = 1
HISTORY = 20
"""Runs of a service that the overview looks back on."""


class ConfigSource:
    """The slo.yaml in force: the first of ``paths`` that exists, read again whenever it changes."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._read: tuple[tuple[Path, int, int], Config, str] | None = None

    def load(self) -> Config | None:
        """The configuration, or ``None`` where there is no file.

        Raises:
            ConfigError: the file is wrong; the message has file, line and column.
        """
        path = next((path for path in self._paths if path.is_file()), None)
        if path is None:
            return None
        stat = path.stat()
        version = (path, stat.st_mtime_ns, stat.st_size)
        if self._read is None or self._read[0] != version:
            self._read = version, load_config(path), path.read_text(encoding="utf-8")
        return self._read[1]

    def text(self, digest: str) -> str:
        """The text of the configuration with this digest, while it is in force; else nothing."""
        return self._read[2] if self._read and self._read[1].digest == digest else ""

    def require(self) -> Config:
        """The configuration.

        Raises:
            NotFound: there is no file.
        """
        if (config := self.load()) is None:
            raise NotFound(
                f"there is no {self._paths[0]}, so there are no targets to judge by",
                help="write one (docs/slo-yaml.md), or name yours with --slo or PHASEGATE_SLO",
            )
        return config


class Service:
    """Questions to one store under one slo.yaml. Safe to ask from several threads."""

    def __init__(
        self, store: Store, config: ConfigSource, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._judging = threading.Lock()

    def runs(self, where: RunFilter | None = None, limit: int | None = 50) -> tuple[RunRef, ...]:
        """Runs, newest first."""
        return tuple(run_ref(run) for run in self._store.runs(where or RunFilter(), limit))

    def count(self) -> int:
        """How many runs are stored."""
        return self._store.count_runs()

    def run(self, run_id: str) -> RunRef:
        """One run by its id, or the beginning of it."""
        return run_ref(self._store.find_run(run_id))

    def measurement(self, run_id: str) -> Measurement:
        """Can this run be believed?"""
        return find(self._store.record(self._store.find_run(run_id).id))

    def verdict(self, run_id: str, phase: str | None = None) -> Verdict:
        """Does this run meet a phase (default: the one named at upload)? Answered from the store where it can be."""
        run = self._store.find_run(run_id)
        config = self._config.require()
        return self._verdicts([run], config, _phase_of(config, phase or run.meta.phase))[run.id]

    def run_view(self, run_id: str, phase: str | None = None) -> RunView:
        """Everything the Run page draws."""
        run = self._store.find_run(run_id)
        record = self._store.record(run.id)
        config = self._config.load()
        chosen = _shown_phase(config, phase, run) if config else None
        verdict = self._verdicts([run], config, chosen)[run.id] if config and chosen else None
        bin_s = views.bin_size_s(run.duration_s or 0)
        return RunView(
            run=run_ref(run),
            phases=_phases(config),
            measurement=verdict.measurement if verdict else find(record),
            verdict=verdict,
            bin_s=bin_s,
            timeline=views.timeline(record, self._store.samples, bin_s),
            endpoints=views.endpoints(record, self._store.samples),
            errors=views.errors(record),
            artefacts=tuple(f"{a.name} ({a.kind}, {a.bytes:,} bytes)" for a in record.artefacts),
        )

    def overview(self, phase: str | None = None, environment: str | None = None, branch: str | None = None) -> Overview:
        """Which services are ready for a phase (default: the first of slo.yaml)?"""
        config = self._config.load()
        if phase is not None and config is None:
            self._config.require()
        chosen = config.phase(phase) if config and phase else (config.phases[0] if config else None)
        latest = self._store.runs(RunFilter(environment=environment, branch=branch), limit=None)
        asked = {objective.service for objective in chosen.objectives} if chosen else set()
        services: list[str | None] = [
            *sorted(
                {s for run in latest for s in run.services}
                | {*(config.services if config else ())}
                | {s for s in asked if s}
            )
        ]
        if None in asked:
            services.append(None)
        histories = {s: [run for run in latest if covers(run_ref(run), s)][:HISTORY] for s in services}
        looked_at = list({run.id: run for history in histories.values() for run in history}.values())
        verdicts = self._verdicts(looked_at, config, chosen) if config and chosen else {}
        measured = self._store.measurements([run.id for run in looked_at], RULE_VERSION)
        rows = [
            overview.service_row(
                service, config, chosen, [(run_ref(r), verdicts.get(r.id)) for r in histories[service]], measured
            )
            for service in services
        ]
        return overview.assemble(rows, chosen, _phases(config), len(latest), latest[0] if latest else None)

    def config_report(self) -> ConfigReport | None:
        """What the slo.yaml in force says, in figures; ``None`` where there is none."""
        config = self._config.load()
        return None if config is None else report_on(config)

    def _verdicts(self, runs: Sequence[Run], config: Config, phase: Phase) -> dict[str, Verdict]:
        """Verdicts by run id: the stored ones, and new ones for the rest, which are kept."""
        found = self._stored_verdicts(runs, config, phase)
        if len(found) == len(runs):
            return found
        with self._judging:  # the second of two who ask at once reads what the first one kept
            found = self._stored_verdicts(runs, config, phase)
            measured: list[StoredMeasurement] = []
            judged: list[Verdict] = []
            for run in (run for run in runs if run.id not in found):
                record = self._store.record(run.id)
                fresh = self._measured(record, phase)
                measured += fresh.new
                judged.append(self._judged(record, config, phase, fresh.all))
            kept = StoredConfig(config.digest, config.source, self._clock(), self._config.text(config.digest))
            self._store.add_judgement(kept, measured, [_stored(verdict) for verdict in judged])
        return found | {verdict.run.id: verdict for verdict in judged}

    def _stored_verdicts(self, runs: Sequence[Run], config: Config, phase: Phase) -> dict[str, Verdict]:
        stored = self._store.verdicts([run.id for run in runs], phase.id, config.digest, RULE_VERSION)
        return {run_id: from_json(Verdict, kept.document) for run_id, kept in stored.items()}

    def _measured(self, record: RunRecord, phase: Phase) -> _Measured:
        """The measurements a phase needs of a run: those kept, and those still to be made."""
        wanted = [sli for objective in phase.objectives if (sli := of_objective(objective))]
        slis = {sli.key: sli for sli in (*wanted, *standard(record.run.services))}
        kept = {
            (m.service, m.sli, m.stat, m.include): m for m in self._store.measurements([record.run.id], RULE_VERSION)
        }
        missing = [sli for key, sli in slis.items() if key not in kept]
        new = measure(record, missing, self._store.samples) if missing else []
        return _Measured(kept | {(m.service, m.sli, m.stat, m.include): m for m in new}, new)

    def _judged(self, record: RunRecord, config: Config, phase: Phase, measured: _ByKey) -> Verdict:
        run = run_ref(record.run)
        scope, asked = scope_of(run, phase)
        metrics = {metric.name: metric for metric in record.metrics}
        measurement = find(record)
        results = []
        for objective in (phase.objectives[i] for i in asked):
            sli = of_objective(objective)
            metric = metrics.get(sli.selector.metric) if sli else None
            results.append(judge(objective, measured[sli.key] if sli else None, metric, measurement.findings))
        about: list[Finding] = [
            f for f in measurement.findings if not results or any(concerns(f, r.service) for r in results)
        ]
        verdict, reasons = decide(results, about)
        return Verdict(
            schema=SCHEMA,
            rule_version=RULE_VERSION,
            config_digest=config.digest,
            phase=phase.id,
            run=run,
            verdict=verdict,
            reasons=reasons,
            next_steps=next_steps(verdict, results, about),
            measurement=measurement,
            objectives=tuple(results),
            comparisons=(),
            scope=scope,
            out_of_scope=len(phase.objectives) - len(asked),
            judged_at=self._clock(),
            notes=tuple(_left_open([phase])),
        )


_ByKey = dict[tuple[str | None, str, str, str], "StoredMeasurement"]


@dataclass(frozen=True)
class _Measured:
    """Measurements by key, and which of them the store does not have yet."""

    all: _ByKey
    new: list[StoredMeasurement]


def run_ref(run: Run) -> RunRef:
    """A run as documents name it."""
    meta = run.meta
    return RunRef(
        id=run.id, service=meta.service, test=meta.test, phase=meta.phase, branch=meta.branch, commit=meta.commit,
        version=meta.version, environment=meta.environment, started_at=run.started_at, duration_s=run.duration_s,
        requests=run.requests, services=run.services, labels=meta.labels, received_at=run.received_at,
        exit_code=meta.exit_code, k6_version=run.k6_version,
    )  # fmt: skip


def report_on(config: Config) -> ConfigReport:
    """What a slo.yaml says, in figures."""
    return ConfigReport(
        source=config.source,
        digest=config.digest,
        phases=_phases(config),
        services=tuple(config.services),
        objectives=sum(len(phase.objectives) for phase in config.phases),
        notes=tuple(_left_open(config.phases)),
    )


def _phase_of(config: Config, phase: str | None) -> Phase:
    if phase is not None:
        return config.phase(phase)
    known = ", ".join(p.id for p in config.phases)
    raise BadRequest("no phase was named, neither now nor at upload", help=f"add --phase with one of: {known}")


def _shown_phase(config: Config, phase: str | None, run: Run) -> Phase:
    """The phase asked for, else the one named at upload if slo.yaml (still) has it, else the first."""
    if phase is not None:
        return config.phase(phase)
    return next((p for p in config.phases if p.id == run.meta.phase), config.phases[0])


def _phases(config: Config | None) -> tuple[PhaseRef, ...]:
    return tuple(PhaseRef(phase.id, phase.title or "") for phase in config.phases) if config else ()


def _stored(verdict: Verdict) -> StoredVerdict:
    return StoredVerdict(
        run_id=verdict.run.id, phase=verdict.phase, config_digest=verdict.config_digest,
        rule_version=verdict.rule_version, verdict=verdict.verdict, judged_at=verdict.judged_at,
        document=to_json(verdict),
    )  # fmt: skip


def _left_open(phases: Sequence[Phase]) -> list[str]:
    """What phases ask that the verdict on a single run does not take into account."""
    notes = []
    if any(phase.entry or phase.after for phase in phases):
        notes.append("entry criteria and `after` are read and checked, but a run's verdict does not judge them")
    if any(phase.coverage for phase in phases):
        notes.append("coverage is read and checked, but a run's verdict does not judge it")
    if any(objective.promql for phase in phases for objective in phase.objectives):
        notes.append("promql objectives have no data until Prometheus is a source; they keep a verdict from passing")
    return notes
