"""Blocks on disk: there whole or not at all, and checked against what they were made of."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings

from data import blocks
from data.errors import StoreError
from data.model import RunRecord
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


def test_a_stray_block_of_the_same_run_gives_way(block: Path, tmp_path: Path) -> None:
    target = tmp_path / "there"
    target.mkdir()
    (target / "part-9.parquet").write_bytes(b"stray")
    blocks.publish(block, target)
    assert not (target / "part-9.parquet").exists()


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
