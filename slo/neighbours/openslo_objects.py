"""The objects in files of OpenSLO v1, and its SLIs as PromQL.

Fields and their meaning: the README of https://github.com/OpenSLO/OpenSLO. Keys that are not known do no harm, as
implementations add their own; what is known and cannot be is noted at its place.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slo.reader import Reader, optional, suggestion
from slo.source import quoted
from slo.tree import Items, Node, read_documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ALERTS = ("AlertPolicy", "AlertCondition", "AlertNotificationTarget")
KINDS = ("SLO", "SLI", "DataSource", "Service", *ALERTS)

_VERSION = "openslo/v1"
_PROMETHEUS = re.compile(r"prometheus|thanos|mimir|cortex|victoria", re.IGNORECASE)
"""Types of sources that answer PromQL; OpenSLO fixes no names for them."""
_QUERIES = ("query", "promql", "expr")
"""What tools call the query in a metricSource's spec, which OpenSLO leaves open."""
_WINDOW = re.compile(r"\{\{\s*\.window\s*\}\}")
_RANGE = "5m"

Fields = dict[str, Node]


class LeftOut(Exception):
    """Why an objective of OpenSLO becomes none of ours: no error, but a note."""


class Notes:
    """Sentences, each with the names of all that it is about, in the order of their first use."""

    def __init__(self) -> None:
        self._about: defaultdict[str, dict[str, None]] = defaultdict(dict)

    def add(self, name: str, sentence: str) -> None:
        """Note a sentence about something."""
        self._about[sentence][name] = None

    def told(self) -> list[str]:
        """Every sentence once."""
        return [f"{', '.join(names)}: {sentence}" for sentence, names in self._about.items()]


@dataclass(frozen=True)
class Object:
    """One object of OpenSLO: its place, its spec, and the reader of the file that it is in."""

    r: Reader
    kind: str
    name: str
    node: Node
    spec: Fields

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"the {self.kind} {quoted(self.name)}"

    @property
    def label(self) -> str:
        """What notes call it."""
        return f"{self.kind} {quoted(self.name)}"


@dataclass(frozen=True)
class Known:
    """What an SLO may refer to, SLIs and the types of data sources by their names, and where notes go."""

    indicators: Mapping[str, Object]
    sources: Mapping[str, str]
    notes: Notes


@dataclass(frozen=True)
class Indicator:
    """An SLI in PromQL: a share of what is good (``is_share``), or a value.

    ``is_counted``: of counters as they stand, which count since their processes started.
    """

    promql: str
    is_share: bool
    is_counted: bool = False


def read_objects(r: Reader, notes: Notes) -> Iterator[Object]:
    """Read all objects of a file, from several documents or lists; raises `InvalidConfig` where it is not YAML."""
    for tree in read_documents(r.source):
        for node in tree.nodes if isinstance(tree, Items) else (tree,):
            if found := _object(r, node, notes):
                yield found


def by_name(objects: Sequence[Object], kind: str) -> dict[str, Object]:
    """The objects of one kind by name; two of one name are noted as a problem."""
    found: dict[str, Object] = {}
    for one in objects:
        if one.kind == kind and (first := found.setdefault(one.name, one)) is not one:
            message = f"{one.title} is already in {first.r.source.name}, line {first.r.line(first.node)}"
            one.r.note(one.node, "duplicate-name", message, help="keep one of them, or give each its own name")
    return found


def fields_of(r: Reader, node: Node, what: str) -> Fields:
    """Read a mapping with any keys."""
    return {key: value for key, (_, value) in (r.entries(node, what) or {}).items()}


def required(r: Reader, node: Node, fields: Fields, key: str, what: str) -> str | None:
    """Read a name that has to be there."""
    if key not in fields:
        r.note(node, "missing-key", f"{what} needs the key `{key}`", help=f"add `{key}: ...`")
    return optional(fields, key, r.name)


def indicator_of(sli: Object, known: Known, label: str) -> Indicator | None:
    """An SLI in PromQL; ``None`` after a problem was noted. Notes are about ``label``, the SLO that asks.

    Raises:
        LeftOut: its source is not Prometheus.
    """
    if ("thresholdMetric" in sli.spec) == ("ratioMetric" in sli.spec):
        message = f"{sli.title} needs `thresholdMetric` or `ratioMetric`, one of them"
        sli.r.note(sli.node, "metric", message, help="write one of them into its spec")
        return None
    if "ratioMetric" in sli.spec:
        return _ratio(sli, known, label)
    query = _query(sli, sli.spec["thresholdMetric"], known, label)
    return Indicator(query, is_share=False) if query else None


def _object(r: Reader, node: Node, notes: Notes) -> Object | None:
    fields = fields_of(r, node, "an object of OpenSLO")
    version, kind = (required(r, node, fields, key, "an object of OpenSLO") for key in ("apiVersion", "kind"))
    if version is None or kind is None:
        return None
    if not version.startswith("openslo/"):
        notes.add(f"{r.source.name} line {r.line(node)}", "left out, because it is not OpenSLO")
        return None
    if version != _VERSION:
        r.note(fields["apiVersion"], "bad-version", f"{quoted(version)} is not read", help=f"convert it to {_VERSION}")
        return None
    if kind not in KINDS:
        message = f"OpenSLO has no kind {quoted(kind)}"
        r.note(fields["kind"], "unknown-kind", message, help=suggestion(kind, KINDS, "kinds"))
        return None
    metadata = fields_of(r, fields["metadata"], "`metadata`") if "metadata" in fields else {}
    name = required(r, node, metadata, "name", f"the metadata of this {kind}")
    if name is None:
        return None
    spec = fields_of(r, fields["spec"], f"the spec of the {kind} {quoted(name)}") if "spec" in fields else {}
    return Object(r, kind, name, node, spec)


def _ratio(sli: Object, known: Known, label: str) -> Indicator | None:
    node = sli.spec["ratioMetric"]
    ratio = fields_of(sli.r, node, f"the ratioMetric of {sli.title}")
    if "raw" in ratio:
        return _raw(sli, ratio, known, label)
    parts = [key for key in ("good", "bad") if key in ratio]
    if len(parts) != 1 or "total" not in ratio:
        message = f"the ratioMetric of {sli.title} needs `total` with `good` or `bad`, or `raw`"
        sli.r.note(node, "ratio", message, help="write `good` and `total`")
        return None
    part, total = (_query(sli, ratio[key], known, label) for key in (parts[0], "total"))
    if not part or not total:
        return None
    share = f"{_bracketed(part)} / {_bracketed(total)}"
    is_counted = optional(ratio, "counter", sli.r.boolean) is True and "[" not in part + total
    return Indicator(share if parts == ["good"] else f"1 - {share}", is_share=True, is_counted=is_counted)


def _raw(sli: Object, ratio: Fields, known: Known, label: str) -> Indicator | None:
    kind = required(sli.r, sli.spec["ratioMetric"], ratio, "rawType", f"the ratioMetric of {sli.title}")
    if kind not in {"success", "failure", None}:
        message = f"{sli.title} has the unknown rawType {quoted(str(kind))}"
        sli.r.note(ratio["rawType"], "bad-value", message, help="success or failure")
    query = _query(sli, ratio["raw"], known, label)
    if not query or kind not in {"success", "failure"}:
        return None
    return Indicator(query if kind == "success" else f"1 - {_bracketed(query)}", is_share=True)


def query_of(sli: Object, node: Node, known: Known, window: str) -> str | None:
    """The PromQL of a metric, over ``window`` where it leaves its range open; ``None`` after a problem was noted.

    Raises:
        LeftOut: its source is not Prometheus.
    """
    r, what = sli.r, f"a metric of {sli.title}"
    metric = fields_of(r, node, what)
    if "metricSource" not in metric:
        r.note(node, "missing-key", f"{what} needs the key `metricSource`", help="add `metricSource: ...`")
        return None
    source = fields_of(r, metric["metricSource"], what)
    reference = optional(source, "metricSourceRef", r.name)
    kind = optional(source, "type", r.name) or known.sources.get(reference or "")
    if not kind:
        told = f"no file has its data source {quoted(reference)}" if reference else "its metricSource has no type"
        raise LeftOut(f"{told}, so it is not known what answers its query")
    if not _PROMETHEUS.search(kind):
        raise LeftOut(f"its source is {quoted(kind)}, and of such sources slo.yaml has Prometheus alone")
    spec = fields_of(r, source["spec"], what) if "spec" in source else {}
    key = next((key for key in _QUERIES if key in spec), None)
    if key is None:
        raise LeftOut(f"its metricSource has no `{_QUERIES[0]}`")
    query = optional(spec, key, r.text)
    return _WINDOW.sub(window, query) if query else None


def _query(sli: Object, node: Node, known: Known, label: str) -> str | None:
    query = query_of(sli, node, known, _RANGE)
    if query != query_of(sli, node, known, "$window"):
        known.notes.add(label, f"`{{{{.window}}}}` in its queries became `{_RANGE}`")
    return query


def _bracketed(query: str) -> str:
    """A comment, which PromQL ends with the line, must not swallow the bracket."""
    return f"({query}\n)" if "#" in query else f"({query})"
