"""k6's own summaries, in all the shapes k6 has written them, into one.

- ``--summary-export``: ``metrics.NAME`` holds the numbers; a threshold is ``true`` when it was **crossed**.
- ``handleSummary(data)``: numbers under ``values``; a threshold is ``{"ok": true}`` when it held.
- machine-readable (k6 1.5 and later): a list of metrics, no thresholds; keys ``p95`` or ``p(95)``.

``setup_data`` and the script's source, which the last two carry, are never taken over; the source leaves its hash.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from data.errors import ArtefactTooLarge, UnreadableArtefact
from data.k6_metrics import BUILT_IN, metric_named
from data.model import ArtefactKind, Metric, MetricContains, MetricType, SummaryValue, Threshold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DURATION_UNITS_PER_S = 1000.0
_DEEPEST_GROUP = 50
_STAT_NAMES = {"passes": "passes", "fails": "fails", "matches": "passes"}
_PERCENTILE = re.compile(r"^p\(?(\d+(?:\.\d+)?)\)?$")


@dataclass(frozen=True)
class Summary:
    """One summary. ``duration_s`` is k6's test-run duration, setup and teardown included."""

    kind: ArtefactKind
    values: tuple[SummaryValue, ...]
    thresholds: tuple[Threshold, ...]
    metrics: tuple[Metric, ...]
    duration_s: float | None
    k6_version: str | None = None
    script_hash: str | None = None


def parse_summary(path: Path, name: str, max_bytes: int) -> Summary:
    """Read a summary document.

    Raises:
        ArtefactTooLarge: it is larger than ``max_bytes``.
        UnreadableArtefact: it is not JSON, not a summary of k6, or one without any number.
    """
    if (size := path.stat().st_size) > max_bytes:
        raise ArtefactTooLarge(
            f"{name} is a JSON document of {size:,} bytes; a k6 summary is far smaller",
            help="k6's --out json writes one object per line; a summary has some kilobytes",
        )
    try:
        document = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise UnreadableArtefact(
            f"{name} is not valid JSON: {error}", help="is the file complete? k6 writes it when the test ends"
        ) from error
    summary = _summary(document)
    if summary is None or not summary.values:
        raise UnreadableArtefact(
            f"{name} is JSON, but not a summary of k6",
            help="expected the file of --summary-export, or the data of handleSummary",
        )
    return summary


def _summary(document: Any) -> Summary | None:  # noqa: ANN401  # any JSON
    match document:
        case {"results": {"metrics": list()}}:
            return _machine(document)
        case {"metrics": dict() as metrics} if any(isinstance(m, dict) and "values" in m for m in metrics.values()):
            return _with_checks(_handle_summary(document, metrics), document)
        case {"metrics": dict() as metrics}:
            return _with_checks(_export(metrics), document)
    return None


def _export(metrics: dict[str, Any]) -> Summary:
    bodies = {name: body for name, body in metrics.items() if isinstance(body, dict)}
    return Summary(
        kind="k6-summary-export",
        values=_values((name, body) for name, body in bodies.items()),
        thresholds=tuple(
            Threshold(name, source, ok=not crossed)
            for name, body in bodies.items()
            for source, crossed in _dict(body.get("thresholds")).items()
            if isinstance(crossed, bool)
        ),
        metrics=tuple(_inferred(name, body) for name, body in bodies.items() if "{" not in name),
        duration_s=_duration(bodies.values()),
    )


def _handle_summary(document: dict[str, Any], metrics: dict[str, Any]) -> Summary:
    bodies = {name: body for name, body in metrics.items() if isinstance(body, dict)}
    duration_ms = _finite(_dict(document.get("state")).get("testRunDurationMs"))
    return Summary(
        kind="k6-handle-summary",
        values=_values((name, _dict(body.get("values"))) for name, body in bodies.items()),
        thresholds=tuple(
            Threshold(name, source, ok=result["ok"])
            for name, body in bodies.items()
            for source, result in _dict(body.get("thresholds")).items()
            if isinstance(result, dict) and isinstance(result.get("ok"), bool)
        ),
        metrics=tuple(_defined(name, body) for name, body in bodies.items() if "{" not in name),
        duration_s=None if duration_ms is None else duration_ms / _DURATION_UNITS_PER_S,
    )


def _machine(document: dict[str, Any]) -> Summary:
    listed = [m for m in document["results"]["metrics"] if isinstance(m, dict) and isinstance(m.get("name"), str)]
    metadata, config = _dict(document.get("metadata")), _dict(document.get("config"))
    version = metadata.get("k6_version", metadata.get("k6Version"))
    script = config.get("script")
    return Summary(
        kind="k6-machine-summary",
        values=_values((m["name"], _dict(m.get("values"))) for m in listed),
        thresholds=(),
        metrics=tuple(_defined(m["name"], m) for m in listed if "{" not in m["name"]),
        duration_s=_finite(config.get("duration")),
        k6_version=version if isinstance(version, str) else None,
        script_hash=sha256(script.encode()).hexdigest() if isinstance(script, str) else None,
    )


def _with_checks(summary: Summary, document: dict[str, Any]) -> Summary:
    """Add every check's passes and fails, as the sub-metric ``checks{check:NAME, group:PATH}`` that it is."""
    found = tuple(
        SummaryValue(f"checks{{check:{check.get('name')}, group:{path}}}", stat, number)
        for path, check in _checks(_dict(document.get("root_group")))
        for stat in ("passes", "fails")
        if (number := _finite(check.get(stat))) is not None
    )
    return replace(summary, values=summary.values + found)


def _checks(group: dict[str, Any], path: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Checks with the path of their group; lists in handleSummary's data, objects in --summary-export."""
    for check in _members(group.get("checks")):
        yield path, check
    if depth < _DEEPEST_GROUP:
        for inner in _members(group.get("groups")):
            yield from _checks(inner, f"{path}::{inner.get('name')}", depth + 1)


def _members(found: object) -> list[dict[str, Any]]:
    values = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []
    return [value for value in values if isinstance(value, dict)]


def _values(metrics: Iterator[tuple[str, dict[str, Any]]]) -> tuple[SummaryValue, ...]:
    return tuple(
        SummaryValue(name, stat, number)
        for name, body in metrics
        for key, value in body.items()
        if (stat := _stat(key, body)) and (number := _finite(value)) is not None
    )


def _stat(key: str, body: dict[str, Any]) -> str | None:
    """k6's name of a statistic, whichever way this summary spells it."""
    if percentile := _PERCENTILE.match(key):
        return f"p({percentile[1]})"
    if key == "value" and "passes" in body:
        return "rate"  # --summary-export renames a rate's rate
    if key in {"avg", "min", "med", "max", "count", "rate", "value"}:
        return key
    return _STAT_NAMES.get(key)


def _inferred(name: str, body: dict[str, Any]) -> Metric:
    """--summary-export names neither type nor contents; k6's own metrics are known, of others the numbers tell."""
    return metric_named(name) if name in BUILT_IN else Metric(name, _type_of(body))


def _type_of(body: dict[str, Any]) -> MetricType:
    if "passes" in body:
        return "rate"
    if "avg" in body or "med" in body:
        return "trend"
    if "count" in body:
        return "counter"
    return "gauge" if "value" in body else "unknown"


def _defined(name: str, body: dict[str, Any]) -> Metric:
    return Metric(name, metric_type(body.get("type")), metric_contains(body.get("contains")))


def metric_type(value: object) -> MetricType:
    """k6's metric type, or ``unknown`` for one this version has not met."""
    known: dict[object, MetricType] = {"trend": "trend", "rate": "rate", "counter": "counter", "gauge": "gauge"}
    return known.get(value, "unknown") if isinstance(value, str) else "unknown"


def metric_contains(value: object) -> MetricContains:
    """What a metric's numbers are: times (ms), data (bytes) or plain numbers."""
    known: dict[object, MetricContains] = {"time": "time", "data": "data"}
    return known.get(value, "default") if isinstance(value, str) else "default"


def _duration(bodies: Any) -> float | None:  # noqa: ANN401  # a view of untyped JSON
    """Test-run duration from any counter: k6's rate is count / duration."""
    for body in bodies:
        count, rate = _finite(body.get("count")), _finite(body.get("rate"))
        if count and rate and "passes" not in body:
            return count / rate
    return None


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
