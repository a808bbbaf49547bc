"""One objective for each statistic, with all that a neighbour asks of it, however many entries it has for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from slo.neighbours.draft import Entry
    from slo.target import Target


@dataclass(frozen=True)
class Asked:
    """An objective on its way into slo.yaml; ``said`` is how its source says it, for notes."""

    entry: Entry
    target: Target
    said: str


def joined(asked: Iterable[Asked]) -> tuple[list[Entry], list[str]]:
    """Join objectives on the same statistic of the same thing into one, of which all targets hold; with notes.

    A target is left out where another one implies it. What is joined is key if any of it is, and weighs as much as the
    heaviest.
    """
    groups: dict[tuple[object, ...], list[Asked]] = {}
    for one in asked:
        groups.setdefault(_measured(one), []).append(one)
    return [_entry(group) for group in groups.values()], [note for group in groups.values() for note in _notes(group)]


def _measured(one: Asked) -> tuple[object, ...]:
    entry = one.entry
    return entry.get("service"), entry.get("sli"), entry.get("promql"), str(entry.get("include")), one.target.stat


def _entry(group: Sequence[Asked]) -> Entry:
    targets = [one.target.text for one in _needed(group)]
    entry: Entry = group[0].entry | {"target": targets[0] if len(targets) == 1 else targets}
    if any(one.entry.get("key") for one in group):
        entry["key"] = True
    if any("weight" in one.entry for one in group):
        entry["weight"] = max(_weights(group))
    return entry


def _notes(group: Sequence[Asked]) -> Iterator[str]:
    needed = _needed(group)
    for one in group:
        if not any(one is other for other in needed):
            by = next(other for other in needed if _implies(other.target, one.target))
            yield f"{one.said}: left out, because whoever meets {by.said} meets it"
    if len(_weights(group)) > 1:
        names = ", ".join(dict.fromkeys(one.said for one in group))
        yield f"{names}: became one objective, with the largest of their weights"


def _needed(group: Sequence[Asked]) -> list[Asked]:
    """Those that no other one implies; of equals the first."""
    return [
        one
        for place, one in enumerate(group)
        if not any(other.target.is_stricter_than(one.target) for other in group)
        and not any(_implies(other.target, one.target) for other in group[:place])
    ]


def _implies(one: Target, other: Target) -> bool:
    """Does whatever meets ``one`` meet ``other``?"""
    is_same = (one.op, one.threshold, one.unit) == (other.op, other.threshold, other.unit)
    return is_same or one.is_stricter_than(other)


def _weights(group: Sequence[Asked]) -> set[float]:
    weights = (one.entry.get("weight", 1.0) for one in group)
    return {weight for weight in weights if isinstance(weight, float)}
