"""k6's selectors: ``metric`` or ``metric{tag:value, tag:value}``, read the way k6 reads threshold names.

k6 (``metrics.ParseMetricName`` and ``Metric.AddSubmetric``) takes what stands between the first ``{`` and the last
``}``, splits it on each ``,`` and every part on its first ``:``, and strips blanks, then quotes. All tags must match.
So ``group:::checkout::pay`` is the tag ``group`` with the value ``::checkout::pay``, and a value cannot hold a comma.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from slo.source import ExpressionError, quoted

_METRIC = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_QUOTES = "\"'"


class SelectorError(ExpressionError):
    """Not a selector that k6 would accept, or one that can never match."""


@dataclass(frozen=True)
class Selector:
    """A metric, and the tags its samples must have, sorted by key; ``str()`` is the canonical text."""

    metric: str
    tags: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Read a selector; raises `SelectorError`."""
        name, brace, inner = text.partition("{")
        _check_metric(text, name)
        if not brace:
            return cls(name.strip())
        closing = text.rfind("}")
        if closing < len(name):
            raise _error("the `{` is never closed", len(name), 1, help="end the selector with `}`")
        if text[closing + 1 :].strip():
            raise _error("nothing may follow the `}`", closing + 1, len(text) - closing - 1)
        return cls(name.strip(), _tags(inner[: closing - len(name) - 1], len(name) + 1))

    def __str__(self) -> str:
        if not self.tags:
            return self.metric
        return f"{self.metric}{{{', '.join(f'{_plain(key)}:{_plain(value)}' for key, value in self.tags)}}}"


def _error(message: str, offset: int, length: int, *, help: str | None = None) -> SelectorError:
    return SelectorError("bad-selector", message, (offset, max(length, 1)), help=help)


def _check_metric(text: str, name: str) -> None:
    metric = name.strip()
    if _METRIC.fullmatch(metric):
        return
    offset = len(name) - len(name.lstrip())
    if not metric:
        raise _error(
            "a selector starts with the name of a metric", 0, len(text), help="write `http_req_duration{name:/search}`"
        )
    raise _error(
        f"{quoted(metric)} is not the name of a metric",
        offset,
        len(metric),
        help="k6 names its metrics with letters, digits and `_`, at most 128 of them",
    )


def _tags(inner: str, offset: int) -> tuple[tuple[str, str], ...]:
    """Read what stands between the braces, which begins at ``offset``."""
    tags: dict[str, str] = {}
    for part in inner.split(","):
        key, value = _tag(part, offset)
        if tags.setdefault(key, value) != value:
            raise _error(
                f"the tag {quoted(key)} cannot have two values",
                offset,
                len(part),
                help="all tags must match; make one objective for each value",
            )
        offset += len(part) + 1
    return tuple(sorted(tags.items()))


def _tag(part: str, offset: int) -> tuple[str, str]:
    """Read one ``tag:value``, which begins at ``offset``."""
    if not part.strip():
        raise _error("a tag is missing here", offset, len(part), help="write `{tag:value, tag:value}`")
    start = offset + len(part) - len(part.lstrip())
    key, colon, value = part.partition(":")
    if not colon:
        raise _error(f"{quoted(part.strip())} has no value", start, len(part.strip()), help="write `tag:value`")
    if not _stripped(key):
        raise _error("this tag has no name", start, len(part.strip()), help="write `tag:value`")
    if not value.strip():
        raise _error(
            f"the tag {quoted(_stripped(key))} has no value",
            start,
            len(part.strip()),
            help='write `tag:""` for samples where it is empty',
        )
    return _stripped(key), _stripped(value)


def _stripped(text: str) -> str:
    return text.strip().strip(_QUOTES)


def _plain(text: str) -> str:
    """Quote what reading would otherwise strip."""
    return text if text and text == text.strip() else f'"{text}"'
