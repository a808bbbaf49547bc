"""What may be secret in k6's output is nowhere in the store, and in no log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import orjson
import pytest
from structlog.testing import capture_logs

from data.errors import PhasegateError
from data.model import RunMeta
from data.store import Store
from ingest.service import Ingestor
from tests.ingest.test_summary import machine_readable
from tests.ingesting import Bench
from tests.k6_output import FILES, csv, ndjson, point, row

CANARY = "canary-4f1c"
URL = f"https://user:{CANARY}@h.example/a/b?token={CANARY}#{CANARY}"


def handle_summary() -> bytes:
    document = orjson.loads((FILES / "event.handle-summary.json").read_bytes())
    return orjson.dumps(document | {"setup_data": {"token": CANARY, "nested": [{"password": CANARY}]}})


def export() -> bytes:
    document = orjson.loads((FILES / "event.summary-export.json").read_bytes())
    return orjson.dumps(document | {"setup_data": CANARY})


UPLOADS = {
    "URLs in tags": [ndjson(point(tags={"name": URL, "url": URL, "error": f"Get {URL}: refused"}), point())],
    "a URL in the url tag alone": [ndjson(point(tags={"url": URL}))],
    "URLs in CSV": [csv(row(name=URL, extra=f"referer={URL.partition('#')[0]}"))],
    "metadata": [ndjson(point().replace('"data": {', f'"data": {{"metadata": {{"token": "{CANARY}"}}, '))],
    "setup_data in the export": [export()],
    "setup_data in the data of handleSummary": [handle_summary()],
    "the script and setup_data": [orjson.dumps(machine_readable(camel=False)).replace(b"canary-4f1c", CANARY.encode())],
    "all of them beside their samples": [(FILES / "event.json.gz").read_bytes(), export(), handle_summary()],
}


def bytes_of(home: Path) -> Iterator[bytes]:
    """Everything a store holds: its files as they are, and their tables as text, since both formats compress."""
    for path in home.rglob("*"):
        if path.is_file():
            yield path.read_bytes()
        if path.suffix == ".parquet":
            yield repr(duckdb.sql(f"FROM read_parquet('{path}')").fetchall()).encode()
    with duckdb.connect(home / "catalog.duckdb", read_only=True) as catalog:
        for (table,) in catalog.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            yield repr(catalog.execute(f"FROM {table}").fetchall()).encode()


def test_a_canary_is_not_found_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "store")
    bench = Bench(store, tmp_path)
    with capture_logs() as logs:
        for name, files in UPLOADS.items():
            assert any(CANARY.encode() in content for content in files), name
            bench.ingest(*files)
        again = [bench.upload(content + b"\n", "again.json") for content in UPLOADS["URLs in tags"]]
        Ingestor(store).ingest(again, RunMeta())
    store.close()
    held = list(bytes_of(tmp_path / "store"))
    assert any(b"http_req_duration" in one for one in held), "the search can find something"
    assert not any(CANARY.encode() in one for one in held)
    assert CANARY not in repr(logs) + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "content",
    [
        f'{{"setup_data":"{CANARY}"'.encode(),
        f'{{"setup_data":"{CANARY}"}}'.encode(),
        ndjson(point(tags={"url": URL}).replace("1.5", "NaN")),
        ndjson(*(point(tags={"url": URL}, metric=f"m{i}") for i in range(2001))),
    ],
    ids=["JSON cut short", "another document", "no sample", "too many metrics"],
)
def test_an_error_does_not_quote_what_it_is_about(bench: Bench, content: bytes) -> None:
    with capture_logs() as logs, pytest.raises(PhasegateError) as refused:
        bench.ingest(content)
    assert CANARY not in str(refused.value) + repr(logs)
