"""A phase's objectives as k6's thresholds, so that a script fails for what the gate would."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from data.errors import NotFound
from data.k6_metrics import BUILT_IN
from slo.neighbours.k6 import part_in, parts_of, plain
from slo.numbers import things
from slo.selector import Selector, SelectorError
from slo.source import quoted
from slo.target import Target, TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from data.model import MetricKind, Threshold
    from slo.plan import Objective, Phase

Thresholds = dict[str, list[str]]
"""What ``options.thresholds`` of a k6 script holds: selector -> ``p(95)<250``, in k6's plain numbers."""

_K6_STATS: dict[MetricKind, tuple[str, ...]] = {
    "trend": ("avg", "min", "med", "max", "p"),
    "rate": ("rate",),
    "counter": ("count", "rate"),
    "gauge": ("value",),
}
"""The statistics that k6 has thresholds on; slo.yaml knows the extremes of a gauge, too."""


@dataclass(frozen=True)
class Exported:
    """The thresholds, sorted by selector, and one sentence for everything that k6 cannot say."""

    thresholds: Thresholds
    notes: tuple[str, ...]


def export_k6(phase: Phase, service: str | None = None) -> Exported:
    """The objectives of a phase (of one ``service``, if named) as thresholds of a script that tags its requests.

    Raises:
        NotFound: the phase asks nothing of the service, or nothing that k6 can say.
    """
    asked = [one for one in phase.objectives if service in {None, one.service}]
    if not asked:
        known = sorted({one.service for one in phase.objectives if one.service})
        raise NotFound(f"phase {phase.id} asks nothing of {quoted(str(service))}", help=f"services: {', '.join(known)}")
    reasons = [_why_not(one) for one in asked]
    said = [one for one, reason in zip(asked, reasons, strict=True) if reason is None]
    left_out = [f"{_told(one)}: left out, because {why}" for one, why in zip(asked, reasons, strict=True) if why]
    if not said:
        raise NotFound(f"phase {phase.id} has no objective that k6 can say: {'; '.join(left_out[:3])}")
    thresholds: defaultdict[str, list[str]] = defaultdict(list)
    for one in said:
        thresholds[_selector(one)] += [_threshold(target) for target in one.asks if not target.relative]
    return Exported({selector: thresholds[selector] for selector in sorted(thresholds)}, (*left_out, *_lost(said)))


def as_json(thresholds: Thresholds) -> str:
    """Options for ``k6 run --config``, or for ``JSON.parse(open(...))`` in a script."""
    return json.dumps({"thresholds": thresholds}, indent=2) + "\n"


def as_js(thresholds: Thresholds) -> str:
    """A module to import into a script."""
    return f"export const thresholds = {json.dumps(thresholds, indent=2)};\n"


def differences(asked: Thresholds, script: Sequence[Threshold]) -> list[str]:
    """What only one of the two has, one line each: ``-`` is missing in the script, ``+`` is there beside slo.yaml."""
    ours = {_canonical(metric, source) for metric, sources in asked.items() for source in sources}
    theirs = {_canonical(one.metric, one.source) for one in script}
    lines = [*(("-", *one) for one in ours - theirs), *(("+", *one) for one in theirs - ours)]
    return [f"{sign} {metric} {source}" for sign, metric, source in sorted(lines, key=lambda line: line[1:])]


def _why_not(objective: Objective) -> str | None:
    """Why k6 cannot say it, if it cannot."""
    if objective.sli is None:
        return "k6 does not ask Prometheus"
    if objective.include and list(objective.include) != [part_in(objective.sli)]:
        return f"k6 cannot be told to count {' and '.join(objective.include)} in"
    if objective.service and dict(objective.sli.tags).get("service", objective.service) != objective.service:
        return "it names two services"
    if len(objective.asks.any_of) > 1 or all(target.relative for target in objective.asks):
        return "k6 knows no run before, and no alternatives"
    kind = BUILT_IN[objective.sli.metric][0] if objective.sli.metric in BUILT_IN else None
    if kind and objective.target.stat.partition("(")[0] not in _K6_STATS[kind]:
        return f"k6 has no threshold on the {objective.target.stat} of a {kind}"
    return None


def _selector(objective: Objective) -> str:
    selector = objective.sli or Selector("")
    tags = dict(selector.tags) | ({"service": objective.service} if objective.service else {})
    return str(Selector(selector.metric, tuple(sorted(tags.items()))))


def _threshold(target: Target) -> str:
    return f"{target.stat}{target.op}{plain(Decimal(repr(target.threshold)))}"


def _told(objective: Objective) -> str:
    what = str(objective.sli or objective.promql)
    return f"{f'{objective.service} ' if objective.service else ''}{quoted(what)} {quoted(objective.asks.text)}"


def _canonical(metric: str, source: str) -> tuple[str, str]:
    """A threshold as it is exported, however a script spells it; what cannot be read stays as it is."""
    try:
        return str(Selector.parse(metric)), _threshold(Target.parse(source)) if parts_of(source) else source
    except (SelectorError, TargetError):
        return metric, source


def _lost(said: Sequence[Objective]) -> Iterator[str]:
    """What of the objectives that k6 can say is not in its thresholds."""
    if warned := sum(one.warn is not None for one in said):
        yield f"k6 has no warnings: `warn` of {things(warned, 'objective')} is left out"
    if relative := sum(one.asks.is_relative for one in said):
        yield f"k6 knows no run before: what is relative in {things(relative, 'objective')} is left out"
    if any(one.service for one in said):
        yield (
            "k6 calls a threshold passed that no sample matches: the script has to tag its requests with `service`, "
            "or all of them by `options.tags = { service: ... }`"
        )
    if any(not one.include and not {"group", "scenario"} & dict(one.sli.tags).keys() for one in said if one.sli):
        yield "k6 counts setup() and teardown() in, slo.yaml does not; the tag `scenario` in a selector leaves them out"
