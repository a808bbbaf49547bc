"""Error budgets of OpenSLO v1 as ``budgets``: shares of events, counted by Prometheus over a rolling window of days."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from slo.budget_config import LONGEST_DAYS
from slo.neighbours.k6 import plain
from slo.neighbours.openslo_objects import Fields, LeftOut, fields_of, query_of
from slo.promql import check
from slo.reader import optional
from slo.source import ExpressionError

if TYPE_CHECKING:
    from decimal import Decimal

    from slo.neighbours.draft import Entry
    from slo.neighbours.openslo_objects import Known, Object
    from slo.tree import Node

SOURCE = "main"
ADDRESS = "http://127.0.0.1:9090"
"""Of no Prometheus in particular: OpenSLO leaves it open how a connection is said."""

_DURATION = re.compile(r"(\d{1,4})([hdw])")
_DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}
_RANGES = re.compile(r"\[([^\]]*)\]")
_COUNTER = re.compile(r"(?P<sum>sum\s*\()?(?P<of>\s*[A-Za-z_:][\w:]*\s*(?:\{[^{}]*\})?\s*)(?(sum)\))")
_GROWTH = re.compile(r"\b(?:increase|rate)\s*\(")


def budget_of(slo: Object, sli: Object, share: Decimal, known: Known, label: str) -> Entry | None:
    """The budget of an objective with its ratioMetric, all but name and service; ``None`` after a problem was noted.

    Raises:
        LeftOut: it says why slo.yaml has no such budget.
    """
    if optional(slo.spec, "budgetingMethod", slo.r.name) not in {None, "Occurrences"}:
        raise LeftOut("it counts time slices, not events")
    if not share:
        raise LeftOut("a target of 0 is always met")
    ratio = fields_of(sli.r, sli.spec["ratioMetric"], f"the ratioMetric of {sli.title}")
    if "raw" in ratio:
        raise LeftOut("of a `raw` share nobody knows how many events it is of")
    window = f"{_days(slo)}d"
    part = "good" if "good" in ratio else "bad"
    entry: Entry = {"source": SOURCE, "objective": f"{plain(share * 100)}%", "window": window}
    for key in (part, "total"):
        if not (counting := _counting(sli, ratio, key, known, label)):
            return None
        entry[key] = counting
    return entry


def _days(slo: Object) -> int:
    """How many days its rolling window has."""
    if "timeWindow" not in slo.spec:
        raise LeftOut("it has no time window")
    windows = slo.r.items(slo.spec["timeWindow"], f"`timeWindow` of {slo.title}") or ()
    fields: Fields = fields_of(slo.r, windows[0], f"the timeWindow of {slo.title}") if len(windows) == 1 else {}
    if optional(fields, "isRolling", slo.r.boolean) is not True:
        raise LeftOut("its time window does not roll")
    text = optional(fields, "duration", slo.r.name) or ""
    match = _DURATION.fullmatch(text)
    days = int(match[1]) * _DAYS[match[2]] if match else 0.0
    if not days.is_integer() or not 1 <= days <= LONGEST_DAYS:
        raise LeftOut(f"its time window of {text} is not one of whole days, at most {LONGEST_DAYS}")
    return int(days)


def _counting(sli: Object, ratio: Fields, key: str, known: Known, label: str) -> str | None:
    """A query that counts over ``$window``."""
    node: Node = ratio[key]
    if not (query := query_of(sli, node, known, "$window")):
        return None
    is_counter = optional(ratio, "counter", sli.r.boolean) is not False
    if "$window" not in query:
        query = _over_window(query.strip(), key, known, label, is_counter=is_counter)
    try:
        return check(query, [])
    except ExpressionError as error:
        raise LeftOut(f"`{key}` cannot be taken over: {error.message}") from None


def _over_window(query: str, key: str, known: Known, label: str, *, is_counter: bool) -> str:
    ranges = set(_RANGES.findall(query))
    if len(ranges) == 1 and _GROWTH.search(query):
        known.notes.add(label, f"the range [{next(iter(ranges))}] in the queries of its budget became [$window]")
        return _RANGES.sub("[$window]", query)
    if is_counter and not ranges and (counter := _COUNTER.fullmatch(query)):
        known.notes.add(label, "the counters of its budget became increase(...[$window])")
        return f"sum(increase({counter['of'].strip()}[$window]))"
    raise LeftOut(f"it is not plain over which time `{key}` counts; write `[{{{{.window}}}}]` there")
