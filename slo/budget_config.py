"""Reads ``budgets`` of a slo.yaml: which share of events has to be good over days, and how Prometheus counts them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from data.budgets import BUCKET_S, RatioQuery
from slo.budget_model import Budget
from slo.kinds import parse_duration
from slo.plan import MetricsSource
from slo.promql import DURATIONS, check, expanded, filled, names_in
from slo.reader import Reader, optional, suggestion
from slo.source import ExpressionError, quoted
from slo.target import parse_quantity
from slo.tree import Node

_WINDOW, _STEP = DURATIONS
LONGEST_DAYS = 90
_DAY_S = 86_400
_PARTS = ("good", "bad")
_BUCKET = f"{BUCKET_S // 60}m"


def read_budgets(
    r: Reader, services: Collection[str] | None, sources: Mapping[str, MetricsSource], node: Node, what: str
) -> tuple[Budget, ...]:
    """Read all budgets; ``services`` are those they may name (``None``: any), ``sources`` those they may ask."""
    nodes = r.items(node, what)
    if nodes == ():
        r.note(node, "empty", f"{what} is empty", help="leave it out, or add a budget")
    budgets: dict[str, Budget] = {}
    for item in nodes or ():
        budget = _budget(r, services, sources, item)
        if budget is None:
            continue
        if budgets.setdefault(budget.name, budget) is not budget:
            r.note(item, "duplicate-budget", f"the budget {quoted(budget.name)} is there already", help="rename one")
    return tuple(budgets.values())


def _budget(
    r: Reader, services: Collection[str] | None, sources: Mapping[str, MetricsSource], node: Node
) -> Budget | None:
    more = ("service", "source", *_PARTS)
    fields = r.table(node, "a budget", required=("name", "objective", "window", "total"), optional=more)
    if fields is None:
        return None
    if sum(part in fields for part in _PARTS) != 1:
        help = "write `good:` with the query that counts good events, or `bad:`"
        r.note(node, "good-or-bad", "a budget has one of `good` and `bad`", help=help)
    name = optional(fields, "name", r.name)
    objective = optional(fields, "objective", r.expression(_objective))
    window_s = optional(fields, "window", r.expression(_window))
    source = optional(fields, "source", r.name) if "source" in fields else next(iter(sources), None)
    _check_source(r, fields.get("source", node), sources, source, named="source" in fields)
    service = optional(fields, "service", r.name)
    if service is not None and services is not None and service not in services:
        message = f"the service {quoted(service)} is not declared in `services`"
        r.note(fields["service"], "unknown-service", message, help=suggestion(service, services, "services"))
    read = partial(_count, r, sources.get(source or ""), service)
    counts = {key: optional(fields, key, read) for key in ("total", *_PARTS)}
    if name is None or objective is None or window_s is None or counts["total"] is None or source is None:
        return None
    query = RatioQuery(source, counts["total"], counts["good"], counts["bad"])
    return Budget(name, objective, window_s, query, service)


def _check_source(
    r: Reader, node: Node, sources: Mapping[str, MetricsSource], source: str | None, *, named: bool
) -> None:
    if not sources:
        help = "add `prometheus: {main: {url: ...}}`"
        r.note(node, "no-source", "a budget is counted by a Prometheus, and none is named", help=help)
    elif named and source is not None and source not in sources:
        help = suggestion(source, sources, "sources")
        r.note(node, "unknown-source", f"there is no prometheus {quoted(source)}", help=help)
    elif not named and len(sources) > 1:
        help = f"add `source:`, one of {', '.join(sources)}"
        r.note(node, "which-source", "there are several prometheus to ask", help=help)


def _count(r: Reader, source: MetricsSource | None, service: str | None, node: Node, what: str) -> str | None:
    """Read a query that counts events over ``$window``; its other names are filled in."""
    known = {**(source.labels if source else {}), **({"service": service} if service else {})}
    if (promql := r.text(node, what)) is None:
        return None
    try:
        check(promql, list(known), macro=service is not None)
        whole = check(expanded(promql, source.select if source else ""), list(known))
    except ExpressionError as error:
        r.note_expression(node, error)
        return None
    if _WINDOW not in names_in(promql):
        help = f"write the time it counts over as `[${_WINDOW}]`: sum(increase(http_requests_total[${_WINDOW}]))"
        r.note(node, "no-window", f"{what} has no `${_WINDOW}`", help=help)
        return None
    return filled(whole, known.__getitem__, {_WINDOW: f"${_WINDOW}", _STEP: _BUCKET})


def _objective(text: str) -> float:
    share = parse_quantity(text, "ratio")
    if not 0 < share < 1:
        message = f"{quoted(text)} leaves no error budget" if share == 1 else f"{quoted(text)} is not an objective"
        help = "write a share between 0% and 100%, as `objective: 99.5%`"
        raise ExpressionError("bad-objective", message, (0, len(text)), help=help)
    return share


def _window(text: str) -> int:
    seconds = parse_duration(text)
    if seconds % _DAY_S or not _DAY_S <= seconds <= LONGEST_DAYS * _DAY_S:
        help = f"write whole days, at most {LONGEST_DAYS}: `window: 28d`"
        raise ExpressionError("bad-window", f"{quoted(text)} is not a window of days", (0, len(text)), help=help)
    return int(seconds)
