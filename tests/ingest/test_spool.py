"""Uploads on their way in: limited, named by what they hold, and gone when they fail."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3

from data.errors import ArtefactTooLarge, BadRequest, NotFound
from ingest.spool import Spool, Spooled

DAY_S = 24 * 3600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def spool(folder: Path) -> Spool:
    return Spool(folder, 100)


def put(spool: Spool, content: bytes, suffix: str = "") -> Spooled:
    with spool.receive() as incoming:
        for at in range(0, len(content), 7):
            incoming.write(content[at : at + 7])
        return incoming.finish(suffix)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("content", [b"", b"x", b"0123456789" * 10])
def test_what_arrives_is_kept_under_its_digest(spool: Spool, folder: Path, content: bytes) -> None:
    kept = put(spool, content)
    digest = blake3(content).hexdigest()
    assert kept == Spooled(folder / digest, digest, len(content)) == spool.find(digest)
    assert kept.path.read_bytes() == content
    assert names(folder) == [digest]


def test_the_same_bytes_again_are_the_same_file(spool: Spool, folder: Path) -> None:
    assert put(spool, b"x") == put(spool, b"x")
    assert len(names(folder)) == 1


def test_with_a_suffix_it_is_nobody_elses(spool: Spool) -> None:
    kept = put(spool, b"x", ".mine")
    assert kept.path.name == f"{kept.digest}.mine"
    with pytest.raises(NotFound):
        spool.find(kept.digest)
    with pytest.raises(NotFound):
        spool.find(kept.path.name)


def test_one_byte_over_the_limit_is_refused_and_nothing_is_left(spool: Spool, folder: Path) -> None:
    with pytest.raises(ArtefactTooLarge, match="larger than 100 bytes") as refused:
        put(spool, b"x" * 101)
    assert refused.value.help
    assert names(folder) == []


def test_an_upload_that_breaks_off_leaves_nothing(spool: Spool, folder: Path) -> None:
    def broken() -> None:
        with spool.receive() as incoming:
            incoming.write(b"half")
            assert len(names(folder)) == 1
            raise BadRequest("the client is gone")

    with pytest.raises(BadRequest):
        broken()
    with spool.receive() as incoming:
        incoming.write(b"never finished")
    assert names(folder) == []


def test_an_upload_that_has_not_finished_cannot_be_found(spool: Spool) -> None:
    with spool.receive() as incoming:
        incoming.write(b"x")
        with pytest.raises(NotFound, match="no uploaded artefact"):
            spool.find(blake3(b"x").hexdigest())


NO_DIGESTS = [
    "", ".", "..", "../catalog.duckdb", "/etc/passwd", "a" * 63, "a" * 64, "A" * 64, "a" * 64 + "\n", "a\0b",
    "x" * 99_999,
]  # fmt: skip


@pytest.mark.parametrize("digest", NO_DIGESTS, ids=range(len(NO_DIGESTS)))
def test_only_a_digest_finds_something(spool: Spool, folder: Path, digest: str) -> None:
    (folder.parent / "catalog.duckdb").write_bytes(b"secret")
    with pytest.raises(NotFound) as missing:
        spool.find(digest)
    assert len(missing.value.message) < 200
    assert missing.value.help


def test_what_nobody_claimed_within_a_day_is_removed(spool: Spool, folder: Path) -> None:
    old, young = put(spool, b"old"), put(spool, b"young")
    os.utime(old.path, (time.time() - DAY_S - 60,) * 2)
    os.utime(young.path, (time.time() - DAY_S + 60,) * 2)
    newest = put(spool, b"newest")
    assert set(names(folder)) == {young.digest, newest.digest}


def test_many_uploads_at_once_do_not_disturb_each_other(spool: Spool, folder: Path) -> None:
    for number in range(200):
        put(spool, b"old %d" % number)
    for path in folder.iterdir():
        os.utime(path, (time.time() - DAY_S - 60,) * 2)
    together = threading.Barrier(8)

    def upload(number: int) -> Spooled:
        together.wait()
        return put(spool, b"%d" % (number % 4))

    with ThreadPoolExecutor(8) as threads:
        kept = list(threads.map(upload, range(8)))
    assert set(names(folder)) == {one.digest for one in kept}
    assert len(names(folder)) == 4
