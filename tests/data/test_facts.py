"""Facts as they are written in pairs and in JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import BadRequest
from data.facts import MOST_FACTS, Facts, facts_in, facts_of, pairs_of, said, together


def test_pairs_are_typed_by_how_they_look() -> None:
    found = facts_of(["seeded_users=10000", "load = 1.5e2", "migrated=true", "db=15.2-alpine", "build='007'", "a.b=-1"])
    assert found == {
        "seeded_users": 10000.0, "load": 150.0, "migrated": True, "db": "15.2-alpine", "build": "007", "a.b": -1.0,
    }  # fmt: skip
    assert [said(fact) for fact in found.values()] == ["10000", "150", "true", '"15.2-alpine"', '"007"', "-1"]


def test_json_objects_give_names_with_dots() -> None:
    text = '{"tests": {"failed": 0, "suite": {"flaky": 2}}, "migrated": false, "db": "15"}'
    assert facts_in(text) == {"tests.failed": 0.0, "tests.suite.flaky": 2.0, "migrated": False, "db": "15"}


@pytest.mark.parametrize(
    "pair", ["seeded", "seeded=", "=1", "a b=1", "1a=1", "a..b=1", "a=" + "x" * 501, "a\nb=1", "__=\0" * 300]
)
def test_a_pair_that_is_no_fact_is_refused(pair: str) -> None:
    with pytest.raises(BadRequest):
        facts_of([pair])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "{",
        '{"a": null}',
        '{"a": [1]}',
        '{"a": NaN}',
        '{"a": 1e999}',
        "[" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
    ],
)
def test_json_that_holds_no_facts_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        facts_in(text)


def test_a_fact_is_said_once_and_there_are_not_too_many() -> None:
    assert facts_of(["a=1", "a=1.0"]) == {"a": 1.0}
    with pytest.raises(BadRequest, match="said twice: 1 and 2"):
        facts_of(["a=1", "a=2"])
    with pytest.raises(BadRequest, match="more than"):
        facts_of([f"a{i}=1" for i in range(MOST_FACTS + 1)])


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}(\.[a-z]{1,3})?", fullmatch=True),
        st.booleans()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text("abc 1.'\"=", min_size=1).map(str.strip),
    )
)
def test_facts_travel_to_the_last_digit(facts: Facts) -> None:
    assert facts_of(pairs_of(facts)) == facts


def test_two_sources_may_agree_and_not_disagree() -> None:
    assert together([{"a": 1.0}, {"a": 1.0, "b": True}]) == {"a": 1.0, "b": True}
    for other in (2.0, True):
        with pytest.raises(BadRequest, match="said twice"):
            together([{"a": 1.0}, {"a": other}])
    for text in ('{"a": 5, "a": 0}', '{"a":' * 900 + "1" + "}" * 900):
        with pytest.raises(BadRequest, match="facts cannot be read"):
            facts_in(text)
