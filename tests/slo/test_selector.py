"""Selectors are read the way k6 reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from slo.selector import Selector, SelectorError


@pytest.mark.parametrize(
    ("text", "metric", "tags"),
    [
        ("http_req_duration", "http_req_duration", {}),
        ("  http_req_duration ", "http_req_duration", {}),
        ("http_req_duration{name:/event/search}", "http_req_duration", {"name": "/event/search"}),
        ("m{name:/event/search, scenario:buy}", "m", {"name": "/event/search", "scenario": "buy"}),
        ("m{ status : 200 }", "m", {"status": "200"}),
        ("m{name:'quoted'}", "m", {"name": "quoted"}),
        ('m{"name":"quoted"}', "m", {"name": "quoted"}),
        ("m{group:::checkout::pay}", "m", {"group": "::checkout::pay"}),
        ('m{group:""}', "m", {"group": ""}),
        ("m{name:http://localhost:3000/a?b=c}", "m", {"name": "http://localhost:3000/a?b=c"}),
        ("m{name:/user/{id}}", "m", {"name": "/user/{id}"}),
        ("m{check:plan created}", "m", {"check": "plan created"}),
        ("m{a:1,a:1}", "m", {"a": "1"}),
        ('m{a:" kept "}', "m", {"a": " kept "}),
    ],
)
def test_a_selector_is_a_metric_and_its_tags(text: str, metric: str, tags: dict[str, str]) -> None:
    selector = Selector.parse(text)
    assert (selector.metric, dict(selector.tags)) == (metric, tags)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("m{b:2,a:1}", "m{a:1, b:2}"),
        ("m{ a : '1' }", "m{a:1}"),
        ('m{group:""}', 'm{group:""}'),
        ("m{group:::a}", "m{group:::a}"),
        ('m{a:" kept "}', 'm{a:" kept "}'),
    ],
)
def test_the_canonical_text_has_sorted_tags_and_only_the_quotes_it_needs(text: str, canonical: str) -> None:
    assert str(Selector.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        ("", "a selector starts with the name of a metric", ""),
        ("{a:b}", "a selector starts with the name of a metric", "{a:b}"),
        ("http req", "`http req` is not the name of a metric", "http req"),
        (" 9lives{a:b}", "`9lives` is not the name of a metric", "9lives"),
        ("p(95)", "`p(95)` is not the name of a metric", "p(95)"),
        ("m{a:b", "the `{` is never closed", "{"),
        ("m{a:b} x", "nothing may follow the `}`", " x"),
        ("m{}", "a tag is missing here", "}"),
        ("m{a:1,}", "a tag is missing here", "}"),
        ("m{a:1, name}", "`name` has no value", "name"),
        ("m{a:1, name: }", "the tag `name` has no value", "name:"),
        ("m{:x}", "this tag has no name", ":x"),
        ("m{a:1, a:2}", "the tag `a` cannot have two values", " a:2"),
    ],
)
def test_what_k6_would_not_accept_is_marked_where_it_stands(text: str, message: str, marked: str) -> None:
    with pytest.raises(SelectorError) as caught:
        Selector.parse(text)
    error = caught.value
    assert (error.message, error.code) == (message, "bad-selector")
    assert text[error.offset : error.offset + error.length] == marked


_VALUE = some.text(some.characters(exclude_characters=",\"'", exclude_categories=["C"]))


@given(some.dictionaries(_VALUE.filter(lambda key: key.strip() != "" and ":" not in key), _VALUE, min_size=1))
def test_a_selector_survives_being_written_and_read(tags: dict[str, str]) -> None:
    selector = Selector("http_req_duration", tuple(sorted(tags.items())))
    assert Selector.parse(str(selector)) == selector


@given(some.one_of(some.text(), some.from_regex(r"m\{.*\}", fullmatch=True)))
def test_any_text_is_a_stable_selector_or_a_selector_error(text: str) -> None:
    read = _selector_or_error(text)
    if isinstance(read, Selector):
        assert Selector.parse(str(read)) == read
    else:
        assert 0 <= read.offset <= len(text)


def _selector_or_error(text: str) -> Selector | SelectorError:
    try:
        return Selector.parse(text)
    except SelectorError as error:
        return error
