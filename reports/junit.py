"""An answer as JUnit XML, which every CI reads: one suite for the phase, one case for each check, one for the answer.

Missed is a failure; what is not known is an error, so that it is red and never counts as passed; waived is skipped.
What is at risk passed: JUnit knows nothing between, so its output says it. The first case is the answer itself: an
inconclusive gate without a single check is red, too.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from reports.layout import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.answer import Answer

_LONGEST: Final = 2000
_MOST_LINES: Final = 50
_RESULTS: Final[dict[str, type[Failure | Error | Skipped] | None]] = {
    "missed": Failure, "fail": Failure, "unknown": Error, "inconclusive": Error, "waived": Skipped,
    "overridden": Skipped, "at_risk": None, "warn": None, "met": None, "pass": None,
}  # fmt: skip
_REMARKABLE: Final = {"at_risk", "warn"}


def report(answer: Answer) -> str:
    """The answer as JUnit XML, with its totals."""
    group = f"phase {answer.phase}"
    suite = TestSuite(_plain(f"{answer.kind} {group}"))
    if answer.at:
        suite.timestamp = answer.at.strftime("%Y-%m-%dT%H:%M:%S")
    why = [answer.sentence, *answer.reasons[:_MOST_LINES], *_next(answer.next_steps[:_MOST_LINES])]
    suite.append(_case(group, answer.kind, answer.state, why))
    for check in answer.checks:
        told = [f"{check.name} {check.reason}", *_next([check.next_step])]
        suite.append(_case(check.service or group, check.name, check.state, told))
    document = JUnitXml("phasegate")
    document.append(suite)
    document.update_statistics()
    written = BytesIO()
    document.write(written)
    return f"{written.getvalue().decode()}\n"


def _case(group: str, name: str, state: str, why: Sequence[str]) -> TestCase:
    """A case with its result. The whole text stands in it beside its first line, ``message``: some show only one."""
    case = TestCase(_plain(name), _plain(group))
    lines = [_plain(line) for line in why]
    if kind := _RESULTS[state]:
        result = kind(lines[0], state)
        result.text = "\n".join(lines)
        case.append(result)
    elif state in _REMARKABLE:
        case.system_out = "\n".join((state.upper().replace("_", " "), *lines))
    return case


def _next(steps: Sequence[str]) -> list[str]:
    return [f"next: {step}" for step in steps if step]


def _plain(words: str) -> str:
    return cut(words, _LONGEST)
