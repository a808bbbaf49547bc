"""Reads ``prometheus`` of a slo.yaml: which sources may be asked, how they are reached, what they are asked.

An address in a file that is kept in git holds no password: who we are comes from environment variables.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from data.sources import Connection
from slo.kinds import parse_duration
from slo.plan import MetricsSource, Saturation
from slo.promql import DURATIONS, check, counter_in
from slo.reader import Reader, optional, suggestion
from slo.source import ExpressionError, quoted
from slo.target import parse_quantity
from slo.tree import Leaf, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OF_A_RUN = ("service", "environment", "branch", "version", "commit", "test", "phase")
"""Names in expressions that a run, or the objective, gives a value to; ``$label_NAME`` are the labels of its upload."""
_LABEL = "label_"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_METRIC = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_SECRET = re.compile(r"authorization|cookie|token|secret|passw|credential|api[-_]?key", re.IGNORECASE)
_OURS = frozenset({"query", "time", "start", "end", "step"})
"""Parameters of a query that say what is asked, and when."""
_LONGEST_TIMEOUT_S = 120.0
_AMOUNT = re.compile(r"[0-9.]+\s*[A-Za-z%]*")


def read_sources(r: Reader, node: Node, what: str) -> dict[str, MetricsSource]:
    """Read every source, by name."""
    found = {}
    for name, (key, value) in (r.entries(node, what) or {}).items():
        if not _VARIABLE.fullmatch(name):
            r.note(key, "bad-source", f"{quoted(name)} is not a name", help="letters, digits and _, such as `main`")
        if source := _source(r, value, f"the source {quoted(name)}"):
            found[name] = source
    return found


def source_of(sources: Mapping[str, MetricsSource], name: str | None) -> tuple[str, MetricsSource] | None:
    """The source that an objective asks, with its name: the one that it names, else the only one."""
    names = [name] if name is not None else list(sources)
    return (names[0], sources[names[0]]) if len(names) == 1 and names[0] in sources else None


def read_promql(
    r: Reader, asked: tuple[str, MetricsSource] | None, service: str | None, node: Node, what: str
) -> str | None:
    """Read the expression of an objective; names in it are those that its run, its service and its source have."""
    if (text := r.text(node, what)) is None:
        return None
    known = [name for name in OF_A_RUN if name != "service" or service is not None]
    _checked(r, node, text, [*known, *(asked[1].labels if asked else ())], macro=service is not None)
    return text


def check_counter(r: Reader, node: Node, text: str) -> None:
    """Check that the increase of an expression can be told."""
    try:
        counter_in(text)
    except ExpressionError as error:
        r.note_expression(node, error)


def check_source(
    r: Reader, fields: Mapping[str, Node], sources: Mapping[str, MetricsSource], source: str | None
) -> None:
    """Check that an objective names a source that there is, where it has to."""
    if source is not None and "promql" not in fields:
        r.note(fields["source"], "source-without-promql", "`source` is for promql objectives", help="leave it out")
    elif source is not None and source not in sources:
        help = suggestion(source, sources, "sources") if sources else "describe it under `prometheus`"
        r.note(fields["source"], "unknown-source", f"there is no source {quoted(source)}", help=help)
    elif source is None and "promql" in fields and len(sources) > 1:
        r.note(fields["promql"], "which-source", "which prometheus is asked?", help=f"`source: {next(iter(sources))}`")


def _source(r: Reader, node: Node, what: str) -> MetricsSource | None:
    reached = ("auth", "tls", "timeout", "headers", "params")
    asked = ("step", "margin", "labels", "select", "scraped", "latency", "saturation", "collect")
    fields = r.table(node, what, required=("url",), optional=(*reached, *asked))
    if fields is None or (url := optional(fields, "url", r.expression(_url))) is None:
        return None
    tls = (
        (r.table(fields["tls"], "`tls`", optional=("ca_file", "cert_file", "key_file", "verify")) or {})
        if "tls" in fields
        else {}
    )
    verify = optional(tls, "verify", r.boolean)
    if "key_file" in tls and "cert_file" not in tls:
        r.note(tls["key_file"], "no-certificate", "`key_file` without `cert_file`", help="name both")
    connection = Connection(
        url=url,
        ca_file=optional(tls, "ca_file", r.name),
        cert_file=optional(tls, "cert_file", r.name),
        key_file=optional(tls, "key_file", r.name),
        verify=True if verify is None else verify,
        timeout_s=optional(fields, "timeout", partial(_length, r, _LONGEST_TIMEOUT_S)) or Connection.timeout_s,
        headers=optional(fields, "headers", partial(_headers, r)) or {},
        params=optional(fields, "params", partial(_params, r)) or {},
        **_auth(r, fields),
    )
    step = optional(fields, "step", r.expression(parse_duration))
    if step is not None and step % 1:
        r.note(fields["step"], "bad-value", "`step` is in whole seconds", help="write `step: 5s`")
    labels = optional(fields, "labels", partial(_labels, r)) or {}
    read = partial(_expression, r, tuple(labels), macro=True)
    return MetricsSource(
        connection=connection,
        step_s=step or MetricsSource.step_s,
        margin_s=optional(fields, "margin", r.expression(parse_duration)) or MetricsSource.margin_s,
        labels=labels,
        select=optional(fields, "select", partial(_select, r, tuple(labels))) or MetricsSource.select,
        scraped=optional(fields, "scraped", r.boolean) is not False,
        latency=optional(fields, "latency", r.expression(_metric)),
        saturation=tuple(optional(fields, "saturation", partial(_saturations, r, read)) or ()),
        collect=optional(fields, "collect", partial(_collected, r, read)) or {},
    )


def _auth(r: Reader, fields: Mapping[str, Node]) -> dict[str, str]:
    """The names of the variables that say who we are."""
    keys = ("bearer_env", "username_env", "password_env")
    given = (r.table(fields["auth"], "`auth`", optional=keys) or {}) if "auth" in fields else {}
    if given and set(given) not in ({"bearer_env"}, {"username_env", "password_env"}):
        help = "`{bearer_env: NAME}`, or `{username_env: NAME, password_env: NAME}`"
        r.note(fields["auth"], "bad-auth", "`auth` is a bearer token, or a user with a password", help=help)
    return {key: name for key in given if (name := optional(given, key, r.expression(_variable)))}


def _headers(r: Reader, node: Node, what: str) -> dict[str, str]:
    headers = _texts(r, node, what)
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            r.note(node, "bad-header", f"{quoted(name)} is not the name of a header")
        elif not value.isascii():
            r.note(node, "bad-header", f"a header cannot carry what {quoted(name)} says", help="write it in ASCII")
        elif _SECRET.search(name):
            r.note(node, "secret-header", f"{quoted(name)} holds a secret, as a rule", help="use `auth`")
    return headers


def _params(r: Reader, node: Node, what: str) -> dict[str, str]:
    params = _texts(r, node, what)
    for name in params:
        if name in _OURS:
            r.note(node, "bad-param", f"{quoted(name)} is set by what is asked", help="leave it out")
        elif _SECRET.search(name):
            r.note(node, "secret-param", f"{quoted(name)} holds a secret, as a rule", help="use `auth`")
    return params


def _texts(r: Reader, node: Node, what: str) -> dict[str, str]:
    entries = r.entries(node, what) or {}
    return {name: text for name, (_, value) in entries.items() if (text := r.name(value, f"`{name}`")) is not None}


def _labels(r: Reader, node: Node, what: str) -> dict[str, str]:
    labels = _texts(r, node, what)
    for name in labels:
        if not _VARIABLE.fullmatch(name) or name in {*OF_A_RUN, *DURATIONS, "select"}:
            r.note(node, "bad-label", f"{quoted(name)} cannot be a name in expressions", help="such as `cluster`")
    return labels


def _select(r: Reader, labels: tuple[str, ...], node: Node, what: str) -> str | None:
    return _expression(r, labels, node, what, macro=False)


def _expression(r: Reader, labels: tuple[str, ...], node: Node, what: str, *, macro: bool) -> str | None:
    if (text := r.name(node, what)) is not None:
        _checked(r, node, text, (*OF_A_RUN, *labels), macro=macro)
    return text


def _checked(r: Reader, node: Node, text: str, known: list[str] | tuple[str, ...], *, macro: bool) -> None:
    of_labels = [name for name in re.findall(r"\$(label_\w+)", text) if name.startswith(_LABEL)]
    try:
        check(text, [*known, *of_labels], macro=macro)
    except ExpressionError as error:
        r.note_expression(node, error)


def _saturations(r: Reader, read: Callable[[Node, str], str | None], node: Node, what: str) -> list[Saturation]:
    found: list[Saturation] = []
    for item in r.items(node, what) or ():
        fields = r.table(item, f"an item of {what}", required=("name", "used", "limit"), optional=("at", "generator"))
        if fields is None:
            continue
        name, used = optional(fields, "name", r.name), optional(fields, "used", read)
        limit = optional(fields, "limit", partial(_limit, r, read))
        at = optional(fields, "at", r.expression(partial(parse_quantity, unit="ratio")))
        generator = optional(fields, "generator", r.boolean) or False
        if name and used and limit:
            if name in {one.name for one in found}:
                r.note(fields["name"], "duplicate-name", f"{quoted(name)} is already there", help="name each apart")
            found.append(Saturation(name, used, limit, Saturation.at if at is None else at, generator))
    return found


def _limit(r: Reader, read: Callable[[Node, str], str | None], node: Node, what: str) -> str | None:
    """A number, an amount of data as bytes, or an expression."""
    if isinstance(node, Leaf) and node.kind == "text" and _AMOUNT.fullmatch(node.text):
        amount = r.expression(partial(parse_quantity, unit="B"))(node, what)
        return None if amount is None else repr(amount)
    return read(node, what)


def _collected(r: Reader, read: Callable[[Node, str], str | None], node: Node, what: str) -> dict[str, str]:
    entries = r.entries(node, what) or {}
    return {name: text for name, (_, value) in entries.items() if (text := read(value, f"`{name}`")) is not None}


def _length(r: Reader, most: float, node: Node, what: str) -> float | None:
    length = r.expression(parse_duration)(node, what)
    if length is not None and length > most:
        r.note(node, "bad-value", f"{what} is at most {most:g} s")
    return length


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):  # not repeated: it may be the secret itself
        raise ExpressionError(
            "bad-variable", "this is not the name of an environment variable", (0, len(text)),
            help="secrets stay out of slo.yaml: put it in a variable, and write its name",
        )  # fmt: skip
    return text


def _metric(text: str) -> str:
    if not _METRIC.fullmatch(text):
        raise ExpressionError(
            "bad-metric", f"{quoted(text)} is not the name of a histogram", (0, len(text)),
            help="without `_bucket`, such as `http_request_duration_seconds`",
        )  # fmt: skip
    return text.removesuffix("_bucket")


def _url(text: str) -> str:
    wrong = ExpressionError(
        "bad-url", "this is not an address", (0, len(text)), help="write `http://prometheus.example:9090`"
    )
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")
    except ValueError:  # brackets that do not close, a port that is none, a name that nobody can have
        raise wrong from None
    if not usable or re.search(r"\s", text):
        raise wrong
    if parts.username is not None or parts.query or parts.fragment:
        raise ExpressionError(
            "secret-in-url", "an address has no user, query or fragment, where secrets travel", (0, len(text)),
            help="use `auth: {username_env: NAME, password_env: NAME}`, and `params` for what is added to queries",
        )  # fmt: skip
    return text.rstrip("/")
