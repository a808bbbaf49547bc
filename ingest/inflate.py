"""Gzip into a plain file, under limits, keeping what can be read of a stream that ends early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isal import isal_zlib

from data.errors import ArtefactTooLarge, UnreadableArtefact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ingest.limits import Limits

MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20
_GZIP_WINDOW = 31
IsalError: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # the stub says instance, not class


def head(path: Path, size: int) -> bytes:
    """Up to ``size`` bytes from the start of a file, inflated where it is gzip; whatever is readable, without error."""
    with path.open("rb") as source:
        start = source.read(size)
    if not start.startswith(MAGIC):
        return start
    try:
        return bytes(isal_zlib.decompressobj(_GZIP_WINDOW).decompress(start, size))
    except IsalError:
        return b""


def inflate(source: Path, target: Path, limits: Limits, on_progress: Callable[[float], None]) -> str | None:
    """Inflate ``source`` (one or more gzip members) into ``target``.

    Returns how the stream is damaged, or ``None`` when it is whole; what came before the damage is kept.

    Raises:
        ArtefactTooLarge: it inflates beyond ``limits.plain_bytes`` or ``limits.gzip_ratio``.
        UnreadableArtefact: nothing could be inflated.
    """
    total_in = source.stat().st_size
    read = written = 0
    problem: str | None = None
    stream = isal_zlib.decompressobj(_GZIP_WINDOW)
    with source.open("rb") as packed, target.open("wb") as plain:
        pending = b""
        while problem is None:
            if not pending:
                pending = packed.read(_CHUNK)
                read += len(pending)
                on_progress(read / total_in)
            if stream.eof and pending:
                if not pending.startswith(MAGIC[: len(pending)]):
                    problem = f"{total_in - read + len(pending):,} bytes after the gzip stream are not gzip"
                    break
                stream = isal_zlib.decompressobj(_GZIP_WINDOW)
            if not pending:
                break
            try:
                out = stream.decompress(pending, _CHUNK)
            except IsalError:
                problem = f"the gzip stream is damaged near byte {read:,} of {total_in:,}"
                break
            pending = stream.unused_data if stream.eof else stream.unconsumed_tail
            written += plain.write(out)
            _check(source.name, read, written, limits)
    if problem is None and not stream.eof:
        problem = "the gzip stream ends early"
    if problem and not written:
        raise UnreadableArtefact(f"could not read {source.name}: {problem}", help="upload the file that k6 wrote")
    return problem


def _check(name: str, read: int, written: int, limits: Limits) -> None:
    if written > limits.plain_bytes:
        raise ArtefactTooLarge(f"{name} inflates to more than {limits.plain_bytes:,} bytes")
    if written > limits.gzip_free_bytes and written > read * limits.gzip_ratio:
        raise ArtefactTooLarge(
            f"{name} inflates more than {limits.gzip_ratio} times, as no k6 output does",
            help="k6's own .gz files inflate about 30 times; upload the file that k6 wrote",
        )
