"""Tags as they are kept: canonical, without secrets, bounded in number."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.tags import COLLAPSED, TagSet, bounded, canonical

CANONICAL: dict[str, tuple[str, dict[str, str]]] = {
    "sorted by key": ('{"b":"2","a":"1"}', {"a": "1", "b": "2"}),
    "empty values are absent": ('{"group":"","name":"x"}', {"name": "x"}),
    "null is absent": ('{"a":null}', {}),
    "numbers and lists become text": ('{"a":5,"b":true,"c":[1,{"d":2}]}', {"a": "5", "b": "true", "c": '[1,{"d":2}]'}),
    "url goes where name is": ('{"name":"/a","url":"http://h/a"}', {"name": "/a"}),
    "url stays where name is empty": ('{"name":"","url":"http://h/a"}', {"url": "http://h/a"}),
    "a key that comes twice": ('{"a":"1","a":"2"}', {"a": "2"}),
    "null": ("null", {}),
    "a list": ("[1]", {}),
    "not JSON": ("x", {}),
    "nothing": ("", {}),
    "nested without end": ("[" * 100_000, {}),
    "a lone surrogate": ('{"a":"\\ud800"}', {}),
    "long values are cut": (f'{{"a":"{"x" * 1000}"}}', {"a": "x" * 512}),
}


@pytest.mark.parametrize(("text", "kept"), CANONICAL.values(), ids=CANONICAL)
def test_tags_are_kept_in_one_form(text: str, kept: dict[str, str]) -> None:
    assert canonical(text, 512) == tuple(kept.items())


URLS = {
    "http://h/a?token=s3cret": "http://h/a",
    "http://h/a#s3cret": "http://h/a",
    "http://user:s3cret@h:8080/a": "http://h:8080/a",
    "http://user:s3@cret@h/a": "http://h/a",
    "https://s3cret@h": "https://h",
    "https://h?s3cret": "https://h",
    "GET http://u:s3cret@h/a?b=s3cret HTTP/1.1": "GET http://h/a HTTP/1.1",
    "ws://u:s3cret@h/a?b=s3cret": "ws://h/a",
    "http://[s3cret": "http://[s3cret",
    "a@b.example": "a@b.example",
}


@pytest.mark.parametrize(("url", "kept"), URLS.items())
@pytest.mark.parametrize("key", ["url", "name", "error"])
def test_urls_lose_what_may_be_secret(key: str, url: str, kept: str) -> None:
    assert canonical(orjson.dumps({key: url}).decode(), 512) == ((key, kept),)


@pytest.mark.parametrize(("key", "kept"), [("name", "/search"), ("url", "/search"), ("question", "/search?q=s3cret")])
def test_the_address_of_a_request_may_be_a_path_alone(key: str, kept: str) -> None:
    assert canonical(orjson.dumps({key: "/search?q=s3cret"}).decode(), 512) == ((key, kept),)


TagLists = st.lists(
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from("0123456789"), max_size=4).map(
        lambda tags: tuple(sorted(tags.items()))
    ),
    max_size=60,
)


@given(TagLists, st.integers(1, 20))
def test_tag_sets_are_never_more_than_the_limit(tag_sets: Sequence[TagSet], limit: int) -> None:
    kept, collapsed = bounded(tag_sets, limit)
    assert len(kept) == len(tag_sets)
    assert len(set(kept)) <= limit
    if len(set(tag_sets)) <= limit:
        assert (kept, collapsed) == (list(tag_sets), {})


def test_the_tag_with_most_values_is_collapsed_and_the_others_stay() -> None:
    tag_sets = [(("id", str(i)), ("name", f"/{i % 3}")) for i in range(100)]
    kept, collapsed = bounded(tag_sets, 10)
    assert collapsed == {"id": 100}
    assert set(kept) == {(("id", COLLAPSED), ("name", f"/{i}")) for i in range(3)}


def test_keys_without_bound_leave_no_tags() -> None:
    assert bounded([((f"key-{i}", "x"),) for i in range(100)], 10) == ([()] * 100, {"*": 100})
