"""What Prometheus said of a run, as text for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from reports.layout import paragraph, table
from slo import numbers
from slo.queries import AGE, COLLECTED, CPU, DOWN, GENERATOR, MEMORY, P95, SATURATION, SCRAPES, STARTED, UP

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from slo.model import PullAnswer, Pulled, PulledSeries

INNER = frozenset({UP, DOWN, AGE, SCRAPES, STARTED})
_NAMES = {MEMORY: "memory", CPU: "CPU in use (cores)", P95: "own p95"}
_WORD = re.compile(r"\w+|/")
_SHOWN = 5
"""Series of one answer that are shown; the rest is counted."""


def asked(answer: PullAnswer) -> RenderableType:
    """What became of asking."""
    run = answer.run.id
    if not answer.questions:
        return Text(f"There is nothing to ask Prometheus about run {run}.")
    if not answer.asked:
        return Text(f"All {numbers.things(answer.questions, 'question')} about run {run} were answered before.")
    well = answer.asked - answer.failed
    head = Text.assemble(
        f"{well:,} of {numbers.things(answer.asked, 'question')} about run ", (run, "bold"), " answered"
        + (f", {answer.questions - answer.asked:,} before" if answer.questions > answer.asked else ""),
    )  # fmt: skip
    later = (
        [Text(f"  {answer.open:,} {'is' if answer.open == 1 else 'are'} open: ask again later")] if answer.open else []
    )
    return Group(
        head, *(paragraph(problem) for problem in answer.problems), *later,
        Text(f"  next  phasegate prometheus show {run}", style="dim"),
    )  # fmt: skip


Row = tuple[str, str, str, str, str, str, str]
"""Service, what, points, lowest, mean, highest, and which of several, or why there is none."""


def pulled(found: Sequence[Pulled], *, everything: bool = False) -> RenderableType:
    """Questions and answers as a table; see :func:`rows`."""
    if not found:
        return Text("Prometheus was not asked about this run: `phasegate prometheus pull RUN` does.")
    shown = told(found, everything=everything)
    left = len(found) - len(shown)
    more = [Text(f"  {numbers.things(left, 'more answer')}, such as on scraping itself: --all", style="dim")]
    return Group(table("service|what|points>|lowest>|mean>|highest>|of", rows(shown)), *(more if left else []))


def rows(found: Sequence[Pulled]) -> list[Row]:
    """A row for each series, or for why there is none: objectives first, then what is asked of every service."""
    return [row for one in found for row in _rows(one)]


def told(found: Sequence[Pulled], *, everything: bool = False) -> list[Pulled]:
    """What people want to see of it: not what only findings rest on (was it up, how often was it scraped)."""
    known = {one.name for one in found if one.series}

    def counts(one: Pulled) -> bool:
        elsewhere = one.state == "empty" and one.name in known  # what one service has, not every other has
        return one.state == "failed" or (one.name not in INNER and not elsewhere)

    return [one for one in found if everything or counts(one)]


def _rows(one: Pulled) -> Iterator[Row]:
    name = one.name or one.promql
    what, service = (
        _NAMES.get(name) or name.removeprefix(COLLECTED).removeprefix(SATURATION),
        one.service or numbers.MISSING,
    )
    warned = [f"warns: {warning}" for warning in one.warnings]
    if not one.series:
        why = one.problem or "nothing for the time of the run"
        yield service, what, "0", numbers.MISSING, numbers.MISSING, numbers.MISSING, "; ".join([why, *warned])
        return
    for series in one.series[:_SHOWN]:
        yield (
            service,
            what,
            numbers.count(series.n),
            *_numbers(one, series),
            "; ".join([*_labels(one, series), *warned]),
        )
    if len(one.series) > _SHOWN:
        rest = numbers.things(len(one.series) - _SHOWN, "more series", "more series")
        yield "", "", "", "", "", "", rest


def _numbers(one: Pulled, series: PulledSeries) -> tuple[str, str, str]:
    unit = unit_of(one)
    scale = 1000.0 if unit == "ms" else 1.0
    low, mean, high = (numbers.value(number * scale, unit) for number in (series.min, series.avg, series.max))
    return low, mean, high


def unit_of(one: Pulled) -> str:
    """The unit of an answer, as far as it can be known: what we asked for, or what a metric's name ends with."""
    name = one.name or one.promql
    if name in {P95, AGE}:
        return "ms"
    if name == MEMORY or ("_bytes" in one.promql and not {"/", "rate"} & set(_WORD.findall(one.promql))):
        return "B"
    return "ratio" if name.startswith((SATURATION, GENERATOR)) else ""


def _labels(one: Pulled, series: PulledSeries) -> list[str]:
    """What tells a series from the others of its answer."""
    if len(one.series) == 1:
        return []
    same = set.intersection(*(set(each.labels.items()) for each in one.series))
    return [", ".join(f'{key}="{value}"' for key, value in sorted(series.labels.items()) if (key, value) not in same)]
