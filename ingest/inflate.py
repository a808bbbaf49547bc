"""Gzip into a plain file, under limits, keeping what can be read of a stream that ends early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isal import isal_zlib

from data.errors import ArtefactTooLarge, UnreadableArtefact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ingest.limits import Limits

MAGIC = b"\x1f\x8b"
_BUFFER = 1 << 20
_STEP = 1 << 12
"""Bytes inflated at a time: what comes before damage is lost only within one step."""
_GZIP_WINDOW = 31
IsalError: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # the stub says instance, not class


class _Members:
    """Inflates one gzip member after the other. ``problem`` says how the stream is damaged, if it is."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self._stream = isal_zlib.decompressobj(_GZIP_WINDOW)

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """What the next bytes inflate to, in pieces of limited size; nothing after damage."""
        while packed and not self.problem:
            if self._stream.eof:
                if not packed.startswith(MAGIC[: len(packed)]):
                    self.problem = "what follows the gzip stream is not gzip"
                    return
                self._stream = isal_zlib.decompressobj(_GZIP_WINDOW)
            try:
                piece = self._stream.decompress(packed, _BUFFER)
            except IsalError:
                self.problem = "the gzip stream is damaged"
                return
            packed = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            yield piece

    def end(self) -> None:
        """Nothing more comes."""
        if not self._stream.eof:
            self.problem = self.problem or "the gzip stream ends early"


def head(path: Path, size: int) -> bytes:
    """Up to ``size`` bytes from the start of a file, inflated where it is gzip; whatever is readable, without error."""
    with path.open("rb") as source:
        start = source.read(size)
    if not start.startswith(MAGIC):
        return start
    members, found = _Members(), bytearray()
    for at in range(0, len(start), _STEP):
        for piece in members.feed(start[at : at + _STEP]):
            found += piece
            if len(found) >= size:
                return bytes(found[:size])
    return bytes(found)


def inflate(source: Path, target: Path, name: str, limits: Limits, on_progress: Callable[[float], None]) -> str | None:
    """Inflate ``source`` (one or more gzip members, known to its user as ``name``) into ``target``.

    Returns how the stream is damaged, or ``None`` when it is whole; what came before the damage is kept.

    Raises:
        ArtefactTooLarge: it inflates beyond ``limits.plain_bytes`` or ``limits.gzip_ratio``.
        UnreadableArtefact: nothing could be inflated.
    """
    total = source.stat().st_size
    read = written = 0
    members = _Members()
    with source.open("rb", buffering=_BUFFER) as packed, target.open("wb") as plain:
        while not members.problem and (step := packed.read(_STEP)):
            read += len(step)
            for piece in members.feed(step):
                written += plain.write(piece)
                _check(name, read, written, limits)
            if read % _BUFFER == 0 or read == total:
                on_progress(read / total)
    members.end()
    if members.problem and not written:
        raise UnreadableArtefact(f"could not read {name}: {members.problem}", help="upload the file that k6 wrote")
    return members.problem


def _check(name: str, read: int, written: int, limits: Limits) -> None:
    if written > limits.plain_bytes:
        raise ArtefactTooLarge(
            f"{name} inflates to more than {limits.plain_bytes:,} bytes",
            help="let k6 write fewer metrics, or split the test",
        )
    if written > limits.gzip_free_bytes and written > read * limits.gzip_ratio:
        raise ArtefactTooLarge(
            f"{name} inflates more than {limits.gzip_ratio} times, as no k6 output does",
            help="k6's own .gz files inflate about 30 times; upload the file that k6 wrote",
        )
