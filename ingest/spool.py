"""Uploads on their way in: streamed to disk under a size limit, hashed as they pass, named by their digest."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

import blake3

from data.errors import FULL, ArtefactTooLarge, NoSpace, NotFound, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEPT_S = 24 * 3600


@dataclass(frozen=True)
class Spooled:
    """A file that arrived whole."""

    path: Path
    digest: str
    bytes: int


class Receiving:
    """A file that is arriving: ``write`` each chunk, then ``finish``."""

    def __init__(self, path: Path, file: IO[bytes], limit_bytes: int) -> None:
        self._path = path
        self._file = file
        self._limit_bytes = limit_bytes
        self._hasher = blake3.blake3()
        self.bytes = 0

    def write(self, chunk: bytes) -> None:
        """Take the next chunk.

        Raises:
            ArtefactTooLarge: the limit is passed.
        """
        self.bytes += len(chunk)
        if self.bytes > self._limit_bytes:
            raise ArtefactTooLarge(
                f"the upload is larger than {self._limit_bytes:,} bytes",
                help="k6's .gz output is about 20 times smaller: --out json=results.json.gz",
            )
        self._hasher.update(chunk)
        self._file.write(chunk)

    def finish(self, suffix: str = "") -> Spooled:
        """Keep what arrived under its digest; with a suffix it is nobody else's and cannot be found by digest."""
        self._file.flush()
        digest = self._hasher.hexdigest()
        target = self._path.parent / (digest + suffix)
        self._path.rename(target)
        return Spooled(target, digest, self.bytes)


class Spool:
    """The folder of uploads. What no run claimed within a day is removed."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def receive(self) -> Iterator[Receiving]:
        """A place for one upload; nothing is left of one that does not finish.

        Raises:
            NoSpace: the disk is full.
            StoreError: it cannot be written to for another reason.
        """
        self._forget_old()
        try:
            with NamedTemporaryFile(dir=self._folder, prefix="incoming-", delete=False) as file:
                path = Path(file.name)
                try:
                    yield Receiving(path, file, self._limit_bytes)
                finally:
                    path.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in FULL:
                raise NoSpace("the disk has no room for the upload", help="make room, then send it again") from error
            raise StoreError(f"the upload cannot be written: {error.strerror}", help="check the disk") from error

    def find(self, digest: str) -> Spooled:
        """An upload that arrived earlier.

        Raises:
            NotFound: none has this digest.
        """
        path = self._folder / digest
        if not _DIGEST.fullmatch(digest) or not path.is_file():
            raise NotFound(f"no uploaded artefact {digest[:80]!r}", help="upload it first: POST /api/v1/artefacts")
        return Spooled(path, digest, path.stat().st_size)

    def _forget_old(self) -> None:
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # another upload was faster
                if time.time() - path.stat().st_mtime > _KEPT_S:
                    path.unlink()
