"""What a store comes to in figures, for whoever watches it: a few sums in SQL, and the sizes of its folders."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa

from data.blocks import at_disk
from data.catalog import notifications, runs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

StoredKind = Literal["catalog", "blocks", "spool"]

SIZES_KEPT_S = 10.0
"""How long sizes are told as they were: measuring them looks at every file."""


@dataclass(frozen=True)
class Figures:
    """How many runs there are and when the last came in; messages by state, and since when one waits."""

    runs: int
    received_at: datetime | None
    messages: Mapping[str, int]
    waiting_since: datetime | None


@dataclass(frozen=True)
class Sizes:
    """Bytes by kind of what is stored, the files of uploads on their way in, and what is free on the disk."""

    bytes_by_kind: Mapping[StoredKind, int]
    spool_files: int
    free_bytes: int


def read_figures(connection: sa.Connection) -> Figures:
    """The figures that the catalog gives."""
    count, received_at = connection.execute(sa.select(sa.func.count(), sa.func.max(runs.c.received_at))).one()
    state, created = notifications.c.state, notifications.c.created_at
    by_state = connection.execute(sa.select(state, sa.func.count(), sa.func.min(created)).group_by(state)).all()
    waiting_since = next((oldest for name, _, oldest in by_state if name == "pending"), None)
    return Figures(count, received_at, {name: n for name, n, _ in by_state}, waiting_since)


class Scales:
    """Weighs the folder of one store, at most once in :data:`SIZES_KEPT_S`. Safe to use from several threads."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._turn = threading.Lock()
        self._known: tuple[float, Sizes] | None = None

    def sizes(self) -> Sizes:
        """What the store takes on disk.

        Raises:
            StoreError: the folder cannot be read.
        """
        with self._turn:
            if self._known is None or monotonic() - self._known[0] > SIZES_KEPT_S:
                with at_disk(f"read the folder {self._home}"):
                    self._known = monotonic(), _weighed(self._home)
            return self._known[1]


def _weighed(home: Path) -> Sizes:
    found: Counter[StoredKind] = Counter()
    files, found["spool"] = _files(home / "spool")
    found["blocks"] = _files(home / "blocks")[1]
    with os.scandir(home) as entries:
        found["catalog"] = sum(_size(entry) for entry in entries if entry.name.startswith("catalog.duckdb"))
    return Sizes(found, files, shutil.disk_usage(home).free)


def _files(folder: Path) -> tuple[int, int]:
    """How many files lie in a folder and those inside it, and their bytes. What goes meanwhile counts as gone."""
    count = size = 0
    folders: list[str | Path] = [folder]
    for one in folders:
        try:
            with os.scandir(one) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        count, size = count + 1, size + _size(entry)
        except FileNotFoundError:
            if one is folder:  # those inside come and go; this one has to be there
                raise
    return count, size


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
