"""How much memory a program takes at its worst, together with the processes it starts.

Resident memory (VmRSS) of the whole process tree, added up from /proc every few milliseconds. Pages that processes
share count once for each of them, so the sum errs upwards; what lives shorter than a sample is missed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_EVERY_S = 0.01
_RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)


@dataclass
class Peak:
    """The most that was seen so far, in bytes: of the tree, and of its root alone."""

    tree_bytes: int = 0
    root_bytes: int = 0


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """The peak of process ``pid`` and its descendants, kept up to date while the block runs."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(_EVERY_S):
            resident = [_resident_bytes(process) for process in _tree(pid)]
            peak.root_bytes = max(peak.root_bytes, resident[0])
            peak.tree_bytes = max(peak.tree_bytes, sum(resident))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = [text.read_text() for text in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # it ended in the meantime
        return
    for child in " ".join(children).split():
        yield from _tree(int(child))


def _resident_bytes(pid: int) -> int:
    try:
        found = _RESIDENT.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
