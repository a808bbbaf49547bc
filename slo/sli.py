"""What is measured of a run: an SLI is a statistic of a metric's series, narrowed by tags and to one service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.k6_metrics import BUILT_IN
from slo.selector import Selector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from data.model import Series
    from slo.config import Objective


@dataclass(frozen=True)
class Sli:
    """``stat`` (``p(95)``, ``rate`` ...) of what ``selector`` finds, of one service (``None``: of all).

    ``percentile`` is the share of a percentile statistic. ``include`` names the parts of a test that are counted beside
    its load: setup, teardown. ``per_second`` tells a counter's rate from a share.
    """

    service: str | None
    selector: Selector
    stat: str
    percentile: float | None = None
    include: tuple[str, ...] = ()
    per_second: bool = False

    @property
    def key(self) -> tuple[str | None, str, str, str]:
        """What tells it from other SLIs of a run: service, selector, statistic, include."""
        stat = f"{self.stat}/s" if self.per_second else self.stat
        return self.service, str(self.selector), stat, ",".join(self.include)


def of_objective(objective: Objective) -> Sli | None:
    """The SLI of a k6 objective; ``None`` for a PromQL one."""
    if objective.sli is None:
        return None
    target = objective.target
    percentile = 0.5 if target.stat == "med" else target.percentile
    per_second = any(one.unit == "/s" for one in objective.asks) or _is_counted(objective.sli.metric, target.stat)
    return Sli(objective.service, objective.sli, target.stat, percentile, objective.include, per_second)


def _is_counted(metric: str, stat: str) -> bool:
    """Is it a counter's rate? A relative target has no unit that would tell."""
    return stat == "rate" and metric in BUILT_IN and BUILT_IN[metric][0] == "counter"


def standard(services: Iterable[str]) -> Iterator[Sli]:
    """What is measured of every service of every run and of its whole, whatever the targets: to compare runs by."""
    for service in (None, *services):
        yield Sli(service, Selector("http_req_duration"), "p(95)", 0.95)
        yield Sli(service, Selector("http_req_failed"), "rate")
        yield Sli(service, Selector("http_reqs"), "rate", per_second=True)


def select(series: Sequence[Series], sli: Sli, default_service: str | None) -> list[Series]:
    """The series an SLI is computed from.

    A series belongs to the service in its ``service`` tag, else to the one given at upload. Requests of ``setup()`` and
    ``teardown()`` are left out unless the SLI includes them (k6 counts them in).
    """
    return [
        one
        for one in series
        if one.metric == sli.selector.metric
        and (sli.service is None or one.tags.get("service", default_service) == sli.service)
        and all(one.tags.get(key, "") == value for key, value in sli.selector.tags)
        and one.part_of_test in (None, *sli.include)
    ]
