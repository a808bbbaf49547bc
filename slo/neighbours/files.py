"""Files of neighbours, as they lie on the disk."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from data.errors import UnreadableArtefact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_GZIP = b"\x1f\x8b"

LONGEST_LINE = 32 << 20
"""Bytes of a line, or of a document without any, that are brought into memory: as much as a summary may have."""


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file, plain or gzip, one at a time; one longer than ``LONGEST_LINE`` comes in pieces.

    Raises:
        UnreadableArtefact: it cannot be read, or its gzip stream is damaged or ends early.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(len(_GZIP)) == _GZIP
        with gzip.open(path) if packed else path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableArtefact(f"could not read {path}: its gzip stream is damaged or ends early") from error
    except OSError as error:
        raise UnreadableArtefact(f"could not read {path}: {error.strerror or error}") from error
