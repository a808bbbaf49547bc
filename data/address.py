"""``server.json`` in a store's folder: the address of the server that holds it, for whoever meets it locked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from data.blocks import at_disk

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "server.json"


def announce_server(home: Path, url: str) -> None:
    """Leave word of the server that is about to hold the store.

    Raises:
        StoreError: the disk fails.
        NoSpace: the disk is full.
    """
    with at_disk(f"write {home / _NAME}"):
        (home / _NAME).write_text(json.dumps({"url": url}), encoding="utf-8")


def withdraw_server(home: Path) -> None:
    """The server holds the store no more."""
    (home / _NAME).unlink(missing_ok=True)


def server_url(home: Path) -> str | None:
    """The address that was announced last, if any."""
    try:
        found = json.loads((home / _NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(found["url"]) if isinstance(found, dict) and "url" in found else None
