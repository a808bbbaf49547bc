"""Bad input gets one clear error and leaves nothing behind, or is kept as far as it can be read and marked."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from data.errors import ArtefactTooLarge, BadInput, BadRequest, UnreadableArtefact
from data.model import RunMeta
from ingest.limits import MIB, Limits
from ingest.service import Ingestor, Upload
from slo.findings import find
from tests.ingesting import Bench
from tests.k6_output import FILES, csv, ndjson, plain, point, raw_point, row

DEEP = "[" * 100_000 + "]" * 100_000
PART_1, PART_2, EVENT = ((FILES / name).read_bytes() for name in ("part1.json.gz", "part2.json.gz", "event.json.gz"))


@dataclass(frozen=True)
class Refusal:
    """What is uploaded, and the error that it meets: class, what is said, and what is advised."""

    files: list[bytes]
    error: type[BadInput]
    said: str
    advice: str
    limits: Limits | None = None


REFUSED = {
    "an empty file": Refusal([b""], UnreadableArtefact, "r0.json is empty", "check that k6 ran"),
    "white space": Refusal([b" \n\n"], UnreadableArtefact, "r0.json is blank", "check that k6 ran"),
    "text": Refusal([b"hello"], UnreadableArtefact, "r0.json is not k6 output", "expected k6's --out json"),
    "HTML saved as JSON": Refusal(
        [b"<html><body>502 Bad Gateway"], UnreadableArtefact, "an error or login page", "expected k6's"
    ),
    "a zip archive": Refusal([b"PK\x03\x04"], UnreadableArtefact, "a zip archive; upload the file inside", "k6's"),
    "a JSON array": Refusal([b"[{}]"], UnreadableArtefact, "k6 writes one object per line", "expected k6's"),
    "other JSON": Refusal([b'{"a":1}'], UnreadableArtefact, "is JSON, but not a summary of k6", "--summary-export"),
    "JSON nested 100,000 deep": Refusal(
        [b'{"a":' + DEEP.encode() + b"}"], UnreadableArtefact, "r0.json is not valid JSON: depth", "complete?"
    ),
    "definitions without a sample": Refusal(
        [ndjson()], UnreadableArtefact, "r0.json holds no k6 samples: 1 lines, 0 of them", "check that k6 ran"
    ),
    "no sample with a value": Refusal(
        [ndjson(raw_point("NaN"))], UnreadableArtefact, "r0.json holds no k6 samples", "check that k6 ran"
    ),
    "a CSV header and no row": Refusal([csv()], UnreadableArtefact, "r0.json holds no k6 samples", "check that k6"),
    "another CSV": Refusal(
        [b"metric_name,value\nx,1\n"], UnreadableArtefact, "the CSV header of r0.json is not k6's", "extra_tags"
    ),
    "a CSV header with a column twice": Refusal(
        [csv(row()).replace(b"check,", b"error,")], UnreadableArtefact, "the CSV header of r0.json is not", "expected"
    ),
    "a CSV header with a byte 0": Refusal(
        [csv(row()).replace(b"check,", b"che\0ck's,")], UnreadableArtefact, "the CSV header of r0.json", "expected"
    ),
    "a line of 50 MB": Refusal(
        [ndjson(point(), raw_point(tags=f'{{"a":"{"x" * 50_000_000}"}}'))],
        ArtefactTooLarge, "a line of r0.json is longer than 16 MiB", "upload the file that k6 wrote",
    ),
    "50 MB in one line": Refusal([b"{" + b" " * 50_000_000], ArtefactTooLarge, "has|is a JSON document of", "k6's"),
    "gzip of which nothing can be read": Refusal(
        [EVENT[:10] + b"\xff" * 100], UnreadableArtefact, "damaged gzip stream", "check that k6 ran"
    ),
    "a gzip bomb of line ends": Refusal(
        [gzip.compress(ndjson(point()) + b"\n" * (4 * MIB))],
        ArtefactTooLarge, "r0.json inflates more than 200 times", "upload the file that k6 wrote",
        Limits(gzip_free_bytes=MIB),
    ),
    "a gzip bomb under the ratio": Refusal(
        [EVENT], ArtefactTooLarge, "r0.json inflates to more than 1,048,576 bytes", "split", Limits(plain_bytes=MIB)
    ),
    "a file over the size limit": Refusal(
        [EVENT], ArtefactTooLarge, "r0.json has 43,566 bytes; at most 40,000", ".gz", Limits(artefact_bytes=40_000)
    ),
    "two runs, one after the other": Refusal(
        [plain("event.json.gz") + plain("event-full.json.gz")],
        BadInput, "r0.json holds several runs one after the other", "upload each run on its own",
    ),
    "two gzipped runs, one after the other": Refusal(
        [PART_1 + PART_2], BadInput, "the definition of checks comes 2 times", "as separate files of one upload"
    ),
    "two runs as CSV, one after the other": Refusal(
        [csv(row()) + csv(row())], BadInput, "the CSV header comes 2 times", "upload each run on its own"
    ),
    "two runs as two parts": Refusal(
        [EVENT, PART_1], BadInput, "r0.json and r1.json are two different runs: the first ended 56 s", "on its own"
    ),
    "two runs as two parts without test ids": Refusal(
        [ndjson(point(time="2026-11-20T08:00:00Z")), ndjson(point(time="2026-11-20T09:00:00Z"))],
        BadInput, "r0.json and r1.json are two different runs: the first ended 3,600 s before", "overlap in time",
    ),
    "the same part twice": Refusal([PART_1, PART_1], BadRequest, "r1.json and r0.json are the same", "each part once"),
    "a good part and a bad one": Refusal([PART_1, b"<html>"], UnreadableArtefact, "r1.json is not k6 output", "k6's"),
    "a good run and a bad summary": Refusal(
        [EVENT + b"\0", b'{"metrics":'], UnreadableArtefact, "r1.json is not valid JSON", "when the test ends"
    ),
    "more parts than a run has": Refusal(
        [PART_1, PART_2, EVENT], BadRequest, "3 files were given; a run has at most 2", "on its own", Limits(parts=2)
    ),
    "nothing": Refusal([], BadRequest, "no file was given", "phasegate ingest"),
}  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSED.values(), ids=REFUSED)
def test_input_that_cannot_be_used_is_refused_and_leaves_nothing(bench: Bench, refusal: Refusal) -> None:
    before = bench.holdings()
    with pytest.raises(BadInput, match=refusal.said) as refused:
        bench.ingest(*refusal.files, limits=refusal.limits)
    assert type(refused.value) is refusal.error
    assert refusal.advice in (refused.value.help or "")
    assert bench.holdings() == before


@pytest.mark.parametrize("name", ["a line of 50 MB", "two gzipped runs, one after the other"])
def test_a_workers_refusal_arrives_as_it_was_raised(bench: Bench, name: str) -> None:
    refusal, before = REFUSED[name], bench.holdings()
    uploads = [bench.upload(content, f"r{i}.json") for i, content in enumerate(refusal.files)]
    with pytest.raises(BadInput, match=refusal.said) as refused:
        Ingestor(bench.store).ingest(uploads, RunMeta())
    assert type(refused.value) is refusal.error
    assert refusal.advice in (refused.value.help or "")
    assert bench.holdings() == before


MARKED = {
    "cut in the middle of a line": (plain("event.json.gz")[:-40], "truncated"),
    "gzip cut short": (EVENT[:-5000], "truncated"),
    "gzip that a killed k6 left": ((FILES / "killed.json.gz").read_bytes(), "truncated"),
    "garbage after the gzip stream": (EVENT + b"garbage", "truncated"),
    "damage in the middle of the gzip stream": (EVENT[:20_000] + b"\xff" * 100 + EVENT[20_100:], "truncated"),
    "lines that are not k6's": (ndjson(point(), "hello", point()), "malformed_lines"),
    "a sample without a value": (ndjson(point(), raw_point("NaN")), "malformed_lines"),
    "invalid UTF-8": (ndjson(point(), point(2, tags={"a": "X"})).replace(b"X", b"\xff"), "malformed_lines"),
    "CSV cut in its last row": (csv(row("1"), row("2"))[:-30], "truncated"),
}


@pytest.mark.parametrize(("content", "code"), MARKED.values(), ids=MARKED)
def test_what_can_be_read_is_kept_and_the_run_is_suspect(bench: Bench, content: bytes, code: str) -> None:
    record = bench.record(content)
    assert record.run.points == sum(one.n for one in record.series) > 0
    found = {finding.code: finding for finding in find(record).findings}
    assert found[code].severity == "suspect"


FINE = {
    "several gzip members": gzip.compress(plain("event.json.gz")[:9999]) + gzip.compress(plain("event.json.gz")[9999:]),
    "nesting inside a k6 line": ndjson(raw_point(tags='{"a":' + DEEP + "}")),
    "NUL in a tag": ndjson(raw_point(tags='{"a":"\\u0000"}')),
    "an unknown kind of line": ndjson(point(), '{"type":"Trace","metric":"x"}'),
}


@pytest.mark.parametrize("content", FINE.values(), ids=FINE)
def test_what_is_only_unusual_is_no_finding(bench: Bench, content: bytes) -> None:
    assert not {f.code for f in find(bench.record(content)).findings} - {"no_requests", "end_unknown"}


def test_a_summary_of_another_run_is_told(bench: Bench) -> None:
    files = ("event-full.json.gz", "event.summary-export.json")
    record = bench.record(*((FILES / name).read_bytes() for name in files))
    (finding,) = (f for f in find(record).findings if f.code == "summary_mismatch")
    assert finding.severity == "suspect"
    assert "the summary is not of these samples: it has data_received count = 56,292" in finding.message


def test_its_own_summary_is_no_mismatch_in_json_or_csv(bench: Bench) -> None:
    summary = (FILES / "event.summary-export.json").read_bytes()
    for name in ("event.json.gz", "event.unix_milli.csv.gz"):
        assert not find(bench.record((FILES / name).read_bytes(), summary)).findings


def test_a_summary_alone_is_a_run_of_its_own(bench: Bench) -> None:
    record = bench.record((FILES / "event.summary-export.json").read_bytes())
    assert (record.run.requests, record.run.points, record.series) == (307, 0, ())
    assert record.run.duration_s == pytest.approx(10.327827697)


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def unreadable(_path: Path) -> Path:
    return Path("/proc/self/mem")  # a file that even root cannot read from its beginning


def not_permitted(path: Path) -> Path:
    path.write_bytes(EVENT)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read everything")
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


PLACES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a folder": (folder, "r.json is not a file, but a folder or a device"),
    "a pipe": (pipe, "r.json is not a file, but a folder or a device"),
    "a device": (lambda _: Path("/dev/zero"), "r.json is not a file, but a folder or a device"),
    "nothing there": (lambda path: path, "there is no file r.json"),
    "a name longer than any": (lambda path: path / ("x" * 5000), "r.json cannot be read: File name too long"),
    "a file that cannot be read": (unreadable, "r.json cannot be read: "),
    "a file that may not be read": (not_permitted, "r.json cannot be read: "),
}


@pytest.mark.parametrize(("make", "said"), PLACES.values(), ids=PLACES)
def test_a_path_that_is_no_readable_file_is_refused(
    bench: Bench, tmp_path: Path, make: Callable[[Path], Path], said: str
) -> None:
    before = bench.holdings()
    with pytest.raises(UnreadableArtefact, match=said) as refused:
        bench.ingest(Upload(make(tmp_path / "r.json"), "r.json"))
    assert refused.value.help
    assert bench.holdings() == before


@pytest.mark.parametrize("name", ["../../x", "a'b\"c\n", "x" * 300, "", "\x1b[31m"])
def test_a_hostile_name_is_only_a_name(bench: Bench, name: str) -> None:
    runs = bench.store.count_runs()
    record = bench.record(bench.upload(ndjson(point(tags={"name": name[:9]}), point(len(name))), name))
    assert record.artefacts[0].name == name
    assert bench.store.count_runs() == runs + 1
    assert sorted(path.name for path in bench.store.home.iterdir()) == ["blocks", "catalog.duckdb", "spool"]


@pytest.mark.parametrize("name", ["r'x.json", 'r"\nx.json', "r[1]*?.json", "-r x.json"])
def test_a_file_of_any_name_is_read(bench: Bench, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(ndjson(point(tags={"file": name})))
    (one,) = bench.record(Upload(path, name)).series
    assert one.tags["file"] == name
