"""Entry criteria: arithmetic over facts, read and checked, never executed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.facts import Fact
from slo.criterion import Criterion
from slo.source import ExpressionError

KNOWN: dict[str, Fact] = {
    "pending_migrations": 0.0, "pool_size": 50.0, "services": 8.0, "max_connections": 100.0, "tests.failed": 0.0,
    "migrated": True, "database": "15.2",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "state", "reason"),
    [
        ("pending_migrations == 0", "met", "0 == 0"),
        ("tests.failed == 0", "met", "0 == 0"),
        ("services * pool_size <= max_connections", "missed",
         "400 <= 100 does not hold (services = 8, pool_size = 50, max_connections = 100)"),
        ("services * 15 <= max_connections", "missed",
         "120 <= 100 does not hold (services = 8, max_connections = 100)"),
        ("services * 12 <= max_connections - 3", "met", "96 <= 97 (services = 8, max_connections = 100)"),
        ("-services < +pool_size / 2", "met", "-8 < 25 (services = 8, pool_size = 50)"),
        ("migrated == true", "met", "true == true"),
        ("migrated != true", "missed", "true != true does not hold"),
        ("database == '15.2'", "met", '"15.2" == "15.2"'),
        ("database == 15.2", "not_evaluable", '"15.2" and 15.2 are not of one kind: database = "15.2"'),
        ("database >= '15'", "not_evaluable", '"15.2" is not a number: database = "15.2"'),
        ("database * 2 > 3", "not_evaluable", '"15.2" is not a number: database = "15.2"'),
        ("migrated >= 1", "not_evaluable", "true and 1 are not of one kind: migrated = true"),
        ("services / pending_migrations > 1", "not_evaluable",
         "it cannot be computed (float division by zero): services = 8, pending_migrations = 0"),
        ("services / 1e-999 > 1", "not_evaluable", "it cannot be computed (float division by zero): services = 8"),
        ("services * 1e308 * 10 >= 5", "not_evaluable", "it comes to no finite number: services = 8"),
        ("seeded_users >= 10000", "no_data", "seeded_users not known"),
        ("services * workers <= slots", "no_data", "workers and slots not known"),
    ],
)  # fmt: skip
def test_a_criterion_says_whether_it_holds_and_by_what(text: str, state: str, reason: str) -> None:
    answer = Criterion.parse(text).judge(KNOWN)
    assert (answer.state, answer.reason) == (state, reason)


def test_without_its_facts_it_names_them() -> None:
    criterion = Criterion.parse("a.b * a.b + c <= d")
    assert criterion.names == ("a.b", "c", "d")
    assert criterion.judge({"c": 1.0}).missing == ("a.b", "d")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", (0, 1)), ("services", (0, 8)), ("1 < services < 9", (0, 16)), ("a == 1; b", (6, 1)), ("a == ", (4, 1)),
        ("a in b", (0, 6)), ("a ** 9 > 1", (0, 6)), ("__import__('os').system('x') == 0", (0, 28)),
        ("a[0] == 1", (0, 4)),
        ("(lambda: 1)() == 1", (0, 13)), ("'a'.b == 1", (0, 5)), ("ä.x() == 1", (0, 5)), ("a == True", (5, 4)),
        ("a == 1j", (5, 2)), ("f'{a}' == 'b'", (0, 6)), ("a if b else c", (0, 13)), ("~a == 1", (0, 2)),
        ("(" * 220 + "a" + ")" * 220 + " == 1", None), ("a" * 600 + " == 1", None), ("a == b\0", None),
    ],
)  # fmt: skip
def test_nothing_else_is_let_through(text: str, place: tuple[int, int] | None) -> None:
    with pytest.raises(ExpressionError) as error:
        Criterion.parse(text)
    assert error.value.code == "bad-entry"
    if place is not None:
        assert (error.value.offset, error.value.length) == place


@given(st.text(max_size=40))
def test_any_text_is_a_criterion_or_refused(text: str) -> None:
    try:
        criterion = Criterion.parse(text)
    except ExpressionError:
        return
    assert criterion.judge({}).state in {"no_data", "met", "missed", "not_evaluable"}


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_arithmetic_is_that_of_numbers(a: float, b: float) -> None:
    facts: dict[str, Fact] = {"a": a, "b": b}
    assert (Criterion.parse("a * 2 - b < b + 1").judge(facts).state == "met") == (a * 2 - b < b + 1)
