"""Gates asked of a store: which runs speak for a version, what they come to, and the record of every decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import blake3

from data.catalog import RunFilter, StoredConfig, StoredGate
from data.errors import BadRequest, NotFound, StoreError
from data.model import Override, Waiver
from slo.config import parse_config
from slo.documents import from_json, to_json
from slo.evidence import Evidence
from slo.gate import GateDecision, GateEvidence, GateQuestion, decide_gate
from slo.model import RULE_VERSION
from slo.overview import tested
from slo.refs import run_ref
from slo.verdict import covers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.model import Run
    from data.store import Store
    from slo.config import Config, Phase
    from slo.judging import Judging
    from slo.model import Verdict

LONGEST = timedelta(days=30)
"""How long a waiver may last."""

_ID_CHARACTERS = 12
_ARTICLES = {"about": "an objective or a finding that it is about", "owner": "an owner", "reason": "a reason"}


@dataclass(frozen=True)
class WaiverRequest:
    """A waiver that is asked for; see :class:`data.model.Waiver`."""

    about: str
    owner: str
    reason: str
    expires_at: datetime
    service: str | None = None
    phase: str | None = None
    version: str | None = None


class Gates:
    """The gates of one store. Safe to ask from several threads: the same evidence is the same decision, kept once."""

    def __init__(self, store: Store, judging: Judging, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._judging = judging
        self._clock = clock

    def decide(self, question: GateQuestion, config: Config, text: str) -> GateDecision:
        """May the version enter the phase? Judged by ``config``, whose text is ``text``, and kept.

        Raises:
            NotFound: slo.yaml has no such phase.
        """
        config.phase(question.phase)
        runs = self._store.runs(RunFilter(version=question.version, environment=question.environment), limit=None)
        evidence = Evidence(self._store)
        believed = [run for run in runs if evidence.invalidated(run.id) is None]
        return self._with_override(self._decide(question, config, text, believed, {}))

    def replay(self, decision_id: str) -> GateDecision:
        """A decision made again from what it rested on, by its id or the beginning of it.

        Raises:
            NotFound: there is none, or the slo.yaml that it was judged by is not kept.
            BadRequest: the id could mean several.
            StoreError: what is kept of it cannot be read.
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
        overrides = {one.gate_id: one for one in self._store.overrides()}
        return tuple(
            replace(from_json(GateDecision, kept.document), override=overrides.get(kept.id))
            for kept in self._store.gates(limit=limit)
        )

    def override(self, decision_id: str, by: str, reason: str) -> GateDecision:
        """Let a version through that a gate has kept out; kept with a name and a reason, and never called a pass.

        Raises:
            BadRequest: there is no name or no reason, the gate was open, or the id could mean several.
            NotFound: there is no such decision.
        """
        if not by.strip() or not reason.strip():
            raise BadRequest("a gate is overridden by somebody, for a reason", help="say both: --by NAME --reason TEXT")
        decision = self.decision(decision_id)
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
        for name in ("about", "owner", "reason"):
            if not getattr(asked, name).strip():
                raise BadRequest(f"a waiver has {_ARTICLES[name]}", help=f"say it: --{name} TEXT")
        if not timedelta(0) < asked.expires_at - now <= LONGEST:
            raise BadRequest(
                f"a waiver lasts at most {LONGEST.days} days from now, and ends in the future", help="--until 14d"
            )
        waiver = Waiver(
            uuid4().hex[:8], asked.about.strip(), asked.owner.strip(), asked.reason.strip(), now, asked.expires_at,
            asked.service, asked.phase, asked.version,
        )  # fmt: skip
        self._store.waive(waiver)
        return waiver

    def end_waiver(self, waiver_id: str) -> Waiver:
        """Take a waiver back, by its id or the beginning of it.

        Raises:
            NotFound: there is none that holds.
        """
        found = [one for one in self.waivers() if waiver_id and one.id.startswith(waiver_id)]
        if len(found) != 1:
            raise NotFound(f"no one waiver {waiver_id!r} holds", help="list them with `phasegate waivers`")
        self._store.end_waiver(found[0].id, self._clock())
        return replace(found[0], ended_at=self._clock())

    def waivers(self) -> tuple[Waiver, ...]:
        """Those that hold now, the next to expire first."""
        now = self._clock()
        return tuple(sorted((w for w in self._store.waivers() if w.holds_at(now)), key=lambda w: w.expires_at))

    def _with_override(self, decision: GateDecision) -> GateDecision:
        own = [one for one in self._store.overrides() if one.gate_id == decision.id]
        return replace(decision, override=own[-1] if own else None)

    def _kept(self, decision_id: str) -> StoredGate:
        found = self._store.gates(decision_id, limit=2) if decision_id else []
        if not found:
            raise NotFound(f"no gate decision {decision_id!r} is stored", help="list them with `phasegate gate --list`")
        if len(found) > 1:
            raise BadRequest(f"{decision_id!r} could mean {', '.join(one.id for one in found)}", help="give more of it")
        return found[0]

    def _decide(
        self, question: GateQuestion, config: Config, text: str, runs: Sequence[Run], known: dict[str, GateDecision]
    ) -> GateDecision:
        phase = config.phase(question.phase)
        if phase.id in known:
            return known[phase.id]
        earlier = [
            self._decide(replace(question, phase=name), config, text, runs, known) for name in phase.after
        ]  # fmt: skip
        verdicts, speaking = self._speaking(phase, config, text, runs)
        evidence = GateEvidence(question, config.digest, verdicts, speaking, tuple(earlier), self.waivers())
        written = to_json(evidence)
        gate_id = blake3.blake3(f"{RULE_VERSION} {written}".encode()).hexdigest()[:_ID_CHARACTERS]
        known[phase.id] = self._keep(decide_gate(evidence, phase, gate_id, RULE_VERSION), written, config, text)
        return known[phase.id]

    def _speaking(
        self, phase: Phase, config: Config, text: str, newest_first: Sequence[Run]
    ) -> tuple[tuple[Verdict, ...], dict[str, int]]:
        """The verdicts of the newest run for each service that the phase asks about, and which is whose."""
        of_test = tested(newest_first)
        services = dict.fromkeys(objective.service for objective in phase.objectives)
        speaks = {
            service or "": run
            for service in services
            if (run := next((r for r in newest_first if covers(run_ref(r), service, of_test[r.id])), None))
        }
        runs = list({run.id: run for run in newest_first if run in speaks.values()}.values())
        verdicts = self._judging.verdicts(runs, config, phase, text)
        places = {run.id: place for place, run in enumerate(runs)}
        return tuple(verdicts[run.id] for run in runs), {name: places[run.id] for name, run in speaks.items()}

    def _keep(self, decision: GateDecision, evidence: str, config: Config, text: str) -> GateDecision:
        if kept := self._store.gates(decision.id, limit=1):
            return from_json(GateDecision, kept[0].document)
        at, question = self._clock(), decision.question
        decided = replace(decision, decided_at=at)
        self._store.add_gate(
            StoredGate(
                decision.id, question.phase, question.version, question.environment, decision.decision, at,
                to_json(decided), evidence,
            ),
            StoredConfig(config.digest, config.source, at, text),
        )  # fmt: skip
        return decided
