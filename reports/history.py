"""A service over its runs, as text for people: what moved, what creeps, what wavers, and the decisions about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.text import Text

from reports.layout import GLYPHS, headline, marked, next_steps, one_line, short, state_word, table
from slo import numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from data.model import Decision
    from slo.comparison import ServiceHistory, SliHistory, SliPoint
    from slo.drift import Drift, Flaky
    from slo.shifts import Shift

_MOST_RUNS: Final = 20
_MOST_RETURNS: Final = 3
_DECIDED: Final = {
    "invalidated": "run {run} enters no baseline any more",
    "restored": "run {run} may enter baselines again",
    "pinned": "run {run} is the baseline of its test",
    "started": "the baseline of the test begins anew with run {run}",
    "released": "run {run} is neither the baseline of its test nor the start of one",
}


def history(document: ServiceHistory, *, everything: bool = False) -> RenderableType:
    """A service over its runs: answer, what moved and when, the runs, decisions, next steps."""
    return Group(*_history(document, everything=everything))


def decided(decision: Decision) -> RenderableType:
    """A decision, and how to see what follows from it."""
    told = f"{_what(decision)}: {one_line(decision.reason)}"
    return Group(Text(told[0].upper() + told[1:]), *next_steps([f"phasegate baseline show {decision.run_id}"]))


def _history(document: ServiceHistory, *, everything: bool) -> Iterator[RenderableType]:
    yield headline(_state(document), document.sentence)
    yield Text(f"  {_which(document)}", style="dim")
    if not document.slis:
        yield from next_steps([f"phasegate ingest FILE --service {document.service}  # a run to begin with"])
        return
    told = [sli for sli in document.slis if everything or _tells(sli)] or list(document.slis[:1])
    for sli in told:
        yield from _sli(sli, everything=everything)
    if quiet := [sli for sli in document.slis if sli not in told]:
        yield Text()
        yield Text("  The other numbers did not move (--all)", style="dim")
        yield table("sli|target|latest>|runs>", (_summary(sli) for sli in quiet), indent=4)
    if document.decisions:
        yield Text()
        yield Text("  Decisions")
        rows = ((numbers.timestamp(one.at), _what(one), one.reason) for one in document.decisions)
        yield table("when|what|why", rows, indent=4)
    if steps := _next(document):
        yield Text()
        yield from next_steps(steps)


def _sli(sli: SliHistory, *, everything: bool) -> Iterator[RenderableType]:
    yield Text()
    yield Text.assemble(
        "  ", (one_line(f"{sli.sli} {sli.stat}"), "bold"), f"  target {sli.target}" if sli.target else ""
    )
    yield from (_shift(sli, shift) for shift in reversed(sli.shifts))
    if sli.drift and (sli.drift.proven or everything):
        yield _drift(sli, sli.drift)
    if sli.flaky:
        yield _flaky(sli.flaky)
    points = list(reversed(sli.points))
    shown = points if everything else points[:_MOST_RUNS]
    marks = _marks(sli)
    yield table(
        "|state|run|when|value>|samples>|commit|", (_point(sli, one, marks.get(one.run_id, "")) for one in shown),
        indent=4,
    )  # fmt: skip
    if (more := len(points) - len(shown)) > 0:
        yield Text(f"    and {numbers.things(more, 'older run')} (--all)", style="dim")


def _point(sli: SliHistory, one: SliPoint, mark: str) -> tuple[str | Text, ...]:
    state = one.state if one.valid else "in_doubt"
    return (
        GLYPHS[state], state_word(state), one.run_id, numbers.timestamp(one.at), numbers.value(one.value, sli.unit),
        numbers.count(one.n or None), short(one.commit) or one.version or numbers.MISSING, mark,
    )  # fmt: skip


def _marks(sli: SliHistory) -> dict[str, str]:
    """What is to be seen at which run."""
    marks = {run: "flaky" for back in (sli.flaky.returns if sli.flaky else ()) for run in back.odd}
    for shift in sli.shifts:
        marks[shift.first_after.run_id] = f"◂ {numbers.change(shift.size, sli.unit)} from here on"
    return marks


def _shift(sli: SliHistory, shift: Shift) -> Text:
    before, after = shift.last_before, shift.first_after
    levels = " to ".join(numbers.distinct(shift.before.mean, shift.after.mean, sli.unit))
    state, fate = "unchanged" if shift.undone else "info", ""
    if shift == sli.open_shift:
        state, fate = "shifted", "; nobody has accepted it"
    elif shift.undone:
        fate = "; the level is back by now"
    elif shift.direction == "better":
        state = "improved"
    told = (
        f"{numbers.timestamp(after.at)}  {numbers.change(shift.size, sli.unit)} ({levels}), {shift.direction}, "
        f"between run {before.run_id} and run {after.run_id}{_commits(shift)}{fate}"
    )
    return marked(state, "SHIFT", told)


def _commits(shift: Shift) -> str:
    before, after = shift.last_before, shift.first_after
    for name, one, other in (
        ("commit", short(before.commit), short(after.commit)),
        ("version", before.version, after.version),
    ):
        if one and other:
            return f", {name}s {one}..{other}" if one != other else f", both of {name} {one}: it was not the code"
    return ""


def _drift(sli: SliHistory, drift: Drift) -> Text:
    """The trend over the days it was seen: a slope per day is too small to read."""
    interval = ""
    if drift.interval:
        low, high = (_over(end, drift.days, sli.unit) for end in drift.interval)
        interval = f"{numbers.change_interval((low, high), sli.unit)}, "
    change = numbers.change(_over(drift.slope_per_day, drift.days, sli.unit), sli.unit)
    told = f"{change} over the last {drift.days:.0f} d ({interval}{numbers.things(drift.n, 'run')})"
    if not drift.proven:
        return marked("unchanged", "DRIFT", f"{told}: not told from noise")
    if drift.headroom is not None:
        told += f"; {numbers.margin(drift.headroom)}"
    if drift.breach_at:
        told += f"; reaches the target on {numbers.date(drift.breach_at)} ({_dates(drift)})"
    return marked("drifting", "DRIFT", told)


def _over(slope: float, days: float, unit: str) -> float:
    return slope * days if unit == "ratio" else (1 + slope) ** days - 1


def _dates(drift: Drift) -> str:
    earliest = numbers.date(drift.breach_earliest)
    return (
        f"{earliest} to {numbers.date(drift.breach_latest)}" if drift.breach_latest else f"{earliest} at the earliest"
    )


def _flaky(flaky: Flaky) -> Text:
    returns = [
        f"{', '.join(one.odd)} between {one.before} and {one.after}"
        + (" (the code changed at both ends)" if one.explained else "")
        for one in flaky.returns[-_MOST_RETURNS:]
    ]
    told = f"failed in {flaky.failed} of {numbers.things(flaky.n, 'judged run')} and came back without a change: "
    return marked("flaky", "FLAKY", told + "; ".join(returns))


def _tells(sli: SliHistory) -> bool:
    return bool(sli.sentence or sli.shifts or sli.flaky or (sli.drift and sli.drift.proven))


def _state(document: ServiceHistory) -> str:
    slis = document.slis
    if not slis:
        return "no_data"
    if any(sli.open_shift for sli in slis):
        return "shifted"
    if any(sli.drift and sli.drift.breach_at for sli in slis):
        return "drifting"
    if any(sli.flaky for sli in slis):
        return "flaky"
    return "unsettled" if any(sli.sentence for sli in slis) else "steady"


def _which(document: ServiceHistory) -> str:
    told = [
        f"{name} {value}"
        for name, value in (
            ("of test", document.test), ("on", document.branch), ("in", document.environment), ("phase", document.phase)
        )
        if value
    ]  # fmt: skip
    return one_line(" ".join([numbers.things(document.runs, "run"), *told]))


def _summary(sli: SliHistory) -> tuple[str, ...]:
    latest = sli.points[-1].value if sli.points else None
    return f"{sli.sli} {sli.stat}", sli.target or numbers.MISSING, numbers.value(latest, sli.unit), f"{len(sli.points)}"


def _what(decision: Decision) -> str:
    return _DECIDED[decision.kind].format(run=decision.run_id)


def _next(document: ServiceHistory) -> list[str]:
    shifts = [sli.open_shift for sli in document.slis if sli.open_shift]
    if shifts:
        after, before = shifts[0].first_after.run_id, shifts[0].last_before.run_id
        return [
            f"phasegate compare {after} {before}  # what changed there",
            f"phasegate baseline start {after} --reason TEXT  # if it is meant to be so from now on",
        ]
    creeping = next((sli for sli in document.slis if sli.drift and sli.drift.breach_at and sli.points), None)
    if creeping:
        return [f"phasegate compare {creeping.points[-1].run_id} {creeping.points[0].run_id}  # what has grown"]
    return []
