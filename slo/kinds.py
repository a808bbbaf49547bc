"""Kinds of run that a phase demands, such as a stress run or one of 24 hours: which there are, and what is missing."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slo import numbers
from slo.criterion import Criterion
from slo.source import ExpressionError, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from data.facts import Facts
    from slo.model import RunRef

_DURATION = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")


@dataclass(frozen=True)
class Load:
    """At least this share (1.5: 150 %) of the requests per second of a run of another kind in the same environment."""

    share: float
    of: str


@dataclass(frozen=True)
class RunKind:
    """A kind of run that a phase demands of each service that it asks about (``services``: of these alone).

    A run is of the kind where every criterion in ``where`` holds by its facts; ``at_least_s`` is how long it takes.
    """

    name: str
    where: tuple[Criterion, ...]
    at_least_s: float = 0.0
    load: Load | None = None
    services: tuple[str, ...] = ()

    def fits(self, facts: Facts) -> bool:
        """Is a run with these facts of this kind?"""
        return all(criterion.judge(facts).state == "met" for criterion in self.where)

    def concerns(self, service: str | None) -> bool:
        """Is it demanded of this service (``None``: of the whole system)?"""
        return not self.services or service in self.services


@dataclass(frozen=True)
class Demanded:
    """What became of a demand, and the ``runs`` looked at. Where there is no such run, ``next_step`` is what to do."""

    reason: str
    runs: tuple[str, ...] = ()
    next_step: str = ""

    @property
    def met(self) -> bool:
        """Is there such a run?"""
        return not self.next_step


def named(kind: str) -> tuple[Criterion, ...]:
    """How a run says of itself that it is of a kind, where slo.yaml does not say it otherwise."""
    return (Criterion.parse(f'kind == "{kind}"'),)


def kinds_of(facts: Facts, kinds: Sequence[RunKind]) -> tuple[str, ...]:
    """The kinds that a run with these facts is of."""
    return tuple(kind.name for kind in kinds if kind.fits(facts))


def demanded(
    kind: RunKind, service: str | None, runs: Sequence[RunRef], others: Mapping[str, RunKind], version: str
) -> Demanded:
    """Is there a run of this kind among ``runs``, which speak for a service? ``others`` are the kinds by name."""
    said = " and ".join(f"`{criterion.text}`" for criterion in kind.where)
    tries = [_tried(kind, service, run, runs, others) for run in runs if kind.fits(run.facts)]
    missing = Demanded(
        f"is missing: no run of version {version} says {said}",
        next_step=f"make one, and store it with the facts {said} and `--version {shlex.quote(version)}`",
    )
    return next((one for one in tries if one.met), tries[0] if tries else missing)


def _tried(
    kind: RunKind, service: str | None, run: RunRef, runs: Sequence[RunRef], others: Mapping[str, RunKind]
) -> Demanded:
    if not _calls(run, service):
        what = service or "anything"
        return Demanded(f"did not call {what}: run {run.id}", (run.id,), f"let the {kind.name} test call {what}")
    took = f"run {run.id} took {numbers.seconds(run.duration_s)}"
    if not _lasts(run, kind):
        asked = f"asked are {numbers.seconds(kind.at_least_s)}"
        return Demanded(f"is too short: {took}, {asked}", (run.id,), f"run the {kind.name} test for longer")
    if kind.load is None:
        return Demanded(f"is there: {took}", (run.id,))
    base = others[kind.load.of]
    alike = [
        r
        for r in runs
        if r.id != run.id and base.fits(r.facts) and _lasts(r, base) and r.environment == run.environment
    ]
    # Of several the one under most load: which of them is meant, nobody can say.
    return _loaded(kind, kind.load, run, max(alike, key=lambda r: _rate(r) or 0.0, default=None))


def _calls(run: RunRef, service: str | None) -> bool:
    return run.requests > 0 and (service is None or service in run.services)


def _lasts(run: RunRef, kind: RunKind) -> bool:
    return (run.duration_s or 0.0) >= kind.at_least_s


def _loaded(kind: RunKind, load: Load, run: RunRef, other: RunRef | None) -> Demanded:
    if other is None:
        where = f" in {run.environment}" if run.environment else ""
        reason = f"cannot be held against a run of kind {load.of}{where}: there is none that lasted"
        return Demanded(reason, (run.id,), f"run the {load.of} test, too")
    both = (run.id, other.id)
    if set(run.services) != set(other.services):
        reason = f"cannot be told: run {run.id} and {load.of} run {other.id} call different services"
        return Demanded(reason, both, "call the same services under both loads")
    here, there = _rate(run), _rate(other)
    if here is None or not there:
        return Demanded("cannot be told: requests per second are not known", both, "run both tests again")
    share, asked = numbers.distinct(here / there, load.share, "ratio")
    told = (
        f"run {run.id} had {numbers.value(here, '/s')}, {share} of the "
        f"{numbers.value(there, '/s')} of {load.of} run {other.id}"
    )
    if here / there < load.share:
        return Demanded(f"had too little load: {told}; asked: {asked}", both, f"raise the load of the {kind.name} test")
    return Demanded(f"is there: {told}", both)


def _rate(run: RunRef) -> float | None:
    return run.requests / run.duration_s if run.duration_s else None


def parse_duration(text: str) -> float:
    """Read ``90s``, ``10m``, ``24h`` or ``7d`` in seconds; raises `ExpressionError`."""
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not seconds:
        raise ExpressionError(
            "bad-duration", f"{quoted(text)} is not a length of time", (0, len(text)), help="write 90s, 10m, 24h or 7d"
        )
    return seconds


def parse_kind(text: str) -> str:
    """Read the name of a kind of run; raises `ExpressionError`."""
    if not _NAME.fullmatch(text):
        raise ExpressionError(
            "bad-kind", f"{quoted(text)} is not a kind of run", (0, len(text)),
            help="letters, digits, blanks and `. _ -`, such as `cold cache`",
        )  # fmt: skip
    return text
