"""Numbers as people read them: the pages, the reports and the command line write them through here.

Every function is pure and takes the unit that its name or ``unit`` says. What is missing is ``–``, never 0. Zero has
no sign, and a value that missed its target never rounds to the target.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

MISSING: Final = "–"
_MINUS: Final = "−"
_SIGNS: Final = f"+{_MINUS}"
_MAX_DECIMALS: Final = 9
_MINUTE_S, _HOUR_S, _DAY_S, _MONTH_S = 60, 3_600, 86_400, 30 * 86_400

# Up to which size in percent or in points of a share how many decimals a change is worth.
_PERCENT_DECIMALS: Final = ((10.0, 1),)
_POINT_DECIMALS: Final = ((0.01, 4), (0.1, 3), (1.0, 2), (10.0, 1))

# Up to which size in ms how many decimals are worth reading: below a tick of the clock nothing is.
_MS_DECIMALS: Final = ((10.0, 2), (100.0, 1), (10_000.0, 0))
_BYTES: Final = (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10))


def count(number: int | None) -> str:
    """Whole things: ``3,396``."""
    return MISSING if number is None else f"{number:,}"


def things(number: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: ``1 finding``, ``2 findings``, ``3,396 requests``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration_ms(ms: float | None, *, extra: int = 0) -> str:
    """A latency: ``0.42 ms``, ``15.2 ms``, ``399 ms``, ``12.3 s``; ``extra`` decimals more than is usual."""
    if ms is None or not math.isfinite(ms):
        return MISSING
    for limit, decimals in _MS_DECIMALS:
        if abs(round(ms, decimals)) < limit:
            return f"{_fixed(ms, decimals + extra)} ms"
    return f"{_fixed(ms / 1000, 1 + extra)} s"


def seconds(duration_s: float | None) -> str:
    """How long a run took: ``20.2 s``, ``12 min 5 s``, ``24 h 0 min``."""
    if duration_s is None or not math.isfinite(duration_s):
        return MISSING
    if abs(round(duration_s, 1)) < _MINUTE_S:
        return f"{_fixed(duration_s, 1)} s"
    minutes, rest_s = divmod(round(duration_s), _MINUTE_S)
    if minutes * _MINUTE_S < _HOUR_S:
        return f"{minutes} min {rest_s} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def ratio(share: float | None, decimals: int = 2) -> str:
    """A share of one in percent: ``0.04`` is ``4.00 %``."""
    if share is None or not math.isfinite(share):
        return MISSING
    return f"{_fixed(share * 100, decimals)} %"


def rate_with_count(part: int | None, whole: int | None) -> str:
    """A share with what it rests on: ``4.00 % (136 of 3,396)``, ``0 of 3,396``."""
    if part is None or not whole:
        return MISSING
    counts = f"{part:,} of {whole:,}"
    return counts if part == 0 else f"{_visible_ratio(part / whole)} ({counts})"


def value(number: float | None, unit: str = "", *, extra: int = 0) -> str:
    """A number in a unit of the documents: ``ms``, ``ratio``, ``B``, ``/s``, or none."""
    if number is None or not math.isfinite(number):
        return MISSING
    write = _WRITERS.get(unit)
    return write(number, extra) if write else f"{_plain(number, extra)} {unit}"


def distinct(number: float | None, target: float | None, unit: str = "") -> tuple[str, str]:
    """A value and its target, with as many decimals as it takes to tell them apart.

    ``250.3`` against ``250`` ms is ``("250.3 ms", "250.0 ms")``: rounding never hides why a target was missed.
    """
    extra = 0
    while (
        number != target
        and extra < _MAX_DECIMALS
        and value(number, unit, extra=extra) == value(target, unit, extra=extra)
    ):
        extra += 1
    return value(number, unit, extra=extra), value(target, unit, extra=extra)


def interval(ends: tuple[float, float] | None, unit: str = "") -> str:
    """A confidence interval: ``381–421 ms``, the unit once where both ends share it."""
    if ends is None:
        return MISSING
    low, high = (value(end, unit) for end in ends)
    low_number, _, low_unit = low.rpartition(" ")
    shared = low_unit == high.rpartition(" ")[2] and bool(low_number)
    return f"{low_number if shared else low}{MISSING}{high}"


def margin(share: float | None) -> str:
    """What is left of a target: ``24 % to spare``, ``missed by 60 %``."""
    if share is None or not math.isfinite(share):
        return MISSING
    return f"{_visible_ratio(share, 0)} to spare" if share >= 0 else f"missed by {_visible_ratio(-share, 0)}"


def change(by: float | None, unit: str = "") -> str:
    """A change: ``+12 %`` and ``−3.4 %`` are relative; of shares (unit ``ratio``) it is in points, ``+0.9 points``."""
    return _of_change(by, unit, _signed)


def change_interval(ends: tuple[float, float] | None, unit: str = "") -> str:
    """The interval of a change: ``+9 to +15 %``, ``−0.2 to +0.9 points``."""
    if ends is None or not all(map(math.isfinite, ends)):
        return MISSING
    low, high = (change(end, unit) for end in ends)
    return f"{low.partition(' ')[0]} to {high}"


def change_size(by: float | None, unit: str = "") -> str:
    """How large a change is, whatever its direction: ``12 %``, ``0.9 points``."""
    return _of_change(by, unit, lambda number, decimals: _fixed(abs(number), decimals))


def lapse(between: timedelta) -> str:
    """A time between two moments in its largest unit: ``38 min``, ``2 h``, ``45 d``."""
    lasted_s = abs(between.total_seconds())
    limits = ((_HOUR_S, _MINUTE_S, "min"), (_DAY_S, _HOUR_S, "h"))
    unit_s, unit = next(((unit_s, unit) for limit_s, unit_s, unit in limits if lasted_s < limit_s), (_DAY_S, "d"))
    return f"{int(lasted_s // unit_s):,} {unit}"


def date(moment: datetime | None) -> str:
    """A day: ``2026-11-21``."""
    return MISSING if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d}"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long before ``now``: ``38 min ago``; from 30 days on the date, and the time where a clock runs ahead."""
    if moment is None:
        return MISSING
    age_s = (now - moment).total_seconds()
    if age_s < -_MINUTE_S:
        return timestamp(moment)
    if age_s < _MINUTE_S:
        return "just now"
    return f"{lapse(now - moment)} ago" if age_s < _MONTH_S else date(moment)


def timestamp(moment: datetime | None) -> str:
    """A point in time: ``2026-11-21 09:52 UTC``."""
    return MISSING if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def ms_decimals(smallest_ms: float) -> int:
    """Decimals for a whole column of latencies, chosen by its smallest."""
    return next((decimals for limit, decimals in _MS_DECIMALS if abs(round(smallest_ms, decimals)) < limit), 0)


def _fixed(number: float, decimals: int) -> str:
    """With thousands separators and a real minus, but no minus before zero."""
    text = f"{abs(number):,.{decimals}f}"
    return f"{_MINUS}{text}" if number < 0 and text.strip("0.,") else text


def _of_change(by: float | None, unit: str, write: Callable[[float, int], str]) -> str:
    if by is None or not math.isfinite(by):
        return MISSING
    of_share = unit == "ratio"
    percent = by * 100
    ladder = _POINT_DECIMALS if of_share else _PERCENT_DECIMALS
    text = write(percent, next((decimals for limit, decimals in ladder if abs(round(percent, decimals)) < limit), 0))
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {('point' if text.strip(_SIGNS) == '1' else 'points') if of_share else '%'}"


def _signed(number: float, decimals: int) -> str:
    text = _fixed(number, decimals)
    return f"+{text}" if number > 0 and text.strip("0.,") else text


def _visible_ratio(share: float, decimals: int = 2) -> str:
    """As many decimals as a share needs not to read as nothing, or as everything."""
    while (
        share not in {0, 1}
        and decimals < _MAX_DECIMALS
        and ratio(share, decimals)
        in {
            ratio(0, decimals),
            ratio(1, decimals),
        }
    ):
        decimals += 1
    return ratio(share, decimals)


def _plain(number: float, extra: int) -> str:
    if float(number).is_integer() and not extra:
        return _fixed(number, 0)
    three_digits = 2 - math.floor(math.log10(abs(number))) if number else 2
    return _fixed(number, min(max(2, three_digits), _MAX_DECIMALS) + extra)


def _bytes(number: float, extra: int) -> str:
    for unit, size in _BYTES:
        if abs(number) >= size:
            return f"{_fixed(number / size, 1 + extra)} {unit}"
    return f"{_fixed(number, extra)} B"


_WRITERS: Final[dict[str, Callable[[float, int], str]]] = {
    "ms": lambda number, extra: duration_ms(number, extra=extra),
    "ratio": lambda number, extra: ratio(number, 2 + extra),
    "B": _bytes,
    "/s": lambda number, extra: f"{_fixed(number, 1 + extra)} /s",
    "": _plain,
}
