"""A slo.yaml that is being written: what an import found, as the file that says it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from slo.config import parse_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Entry = dict[str, object]
"""One objective, with the names that slo.yaml has for it, in the order in which they are written."""


@dataclass(frozen=True)
class Imported:
    """A slo.yaml's text, and one sentence for everything that it could not carry over or had to assume."""

    text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draft:
    """One phase of a slo.yaml. ``extra`` are further keys of the phase, as ``after`` or ``coverage``.

    ``baseline_runs``: how many runs make a baseline, where that is said. ``budgets`` are error budgets, and
    ``prometheus`` who counts for them.
    """

    phase: str
    objectives: Sequence[Entry]
    title: str = ""
    services: Sequence[str] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    baseline_runs: int | None = None
    budgets: Sequence[Entry] = ()
    prometheus: Mapping[str, Entry] = field(default_factory=dict)


def written(draft: Draft, heading: str, notes: Sequence[str] = ()) -> Imported:
    """The draft as text, read again so that nothing is handed out that could not be used.

    Raises:
        InvalidConfig: it says what no slo.yaml can.
    """
    phase: dict[str, object] = {"id": draft.phase}
    if draft.title:
        phase["title"] = draft.title
    phase |= {key: _on_one_line(value) if isinstance(value, dict) else value for key, value in draft.extra.items()}
    phase["objectives"] = CommentedSeq([_on_one_line(entry) for entry in draft.objectives])
    tree: dict[str, object] = {"version": 1}
    if draft.services:
        tree["services"] = dict.fromkeys(draft.services)
    if draft.baseline_runs is not None:
        tree["baseline"] = {"runs": draft.baseline_runs}
    if draft.prometheus:
        tree["prometheus"] = {name: _on_one_line(entry) for name, entry in draft.prometheus.items()}
    if draft.budgets:
        tree["budgets"] = list(draft.budgets)
    tree["phases"] = [phase]
    yaml = YAML()
    yaml.width = 1 << 16  # an objective stays on its line, however long its query
    yaml.indent(mapping=2, sequence=4, offset=2)
    into = io.StringIO()
    yaml.dump(tree, into)
    text = "".join(f"# {line}\n" for line in heading.splitlines()) + into.getvalue()
    parse_config(text)
    return Imported(text, tuple(notes))


def _on_one_line(entry: Entry) -> CommentedMap:
    found = CommentedMap(entry)
    found.fa.set_flow_style()
    return found
