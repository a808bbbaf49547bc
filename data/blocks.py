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


_manifest = TypeAdapter(Manifest)


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
        raise StoreError(f"block {folder.name} has no readable manifest", help="ingest the run again") from error


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


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
