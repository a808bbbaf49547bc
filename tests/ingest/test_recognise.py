"""A file is known by what it holds."""

import gzip
import re
from pathlib import Path

import pytest

from data.errors import UnreadableArtefact
from ingest.recognise import recognise
from tests.k6_output import FILES, csv, definition, ndjson, point, row


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("event.json.gz", "k6-json"),
        ("killed.json.gz", "k6-json"),
        ("event.unix.csv.gz", "k6-csv"),
        ("event.rfc3339_nano.csv.gz", "k6-csv"),
        ("event.summary-export.json", "json-document"),
        ("event.handle-summary.json", "json-document"),
    ],
)
def test_what_k6_wrote_is_recognised_under_any_name(tmp_path: Path, name: str, shape: str) -> None:
    renamed = tmp_path / "holiday.jpg"
    renamed.write_bytes((FILES / name).read_bytes())
    assert recognise(renamed, renamed.name) == shape


BEGINNINGS = {
    "with its definitions": (ndjson(point()), "k6-json"),
    "one sample": (point().encode(), "k6-json"),
    "cut in the first line": (definition().encode()[:30], "k6-json"),
    "a line longer than is looked at": (b'{"metric":"x","data":{"tags":{"a":"' + b"x" * 3_000_000, "k6-json"),
    "blank lines first": (b"\n\n" + ndjson(point()), "k6-json"),
    "a torn line first": (b"torn line\n" + ndjson(point()), "k6-json"),
    "byte order mark": (b"\xef\xbb\xbf" + ndjson(point()), "k6-json"),
    "byte order mark in CSV": (b"\xef\xbb\xbf" + csv(row()), "k6-csv"),
    "an empty gzip member first": (gzip.compress(b"") + gzip.compress(ndjson(point())), "k6-json"),
    "a gzip member that ends in the first line": (gzip.compress(b'{"ty') + gzip.compress(ndjson()[4:]), "k6-json"),
    "pretty-printed": (b'{\n  "metrics": {}\n}', "json-document"),
    "the beginning of something": (b"{", "json-document"),
}


@pytest.mark.parametrize(("content", "shape"), BEGINNINGS.values(), ids=BEGINNINGS)
def test_the_beginning_tells_the_shape(tmp_path: Path, content: bytes, shape: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    assert recognise(path, "f") == shape


FOREIGN = {
    "nothing": (b"", "f is empty"),
    "white space": (b" \n\t\r\n", "f is blank"),
    "gzip of nothing": (gzip.compress(b""), "f is blank"),
    "gzip cut in its beginning": (gzip.compress(ndjson(point()))[:12], "damaged gzip stream"),
    "gzip's first two bytes": (b"\x1f\x8b", "damaged gzip stream"),
    "HTML": (b"<!DOCTYPE html><title>Sign in</title>", "looks like HTML or XML, perhaps an error or login page"),
    "zip": (b"PK\x03\x04results.json", "looks like a zip archive; upload the file inside"),
    "zstd": (b"\x28\xb5\x2f\xfd....", "zstd"),
    "bzip2": (b"BZh91AY", "bzip2"),
    "xz": (b"\xfd7zXZ\x00", "xz"),
    "Parquet": (b"PAR1....", "a Parquet file"),
    "UTF-16": ("\ufeff{}".encode("utf-16-le"), "UTF-16"),
    "UTF-16 the other way": ("\ufeff{}".encode("utf-16-be"), "UTF-16"),
    "a JSON array": (b'[{"metric":"x","type":"Point"}]', "a JSON array; k6 writes one object per line"),
    "a deep JSON array": (b"[" * 100_000, "a JSON array"),
    "text": (b"http_reqs 5\n", "neither JSON nor k6's CSV"),
    "zeros": (b"\x00" * 4096, "neither JSON nor k6's CSV"),
    "gzip in gzip": (gzip.compress(gzip.compress(ndjson(point()))), "neither JSON nor k6's CSV"),
}


@pytest.mark.parametrize(("content", "said"), FOREIGN.values(), ids=FOREIGN)
def test_anything_else_is_named_for_what_it_looks_like(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    with pytest.raises(UnreadableArtefact, match=re.escape(said)) as refused:
        recognise(path, "f")
    assert "k6" in (refused.value.help or ""), "and what to do"
