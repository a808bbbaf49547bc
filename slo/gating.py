"""Gates asked of a store: which runs speak for a version, what they come to, and the record of every decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import blake3

from data.catalog import RunFilter, StoredConfig
from data.errors import BadRequest, NotFound, StoreError
from data.gates import StoredGate
from data.model import Override, Waiver, WaiverRequest
from slo.baseline import test_of
from slo.config import parse_config
from slo.documents import from_json, to_json
from slo.evidence import Evidence
from slo.gate import decide_gate
from slo.gate_checks import services_of
from slo.gate_model import BudgetSeen, GateDecision, GateEvidence, GateQuestion
from slo.kinds import kinds_of
from slo.model import RULE_VERSION
from slo.overview import tested
from slo.refs import run_ref
from slo.verdict import covers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from data.model import Run
    from data.store import Store
    from slo.budgeting import Budgets
    from slo.config import Config, Phase
    from slo.judging import Judging
    from slo.model import RunRef, Verdict

LONGEST = timedelta(days=30)
"""How long a waiver may last."""

_ID_CHARACTERS = 12
_SHOWN_VERSIONS = 5
_LONGEST_TEXT = 500
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_ARTICLES = {"about": "an objective or a finding that it is about", "owner": "an owner", "reason": "a reason"}


@dataclass(frozen=True)
class _Asked:
    """What all gates of one question are judged by: the runs of the version, newest first, waivers and slo.yaml."""

    runs: Sequence[Run]
    tested: Mapping[str, frozenset[str]]
    waivers: Sequence[Waiver]
    config: Config
    text: str


class Gates:
    """The gates of one store. Safe to ask from several threads: the same evidence is the same decision, kept once."""

    def __init__(self, store: Store, judging: Judging, budgets: Budgets, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._judging = judging
        self._budgets = budgets
        self._clock = clock

    def decide(self, question: GateQuestion, config: Config, text: str) -> GateDecision:
        """May the version enter the phase? Judged by ``config``, whose text is ``text``, and kept.

        Raises:
            NotFound: slo.yaml has no such phase.
        """
        every = self._store.runs(RunFilter(environment=question.environment), limit=None)
        taken_out = Evidence(self._store)
        runs = [
            run for run in every if run.meta.version == question.version and taken_out.invalidated(run.id) is None
        ]  # fmt: skip
        waivers = [one for one in self.waivers() if one.version in {None, question.version}]
        asked = _Asked(runs, tested(every), waivers, config, text)
        decision = self._with_override(self._decide(question, asked, {}))
        if runs or not (known := list(dict.fromkeys(run.meta.version for run in every if run.meta.version))):
            return decision
        where = f" in {question.environment}" if question.environment else ""
        meant = f"see that the version is the one meant: runs{where} are of {', '.join(known[:_SHOWN_VERSIONS])}"
        return replace(decision, next_steps=(meant, *decision.next_steps))

    def replay(self, decision_id: str) -> GateDecision:
        """A decision made again from what it rested on, by its id or the beginning of it.

        Raises:
            NotFound: there is none.
            BadRequest: the id could mean several.
            StoreError: what is kept of it cannot be read, or the slo.yaml that it was judged by is not kept.
        """
        kept = self._kept(decision_id)
        evidence = from_json(GateEvidence, kept.evidence)
        stored = self._store.config(evidence.config_digest)
        if stored is None:
            raise StoreError(f"the slo.yaml of decision {kept.id} is not kept", help="its document still is")
        phase = parse_config(stored.document, stored.source).phase(evidence.question.phase)
        rule_version = from_json(GateDecision, kept.document).rule_version
        return replace(decide_gate(evidence, phase, kept.id, rule_version), decided_at=kept.decided_at)

    def decision(self, decision_id: str) -> GateDecision:
        """A decision as it was made, by its id or the beginning of it. Raises as :meth:`replay` does."""
        return from_json(GateDecision, self._kept(decision_id).document)

    def decisions(self, limit: int) -> tuple[GateDecision, ...]:
        """What was decided, newest first."""
        documents, overrides = self._store.gate_documents(limit), self._overrides()
        decided = (from_json(GateDecision, document) for document in documents)
        return tuple(replace(one, override=overrides.get(one.id)) for one in decided)

    def override(self, decision_id: str, by: str, reason: str) -> GateDecision:
        """Let a version through that a gate has kept out; kept with a name and a reason, and never called a pass.

        Raises:
            BadRequest: there is no name or no reason, the gate was open, or the id could mean several.
            NotFound: there is no such decision.
        """
        if not by.strip() or not reason.strip():
            raise BadRequest("a gate is overridden by somebody, for a reason", help="say both: --by NAME --reason TEXT")
        _check_lengths(by, reason)
        decision = self.decision(decision_id)
        if decision.id != decision_id:
            raise BadRequest(f"{decision_id!r} is the beginning of {decision.id}", help="an override takes the full id")
        if decision.decision in {"pass", "warn"}:
            raise BadRequest(f"the gate of decision {decision.id} is open: there is nothing to override")
        self._store.override(Override(decision.id, by.strip(), reason.strip(), self._clock()))
        return self._with_override(decision)

    def waive(self, asked: WaiverRequest) -> Waiver:
        """Let an objective or a finding be overlooked for a while.

        Raises:
            BadRequest: something is not said, or it would last longer than 30 days, or is over already.
        """
        now = self._clock()
        _check_lengths(asked.about, asked.owner, asked.reason)
        if "" in {asked.service, asked.phase, asked.version}:
            raise BadRequest(
                "a waiver for nothing in particular would hold everywhere", help="name it, or leave it out"
            )
        for name, what in _ARTICLES.items():
            if not getattr(asked, name).strip():
                raise BadRequest(f"a waiver has {what}", help=f"say it: --{name} TEXT")
        if not timedelta(0) < asked.expires_at - now <= LONGEST:
            raise BadRequest(
                f"a waiver lasts at most {LONGEST.days} days from now, and ends in the future", help="--until 14d"
            )
        said = vars(asked) | {name: getattr(asked, name).strip() for name in _ARTICLES}
        waiver = Waiver(**said, id=uuid4().hex[:8], created_at=now)
        self._store.waive(waiver)
        return waiver

    def end_waiver(self, waiver_id: str) -> Waiver:
        """Take a waiver back, by its id or the beginning of it.

        Raises:
            NotFound: there is none that holds.
        """
        found = [one for one in self.waivers() if waiver_id and one.id.startswith(waiver_id)]
        if len(found) != 1:
            raise NotFound(f"no waiver that holds is {waiver_id!r}", help="list them with `phasegate waivers`")
        ended = replace(found[0], ended_at=self._clock())
        self._store.end_waiver(ended)
        return ended

    def waivers(self) -> tuple[Waiver, ...]:
        """Those that hold now, the next to expire first."""
        now = self._clock()
        return tuple(sorted((w for w in self._store.waivers() if w.holds_at(now)), key=lambda w: w.expires_at))

    def _with_override(self, decision: GateDecision) -> GateDecision:
        return replace(decision, override=self._overrides().get(decision.id))

    def _overrides(self) -> dict[str, Override]:
        """The last one of each decision."""
        return {one.gate_id: one for one in self._store.overrides()}

    def _kept(self, decision_id: str) -> StoredGate:
        found = self._store.gates(decision_id, limit=2) if decision_id else []
        if not found:
            help = "list them with `phasegate gate --list`; an answer that rests on no run is not kept"
            raise NotFound(f"no gate decision {decision_id!r} is stored", help=help)
        if len(found) > 1:
            raise BadRequest(f"{decision_id!r} could mean {', '.join(one.id for one in found)}", help="give more of it")
        return found[0]

    def _decide(self, question: GateQuestion, asked: _Asked, known: dict[str, GateDecision]) -> GateDecision:
        phase = asked.config.phase(question.phase)
        if phase.id in known:
            return known[phase.id]
        earlier = tuple(self._decide(replace(question, phase=name), asked, known) for name in phase.after)
        verdicts, speaking = self._speaking(phase, asked)
        waivers = tuple(one for one in asked.waivers if one.phase in {None, phase.id})
        stale = self._stale(phase, verdicts)
        evidence = GateEvidence(
            question, asked.config.digest, verdicts, speaking, earlier, waivers, stale,
            self._checks(verdicts, speaking), self._seen(phase, asked.config),
        )  # fmt: skip
        decision = decide_gate(evidence, phase, _id_of(evidence), RULE_VERSION)
        known[phase.id] = self._keep(decision, evidence, asked)
        return known[phase.id]

    def _speaking(self, phase: Phase, asked: _Asked) -> tuple[tuple[Verdict, ...], dict[str, tuple[int, ...]]]:
        """The verdicts of the newest run of each test and kind that calls a service asked about, and who is whose."""
        alike: dict[object, Run] = {}
        seen = set()
        for run in asked.runs:  # newest first
            kinds = kinds_of(run.meta.facts, phase.runs)
            if kinds or test_of(run) not in seen:  # of no kind that is asked for: any newer run of the test replaces it
                alike.setdefault((test_of(run), kinds), run)
            seen.add(test_of(run))
        newest = list(alike.values())
        speaks = {
            service or "": [run for run in newest if covers(run_ref(run), service, asked.tested[run.id])]
            for service in services_of(phase)
        }
        chosen = {run.id for runs in speaks.values() for run in runs}
        runs = [run for run in newest if run.id in chosen]
        verdicts = self._judging.verdicts(runs, asked.config, phase, asked.text)
        places = {run.id: place for place, run in enumerate(runs)}
        return tuple(verdicts[run.id] for run in runs), {
            name: tuple(places[run.id] for run in found) for name, found in speaks.items() if found
        }

    def _checks(self, verdicts: Sequence[Verdict], speaking: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, int]]:
        """By service (empty: the whole system), k6's checks under load in the runs that speak: passed, and all."""
        kept = self._store.checks([verdict.run.id for verdict in verdicts])
        found = {}
        for service, places in speaking.items():
            runs = {verdicts[place].run.id: verdicts[place].run for place in places}
            own = [
                one
                for run_id, one in kept
                if run_id in runs
                and one.part_of_test is None
                and (not service or one.tags.get("service", runs[run_id].service) == service)
            ]
            found[service] = sum(one.nonzero for one in own), sum(one.n for one in own)
        return found

    def _seen(self, phase: Phase, config: Config) -> tuple[BudgetSeen, ...]:
        """The error budgets of the services that the phase asks about, and those of no service, if it asks for any."""
        if phase.budget is None:
            return ()
        about = {*services_of(phase), None}
        return tuple(
            BudgetSeen(one.name, one.service, one.state, one.left, one.left_at_least, one.reason, one.remedy)
            for one in self._budgets.all(config)
            if one.service in about
        )

    def _stale(self, phase: Phase, verdicts: Sequence[Verdict]) -> tuple[str, ...]:
        """The runs that ended longer ago than the phase allows; one of which that is not known is among them."""
        if phase.max_age_s is None:
            return ()
        oldest = self._clock() - timedelta(seconds=phase.max_age_s)
        times = {v.run.id: _ended(v.run) for v in verdicts}
        return tuple(run_id for run_id, at in times.items() if at is None or at < oldest)

    def _keep(self, decision: GateDecision, evidence: GateEvidence, asked: _Asked) -> GateDecision:
        """The decision as it is kept; one that rests on no run is no record of anything, and is not."""
        if kept := self._store.gates(decision.id, limit=1):
            return from_json(GateDecision, kept[0].document)
        at, question = self._clock(), decision.question
        decided = replace(decision, decided_at=at)
        if not decision.runs:
            return decided
        self._store.add_gate(
            StoredGate(
                decision.id, question.phase, question.version, question.environment, decision.decision, at,
                to_json(decided), to_json(evidence),
            ),
            StoredConfig(asked.config.digest, asked.config.source, at, asked.text),
        )  # fmt: skip
        return self.decision(decision.id)  # who asked at the same time may have been first


def _ended(run: RunRef) -> datetime | None:
    """When a run ended: not after it was received, however far its generator's clock ran ahead."""
    began, received = run.started_at, run.received_at
    times = [began + timedelta(seconds=run.duration_s or 0.0) if began else None, received]
    return min((at for at in times if at), default=None)


def _check_lengths(*texts: str) -> None:
    if any(len(text) > _LONGEST_TEXT for text in texts):
        raise BadRequest(f"a name or a reason has at most {_LONGEST_TEXT} characters", help="say it shorter")


def _id_of(evidence: GateEvidence) -> str:
    """The same for the same evidence, whenever it was judged or received."""
    timeless = replace(
        evidence,
        verdicts=tuple(
            replace(v, judged_at=_NEVER, run=replace(v.run, received_at=None)) for v in evidence.verdicts
        ),
        earlier=tuple(replace(one, decided_at=None) for one in evidence.earlier),
    )  # fmt: skip
    said = to_json(timeless, defaults=False)  # what later versions know besides is no other evidence
    return blake3.blake3(f"{RULE_VERSION} {said}".encode()).hexdigest()[:_ID_CHARACTERS]
