"""Reads ``notify`` of a slo.yaml: who is told when a state changes.

Addresses of chats and mail servers hold tokens and passwords, so the file names the variable that holds one. The
address of a webhook is no secret: what makes it believed is its signature, made with a secret from a variable, too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import get_args
from urllib.parse import urlsplit

from slo.plan import ChangeKind, Phase, Receiver
from slo.reader import Read, Reader, optional, suggestion
from slo.source import ExpressionError, quoted
from slo.tree import Items, Node

_SECRET_PATHS = re.compile(r"hooks\.slack\.com|(ptb\.|canary\.)?discord(app)?\.com|.+\.webhook\.office\.com|"
                           r".+\.logic\.azure\.com|api\.telegram\.org|chat\.googleapis\.com")  # fmt: skip
"""Hosts whose addresses are secrets themselves."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ADDRESSES = ("url_env", "webhook")
_KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)


def read_receivers(
    r: Reader, services: Collection[str] | None, phases: Sequence[Phase], node: Node, _what: str
) -> tuple[Receiver, ...]:
    """Read all receivers; ``services`` are those declared (``None``: those of objectives), ``phases`` all there are."""
    asked = {o.service for phase in phases for o in phase.objectives if o.service}
    known = {"services": services if services is not None else asked, "phases": [phase.id for phase in phases]}
    receivers: list[Receiver] = []
    for item in r.items(node, "`notify`") or ():
        receiver = _receiver(r, known, item)
        if receiver is None:
            continue
        signed = {one.secret_env for one in receivers if one.webhook == receiver.webhook and one.webhook}
        if signed - {receiver.secret_env}:
            message = f"the webhook {quoted(receiver.name)} has another secret above"
            r.note(item, "duplicate-webhook", message, help="give each address one `secret_env`")
        receivers.append(receiver)
    return tuple(receivers)


def _receiver(r: Reader, known: dict[str, Collection[str]], node: Node) -> Receiver | None:
    more = ("secret_env", "on", "services", "phases", "branches")
    fields = r.table(node, "an item of `notify`", optional=(*_ADDRESSES, *more))
    if fields is None:
        return None
    if sum(name in fields for name in _ADDRESSES) != 1:
        help = "`url_env: NAME` of the variable with an apprise URL, or `webhook: https://...` with `secret_env: NAME`"
        r.note(node, "no-address", "an item of `notify` has one of `url_env` and `webhook`", help=help)
        return None
    if ("secret_env" in fields) != ("webhook" in fields):
        r.note(node, "no-secret", "a webhook, and nothing else, has a `secret_env`", help="it signs what is sent there")
    on = optional(fields, "on", r.each(r.expression(_kind)))
    if isinstance(listed := fields.get("on"), Items) and not listed.nodes:
        r.note(listed, "empty", "`on` is empty: nothing would be told", help=f"some of {', '.join(_KINDS)}")
    return Receiver(
        url_env=optional(fields, "url_env", r.expression(_variable)),
        webhook=optional(fields, "webhook", r.expression(_webhook)),
        secret_env=optional(fields, "secret_env", r.expression(_variable)),
        on=tuple(dict.fromkeys(kind for kind, _ in on or ())) or _KINDS,  # type: ignore[misc]  # mypy widens it
        services=_values(optional(fields, "services", r.each(_known(r, "service", known["services"])))),
        phases=_values(optional(fields, "phases", r.each(_known(r, "phase", known["phases"])))),
        branches=_values(optional(fields, "branches", r.each(r.name))),
    )


def _values(found: list[tuple[str, Node]] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value, _ in found or ()))


def _known(r: Reader, what: str, names: Collection[str]) -> Read[str]:
    def read(node: Node, label: str) -> str | None:
        name = r.name(node, label)
        if name is not None and name not in names:
            r.note(
                node, f"unknown-{what}", f"there is no {what} {quoted(name)}", help=suggestion(name, names, f"{what}s")
            )
        return name

    return read


def _kind(text: str) -> ChangeKind:
    for kind in _KINDS:
        if text == kind:
            return kind
    raise ExpressionError("bad-value", f"{quoted(text)} is no kind of change", (0, len(text)), help=", ".join(_KINDS))


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):  # not repeated: it may be the secret itself
        raise ExpressionError(
            "bad-variable", "this is not the name of an environment variable", (0, len(text)),
            help="addresses and secrets stay out of slo.yaml: put it in a variable, and write its name",
        )  # fmt: skip
    return text


def _webhook(text: str) -> str:
    wrong = ExpressionError("bad-webhook", "this is not an address", (0, len(text)), help="write `https://HOST/PATH`")
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not close, or a port that is none
        raise wrong from None
    if not usable or re.search(r"\s", text):
        raise wrong
    if parts.username is not None or parts.query or parts.fragment:
        raise ExpressionError(
            "secret-in-webhook", "a webhook has no user, query or fragment, where secrets travel", (0, len(text)),
            help="its signature says who sends it: `secret_env`",
        )  # fmt: skip
    if _SECRET_PATHS.fullmatch(parts.hostname or ""):
        raise ExpressionError(
            "secret-in-webhook", "whoever knows this address may write there", (0, len(text)),
            help="put it in a variable as an apprise URL, and write its name: `url_env`",
        )  # fmt: skip
    return text
