"""What a comparison is made of: both sides of an SLI, and what is known of it before others are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slo.profile import Profile

INTERVAL = 0.95
POWER = 0.8
"""The share of runs that show what is called detectable."""

HALVINGS = 12  # a 4096th of where a detectable change may lie
NODES = (np.arange(64) + 0.5) / 64  # equal steps of probability


@dataclass(frozen=True)
class Pair:
    """One SLI on both sides. All pairs hold the same runs in the same order, ``None`` where a run lacks the SLI.

    ``service`` is ``None`` for the whole run. Spread is pooled over the pairs of one ``family``: the same selector and
    statistic of several services. ``higher_is_worse`` follows from the objective's operator.
    """

    service: str | None
    family: str
    unit: str
    higher_is_worse: bool
    current: tuple[Profile | None, ...]
    baseline: tuple[Profile | None, ...]


@dataclass(frozen=True)
class Common:
    """What all services did together: the median change with its 95 % interval, relative.

    ``moved``: surely, by more than matters, and most of them; then it is the environment rather than a service.
    """

    shift: float
    ci: tuple[float, float]
    services: int
    moved: bool


@dataclass(frozen=True)
class Proof:
    """What is known of a pair before the others are looked at. ``least`` is the smallest change that counts."""

    value: float
    baseline: float
    change: float
    ci: tuple[float, float]
    noise: float
    worse: float
    better: float
    least: float
    up: bool  # more is worse
    method: str
    reach: Callable[[float], float]  # from a one-sided level to the worsening that is found at it
    settle: Callable[[float], str]
    weight: float = 1.0
    environment: bool = False


def there(side: Sequence[Profile | None]) -> list[Profile]:
    """The profiles of the runs that have one."""
    return [one for one in side if one is not None]
