"""Every recorded way in which a measurement breaks gets its finding and its verdict, beside exactly its own past."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from data.model import RunMeta
from data.store import Store
from ingest.service import Upload
from slo.model import Finding, Verdict
from slo.service import ConfigSource, Service
from tests.broken.record import INDEX, RUNS
from tests.ingesting import Quick

pytestmark = pytest.mark.slow

ENTRIES: dict[str, dict[str, Any]] = {told["name"]: told for told in json.loads(INDEX.read_text())["runs"]}
PAST = {name for told in ENTRIES.values() for name in told["baseline"]}
WHOLE = [name for name, told in ENTRIES.items() if told["expect"]["code"] is None]
BROKEN = [name for name in ENTRIES if name not in WHOLE]


@dataclass(frozen=True)
class Recorded:
    """All recorded runs in one store. Those that are nobody's past have a test of their own, out of the way."""

    store: Store
    service: Service
    ids: dict[str, str]
    known: dict[str, Verdict]

    def verdict(self, name: str) -> Verdict:
        """The verdict of a case beside its own past, asked once."""
        if name not in self.known:
            with self._among_its_past(name):
                self.known[name] = self.service.verdict(self.ids[name])
        verdict = self.known[name]
        assert verdict.baseline is not None
        assert set(verdict.baseline.runs) == {self.ids[past] for past in ENTRIES[name]["baseline"]}
        return verdict

    @contextmanager
    def _among_its_past(self, name: str) -> Iterator[None]:
        run = self.store.find_run(self.ids[name])
        told = ENTRIES[name]
        test = told["metadata"]["test"] if told["baseline"] else name
        asked = self.store.amend_run(run, replace(run.meta, test=test))
        yield
        self.store.amend_run(asked, run.meta)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with closing(Store(tmp_path_factory.mktemp("broken") / "store")) as store:
        ids = {}
        for name, told in ENTRIES.items():
            files = [RUNS / file for file in (told["file"], told["summary"]) if file]
            meta = RunMeta(**told["metadata"], exit_code=told["exit_code"])
            own = meta if name in PAST else replace(meta, test=name)
            ids[name] = Quick(store).ingest([Upload(file, file.name) for file in files], own).run.id
        yield Recorded(store, Service(store, ConfigSource([Path(__file__).with_name("slo.yaml")])), ids, {})


def said(verdict: Verdict) -> str:
    return "\n".join(f"{f.severity} {f.code} {f.service or ''}: {f.message}" for f in verdict.measurement.findings)


def doubts(verdict: Verdict) -> list[Finding]:
    return [finding for finding in verdict.measurement.findings if finding.severity != "info"]


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found_with_its_severity_at_its_service(recorded: Recorded, name: str) -> None:
    expected, verdict = ENTRIES[name]["expect"], recorded.verdict(name)
    about = expected.get("service")
    found = [(f.code, f.severity) for f in verdict.measurement.findings if about in {None, f.service}]
    assert (expected["code"], expected["severity"]) in found, said(verdict)


@pytest.mark.parametrize("name", ENTRIES)
def test_nothing_else_is_doubted(recorded: Recorded, name: str) -> None:
    expected, verdict = ENTRIES[name]["expect"], recorded.verdict(name)
    right = {expected["code"], *expected.get("also", ())}
    assert [f.code for f in doubts(verdict) if f.code not in right] == [], said(verdict)


@pytest.mark.parametrize("name", ENTRIES)
def test_the_verdict_is_the_right_one(recorded: Recorded, name: str) -> None:
    verdict = recorded.verdict(name)
    assert verdict.verdict == ENTRIES[name]["expect"]["verdict"], (verdict.reasons, said(verdict))


@pytest.mark.parametrize("name", [name for name in BROKEN if ENTRIES[name]["expect"]["severity"] != "info"])
def test_what_is_broken_never_passes_and_says_what_to_do(recorded: Recorded, name: str) -> None:
    verdict = recorded.verdict(name)
    assert verdict.verdict in {"inconclusive", "fail"}
    assert verdict.next_steps
    assert all(finding.remedy and finding.evidence for finding in doubts(verdict))


def test_a_service_that_is_not_broken_keeps_its_results(recorded: Recorded) -> None:
    verdict = recorded.verdict("closed-port-venue")
    assert {o.service: o.state for o in verdict.objectives} == {
        "auth": "met", "event": "met", "venue": "not_evaluable",
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in WHOLE if ENTRIES[name]["baseline"]])
def test_a_healthy_run_beside_its_past_is_free_of_doubt(recorded: Recorded, name: str) -> None:
    verdict = recorded.verdict(name)
    assert verdict.measurement.state == "valid"
    assert [c.sli for c in verdict.comparisons if c.state == "regressed"] == []
