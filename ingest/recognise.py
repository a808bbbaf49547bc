"""What is this file? Answered from its first bytes, never from its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import orjson

from data.errors import UnreadableArtefact
from ingest.inflate import head
from ingest.junit import ROOTS, root_of

if TYPE_CHECKING:
    from pathlib import Path

Shape = Literal["k6-json", "k6-csv", "json-document", "junit-xml"]

_HEAD = 1 << 20
_BOM = b"\xef\xbb\xbf"
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"<", "HTML or XML, perhaps an error or login page saved in place of the file"),
    (b"PK\x03\x04", "a zip archive; upload the file inside"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; upload it plain or as gzip"),
    (b"BZh", "compressed with bzip2; upload it plain or as gzip"),
    (b"\xfd7zXZ", "compressed with xz; upload it plain or as gzip"),
    (b"PAR1", "a Parquet file"),
    (b"\xff\xfe", "UTF-16 text; k6 writes UTF-8"),
    (b"\xfe\xff", "UTF-16 text; k6 writes UTF-8"),
    (b"[", "a JSON array; k6 writes one object per line"),
)
_LINES_TRIED = 50


def recognise(path: Path, name: str) -> Shape:
    """The shape of a file: k6 NDJSON, k6 CSV, one JSON document (some summary), or a report of tests.

    Raises:
        UnreadableArtefact: it is none of these; the message says what it looks like.
    """
    whole = head(path, _HEAD)
    start = whole.removeprefix(_BOM).lstrip()
    if not start:
        empty = path.stat().st_size == 0
        raise UnreadableArtefact(
            f"{name} is {'empty' if empty else 'blank or a damaged gzip stream'}",
            help="check that k6 ran and wrote its output: k6 run --out json=results.json.gz script.js; of a "
            "report, that the tests did",
        )
    root = root_of(whole)
    if root in ROOTS:
        return "junit-xml"
    if start.startswith(b"metric_name,"):
        return "k6-csv"
    lines = start.splitlines()
    if any(_is_k6_line(line) for line in lines[:_LINES_TRIED]):
        return "k6-json"
    # The start of a k6 line longer than what was looked at, or the only one and cut short.
    if len(lines) == 1 and start.startswith((b'{"type":"Metric"', b'{"metric":"')):
        return "k6-json"
    if start.startswith(b"{"):
        return "json-document"
    looks_like = next((what for magic, what in _FOREIGN if start.startswith(magic)), "neither JSON nor k6's CSV")
    raise UnreadableArtefact(
        f"{name} is not k6 output: it looks like {looks_like}",
        help="expected k6's --out json, --out csv, --summary-export or handleSummary data, plain or gzip; "
        "beside them JUnit XML, whose root is <testsuites> or <testsuite>",
    )


def _is_k6_line(line: bytes) -> bool:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(document, dict) and document.get("type") in {"Point", "Metric"} and "metric" in document
