"""What Prometheus said of a run's time, beside the run's block.

::

    blocks/<run id>/pulled.json        every question with its answer (``data.model.Pull``), and checksums of the files
                    pulled-0.parquet   samples as in a part: series_id BIGINT (below 0), t TIMESTAMPTZ, v DOUBLE

It is no part of what the run is, so it may come later, a batch at a time. The list is written last, in one piece: a
file that is not in it does not exist, and the next batch takes its place. What the list says and the catalog does not,
after a crash between the two, is asked again.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TypeVar

import blake3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from data import blocks
from data.errors import StoreError
from data.model import Pull, Series

PULLED = "pulled.json"
FILES = "pulled-*.parquet"
_AGAIN = f"remove {PULLED} from it, then `phasegate prometheus pull RUN --everything`"
T = TypeVar("T")
_SCHEMA = pa.schema([("series_id", pa.int64()), ("t", pa.timestamp("us", tz="UTC")), ("v", pa.float64())])


@dataclass(frozen=True)
class Points:
    """One series of an answer: ascending microseconds since 1970 (UTC), and values, some perhaps NaN."""

    labels: dict[str, str]
    t: NDArray[np.int64]
    v: NDArray[np.float64]


@dataclass(frozen=True)
class _Kept:
    """``lowest`` is the last id given to a series: those of an answer that was replaced stay in their file."""

    pulls: list[Pull] = field(default_factory=list)
    checksums: dict[str, str] = field(default_factory=dict)
    lowest: int = 0


@dataclass(frozen=True)
class _Files:
    """The little of it that a question to the samples needs."""

    checksums: dict[str, str] = field(default_factory=dict)


_kept, _files = TypeAdapter(_Kept), TypeAdapter(_Files)


def pulls(folder: Path) -> list[Pull]:
    """What was asked about a block's run.

    Raises:
        StoreError: it cannot be read.
    """
    return _read(folder, _kept).pulls


def files(folder: Path) -> list[Path]:
    """The files with samples of answers. Raises as :func:`pulls` does."""
    return [folder / name for name in _read(folder, _files).checksums]


def keep(folder: Path, answers: Iterable[tuple[Pull, Sequence[Points]]]) -> list[Pull]:
    """Keep answers with their samples, in place of what was answered to the same questions before; all there are now.

    What is asked by name is the same question however it is put: slo.yaml may have been mended.

    Raises:
        StoreError: there is no such block, or the disk fails.
        NoSpace: the disk is full.
    """
    before = _read(folder, _kept)
    lowest = before.lowest
    new: dict[str, Pull] = {}
    samples: list[tuple[int, Points]] = []
    for pull, points in answers:
        numbered = [(lowest - n, one) for n, one in enumerate(points, 1)]
        lowest -= len(numbered)
        series = tuple(_series(pull, number, one) for number, one in numbered)
        new[pull.query.id] = replace(pull, series=series, warnings=(*pull.warnings, *_infinite(pull, points)))
        samples += numbered
    checksums = dict(before.checksums)
    if samples:
        name = next(name for n in count() if (name := f"pulled-{n}.parquet") not in checksums)
        content = _parquet(samples)
        blocks.keep(folder, name, content)
        checksums[name] = blake3.blake3(content).hexdigest()
    by_name = {_named(pull) for pull in new.values() if pull.state != "failed"} - {None}
    others = (pull for pull in before.pulls if pull.query.id not in new and _named(pull) not in by_name)
    there = [*others, *new.values()]
    blocks.keep(folder, PULLED, _kept.dump_json(_Kept(there, checksums, lowest)))
    return there


def _named(pull: Pull) -> tuple[str, str | None, str] | None:
    query = pull.query
    return None if query.name is None else (query.source, query.service, query.name)


def check(folder: Path) -> None:
    """See that every file is there, as it was written.

    Raises:
        StoreError: it is not.
    """
    for name, checksum in _read(folder, _files).checksums.items():
        try:
            found = blocks.file_digest(folder / name)
        except OSError as error:
            raise StoreError(f"{name} of block {folder.name} cannot be read", help=_AGAIN) from error
        if found != checksum:
            raise StoreError(f"{name} of block {folder.name} is not what was written", help=_AGAIN)


def _read(folder: Path, what: TypeAdapter[T]) -> T:
    try:
        content = (folder / PULLED).read_bytes()
    except FileNotFoundError:
        content = b"{}"
    except OSError as error:
        raise _unreadable(folder) from error
    try:
        return what.validate_json(content)
    except ValidationError as error:
        raise _unreadable(folder) from error


def _unreadable(folder: Path) -> StoreError:
    return StoreError(f"{PULLED} of block {folder.name} cannot be read", help=_AGAIN)


def _series(pull: Pull, number: int, points: Points) -> Series:
    """A series with the statistics of its finite values within the time that was asked."""
    within = (points.t >= _us(pull.start)) & (points.t <= _us(pull.end)) & np.isfinite(points.v)
    t, v = points.t[within], points.v[within]
    return Series(
        id=number, metric=pull.query.promql, tags=points.labels, n=len(v),
        sum=_sum(v), min=float(v.min()) if len(v) else 0.0, max=float(v.max()) if len(v) else 0.0,
        nonzero=int(np.count_nonzero(v)),
        first_at=_at(int(t[0])) if len(t) else pull.start, last_at=_at(int(t[-1])) if len(t) else pull.start,
        last=float(v[-1]) if len(v) else 0.0,
    )  # fmt: skip


def _infinite(pull: Pull, points: Sequence[Points]) -> list[str]:
    """What is divided by nothing is no number, and not nothing either."""
    first, last = _us(pull.start), _us(pull.end)
    odd = sum(int(np.count_nonzero(np.isinf(one.v[(one.t >= first) & (one.t <= last)]))) for one in points)
    return [f"{odd} of its values are infinite"] if odd else []


def _sum(v: NDArray[np.float64]) -> float:
    """As large as can be written down: JSON has no infinity."""
    with np.errstate(over="ignore"):
        return float(np.nan_to_num(v.sum()))


def _parquet(samples: Sequence[tuple[int, Points]]) -> bytes:
    ordered = sorted(samples, key=lambda one: one[0])
    columns = [
        np.concatenate([np.full(len(points.t), number) for number, points in ordered]),
        np.concatenate([points.t for _, points in ordered]),
        np.concatenate([points.v for _, points in ordered]),
    ]
    arrays = [pa.array(column).cast(kind) for column, kind in zip(columns, _SCHEMA.types, strict=True)]
    written = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA), written, compression="zstd")
    return written.getvalue()


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


def _at(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)
