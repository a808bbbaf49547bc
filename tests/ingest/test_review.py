"""What honest and hostile files must never cost: rows without a word, memory without bound, foreign errors."""

from __future__ import annotations

import errno
from pathlib import Path

import duckdb
import orjson
import pytest

from data.errors import BadInput, NoSpace, PhasegateError, StoreError, UnreadableArtefact
from data.model import RunMeta
from ingest.collapse import collapse
from ingest.limits import Limits
from ingest.record import Identity
from ingest.service import Upload
from ingest.spool import Spool
from ingest.tags import canonical
from ingest.worker import Job, JobFile, explained
from tests.builders import START
from tests.ingesting import Bench
from tests.k6_output import CSV_HEADER, Tags, csv, ndjson, point, row

UNCLOSED = 'http_req_duration,1763710792,1.0,"x,,,true,,GET,/x,HTTP/1.1,default,,200,,,,,'
CLOSED = UNCLOSED.replace('"x', 'x"')


@pytest.mark.parametrize("closing", [[], [CLOSED]], ids=["never closed", "closed later"])
def test_a_quote_swallows_no_line_without_a_word(bench: Bench, closing: list[str]) -> None:
    rows = [row(str(i)) for i in range(300)]
    (found,) = bench.record(csv(*rows[:100], UNCLOSED, *rows[100:200], *closing, *rows[200:])).artefacts
    assert found.lines == 301 + len(closing)
    assert found.malformed_lines == found.lines - found.points > 100


def test_blank_lines_are_no_lost_rows(bench: Bench) -> None:
    (found,) = bench.record(csv(row("1"), "", row("2"), "", "", end="\n\n\n")).artefacts
    assert (found.lines, found.points, found.malformed_lines) == (2, 2, 0)


HEADERS = {
    "an empty column": CSV_HEADER.replace("check", ""),
    "a column of blanks": CSV_HEADER.replace("check", " "),
    "a column that comes twice": CSV_HEADER.replace("check", "URL"),
    "thousands of columns": CSV_HEADER.replace("check", ",".join(f"c{i}" for i in range(5000))),
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_csv_header_that_k6_would_not_write_is_refused(bench: Bench, header: str) -> None:
    with pytest.raises(UnreadableArtefact, match=r"the CSV header of r0\.json is not k6's"):
        bench.ingest(csv(row(), header=header))


FEW = Limits(tag_texts=1000, series=500)


def test_urls_beside_names_and_queries_are_no_reason_to_collapse(bench: Bench) -> None:
    tags: list[Tags] = [{"name": f"/{i % 7}?token=a&b={i}", "url": f"http://h/{i}?t={i}"} for i in range(5000)]
    record = bench.store.record(bench.ingest(ndjson(*(point(tags=one) for one in tags)), limits=FEW).run.id)
    assert sorted(one.tags["name"] for one in record.series) == [f"/{i}" for i in range(7)]
    assert record.artefacts[0].collapsed_tags == {}


def test_only_the_tags_with_most_values_are_collapsed_and_their_values_counted(bench: Bench) -> None:
    tags: list[Tags] = [{"a/b~": str(i), 'q"': str(i % 4000), "method": "GET" if i % 2 else "PUT"} for i in range(6000)]
    record = bench.store.record(bench.ingest(ndjson(*(point(tags=one) for one in tags)), limits=FEW).run.id)
    assert record.artefacts[0].collapsed_tags == {"a/b~": 6000, 'q"': 4000}
    assert [(one.tags["method"], one.n) for one in record.series] == [("GET", 3000), ("PUT", 3000)]


def test_keys_without_bound_leave_no_tags(bench: Bench) -> None:
    lines = [point(tags={f"key-{i}": "x"}) for i in range(5000)]
    (one,) = bench.store.record(bench.ingest(ndjson(*lines), limits=FEW).run.id).series
    assert (one.tags, one.n) == ({}, 5000)


def test_tags_in_memory_are_bounded_whatever_they_are(tmp_path: Path) -> None:
    texts = [orjson.dumps({"name": f"/{i}", "id": str(i), "n": i}).decode() for i in range(3000)] + ["[1", "x", "{}"]
    connection, staged = duckdb.connect(), tmp_path / "run[1]?.parquet"
    connection.execute(f"COPY (SELECT 0 AS kind, unnest($t) AS tags) TO '{staged}' (FORMAT parquet)", {"t": texts})
    (path,), collapsed = collapse(connection, [staged], 100)
    assert collapsed == {"name": 3000, "id": 3000, "n": 3000}
    left = connection.execute("SELECT DISTINCT tags FROM read_parquet($p)", {"p": str(path)}).fetchall()
    assert {canonical(text, 99) for (text,) in left} == {(), tuple((key, "(many)") for key in ("id", "n", "name"))}


@pytest.mark.parametrize("name", ["r?.json", "[1].json", "r*.json"])
def test_a_name_is_no_pattern(bench: Bench, tmp_path: Path, name: str) -> None:
    for other in ("r1.json", "1.json"):
        (tmp_path / other).write_bytes(ndjson(*(point() for _ in range(9))))
    (tmp_path / name).write_bytes(ndjson(point(7, tags={"name": name})))
    assert bench.record(Upload(tmp_path / name, name)).run.points == 1


@pytest.mark.parametrize("key", ["name", "url"])
@pytest.mark.parametrize(
    ("written", "kept"), [("/login?token=s3cret", "/login"), ("a b?c=d e", "a b e"), ("ok? ", "ok? ")]
)
def test_addresses_lose_their_query_without_a_host_too(key: str, written: str, kept: str) -> None:
    assert canonical(orjson.dumps({key: written}).decode(), 512) == ((key, kept),)


JOB = Job(Path(), (JobFile(Path(), "r.json", "", "k6-json"),), Identity("", "", RunMeta(), START), Limits())
FOREIGN: list[tuple[duckdb.Error | OSError | MemoryError, type[PhasegateError]]] = [
    (OSError(errno.ENOSPC, "No space left on device"), NoSpace),
    (duckdb.IOException("IO Error: Could not write: No space left on device"), NoSpace),
    (duckdb.OutOfMemoryException("set max_temp_directory_size to go on"), NoSpace),
    (duckdb.OutOfMemoryException("SET threads=1 to go on"), BadInput),
    (MemoryError(), BadInput),
    (OSError(errno.EIO, "Input/output error"), StoreError),
    (duckdb.ParserException("Parser Error: LINE 1"), UnreadableArtefact),
    (duckdb.ConversionException("Conversion Error: LINE 1"), UnreadableArtefact),
]


@pytest.mark.parametrize(("error", "told"), FOREIGN, ids=lambda value: getattr(value, "__name__", repr(value)))
def test_errors_of_the_machinery_are_told_in_our_words(
    error: duckdb.Error | OSError | MemoryError, told: type[PhasegateError]
) -> None:
    found = explained(error, JOB)
    assert type(found) is told
    assert "r.json" in found.message
    assert not str(error) or str(error) not in str(found)


def test_an_upload_onto_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1 << 20)
    with Path("/dev/full").open("wb", buffering=0) as full:

        def upload() -> None:
            with spool.receive() as incoming:
                incoming._file = full
                incoming.write(b"x")

        with pytest.raises(NoSpace, match="no room for the upload"):
            upload()
    assert not list(tmp_path.iterdir())
    assert NoSpace.http_status == 507
