"""Every question that page, API and command line ask of the store, one method each, with the same answer for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from data.catalog import RunFilter
from data.errors import BadRequest, ConfigError, NotFound
from slo import overview, views
from slo.baseline import test_of
from slo.budgeting import Budgets
from slo.compare_view import compare_view
from slo.config import parse_config, read_text
from slo.evidence import Evidence
from slo.exported import Exporter
from slo.gate import waivers_on
from slo.gate_model import GateQuestion
from slo.gating import Gates
from slo.history import MOST_RUNS, Scope, service_history
from slo.judging import Book, Judging
from slo.model import RULE_VERSION, ConfigReport, ObjectivePlace, RunView
from slo.notices import Notices
from slo.plan import Baseline
from slo.queries import questions_of
from slo.reader import suggestion
from slo.refs import left_open, phase_refs, pulled_of, run_ref
from slo.verdict import covers, scope_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from data.model import Attachment, Decision, Run, Waiver, WaiverRequest
    from data.store import Store
    from slo.budget_model import BudgetView
    from slo.comparison import CompareView, ServiceHistory
    from slo.config import Config, Phase
    from slo.exported import Exported
    from slo.gate_model import GateDecision
    from slo.model import BaselineRef, Measurement, Overview, Pulled, RunRef, Verdict
    from slo.plan import Receiver
    from slo.queries import Questions
    from slo.telling import Notice

_NOT_WAIVED = {"coverage", "score", "entry", "phase", "kind", "age", "budget"}
_SLIP = 0.85  # of two names that are alike so much, one is misspelt
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
            ConfigError: the file is wrong, or cannot be read; the message has file, line and column.
        """
        found = self._current()
        return found[0] if found else None

    def in_force(self) -> tuple[Config, str]:
        """The configuration with its text. Raises as :meth:`require` does."""
        if (found := self._current()) is None:
            raise NotFound(
                f"there is no {self._paths[0]}, so there are no targets to judge by",
                help="write one (docs/slo-yaml.md), or name yours with --slo or PHASEGATE_SLO",
            )
        return found

    def text(self, digest: str) -> str:
        """The text of the configuration with this digest, while it is in force; else nothing."""
        return self._read[2] if self._read and self._read[1].digest == digest else ""

    def require(self) -> Config:
        """The configuration.

        Raises:
            NotFound: there is no file.
        """
        return self.in_force()[0]

    def _current(self) -> tuple[Config, str] | None:
        path = next((path for path in self._paths if path.is_file()), None)
        if path is None:
            return None
        try:
            stat = path.stat()
        except OSError as error:  # it is being replaced
            raise ConfigError(f"{path}:1:1: the file cannot be read: {error.strerror}") from error
        version = (path, stat.st_mtime_ns, stat.st_size)
        if self._read is None or self._read[0] != version:
            text = read_text(path)
            self._read = version, parse_config(text, str(path)), text
        return self._read[1:]


class Service:
    """Questions to one store under one slo.yaml. Safe to ask from several threads."""

    def __init__(
        self,
        store: Store,
        config: ConfigSource,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        public_url: str | None = None,
    ) -> None:
        """``public_url`` is where people reach the pages: what is told of changes links there.

        ``decided`` is called with each answer of a gate.
        """
        self._store = store
        self._config = config
        self._judging = Judging(store, clock)
        self._budgets = Budgets(store, clock)
        self._gates = Gates(store, self._judging, self._budgets, clock)
        self._exporter = Exporter(store, config.load)
        self.outbox = Notices(store, self._judging, clock, public_url)
        self.decided: Callable[[GateDecision], None] = lambda _decision: None

    def runs(self, where: RunFilter | None = None, limit: int | None = 50) -> tuple[RunRef, ...]:
        """Runs, newest first."""
        return tuple(run_ref(run) for run in self._store.runs(where or RunFilter(), limit))

    def count(self) -> int:
        """How many runs are stored."""
        return self._store.count_runs()

    def run(self, run_id: str) -> RunRef:
        """One run by its id, or the beginning of it."""
        return run_ref(self._store.find_run(run_id))

    def measurement(self, run_id: str, *, by_defaults: bool = False) -> Measurement:
        """Can this run be believed? ``by_defaults``: whatever slo.yaml says of baselines, or is wrong with it."""
        return self._find(self._store.find_run(run_id), None if by_defaults else self._config.load())

    def verdict(self, run_id: str, phase: str | None = None) -> Verdict:
        """Does this run meet a phase (default: the one named at upload)? Answered from the store where it can be."""
        run = self._store.find_run(run_id)
        config = self._config.require()
        return self._verdicts([run], config, _phase_of(config, phase or run.meta.phase))[run.id]

    def judge_ahead(self, run_id: str) -> None:
        """Judge a run by every phase that asks something of it, so that gates and pages find that done."""
        run, config = self._store.find_run(run_id), self._config.load()
        if config is None:
            return
        for phase in config.phases:
            if scope_of(run_ref(run), phase)[1]:
                self._verdicts([run], config, phase)

    def run_view(self, run_id: str, phase: str | None = None) -> RunView:
        """Everything the Run page draws."""
        run = self._store.find_run(run_id)
        record = self._store.record(run.id)
        attached = tuple(self._store.attachments(run.id))
        config = self._config.load()
        chosen = _shown_phase(config, phase, run) if config else None
        verdict = self._verdicts([run], config, chosen)[run.id] if config and chosen else None
        bin_s = views.bin_size_s(run.duration_s or 0)
        return RunView(
            run=run_ref(run),
            phases=phase_refs(config),
            measurement=verdict.measurement if verdict else self._find(run, config),
            verdict=verdict,
            bin_s=bin_s,
            timeline=views.timeline(record, self._store.samples, bin_s),
            endpoints=views.endpoints(record, self._store.samples),
            errors=views.errors(record),
            artefacts=(
                *(f"{a.name} ({a.kind}, {a.bytes:,} bytes)" for a in record.artefacts),
                *(f"{a.name} ({'junit' if a.kind == 'junit' else 'attached'}, {a.bytes:,} bytes)" for a in attached),
            ),
            attachments=attached,
            pulled=pulled_of(record),
        )

    def pulled(self, run_id: str) -> tuple[Pulled, ...]:
        """What Prometheus was asked about a run, and answered."""
        return pulled_of(self._store.record(self._store.find_run(run_id).id))

    def questions(self, run_id: str) -> Questions:
        """What Prometheus is to be asked about a run. Raises as :meth:`verdict` does."""
        return questions_of(self._store.find_run(run_id), self._config.require())

    def sources(self) -> str | None:
        """What would be asked, and where, by the slo.yaml in force; ``None`` if it describes no Prometheus."""
        config = self._config.load()
        if config is None or not config.prometheus:
            return None
        return "\n".join([config.digest, *(one.connection.place for one in config.prometheus.values())])

    def attachments(self, run_id: str) -> tuple[Attachment, ...]:
        """The files kept with a run."""
        return tuple(self._store.attachments(self._store.find_run(run_id).id))

    def attachment(self, run_id: str, name: str) -> bytes:
        """The bytes of a file kept with a run, as they were sent.

        Raises:
            NotFound: there is no such run or file, or the file was too large to keep.
        """
        return self._store.attachment(self._store.find_run(run_id).id, name)

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
        tested = overview.tested(latest)
        histories = {s: [run for run in latest if covers(run_ref(run), s, tested[run.id])][:HISTORY] for s in services}
        looked_at = list({run.id: run for history in histories.values() for run in history}.values())
        verdicts = self._verdicts(looked_at, config, chosen) if config and chosen else {}
        measured = self._store.measurements([run.id for run in looked_at], RULE_VERSION)
        rows = [
            overview.service_row(
                service, config, chosen, [(run_ref(r), verdicts.get(r.id)) for r in histories[service]], measured
            )
            for service in services
        ]
        asked_for = ", ".join(
            f"{what} {value}" for what, value in (("environment", environment), ("branch", branch)) if value is not None
        )
        return overview.assemble(rows, chosen, phase_refs(config), latest, asked_for)

    def baseline(self, run_id: str) -> BaselineRef:
        """What a run is held against."""
        run = self._store.find_run(run_id)
        config = self._config.load()
        book = Book(self._store, config, [run])
        found = book.baseline_ref(book.past(run, _shown_phase(config, None, run) if config else None))
        book.evidence.keep()
        return found

    def compare(self, run_id: str, before: str | None = None, phase: str | None = None) -> CompareView:
        """What changed in a run, beside its baseline or the run ``before``.

        Raises:
            BadRequest: a run is to be compared with itself.
        """
        run, config = self._store.find_run(run_id), self._config.load()
        chosen = _shown_phase(config, phase, run) if config else None
        other = self._store.find_run(before) if before is not None else None
        book = Book(self._store, config, [run, *([other] if other else [])])
        past = book.named(run, other) if other else book.past(run, chosen)
        view = compare_view(book, run, past, chosen)
        book.evidence.keep()
        return view

    def history(
        self,
        service: str,
        phase: str | None = None,
        *,
        test: str | None = None,
        branch: str | None = None,
        environment: str | None = None,
    ) -> ServiceHistory:
        """A service over the runs of one test: of its newest on the branch of the baseline, where nothing is named.

        Raises:
            NotFound: no run of the service is stored.
        """
        config = self._config.load()
        if phase is not None and config is None:
            self._config.require()
        on = branch or (config.baseline if config else Baseline()).branch
        found = self._store.runs(RunFilter(service=service, test=test, environment=environment))
        fitting = [run for run in found if covers(run_ref(run), service) and run.meta.branch in {on, None}]
        if not fitting:
            raise NotFound(
                " ".join([f"no run of {service}", *([f"in test {test}"] if test else []), f"is stored on branch {on}"]),
                help="list the runs with `phasegate runs`; name another branch, test or environment",
            )
        newest = fitting[0]
        of = test_of(newest), newest.meta.branch
        runs = [run for run in fitting if (test_of(run), run.meta.branch) == of][:MOST_RUNS]
        book, meta = Book(self._store, config, runs), newest.meta
        chosen = _shown_phase(config, phase, runs[0]) if config else None
        verdicts = self._verdicts(runs, config, chosen) if config and chosen else {}
        scope = Scope(service, meta.test, meta.branch, meta.environment)
        history = service_history(book, scope, runs[::-1], chosen, verdicts)
        book.evidence.keep()
        return history

    def require_believed(self, run_id: str) -> None:
        """What later runs are held against can be believed.

        Raises:
            BadRequest: it cannot.
        """
        run = self._store.find_run(run_id)
        if doubt := Evidence(self._store).assess(run).doubt:
            raise BadRequest(f"run {run.id} cannot be a baseline, it is {doubt}", help="choose a run that is valid")

    def decisions(self, run_id: str | None = None) -> tuple[Decision, ...]:
        """What was decided about a run, or about all of them, newest first."""
        known = self._store.find_run(run_id).id if run_id is not None else None
        return tuple(reversed(self._store.decisions(known)))

    def gate(self, phase: str, version: str, environment: str | None = None) -> GateDecision:
        """May a version enter a phase? The decision is kept with all that it rests on.

        Raises:
            BadRequest: no version is named.
            NotFound: there is no slo.yaml, or it has no such phase.
        """
        if not version:
            raise BadRequest("a gate is asked about a version", help="name it: --version, or ?version=")
        config, text = self._config.in_force()
        with self.outbox.turn(config):
            decision = self._gates.decide(GateQuestion(phase, version, environment), config, text)
            self.outbox.after_gate(decision, config)
        self.decided(decision)
        return decision

    def budgets(self) -> tuple[BudgetView, ...]:
        """How every error budget of slo.yaml stands, worst first, without its course over time."""
        return self._budgets.all(self._config.load())

    def budget(self, name: str) -> BudgetView:
        """How an error budget stands, with its course over its window.

        Raises:
            NotFound: there is no slo.yaml, or it has no such budget.
        """
        return self._budgets.one(name, self._config.require())

    def tell(self, run_id: str, phase: str) -> None:
        """Leave word in the outbox of what an upload, which was judged by a phase, has changed."""
        config, text = self._config.in_force()
        self.outbox.after_upload(run_id, phase, config, text)

    def config(self) -> Config | None:
        """The slo.yaml in force; ``None`` where there is none.

        Raises:
            ConfigError: it is wrong.
        """
        return self._config.load()

    def receivers(self) -> tuple[Receiver, ...]:
        """Who is told of changes, by the slo.yaml in force."""
        config = self._config.load()
        return config.notify if config else ()

    def notices(self, limit: int = 50) -> tuple[Notice, ...]:
        """What became of messages about changes: those that wait or failed first."""
        return self.outbox.recent(limit)

    def gate_replay(self, decision_id: str) -> GateDecision:
        """A decision of a gate made again, from what it rested on."""
        return self._gates.replay(decision_id)

    def gate_override(self, decision_id: str, by: str, reason: str) -> GateDecision:
        """Let a version through that a gate has kept out, for a reason; the decision, which stays what it was."""
        return self._gates.override(decision_id, by, reason)

    def waive(self, asked: WaiverRequest) -> Waiver:
        """Let an objective or a finding be overlooked by gates for at most 30 days.

        Raises:
            BadRequest: it is of something that slo.yaml does not ask, or not as a waiver is said.
            NotFound: slo.yaml has no such phase.
        """
        if config := self._config.load():
            _check_waived(asked, config)
        return self._gates.waive(asked)

    def end_waiver(self, waiver_id: str) -> Waiver:
        """Take a waiver back."""
        return self._gates.end_waiver(waiver_id)

    def waivers(self) -> tuple[Waiver, ...]:
        """The waivers that hold now, the next to expire first."""
        return self._gates.waivers()

    def gates(self, limit: int = 50) -> tuple[GateDecision, ...]:
        """What gates decided, newest first."""
        return self._gates.decisions(limit)

    def exported(self) -> Exported:
        """What is stored of verdicts and gates, for who watches them; asking judges nothing."""
        return self._exporter.exported()

    def config_report(self) -> ConfigReport | None:
        """What the slo.yaml in force says, in figures; ``None`` where there is none."""
        config = self._config.load()
        return None if config is None else report_on(config)

    def _verdicts(self, runs: Sequence[Run], config: Config, phase: Phase) -> dict[str, Verdict]:
        """As they are kept, with the waivers that hold today."""
        verdicts = self._judging.verdicts(runs, config, phase, self._config.text(config.digest))
        holding = self.waivers()
        return {run: replace(verdict, waivers=waivers_on(verdict, holding)) for run, verdict in verdicts.items()}

    def _find(self, run: Run, config: Config | None) -> Measurement:
        book = Book(self._store, config, [run])
        chosen = _shown_phase(config, None, run) if config else None
        past = book.past(run, chosen)
        found = book.judgement(run, book.asked(run, past, None), past).measurement
        book.evidence.keep()
        return found


def _check_waived(asked: WaiverRequest, config: Config) -> None:
    """What nobody asks needs no waiver: a name that is nearly one of slo.yaml's is a slip."""
    if asked.phase:
        config.phase(asked.phase)
    if asked.service and config.services and asked.service not in config.services:
        known = suggestion(asked.service, config.services, "services")
        raise BadRequest(f"slo.yaml has no service {asked.service!r}", help=known)
    if asked.about in _NOT_WAIVED:
        raise BadRequest(f"{asked.about} cannot be waived", help="waive an objective, by its sli, or a finding")
    named = {str(one.sli or one.promql) for phase in config.phases for one in phase.objectives}
    if asked.about not in named and (meant := get_close_matches(asked.about, named, n=1, cutoff=_SLIP)):
        raise BadRequest(f"slo.yaml has no objective {asked.about!r}", help=f"did you mean `{meant[0]}`?")


def report_on(config: Config) -> ConfigReport:
    """What a slo.yaml says, in figures."""
    return ConfigReport(
        source=config.source,
        digest=config.digest,
        phases=phase_refs(config),
        services=tuple(config.services),
        objectives=sum(len(phase.objectives) for phase in config.phases),
        notes=tuple(left_open(config.phases, config.prometheus)),
        places=tuple(
            ObjectivePlace(
                phase.id, one.service, str(one.sli or one.promql), one.asks.text, one.include, one.line, one.column
            )
            for phase in config.phases
            for one in phase.objectives
        ),
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
