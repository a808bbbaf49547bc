"""What is measured of a run: an SLI is a statistic of a metric's series, narrowed by tags and to one service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slo.selector import Selector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from data.model import Series
    from slo.config import Objective

_PHASES_OF_A_TEST = ("setup", "teardown")


@dataclass(frozen=True)
class Sli:
    """``stat`` (``p(95)``, ``rate`` ...) of what ``selector`` finds, of one service (``None``: of all).

    ``percentile`` is the share of a percentile statistic. ``include`` names the parts of a test that are counted beside
    its load: setup, teardown.
    """

    service: str | None
    selector: Selector
    stat: str
    percentile: float | None = None
    include: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str | None, str, str, str]:
        """What tells it from other SLIs of a run: service, selector, statistic, include."""
        return self.service, str(self.selector), self.stat, ",".join(self.include)


def of_objective(objective: Objective) -> Sli | None:
    """The SLI of a k6 objective; ``None`` for a PromQL one."""
    if objective.sli is None:
        return None
    target = objective.target
    percentile = 0.5 if target.stat == "med" else target.percentile
    return Sli(objective.service, objective.sli, target.stat, percentile, objective.include)


def standard(services: Iterable[str]) -> Iterator[Sli]:
    """What is measured of every service of every run, whatever the targets: for histories and comparisons."""
    for service in services:
        yield Sli(service, Selector("http_req_duration"), "p(95)", 0.95)
        yield Sli(service, Selector("http_req_failed"), "rate")


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
        and part_of_test(one) in (None, *sli.include)
    ]


def part_of_test(series: Series) -> str | None:
    """``setup`` or ``teardown``, or ``None`` for the load itself."""
    group = series.tags.get("group", "")
    return next((part for part in _PHASES_OF_A_TEST if group == f"::{part}" or group.startswith(f"::{part}::")), None)
