"""Targets: ``p(95) < 250ms``, ``rate < 1%``, ``p(95) <= +10%``: k6's threshold grammar, with units and changes.

A sign makes a target relative: to what was measured before, which it is resolved with before anything is judged. k6
compares plain numbers, and a reader has to know that times are milliseconds and rates are shares of one. Here the
unit is written down and checked against the metric, so that ``p(95) < 0.25`` cannot mean a quarter of a millisecond.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from data.model import MetricContains, MetricKind
from slo.source import ExpressionError, quoted

Unit = Literal["ms", "ratio", "B", "/s", ""]
Relative = Literal["share", "offset"]

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}

_UNITS: dict[str, tuple[Unit, Decimal]] = {
    "us": ("ms", Decimal("0.001")),
    "ms": ("ms", Decimal(1)),
    "s": ("ms", Decimal(1000)),
    "%": ("ratio", Decimal("0.01")),
    "points": ("ratio", Decimal("0.01")),
    "B": ("B", Decimal(1)),
    "KiB": ("B", Decimal(1024)),
    "MiB": ("B", Decimal(1024**2)),
    "GiB": ("B", Decimal(1024**3)),
    "/s": ("/s", Decimal(1)),
    "": ("", Decimal(1)),
}
"""How a unit is written -> its base unit, and how many of those it is."""

_QUANTITIES: dict[Unit, tuple[str, str]] = {
    "ms": ("a time", "units of a time: us, ms, s"),
    "ratio": ("a share", "the unit of a share is %"),
    "B": ("an amount of data", "units of data: B, KiB, MiB, GiB"),
    "/s": ("a number per second", "the unit of a number per second is /s"),
    "": ("a plain number", "write it without a unit; a script makes times with `new Trend(name, true)`"),
}
"""What each base unit measures, and how to write it."""

_K6_STATS: dict[MetricKind, tuple[str, ...]] = {
    "trend": ("avg", "min", "med", "max", "p(N)"),
    "rate": ("rate",),
    "counter": ("count", "rate"),
    "gauge": ("value", "min", "max"),
}
"""The statistics that a metric of each type has: k6's own, and the extremes it keeps of a gauge."""

_PROMQL_STATS = ("avg", "min", "med", "max", "p(N)", "last", "increase")
"""What can be asked of a Prometheus series over the time of a run."""

_STATS = tuple(dict.fromkeys([stat for stats in _K6_STATS.values() for stat in stats] + list(_PROMQL_STATS)))

_STAT = re.compile(r"\s*(?P<stat>[A-Za-z_][A-Za-z0-9_]*(?:\([^()]*\))?)")
_PERCENTILE = re.compile(r"p\(\s*(?P<percent>[0-9]{1,3}(?:\.[0-9]{1,9})?)\s*\)")
_OPERATOR = re.compile(r"\s*(?P<op>[<>=!]+)")
_NUMBER = re.compile(r"\s*(?P<number>[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)")
_NEGATIVE = re.compile(r"\s*\(\s*(?P<number>-[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*\)")
"""A number below zero that is meant as it stands: without the parentheses its sign would make it a change."""

# As many digits as a double can tell apart, and no exponent that could overflow.
_SANE_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][+-]?[0-9]{1,2})?")


class TargetError(ExpressionError):
    """Not a target, or one that does not fit the metric."""


@dataclass(frozen=True)
class Target:
    """A statistic, an operator and a threshold in the base unit (ms, ratio 0..1, bytes, per second, or none).

    ``stat`` is the canonical name (``p(95)``), ``percentile`` its share of one; ``text`` is the target as written, with
    its blanks in order. ``relative``: the threshold is a change of what was measured before, as a ``share`` of it (0.1:
    10 % more, whatever the unit, so ``unit`` is empty) or an ``offset`` in the unit; only :meth:`against` it is judged.
    """

    stat: str
    percentile: float | None
    op: str
    threshold: float
    unit: Unit
    text: str
    relative: Relative | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``p(95) < 250ms`` or ``p(95) <= +10%``; raises `TargetError`."""
        match = _STAT.match(text)
        if not match:
            raise _error("a target starts with a statistic", text, help="write `p(95) < 250ms` or `rate < 1%`")
        stat, percentile = _statistic(match)
        op, threshold, unit, bound, relative = _bound(text, match.end())
        if stat == "rate" and not unit and threshold < 1 and relative != "share":
            unit = "ratio"  # k6's own `rate < 0.01`; a number per second always has its unit
        return cls(stat, percentile, op, threshold, unit, f"{stat} {bound}", relative)

    @classmethod
    def parse_coverage(cls, text: str) -> Target:
        """Read ``>= 85%``: the share of a phase's objectives that has to be met; raises `TargetError`."""
        return cls._at_least("coverage", text, "write `>= 85%`: at least this share of the objectives is met")

    @classmethod
    def parse_budget(cls, text: str) -> Target:
        """Read ``> 20%``: the share of error budgets that has to be left; raises `TargetError`."""
        return cls._at_least("budget", text, "write `> 20%`: more than this share of each error budget is left")

    @classmethod
    def _at_least(cls, what: str, text: str, help: str) -> Target:
        target = cls(what, None, *_bound(text, 0))
        if not target.lower or target.unit != "ratio" or target.threshold > 1 or target.relative:
            raise TargetError(f"bad-{what}", f"{quoted(target.text)} is not a {what}", (0, len(text)), help=help)
        if target.holds(0.0):
            message, help = f"{quoted(target.text)} would always pass", "ask for more than 0%, or leave it out"
            raise TargetError(f"bad-{what}", message, (0, len(text)), help=help)
        return target

    def against(self, baseline: float, unit: Unit | None = None) -> Target:
        """The absolute target beside what was measured before, in its ``unit``; an absolute one is as it was.

        Decimal arithmetic: +10 % of 10 is 11, and a value of 11 is not above it.
        """
        if self.relative is None:
            return self
        before, by = Decimal(str(baseline)), Decimal(str(self.threshold))
        threshold = float(before * (1 + by) if self.relative == "share" else before + by)
        known: Unit = self.unit or unit or ""
        text = f"{self.stat} {self.op} {_told(threshold, known)}"
        return replace(self, threshold=threshold, unit=known, text=text, relative=None)

    @property
    def bound(self) -> str:
        """The target without its statistic: ``<= +10%``."""
        return self.text.removeprefix(self.stat).strip()

    def holds(self, value: float) -> bool:
        """Say whether ``value``, in the base unit, meets the target; nothing that is not a finite number ever does."""
        return math.isfinite(value) and _COMPARE[self.op](value, self.threshold)

    @property
    def upper(self) -> bool:
        """True where smaller is better."""
        return self.op in {"<", "<="}

    @property
    def lower(self) -> bool:
        """True where larger is better; ``==`` and ``!=`` are neither upper nor lower."""
        return self.op in {">", ">="}

    def margin(self, value: float) -> float | None:
        """Return the share of the target that is left: 0.2 is 20 % better than asked, negative is missed by that share.

        ``None`` where there is no such share: a threshold of 0, ``==`` and ``!=``, a value that is not finite.
        """
        if not (self.upper or self.lower) or self.threshold == 0 or not math.isfinite(value):
            return None
        left = self.threshold - value if self.upper else value - self.threshold
        return left / abs(self.threshold)

    def is_stricter_than(self, other: Target) -> bool:
        """Say whether this asks more than ``other``, of the same statistic in the same unit.

        Of two changes as well: of what was not below zero before. A change and a number cannot be told apart.
        """
        if (self.stat, self.unit, self.relative) != (other.stat, other.unit, other.relative):
            return False
        if self.op == "==":
            return (other.upper or other.lower) and _COMPARE[other.op](self.threshold, other.threshold)
        if (self.upper, self.lower) != (other.upper, other.lower):
            return False
        if self.threshold == other.threshold:
            return self.op in {"<", ">"} and other.op in {"<=", ">="}
        return self.threshold < other.threshold if self.upper else self.lower and self.threshold > other.threshold

    def check_fits(self, kind: MetricKind, contains: MetricContains) -> None:
        """Raise `TargetError` unless a k6 metric of this type has such a statistic in such a unit."""
        if misfit := self._misfit(kind, contains):
            raise misfit

    def check_fits_some_metric(self) -> None:
        """Raise `TargetError` unless some type of k6 metric fits: all that can be said of a metric not yet seen."""
        kinds = [kind for kind, stats in _K6_STATS.items() if self._family in stats]
        if not kinds:
            raise self._stat_misfit("no k6 metric has", ("avg", "min", "med", "max", "p(N)", "count", "rate", "value"))
        shapes: tuple[MetricContains, ...] = ("default", "data", "time")
        misfits = [misfit for kind in kinds for contains in shapes if (misfit := self._misfit(kind, contains))]
        if len(misfits) == len(kinds) * len(shapes):
            raise misfits[0]

    def check_fits_promql(self) -> None:
        """Raise `TargetError` unless such a statistic can be asked of a Prometheus series."""
        if self._family not in _PROMQL_STATS:
            raise self._stat_misfit("a promql objective has no", _PROMQL_STATS)

    @property
    def _family(self) -> str:
        return self.stat if self.percentile is None else "p(N)"

    def _misfit(self, kind: MetricKind, contains: MetricContains) -> TargetError | None:
        if self._family not in _K6_STATS[kind]:
            return self._stat_misfit(f"a {kind} has no", _K6_STATS[kind])
        if self.relative == "share":
            return None
        if kind == "rate":
            return self._share_misfit()
        expected: Unit = "/s" if self.stat == "rate" else _unit_of(contains)
        if self.unit == expected or (not self.unit and expected == "B"):
            return None
        return self._unit_misfit(expected)

    def _stat_misfit(self, has_no: str, stats: tuple[str, ...]) -> TargetError:
        return TargetError(
            "stat-misfit", f"{has_no} `{self.stat}`", (0, len(self.text)), help=f"ask for {_listed(stats)}"
        )

    def _unit_misfit(self, expected: Unit) -> TargetError:
        what, how = _QUANTITIES[expected]
        if self.unit:
            message = f"{quoted(self.text)} compares {what} with {_QUANTITIES[self.unit][0]}"
            return TargetError("unit-misfit", message, (0, len(self.text)), help=how)
        return TargetError(
            "unit-missing",
            f"{quoted(self.text)} has no unit",
            (0, len(self.text)),
            label=f"{what} needs a unit",
            help=f"write `{self.text}{expected}` ({how})",
        )

    def _share_misfit(self) -> TargetError | None:
        """Check the threshold of a share."""
        if not self.unit:
            return TargetError(
                "unit-missing",
                f"{quoted(self.text)} has no unit",
                (0, len(self.text)),
                label="a share of 1 or more",
                help=f"write `{self.text}%`, or a share below 1 (`1%` is `0.01`)",
            )
        if self.unit != "ratio":
            return self._unit_misfit("ratio")
        if not (-1 if self.relative else 0) <= self.threshold <= 1:
            message = f"{quoted(self.text)} asks for a share that cannot be"
            return TargetError("unit-misfit", message, (0, len(self.text)), help="a rate is between 0% and 100%")
        return None


def parse_quantity(text: str, unit: Unit) -> float:
    """Read one number with its unit, such as ``5%`` or ``2ms``, in the base unit; raises `TargetError`."""
    what, how = _QUANTITIES[unit]
    number = _NUMBER.match(text)
    if not number:
        raise _error(f"{quoted(text)} is not {what}", text, help=how)
    value, found, _ = _quantity(text, number)
    if found != unit:
        raise _error(f"{quoted(text)} is not {what}", text, help=how)
    return value


def _unit_of(contains: MetricContains) -> Unit:
    match contains:
        case "time":
            return "ms"
        case "data":
            return "B"
        case "default":
            return ""


def _listed(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _error(message: str, text: str, offset: int = 0, *, help: str | None = None) -> TargetError:
    return TargetError("bad-target", message, (offset, max(len(text), 1)), help=help)


def _statistic(match: re.Match[str]) -> tuple[str, float | None]:
    """Return the canonical name and, for a percentile, its share of one."""
    stat, offset = match["stat"], match.start("stat")
    percentile = _PERCENTILE.fullmatch(stat)
    if percentile and (share := Decimal(percentile["percent"]) / 100) <= 1:
        return f"p({(share * 100).normalize():f})", float(share)
    if stat in _STATS and stat != "p(N)":
        return stat, None
    if percentile:
        raise _error(f"{quoted(stat)}: a percentile is between 0 and 100", stat, offset)
    raise _error(f"unknown statistic {quoted(stat)}", stat, offset, help=f"statistics: {', '.join(_STATS)}")


def _bound(text: str, start: int) -> tuple[str, float, Unit, str, Relative | None]:
    """Read ``< 250ms`` from ``start`` on.

    Return operator, threshold in the base unit, base unit, the tidy text, and how it is relative.
    """
    op = _OPERATOR.match(text, start)
    # k6 takes JavaScript's `===`; it compares numbers, so the two are the same.
    canonical = op["op"].replace("===", "==") if op else ""
    if not op or canonical not in _COMPARE:
        rest = op["op"] if op else text[start:].strip()
        raise _error("a comparison is expected here", rest, text.find(rest, start), help="one of < <= > >= == !=")
    negative = _NEGATIVE.match(text, op.end())
    number = negative or _NUMBER.match(text, op.end())
    if not number:
        rest = text[op.end() :].strip()
        help = "write it with its unit: 250ms, 1%, 50/s; a change with its sign: +10%, -5%, +15ms"
        raise _error("a number is expected here", rest, text.find(rest, op.end()), help=help)
    digits = number["number"]
    signed = digits[0] in "+-" and not negative
    value, unit, unit_text = _quantity(text, number, signed=signed)
    told = f"({digits})" if negative else digits
    tidy = f"{op['op']} {told}{' ' * (unit_text == 'points')}{unit_text}"
    if not signed:
        return canonical, value, unit, tidy, None
    return (canonical, value, "", tidy, "share") if unit_text == "%" else (canonical, value, unit, tidy, "offset")


def _told(value: float, unit: Unit) -> str:
    """A number as a target has it: ``250.8ms``, ``5.5%``; as many digits as tell it from the next."""
    written, size = ("%", 100.0) if unit == "ratio" else (unit, 1.0)
    digits = f"{value * size:.9g}"
    return f"({digits}){written}" if digits.startswith("-") else f"{digits}{written}"


def _quantity(text: str, number: re.Match[str], *, signed: bool = False) -> tuple[float, Unit, str]:
    """Return a number with its unit, in the base unit; the base unit; and the unit as written.

    ``signed``: it is a change, which may be below zero, and of a share be in points.
    """
    digits, offset = number["number"], number.start("number")
    if not _SANE_NUMBER.fullmatch(digits):
        raise _error(f"{quoted(digits)} is not a number to compare with", digits, offset)
    written = text[number.end() :].strip()
    # Both signs for micro are in use; keyboards and standards disagree.
    unit_text = written.replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    if unit_text not in _UNITS:
        known = ", ".join(filter(None, _UNITS))
        raise _error(f"unknown unit {quoted(written)}", written, text.rfind(written), help=f"units: {known}")
    unit, size = _UNITS[unit_text]
    if written == "points" and not signed:
        raise _error("points are a change of a share", digits, offset, help="write `+2 points` for a change, else `2%`")
    if unit and digits.startswith("-") and not signed:
        raise _error(f"{_QUANTITIES[unit][0]} cannot be negative", digits, offset)
    return float(Decimal(digits) * size), unit, written
