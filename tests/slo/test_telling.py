"""What is told: changes of state alone, together, worst first, in words that a tired reader takes in at once."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as some

from slo.documents import from_json, to_json
from slo.model import VerdictState
from slo.plan import Baseline, ChangeKind, Receiver
from slo.telling import (
    Change,
    Message,
    Standing,
    Subject,
    changes,
    heard,
    kind_of,
    link_to,
    literal,
    tells,
    text,
    title,
)
from tests.builders import START

STATES: tuple[VerdictState, ...] = get_args(VerdictState)
MAIN = Baseline()


def subject(service: str | None = "event", phase: str = "7A", branch: str | None = "main") -> Subject:
    return Subject(phase, service, environment="staging", test="nightly", branch=branch)


def standing(now: VerdictState = "fail", service: str = "event", branch: str | None = "main") -> Standing:
    return Standing(
        subject(service, branch=branch), now, f"{service} is slow", f"look at {service}", run="89bb4ac1100c"
    )


def change(
    before: VerdictState | None = "pass", now: VerdictState = "fail", service: str = "event", reason: str = "as it is"
) -> Change:
    found = [replace(standing(now, service), reason=reason)]
    (one,) = changes(found, {subject(service).key: before} if before else {})
    return one


def message(*told: Change, link: str | None = None) -> Message:
    return Message(1, "m1", START, "gate" if told and told[0].gate else "services", told, link)


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        (None, "pass", None),
        (None, "warn", "warn"),
        (None, "fail", "fail"),
        (None, "inconclusive", "inconclusive"),
        ("pass", "warn", "warn"),
        ("pass", "fail", "fail"),
        ("pass", "inconclusive", "inconclusive"),
        ("warn", "pass", "warn"),
        ("warn", "fail", "fail"),
        ("warn", "inconclusive", "inconclusive"),
        ("fail", "pass", "recovered"),
        ("fail", "warn", "recovered"),
        ("fail", "inconclusive", "inconclusive"),
        ("inconclusive", "pass", "recovered"),
        ("inconclusive", "warn", "recovered"),
        ("inconclusive", "fail", "fail"),
    ],
)
def test_a_change_is_told_by_what_it_comes_to(
    before: VerdictState | None, now: VerdictState, kind: ChangeKind | None
) -> None:
    assert kind_of(before, now) == kind


@pytest.mark.parametrize("state", STATES)
def test_the_same_state_again_is_never_told(state: VerdictState) -> None:
    assert kind_of(state, state) is None
    assert changes([standing(state)], {subject().key: state}) == ()


@given(some.lists(some.sampled_from(STATES), max_size=12))
def test_who_follows_what_is_told_knows_the_state(nights: list[VerdictState]) -> None:
    told: dict[str, VerdictState] = {}
    known: VerdictState = "pass"  # what nobody has heard of is in order
    for night in nights:
        for one in changes([standing(night)], told):
            known = one.now
        told[subject().key] = night
        assert known == night


def test_changes_come_worst_first_and_those_of_one_kind_by_name() -> None:
    now: dict[str, VerdictState] = {
        "d": "pass",
        "c": "warn",
        "b": "inconclusive",
        "z": "fail",
        "a": "fail",
        "e": "pass",
    }
    before: dict[str, VerdictState] = {"d": "fail", "c": "pass", "e": "pass"}
    found = changes(
        [standing(state, name) for name, state in now.items()],
        {subject(name).key: state for name, state in before.items()},
    )
    assert [(one.subject.name, one.kind, one.before) for one in found] == [
        ("a", "fail", None), ("z", "fail", None), ("b", "inconclusive", None), ("c", "warn", "pass"),
        ("d", "recovered", "fail"),
    ]  # fmt: skip


def test_every_part_of_a_subject_tells_it_from_others() -> None:
    fields = ("phase", "service", "version", "environment", "test", "branch")
    blank = Subject("P")
    others = [replace(blank, **{name: "x"}) for name in fields]
    assert len({one.key for one in [blank, *others]}) == len(fields) + 1
    assert Subject("P", service='a", "b') != Subject("P", service="a", version="b")


@pytest.mark.parametrize(
    ("receiver", "about", "told"),
    [
        (Receiver("A"), subject(), True),
        (Receiver("A"), subject(branch=None), True),
        (Receiver("A"), subject(branch="feature"), False),
        (Receiver("A", branches=("feature",)), subject(branch="feature"), True),
        (Receiver("A", branches=("feature",)), subject(), False),
        (Receiver("A", services=("event",)), subject(), True),
        (Receiver("A", services=("plan",)), subject(), False),
        (Receiver("A", phases=("7A",)), subject(), True),
        (Receiver("A", phases=("1",)), subject(), False),
        (Receiver("A", branches=("feature",)), Subject("7A", version="2.0"), True),
        (Receiver("A", phases=("1",)), Subject("7A", version="2.0"), False),
        (Receiver("A", services=("event",)), Subject("7A", version="2.0"), False),
    ],
)
def test_a_receiver_hears_of_what_it_chose(receiver: Receiver, about: Subject, *, told: bool) -> None:
    assert tells(receiver, about, MAIN) is told


def test_a_receiver_hears_the_kinds_that_it_chose_together_and_once() -> None:
    found = [change("pass", "fail", "event"), change("pass", "warn", "plan"), change("fail", "pass", "auth")]
    receivers = [
        Receiver("ALL"),
        Receiver("BAD", on=("fail",)),
        Receiver("BAD", on=("fail", "warn"), services=("plan", "event")),
        Receiver("NONE", on=("inconclusive",)),
    ]
    told = heard(receivers, found, MAIN)
    assert {name: [one.subject.name for one in ones] for name, ones in told.items()} == {
        "ALL": ["event", "plan", "auth"], "BAD": ["event", "plan"],
    }  # fmt: skip


def test_a_message_reads_well_at_eight_in_the_morning() -> None:
    found = (
        change("pass", "fail", "event", reason="http_req_duration p(95) = 400 ms, target < 250 ms"),
        change(None, "inconclusive", "plan", reason="setup failed"),
        change("pass", "warn", "chat", reason="p(95) got worse"),
        change("fail", "pass", "auth"),
    )
    told = message(*found, link="https://pg.example/run?run=89bb4ac1100c&phase=7A")
    assert title(told) == "Phase 7A: event fails; plan cannot be judged; chat warns; auth recovered"
    assert text(told).splitlines() == [
        "FAIL  event (was pass)",
        "  http_req_duration p(95) = 400 ms, target < 250 ms",
        "  next: look at event",
        "",
        "INCONCLUSIVE  plan",
        "  setup failed",
        "  next: look at plan",
        "",
        "WARN  chat (was pass): p(95) got worse",
        "",
        "PASS  auth (was fail)",
        "",
        "run 89bb4ac1100c, test nightly, branch main, environment staging, 2026-11-20 08:00 UTC",
        "https://pg.example/run?run=89bb4ac1100c&phase=7A",
    ]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("pass", "Phase 7A: 2.0 may enter"),
        ("warn", "Phase 7A: 2.0 may enter, with a warning"),
        ("fail", "Phase 7A: 2.0 may not enter"),
        ("inconclusive", "Phase 7A: it cannot be told whether 2.0 may enter"),
    ],
)
def test_a_gate_is_told_as_what_it_means(now: VerdictState, said: str) -> None:
    gate = Standing(Subject("7A", version="2.0", environment="staging"), now, "event is slow", gate="abc123")
    before: VerdictState = "fail" if now != "fail" else "pass"
    (one,) = changes([gate], {gate.subject.key: before})
    assert title(message(one)) == said
    assert "decision abc123, environment staging" in text(message(one))


def test_a_title_names_three_and_counts_the_rest() -> None:
    found = [change(service=name) for name in "abcde"] + [change("warn", "pass", "f")]
    assert title(message(*found)) == "Phase 7A: a, b, c, 2 more fail; f warns no more"


def test_a_test_message_says_that_it_is_one() -> None:
    told = Message(1, "m1", START, "test", ())
    assert (title(told), text(told)[:14]) == ("Phasegate can reach you", "This is a test")


def test_a_text_stays_short_whatever_changed() -> None:
    found = [change(service=f"service-{n:02}-{'x' * 300}", reason="why " * 200) for n in range(40)]
    said = text(message(*found))
    assert len(said) <= 1800
    assert "more changes" in said
    assert said.count("FAIL") >= 2


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("@everyone look", "@\u200beveryone look"),
        ("[click](http://evil)", "[click]\u200b(http://evil)"),
        ("<!channel> <@U123>", "<\u200b!channel> <\u200b@\u200bU123>"),
        ("a\nFAIL  b\x1b[2J\u202e", "a FAIL b [2J"),
        ("p(95) < 250 ms", "p(95) < 250 ms"),
        ("http_req_duration{name:/event/search}", "http_req_duration{name:/event/search}"),
        ("x" * 500, "x" * 239 + "…"),
    ],
)
def test_words_from_outside_are_nothing_but_words(words: str, shown: str) -> None:
    assert literal(words) == shown


@given(some.text(), some.text())
def test_no_name_adds_a_line_to_a_message(name: str, reason: str) -> None:
    one = replace(change(), subject=replace(subject(), service=name or "a", test=name, branch=name), reason=reason)
    plain = message(change())
    assert len(text(message(one)).splitlines()) <= len(text(plain).splitlines())
    assert "\n" not in title(message(one))


def test_a_link_leads_to_the_run_or_to_the_phase_of_the_gate() -> None:
    gate = Standing(Subject("7A", version="2.0", environment="a&b"), "fail", "", gate="abc")
    assert link_to("https://pg.example", standing()) == "https://pg.example/run?run=89bb4ac1100c&phase=7A"
    assert link_to("https://pg.example", gate) == "https://pg.example/?phase=7A&env=a%26b"
    assert link_to(None, standing()) is None


def test_a_message_is_the_same_after_it_was_kept() -> None:
    for before, now in product((None, *STATES), STATES):
        if kind_of(before, now):
            told = message(change(before, now), link="https://pg.example/")
            assert from_json(Message, to_json(told)) == told
