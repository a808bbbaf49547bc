"""An answer as GitLab's code quality report: what is not met, at the objective in slo.yaml that asks for it.

GitLab shows in a merge request what is new and what is gone beside the target branch. It tells by the fingerprint,
which therefore names what was asked, and neither the run, the version nor what was measured.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from reports.layout import cut

if TYPE_CHECKING:
    from reports.answer import Answer, Check

Severity = Literal["info", "minor", "major", "critical", "blocker"]

_LONGEST: Final = 600
_SEVERITIES: Final[dict[str, Severity]] = {
    "missed": "critical", "unknown": "major", "at_risk": "minor", "waived": "info",
    "fail": "blocker", "inconclusive": "critical", "warn": "minor", "overridden": "minor",
}  # fmt: skip


@dataclass(frozen=True)
class Lines:
    """Where it begins; the first line is 1."""

    begin: int


@dataclass(frozen=True)
class Location:
    """A file of the repository, and lines of it."""

    path: str
    lines: Lines


@dataclass(frozen=True)
class Issue:
    """One entry of the report, with GitLab's field names."""

    description: str
    check_name: str
    fingerprint: str
    severity: Severity
    location: Location


def issues(answer: Answer) -> tuple[Issue, ...]:
    """What is not met, and the answer itself unless it is a pass: a gate that could check nothing is not clean."""
    found = [_of(check, answer) for check in answer.checks if check.state != "met"]
    if answer.state != "pass":
        at = Location(answer.place.file, Lines(answer.place.line))
        name = f"phasegate {answer.kind}"
        told = _plain("; ".join((answer.sentence, *answer.reasons)))
        found.insert(0, Issue(told, name, _fingerprint(answer, None, ""), _SEVERITIES[answer.state], at))
    return tuple(found)


def _of(check: Check, answer: Answer) -> Issue:
    place = check.place or answer.place
    where = f"{check.service} " if check.service else ""
    severity = "blocker" if check.state == "missed" and check.key else _SEVERITIES[check.state]
    return Issue(
        _plain(f"{where}{check.name}: {check.reason}"), _plain(f"{where}{check.name}"),
        _fingerprint(answer, check.service, check.name), severity, Location(place.file, Lines(place.line)),
    )  # fmt: skip


def _fingerprint(answer: Answer, service: str | None, name: str) -> str:
    asked = [answer.kind, answer.phase, answer.of, answer.environment, service, name]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _plain(words: str) -> str:
    return cut(words, _LONGEST)
