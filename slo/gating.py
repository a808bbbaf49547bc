"""Gates asked of a store: which runs speak for a version, what they come to, and the record of every decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import blake3

from data.catalog import RunFilter, StoredConfig, StoredGate
from data.errors import BadRequest, NotFound, StoreError
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

_ID_CHARACTERS = 12


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
        return self._decide(question, config, text, believed, {})

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
        return tuple(from_json(GateDecision, kept.document) for kept in self._store.gates(limit=limit))

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
        evidence = GateEvidence(question, config.digest, verdicts, speaking, tuple(earlier))
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
