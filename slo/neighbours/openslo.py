"""OpenSLO v1 as promql objectives.

An SLO says which share of events, or of time, is good over weeks; an objective compares one statistic over a run:

- ``ratioMetric``, Occurrences: the share itself, ``last >= 99.9%`` of ``(good) / (total)`` or ``1 - (bad) / (total)``.
- ``ratioMetric``, RatioTimeslices: its mean, ``avg >= 99.9%``.
- ``ratioMetric``, Timeslices: 99 % of slices reach 95 %: ``p(1) >= 95%``, as 1 % of the values may lie under it.
- ``thresholdMetric``: 99 % of values are ``lte 0.5``: ``p(99) <= 0.5``; ``gte 0.5``: ``p(1) >= 0.5``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING

from data.errors import UnreadableArtefact
from slo.neighbours.draft import Draft, Imported, written
from slo.neighbours.joined import Asked, joined
from slo.neighbours.k6 import bound, plain
from slo.neighbours.openslo_budgets import ADDRESS, SOURCE, budget_of
from slo.neighbours.openslo_objects import (
    ALERTS,
    KINDS,
    Fields,
    Known,
    LeftOut,
    Notes,
    Object,
    by_name,
    fields_of,
    indicator_of,
    read_objects,
    required,
)
from slo.reader import Reader, optional, suggestion
from slo.source import InvalidConfig, quoted
from slo.target import Target, TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slo.neighbours.draft import Entry
    from slo.source import Source
    from slo.tree import Node

_METHODS = ("Occurrences", "Timeslices", "RatioTimeslices")
_OPERATORS = {"lte": "<=", "lt": "<", "gte": ">=", "gt": ">"}
_ALWAYS = (
    "describe the Prometheus to ask under `prometheus`: until then promql objectives have no data",
    "OpenSLO knows no run, phase or baseline: all objectives are in one phase, each over the time of one run",
    "descriptions, labels and the details of connections are not taken over",
)


@dataclass(frozen=True)
class _Asking:
    """One objective of an SLO, as it is written there."""

    slo: Object
    method: str | None
    node: Node
    fields: Fields

    @property
    def title(self) -> str:
        return f"an objective of {self.slo.title}"

    def problem(self, message: str, help: str, key: str = "") -> None:
        """Note what is wrong with it, or with the value of a key."""
        self.slo.r.note(self.fields.get(key, self.node), "bad-objective", message, help=help)

    def number(self, key: str) -> Decimal | None:
        """The number under a key; ``None`` where there is none, which is noted if it is not one to compare with."""
        number = optional(self.fields, key, self.slo.r.number)
        if number is not None and not math.isfinite(number):
            self.problem(f"`{key}` of {self.title} is not finite", "write a number", key)
            return None
        return None if number is None else Decimal(repr(number))


def import_openslo(files: Sequence[Source], phase: str = "1", service: str | None = None) -> Imported:
    """The SLOs in files of OpenSLO v1, which may refer to each other, as objectives of ``phase``.

    ``service`` is that of SLOs that name none.

    Raises:
        InvalidConfig: a file is not YAML or not OpenSLO; it says what is wrong, of which object and where.
        UnreadableArtefact: there is no SLO, or none that slo.yaml can say.
    """
    notes = Notes()
    readers = [Reader(file) for file in files]
    objects = list(chain.from_iterable(read_objects(reader, notes) for reader in readers))
    named = {kind: by_name(objects, kind) for kind in KINDS}
    sources = {name: optional(one.spec, "type", one.r.name) or "" for name, one in named["DataSource"].items()}
    known = Known(named["SLI"], sources, notes)
    budgets: list[Entry] = []
    asked = [one for slo in named["SLO"].values() for one in _of_slo(slo, known, service, budgets)]
    for reader in readers:
        if reader.problems:
            raise InvalidConfig(reader.source, dict.fromkeys(reader.problems))  # an SLI may be read more than once
    for one in objects:
        if one.kind in ALERTS:
            notes.add(one.label, "alerts are not taken over")
    names = ", ".join(file.name for file in files[:3])
    if not asked:
        raise UnreadableArtefact(
            "; ".join([f"{names}: there is no SLO that slo.yaml can say", *notes.told()[:3]]),
            help="name files of OpenSLO v1 with SLOs on Prometheus, and those of their SLIs and DataSources",
        )
    objectives, merged = joined(asked)
    services = {str(entry["service"]) for entry in objectives if "service" in entry} | named["Service"].keys()
    draft = Draft(phase, objectives, services=sorted(services), budgets=budgets, prometheus=_sources(budgets, notes))
    return written(draft, f"Taken over from OpenSLO in {quoted(names)}.", (*merged, *notes.told(), *_ALWAYS))


def _sources(budgets: Sequence[Entry], notes: Notes) -> dict[str, Entry]:
    """Who counts for the budgets, if there are any."""
    if not budgets:
        return {}
    told = "its address is made up, as connections are not taken over: write where yours is"
    notes.add(f"prometheus {quoted(SOURCE)}", told)
    return {SOURCE: {"url": ADDRESS}}


def _of_slo(slo: Object, known: Known, service: str | None, budgets: list[Entry]) -> Iterator[Asked]:
    """Its objectives; those that are of events over days are budgets besides."""
    r = slo.r
    named = optional(slo.spec, "service", r.name) or service
    method = optional(slo.spec, "budgetingMethod", r.name)
    if method not in {None, *_METHODS}:
        message = f"{slo.title} has the unknown budgetingMethod {quoted(str(method))}"
        r.note(slo.spec["budgetingMethod"], "bad-method", message, help=suggestion(str(method), _METHODS, "methods"))
        return
    nodes = r.items(slo.spec["objectives"], f"`objectives` of {slo.title}") if "objectives" in slo.spec else ()
    if nodes == ():
        r.note(slo.node, "no-objectives", f"{slo.title} has no objectives", help="add `objectives` to its spec")
    for node in nodes or ():
        asking = _Asking(slo, method, node, fields_of(r, node, f"an objective of {slo.title}"))
        shown = optional(asking.fields, "displayName", r.name)
        said = f"{slo.label} ({shown})" if shown else slo.label
        try:
            found = _objective(asking, known)
        except LeftOut as left_out:
            known.notes.add(said, f"left out, because {left_out}")
            continue
        if found:
            entry, target = found
            if budget := _budget(asking, known, said, several=len(nodes or ()) > 1):
                budgets.append(budget | ({"service": named} if named else {}))
            yield Asked(({"service": named} if named else {}) | entry, target, said)
    _note_the_rest(slo, named, known.notes)


def _budget(asking: _Asking, known: Known, said: str, *, several: bool) -> Entry | None:
    """The error budget of an objective, all but its service, if slo.yaml has such a one."""
    sli, share = _sli_of(asking, known), _share(asking)
    if sli is None or share is None or "ratioMetric" not in sli.spec:
        return None
    try:
        found = budget_of(asking.slo, sli, share, known, said)
    except LeftOut as left_out:
        known.notes.add(said, f"has no budget in `budgets`, because {left_out}")
        return None
    shown = optional(asking.fields, "displayName", asking.slo.r.name) or str(share)
    name = f"{asking.slo.name} {shown}" if several else asking.slo.name
    return {"name": name} | found if found else None


def _note_the_rest(slo: Object, service: str | None, notes: Notes) -> None:
    if service is None:
        notes.add(slo.label, "names no service, so it is asked of whole runs; `--service NAME` makes it of one")
    if "budgetingMethod" not in slo.spec:
        notes.add(slo.label, "has no budgetingMethod; taken for Occurrences")
    if "timeWindow" in slo.spec:
        notes.add(slo.label, "its time window is none of its objective, because a run is judged over its own time")
    if "alertPolicies" in slo.spec:
        notes.add(slo.label, "alerts are not taken over")


def _objective(asking: _Asking, known: Known) -> tuple[Entry, Target] | None:
    """One objective, all but its service; ``None`` after a problem was noted. Raises `LeftOut`."""
    slo = asking.slo
    sli = _sli_of(asking, known)
    indicator = indicator_of(sli, known, slo.label) if sli else None
    share = _share(asking)
    if indicator is None or share is None:
        return None
    if indicator.is_counted:
        told = (
            "its queries count since each process started, and so does the share; put `increase(...[30m])` around them"
        )
        known.notes.add(slo.label, f"{told}, as long as a run")
    text = (_of_share if indicator.is_share else _of_value)(asking, share, known.notes)
    weight = asking.number("compositeWeight")
    if weight is not None and weight <= 0:
        asking.problem(
            f"the compositeWeight of {asking.title} is not above 0", "write `compositeWeight: 1`", "compositeWeight"
        )
    if text is None:
        return None
    try:
        target = Target.parse(text)
        target.check_fits_promql()
    except TargetError as error:
        raise LeftOut(error.message) from None
    entry: Entry = {"promql": indicator.promql, "target": target.text}
    return entry | ({"weight": float(weight)} if weight is not None else {}), target


def _sli_of(asking: _Asking, known: Known) -> Object | None:
    """The SLI that an objective, or else its SLO, has or names."""
    slo, r = asking.slo, asking.slo.r
    fields = asking.fields if {"indicator", "indicatorRef"} & asking.fields.keys() else slo.spec
    if ("indicator" in fields) == ("indicatorRef" in fields):
        asking.problem(f"{slo.title} needs `indicator` or `indicatorRef`, one of them", "name an SLI, or write it out")
        return None
    if "indicator" in fields:
        inline = fields_of(r, fields["indicator"], f"the indicator of {slo.title}")
        spec = fields_of(r, inline["spec"], f"the indicator of {slo.title}") if "spec" in inline else {}
        return Object(r, "indicator of the SLO", slo.name, fields["indicator"], spec)
    name = optional(fields, "indicatorRef", r.name)
    if name is not None and name not in known.indicators:
        message = f"{slo.title} refers to the SLI {quoted(name)}, which no file has"
        r.note(fields["indicatorRef"], "unknown-sli", message, help="name the file that has it, too: --openslo FILE")
    return known.indicators.get(name or "")


def _share(asking: _Asking) -> Decimal | None:
    """The share that an objective asks for, from 0 to below 1."""
    help = "write `target: 0.99` or `targetPercent: 99`"
    if ("target" in asking.fields) == ("targetPercent" in asking.fields):
        asking.problem(f"{asking.title} needs `target` or `targetPercent`, one of them", help)
        return None
    key, whole = ("target", 1) if "target" in asking.fields else ("targetPercent", 100)
    number = asking.number(key)
    if number is not None and not 0 <= number < whole:
        asking.problem(f"`{key}` of {asking.title} is not from 0 to below {whole}", help, key)
        return None
    return None if number is None else number / whole


def _of_share(asking: _Asking, share: Decimal, notes: Notes) -> str | None:
    """The target of a ratioMetric, whose values are shares."""
    match asking.method:
        case "Timeslices":
            if "timeSliceTarget" not in asking.fields:
                asking.problem(f"{asking.title} needs `timeSliceTarget`, by Timeslices", "add `timeSliceTarget: 0.95`")
            slice_target = asking.number("timeSliceTarget")
            notes.add(asking.slo.label, "its share of good time slices became a percentile of the values during a run")
            return None if slice_target is None else f"p({plain((1 - share) * 100)}) >= {plain(slice_target * 100)}%"
        case "RatioTimeslices":
            notes.add(asking.slo.label, "its mean over time slices became the mean of the values during a run")
            return f"avg >= {plain(share * 100)}%"
        case _:
            notes.add(asking.slo.label, "its error budget became a share that has to be reached when a run ends")
            return f"last >= {plain(share * 100)}%"


def _of_value(asking: _Asking, share: Decimal, notes: Notes) -> str | None:
    """The target of a thresholdMetric: so large a share of its values is on the good side of ``value``."""
    op = required(asking.slo.r, asking.node, asking.fields, "op", asking.title)
    if op is not None and op not in _OPERATORS:
        asking.problem(f"{asking.title} has the unknown op {quoted(op)}", f"operators: {', '.join(_OPERATORS)}", "op")
    if "value" not in asking.fields:
        asking.problem(f"{asking.title} needs the key `value`", "add `value: ...`")
    value = asking.number("value")
    if op not in _OPERATORS or value is None:
        return None
    told = "; time slices are not taken over" if asking.method in {"Timeslices", "RatioTimeslices"} else ""
    notes.add(asking.slo.label, f"its share of good values became a percentile of those during a run{told}")
    percent = (share if op in {"lte", "lt"} else 1 - share) * 100
    return f"p({plain(percent)}) {_OPERATORS[op]} {bound(value)}"
