"""Reads the phases of a slo.yaml and checks what hangs together in them."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from slo.criterion import Criterion
from slo.kinds import Load, RunKind, named, parse_duration, parse_kind
from slo.plan import MetricsSource, Objective, Phase, ScoreRule
from slo.reader import Reader, optional, suggestion
from slo.selector import Selector
from slo.source import ExpressionError, quoted
from slo.sources import check_counter, check_source, read_promql, source_of
from slo.target import Target, parse_quantity
from slo.targets import check_targets, read_targets
from slo.tree import Leaf, Node

_PHASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_PARTS = ("setup", "teardown")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?) ?%?")
_WHOLE = 100.0


@dataclass(frozen=True)
class _Draft:
    """A phase, where its id is written, and the phases it comes after with their places."""

    phase: Phase
    id_node: Node
    after: list[tuple[str, Node]]


def read_phases(
    r: Reader, services: Collection[str] | None, sources: Mapping[str, MetricsSource], node: Node, what: str
) -> tuple[Phase, ...]:
    """Read all phases; ``services`` are those that objectives may name, ``None`` if any will do.

    ``sources`` are those that promql objectives may ask.
    """
    nodes = r.items(node, what)
    if nodes == ():
        r.note(node, "no-phases", "there are no phases", help="add a phase with objectives")
    drafts = [draft for item in nodes or () if (draft := _phase(r, services, sources, item))]
    _check_ids(r, drafts)
    _check_order(r, drafts)
    return tuple(draft.phase for draft in drafts)


def _phase(
    r: Reader, services: Collection[str] | None, sources: Mapping[str, MetricsSource], node: Node
) -> _Draft | None:
    fields = r.table(
        node,
        "a phase",
        required=("id", "objectives"),
        optional=(
            "title",
            "after",
            "entry",
            "runs",
            "max_age",
            "coverage",
            "score",
            "budget",
            "rollback",
            "verification",
        ),
    )
    if fields is None:
        return None
    objectives = optional(fields, "objectives", partial(_objectives, r, services, sources))
    phase_id = optional(fields, "id", r.expression(_phase_id))
    after = optional(fields, "after", r.each(r.name)) or []
    entry = optional(fields, "entry", r.each(r.expression(Criterion.parse))) or []
    verification = optional(fields, "verification", r.each(r.text)) or []
    phase = Phase(
        id=phase_id or "",
        title=optional(fields, "title", r.name) or "",
        objectives=objectives or (),
        after=tuple(dict.fromkeys(name for name, _ in after)),
        entry=tuple(criterion for criterion, _ in entry),
        coverage=optional(fields, "coverage", r.expression(Target.parse_coverage)),
        score=optional(fields, "score", partial(_score, r)),
        budget=optional(fields, "budget", r.expression(Target.parse_budget)),
        rollback=optional(fields, "rollback", r.text),
        verification=tuple(step for step, _ in verification),
        runs=optional(fields, "runs", partial(_kinds, r, services)) or (),
        max_age_s=optional(fields, "max_age", r.expression(parse_duration)),
    )
    return _Draft(phase, fields["id"], after) if phase_id else None


def _score(r: Reader, node: Node, what: str) -> ScoreRule | None:
    """Read ``{pass: 90, warn: 75}``, in per cent."""
    fields = r.table(node, what, required=("pass",), optional=("warn",)) or {}
    least, warned = (optional(fields, key, r.expression(_percent)) for key in ("pass", "warn"))
    if least is not None and warned is not None and warned > least:
        help = "from `warn` on it is a warning, from `pass` on a pass"
        r.note(fields["warn"], "bad-score", "`warn` is above `pass`", help=help)
    return None if least is None else ScoreRule(least, warned)


def _percent(text: str) -> float:
    number = _PERCENT.fullmatch(text)
    if not number or float(number[1]) > _WHOLE:
        help = "write `score: {pass: 90, warn: 75}`, in per cent"
        raise ExpressionError("bad-score", f"{quoted(text)} is not a score", (0, len(text)), help=help)
    if not float(number[1]):
        help = "ask for more than 0, such as `score: {pass: 90, warn: 75}`, or leave it out"
        raise ExpressionError("bad-score", f"a score of {quoted(text)} would always pass", (0, len(text)), help=help)
    return float(number[1])


def _phase_id(text: str) -> str:
    if not _PHASE_ID.fullmatch(text):
        raise ExpressionError(
            "bad-phase-id",
            f"{quoted(text)} is not an id",
            (0, len(text)),
            help="letters, digits and `. _ : -`, at most 64, such as `7A`",
        )
    return text


def _check_ids(r: Reader, drafts: Sequence[_Draft]) -> None:
    first: dict[str, Node] = {}
    for draft in drafts:
        before = first.setdefault(draft.phase.id, draft.id_node)
        if before is not draft.id_node:
            message = f"the phase {quoted(draft.phase.id)} is already on line {r.line(before)}"
            r.note(draft.id_node, "duplicate-phase", message, help="give each phase its own id")


def _check_order(r: Reader, drafts: Sequence[_Draft]) -> None:
    after: dict[str, list[str]] = {draft.phase.id: [] for draft in drafts}
    places = {(draft.phase.id, name): node for draft in drafts for name, node in draft.after}
    for (phase_id, name), node in places.items():
        after[phase_id].append(name)
        if name not in after:
            r.note(node, "unknown-phase", f"there is no phase {quoted(name)}", help=suggestion(name, after, "phases"))
    for cycle in _cycles(after):
        message = f"the phase {quoted(cycle[0])} comes after itself"
        circle = f"break the circle: {' after '.join(cycle)}"
        r.note(places[cycle[-2], cycle[-1]], "phase-cycle", message, help=circle)


def _cycles(after: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Walk depth-first; each step back onto the path closes a circle, which is yielded with its start at both ends."""
    done: set[str] = set()
    for start in after:
        path = {} if start in done else {start: iter(after[start])}
        while path:
            here = next(reversed(path))
            following = next(path[here], None)
            if following is None:
                done.add(here)
                del path[here]
            elif following in path:
                steps = list(path)
                yield [*steps[steps.index(following) :], following]
            elif following in after and following not in done:
                path[following] = iter(after[following])


def _kinds(r: Reader, services: Collection[str] | None, node: Node, what: str) -> tuple[RunKind, ...]:
    """Read the kinds of run that a phase demands; one whose load is a share of another's names that other."""
    kinds: dict[str, RunKind] = {}
    references: list[tuple[str, Node]] = []
    nodes = r.items(node, what)
    if nodes == ():
        help = "leave it out, or demand a kind of run: `- {kind: sustained, at_least: 10m}`"
        r.note(node, "empty", f"{what} is empty", help=help)
    for item in nodes or ():
        fields = r.table(
            item, "a kind of run", required=("kind",), optional=("where", "at_least", "load", "of", "services")
        )
        name = optional(fields, "kind", r.expression(parse_kind)) if fields else None
        if fields is None or name is None:
            continue
        if name in kinds:
            r.note(fields["kind"], "duplicate-kind", f"the kind {quoted(name)} is there already", help="keep one")
        share = optional(fields, "load", r.expression(_load))
        of = optional(fields, "of", r.name)
        if ("load" in fields) != ("of" in fields):
            r.note(item, "load-of", "`load` and `of` belong together", help="write `load: 150%, of: sustained`")
        if of is not None:
            references.append((of, fields["of"]))
        where = optional(fields, "where", partial(_where, r))
        listed = optional(fields, "services", r.each(partial(_service, r, services))) or []
        kinds[name] = RunKind(
            name,
            where if where is not None else named(name),
            optional(fields, "at_least", r.expression(parse_duration)) or 0.0,
            Load(share, of) if share is not None and of is not None else None,
            tuple(dict.fromkeys(service for service, _ in listed)),
        )
    for of, place in references:
        if of not in kinds:
            help = suggestion(of, kinds, "kinds of run")
            r.note(place, "unknown-kind", f"there is no kind of run {quoted(of)} in this phase", help=help)
    return tuple(kinds.values())


def _load(text: str) -> float:
    share = parse_quantity(text, "ratio")
    if not share > 0:
        message = f"every run has a load of {quoted(text)}"
        raise ExpressionError("bad-load", message, (0, len(text)), help="write `load: 150%, of: sustained`")
    return share


def _where(r: Reader, node: Node, what: str) -> tuple[Criterion, ...]:
    """Read one criterion, or a list of them."""
    read = r.expression(Criterion.parse)
    found = [read(node, what)] if isinstance(node, Leaf) else [one for one, _ in r.each(read)(node, what) or ()]
    if not found:
        r.note(node, "empty", f"{what} is empty", help="""leave it out, or write `where: 'cache == "cold"'`""")
    return tuple(criterion for criterion in found if criterion)


def _objectives(
    r: Reader, services: Collection[str] | None, sources: Mapping[str, MetricsSource], node: Node, what: str
) -> tuple[Objective, ...]:
    nodes = r.items(node, what)
    if nodes == ():
        r.note(node, "no-objectives", "a phase without objectives would always pass", help="add an objective")
    objectives: dict[tuple[object, ...], Objective] = {}
    for item in nodes or ():
        objective = _objective(r, services, sources, item)
        if objective is None:
            continue
        first = objectives.setdefault(_identity(objective), objective)
        if first is not objective:
            message = f"the same is already asked on line {first.line}"
            r.note(item, "duplicate-objective", message, help="keep one: same service, sli, statistic and include")
    return tuple(objectives.values())


def _identity(objective: Objective) -> tuple[object, ...]:
    """What an objective measures, whatever it asks of it."""
    return (
        objective.service, objective.sli, objective.promql, objective.source, objective.target.stat, objective.include,
    )  # fmt: skip


def _objective(
    r: Reader, services: Collection[str] | None, sources: Mapping[str, MetricsSource], node: Node
) -> Objective | None:
    fields = r.table(
        node,
        "an objective",
        required=("target",),
        optional=("service", "sli", "promql", "source", "warn", "key", "weight", "include"),
    )
    if fields is None:
        return None
    if ("sli" in fields) == ("promql" in fields):
        message = "an objective has `sli` or `promql`, not both" if "sli" in fields else "`sli` or `promql` is missing"
        r.note(node, "sli-or-promql", message, help="write `sli: http_req_duration`")
    service = optional(fields, "service", partial(_service, r, services))
    sli = optional(fields, "sli", r.expression(Selector.parse))
    source = optional(fields, "source", r.name)
    check_source(r, fields, sources, source)
    asked = source_of(sources, source)
    promql = optional(fields, "promql", partial(read_promql, r, asked, service))
    target = optional(fields, "target", partial(read_targets, r))
    warn = optional(fields, "warn", partial(read_targets, r))
    key = optional(fields, "key", r.boolean)
    weight = optional(fields, "weight", partial(_weight, r))
    include = optional(fields, "include", partial(_include, r))
    if target is None or (sli is None) == (promql is None):
        return None
    check_targets(r, fields, sli, target, warn)
    if promql is not None and target.main.stat == "increase":
        check_counter(r, fields["promql"], promql)
    line, column = r.source.place(node.start)
    return Objective(
        service, sli, promql, target.main, warn.main if warn else None, key or False, weight or 1.0, include or (),
        line=line, column=column, targets=None if target.is_single else target,
        warns=None if warn is None or warn.is_single else warn, source=asked[0] if asked and promql else None,
    )  # fmt: skip


def _service(r: Reader, services: Collection[str] | None, node: Node, what: str) -> str | None:
    name = r.name(node, what)
    if name is not None and services is not None and name not in services:
        message = f"the service {quoted(name)} is not declared in `services`"
        r.note(node, "unknown-service", message, help=suggestion(name, services, "services"))
    return name


def _weight(r: Reader, node: Node, what: str) -> float | None:
    weight = r.number(node, what)
    if weight is not None and not 0 < weight < math.inf:
        r.note(node, "bad-weight", "a weight is a number above 0", help="write `weight: 2`")
    return weight


def _include(r: Reader, node: Node, what: str) -> tuple[str, ...]:
    """Read one part of a run or a list of them; the order does not matter."""
    read = r.expression(_part)
    parts = {read(node, what)} if isinstance(node, Leaf) else {part for part, _ in r.each(read)(node, what) or ()}
    return tuple(sorted(part for part in parts if part))


def _part(text: str) -> str:
    if text not in _PARTS:
        message = f"{quoted(text)} is not a part of a run"
        raise ExpressionError("bad-include", message, (0, len(text)), help=suggestion(text, _PARTS, "parts"))
    return text
