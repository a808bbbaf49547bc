"""Telling people of changes: states before and now become changes, those one message, and that a text for people.

A state is that of a service in a phase, by the newest verdict on a test, or that of a gate, by its newest decision.
Only its changes are told, so a test that fails every night is told once, and once more when it recovers.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from slo import numbers
from slo.model import VerdictState
from slo.overview import SYSTEM, part_of
from slo.plan import ChangeKind
from slo.source import CONTROL
from slo.verdict import covers, decide, next_steps

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from slo.gate_model import GateDecision
    from slo.model import RunRef, Verdict
    from slo.plan import Baseline, Phase, Receiver

SCHEMA = 1
MessageKind = Literal["services", "gate", "test"]
NoticeState = Literal["pending", "delivered", "given_up"]

MOST_CHARACTERS = 1800
"""Of a text: Discord takes 2,000, most others more."""

_WORST_FIRST: tuple[VerdictState, ...] = ("fail", "inconclusive", "warn", "pass")
_OPEN: frozenset[VerdictState | None] = frozenset({"pass", "warn"})
"""What a version may be released with."""

_MOST_NAMED = 3
_LONGEST, _LONGEST_NAME = 240, 60
"""Characters of a line, such as a reason or a title, and of a name."""
_REST = 30
"""Characters of how many more changes there are."""

# Chats act on these even in plain text: a mention calls people, a masked link hides where it leads.
_ACTED_ON = re.compile(r"@(?=\w)|\](?=\()|<(?=[!@#])")
_ZERO_WIDTH_SPACE = "\N{ZERO WIDTH SPACE}"


@dataclass(frozen=True)
class Subject:
    """Whose state it is: a service's in a phase, as one test on one branch in one environment sees it, or a gate's.

    A gate has a ``version`` and no ``service``, ``test`` or ``branch``.
    """

    phase: str
    service: str | None = None
    version: str | None = None
    environment: str | None = None
    test: str | None = None
    branch: str | None = None

    @property
    def key(self) -> str:
        """The same text for the same subject, and for no other."""
        return json.dumps(astuple(self), ensure_ascii=False)

    @property
    def name(self) -> str:
        """The service, or the version at the gate."""
        return self.service or self.version or SYSTEM


@dataclass(frozen=True)
class Standing:
    """A subject's state now, with the one reason, the next step, and the ``run`` or ``gate`` decision it is from."""

    subject: Subject
    now: VerdictState
    reason: str
    next_step: str = ""
    run: str | None = None
    commit: str | None = None
    gate: str | None = None


@dataclass(frozen=True, kw_only=True)
class Change(Standing):
    """A state that is another than the one told ``before`` (``None``: none was)."""

    kind: ChangeKind
    before: VerdictState | None = None


@dataclass(frozen=True)
class Message:
    """Changes that are told together, worst first, as a webhook receives them.

    ``id`` stays the same however often it is sent. ``link`` leads to the page of the run, or to the gate's phase.
    """

    schema: int
    id: str
    at: datetime
    kind: MessageKind
    changes: tuple[Change, ...]
    link: str | None = None


@dataclass(frozen=True)
class Notice:
    """A message to one receiver, and what became of it: ``last_error`` says why the last attempt failed."""

    id: str
    receiver: str
    title: str
    state: NoticeState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True)
class Tried:
    """What became of a test message to one receiver; ``problem`` is why it was not delivered."""

    receiver: str
    problem: str | None = None


def standings(verdict: Verdict, phase: Phase, tested: Container[str] = ()) -> tuple[Standing, ...]:
    """The state of every service that a run speaks for in a phase; ``tested`` are those that its test calls."""
    run = verdict.run
    asked = dict.fromkeys(objective.service for objective in phase.objectives)
    return tuple(_standing(verdict, service, run) for service in asked if covers(run, service, tested))


def _standing(verdict: Verdict, service: str | None, run: RunRef) -> Standing:
    objectives, findings, comparisons = part_of(verdict, service)
    state, reasons = decide(objectives, findings, comparisons)
    steps = next_steps(state, objectives, findings, comparisons, run.id)
    subject = Subject(verdict.phase, service or SYSTEM, environment=run.environment, test=run.test, branch=run.branch)
    reason = reasons[0].removeprefix(f"{service} ")
    return Standing(subject, state, reason, steps[0] if steps else "", run=run.id, commit=run.commit)


def standing_of_gate(decision: GateDecision) -> Standing:
    """The state of a gate."""
    asked, steps = decision.question, decision.next_steps
    subject = Subject(asked.phase, version=asked.version, environment=asked.environment)
    return Standing(
        subject, decision.decision, decision.reasons[0] if decision.reasons else "", steps[0] if steps else "",
        gate=decision.id,
    )  # fmt: skip


def kind_of(before: VerdictState | None, now: VerdictState) -> ChangeKind | None:
    """What a change comes to; ``None`` where there is nothing to tell: no change, or a pass that nobody worried about.

    Back to pass or warn is *recovered*; between the two it is a *warn*, whichever way.
    """
    if before == now or (before is None and now == "pass"):
        return None
    if now not in _OPEN:
        return "fail" if now == "fail" else "inconclusive"
    return "warn" if before is None or before in _OPEN else "recovered"


def changes(found: Iterable[Standing], told: Mapping[str, VerdictState]) -> tuple[Change, ...]:
    """What is to be told of states, worst first; ``told`` are the states told last, by a subject's key."""
    changed = [
        Change(**vars(one), kind=kind, before=before)
        for one in found
        for before in (told.get(one.subject.key),)
        if (kind := kind_of(before, one.now))
    ]
    return tuple(sorted(changed, key=lambda change: (_WORST_FIRST.index(change.now), change.subject.name)))


def tells(receiver: Receiver, subject: Subject, baseline: Baseline) -> bool:
    """Does a receiver hear of this subject?

    Of a service, runs on the branch of the baseline tell, and those without a branch, unless others are named. Who
    chose services hears of no gate: it is about all of them.
    """
    if receiver.phases and subject.phase not in receiver.phases:
        return False
    if subject.service is None:
        return not receiver.services
    if receiver.services and subject.service not in receiver.services:
        return False
    return subject.branch in (receiver.branches or (baseline.branch, None))


def heard(receivers: Sequence[Receiver], found: Iterable[Change], baseline: Baseline) -> dict[str, tuple[Change, ...]]:
    """What each receiver hears, by its name; those that hear nothing are left out.

    A receiver that is written twice hears what either chooses, once.
    """
    every = tuple(found)
    entries: defaultdict[str, list[Receiver]] = defaultdict(list)
    for receiver in receivers:
        entries[receiver.name].append(receiver)
    chosen = {
        name: tuple(c for c in every if any(c.kind in one.on and tells(one, c.subject, baseline) for one in ones))
        for name, ones in entries.items()
    }
    return {name: told for name, told in chosen.items() if told}


def link_to(public_url: str | None, standing: Standing) -> str | None:
    """The page that shows more: the run's, or of a gate the overview of its phase; none without an address of ours."""
    if public_url is None:
        return None
    subject = standing.subject
    if standing.run is not None:
        return f"{public_url}/run?" + urlencode({"run": standing.run, "phase": subject.phase})
    environment = {"env": subject.environment} if subject.environment else {}
    return f"{public_url}/?" + urlencode({"phase": subject.phase} | environment)


def title(message: Message) -> str:
    """One line: ``Phase 7A: event, chat fail; plan cannot be judged``."""
    if message.kind == "test":
        return "Phasegate can reach you"
    return _cut(_title(message), _LONGEST)


def _title(message: Message) -> str:
    phase = literal(message.changes[0].subject.phase)
    if message.kind == "gate":
        change = message.changes[0]
        return f"Phase {phase}: {_AT_GATE[change.now].format(literal(change.subject.name, _LONGEST_NAME))}"
    named: defaultdict[str, list[str]] = defaultdict(list)
    for change in message.changes:
        named[_said(change)].append(literal(change.subject.name, _LONGEST_NAME))
    return f"Phase {phase}: " + "; ".join(_sentence(names, words) for words, names in named.items())


def text(message: Message, most: int = MOST_CHARACTERS) -> str:
    """The message for people, in at most so many characters: what changed, why, what to do next, where to look."""
    if message.kind == "test":
        return "This is a test. Changes of state are told here, as slo.yaml says."
    foot = "\n".join(_foot(message))
    told: list[str] = []
    left = most - len(foot) - _REST
    for change in message.changes:
        block = "\n".join(_block(change)) + "\n"
        left -= len(block) + 1
        if left < 0:
            break
        told.append(block)
    if rest := len(message.changes) - len(told):
        told.append(f"and {numbers.things(rest, 'more change')}\n")
    return "\n".join([*told, foot])


def literal(words: str, most: int = _LONGEST) -> str:
    """Words from outside (k6's tags, names at upload, reasons) on one line, and as nothing but words in a chat."""
    line = " ".join(CONTROL.sub(" ", words).split())
    return _ACTED_ON.sub(lambda found: found[0] + _ZERO_WIDTH_SPACE, _cut(line, most))


def _cut(line: str, most: int) -> str:
    return line if len(line) <= most else line[: most - 1] + "…"


_AT_GATE: dict[VerdictState, str] = {
    "pass": "{} may enter",
    "warn": "{} may enter, with a warning",
    "fail": "{} may not enter",
    "inconclusive": "it cannot be told whether {} may enter",
}
_VERBS = {
    "fail": ("fails", "fail"),
    "inconclusive": ("cannot be judged", "cannot be judged"),
    "recovered": ("recovered", "recovered"),
    "warn": ("warns", "warn"),
    "pass": ("warns no more", "warn no more"),
}
"""By kind of change, of one and of several."""


def _said(change: Change) -> str:
    return "pass" if (change.kind, change.now) == ("warn", "pass") else change.kind


def _sentence(names: list[str], words: str) -> str:
    more = [f"{len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else []
    return f"{', '.join([*names[:_MOST_NAMED], *more])} {_VERBS[words][len(names) > 1]}"


def _block(change: Change) -> Iterator[str]:
    """One change: state and name, then why and what next; in one line where nobody has to act at once."""
    was = f" (was {change.before})" if change.before else ""
    head = f"{change.now.upper()}  {literal(change.subject.name, _LONGEST_NAME)}{was}"
    if change.kind in {"warn", "recovered"}:
        yield head + (f": {literal(change.reason)}" if change.now == "warn" else "")
        return
    yield head
    yield f"  {literal(change.reason)}"
    if change.next_step:
        yield f"  next: {literal(change.next_step)}"


def _foot(message: Message) -> Iterator[str]:
    """What it was seen in and when, since a message that is sent again may come late; and where to look."""
    change = message.changes[0]
    subject = change.subject
    told = {
        "decision": change.gate, "run": change.run, "test": subject.test, "branch": subject.branch,
        "commit": change.commit and change.commit[:8], "environment": subject.environment,
    }  # fmt: skip
    named = [f"{name} {literal(value, _LONGEST_NAME)}" for name, value in told.items() if value]
    yield ", ".join([*named, numbers.timestamp(message.at)])
    if message.link:
        yield message.link
