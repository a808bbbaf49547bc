"""The demo: recorded k6 runs of eight services, loaded through whatever takes an upload."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from data.facts import Facts
from data.model import RunMeta
from ingest.service import Upload
from settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FOLDER = ROOT / "examples" / "nightbff"
SLO = FOLDER / "slo.yaml"


def load(
    ingest: Callable[[Sequence[Upload], RunMeta], object], on_progress: Callable[[str, float], None] | None = None
) -> int:
    """Ingest every recorded run, in order; how many there are."""
    runs = FOLDER / "runs"
    entries = json.loads((runs / "index.json").read_text(encoding="utf-8"))["runs"]
    for number, entry in enumerate(entries, start=1):
        files = [runs / name for name in (entry["file"], entry.get("summary")) if name]
        facts: Facts = {name: float(value) for name, value in entry["facts"].items()}
        ingest([Upload(file, file.name) for file in files], RunMeta(**entry["metadata"], facts=facts))
        if on_progress:
            on_progress(entry["file"], number / len(entries))
    return len(entries)
