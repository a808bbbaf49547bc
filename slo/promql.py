"""PromQL with names in it that a run gives values to: ``up{service="$service"}``, ``rate(x[$window])``.

What comes from a run is only ever put inside a string, with what would end it escaped, and in a matcher of regular
expressions taken literally: no label of an upload becomes PromQL. Outside of strings stand only lengths of time, which
we write ourselves, and ``$select``, which slo.yaml says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from slo.source import ExpressionError, quoted

DURATIONS = ("window", "step")
"""Names that stand where PromQL wants a length of time: how long the run lasted, and the step of the question."""
SELECT = "select"
_PART = re.compile(
    r"""(?P<before>(?:[=!]~(?:\s|\#[^\n]*\n)*)?)(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|(?P<raw>`[^`]*`)|(?P<comment>\#[^\n]*)|(?P<open>["'`])|\$(?P<name>[A-Za-z_]\w*)""",
    re.DOTALL,
)
_NAME = re.compile(r"\$([A-Za-z_]\w*)")
_ESCAPED_NAME = re.compile(r"(?<!\\)(?:\\\\)*\\\$")
_PLAIN = re.compile(r"\s*[A-Za-z_:][\w:]*\s*(\{[^{}]*\})?\s*|\s*\{[^{}]*\}\s*")
_SUM = re.compile(r"(sum(?:\s*(?:by|without)\s*\([^()]*\))?)\s*\((.*)\)", re.DOTALL)
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")
_ESCAPED = {"\\": r"\\", '"': r"\x22", "'": r"\x27", "\n": r"\n"}
"""A quote by its number: with a backslash it may stand in its own kind of string only."""


def check(text: str, known: Collection[str], *, macro: bool = True) -> str:
    """The expression, if its names are known and stand where they may; ``macro``: ``$select`` may.

    Raises:
        ExpressionError: they do not, or a string does not end.
    """
    for part in _PART.finditer(text):
        if part["open"]:
            raise _wrong("open-string", "this string does not end", part, help=f"add the closing {part['open']}")
        if part["raw"]:
            if found := _NAME.search(part["raw"]):
                raise _wrong("raw-name", f"${found[1]} cannot stand between backticks", part, help='use "quotes"')
        elif part["string"]:
            if _ESCAPED_NAME.search(part["string"]):
                raise _wrong("escaped-name", "PromQL knows no escape of $", part, help="leave the backslash out")
            for found in _NAME.finditer(part["string"]):
                _check_known(found[1], [*known, *DURATIONS], part)
        elif name := part["name"]:
            _check_known(name, [*known, *DURATIONS, *([SELECT] if macro else [])], part)
            if name not in DURATIONS and name != SELECT:
                help = f'write it inside a string, as in {{service="${name}"}}'
                raise _wrong("bare-name", f"${name} stands outside of a string", part, help=help)
    return text


def expanded(text: str, select: str) -> str:
    """The expression with ``$select`` replaced by the matchers that slo.yaml says."""
    return _PART.sub(lambda part: select if part["name"] == SELECT else part[0], text)


def filled(text: str, value_of: Callable[[str], str], durations: Mapping[str, str]) -> str:
    """The expression with its names replaced; ``value_of`` may raise for a name that the run gives no value to."""

    def of_string(part: re.Match[str]) -> str:
        literal = bool(part["before"])

        def one(found: re.Match[str]) -> str:
            if (length := durations.get(found[1])) is not None:
                return length
            value = value_of(found[1])
            return "".join(_escaped(c) for c in (_SPECIAL.sub(r"\\\1", value) if literal else value))

        return part["before"] + _NAME.sub(one, part["string"])

    def put(part: re.Match[str]) -> str:
        if part["string"]:
            return of_string(part)
        return durations[part["name"]] if part["name"] else part[0]

    return _PART.sub(put, text)


def names_in(text: str) -> set[str]:
    """The names that stand in an expression."""
    found = {part["name"] for part in _PART.finditer(text) if part["name"]}
    return found | {name for part in _PART.finditer(text) if part["string"] for name in _NAME.findall(part["string"])}


def counter_in(text: str) -> tuple[str, str]:
    """What stands around a counter, ``sum by (code)`` or nothing, and the counter's selector.

    Raises:
        ExpressionError: it is something else. What it grew by could not be told: a sum goes down when a target leaves.
    """
    text = uncommented(text)
    around = _SUM.fullmatch(text)
    before, inner = (around[1].strip(), around[2].strip()) if around else ("", text)
    if not _PLAIN.fullmatch(_PART.sub(lambda part: "" if part["string"] or part["raw"] else part[0], inner)):
        raise ExpressionError(
            "not-a-counter", "what `increase` is asked of is no counter", (0, len(text)),
            help='write its selector, `requests_total{code="500"}`, or `sum(...)` or `sum by (...) (...)` of one; for '
            "anything else `last` of `increase(...[$window])`",
        )  # fmt: skip
    return before, inner


def increase(text: str, window: str) -> str:
    """What a counter grew by over ``window``; Prometheus itself sees to counters that begin anew."""
    before, inner = counter_in(text)
    return f"{before} (increase({inner}[{window}]))" if before else f"increase({inner}[{window}])"


def uncommented(text: str) -> str:
    """The expression without its comments, so that something may stand behind it."""
    return _PART.sub(lambda part: "" if part["comment"] else part[0], text).strip()


def _check_known(name: str, known: Collection[str], part: re.Match[str]) -> None:
    if name not in known:
        listed = ", ".join(f"${one}" for one in known)
        raise _wrong("unknown-name", f"{quoted(f'${name}')} is unknown here", part, help=f"there are {listed}")


def _wrong(code: str, message: str, part: re.Match[str], *, help: str) -> ExpressionError:
    return ExpressionError(code, message, (part.start(), part.end() - part.start()), help=help)


def _escaped(c: str) -> str:
    if c in _ESCAPED:
        return _ESCAPED[c]
    return c if c.isprintable() else f"\\U{ord(c):08x}"
