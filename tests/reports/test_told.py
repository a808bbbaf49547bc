"""What became of messages, as a terminal shows it."""

from datetime import timedelta

from rich.console import Console, RenderableType

from reports.told import notices, tried
from slo.telling import Notice, Tried
from tests.builders import START


def shown(rendered: RenderableType) -> list[str]:
    console = Console(width=100, highlight=False)
    with console.capture() as captured:
        console.print(rendered)
    return [line.rstrip().replace("\N{NO-BREAK SPACE}", " ") for line in captured.get().splitlines()]


def test_a_message_is_shown_with_what_became_of_it() -> None:
    soon = START + timedelta(minutes=5)
    found = [
        Notice("1", "CHAT", "Phase 7A: event fails", "pending", 2, START, soon, "HTTP 500"),
        Notice("2", "CHAT", "Phase 7A: plan fails", "given_up", 6, START, None, "no answer in 10 s"),
        Notice("3", "https://ci.example/hook", "Phase 7A:\nchat recovered", "delivered", 1, START),
        Notice("4", "CHAT", "Phase 7A: auth fails", "pending", 0, START, START),
    ]
    assert shown(notices(found)) == [
        "! WAITS  Phase 7A: event fails",
        "  to CHAT, written 2026-11-20 08:00 UTC, 2 attempts: HTTP 500; next attempt 2026-11-20 08:05 UTC",
        "✕ GIVEN UP  Phase 7A: plan fails",
        "  to CHAT, written 2026-11-20 08:00 UTC, 6 attempts: no answer in 10 s",
        "✓ DELIVERED  Phase 7A: chat recovered",
        "  to https://ci.example/hook, written 2026-11-20 08:00 UTC, 1 attempt",
        "! WAITS  Phase 7A: auth fails",
        "  to CHAT, written 2026-11-20 08:00 UTC; next attempt 2026-11-20 08:00 UTC",
    ]
    assert shown(notices([]))[0].startswith("Nobody was told of anything yet.")


def test_a_test_message_is_shown_receiver_by_receiver() -> None:
    lines = shown(tried([Tried("CHAT", "CHAT is not set"), Tried("https://ci.example/hook")]))
    assert [line.split()[0] for line in lines[1:]] == ["✕", "✓"]
    assert lines[1].endswith("CHAT is not set")
    assert lines[2].endswith("was told")
