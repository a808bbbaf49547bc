"""Files kept beside a run's block as they were sent: reports of tests, logs, whatever tells what happened there.

::

    blocks/<run id>/attachments.json      which there are (``data.model.Attachment``)
                    attachment-<digest>   their bytes, never read by us

They are no part of what the run is, so they may come later. The list is written last, in one piece: what is not in it
does not exist, and is swept when the store opens.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import blake3
from pydantic import TypeAdapter, ValidationError

from data import blocks
from data.errors import NotFound, StoreError
from data.model import Attachment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ATTACHMENTS = "attachments.json"
FILES = "attachment-*"
_LONGEST_NAME = 100
_STRANGE = re.compile(r"[^A-Za-z0-9._-]+")
_attachments = TypeAdapter(list[Attachment])


def attach(folder: Path, given: Sequence[tuple[Attachment, Path]]) -> list[Attachment]:
    """Keep files beside a block, all or none of them; those that were added, by the names that they got.

    A file of the same name and bytes is there already. ``given`` ones that are not ``kept`` are only listed.

    Raises:
        StoreError: there is no such block, or the disk fails.
        NoSpace: the disk is full.
    """
    there = attachments(folder)
    added: list[Attachment] = []
    for one, path in given:
        if (named := _named(one, [*there, *added])) is None:
            continue
        if named.kept:
            with blocks.at_disk(f"attach {one.name}"):
                content = path.read_bytes()
            blocks.keep(folder, _file(named), content)
        added.append(named)
    if added:
        blocks.keep(folder, ATTACHMENTS, _attachments.dump_json([*there, *added]))
    return added


def attachments(folder: Path) -> list[Attachment]:
    """What is attached to a block's run, in the order in which it came.

    Raises:
        StoreError: the list cannot be read.
    """
    try:
        return _attachments.validate_json((folder / ATTACHMENTS).read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        raise StoreError(f"{ATTACHMENTS} of block {folder.name} cannot be read", help="repair or remove it") from error


def content(folder: Path, name: str) -> bytes:
    """The bytes of an attachment, as they were sent.

    Raises:
        NotFound: there is none of this name, or it was too large to keep.
        StoreError: they are not there any more, or have changed.
    """
    listed = attachments(folder)
    found = next((one for one in listed if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in listed) or "nothing"
        raise NotFound(f"no attachment {name[:100]!r} of run {folder.name}", help=f"attached is {names}")
    if not found.kept:
        raise NotFound(f"{name} of run {folder.name} was read, and too large to keep", help="look where it came from")
    try:
        kept = (folder / _file(found)).read_bytes()
    except OSError as error:
        raise StoreError(
            f"{name} of run {folder.name} cannot be read: {error.strerror}", help="check the disk"
        ) from error
    if blake3.blake3(kept).hexdigest() != found.digest:
        raise StoreError(f"{name} of run {folder.name} is not what was attached", help="check the disk")
    return kept


def sweep(folder: Path) -> None:
    """Remove what an interruption left of files that were never listed.

    Raises:
        StoreError: the list cannot be read, or the disk fails.
    """
    listed = {_file(one) for one in attachments(folder)}
    with blocks.at_disk(f"sweep the block of run {folder.name}"):
        for path in folder.glob(FILES):
            if path.name not in listed:
                path.unlink(missing_ok=True)


def safe_name(name: str) -> str:
    """A name of letters, digits, ``.``, ``_`` and ``-`` that is none of a hidden file, and no path."""
    plain = _STRANGE.sub("_", name.replace("\\", "/").rpartition("/")[2]).lstrip(".")
    return plain[-_LONGEST_NAME:].lstrip(".") or "attachment"


def _named(one: Attachment, there: Sequence[Attachment]) -> Attachment | None:
    """The attachment by a name that none of those ``there`` has; ``None`` if it is one of them."""
    taken = {known.name: known.digest for known in there}
    if one.kind == "junit" and one.digest in {known.digest for known in there if known.kind == "junit"}:
        return None  # whatever it is called this time
    stem, dot, suffix = safe_name(one.name).rpartition(".")
    numbered = (f"-{number}" if number > 1 else "" for number in count(1))
    names = (f"{stem}{number}.{suffix}" if dot else f"{suffix}{number}" for number in numbered)
    name = next(name for name in names if taken.get(name, one.digest) == one.digest)
    return None if name in taken else replace(one, name=name)


def _file(one: Attachment) -> str:
    return f"attachment-{one.digest}"
