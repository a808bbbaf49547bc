"""An answer as annotations: commands that GitHub's runner takes from the log, at the objective where it is written.

A line is a command where it begins with ``::``; the runner looks for nothing else in a line that is one. So every line
here is one of ours, and what comes from outside stays on it, escaped as GitHub's own toolkit does.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

from reports.layout import GLYPHS, cut
from slo import numbers

if TYPE_CHECKING:
    from reports.answer import Answer, Check, Place

Level = Literal["error", "warning", "notice"]

MOST_PER_LEVEL: Final = 10
"""GitHub shows ten of each level of a step, and drops the others without a word."""

_LONGEST: Final = 600
_LEVELS: Final[dict[str, Level]] = {
    "fail": "error", "inconclusive": "error", "overridden": "warning", "warn": "warning", "pass": "notice",
    "missed": "error", "unknown": "error", "at_risk": "warning", "waived": "notice",
}  # fmt: skip
_DATA: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY: Final = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def commands(answer: Answer) -> str:
    """One annotation for the answer, and one for each check that is not met, as many as GitHub shows."""
    level = _LEVELS[answer.state]
    left = {one: MOST_PER_LEVEL - (one == level) for one in _LEVELS.values()}
    open_ = [check for check in answer.checks if check.state != "met"]
    shown = [check for one in left for check in islice((c for c in open_ if _LEVELS[c.state] == one), left[one])]
    more = len(open_) - len(shown)
    untold = f". {numbers.things(more, 'more check')} not annotated: GitHub shows {MOST_PER_LEVEL} a level" * bool(more)
    title = f"{GLYPHS[answer.state]} {answer.state.upper()} phase {answer.phase}"
    told = "; ".join((answer.sentence, *answer.reasons))
    first = _command(level, title, cut(told, _LONGEST) + untold)
    return "\n".join([first, *map(_of, shown), ""])


def _of(check: Check) -> str:
    where = f"{check.service} " if check.service else ""
    word = check.state.upper().replace("_", " ")
    next_ = f". Next: {check.next_step}" if check.next_step else ""
    title = f"{GLYPHS[check.state]} {word} {where}{check.name}"
    return _command(_LEVELS[check.state], title, cut(f"{check.reason}{next_}", _LONGEST), check.place)


def _command(level: Level, title: str, message: str, place: Place | None = None) -> str:
    at = {"file": place.file, "line": str(place.line), "col": str(place.column)} if place else {}
    properties = at | {"title": title}
    written = ",".join(f"{name}={cut(value, _LONGEST).translate(_PROPERTY)}" for name, value in properties.items())
    return f"::{level} {written}::{message.translate(_DATA)}"
