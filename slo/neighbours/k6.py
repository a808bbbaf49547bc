"""k6's thresholds as objectives, from any file that carries them.

- ``--summary-export`` and ``handleSummary``: under ``metrics.NAME.thresholds``, each with k6's result, which is not
  looked at here; the second names the types of metrics, the first shows them by its numbers.
- options, as a script exports them and ``k6 inspect`` prints them: under ``thresholds``, each a text or
  ``{threshold, abortOnFail, delayAbortEval}``; no types.
- ``--out json``: in the line that defines a metric, with its type, but of whole metrics only.
- the machine-readable summary of k6 1.5 and later has none.

k6 compares plain numbers: times in ms, shares of one, bytes. slo.yaml writes the units down.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import orjson

from data.errors import ArtefactTooLarge, UnreadableArtefact
from data.k6_metrics import BUILT_IN
from data.model import MetricContains, MetricKind, Threshold
from slo.neighbours.draft import Draft, Imported, written
from slo.neighbours.joined import Asked, joined
from slo.selector import Selector
from slo.source import CONTROL, ExpressionError, quoted
from slo.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from slo.neighbours.draft import Entry

MOST_BYTES = 32 << 20
"""The largest document that is read; a summary or options have some kilobytes."""

HOW = "let k6 write them: `k6 inspect script.js > options.json`, or `k6 run --summary-export summary.json script.js`"

_BLANK = 1000
"""Lines that are looked at for a first one with anything in it: a small gzip file may hold billions."""

_BOM = b"\xef\xbb\xbf"
_SCRIPT = re.compile(rb"^\s*(?:import|export|const|let|var|function|//|/\*|.use strict)")
_OPERATORS = r"<=|<|>=|>|===|==|!="
_THRESHOLD = re.compile(
    rf"(?P<stat>[^<>=!]+?)\s*(?P<op>{_OPERATORS})\s*(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{{1,3}})?)",
    re.ASCII,
)

Type = tuple[MetricKind | None, MetricContains | None]
"""The type of a metric and what its numbers are, each ``None`` where a file does not say."""


@dataclass(frozen=True)
class Script:
    """What a file says of a script: its thresholds, sorted by what they are on, and the types of its own metrics.

    k6's samples are not ``complete``: they tell thresholds only of whole metrics that were measured. ``unseen`` are the
    sub-metrics that may have some.
    """

    thresholds: tuple[Threshold, ...]
    types: Mapping[str, Type] = field(default_factory=dict)
    complete: bool = True
    unseen: tuple[str, ...] = ()


def import_k6(lines: Iterable[bytes], name: str, phase: str = "1", service: str | None = None) -> Imported:
    """The thresholds in a file of k6, known as ``name``, as objectives of ``phase``.

    A tag ``service`` in a selector names the service; other objectives are of ``service`` (``None``: the whole run).

    Raises:
        UnreadableArtefact: it is no file of k6, has no thresholds, or none that slo.yaml can say.
        InvalidConfig: ``phase`` or ``service`` is no name that slo.yaml takes.
    """
    script = read_script(lines, name)
    types = {**script.types, **dict.fromkeys(_counters(script), ("counter", None))}
    results = [_carried(threshold, types, service) for threshold in script.thresholds]
    carried = [one for one in results if isinstance(one, _Carried)]
    refused = [one for one in results if isinstance(one, str)]
    if not carried:
        raise UnreadableArtefact(f"{name} has no threshold that slo.yaml can say: {'; '.join(refused[:3])}", help=HOW)
    objectives, merged = joined(carried)
    services = sorted({str(entry["service"]) for entry in objectives if "service" in entry})
    notes = (*refused, *merged, *_assumed(carried), *_untold(script))
    return written(
        Draft(phase, objectives, services=services), f"Taken over from the thresholds in {quoted(name)}.", notes
    )


def read_script(lines: Iterable[bytes], name: str) -> Script:
    """Read the thresholds out of a file of k6, known as ``name`` and recognised by content.

    Raises:
        UnreadableArtefact: it is no such file, or has no thresholds.
        ArtefactTooLarge: it is one document of more than ``MOST_BYTES``.
    """
    rest = iter(lines)
    first = next((line for line in islice(rest, _BLANK) if line.strip()), b"").removeprefix(_BOM)
    whole = chain([first], rest)
    script = _of_samples(whole, name) if _is_k6_line(first) else _of_document(_document(whole, name), name)
    if not script.thresholds:
        told = f"; k6's samples do not tell those on {', '.join(script.unseen[:5])}" if script.unseen else ""
        raise UnreadableArtefact(f"{name} has no thresholds{told}", help=HOW)
    return replace(script, thresholds=tuple(sorted(script.thresholds, key=lambda one: one.metric)))


def parts_of(source: str) -> tuple[str, str, Decimal] | None:
    """Statistic, operator and number of a threshold; ``None`` for what k6 would not read either."""
    found = _THRESHOLD.fullmatch(source.strip())
    return (found["stat"], found["op"].replace("===", "=="), Decimal(found["number"])) if found else None


def plain(number: Decimal) -> str:
    """A number in full, without an exponent or zeros that say nothing."""
    return f"{number.normalize():f}"


def bound(number: Decimal) -> str:
    """A number as a target's bound; one below zero is bracketed, so that its sign can mean nothing else."""
    return plain(number) if number >= 0 else f"({plain(number)})"


def _is_k6_line(line: bytes) -> bool:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(document, dict) and document.get("type") in {"Point", "Metric"} and "metric" in document


def _document(lines: Iterable[bytes], name: str) -> object:
    content = bytearray()
    for line in lines:
        content += line
        if len(content) > MOST_BYTES:
            raise ArtefactTooLarge(f"{name} has more than {MOST_BYTES >> 20} MiB and is not k6's --out json", help=HOW)
    if not content:
        raise UnreadableArtefact(f"{name} is empty", help=HOW)
    try:
        return orjson.loads(bytes(content))
    except orjson.JSONDecodeError as error:
        if content.startswith(b"metric_name,"):
            raise UnreadableArtefact(f"{name} is k6's CSV, which has no thresholds", help=HOW) from None
        if _SCRIPT.match(bytes(content[:4096])):
            raise UnreadableArtefact(f"{name} is a script, and scripts are not executed here", help=HOW) from None
        raise UnreadableArtefact(f"{name} is not valid JSON: {error}", help=HOW) from None


def _of_document(document: object, name: str) -> Script:
    match document:
        case {"results": {"metrics": list()}}:
            raise UnreadableArtefact(f"{name} is k6's machine-readable summary, which has no thresholds", help=HOW)
        case {"metrics": dict() as metrics}:
            return _of_summary(metrics, name)
        case {"thresholds": dict() as thresholds}:
            return Script(tuple(chain.from_iterable(_of_options(*one, name) for one in thresholds.items())))
        case {"thresholds": None}:
            return Script(())
        case {"thresholds": _}:
            raise _wrong(name, "`thresholds`", '{"http_req_duration": ["p(95)<500"]}')
    raise UnreadableArtefact(f"{name} is JSON, but neither a summary of k6 nor a script's options", help=HOW)


def _of_summary(metrics: Mapping[str, Any], name: str) -> Script:
    found: list[Threshold] = []
    for metric, body in metrics.items():
        thresholds = body.get("thresholds", {}) if isinstance(body, dict) else None
        if not isinstance(thresholds, dict):
            raise _wrong(name, f"the thresholds of {quoted(metric)}", '{"p(95)<500": false}')
        found += [Threshold(metric, source) for source in thresholds]
    return Script(tuple(found), {metric: _type(body) for metric, body in metrics.items()})


def _type(body: Mapping[str, Any]) -> Type:
    """--summary-export names no types; where a threshold's statistic leaves a doubt, its numbers settle it."""
    if "type" in body:
        return _KINDS.get(str(body["type"])), _CONTENTS.get(str(body.get("contains")))
    return "rate" if "passes" in body else "counter" if "count" in body and "avg" not in body else None, None


_KINDS: dict[str, MetricKind] = {"trend": "trend", "rate": "rate", "counter": "counter", "gauge": "gauge"}
_CONTENTS: dict[str, MetricContains] = {"time": "time", "data": "data", "default": "default"}


def _of_options(metric: str, listed: object, name: str) -> Iterator[Threshold]:
    if not isinstance(listed, list):
        raise _wrong(name, f"the thresholds of {quoted(metric)}", '["p(95)<500"]')
    for item in listed:
        match item:
            case str():
                yield Threshold(metric, item)
            case {"threshold": str() as source}:
                yield Threshold(metric, source, abort_on_fail=item.get("abortOnFail") is True)
            case _:
                raise _wrong(name, f"a threshold of {quoted(metric)}", '"p(95)<500" or {"threshold": "p(95)<500"}')


def _of_samples(lines: Iterable[bytes], name: str) -> Script:
    found: list[Threshold] = []
    types: dict[str, Type] = {}
    unseen: list[str] = []
    for line in lines:
        # Nearly all lines are samples: only what may be a definition is decoded.
        match _loaded(line) if b'"Metric"' in line else None:
            case {"type": "Metric", "metric": str() as metric, "data": dict() as data}:
                types[metric] = _type({"type": None} | data)
                found += _of_options(metric, data.get("thresholds") or [], name)
                unseen += _submetrics(data.get("submetrics"))
    told = tuple(sub for sub in unseen if not sub.endswith("{expected_response:true}"))  # k6 adds that one itself
    return Script(tuple(found), types, complete=False, unseen=told)


def _submetrics(listed: object) -> list[str]:
    named = [sub.get("name") for sub in listed if isinstance(sub, dict)] if isinstance(listed, list) else []
    return [name for name in named if isinstance(name, str)]


def _loaded(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:  # cut short, where k6 was killed
        return None


def _wrong(name: str, what: str, expected: str) -> UnreadableArtefact:
    return UnreadableArtefact(f"{name}: {what} should be like {expected}", help=HOW)


@dataclass(frozen=True)
class _Carried(Asked):
    """An objective with the selector of its threshold, and what was told of its metric."""

    selector: Selector
    told: Type


def _counters(script: Script) -> Iterator[str]:
    """Metrics of unknown type whose `rate` goes above 1 somewhere: no share does, so none of their rates is one."""
    for one in script.thresholds:
        metric, parts = one.metric.partition("{")[0], parts_of(one.source)
        if parts and parts[0] == "rate" and parts[2] > 1 and script.types.get(metric, (None, None))[0] is None:
            yield metric


def _carried(threshold: Threshold, types: Mapping[str, Type], service: str | None) -> _Carried | str:
    """One threshold as an objective, or why it is none."""
    said = f"{quoted(threshold.metric)} {quoted(threshold.source)}"
    parts = parts_of(threshold.source)
    if parts is None:
        return f"{said}: left out, because k6 reads `statistic operator number`, and so does slo.yaml"
    if CONTROL.search(threshold.metric):
        return f"{said}: left out, because slo.yaml takes no control characters"
    try:
        selector = Selector.parse(threshold.metric)
        told = BUILT_IN.get(selector.metric) or types.get(threshold.metric) or types.get(selector.metric, (None, None))
        target = _target(*parts, told)
    except ExpressionError as error:
        return f"{said}: left out, because {error.message}"
    return _Carried(_entry(selector, target, service, key=threshold.abort_on_fail), target, said, selector, told)


def _target(stat: str, op: str, number: Decimal, told: Type) -> Target:
    """Write down the unit that k6 takes for granted; raises `TargetError` where the metric has no such statistic."""
    kind, contains = told
    if stat == "rate":
        is_share = kind == "rate" or (kind is None and number <= 1)
        target = Target.parse(f"rate {op} {bound(number * 100)}%" if is_share else f"rate {op} {bound(number)}/s")
    else:
        target = Target.parse(f"{stat} {op} {bound(number)}{_UNITS.get(contains, '')}")
    if kind is None:
        target.check_fits_some_metric()
    else:
        target.check_fits(kind, contains or "default")
    return target


_UNITS: dict[MetricContains | None, str] = {"time": "ms", "data": "B"}


def _entry(selector: Selector, target: Target, service: str | None, *, key: bool) -> Entry:
    tags = dict(selector.tags)
    named = tags.pop("service") if tags.get("service", "").strip() else service
    entry: Entry = {"service": named} if named else {}
    entry |= {"sli": str(Selector(selector.metric, tuple(sorted(tags.items())))), "target": target.text}
    part = part_in(selector)
    return entry | ({"key": True} if key else {}) | ({"include": [part]} if part else {})


def part_in(selector: Selector) -> str | None:
    """The part of a test beside its load, ``setup`` or ``teardown``, that a selector narrows to by its group."""
    tags = dict(selector.tags)
    group = "" if "scenario" in tags else tags.get("group", "")
    return next((part for part in ("setup", "teardown") if f"{group}::".startswith(f"::{part}::")), None)


def _assumed(carried: Sequence[_Carried]) -> Iterator[str]:
    """What a file of k6 leaves open, each with how it was settled."""
    if unclear := _metrics(one for one in carried if one.told[1] is None and one.target.stat not in {"rate", "count"}):
        yield (
            f"{unclear}: the script's own, and the file does not say whether it is a time; taken for a plain number, "
            "so add `ms` where the script has `new Trend(name, true)`"
        )
    if shares := _metrics(one for one in carried if one.told[0] is None and one.target.unit == "ratio"):
        yield f"{shares}: taken for a Rate; if it is a Counter, its `rate` is per second: write `/s`"
    if aborting := [one.said for one in carried if one.entry.get("key")]:
        yield (
            f"{', '.join(aborting)}: `abortOnFail` became `key: true`, which is named first when missed; Phasegate "
            "stops no test, so keep abortOnFail and delayAbortEval in the script"
        )
    if any("service" not in one.entry for one in carried):
        yield "objectives without a service are asked of whole runs only; `--service NAME` makes them of one service"
    if any(not {"group", "scenario"} & dict(one.selector.tags).keys() for one in carried):
        yield "k6 counts setup() and teardown() in; slo.yaml leaves them out, but for `include: [setup, teardown]`"


def _untold(script: Script) -> Iterator[str]:
    if not script.complete:
        told = f"; {', '.join(script.unseen)} may have some" if script.unseen else ""
        yield f"k6's samples tell only thresholds on whole metrics that were measured{told}. To have them all, {HOW}"


def _metrics(carried: Iterable[_Carried]) -> str:
    return ", ".join(dict.fromkeys(one.selector.metric for one in carried))
