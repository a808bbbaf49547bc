"""Several targets of one statistic: all of a list, or one of several lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slo.target import Target, Unit


@dataclass(frozen=True)
class Alternatives:
    """One of ``any_of`` has to hold, and of that one every target; none of them is empty."""

    any_of: tuple[tuple[Target, ...], ...]

    def __iter__(self) -> Iterator[Target]:
        return (target for every in self.any_of for target in every)

    @property
    def main(self) -> Target:
        """The one that stands for all where there is room for one only: the first that is not relative, if any."""
        return next((target for target in self if not target.relative), next(iter(self)))

    @property
    def is_single(self) -> bool:
        """Is it one target alone?"""
        return len(self.any_of) == len(self.any_of[0]) == 1

    @property
    def is_relative(self) -> bool:
        """Does any of it take a measurement from before?"""
        return any(target.relative for target in self)

    @property
    def text(self) -> str:
        """As people read it: ``p(95) <= 800ms or (<= +10% and < 600ms)``."""
        told = [" and ".join(target.bound for target in every) for every in self.any_of]
        several = len(told) > 1
        told = [f"({one})" if several and len(every) > 1 else one for one, every in zip(told, self.any_of, strict=True)]
        return f"{self.main.stat} {' or '.join(told)}"

    def holds(self, value: float, baseline: float | None = None, *, unheld: bool | None = None) -> bool | None:
        """Do they hold for ``value``? ``None``: it takes a ``baseline`` that is not there.

        ``unheld`` is what a relative target without a baseline counts as.
        """
        return _any(_all(_holds(target, value, baseline, unheld) for target in every) for every in self.any_of)

    def against(self, baseline: float, unit: Unit | None = None) -> Alternatives:
        """The same with absolute targets only."""
        return Alternatives(tuple(tuple(one.against(baseline, unit) for one in every) for every in self.any_of))


def _holds(target: Target, value: float, baseline: float | None, unheld: bool | None) -> bool | None:  # noqa: FBT001 - three values
    if target.relative is None:
        return target.holds(value)
    return unheld if baseline is None else target.against(baseline).holds(value)


def _all(found: Iterator[bool | None]) -> bool | None:
    told = set(found)
    return False if False in told else None if None in told else True


def _any(found: Iterator[bool | None]) -> bool | None:
    told = set(found)
    return True if True in told else None if None in told else False
