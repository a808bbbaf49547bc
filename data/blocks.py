"""Sample blocks on disk: immutable, one folder per run, there whole or not at all.

::

    blocks/<run id>/manifest.json      the run's record (``data.model.RunRecord``) and the checksum of every part
                    part-0.parquet     series_id BIGINT, t TIMESTAMPTZ, v DOUBLE; sorted by series and time; zstd
                    amendments.json    what is said of the run by now, if more was said after it was stored
                    decisions.json     what people decided about it, if anything
                    attachments.json   files kept with the run (``data.attachments``), if any
                    pulled.json        what Prometheus said of its time (``data.pulled``), if asked
                    pulled-0.parquet   those samples, as in a part; series ids below 0

A block is built in the spool, made durable, and renamed into place. The rename is the moment it exists: the catalog
follows, at once or when the store is opened next. Its end is the moment its manifest goes.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import blake3
from pydantic import TypeAdapter, ValidationError

from data.errors import FULL, NoSpace, StoreError
from data.model import Decision, Run, RunMeta, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = "manifest.json"
AMENDMENTS = "amendments.json"
DECISIONS = "decisions.json"
PARTS = "part-*.parquet"
_CHUNK = 1 << 20
_AGAIN = "delete the run (`phasegate runs delete`), then ingest it again"


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
_meta = TypeAdapter(RunMeta)
_decisions = TypeAdapter(list[Decision])


@contextmanager
def at_disk(action: str) -> Iterator[None]:
    """What the disk refuses while we ``action`` ("store run 7f3a91c2"), as an error of ours.

    Raises:
        NoSpace: it is full.
        StoreError: it fails otherwise.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise NoSpace(f"the disk has no room to {action}", help="make room, then try again") from error
        raise StoreError(f"the disk refuses to {action}: {error.strerror}", help="check the disk") from error


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
    """The manifest of a block that has every part, unchanged, and no other; its record as amended since.

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
        raise StoreError(f"the parts of block {folder.name} are not those it was made of", help=_AGAIN)
    if meta := amendments(folder):
        return replace(manifest, record=replace(manifest.record, run=amended(manifest.record.run, meta)))
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
    if gone := [part.name for part in found if not part.is_file()]:
        raise damaged(folder.name) from FileNotFoundError(gone[0])
    return found


def damaged(run_id: str) -> StoreError:
    """What to say of a block that cannot be read."""
    return StoreError(f"the sample block of run {run_id} is damaged", help=_AGAIN)


def missing(run_id: str) -> StoreError:
    """What to say of a block that is not there."""
    return StoreError(f"the sample block of run {run_id} is missing", help=_AGAIN)


def publish(folder: Path, target: Path) -> None:
    """Move a finished block into place, where the remains of a deleted one give way.

    Raises:
        StoreError: a finished block is there, or the disk fails; nothing has changed.
        NoSpace: the disk is full; nothing has changed.
    """
    if is_finished(target):
        raise StoreError(
            f"there is a block of run {target.name} already, and the catalog does not know it",
            help=f"open the store again, which takes in a whole block; one that is not whole must be moved: {target}",
        )
    with at_disk(f"store run {target.name}"):
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
        try:
            _sync(target.parent)
        except OSError:
            target.rename(folder)  # what may not last is not there
            raise


def remove(folder: Path) -> None:
    """Take a block away: its manifest first, so that from then on it is none, whatever interrupts this.

    Raises:
        StoreError: the disk fails.
    """
    if not folder.is_dir():
        return
    with at_disk(f"remove the block of run {folder.name}"):
        (folder / MANIFEST).unlink(missing_ok=True)
        _sync(folder)
        shutil.rmtree(folder)


def amend(folder: Path, meta: RunMeta) -> None:
    """Keep beside the manifest all that is said of its run by now; an interruption leaves what was said before.

    Raises:
        StoreError: there is no such block, or the disk fails.
        NoSpace: the disk is full.
    """
    keep(folder, AMENDMENTS, _meta.dump_json(meta))


def amendments(folder: Path) -> RunMeta | None:
    """All that is said of a block's run by now; ``None`` where it is what the manifest says.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        return _meta.validate_json((folder / AMENDMENTS).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise StoreError(f"{AMENDMENTS} of block {folder.name} cannot be read", help="repair or remove it") from error


def decide(folder: Path, decision: Decision) -> None:
    """Keep a decision beside the manifest, after those before it. Raises as :func:`amend` does."""
    keep(folder, DECISIONS, _decisions.dump_json([*decisions(folder), decision]))


def decisions(folder: Path) -> list[Decision]:
    """What was decided about a block's run, oldest first.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        return _decisions.validate_json((folder / DECISIONS).read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        raise StoreError(f"{DECISIONS} of block {folder.name} cannot be read", help="repair or remove it") from error


def keep(folder: Path, name: str, content: bytes) -> None:
    """Write a file beside the manifest, durably; an interruption leaves the one before.

    Raises as :func:`amend` does.
    """
    if not folder.is_dir():
        raise missing(folder.name)
    written = folder / f"{name}.new"
    with at_disk(f"amend run {folder.name}"):
        written.write_bytes(content)
        _sync(written)
        written.replace(folder / name)
        _sync(folder)


def amended(run: Run, meta: RunMeta) -> Run:
    """A run of which this is said: the service it was uploaded for is one of its services."""
    return replace(run, meta=meta, services=tuple(sorted({*run.services, *([meta.service] if meta.service else [])})))


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
    return StoreError(f"block {folder.name} has no readable manifest", help=_AGAIN)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
