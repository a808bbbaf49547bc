"""What changed in a run, in full: by service, by percentile and by endpoint, and how both sides are distributed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slo import numbers, views
from slo.asked import Asked, asked_of_endpoint
from slo.comparing import outcome
from slo.comparison import CompareView, Distribution, EndpointChange
from slo.refs import run_ref
from slo.selector import Selector
from slo.sli import Sli, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.model import Run, RunRecord
    from data.samples import SampleEngine
    from slo.baseline import Past
    from slo.judging import Book, Judgement
    from slo.model import Comparison, ComparisonState, Endpoint
    from slo.plan import Phase

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Percentiles of which the shift is shown."""

MOST_ENDPOINTS = 200
_DRAWN = (*(i / 100 for i in range(1, 100)), 0.995, 0.999)

_TOLD: tuple[ComparisonState, ...] = ("unchanged", "improved", "inconclusive", "not_comparable", "no_baseline")
_Key = tuple[str | None, str, str]


@dataclass(frozen=True)
class _Both:
    """The samples of a run and of the one that it is drawn beside, if there is one."""

    now: RunRecord
    before: RunRecord | None


def compare_view(book: Book, run: Run, past: Past, phase: Phase | None) -> CompareView:
    """Everything about a run beside its past, by the objectives of ``phase``."""
    judged = book.judgement(run, book.asked(run, past, phase), past)
    before = book.evidence.record(past.runs[0].run_id) if past.runs else None
    both = _Both(judged.record, before)
    moved = any(f.code == "environment_shift" for f in judged.measurement.findings)
    endpoints = _endpoints(book, run, past, both, moved=moved)
    return CompareView(
        run=run_ref(run),
        before=run_ref(before.run) if before else None,
        baseline=book.baseline_ref(past),
        sentence=_sentence(judged, endpoints),
        outcome=outcome([*judged.comparisons, *_regressed(endpoints)]),
        findings=tuple(f for f in judged.measurement.findings if f.code != "no_baseline"),
        comparisons=judged.comparisons,
        percentiles=_percentiles(book, run, past, moved=moved),
        endpoints=endpoints,
        distributions=_distributions(both, book.samples),
    )


def _sentence(judged: Judgement, endpoints: Sequence[EndpointChange]) -> str:
    if not judged.past.runs:
        return "There is no run to compare with."
    runs = numbers.things(len(judged.past.runs), "run")
    if not judged.comparisons:
        return f"Nothing can be compared with {runs}."
    if any(f.code == "environment_shift" for f in judged.measurement.findings):
        return f"The environment changed since {runs}: what got worse as all did says nothing of one service."
    if worse := [c for c in judged.comparisons if c.state == "regressed"] or _regressed(endpoints):
        first, more = worse[0], f", and {len(worse) - 1} more" if len(worse) > 1 else ""
        what = f"{first.service + ' ' if first.service else ''}{first.sli} {first.stat}"
        return f"Got worse than in {runs}: {what} {numbers.change(first.change, first.unit)}{more}."
    counted = Counter(c.state for c in judged.comparisons)
    told = ", ".join(f"{counted[s]} {s.replace('_', ' ')}" for s in _TOLD if counted[s])
    sure = (
        "Nothing got worse than" if counted.keys() <= {"unchanged", "improved"} else "Nothing is known to be worse than"
    )
    return f"{sure} in {runs}: {told}."


def _regressed(endpoints: Sequence[EndpointChange]) -> list[Comparison]:
    """What got worse of single endpoints, which the numbers of their service may hide."""
    return [c for row in endpoints for c in (row.p95, row.failed) if c and c.state == "regressed"]


def _percentiles(book: Book, run: Run, past: Past, *, moved: bool) -> tuple[Comparison, ...]:
    """Each percentile of each service's latency, in order."""
    asked = [
        Asked(Sli(service, Selector("http_req_duration"), f"p({level * 100:g})", level), higher_is_worse=True)
        for service in run.services or (None,)
        for level in LEVELS
    ]
    found = {(c.service, c.stat): c for c in book.judgement(run, asked, past, moved=moved).comparisons}
    return tuple(found[one.sli.service, one.sli.stat] for one in asked)


def _endpoints(book: Book, run: Run, past: Past, both: _Both, *, moved: bool) -> tuple[EndpointChange, ...]:
    """Endpoints of both sides, those that changed most, in units of their own spread, first."""
    now, before = (_by_key(views.endpoints(one, book.samples)) if one else {} for one in (both.now, both.before))
    busiest = sorted({**before, **now}.values(), key=lambda e: -e.requests)[:MOST_ENDPOINTS]
    keys = [_key(endpoint) for endpoint in busiest]
    asked = [one for key in keys if key in now for one in asked_of_endpoint(key)]
    found = {(c.service, c.sli): c for c in book.judgement(run, asked, past, moved=moved).comparisons}
    rows = [
        EndpointChange(
            *key, now.get(key), before.get(key),
            *(found.get((key[0], str(one.sli.selector))) for one in asked_of_endpoint(key)),
        )
        for key in keys
    ]  # fmt: skip
    return tuple(sorted(rows, key=_by_noise))


def _by_noise(row: EndpointChange) -> tuple[bool, float, str]:
    lost = row.now is None or row.before is None
    noise = max((abs(c.noise) for c in (row.p95, row.failed) if c and c.noise is not None), default=0.0)
    return not lost, -noise, row.name


def _by_key(endpoints: Sequence[Endpoint]) -> dict[_Key, Endpoint]:
    return {_key(endpoint): endpoint for endpoint in endpoints}


def _key(endpoint: Endpoint) -> _Key:
    return endpoint.service, endpoint.method, endpoint.name


def _distributions(both: _Both, samples: SampleEngine) -> tuple[Distribution, ...]:
    if both.before is None:
        return ()
    now, before = (_quantiles(one, samples) for one in (both.now, both.before))
    return tuple(Distribution(service, _DRAWN, now[service], before[service]) for service in now if service in before)


def _quantiles(record: RunRecord, samples: SampleEngine) -> dict[str | None, tuple[float, ...]]:
    groups: dict[str, list[int]] = {}
    services: list[str | None] = [*record.run.services] or [None]
    for number, service in enumerate(services):
        sli = Sli(service, Selector("http_req_duration"), "med")
        if ids := [one.id for one in select(record.series, sli, record.run.meta.service)]:
            groups[str(number)] = ids
    found = samples.quantiles(record.run.id, groups, dict.fromkeys(groups, _DRAWN))
    return {service: found[str(number)] for number, service in enumerate(services) if str(number) in found}
