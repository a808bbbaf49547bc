"""One target for each statistic: all that slo.yaml has room for, where a neighbour asks several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slo.neighbours.draft import Entry
    from slo.target import Target


@dataclass(frozen=True)
class Asked:
    """An objective on its way into slo.yaml; ``said`` is how its source says it, for notes."""

    entry: Entry
    target: Target
    said: str


A = TypeVar("A", bound=Asked)


def one_of_each(asked: Iterable[A]) -> tuple[list[A], list[str]]:
    """Keep, of objectives on the same statistic of the same thing, the strictest; a note says what was left out.

    Whoever meets the strictest meets them all. Where none is (``> 1`` and ``< 5``), the first stays.
    """
    kept: dict[tuple[object, ...], A] = {}
    notes = []
    for one in asked:
        before = kept.setdefault(_measured(one), one)
        if before is one:
            continue
        first, second = (one, before) if one.target.is_stricter_than(before.target) else (before, one)
        kept[_measured(one)] = first
        notes.append(f"{second.said}: left out, {_why(first, second)}")
    return list(kept.values()), notes


def _measured(one: Asked) -> tuple[object, ...]:
    entry = one.entry
    return entry.get("service"), entry.get("sli"), entry.get("promql"), str(entry.get("include")), one.target.stat


def _why(first: Asked, second: Asked) -> str:
    same = (first.target.op, first.target.threshold) == (second.target.op, second.target.threshold)
    if same or first.target.is_stricter_than(second.target):
        return f"because whoever meets {first.said} meets it"
    return f"because slo.yaml has one target for a statistic, and {first.said} is there"
