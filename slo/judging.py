"""Judging runs: everything that is known of a run and of those before it becomes one verdict, which is kept."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.catalog import RunFilter, StoredConfig, StoredVerdict
from data.errors import BadRequest
from slo import numbers
from slo.baseline import LOOK_BACK, MOST_REPEATS, Past, candidates, decision_in_force, past_of, same_test
from slo.comparing import Sides, asked_of, compared, unfit_of
from slo.documents import from_json, to_json
from slo.evidence import Evidence
from slo.findings import concerns, find, state_of
from slo.model import RULE_VERSION, BaselineRef, Finding, Measurement, Verdict
from slo.objectives import judge
from slo.plan import Baseline, Regression
from slo.refs import left_open, run_ref
from slo.rules.against import find_against
from slo.sli import of_objective, standard
from slo.verdict import decide, next_steps, scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from datetime import datetime

    from data.model import Decision, Run, RunRecord
    from data.store import Store
    from slo.comparing import Asked
    from slo.config import Config, Phase
    from slo.model import Comparison
    from slo.shape import Shape

SCHEMA = 1


@dataclass(frozen=True)
class Judgement:
    """A run beside its past: its baseline, what was doubted of the measurement, and what changed."""

    record: RunRecord
    past: Past
    measurement: Measurement
    comparisons: tuple[Comparison, ...]


class Judging:
    """Judges the runs of one store. Safe to ask from several threads: what is judged is judged once."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._turn = threading.Lock()

    def verdicts(self, runs: Sequence[Run], config: Config, phase: Phase, text: str) -> dict[str, Verdict]:
        """Verdicts by run id: the stored ones, and new ones for the rest, which are kept with slo.yaml's ``text``."""
        found = self._stored(runs, config, phase)
        if len(found) == len(runs):
            return found
        with self._turn:  # the second of two who ask at once reads what the first one kept
            found = self._stored(runs, config, phase)
            book = Book(self._store, config)
            missing = [run for run in runs if run.id not in found]
            book.prepare(missing)
            judged = [self._judged(book, run, config, phase) for run in missing]
            book.evidence.keep()
            kept = StoredConfig(config.digest, config.source, self._clock(), text)
            self._store.add_verdicts(kept, [_row(verdict) for verdict in judged])
        return found | {verdict.run.id: verdict for verdict in judged}

    def _stored(self, runs: Sequence[Run], config: Config, phase: Phase) -> dict[str, Verdict]:
        stored = self._store.verdicts([run.id for run in runs], phase.id, config.digest, RULE_VERSION)
        return {run_id: from_json(Verdict, kept.document) for run_id, kept in stored.items()}

    def _judged(self, book: Book, run: Run, config: Config, phase: Phase) -> Verdict:
        ref = run_ref(run)
        scope, asked = scope_of(ref, phase)
        objectives = [phase.objectives[i] for i in asked]
        slis = [sli for objective in objectives if (sli := of_objective(objective))]
        measured = book.evidence.measured(run.id, [*slis, *standard(run.services)])
        found = book.judgement(run, asked_of(phase, run.services, asked))
        metrics = {metric.name: metric for metric in found.record.metrics}
        findings = found.measurement.findings
        results = []
        for objective in objectives:
            sli = of_objective(objective)
            metric = metrics.get(sli.selector.metric) if sli else None
            results.append(judge(objective, measured[sli.key] if sli else None, metric, findings))
        about = [f for f in findings if not results or any(concerns(f, r.service) for r in results)]
        verdict, reasons = decide(results, about, found.comparisons)
        return Verdict(
            schema=SCHEMA,
            rule_version=RULE_VERSION,
            config_digest=config.digest,
            phase=phase.id,
            run=ref,
            verdict=verdict,
            reasons=reasons,
            next_steps=next_steps(verdict, results, about, found.comparisons),
            measurement=found.measurement,
            objectives=tuple(results),
            comparisons=found.comparisons,
            scope=scope,
            out_of_scope=len(phase.objectives) - len(asked),
            judged_at=self._clock(),
            notes=tuple(left_open([phase])),
            baseline=book.baseline_ref(found.past),
        )


class Book:
    """The runs of a store and what is known of them, for the questions that are asked together."""

    def __init__(self, store: Store, config: Config | None) -> None:
        self.evidence = Evidence(store)
        self._config = config
        self._rule = config.baseline if config else Baseline()
        self.regression = config.regression if config else Regression()
        self.samples = store.samples
        self._runs = {run.id: run for run in store.runs(RunFilter())}
        self._decisions = store.decisions()

    def prepare(self, runs: Sequence[Run]) -> None:
        """Read at once what judging these runs needs; of long histories only what is looked back on, as a rule."""
        most = LOOK_BACK * self._rule.runs + MOST_REPEATS
        self.evidence.load({one.id: one for run in runs for one in (run, *self._candidates(run)[:most])}.values())

    def past(self, run: Run) -> Past:
        """What a run is held against."""
        self.prepare([run])
        earlier = same_test(run, self._runs.values())
        decided = decision_in_force(run, earlier, self._decisions)
        pinned = [one for one in earlier if decided and one.id == decided.run_id]
        chosen = self._candidates(run)
        chosen = sorted({one.id: one for one in (*chosen, *pinned)}.values(), key=earlier.index)
        return past_of(run, chosen, self._rule, self.evidence.assess, decided)

    def named(self, run: Run, before: Run) -> Past:
        """One run in place of the baseline.

        Raises:
            BadRequest: it is the run itself.
        """
        if run.id == before.id:
            raise BadRequest("a run is not compared with itself", help="name two runs; `phasegate runs` lists them")
        return Past("named", (self.evidence.assess(before).shape,))

    def judgement(self, run: Run, asked: Sequence[Asked], past: Past | None = None) -> Judgement:
        """A run beside its past, or beside the one given."""
        record = self.evidence.record(run.id)
        past = self.past(run) if past is None else past
        alone = find(record).findings
        believed = state_of(alone) != "invalid"
        shape = self.evidence.assess(run).shape
        beside = find_against(shape, past.runs) if believed else ()
        slis = [one.sli for one in asked]
        sides = Sides(
            current=[self.evidence.measured(one, slis) for one in (run.id, *_ids(past.repeats))],
            baseline=[self.evidence.measured(one, slis) for one in _ids(past.runs)],
            repeats=_ids(past.repeats),
            baseline_runs=_ids(past.runs),
        )
        findings = (*alone, *beside)
        unfit = unfit_of(asked, shape, past.runs, findings)
        comparisons, shifted = compared(asked, sides, self.regression, unfit)
        none = () if past.runs or not believed else (_no_baseline(past, self._rule),)
        return Judgement(record, past, _measurement((*findings, *shifted, *none)), comparisons)

    def decisions(self, run_ids: Container[str]) -> list[Decision]:
        """What was decided about some runs, oldest first."""
        return [one for one in self._decisions if one.run_id in run_ids]

    def runs(self) -> list[Run]:
        """Every run of the store, newest first."""
        return list(self._runs.values())

    def baseline_ref(self, past: Past) -> BaselineRef:
        """A baseline as documents name it."""
        times = [run.started_at or run.received_at for one in past.runs if (run := self._runs.get(one.run_id))]
        return BaselineRef(
            past.kind, _ids(past.runs), min(times, default=None), max(times, default=None),
            past.reason, _ids(past.repeats), past.left_out,
        )  # fmt: skip

    def _candidates(self, run: Run) -> list[Run]:
        return candidates(run, same_test(run, self._runs.values()), self._config, self._rule)


def _ids(shapes: Sequence[Shape]) -> tuple[str, ...]:
    return tuple(shape.run_id for shape in shapes)


def _measurement(findings: Sequence[Finding]) -> Measurement:
    order = {"invalid": 0, "suspect": 1, "info": 2}
    return Measurement(state_of(findings), tuple(sorted(findings, key=lambda f: order[f.severity])))


def _no_baseline(past: Past, rule: Baseline) -> Finding:
    left = f"; {numbers.things(len(past.left_out), 'earlier run')} left out" if past.left_out else ""
    why = f" since the baseline began anew: {past.reason}" if past.reason else f" on branch {rule.branch}"
    return Finding(
        "no_baseline", "info", f"there is no run of this test to compare with{why}{left}",
        {"left_out": [f"{run}: {why}" for run, why in past.left_out[:20]]},
        remedy=f"runs with the same --test, --service and --environment and --branch {rule.branch} make a baseline",
    )  # fmt: skip


def _row(verdict: Verdict) -> StoredVerdict:
    return StoredVerdict(
        run_id=verdict.run.id, phase=verdict.phase, config_digest=verdict.config_digest,
        rule_version=verdict.rule_version, verdict=verdict.verdict, judged_at=verdict.judged_at,
        document=to_json(verdict),
    )  # fmt: skip
