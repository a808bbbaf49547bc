"""What is known of runs: read from the store once for all that are judged together, and made where it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.catalog import StoredAssessment
from slo.baseline import Assessed
from slo.comparing import key_of
from slo.documents import from_json, to_json
from slo.findings import find
from slo.measure import measure
from slo.model import RULE_VERSION
from slo.shape import Shape, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from data.catalog import StoredMeasurement
    from data.model import Run, RunRecord
    from data.samples import SampleEngine
    from data.store import Store
    from slo.comparing import Measured
    from slo.sli import Sli


class Evidence:
    """Records, assessments and measurements of runs. What had to be made is kept by :meth:`keep`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.since = store.changes
        """What the store was like when this was begun; what is concluded is not kept if it changes meanwhile."""
        self._records: dict[str, RunRecord] = {}
        self._measured: dict[str, Measured] = {}
        self._assessed: dict[str, Assessed] = {}
        self._new_measured: list[StoredMeasurement] = []
        self._new_assessed: list[StoredAssessment] = []
        self._invalidated: dict[str, str] = {}
        self.decisions = store.decisions()
        """What was decided about runs, oldest first."""
        for decision in self.decisions:
            if decision.kind == "invalidated":
                self._invalidated[decision.run_id] = decision.reason
            elif decision.kind == "restored":
                self._invalidated.pop(decision.run_id, None)

    def record(self, run_id: str) -> RunRecord:
        """Everything the catalog keeps of a run."""
        if run_id not in self._records:
            self._records[run_id] = self._store.record(run_id)
        return self._records[run_id]

    def load(self, runs: Iterable[Run]) -> None:
        """Read what is kept of many runs at once: two queries instead of two for each."""
        missing = [run.id for run in runs if run.id not in self._measured]
        if not missing:
            return
        for run_id in missing:
            self._measured[run_id] = {}
        for measured in self._store.measurements(missing, RULE_VERSION):
            self._measured[measured.run_id][key_of(measured)] = measured
        for kept in self._store.assessments(missing, RULE_VERSION):
            self._assessed[kept.run_id] = Assessed(from_json(Shape, kept.shape), kept.doubt)

    def assess(self, run: Run) -> Assessed:
        """What is known of a run alone, and whether it may enter a baseline."""
        self.load([run])
        if run.id not in self._assessed:
            self._assessed[run.id] = _assessed(self.record(run.id), self._store.samples)
            own = self._assessed[run.id]
            self._new_assessed.append(StoredAssessment(run.id, RULE_VERSION, own.doubt, to_json(own.shape)))
        own = self._assessed[run.id]
        if (why := self._invalidated.get(run.id)) is not None:
            return Assessed(own.shape, f"invalidated: {why}")
        return own

    def invalidated(self, run_id: str) -> str | None:
        """Why somebody took a run out; ``None`` where nobody did."""
        return self._invalidated.get(run_id)

    def measured(self, run_id: str, slis: Sequence[Sli]) -> Measured:
        """The measurements of a run, at least of these SLIs, with their profiles."""
        kept = self._measured.setdefault(run_id, {})
        missing = list({sli.key: sli for sli in slis if sli.key not in kept}.values())
        if missing:
            new = measure(self.record(run_id), missing, self._store.samples)
            kept |= {key_of(one): one for one in new}
            self._new_measured += new
        return kept

    def keep(self) -> None:
        """Store what had to be made."""
        self._store.add_measurements(self._new_measured, self._new_assessed, self.since)
        self._new_measured, self._new_assessed = [], []


def _assessed(record: RunRecord, samples: SampleEngine) -> Assessed:
    found = find(record)
    codes = [f.code for f in found.findings if f.severity == found.state]
    doubt = f"{found.state}: {', '.join(dict.fromkeys(codes))}" if found.state != "valid" else None
    return Assessed(shape_of(record, samples), doubt)
