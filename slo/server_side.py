"""What k6 saw beside what the service saw of itself: is it the service that got slower, or the way to it?"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from slo import numbers
from slo.model import ServerSide
from slo.queries import P95

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.model import RunRecord
    from slo.model import Comparison, Whereabouts

FOLLOWS = 0.5
"""The share of k6's change from which on the service's own change explains it."""
APART = 2.0
"""k6's time is this many times the service's own: more of it is spent elsewhere than in the service."""
_WORTH_MS = 10.0
_MS_PER_S = 1000.0


@dataclass(frozen=True)
class Seen:
    """The p95 of a service in one run, in ms: k6's, and by the service's own histogram."""

    client_ms: float | None
    server_ms: float | None


def server_p95_ms(record: RunRecord, service: str) -> float | None:
    """The p95 of a service by its own histogram, in ms; ``None`` where Prometheus has none."""
    for pull in record.pulls:
        if (pull.query.name, pull.query.service) == (P95, service):
            return next((one.last * _MS_PER_S for one in pull.series if one.n), None)
    return None


def server_side(
    service: str, now: Seen, before: Sequence[Seen], comparison: Comparison | None, least: float
) -> ServerSide | None:
    """Both numbers of a service and one sentence about them; ``None`` where its own is not known.

    ``before`` are the runs of the baseline, ``comparison`` that of k6's p95, ``least`` the relative change that
    matters. A histogram knows a quantile only as finely as its buckets are.
    """
    if now.client_ms is None or now.server_ms is None:
        return None
    known = [one.server_ms for one in before if one.server_ms is not None]
    was = median(known) if known else None
    where, sentence = _said(service, now.client_ms, now.server_ms, was, comparison, least)
    before_ms = comparison.baseline if comparison else None
    return ServerSide(service, now.client_ms, now.server_ms, was, before_ms, sentence, where)


def _said(  # noqa: PLR0913, PLR0917  # all that there is to weigh
    service: str, client: float, server: float, was: float | None, comparison: Comparison | None, least: float
) -> tuple[Whereabouts, str]:
    if comparison and comparison.state == "regressed" and comparison.change and was:
        change = server / was - 1
        own = f"{service}'s own p95 went from {numbers.duration_ms(was)} to {numbers.duration_ms(server)}"
        if change >= FOLLOWS * comparison.change:
            return "service", f"{own}, as k6's did: it is the service"
        if change < least:
            return "way", f"{own}, and only k6's rose: it is the network or the load generator"
        return "both", f"{own}, less than k6's: it is the service in part, and the way to it"
    own = f"{service}'s own p95 is {numbers.duration_ms(server)}, k6 measured {numbers.duration_ms(client)}"
    if client >= APART * server and client - server >= _WORTH_MS:
        return "way", f"{own}: most of it is spent on the way (network, proxy, a queue) or in the load generator"
    return "service", f"{own}: the time is spent in the service"
