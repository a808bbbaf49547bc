"""What changed, as text for people: a run beside its baseline, as part of its verdict or on its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.text import Text

from reports.layout import (
    GLYPHS,
    about,
    ending,
    finding,
    headline,
    next_steps,
    one_line,
    paragraph,
    state_word,
    table,
)
from slo import numbers
from slo.comparing import outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from slo.comparison import CompareView, EndpointChange
    from slo.model import BaselineRef, Comparison, Endpoint, Outcome, RunRef, Verdict

TOLD: Final = {"no_baseline"}
"""Findings that :func:`in_verdict` says in its own words."""

_EXIT_CODES: Final = {"regressed": 1, "no_baseline": 3, "not_comparable": 3}
_OUTCOMES: Final = ("regressed", "suspected", "inconclusive", "improved", "unchanged", "not_comparable", "no_baseline")
"""Which state speaks for all, and in which order they are shown."""
_ALWAYS_SHOWN: Final = {"regressed", "suspected", "improved"}
_MOST_INCONCLUSIVE: Final = 3
_MOST_ENDPOINTS: Final = 10
_MOST_REASONS: Final = 5
_MOST_NAMES: Final = 3


def compare(view: CompareView, *, everything: bool = False) -> RenderableType:
    """What changed in a run: answer, reasons, how the tests differ, evidence, next steps, exit code."""
    return Group(*_compare(view, everything=everything), Text(), ending(view.outcome, exit_code(view.outcome)))


def exit_code(state: Outcome) -> int:
    """What ``compare`` exits with: 1 regressed, 3 nothing was compared, else 0."""
    return _EXIT_CODES.get(state, 0)


def state_of(one: Comparison) -> str:
    """Its state; a regression that is not confirmed yet is ``suspected``."""
    return "suspected" if one.state == "regressed" and one.suspected else one.state


def in_verdict(document: Verdict, *, everything: bool) -> Iterator[RenderableType]:
    """The comparison in a verdict; nothing where it was judged without one."""
    if document.baseline is not None:
        yield Text()
        yield from _beside(document.baseline, document.run, document.comparisons, everything=everything)


def baseline(found: BaselineRef, run: RunRef) -> RenderableType:
    """What a run is held against, and what of its test is left out."""
    return Group(
        paragraph(_against(found, run)),
        *_used(found, everything=True),
        *next_steps(_other_baseline(found, run) if found.runs else ()),
    )


def _compare(view: CompareView, *, everything: bool) -> Iterator[RenderableType]:
    yield headline(view.outcome, view.sentence)
    yield about(view.run)
    changed = [one for one in view.comparisons if state_of(one) in {"regressed", "suspected"}]
    if changed or view.findings:
        yield Text()
    yield from (paragraph(f"{_name(one)}: {one.reason}") for one in changed[:_MOST_REASONS])
    if (more := len(changed) - _MOST_REASONS) > 0:
        yield Text(f"  and {numbers.things(more, 'more regression')}", style="dim")
    yield from (finding(found) for found in view.findings)
    yield Text()
    yield from _beside(view.baseline, view.run, view.comparisons, everything=everything)
    yield from _percentiles(view.percentiles, everything=everything)
    if view.before:
        yield from _endpoints(view.endpoints, everything=everything)
    yield from next_steps(_next(view, view.outcome))


def _beside(
    found: BaselineRef, run: RunRef, comparisons: Sequence[Comparison], *, everything: bool
) -> Iterator[RenderableType]:
    """The baseline, what changed beside it, and what would settle the rest."""
    yield paragraph(_against(found, run))
    if found.kind == "none":
        return
    yield from _used(found, everything=everything)
    shown = _shown(comparisons, everything=everything)
    if shown:
        yield table(
            "|state|what|before>|now>|change>|95 % interval>|could see>", (_row(one) for one in shown), indent=2
        )
    hidden = Counter(state_of(one) for one in comparisons) - Counter(state_of(one) for one in shown)
    if hidden:
        told = ", ".join(f"{hidden[state]} {state.replace('_', ' ')}" for state in _OUTCOMES if hidden[state])
        yield Text(f"  {'and ' if shown else ''}{told} (--all)", style="dim")
    yield from _by("to settle", [one for one in shown if one.settle], "settle")
    if everything or not shown:
        yield from _by("not compared:", [one for one in comparisons if one.state == "not_comparable"], "reason")
    if everything:
        yield from _by("judged by", [one for one in shown if one.method], "method")


def _shown(comparisons: Sequence[Comparison], *, everything: bool) -> list[Comparison]:
    order = sorted(comparisons, key=lambda one: _OUTCOMES.index(state_of(one)))
    if everything:
        return order
    unsure = [one for one in order if one.state == "inconclusive"][:_MOST_INCONCLUSIVE]
    return [one for one in order if state_of(one) in _ALWAYS_SHOWN or one in unsure]


def _row(one: Comparison) -> tuple[str | Text, ...]:
    state = state_of(one)
    return GLYPHS[state], state_word(state), _name(one), *_figures(one), numbers.change_size(one.detectable, one.unit)


def _figures(one: Comparison) -> tuple[str, str, str, str]:
    """Before, now, the change, and its interval in the unit of the change."""
    before, now = (
        numbers.distinct(one.baseline, one.value, one.unit)
        if one.baseline is not None and one.value is not None
        else (numbers.value(one.baseline, one.unit), numbers.value(one.value, one.unit))
    )
    interval, _, _ = numbers.change_interval(one.ci, one.unit).partition(" %")
    return before, now, numbers.change(one.change, one.unit), interval.removesuffix(" points")


def _by(head: str, comparisons: Sequence[Comparison], field: str) -> Iterator[Text]:
    """What is said of several at once, said once."""
    said: dict[str, list[str]] = {}
    for one in comparisons:
        said.setdefault(getattr(one, field), []).append(_name(one))
    for words, names in said.items():
        told = ", ".join(names[:_MOST_NAMES])
        if (more := len(names) - _MOST_NAMES) > 0:
            told += f" and {more} more"
        yield paragraph(f"{head} {words}: {told}" if field == "method" else f"{head} {told}: {words}", indent=4)


def _percentiles(comparisons: Sequence[Comparison], *, everything: bool) -> Iterator[RenderableType]:
    """Latency by percentile, of the services in which one changed."""
    changed = {one.service for one in comparisons if state_of(one) in _ALWAYS_SHOWN}
    shown = [one for one in comparisons if everything or one.service in changed]
    if shown:
        yield Text()
        yield Text("  Latency by percentile")
        yield table(
            "|state|service|percentile|before>|now>|change>|95 % interval>",
            (
                (GLYPHS[state_of(one)], state_word(state_of(one)), one.service or "", one.stat, *_figures(one))
                for one in shown
            ),
            indent=2,
        )


def _endpoints(endpoints: Sequence[EndpointChange], *, everything: bool) -> Iterator[RenderableType]:
    """The endpoints that changed, came or went; all of them on demand."""
    order = sorted(endpoints, key=_most_changed)
    told = order if everything else [one for one in order if _endpoint_state(one) in {*_ALWAYS_SHOWN, "new", "gone"}]
    shown = told if everything else told[:_MOST_ENDPOINTS]
    if shown:
        yield Text()
        yield Text("  Endpoints")
        yield table(
            "|state|endpoint|p95 before>|now>|change>|failed before>|now>", (_endpoint_row(one) for one in shown),
            indent=2,
        )  # fmt: skip
    if (more := len(told) - len(shown)) > 0:
        yield Text(f"  and {numbers.things(more, 'more endpoint')} (--all)", style="dim")


def _endpoint_row(one: EndpointChange) -> tuple[str | Text, ...]:
    state = _endpoint_state(one)
    name = " ".join(part for part in (one.service, one.method, one.name) if part)
    change = numbers.change(one.p95.change, one.p95.unit) if one.p95 else numbers.MISSING
    now = numbers.duration_ms(one.now.p95_ms if one.now else None)
    before = numbers.duration_ms(one.p95_before_ms)
    return (
        GLYPHS[state], state_word(state), name, before, now, change,
        numbers.ratio(one.failed_before), _failed(one.now),
    )  # fmt: skip


def _failed(side: Endpoint | None) -> str:
    return numbers.MISSING if side is None or not side.requests else numbers.ratio(side.failed / side.requests)


def _endpoint_state(one: EndpointChange) -> str:
    if one.before is None or one.now is None:
        return "new" if one.before is None else "gone"
    return outcome([found for found in (one.p95, one.failed) if found])


def _most_changed(one: EndpointChange) -> tuple[int, float]:
    state = _endpoint_state(one)
    noise = max((found.noise or 0 for found in (one.p95, one.failed) if found), default=0)
    return (_OUTCOMES.index(state) if state in _OUTCOMES else _OUTCOMES.index("improved")), -noise


def _against(found: BaselineRef, run: RunRef) -> str:
    """What a run is held against, why, and how old that is."""
    why = f" ({one_line(found.reason)})" if found.reason else ""
    if found.kind == "none":
        return (
            f"No baseline yet{why}: there is no earlier run to compare with. Ingest earlier runs of the same test, "
            f"service and environment, or choose one: phasegate compare {run.id} OTHER"
        )
    if found.kind == "rolling":
        runs = f"the last {len(found.runs)} valid runs" if len(found.runs) > 1 else "the only valid run"
        what = f"{runs} of the same test{' since its baseline began anew' if why else ''}"
    else:
        what = f"{'the pinned ' if found.kind == 'pinned' else ''}run {found.runs[0]}"
    return f"Compared with {what}{why}, {_age(found, run)}"


def _age(found: BaselineRef, run: RunRef) -> str:
    at = run.started_at or run.received_at
    if len(found.runs) > 1 and found.newest_at != found.oldest_at:
        days = f"{numbers.date(found.oldest_at)} to {numbers.date(found.newest_at)}"
        return f"the newest {_apart(found.newest_at, at)}, the oldest {_apart(found.oldest_at, at)}: {days}"
    return f"{_apart(found.newest_at, at)}: {numbers.timestamp(found.newest_at)}"


def _apart(moment: datetime | None, at: datetime | None) -> str:
    if moment is None or at is None:
        return "of unknown age"
    return f"{numbers.lapse(at - moment)} {'before' if moment <= at else 'after'} this run"


def _used(found: BaselineRef, *, everything: bool) -> Iterator[RenderableType]:
    """The runs by id: those that count, those judged together with this one, and those left out."""
    if len(found.runs) > 1:
        yield paragraph(f"runs {', '.join(found.runs)}", indent=7, style="dim")
    if found.repeats:
        told = numbers.things(len(found.repeats), "earlier run")
        yield paragraph(f"judged together with {told} of its commit: {', '.join(found.repeats)}", indent=7, style="dim")
    if found.left_out and everything:
        yield Text("  left out", style="dim")
        yield table("run|why", found.left_out, indent=4)
    elif found.left_out:
        yield Text(f"  {numbers.things(len(found.left_out), 'run')} of the test left out (--all)", style="dim")


def _next(view: CompareView, state: str) -> list[str]:
    run = view.run.id
    service = next((one.service for one in view.comparisons if state_of(one) == state and one.service), None)
    look = [f"phasegate history {service}  # since when, and at which commit"] if service else []
    match state:
        case "regressed":
            return [*look, f"phasegate baseline start {run} --reason TEXT  # if it is meant to be so from now on"]
        case "suspected":
            return ["run the same commit once more: that confirms the regression, or clears it", *look]
        case _:
            return []


def _other_baseline(found: BaselineRef, run: RunRef) -> list[str]:
    newest = found.runs[0]
    return [
        f"phasegate compare {run.id}",
        f"phasegate baseline clear {newest} --reason TEXT  # back to the last valid runs"
        if found.kind == "pinned"
        else f"phasegate baseline set {newest} --reason TEXT  # to hold later runs against that one",
    ]


def _name(one: Comparison) -> str:
    return " ".join(part for part in (one.service, one.sli, one.stat) if part)
