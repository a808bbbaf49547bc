"""What Keptn says of given SLI values, and what the imported phase says of the same: to check an import with."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from data.errors import UnreadableArtefact
from slo.config import parse_config
from slo.neighbours.keptn import import_keptn, take_over
from slo.neighbours.keptn_slo import read_queries, read_slo
from slo.score import Part, best_score, outcome, score, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slo.model import VerdictState
    from slo.neighbours.keptn import Measure
    from slo.neighbours.keptn_slo import Aggregate, KeptnComparison
    from slo.plan import Objective
    from slo.score import State
    from slo.source import Source

KeptnResult = Literal["pass", "warning", "fail"]

_RESULTS: dict[State, KeptnResult] = {"met": "pass", "at_risk": "warning", "missed": "fail", "unknown": "fail"}
_VERDICTS: dict[State, VerdictState] = {
    "met": "pass", "at_risk": "warn", "missed": "fail", "unknown": "inconclusive",
}  # fmt: skip
_LEVELS: dict[Aggregate, float] = {"avg": 0.0, "p50": 0.5, "p90": 0.9, "p95": 0.95}
_MOST_BYTES = 4 << 20


@dataclass(frozen=True)
class Evaluation:
    """SLI values as Keptn got them, and its ``result``, where it is known (``None``: it counts for every comparison).

    A value that is ``None`` is one that the provider could not get.
    """

    values: Mapping[str, float | None] = field(default_factory=dict)
    result: str | None = None


@dataclass(frozen=True)
class SliCheck:
    """One SLI: its value and what was before, as given; what Keptn says and what the objective says."""

    sli: str
    asked: str
    value: float | None
    baseline: float | None
    keptn: KeptnResult
    state: State


@dataclass(frozen=True)
class KeptnCheck:
    """Keptn's score and result, and those of the imported phase; ``best`` is the score if all unknown were met."""

    keptn_score: float
    keptn: KeptnResult
    score: float
    best: float
    decision: VerdictState
    slis: tuple[SliCheck, ...]


def check_import(
    source: Source,
    now: Evaluation,
    before: Sequence[Evaluation] = (),
    service: str | None = None,
    queries: Source | None = None,
) -> KeptnCheck:
    """Score values by the slo.yaml that Keptn's becomes, once as Keptn does and once as a gate does.

    ``before`` are earlier evaluations, newest first. Both are held against what Keptn compares with. Raises as
    :func:`slo.neighbours.keptn.import_keptn` does.
    """
    slo = read_slo(source)
    taken = take_over(slo, service, read_queries(queries) if queries else {})
    imported = parse_config(import_keptn(source, service=service, queries=queries).text).phases[0]
    previous = compared_with(before, slo.comparison)
    rows, theirs, ours = [], [], []
    for one, objective in zip(taken, imported.objectives, strict=True):
        name, measure = one.objective.sli, one.measure
        value = now.values.get(name)
        known = [earlier for evaluation in previous if (earlier := evaluation.values.get(name)) is not None]
        held = aggregated(known, slo.comparison.aggregate)
        part = Part(_state(objective, measure, value, held), objective.weight, objective.key)
        ours.append(part)
        if value is None:  # what nobody sent counts 0 as what could not be got does, but then no key SLI has failed
            theirs.append(replace(part, state="missed", key=part.key and name in now.values))
        else:  # without a previous result all that is relative holds
            theirs.append(replace(part, state=_state(objective, measure, value, held, unheld=True)))
        row = SliCheck(name, _asked(objective), value, held, _RESULTS[theirs[-1].state], part.state)
        rows.append(row)
    return KeptnCheck(
        score(theirs), _RESULTS[outcome(theirs, slo.score)], score(ours), best_score(ours),
        _VERDICTS[outcome(ours, slo.score)], tuple(rows),
    )  # fmt: skip


def compared_with(before: Sequence[Evaluation], comparison: KeptnComparison) -> list[Evaluation]:
    """The evaluations that Keptn compares with, by their result as a whole, newest first."""
    wanted = {"all": None, "pass": {"pass"}, "pass_or_warn": {"pass", "warning"}}[comparison.include]
    kept = [one for one in before if wanted is None or one.result is None or one.result in wanted]
    return kept[: comparison.results]


def aggregated(values: Sequence[float], by: Aggregate) -> float | None:
    """What Keptn makes of earlier values: their mean, or a percentile at ``p * (n + 1)``, which is not k6's."""
    if not values:
        return None
    if by == "avg":
        return sum(values) / len(values)
    ordered = sorted(values)
    place = _LEVELS[by] * (len(ordered) + 1)
    if place < 1:
        return ordered[0]
    if place >= len(ordered):
        return ordered[-1]
    low, high = ordered[math.floor(place) - 1], ordered[math.floor(place)]
    return low + (place - math.floor(place)) * (high - low)


def read_evaluations(text: bytes, name: str) -> list[Evaluation]:
    """Evaluations from JSON: an object of SLI values, or a list of them, newest first.

    An object with ``values`` may have Keptn's ``result`` beside them.

    Raises:
        UnreadableArtefact: it is something else.
    """
    help = 'write `{"response_time_p95": 412.5, "error_rate": 0.4}`'
    if len(text) > _MOST_BYTES:
        raise UnreadableArtefact(f"{name} is larger than {_MOST_BYTES >> 20} MiB", help=help)
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableArtefact(f"{name} is not JSON: {error}", help=help) from None
    return [_evaluation(one, name, help) for one in (read if isinstance(read, list) else [read])]


def _asked(objective: Objective) -> str:
    return f"{objective.asks.text}, warned unless {objective.warned.text}" if objective.warned else objective.asks.text


def _evaluation(read: object, name: str, help: str) -> Evaluation:
    if not isinstance(read, dict):
        raise UnreadableArtefact(f"{name} holds no object of SLI values", help=help)
    nested = read.get("values")
    values, result = (nested, read.get("result")) if isinstance(nested, dict) else (read, None)
    if result not in {None, "pass", "warning", "fail"}:
        raise UnreadableArtefact(f"{name}: {result!r} is no result of Keptn", help="pass, warning or fail")
    for sli, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number and value is not None:
            raise UnreadableArtefact(f"{name}: the value of {sli!r} is not a number", help=help)
    return Evaluation(values, result)


def _state(
    objective: Objective, measure: Measure, value: float | None, held: float | None, *, unheld: bool | None = None
) -> State:
    """The state of an objective by a value of its SLI, both in Keptn's unit."""
    now, before = (None if number is None else measure.number(number) for number in (value, held))
    return state_of(objective, now, before, unheld=unheld)
