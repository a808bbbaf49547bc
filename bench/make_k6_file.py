"""Make a large k6 file out of the demo's healthy recordings: one long run, every line as k6 writes it.

``python -m bench.make_k6_file --bytes 2147483648`` puts recordings one after the other: every metric's definition once,
setup once, the load of copy after copy, teardown once. The times of a copy are moved, to the nanosecond, so that it
begins where the one before ended, and what was measured differs by up to 5 % from copy to copy: a file of equal copies
would compress better than a real one. All else stays byte for byte.
"""

from __future__ import annotations

import argparse
import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from random import Random

from examples.nightbff.record import RUNS

RESULTS = Path(__file__).parent / "results"
GIB = 1 << 30
_NS_PER_S = 10**9
_DAY_NS = 86_400 * _NS_PER_S
_COPIES = 1_000_000  # more than a file has, so that each night draws numbers of its own
_SPREAD = 0.05
_PAUSE_NS = 7_123_457  # between copies; odd, so that no two copies share the fractions of their seconds

_DEFINITION = re.compile(rb'\{"type":"Metric",.+"metric":"([^"]+)"\}$')
_POINT = re.compile(
    rb'(?P<before>\{"metric":"[^"]+","type":"Point","data":\{"time":")(?P<second>[-\dT:]{19})\.?(?P<fraction>\d*)Z'
    rb'","value":(?P<value>[^,]+)(?P<after>,.+)'
)


@dataclass(frozen=True)
class Point:
    """A sample's line, cut at its time (``at_ns``, from the start of its recording) and its value.

    ``measured`` is the value where it is a measurement; of a count there is only its ``text``.
    """

    before: bytes
    at_ns: int
    text: bytes
    measured: float | None
    after: bytes


@dataclass(frozen=True)
class Recording:
    """One recorded run: its metrics' definitions by name, and its points before, under and after load."""

    start_ns: int
    length_ns: int
    definitions: dict[bytes, bytes]
    setup: list[Point]
    load: list[Point]
    teardown: list[Point]


def k6_file(size: int, folder: Path = RESULTS, night: int = 0) -> Path:
    """A k6 NDJSON file of at least ``size`` bytes; made once, and again when recordings or this module change.

    Those of other nights begin a day later each, and differ as copies do.
    """
    sources = sorted(RUNS.glob("*-healthy.json.gz"))
    made_of = sha256(b"".join(path.read_bytes() for path in [*sources, Path(__file__)])).hexdigest()
    name = f"k6-{size}" + (f"-night{night}" if night else "")
    target = folder / f"{name}-{made_of[:8]}.json"
    if not target.exists():
        folder.mkdir(exist_ok=True)
        for old in folder.glob(f"{name}-????????.json"):
            old.unlink()
        partial = target.with_suffix(".partial")
        _write(partial, [_recording(gzip.decompress(path.read_bytes())) for path in sources], size, night)
        partial.rename(target)
    return target


def _write(target: Path, recordings: list[Recording], size: int, night: int) -> None:
    first = recordings[0]
    at_ns = first.start_ns + night * _DAY_NS
    definitions = {name: line for recording in recordings for name, line in recording.definitions.items()}
    with target.open("wb") as file:
        file.writelines(line + b"\n" for line in definitions.values())
        file.writelines(_moved(first.setup, at_ns, Random(0)))
        for number, recording in enumerate(cycle(recordings), start=1):
            if file.tell() >= size:
                break
            file.writelines(_moved(recording.load, at_ns, Random(number + night * _COPIES)))
            at_ns += recording.length_ns + _PAUSE_NS
        file.writelines(_moved(first.teardown, at_ns - first.length_ns, Random(0)))


def _moved(points: Iterable[Point], start_ns: int, random: Random) -> Iterator[bytes]:
    """The lines of a copy; the points of one request share their time and their change, so its parts still add up."""
    last_ns, change = -1, 1.0
    for point in points:
        if point.at_ns != last_ns:
            last_ns, change = point.at_ns, random.uniform(1 - _SPREAD, 1 + _SPREAD)
        second, fraction = divmod(start_ns + point.at_ns, _NS_PER_S)
        value = point.text if point.measured is None else _number(point.measured * change)
        yield b'%s%s%sZ","value":%s%s\n' % (point.before, _second(second), _fraction(fraction), value, point.after)


@cache
def _second(epoch_s: int) -> bytes:
    return f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%dT%H:%M:%S}".encode()


def _fraction(ns: int) -> bytes:
    """As Go writes it: no zeros at the end."""
    return (b".%09d" % ns).rstrip(b"0").rstrip(b".")


def _number(value: float) -> bytes:
    return (b"%.6f" % value).rstrip(b"0").rstrip(b".")


def _recording(ndjson: bytes) -> Recording:
    lines = ndjson.splitlines()
    start_ns = min(_time_ns(match) for line in lines if (match := _POINT.fullmatch(line)))
    points = [_point(match, start_ns) for line in lines if (match := _POINT.fullmatch(line))]
    return Recording(
        start_ns=start_ns,
        length_ns=max(point.at_ns for point in points),
        definitions={match[1]: line for line in lines if (match := _DEFINITION.fullmatch(line))},
        setup=[point for point in points if b'"group":"::setup"' in point.after],
        load=[
            point for point in points if b'"group":"::setup"' not in point.after and b"::teardown" not in point.after
        ],
        teardown=[point for point in points if b'"group":"::teardown"' in point.after],
    )


def _point(match: re.Match[bytes], start_ns: int) -> Point:
    text = match["value"]
    measured = float(text) if b"." in text else None
    return Point(match["before"], _time_ns(match) - start_ns, text, measured, match["after"])


def _time_ns(match: re.Match[bytes]) -> int:
    second = datetime.fromisoformat(match["second"].decode()).replace(tzinfo=UTC)
    return round(second.timestamp()) * _NS_PER_S + int(match["fraction"].ljust(9, b"0"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a large k6 file out of the demo's healthy recordings.")
    parser.add_argument("--bytes", type=int, default=2 * GIB, help="at least so many (default: 2 GiB)")
    path = k6_file(parser.parse_args().bytes)
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
