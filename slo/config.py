"""Reads slo.yaml: from text to the values of `slo.plan`, or to a report of everything that is wrong with it.

Not pydantic: a reading that goes on after an error can also check what hangs together across the file (duplicates,
phases that wait for each other, services nobody declared) and report it all at once, each at its place.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import get_args

from data.errors import ConfigError, NotFound
from slo.budget_config import read_budgets
from slo.notify_config import read_receivers
from slo.phases import read_phases
from slo.plan import Baseline, BaselinePhase, Config, Objective, Phase, Regression, ServiceInfo
from slo.reader import Reader, optional
from slo.source import ExpressionError, InvalidConfig, Source, quoted
from slo.sources import read_sources
from slo.target import parse_quantity
from slo.tree import MAX_BYTES, Leaf, Node, read_tree

__all__ = [
    "Baseline",
    "Config",
    "Objective",
    "Phase",
    "Regression",
    "ServiceInfo",
    "load_config",
    "parse_config",
    "read_text",
]

_COIN_FLIP = 0.5
_URL = re.compile(r"https?://\S+")
_ADDED = ("relative", "targets", "warns", "score", "runs", "max_age_s", "prometheus", "source", "budget", "budgets")
"""What a slo.yaml could not always say: where it does not, its digest is the one that it always had."""


def load_config(path: Path) -> Config:
    """Read a slo.yaml from disk; raises `NotFound` if there is none, else `InvalidConfig`."""
    return parse_config(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Read the text of a YAML file, no more of it than is needed to see that it is too large.

    Raises:
        NotFound: there is none.
        ConfigError: it cannot be read, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no {path}", help="write one, or name yours with --slo") from None
    except OSError as error:
        raise ConfigError(f"{path}:1:1: the file cannot be read: {error.strerror}") from error
    return _decoded(content, str(path))


def parse_config(text: str, source: str = "slo.yaml") -> Config:
    """Read the text of a slo.yaml that is known as ``source``; raises `InvalidConfig` with all that is wrong."""
    written = Source(source, text.replace("\r\n", "\n").replace("\r", "\n"))
    root = read_tree(written)
    reader = Reader(written)
    if root is None or (isinstance(root, Leaf) and root.kind == "nothing"):
        raise InvalidConfig(
            written, [written.problem((0, 0), "empty-file", "the file is empty", help="start with `version: 1`")]
        )
    config = _config(reader, root)
    if config is None or reader.problems:
        raise InvalidConfig(written, reader.problems)
    return replace(config, digest=_digest(config))


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        readable = content.decode(errors="replace")
        if len(content) > MAX_BYTES:  # cut within a character; refused for its size
            return readable
        source, start = Source(name, readable), len(content[: error.start].decode())
        problem = source.problem((start, start + 1), "not-utf-8", "this byte is not UTF-8", help="save it as UTF-8")
        raise InvalidConfig(source, [problem]) from None


def _digest(config: Config) -> str:
    """Hash what the file asks, not where it says it nor who is told: the first 16 hex digits of a SHA-256."""
    apart = {"line", "column", "digest", "notify", "connection"}

    def counts(name: str, value: object) -> bool:
        return name not in apart and not (name in _ADDED and value in (None, (), {}, ""))

    said = asdict(
        replace(config, source=""),  # the name of the file; an objective's is the Prometheus that is asked
        dict_factory=lambda items: {name: value for name, value in items if counts(name, value)},
    )
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _config(r: Reader, root: Node) -> Config | None:
    sections = ("services", "baseline", "regression", "prometheus", "budgets", "notify")
    top = r.table(root, "slo.yaml", required=("version", "phases"), optional=sections)
    if top is None:
        return None
    version = optional(top, "version", r.name)
    if version not in {"1", None}:
        r.note(top["version"], "bad-version", f"version {quoted(str(version))} is unknown", help="write `version: 1`")
    services = optional(top, "services", partial(_services, r))
    sources = optional(top, "prometheus", partial(read_sources, r)) or {}
    phases = optional(top, "phases", partial(read_phases, r, services, sources)) or ()
    return Config(
        version=1,
        services=services or {},
        baseline=optional(top, "baseline", partial(_baseline, r)) or Baseline(),
        regression=optional(top, "regression", partial(_regression, r)) or Regression(),
        phases=phases,
        digest="",
        source=r.source.name,
        budgets=optional(top, "budgets", partial(read_budgets, r, services, sources)) or (),
        prometheus=sources,
        notify=optional(top, "notify", partial(read_receivers, r, services, phases)) or (),
    )


def _services(r: Reader, node: Node, what: str) -> dict[str, ServiceInfo]:
    entries = r.entries(node, what) or {}
    return {name: _service(r, value, f"the service {quoted(name)}") for name, (_, value) in entries.items()}


def _service(r: Reader, node: Node, what: str) -> ServiceInfo:
    if isinstance(node, Leaf) and node.kind == "nothing":  # `auth:` alone declares it
        return ServiceInfo()
    fields = r.table(node, what, optional=("owner", "tier", "links")) or {}
    return ServiceInfo(
        owner=optional(fields, "owner", r.text),
        tier=optional(fields, "tier", r.integer),
        links=optional(fields, "links", partial(_links, r)) or {},
    )


def _links(r: Reader, node: Node, what: str) -> dict[str, str]:
    links: dict[str, str] = {}
    for title, (_, value) in (r.entries(node, what) or {}).items():
        url = r.text(value, f"the link `{title}`")
        if url is not None and not _URL.fullmatch(url):
            r.note(value, "bad-link", f"{quoted(url)} is not a link", help="write `https://...`")
        links[title] = url or ""
    return links


def _baseline(r: Reader, node: Node, what: str) -> Baseline:
    fields = r.table(node, what, optional=("branch", "runs", "phase")) or {}
    return Baseline(
        branch=optional(fields, "branch", r.name) or Baseline.branch,
        runs=optional(fields, "runs", partial(_at_least_one, r)) or Baseline.runs,
        phase=optional(fields, "phase", r.expression(_baseline_phase)) or Baseline.phase,
    )


def _at_least_one(r: Reader, node: Node, what: str) -> int | None:
    number = r.integer(node, what)
    if number == 0:
        r.note(node, "bad-value", f"{what} is at least 1")
    return number


def _baseline_phase(text: str) -> BaselinePhase:
    for known in get_args(BaselinePhase):
        if text == known:
            return known  # type: ignore[no-any-return]  # get_args cannot say what it gets
    raise ExpressionError(
        "bad-value", f"{quoted(text)} is not a choice of phases", (0, len(text)), help="any, same or previous"
    )


def _regression(r: Reader, node: Node, what: str) -> Regression:
    fields = r.table(node, what, optional=("confidence", "min_change", "min_change_abs", "confirm")) or {}
    confidence = optional(fields, "confidence", r.number)
    if confidence is not None and not _COIN_FLIP < confidence < 1:
        r.note(fields["confidence"], "bad-value", "`confidence` is between 0.5 and 1", help="write `confidence: 0.99`")
    given = {
        "confidence": confidence,
        "min_change_ratio": optional(fields, "min_change", r.expression(partial(parse_quantity, unit="ratio"))),
        "confirm": optional(fields, "confirm", partial(_at_least_one, r)),
        "min_change_abs_ms": optional(fields, "min_change_abs", r.expression(partial(parse_quantity, unit="ms"))),
    }
    return Regression(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
