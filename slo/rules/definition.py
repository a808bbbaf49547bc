"""Is it still the same test? Rules over what a run was made of, beside the runs before it, the newest first.

A test that was changed measures something else, and its numbers are of that.
"""

from __future__ import annotations

import re
from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING

from slo.model import Finding
from slo.selector import Selector, SelectorError
from slo.shape import beside, gained, lost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slo.shape import Part, Shape

MORE = 1.25
"""A run with more than so many times the load of those before it is another test."""
ACCEPT = "if the change is meant, accept it: `phasegate baseline start RUN --reason ...`; else run the old test again"
_SHOWN = 20
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_BOUND = re.compile(rf"\s*([a-z]+(?:\([\d.]+\))?)\s*(<|>|==|!=)=?\s*({_NUMBER})\s*")
_RANKS = {"min": 0.0, "med": 50.0, "max": 100.0}

Asked = tuple[str, str, str]
"""Metric, statistic, and ``<``, ``>`` or an equality with its number."""


def endpoint_missing(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """An endpoint, or a whole service, that is always called got no request: nothing is known of it now.

    Always: in both of the newest two runs before, six times at least or once in each iteration.
    """
    missing: defaultdict[str, list[str]] = defaultdict(list)
    for part in lost(run, before):
        if part[0] == "endpoint":
            missing[part[1]].append(f"{part[2]} {part[3]}".strip())
    for service, names in sorted(missing.items()):
        if service and service not in run.services:
            told = f"the service {service} got no request any more"
        else:
            told = f"{_listed(sorted(names))} got no request any more"
        yield Finding(
            "endpoint_missing", "suspect", told, {"endpoints": sorted(names)[:_SHOWN]}, service or None,
            "see whether the script still calls it; " + ACCEPT,
        )  # fmt: skip


def definition_changed(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """The test is another one than before, so its numbers are of something else; only what both have is compared.

    Signs: groups, checks, scenarios and tags that the newest two runs before had and this one has not, or over a
    quarter more iterations per second by as many more users at once (``MORE``): a faster service lets the same users
    do more. That is suspect. What was only added, another tag of the whole run, another script with the same outline
    and another k6 are told. Lost endpoints are told by `endpoint_missing`.
    """
    gone = [_named(part) for part in sorted(lost(run, before)) if part[0] != "endpoint"]
    new = [_named(part) for part in sorted(gained(run, before))]
    more, others = _more_load(run, before), _others(run, before)
    if gone or new or more or others:
        said = [*(f"without {one}" for one in gone), *more, *(f"with new {one}" for one in new), *others]
        yield Finding(
            "definition_changed", "suspect" if gone or more else "info",
            f"the test was changed since run {before[0].run_id}: {_listed(said, '; ')}",
            {
                "gone": gone[:_SHOWN], "new": new[:_SHOWN], "other": [*more, *others][:_SHOWN],
                "compared_with": before[0].run_id,
            },
            remedy=ACCEPT,
        )  # fmt: skip


def thresholds_weakened(run: Shape, before: Sequence[Shape]) -> Iterator[Finding]:
    """The script asks less of the service than before: a threshold is gone, or its bound is easier to hold.

    k6 exits green by what the script asks, so whoever weakens it decides the outcome. Beside the newest run before,
    and only what both files tell: of a metric without samples, or of a sub-metric, only a summary tells thresholds. A
    threshold is not gone where a stricter one says more: ``p(99)<500`` for ``p(95)<500``.
    """
    last = before[0]
    had, has = _asked(last), _asked(run)
    weaker = []
    for asked, bound in sorted(had.items()):
        metric, stat, way = asked
        if not (_tells(run, metric) and _tells(last, metric)) or _holds(asked, bound, has):
            continue
        now = has.get(asked)
        weaker.append(f"{metric}: {stat}{way}{bound:g} is {'gone' if now is None else f'now {now:g}'}")
    if weaker:
        yield Finding(
            "thresholds_weakened", "suspect",
            f"the script asks less than in run {last.run_id}: {_listed(weaker, '; ')}",
            {"weaker": weaker[:_SHOWN], "compared_with": last.run_id},
            remedy="the targets of slo.yaml still hold; " + ACCEPT,
        )  # fmt: skip


def _more_load(run: Shape, before: Sequence[Shape]) -> list[str]:
    more = []
    for flow, past in beside(run, before):
        usual, users = median(one.per_s for one in past), median(one.users for one in past)
        if flow.per_s > max(MORE * usual, *(one.per_s for one in past)) and flow.users > MORE * users:
            more.append(f"with {flow.per_s:,.2f} iterations per second{run.of(flow)} instead of {usual:,.2f}")
    return more


def _others(run: Shape, before: Sequence[Shape]) -> list[str]:
    """What else is another: script, k6, and tags of the whole run that were always the same before."""
    last = before[0]
    named = (("script", last.script_hash, run.script_hash), ("k6", last.k6_version, run.k6_version))
    others = [f"{name} {was[:12]} is now {now[:12]}" for name, was, now in named if was and now and was != now]
    had, has = (dict(tag.split("=", 1) for tag in one.run_tags) for one in (last, run))
    always = frozenset.intersection(*(one.run_tags for one in before))
    others += [
        f"tag {key}={was} is now {has[key]}"
        for key, was in sorted(had.items())
        if f"{key}={was}" in always and has.get(key, was) != was
    ]
    return others


def _named(part: Part) -> str:
    return " ".join(word for word in (part if part[0] != "endpoint" else (part[0], *part[2:])) if word)


def _listed(said: Sequence[str], separator: str = ", ") -> str:
    """The first five, and how many there are besides."""
    more = len(said) - 5
    return separator.join([*said[:5], *([f"and {more} more"] if more > 0 else [])])


def _tells(shape: Shape, metric: str) -> bool:
    return shape.tells_thresholds or ("{" not in metric and metric in shape.defined)


def _asked(shape: Shape) -> dict[Asked, float]:
    """The strictest bound by metric, statistic and direction, as far as they can be read."""
    found: dict[Asked, float] = {}
    for metric, source in shape.thresholds:
        if not (bound := _BOUND.fullmatch(source)):
            continue
        way, limit = bound[2], float(bound[3])
        key = (_canonical(metric), bound[1], way if way in {"<", ">"} else f"{way}{limit:g}")
        strictest = max if way == ">" else min
        found[key] = strictest(limit, found.get(key, limit))
    return found


def _canonical(metric: str) -> str:
    try:
        return str(Selector.parse(metric))
    except SelectorError:
        return metric


def _holds(asked: Asked, bound: float, has: dict[Asked, float]) -> bool:
    """Is what was asked still asked, by the same threshold or by a stricter one?"""
    metric, stat, way = asked
    return any(
        (other, other_way) == (metric, way)
        and (other_stat == stat or _says_more(other_stat, stat, way))
        and (limit <= bound if way == "<" else limit >= bound)
        for (other, other_stat, other_way), limit in has.items()
    )


def _says_more(stat: str, than: str, way: str) -> bool:
    """Is a percentile so high (or low) that a bound on it bounds another one, too?"""
    rank, other = _rank(stat), _rank(than)
    if rank is None or other is None:
        return False
    return rank > other if way == "<" else way == ">" and rank < other


def _rank(stat: str) -> float | None:
    """Where in a distribution a statistic lies, in per cent."""
    return float(stat[2:-1]) if stat.startswith("p(") else _RANKS.get(stat)
