"""What became of messages about changes, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from reports.layout import GLYPHS, STYLES, one_line, paragraph, table
from slo import numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from slo.telling import Notice, NoticeState, Tried

_STATES: dict[NoticeState, tuple[str, str]] = {
    "pending": ("warn", "WAITS"), "delivered": ("pass", "DELIVERED"), "given_up": ("fail", "GIVEN UP"),
}  # fmt: skip


def notices(found: Sequence[Notice]) -> RenderableType:
    """Messages with who they are to, how often that was tried, and why it failed last."""
    if not found:
        return Text("Nobody was told of anything yet. `notify` in slo.yaml names who is (docs/notifications.md).")
    return Group(*(line for one in found for line in _notice(one)))


def _notice(one: Notice) -> Iterator[Text]:
    like, word = _STATES[one.state]
    yield Text.assemble((f"{GLYPHS[like]} {word}", STYLES[like]), f"  {one_line(one.title)}")
    tries = f", {numbers.things(one.attempts, 'attempt')}" if one.attempts else ""
    told = f"to {one.receiver}, written {numbers.timestamp(one.created_at)}{tries}"
    told += f": {one.last_error}" if one.last_error else ""
    told += f"; next attempt {numbers.timestamp(one.next_attempt_at)}" if one.next_attempt_at else ""
    yield paragraph(told)


def tried(found: Sequence[Tried]) -> RenderableType:
    """What became of a test message, receiver by receiver."""
    rows = ((GLYPHS["fail" if one.problem else "pass"], one.receiver, one.problem or "was told") for one in found)
    return table("|receiver|answer", rows)
