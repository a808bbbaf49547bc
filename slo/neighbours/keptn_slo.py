"""Reads what a team of Keptn v1 quality gates has: slo.yaml, with its defaults, and sli.yaml.

After `keptn/spec` (service_level_objective.md) and what lighthouse-service made of it: `evaluate_sli_handler.go` and
`common.go`. What Keptn would silently never fulfil, or always, is an error here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from slo.plan import ScoreRule
from slo.reader import Reader, optional
from slo.source import ExpressionError, InvalidConfig, quoted
from slo.tree import Leaf, Node, read_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slo.source import Source

Aggregate = Literal["avg", "p50", "p90", "p95"]
Include = Literal["all", "pass", "pass_or_warn"]

_CRITERION = re.compile(
    r"(?P<op><=|>=|<|>|=)(?P<sign>[+-]?)(?P<number>[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?P<percent>%?)"
)
_SCORE = re.compile(r"(?P<number>[0-9]{1,3}(?:\.[0-9]{1,9})?)%?")
_WHOLE = 100.0
_MOST_WEIGHT = 1e6
_SLO_KEYS = ("spec_version", "filter", "comparison", "objectives", "total_score")
_AGGREGATES: tuple[Aggregate, ...] = ("avg", "p50", "p90", "p95")
_SEVERAL = 3  # results that are compared with where their number is not said


@dataclass(frozen=True)
class Bound:
    """One criterion: ``<=+10%``. ``relative`` as of :class:`slo.target.Target`; ``number`` without its sign."""

    op: str
    sign: str
    number: str
    relative: Literal["share", "offset"] | None
    text: str

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Read a criterion; raises `ExpressionError`. With ``%`` it is relative, also without a sign: then it is +."""
        found = _CRITERION.fullmatch(re.sub(r"\s", "", text))
        if not found:
            raise ExpressionError(
                "bad-criterion", f"{quoted(text)} is no criterion: Keptn never takes it for fulfilled", (0, len(text)),
                help="write `<600`, `<=+10%`, `>=-5` or `=0`, without a unit",
            )  # fmt: skip
        relative: Literal["share", "offset"] | None = (
            "share" if found["percent"] else "offset" if found["sign"] else None
        )
        return cls(found["op"], found["sign"], found["number"], relative, found[0])

    @property
    def is_bare(self) -> bool:
        """A percentage that looks absolute."""
        return self.relative == "share" and not self.sign


Criteria = tuple[tuple[Bound, ...], ...]
"""One of them has to hold, and of that one every bound."""


@dataclass(frozen=True)
class KeptnObjective:
    """One SLI and what is asked of it; without ``passes`` it is only shown."""

    sli: str
    passes: Criteria = ()
    warns: Criteria = ()
    weight: float = 1.0
    key: bool = False
    title: str = ""


@dataclass(frozen=True)
class KeptnComparison:
    """What relative criteria are held against: the ``aggregate`` of the last ``results`` evaluations of that result."""

    results: int = 1
    include: Include = "all"
    aggregate: Aggregate = "avg"


@dataclass(frozen=True)
class KeptnSlo:
    """A whole slo.yaml; ``unread`` are its keys that Keptn does not read."""

    objectives: tuple[KeptnObjective, ...]
    comparison: KeptnComparison
    score: ScoreRule
    filter: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    @property
    def scored(self) -> tuple[KeptnObjective, ...]:
        """Those that count."""
        return tuple(one for one in self.objectives if one.passes)


def read_slo(source: Source) -> KeptnSlo:
    """Read Keptn's slo.yaml.

    Raises:
        InvalidConfig: it is not one, or says what Keptn never, or always, takes for fulfilled; with line and column.
    """
    r = Reader(source)
    top = _table(r, read_tree(source), "Keptn's slo.yaml")
    if top and "apiVersion" in top:
        help = "take over the slo.yaml of Keptn v1"
        r.note(top["apiVersion"], "not-keptn-v1", "this is a resource of Kubernetes, not a slo.yaml", help=help)
        raise InvalidConfig(source, r.problems)
    if top is not None and "objectives" not in top:
        help = "Keptn's has `objectives`, `total_score` and mostly `comparison`"
        r.problems.append(source.problem((0, 1), "missing-key", "this is no slo.yaml of Keptn", help=help))
        raise InvalidConfig(source, r.problems)
    fields = top or {}
    objectives = optional(fields, "objectives", partial(_objectives, r)) or ()
    score = optional(fields, "total_score", partial(_score, r))
    if top is not None and not _is_given(fields, "total_score"):
        help = 'add `total_score: {pass: "90%", warning: "75%"}`'
        message = "`total_score` is missing, without which Keptn gives no result"
        r.note(fields["objectives"], "missing-key", message, help=help)
    comparison = KeptnComparison()
    if _is_given(fields, "comparison"):
        comparison = optional(fields, "comparison", partial(_comparison, r)) or comparison
    filters = _table(r, fields["filter"], "`filter`") if _is_given(fields, "filter") else None
    if r.problems or score is None:
        raise InvalidConfig(source, r.problems)
    unread = tuple(name for name in fields if name not in _SLO_KEYS)
    known = {name: node.text for name, node in (filters or {}).items() if isinstance(node, Leaf)}
    return KeptnSlo(objectives, comparison, score, known, unread)


def read_queries(source: Source) -> dict[str, str]:
    """Read Keptn's sli.yaml: the name of each SLI and its query; raises `InvalidConfig`."""
    r = Reader(source)
    top = _table(r, read_tree(source), "Keptn's sli.yaml")
    if top is not None and "indicators" not in top:
        r.problems.append(
            source.problem((0, 1), "missing-key", "this is no sli.yaml of Keptn", help="Keptn's has `indicators`")
        )
    found = _table(r, top["indicators"], "`indicators`") if top and "indicators" in top else {}
    queries = {name: r.text(node, f"the query of `{name}`") for name, node in (found or {}).items()}
    if r.problems:
        raise InvalidConfig(source, r.problems)
    return {name: " ".join(query.split()) for name, query in queries.items() if query}


def _table(r: Reader, node: Node | None, what: str) -> dict[str, Node] | None:
    """A mapping with any keys: Keptn overlooks those that it does not know."""
    if node is None:
        r.problems.append(r.source.problem((0, 0), "empty-file", "the file is empty", help=f"name {what}"))
        return None
    entries = r.entries(node, what)
    return None if entries is None else {name: value for name, (_, value) in entries.items()}


def _is_given(fields: Mapping[str, Node], key: str) -> bool:
    node = fields.get(key)
    return node is not None and not (isinstance(node, Leaf) and node.kind == "nothing")


def _objectives(r: Reader, node: Node, what: str) -> tuple[KeptnObjective, ...]:
    found: dict[str, KeptnObjective] = {}
    for item in (r.items(node, what) or ()) if not _is_nothing(node) else ():
        fields = _table(r, item, "an objective")
        if fields is None:
            continue
        if "sli" not in fields:
            r.note(item, "missing-key", "an objective needs the key `sli`", help="add `sli: response_time_p95`")
            continue
        one = _objective(r, fields)
        if one.sli in found:
            help = "join their criteria in one objective"
            r.note(fields["sli"], "duplicate-objective", f"{quoted(one.sli)} is asked twice", help=help)
        found[one.sli] = one
    if not r.problems and not any(one.passes for one in found.values()):
        message = "nothing is asked here: no objective has `pass`, and Keptn passes that with 100"
        r.note(node, "no-objectives", message, help="add `pass` to the objectives that count")
    return tuple(found.values())


def _objective(r: Reader, fields: Mapping[str, Node]) -> KeptnObjective:
    given = {name: node for name, node in fields.items() if _is_given(fields, name)}
    weight = optional(given, "weight", r.number)
    if weight is not None and not 0 <= weight <= _MOST_WEIGHT:
        r.note(given["weight"], "bad-weight", "a weight is a number above 0", help="write `weight: 2`")
    return KeptnObjective(
        sli=optional(given, "sli", r.name) or "",
        passes=optional(given, "pass", partial(_criteria, r)) or (),
        warns=optional(given, "warning", partial(_criteria, r)) or (),
        weight=weight or 1.0,  # Keptn's, too, where it is 0
        key=optional(given, "key_sli", r.boolean) or False,
        title=optional(given, "displayName", r.name) or "",
    )


def _criteria(r: Reader, node: Node, what: str) -> Criteria:
    found = []
    for item in r.items(node, what) or ():
        fields = _table(r, item, f"an item of {what}") or {}
        bounds = tuple(bound for bound, _ in optional(fields, "criteria", r.each(r.expression(Bound.parse))) or ())
        if not bounds and not r.problems:
            message = f"an item of {what} has no criteria, and Keptn takes that for fulfilled whatever is measured"
            r.note(item, "no-criteria", message, help='write `criteria: ["<600"]`')
        found.append(bounds)
    return tuple(found)


def _score(r: Reader, node: Node, what: str) -> ScoreRule | None:
    if _is_nothing(node):
        return None
    fields = {name: value for name, value in (_table(r, node, what) or {}).items() if not _is_empty(value)}
    least = optional(fields, "pass", r.expression(_percent))
    if "pass" not in fields:
        r.note(node, "missing-key", "`total_score` needs the key `pass`", help='add `pass: "90%"`')
    warned = optional(fields, "warning", r.expression(_percent))
    return None if least is None else ScoreRule(least, warned)


def _percent(text: str) -> float:
    found = _SCORE.fullmatch(text.strip())
    if not found or float(found["number"]) > _WHOLE:
        raise ExpressionError("bad-score", f"{quoted(text)} is not a score", (0, len(text)), help='write `"90%"`')
    if not float(found["number"]):
        message = f"Keptn always reaches a score of {quoted(text)}, whatever is measured"
        help = 'write `"90%"`; a `warning` may be left out'
        raise ExpressionError("bad-score", message, (0, len(text)), help=help)
    return float(found["number"])


def _comparison(r: Reader, node: Node, what: str) -> KeptnComparison:
    fields = _table(r, node, what) or {}
    given = {name: value for name, value in fields.items() if not _is_empty(value)}
    with_ = optional(given, "compare_with", r.name)
    number = optional(given, "number_of_comparison_results", r.integer) or _SEVERAL
    # Keptn compares with three where it does not know what is said.
    results = {"single_result": 1, "several_results": number}.get(with_ or "", _SEVERAL)
    include = (optional(given, "include_result_with_score", r.name) or "all").lower()
    aggregate: Aggregate = optional(given, "aggregate_function", r.expression(_aggregate)) or "avg"
    known: Include = "pass" if include == "pass" else "pass_or_warn" if include == "pass_or_warn" else "all"
    return KeptnComparison(results, known, aggregate)


def _aggregate(text: str) -> Aggregate:
    for known in _AGGREGATES:
        if text == known:
            return known
    message = f"{quoted(text)} is no function of Keptn, which then compares with 0"
    raise ExpressionError("bad-value", message, (0, len(text)), help="avg, p50, p90 or p95")


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Leaf) and node.kind == "nothing"


def _is_empty(node: Node) -> bool:
    return isinstance(node, Leaf) and not node.text.strip()
