"""Reports of tests and other files come with a run: facts, evidence, and never half of either."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from data.errors import ArtefactTooLarge, BadInput, BadRequest, UnreadableArtefact
from data.facts import Facts
from data.model import RunMeta
from data.store import Store
from ingest.limits import Limits
from ingest.service import Ingested, Ingestor, Upload
from tests.ingesting import Bench, Quick
from tests.k6_output import FILES, ndjson, point

EVENT = (FILES / "event.json.gz").read_bytes()
SUMMARY = (FILES / "event.summary-export.json").read_bytes()
PASSES = b'<testsuite name="s"><testcase classname="c" name="t"/></testsuite>'
FAILS = b'<testsuite name="s"><testcase classname="c" name="t"><failure/></testcase></testsuite>'


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    store = Store(tmp_path / "store")
    yield Bench(store, tmp_path)
    store.close()


def attach(bench: Bench, *contents: bytes, facts: Facts | None = None, limits: Limits | None = None) -> Ingested:
    uploads = [bench.upload(content, f"log {i}.txt") for i, content in enumerate(contents)]
    meta = RunMeta(facts=facts or {})
    return Quick(bench.store, limits).ingest([bench.upload(EVENT)], meta, None, uploads)


def listed(bench: Bench, taken: Ingested) -> list[tuple[str, str, bool]]:
    return [(one.name, one.kind, one.kept) for one in bench.store.attachments(taken.run.id)]


def test_reports_become_facts_of_the_run_and_are_kept(bench: Bench) -> None:
    meta = RunMeta(facts={"seeded_users": 10_000.0})
    taken = bench.ingest(EVENT, SUMMARY, PASSES, gzip.compress(FAILS), meta=meta)
    facts = bench.store.find_run(taken.run.id).meta.facts
    assert facts == taken.run.meta.facts
    assert (facts["seeded_users"], facts["tests.total"], facts["tests.failed"]) == (10_000, 2, 1)
    assert facts["tests.inconsistent_names"] == "c::t (fails in r3.json, passes in r2.json)"
    assert listed(bench, taken) == [("r2.json", "junit", True), ("r3.json", "junit", True)]
    assert bench.store.attachment(taken.run.id, "r2.json") == PASSES
    kinds = [artefact.kind for artefact in bench.store.record(taken.run.id).artefacts]
    assert kinds == ["k6-json", "k6-summary-export"], "a report is no part of the measurement"


def test_a_run_is_who_it_is_whatever_comes_with_it(bench: Bench) -> None:
    ids = {bench.ingest(EVENT).run.id, bench.ingest(PASSES, EVENT).run.id, attach(bench, b"a log").run.id}
    assert len(ids) == 1


REFUSED: dict[str, tuple[list[bytes], type[BadInput], str, Limits | None]] = {
    "a report that is damaged": ([EVENT, PASSES[:-5]], UnreadableArtefact, "r1.json is not well-formed XML", None),
    "a report with a DTD": (
        [EVENT, b"<!DOCTYPE testsuites [<!ENTITY a 'b'>]>" + PASSES], UnreadableArtefact, "declares a DTD", None,
    ),
    "a good report and a bad one": ([EVENT, PASSES, FAILS[:-1]], UnreadableArtefact, "r2.json is not", None),
    "a gzip of it cut short": ([EVENT, gzip.compress(PASSES)[:-4]], UnreadableArtefact, "could not read r1.json", None),
    "other XML": ([EVENT, b"<coverage/>"], UnreadableArtefact, "r1.json is not k6 output: it looks like HTML", None),
    "reports alone": ([PASSES, FAILS], BadRequest, "r0.json, r1.json: reports of tests alone are no run", None),
    "the same report twice": ([EVENT, PASSES, PASSES], BadRequest, "r2.json and r1.json are the same", None),
    "too many reports": ([EVENT, PASSES, FAILS], BadRequest, "2 reports of tests were given", Limits(junit_files=1)),
    "too large a report": ([EVENT, PASSES], ArtefactTooLarge, "has 66 bytes", Limits(junit_bytes=60)),
    "a small gzip of a large one": (
        [EVENT, gzip.compress(PASSES + b" " * 999)], ArtefactTooLarge, "r1.json has 1,065 by", Limits(junit_bytes=999),
    ),
    "too many cases together": ([EVENT, PASSES, FAILS], ArtefactTooLarge, "up to r2.json", Limits(junit_cases=1)),
}  # fmt: skip


@pytest.mark.parametrize(("files", "error", "said", "limits"), REFUSED.values(), ids=REFUSED)
def test_a_report_that_cannot_be_used_leaves_nothing(
    bench: Bench, files: list[bytes], error: type[BadInput], said: str, limits: Limits | None
) -> None:
    before = bench.holdings()
    with pytest.raises(error, match=said) as refused:
        bench.ingest(*files, limits=limits)
    assert refused.value.help
    assert bench.holdings() == before


BY_HAND: Facts = {"tests.failed": 0.0}
NOTHING_RAN = b'<testsuite name="s" tests="0" failures="0" errors="0"/>'


@pytest.mark.parametrize("report", [FAILS, PASSES, NOTHING_RAN], ids=["failed", "passed", "nothing ran"])
def test_what_tests_came_to_is_said_by_reports_where_there_are_some(bench: Bench, report: bytes) -> None:
    before = bench.holdings()
    with pytest.raises(BadRequest, match=r"the fact tests\.failed cannot be said"):
        bench.ingest(EVENT, report, meta=RunMeta(facts=BY_HAND))
    assert bench.holdings() == before
    stored = bench.ingest(EVENT, report, meta=RunMeta(facts={"tests_failed": 0.0})).run
    for files in ((EVENT, report), (EVENT,)):
        with pytest.raises(BadRequest, match=r"the fact tests\.failed cannot be said"):
            bench.ingest(*files, meta=RunMeta(facts=BY_HAND))
    assert bench.store.find_run(stored.id).meta == stored.meta


def test_without_a_report_somebody_may_say_what_tests_came_to(bench: Bench) -> None:
    assert bench.ingest(EVENT, meta=RunMeta(facts=BY_HAND)).run.meta.facts == BY_HAND
    with pytest.raises(BadRequest, match=r"has the fact tests\.failed=0, and its reports of tests say nothing of it"):
        bench.ingest(EVENT, NOTHING_RAN)


def test_a_fact_of_before_that_contradicts_the_report_is_refused(bench: Bench) -> None:
    stored = bench.ingest(EVENT).run
    bench.store.amend_run(stored, replace(stored.meta, facts={"tests.failed": 0.0}))
    with pytest.raises(BadRequest, match=r"has the fact tests\.failed=0, and its reports of tests say 1"):
        bench.ingest(EVENT, FAILS)
    assert bench.store.find_run(stored.id).meta.facts == {"tests.failed": 0.0}
    assert bench.store.attachments(stored.id) == []


def test_reports_may_come_later_and_only_once(bench: Bench) -> None:
    bench.ingest(EVENT)
    later = bench.ingest(EVENT, FAILS)
    assert (later.created, later.run.meta.facts["tests.failed"]) == (False, 1)
    assert "r1.json is attached now" in later.notes
    assert "fact tests.failed is now 1.0" in later.notes
    assert bench.ingest(EVENT, FAILS).notes == (), "a retry says nothing new"


@pytest.mark.parametrize("more", [(FAILS,), (PASSES, FAILS)], ids=["others", "one more"])
def test_reports_that_differ_from_those_of_the_run_are_refused(bench: Bench, more: tuple[bytes, ...]) -> None:
    green = bench.ingest(EVENT, PASSES)
    before = bench.holdings()
    with pytest.raises(BadRequest, match=r"r\d\.json: run \w+ has its reports of tests already") as refused:
        bench.ingest(EVENT, *more, meta=RunMeta(facts={"seeded_users": 1.0}))
    assert f"runs delete {green.run.id}" in str(refused.value.help)
    assert bench.holdings() == before
    assert bench.store.find_run(green.run.id).meta == green.run.meta
    assert listed(bench, green) == [("r1.json", "junit", True)]
    assert bench.ingest(EVENT, PASSES).notes == (), "a retry is fine"


def test_a_report_that_comes_later_and_is_damaged_changes_nothing(bench: Bench) -> None:
    stored = bench.ingest(EVENT)
    with pytest.raises(UnreadableArtefact):
        bench.ingest(EVENT, FAILS[:-1])
    assert bench.store.find_run(stored.run.id).meta.facts == {}
    assert listed(bench, stored) == []


def test_reports_that_have_no_room_are_read_and_listed(bench: Bench) -> None:
    limits = Limits(attachments=1, attachment_bytes=70)
    taken = bench.ingest(EVENT, PASSES, FAILS, b"<testsuites/>", limits=limits)
    assert taken.run.meta.facts["tests.total"] == 2
    assert [kept for *_, kept in listed(bench, taken)] == [True, False, False], "66 of 70 bytes are full with the first"
    assert bench.ingest(EVENT, PASSES, FAILS, b"<testsuites/>", limits=limits).notes == ()


def test_files_are_attached_with_the_run_or_later(bench: Bench) -> None:
    first = attach(bench, b"one", b"")
    assert (first.created, listed(bench, first)) == (True, [("log_0.txt", "file", True), ("log_1.txt", "file", True)])
    assert attach(bench, b"one", b"").notes == ()
    again = attach(bench, b"two")
    assert (again.created, again.notes) == (False, ("log_0-2.txt is attached now",))
    assert bench.store.attachment(again.run.id, "log_0-2.txt") == b"two"


@pytest.mark.parametrize(
    ("contents", "error", "said"),
    [
        ([b"123456"], ArtefactTooLarge, "log 0.txt has 6 bytes; at most 5"),
        ([b"1", b"2", b"3"], BadRequest, "3 files would be attached to the run; it has at most 2"),
    ],
)
def test_more_than_a_run_may_have_is_refused(
    bench: Bench, contents: list[bytes], error: type[BadInput], said: str
) -> None:
    limits = Limits(attachments=2, attachment_bytes=5)
    for stored in (False, True):
        with pytest.raises(error, match=said):
            attach(bench, *contents, limits=limits)
        assert bench.store.count_runs() == stored
        bench.ingest(EVENT)
    taken = attach(bench, b"1", b"2", limits=limits)
    with pytest.raises(BadRequest, match="3 files would be attached"):
        attach(bench, b"3", limits=limits)
    assert len(listed(bench, taken)) == 2


def test_an_attachment_that_is_not_there_is_told_before_anything_is_read(bench: Bench) -> None:
    with pytest.raises(UnreadableArtefact, match=r"there is no file x\.log"):
        Quick(bench.store).ingest([bench.upload(EVENT)], RunMeta(), None, [Upload(bench.folder / "nowhere", "x.log")])
    assert bench.store.count_runs() == 0


def test_the_worker_reads_reports_in_its_own_process(bench: Bench) -> None:
    steps: list[str] = []
    uploads = [bench.upload(ndjson(point())), bench.upload(PASSES, "r.xml")]
    taken = Ingestor(bench.store).ingest(uploads, RunMeta(), lambda step, _share: steps.append(step))
    assert taken.run.meta.facts["tests.passed"] == 1
    assert steps[0] == "tests"
    with pytest.raises(UnreadableArtefact, match=r"r\.xml is not well-formed XML"):
        Ingestor(bench.store).ingest([bench.upload(EVENT), bench.upload(b"<testsuite>", "r.xml")], RunMeta())
