"""Judging runs: everything that is known of a run and of those before it becomes one verdict, which is kept."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from data.catalog import StoredConfig, StoredVerdict
from data.errors import BadRequest, StoreError
from slo import numbers
from slo.asked import apart, asked_instead, asked_of
from slo.baseline import (
    MOST_REPEATS,
    Judges,
    Past,
    candidates,
    decision_in_force,
    looked_back,
    past_of,
    same_test,
    test_of,
)
from slo.comparing import Side, Sides, compared, departure, unfit_of
from slo.documents import from_json, to_json
from slo.evidence import Evidence
from slo.findings import concerns, find, measurement, state_of
from slo.held import Held, held_against
from slo.model import RULE_VERSION, BaselineRef, Finding, Verdict
from slo.objectives import judge
from slo.plan import Baseline, Regression
from slo.refs import left_open, run_ref
from slo.rules.against import find_against
from slo.scraped import measured as scraped
from slo.server_side import Seen, server_p95_ms, server_side
from slo.sli import of_objective, standard
from slo.verdict import decide, next_steps, scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Sequence
    from datetime import datetime

    from data.catalog import StoredMeasurement
    from data.model import Decision, Run, RunRecord
    from data.store import Store
    from slo.asked import Asked
    from slo.config import Config, Objective, Phase
    from slo.model import Comparison, Measurement, ServerSide
    from slo.shape import Shape
    from slo.sli import Sli

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
            missing = [run for run in runs if run.id not in found]
            book = Book(self._store, config, missing)
            judged = [self._judged(book, run, config, phase) for run in missing]
            book.evidence.keep()
            kept = StoredConfig(config.digest, config.source, self._clock(), text)
            self._store.add_verdicts(kept, [_row(verdict) for verdict in judged], book.evidence.since)
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
        past = book.past(run, phase)
        found = book.judgement(run, book.asked(run, past, phase), past)
        metrics = {metric.name: metric for metric in found.record.metrics}
        findings = found.measurement.findings
        results = []
        for objective in objectives:
            if (sli := of_objective(objective)) is None:
                now, held = book.scraped(objective, found)
                results.append(judge(objective, now, None, findings, held))
                continue
            held = book.held(objective, sli, found)
            results.append(judge(objective, measured[sli.key], metrics.get(sli.selector.metric), findings, held))
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
            next_steps=next_steps(verdict, results, about, found.comparisons, run.id),
            measurement=found.measurement,
            objectives=tuple(results),
            comparisons=found.comparisons,
            scope=scope,
            out_of_scope=len(phase.objectives) - len(asked),
            judged_at=self._clock(),
            notes=tuple(_notes(run, book.evidence.invalidated(run.id), phase, config.prometheus)),
            baseline=book.baseline_ref(found.past),
            server_side=book.server_side(found, scope),
        )


class Book:
    """The runs of some tests and what is known of them, for the questions that are asked together."""

    def __init__(self, store: Store, config: Config | None, about: Sequence[Run]) -> None:
        """``about`` are the runs in question; those of the same tests are read, too."""
        self.evidence = Evidence(store)
        self._config = config
        self._rule = config.baseline if config else Baseline()
        self.regression = config.regression if config else Regression()
        self.samples = store.samples
        self._runs = {run.id: run for run in store.runs_of_tests({test_of(run) for run in about})}
        # At once what judging needs; of long histories only what is looked back on, as a rule.
        most = looked_back(self._rule) + MOST_REPEATS
        near = {one.id: one for run in about for one in (run, *same_test(run, self._runs.values())[:most])}
        self.evidence.load(near.values())

    def past(self, run: Run, phase: Phase | None) -> Past:
        """What a run is held against when it is judged by a phase."""
        earlier = same_test(run, self._runs.values())
        decided = decision_in_force(run, earlier, self._rule, self.evidence.decisions)
        chosen = {one.id for one in candidates(run, earlier, self._rule, phase)} | {decided.run_id if decided else ""}

        def left(other: Shape, before: Sequence[Shape]) -> str | None:
            asked = self._asked_of(run, other, before, phase)
            slis = [one.sli for one in asked]
            sides = Sides(
                [Side(other.run_id, self.evidence.measured(other.run_id, slis))], self._sides(other, before, slis)
            )
            return departure(asked, sides, self.regression)

        within = [one for one in earlier if one.id in chosen]
        return past_of(run, within, self._rule, Judges(self.evidence.assess, left), decided)

    def named(self, run: Run, before: Run) -> Past:
        """One run in place of the baseline.

        Raises:
            BadRequest: it is the run itself.
        """
        if run.id == before.id:
            raise BadRequest("a run is not compared with itself", help="name two runs; `phasegate runs` lists them")
        known = self.evidence.assess(before)
        doubts = ((before.id, known.doubt),) if known.doubt else ()
        return Past("named", (known.shape,), left_out=doubts)

    def asked(self, run: Run, past: Past, phase: Phase | None) -> list[Asked]:
        """What is compared of a run with its past: for a phase its objectives, and what every service does."""
        return self._asked_of(run, self.evidence.assess(run).shape, past.runs, phase)

    def _asked_of(self, run: Run, shape: Shape, before: Sequence[Shape], phase: Phase | None) -> list[Asked]:
        scope = scope_of(run_ref(run), phase)[1] if phase else None
        of = (run.meta.service,) if run.meta.service else run.services
        return [
            *asked_of(phase, shape, of, scope),
            *(one for one in asked_instead(shape, before) if one.sli.service in of),
        ]

    def judgement(self, run: Run, asked: Sequence[Asked], past: Past, *, moved: bool = False) -> Judgement:
        """A run beside its past; ``moved``: it is known already that its environment did."""
        record = self.evidence.record(run.id)
        alone = find(record).findings
        believed = state_of(alone) != "invalid"
        shape = self.evidence.assess(run).shape
        beside = self._beside(run, shape, past) if believed else ()
        slis = [one.sli for one in asked]
        sides = Sides(
            current=[Side(run.id, self.evidence.measured(run.id, slis)), *self._sides(shape, past.repeats, slis)],
            baseline=self._sides(shape, past.runs, slis),
        )
        doubted = self._doubts_of_named(past)
        unfit = unfit_of(asked, sides, [*alone, *beside, *doubted])
        comparisons, shifted = compared(asked, sides, self.regression, unfit, moved=moved)
        none = () if past.runs or not believed else (_no_baseline(past, self._rule),)
        doubts = [_named_in_doubt(past)] if doubted or (past.kind == "named" and past.left_out) else []
        return Judgement(record, past, measurement((*alone, *beside, *shifted, *none, *doubts)), comparisons)

    def held(self, objective: Objective, sli: Sli, judged: Judgement) -> Held | None:
        """What an objective's relative targets are held against; ``None`` where it has none."""
        if not any(one.is_relative for one in (objective.asks, objective.warned) if one):
            return None
        shape = self.evidence.assess(judged.record.run).shape
        return held_against(sli, judged.comparisons, self._sides(shape, judged.past.runs, [sli]))

    def scraped(self, objective: Objective, judged: Judgement) -> tuple[StoredMeasurement | None, Held | None]:
        """A promql objective as it was measured, and what its relative targets are held against, if it has any."""
        if self._config is None:
            return None, None
        config, samples = self._config, self.samples
        now = scraped(objective, judged.record, config, judged.measurement.findings, samples)
        if not any(one.is_relative for one in (objective.asks, objective.warned) if one):
            return now, None
        before = (self.evidence.record(one.run_id) for one in judged.past.runs)
        measured = {}
        for one in before:
            with suppress(StoreError):  # what is damaged of another run is told to who asks about that one
                measured[one.run.id] = scraped(objective, one, config, find(one).findings, samples, whole=True)
        known = {run: one.value for run, one in measured.items() if one.value is not None and not one.problem}
        if known:
            return now, Held(fmean(known.values()), tuple(known))
        return now, Held(why="Prometheus was not asked this about an earlier run") if measured else Held()

    def server_side(self, judged: Judgement, services: Sequence[str]) -> tuple[ServerSide, ...]:
        """What k6 saw of services beside what they saw themselves."""
        found = [self._server_side(judged, service) for service in services]
        return tuple(one for one in found if one is not None)

    def _server_side(self, judged: Judgement, service: str) -> ServerSide | None:
        if server_p95_ms(judged.record, service) is None:
            return None
        (p95,) = (sli for sli in standard((service,)) if sli.service == service and sli.percentile)
        about = (service, str(p95.selector), p95.stat)
        comparison = next((c for c in judged.comparisons if (c.service, c.sli, c.stat) == about), None)

        def seen(record: RunRecord) -> Seen:
            client = self.evidence.measured(record.run.id, [p95])[p95.key].value
            return Seen(client, server_p95_ms(record, service))

        before = [seen(self.evidence.record(one.run_id)) for one in judged.past.runs]
        return server_side(service, seen(judged.record), before, comparison, self.regression.min_change_ratio)

    def _beside(self, run: Run, shape: Shape, past: Past) -> Sequence[Finding]:
        other = self.evidence.record(past.runs[0].run_id).run if past.kind == "named" else run
        return find_against(shape, past.runs) if test_of(other) == test_of(run) else [_two_tests(run, other)]

    def _sides(self, shape: Shape, others: Sequence[Shape], slis: Sequence[Sli]) -> list[Side]:
        return [Side(one.run_id, self.evidence.measured(one.run_id, slis), apart(shape, one)) for one in others]

    def _doubts_of_named(self, past: Past) -> list[Finding]:
        """What makes the run that was named unbelievable; those of a baseline are believed."""
        if past.kind != "named":
            return []
        found = find(self.evidence.record(past.runs[0].run_id)).findings
        return [finding for finding in found if finding.severity == "invalid"]

    def decisions(self, run_ids: Container[str]) -> list[Decision]:
        """What was decided about some runs, oldest first."""
        return [one for one in self.evidence.decisions if one.run_id in run_ids]

    def baseline_ref(self, past: Past) -> BaselineRef:
        """A baseline as documents name it."""
        times = [run.started_at or run.received_at for one in past.runs if (run := self._runs.get(one.run_id))]
        return BaselineRef(
            past.kind, _ids(past.runs), min(times, default=None), max(times, default=None),
            past.decided.reason if past.decided else "", _ids(past.repeats), past.left_out,
        )  # fmt: skip


def _ids(shapes: Sequence[Shape]) -> tuple[str, ...]:
    return tuple(shape.run_id for shape in shapes)


def _no_baseline(past: Past, rule: Baseline) -> Finding:
    """Without a run to compare with nothing is known of regressions; where one was chosen, that is in doubt."""
    left_out = [f"{run}: {why}" for run, why in past.left_out]
    if past.decided and past.decided.kind == "pinned":
        return Finding(
            "no_baseline", "suspect", f"the run that was chosen as the baseline cannot be used: {past.left_out[0][1]}"
            if past.left_out else "the run that was chosen as the baseline cannot be used",
            {"left_out": left_out},
            remedy="choose another: `phasegate baseline set RUN --reason ...`, or `baseline clear`",
        )  # fmt: skip
    left = f"; {numbers.things(len(past.left_out), 'earlier run')} left out" if past.left_out else ""
    why = f" since the baseline began anew: {past.decided.reason}" if past.decided else f" on branch {rule.branch}"
    if past.repeats and not past.left_out:
        why = f": the {numbers.things(len(past.repeats), 'earlier run')} are of the same commit, and judged with it"
    return Finding(
        "no_baseline", "info", f"there is no run of this test to compare with{why}{left}", {"left_out": left_out},
        remedy=f"runs with the same --test, --service and --environment and --branch {rule.branch} make a baseline",
    )  # fmt: skip


def _two_tests(run: Run, other: Run) -> Finding:
    named, before = (" ".join(part for part in test_of(one) if part) or "without a name" for one in (run, other))
    return Finding(
        "definition_changed", "suspect", f"these are runs of two tests, {before} and {named}: only what both have is "
        "compared", {"run": other.id}, remedy="compare runs of the same test",
    )  # fmt: skip


def _named_in_doubt(past: Past) -> Finding:
    run, doubt = past.left_out[0]
    return Finding(
        "no_baseline", "suspect", f"run {run}, which it is compared with, cannot be believed: {doubt}", {"run": run},
        remedy="compare with another run",
    )  # fmt: skip


def _notes(run: Run, invalidated: str | None, phase: Phase, sources: Collection[str]) -> list[str]:
    notes = []
    if invalidated is not None:
        notes.append(f"this run was invalidated: {invalidated}; no later run is compared with it")
    if run.meta.service and (others := sorted({*run.services} - {run.meta.service})):
        notes.append(f"uploaded for {run.meta.service}, so {', '.join(others)} in it are not judged")
    return [*notes, *left_open([phase], sources)]


def _row(verdict: Verdict) -> StoredVerdict:
    return StoredVerdict(
        run_id=verdict.run.id, phase=verdict.phase, config_digest=verdict.config_digest,
        rule_version=verdict.rule_version, verdict=verdict.verdict, judged_at=verdict.judged_at,
        document=to_json(verdict),
    )  # fmt: skip
