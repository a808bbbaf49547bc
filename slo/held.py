"""What relative targets are held against: the same number that the comparison shows as before, where there is one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from slo import numbers
from slo.comparing import is_apart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slo.comparing import Side
    from slo.model import Comparison
    from slo.sli import Sli


@dataclass(frozen=True)
class Held:
    """A value in the SLI's unit and the runs that it is of, newest first; ``None``: there is none, and ``why``."""

    value: float | None = None
    runs: tuple[str, ...] = ()
    why: str = "there is no run to compare with"


def held_against(sli: Sli, comparisons: Sequence[Comparison], baseline: Sequence[Side]) -> Held:
    """What an SLI was in the runs of the baseline: as it is compared, else the mean of what was believably measured.

    Where it cannot be compared since other endpoints were called, there is none: it would be of another mixture.
    """
    asked = sli.service, str(sli.selector), sli.stat, sli.include
    one = next((c for c in comparisons if (c.service, c.sli, c.stat, c.include) == asked), None)
    if one and one.baseline is not None:
        return Held(one.baseline, one.baseline_runs)
    if not baseline:
        return Held()
    known = {
        side.run_id: kept.value
        for side in baseline
        if (kept := side.measured.get(sli.key)) and not kept.problem and not is_apart(sli, side)
        if kept.value is not None and math.isfinite(kept.value)
    }
    if known:
        return Held(fmean(known.values()), tuple(known))
    runs = numbers.things(len(baseline), "run")
    told = f": {one.reason}" if one and one.reason else ""
    return Held(why=f"none of the {runs} before has such a number{told}")
