"""Blocks on disk: there whole or not at all, and checked against what they were made of."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings

from data import blocks
from data.errors import NoSpace, StoreError
from data.model import RunMeta, RunRecord
from tests import builders
from tests.data.records import records

RECORD = builders.record()


@pytest.fixture
def block(tmp_path: Path) -> Path:
    """A finished block of two parts."""
    folder = tmp_path / RECORD.run.id
    folder.mkdir()
    for number in (0, 1):
        (folder / blocks.part_name(number)).write_bytes(b"PAR1 %d" % number)
    blocks.write_manifest(folder, RECORD)
    return folder


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=records)
def test_a_manifest_comes_back_as_it_was(tmp_path: Path, record: RunRecord) -> None:
    blocks.write_manifest(tmp_path, record)
    assert blocks.read_manifest(tmp_path) == blocks.Manifest(record, {})


def test_a_manifest_has_the_checksum_of_every_part(block: Path) -> None:
    checksums = blocks.read_manifest(block).checksums
    assert checksums == {f"part-{i}.parquet": blake3(b"PAR1 %d" % i).hexdigest() for i in (0, 1)}


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20])
def test_the_digest_of_a_file_is_blake3_of_its_bytes(tmp_path: Path, size: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    assert blocks.file_digest(path) == blake3(path.read_bytes()).hexdigest()


def test_a_published_block_is_in_its_place_and_nowhere_else(block: Path, tmp_path: Path) -> None:
    target = tmp_path / "blocks" / "there"
    blocks.publish(block, target)
    assert not block.exists()
    assert sorted(path.name for path in target.iterdir()) == ["manifest.json", "part-0.parquet", "part-1.parquet"]


def test_the_remains_of_a_deleted_block_give_way(block: Path, tmp_path: Path) -> None:
    target = tmp_path / "there"
    target.mkdir()
    (target / "part-9.parquet").write_bytes(b"stray")
    blocks.publish(block, target)
    assert not (target / "part-9.parquet").exists()


@pytest.mark.parametrize("manifest", [b"", b"of tomorrow"])
def test_a_finished_block_is_never_replaced(block: Path, tmp_path: Path, manifest: bytes) -> None:
    target = tmp_path / "there"
    target.mkdir()
    (target / "manifest.json").write_bytes(manifest)
    with pytest.raises(StoreError, match="there is a block of run there already") as refused:
        blocks.publish(block, target)
    assert str(target) in (refused.value.help or "")
    assert (target / "manifest.json").read_bytes() == manifest
    assert blocks.read_whole(block).record == RECORD, "it is where it was"


DISK = {errno.ENOSPC: NoSpace, errno.EDQUOT: NoSpace, errno.EIO: StoreError, errno.EROFS: StoreError}


@pytest.mark.parametrize("number", DISK)
def test_a_block_that_may_not_last_is_not_published(
    block: Path, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> None:
        raise OSError(number, os.strerror(number))

    target = tmp_path / "blocks" / "there"
    monkeypatch.setattr(blocks, "_sync", refuse)
    with pytest.raises(DISK[number], match="store run there") as refused:
        blocks.publish(block, target)
    assert refused.value.help
    assert not target.exists()
    assert blocks.read_whole(block).record == RECORD


@pytest.mark.parametrize("number", DISK)
def test_what_the_disk_refuses_is_an_error_of_ours(number: int) -> None:
    with pytest.raises(DISK[number], match="to walk"), blocks.at_disk("walk"):
        raise OSError(number, os.strerror(number))


def test_amendments_lie_beside_the_manifest_and_are_read_with_it(block: Path) -> None:
    assert blocks.amendments(block) is None
    manifest = (block / "manifest.json").read_bytes()
    for meta in (RunMeta(commit="abc"), RunMeta(commit="abc", service="shop", exit_code=0, labels={"größe": "1"})):
        blocks.amend(block, meta)
        assert blocks.amendments(block) == meta
    found = blocks.read_whole(block).record
    assert found == replace(RECORD, run=replace(RECORD.run, meta=meta, services=("shop",)))
    assert (block / "manifest.json").read_bytes() == manifest
    assert sorted(path.name for path in block.iterdir()) == [
        "amendments.json", "manifest.json", "part-0.parquet", "part-1.parquet",
    ]  # fmt: skip


def broken(_path: Path) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_an_amendment_that_breaks_off_leaves_what_was_said_before(block: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks.amend(block, RunMeta(commit="before"))
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "_sync", broken)
        with pytest.raises(StoreError, match=f"amend run {block.name}"):
            blocks.amend(block, RunMeta(commit="after"))
    assert blocks.amendments(block) == RunMeta(commit="before")
    blocks.amend(block, RunMeta(commit="after"))
    assert blocks.amendments(block) == RunMeta(commit="after")


def test_a_block_that_is_not_there_is_not_amended(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the sample block of run gone is missing"):
        blocks.amend(tmp_path / "gone", RunMeta())
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"exit_code": "many"}'])
def test_amendments_that_cannot_be_read_say_so(block: Path, content: bytes) -> None:
    (block / "amendments.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"amendments\.json of block 0123456789ab cannot be read"):
        blocks.read_whole(block)


def test_a_removed_block_is_gone_and_is_none_from_its_first_moment_on(
    block: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", broken)
        with pytest.raises(StoreError, match="remove the block"):
            blocks.remove(block)
    assert not blocks.is_finished(block)
    assert (block / "part-0.parquet").exists()
    for _ in range(2):  # a deletion may be asked for again
        blocks.remove(block)
        assert not block.exists()


def gone(block: Path) -> None:
    (block / "manifest.json").unlink()


def cut(block: Path) -> None:
    manifest = block / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:-10])


def of_another_shape(block: Path) -> None:
    (block / "manifest.json").write_text('{"record": {"run": 5}, "checksums": []}')


def a_folder(block: Path) -> None:
    gone(block)
    (block / "manifest.json").mkdir()


@pytest.mark.parametrize("damage", [gone, cut, of_another_shape, a_folder])
def test_a_manifest_that_cannot_be_read_says_so(block: Path, damage: Callable[[Path], None]) -> None:
    damage(block)
    with pytest.raises(StoreError, match=f"block {block.name} has no readable manifest") as damaged:
        blocks.read_manifest(block)
    assert damaged.value.help
    with pytest.raises(StoreError, match="has no readable manifest"):
        blocks.parts(block)


def a_part_gone(block: Path) -> None:
    (block / "part-1.parquet").unlink()


def a_part_changed(block: Path) -> None:
    (block / "part-1.parquet").write_bytes(b"PAR1 2")


def a_part_too_many(block: Path) -> None:
    (block / "part-2.parquet").write_bytes(b"PAR1 2")


@pytest.mark.parametrize("damage", [a_part_gone, a_part_changed, a_part_too_many])
def test_a_block_is_whole_only_with_the_parts_it_was_made_of(block: Path, damage: Callable[[Path], None]) -> None:
    assert blocks.read_whole(block).record == RECORD
    damage(block)
    with pytest.raises(StoreError, match="are not those it was made of"):
        blocks.read_whole(block)


def test_a_part_that_is_gone_is_missed(block: Path) -> None:
    assert [part.name for part in blocks.parts(block)] == ["part-0.parquet", "part-1.parquet"]
    a_part_gone(block)
    with pytest.raises(StoreError, match="is damaged"):
        blocks.parts(block)
