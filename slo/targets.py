"""Reads what an objective asks: one target, a list of which all hold, or lists of which one does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data.k6_metrics import BUILT_IN
from slo.alternatives import Alternatives
from slo.target import Target, TargetError
from slo.tree import Items, Leaf, Node, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slo.reader import Reader
    from slo.selector import Selector

_HOW = 'write one target, a list of which all hold, or `{any: ["p(95) < 800ms", ["p(95) < 1s", "p(95) <= +10%"]]}`'


def read_targets(r: Reader, node: Node, what: str) -> Alternatives | None:
    """Read one target, or several of one statistic."""
    before = len(r.problems)
    if isinstance(node, Table):
        fields = r.table(node, what, required=("any",)) or {}
        nodes = (r.items(fields["any"], "`any`") if "any" in fields else None) or ()
        every = [_all_of(r, one, "an alternative") for one in nodes]
        if fields and not every and len(r.problems) == before:
            r.note(node, "no-target", f"{what} asks for nothing", help=_HOW)
    else:
        every = [_all_of(r, node, what)]
    if len(r.problems) > before:
        return None
    found = Alternatives(tuple(every))
    if len(stats := dict.fromkeys(target.stat for target in found)) > 1:
        message = f"{what} is about {' and '.join(f'`{stat}`' for stat in stats)}"
        r.note(node, "mixed-statistics", message, help="make one objective for each statistic")
        return None
    return found


def check_targets(
    r: Reader,
    fields: Mapping[str, Node],
    sli: Selector | None,
    target: Alternatives,
    warn: Alternatives | None,
) -> None:
    """Check that statistic and units fit the metric, and that ``warn`` warns before the target is missed.

    Of several targets, and of one that is relative beside one that is not, the latter is seen when they are judged.
    """
    _check_fits(r, fields["target"], sli, target)
    units = {one.unit for one in (*target, *(warn or ())) if not one.relative}
    if sli is None and len(units) > 1:
        told = " and ".join(f"`{unit or 'none'}`" for unit in sorted(units))
        help = "an expression has one unit: write it with every target"
        r.note(fields["target"], "mixed-units", f"the targets have different units, {told}", help=help)
        return
    if warn is None:
        return
    if warn.is_single and target.is_single and _is_comparable(warn.main, target.main):
        if not warn.main.is_stricter_than(target.main):
            message = f"`{warn.text}` is not stricter than `{target.text}`"
            help = "a warning comes before the target is missed: same statistic and unit, harder to meet"
            r.note(fields["warn"], "warn-not-stricter", message, help=help)
    elif warn.main.stat != target.main.stat:
        message = f"`{warn.main.stat}` is warned of, and `{target.main.stat}` is asked for"
        r.note(fields["warn"], "mixed-statistics", message, help="make one objective for each statistic")
    else:
        _check_fits(r, fields["warn"], sli, warn)


def _is_comparable(warn: Target, target: Target) -> bool:
    return warn.relative == target.relative


def _all_of(r: Reader, node: Node, what: str) -> tuple[Target, ...]:
    read = r.expression(Target.parse)
    if isinstance(node, Leaf):
        target = read(node, what)
        return (target,) if target else ()
    if isinstance(node, Items) and not node.nodes:
        r.note(node, "no-target", f"{what} asks for nothing", help=_HOW)
    if not isinstance(node, Items):
        r.note(node, "wrong-type", f"{what} should be a target or a list of them", help=_HOW)
        return ()
    return tuple(target for target, _ in r.each(read)(node, what) or ())


def _check_fits(r: Reader, node: Node, sli: Selector | None, asked: Alternatives) -> None:
    """Note the first that does not fit, at its place."""
    for target, leaf in zip(asked, _leaves(node), strict=True):
        try:
            _check_fit(sli, target)
        except TargetError as error:
            r.note_expression(leaf, error)
            return


def _leaves(node: Node) -> list[Node]:
    """The places of targets, in order."""
    match node:
        case Items():
            return [leaf for one in node.nodes for leaf in _leaves(one)]
        case Table():
            return [leaf for _, one in node.entries for leaf in _leaves(one)]
        case _:
            return [node]


def _check_fit(sli: Selector | None, target: Target) -> None:
    if sli is None:
        target.check_fits_promql()
    elif sli.metric in BUILT_IN:
        target.check_fits(*BUILT_IN[sli.metric])
    else:
        target.check_fits_some_metric()
