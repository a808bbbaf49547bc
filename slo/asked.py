"""What is compared of a run, and which way is worse: SLIs of services, or of the endpoints that both runs have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slo.selector import Selector
from slo.sli import Sli, of_objective, standard

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from slo.plan import Objective, Phase
    from slo.shape import Endpoint, Shape

_MIXTURE = 0.02
"""Calls to other endpoints up to this share leave a p(95) where it was, within what counts."""
_MOST_ENDPOINTS = 50


@dataclass(frozen=True)
class Asked:
    """An SLI to compare, and which way is worse."""

    sli: Sli
    higher_is_worse: bool


def asked_of(
    phase: Phase | None, shape: Shape, services: Iterable[str], scope: Sequence[int] | None = None
) -> list[Asked]:
    """What is compared of a run: the SLIs of its objectives, and latency, failures and throughput of every service.

    ``scope`` are the objectives that are asked of the run, by index (``None``: all). Where a target is an equality,
    there is no worse, and nothing to compare. Where all requests belong to services, these say all of the whole run.
    """
    objectives = phase.objectives if phase else ()
    chosen = objectives if scope is None else [objectives[i] for i in scope]
    found = {asked.sli.key: asked for one in chosen if (asked := _asked(one))}
    named = [*services]
    for sli in standard(named):
        if sli.service is None and named and None not in shape.by_service:
            continue
        found.setdefault(sli.key, Asked(sli, higher_is_worse=not sli.per_second))
    return list(found.values())


def asked_of_endpoint(endpoint: Endpoint) -> tuple[Asked, Asked]:
    """Latency and failures of one endpoint."""
    service, method, name = endpoint
    tags = tuple(sorted({"method": method, "name": name}.items()))
    return (
        Asked(Sli(service, Selector("http_req_duration", tags), "p(95)", 0.95), higher_is_worse=True),
        Asked(Sli(service, Selector("http_req_failed", tags), "rate"), higher_is_worse=True),
    )


def asked_instead(shape: Shape, others: Sequence[Shape]) -> list[Asked]:
    """Of services that are called at other endpoints than in any of the others: the endpoints that both have.

    At most :data:`_MOST_ENDPOINTS`, those that are called most.
    """
    gone = frozenset(shape.by_service)
    for other in others:
        gone &= apart(shape, other)
        if not gone:
            return []
    before = {endpoint for other in others for endpoint in other.endpoints}
    both = [(n, endpoint) for endpoint, n in shape.calls if endpoint[0] in gone and endpoint in before]
    most = sorted(both, key=lambda one: (-one[0], one[1][1:]))[:_MOST_ENDPOINTS]
    return [asked for _, endpoint in most for asked in asked_of_endpoint(endpoint)]


def apart(run: Shape, other: Shape) -> frozenset[str | None]:
    """The services that two runs called at different endpoints, so that their requests are another mixture.

    That is, more than :data:`_MIXTURE` of the calls of either run went to endpoints that the other does not have.
    """
    if run.endpoints == other.endpoints:
        return frozenset()
    return frozenset(
        service
        for service in {*run.by_service, *other.by_service}
        if max(_alone(run, other, service), _alone(other, run, service)) > _MIXTURE
    )


def _alone(run: Shape, other: Shape, service: str | None) -> float:
    """The share of a service's calls that went to endpoints which the other run does not have."""
    called = run.by_service.get(service, {})
    return sum(n for endpoint, n in called.items() if endpoint not in other.endpoints) / max(1, sum(called.values()))


def _asked(objective: Objective) -> Asked | None:
    sli = of_objective(objective)
    target = objective.target
    return Asked(sli, higher_is_worse=target.upper) if sli and (target.upper or target.lower) else None
