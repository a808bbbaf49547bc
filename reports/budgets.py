"""Error budgets for people, in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from reports.layout import GLYPHS, ending, headline, next_steps, one_line, paragraph, state_word, table
from slo import numbers
from slo.budget_model import BUDGET_EXIT_CODES, WORST_FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from slo.budget_model import BudgetPull, BudgetView, BurnAlert

_SHOWN_BURNS = ("1h", "6h", "3d")
_DAY_S = 86_400


def budgets(found: Sequence[BudgetView]) -> RenderableType:
    """Every budget, worst first, and why those that are not ok are not."""
    if not found:
        return Text("slo.yaml has no `budgets`, so there is nothing to tell: docs/budgets.md says how to write one.")
    rows: list[Sequence[str | Text]] = [
        (
            one.name, one.service or numbers.MISSING, _share(one.objective), f"{one.window_s // _DAY_S} d",
            _share(one.sli), numbers.ratio(one.left, 1), *(_burn(one.burns.get(name)) for name in _SHOWN_BURNS),
            GLYPHS[one.state], state_word(one.state),
        )
        for one in found
    ]  # fmt: skip
    burns = "|".join(f"burn {name}>" for name in _SHOWN_BURNS)
    every = table(f"budget|service|objective>|window>|SLI>|left>|{burns}||state", rows)
    told = [paragraph(f"{one.name}  {one.reason}", indent=4) for one in found if one.state != "ok"]
    return Group(every, *([Text()] if told else []), *told)


def budget(one: BudgetView) -> RenderableType:
    """One budget: the answer first, then why, how fast it burns, and what to do."""
    return Group(*_budget(one))


def pulled(found: Sequence[BudgetPull]) -> RenderableType:
    """What asking for counts came to."""
    if not found:
        return Text("slo.yaml has no `budgets`, so nothing was asked.")
    rows: list[Sequence[str | Text]] = [
        (one.name, f"{one.asked:,}", f"{one.found:,}", f"{one.removed:,}", _word(one)) for one in found
    ]
    told = [paragraph(f"{one.name}  {one.problem}", indent=4) for one in found if one.problem]
    every = table("budget|asked for>|with numbers>|removed>|", rows)
    return Group(every, *([Text()] if told else []), *told)


def exit_code(found: Sequence[BudgetView]) -> int:
    """0, 1 where one is exhausted, 3 where one cannot be told or there is none: the worst of them."""
    states = {one.state for one in found} or {"unknown"}
    return BUDGET_EXIT_CODES[next(state for state in WORST_FIRST if state in states)]


def _budget(one: BudgetView) -> Iterator[RenderableType]:
    yield headline(one.state, f"error budget {one.name}{f' of {one.service}' if one.service else ''}")
    yield paragraph(one.reason, indent=2)
    yield from (paragraph(f"also  {other.message}", indent=8) for other in one.findings[1:])
    yield Text()
    facts = {
        "objective": f"{_share(one.objective)} over {one.window_s // _DAY_S} d, counted by prometheus {one.source}",
        "SLI": _share(one.sli),
        "good": numbers.MISSING if one.total is None else f"{one.good or 0.0:,.0f} of {one.total:,.0f}",
        "left": numbers.ratio(one.left, 1),
        "known": f"{numbers.ratio(one.coverage)} of the window, as of {numbers.timestamp(one.as_of)}",
    }
    if one.exhausted_at:
        facts["used up"] = f"{numbers.timestamp(one.exhausted_at)}, if it goes on as in the last hour"
    yield from (Text(f"  {name:<9} {one_line(words)}") for name, words in facts.items())
    if one.burns:
        yield Text()
        yield table("over|burn rate>", ((n, _burn(v)) for n, v in one.burns.items()), indent=2)
    if one.alerts:
        yield Text()
        yield table("|alert|windows|above>|long>|short>|spends", map(_alert, one.alerts), indent=2)
    yield from next_steps([one.remedy] if one.remedy else [])
    yield Text()
    yield ending(one.state, BUDGET_EXIT_CODES[one.state])


def _alert(one: BurnAlert) -> tuple[str, ...]:
    return (
        GLYPHS["missed" if one.fires else "met"], one.severity, f"{one.long} and {one.short}", _burn(one.factor),
        _burn(one.long_burn), _burn(one.short_burn), f"{numbers.ratio(one.share, 0)} in {one.long}",
    )  # fmt: skip


def _word(one: BudgetPull) -> Text:
    return Text("not whole", style="magenta") if one.problem else Text("done", style="dim")


def _burn(rate: float | None) -> str:
    return numbers.value(rate)


def _share(share: float | None) -> str:
    """As many decimals as an objective of many nines needs."""
    return numbers.MISSING if share is None else f"{share * 100:.6g} %"
