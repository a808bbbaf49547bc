"""Sample blocks on disk: immutable, one folder per run, there whole or not at all.

::

    blocks/<run id>/manifest.json      the run's record (``data.model.RunRecord``) and the checksum of every part
                    part-0.parquet     series_id BIGINT, t TIMESTAMPTZ, v DOUBLE; sorted by series and time; zstd

A block is built in the spool, made durable, and renamed into place. The rename is the moment it exists: the catalog
follows, at once or when the store is opened next.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import blake3
from pydantic import TypeAdapter, ValidationError

from data.errors import StoreError
from data.model import RunRecord

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "manifest.json"
PARTS = "part-*.parquet"
_CHUNK = 1 << 20


def part_name(number: int) -> str:
    """The file name of a part."""
    return f"part-{number}.parquet"


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` holds: the record, and BLAKE3 checksums by part name."""

    record: RunRecord
    checksums: dict[str, str]


@dataclass(frozen=True)
class _Parts:
    """The little of a manifest that a question to the samples needs."""

    checksums: dict[str, str]


_manifest = TypeAdapter(Manifest)
_parts = TypeAdapter(_Parts)


def write_manifest(folder: Path, record: RunRecord) -> None:
    """Finish the block in ``folder``: checksum its parts, write the manifest, make everything durable."""
    parts = sorted(folder.glob(PARTS))
    manifest = Manifest(record, {part.name: file_digest(part) for part in parts})
    (folder / MANIFEST).write_bytes(_manifest.dump_json(manifest))
    for path in (*parts, folder / MANIFEST, folder):
        _sync(path)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a block.

    Raises:
        StoreError: it is absent or damaged.
    """
    try:
        return _manifest.validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise _unreadable(folder) from error


def is_finished(folder: Path) -> bool:
    """Was the block written to its end? Its manifest comes last, whatever has become of it since."""
    return os.path.lexists(folder / MANIFEST)


def read_whole(folder: Path) -> Manifest:
    """The manifest of a block whose folder holds what the manifest says, and nothing else: every part, unchanged.

    Raises:
        StoreError: it does not.
    """
    manifest = read_manifest(folder)
    if manifest.record.run.id != folder.name:
        raise StoreError(f"block {folder.name} is of run {manifest.record.run.id}", help="remove the copy")
    try:
        checksums = {part.name: file_digest(part) for part in folder.glob(PARTS)}
    except OSError as error:
        raise StoreError(f"block {folder.name} cannot be read: {error.strerror}", help="check the disk") from error
    if checksums != manifest.checksums:
        raise StoreError(f"the parts of block {folder.name} are not those it was made of", help="ingest the run again")
    return manifest


def parts(folder: Path) -> list[Path]:
    """The parts of a block, every one of them there.

    Raises:
        StoreError: the manifest or a part is missing.
    """
    try:
        found = [folder / name for name in _parts.validate_json((folder / MANIFEST).read_bytes()).checksums]
    except (OSError, ValidationError) as error:
        raise _unreadable(folder) from error
    if missing := [part.name for part in found if not part.is_file()]:
        raise damaged(folder.name) from FileNotFoundError(missing[0])
    return found


def damaged(run_id: str) -> StoreError:
    """What to say of a block that cannot be read."""
    return StoreError(f"the sample block of run {run_id} is damaged", help="ingest the run again")


def publish(folder: Path, target: Path) -> None:
    """Move a finished block into place; a stray one of the same run (a crash before its commit) gives way."""
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(target)
    _sync(target.parent)


def file_digest(path: Path) -> str:
    """BLAKE3 of a file, as hex. The next chunk is read while one is hashed: both take about as long."""
    hasher = blake3.blake3()
    with path.open("rb", buffering=0) as file, ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(file.read, _CHUNK)
        while chunk := coming.result():
            coming = reader.submit(file.read, _CHUNK)
            hasher.update(chunk)
    return hasher.hexdigest()


def _unreadable(folder: Path) -> StoreError:
    return StoreError(f"block {folder.name} has no readable manifest", help="ingest the run again")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
