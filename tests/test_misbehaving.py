"""A server that misbehaves does so as it is told."""

import re
import time
from dataclasses import replace

import httpx2 as httpx
import pytest
import requests

from tests import misbehaving as bad
from tests.misbehaving import Answer, misbehaving

QUERY = "/api/v1/query"


def test_answers_come_in_turn_and_the_last_for_good() -> None:
    with misbehaving({QUERY: [bad.OVERLOADED, bad.OVERLOADED, bad.vector(({}, 7))]}) as told:
        answers = [httpx.get(f"{told.url}{QUERY}", params={"query": "up"}) for _ in range(4)]
        elsewhere = httpx.get(f"{told.url}/elsewhere")
    assert [answer.status_code for answer in answers] == [503, 503, 200, 200]
    assert answers[0].headers["retry-after"] == "1"
    assert answers[0].json() == {"status": "error", "errorType": "unavailable", "error": "server is shutting down"}
    assert answers[2].json()["data"] == {"resultType": "vector", "result": [{"metric": {}, "value": [0.0, "7"]}]}
    assert [request.query for request in told.asked(QUERY)] == [{"query": "up"}] * 4
    assert elsewhere.status_code == 404


def test_an_answer_may_depend_on_the_query_which_may_be_a_form() -> None:
    def answer(request: bad.Asked) -> Answer:
        return bad.clock(3600) if request.query["query"] == "time()" else bad.UNPROCESSABLE

    with misbehaving({"*": [answer]}) as told:
        ahead = httpx.post(f"{told.url}{QUERY}", data={"query": "time()"}).json()["data"]["result"][0] - time.time()
        assert ahead == pytest.approx(3600, abs=60)
        assert httpx.get(f"{told.url}{QUERY}", params={"query": "up"}).status_code == 422


def test_a_redirect_that_is_followed_is_seen() -> None:
    with misbehaving({"*": [Answer(204)]}) as other, misbehaving({"*": [bad.redirect(f"{other.url}/there")]}) as told:
        httpx.get(told.url)
        assert other.asked("/there") == []
        httpx.get(told.url, follow_redirects=True)
        assert len(other.asked("/there")) == 1


def test_silence_and_trickles_outlast_the_patience_of_whoever_asks_and_end_with_the_server() -> None:
    slow = {"/silent": [Answer(after_s=300)], "/trickled": [replace(bad.vector(), every_s=0.01)]}
    start = time.monotonic()
    with misbehaving(slow) as told:
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{told.url}/silent", timeout=0.2)
        assert httpx.get(f"{told.url}/trickled", timeout=30).json()["status"] == "success"
        assert time.monotonic() - start > 0.01 * len(bad.vector().body)
    assert time.monotonic() - start < 60


def test_half_an_answer_is_cut() -> None:
    with misbehaving({"*": [bad.half(bad.many(1000))]}) as told, pytest.raises(httpx.RemoteProtocolError):
        httpx.get(told.url)


def test_a_bomb_is_small_until_it_is_unpacked() -> None:
    assert 9e6 < len(bad.bomb().body) < 12e6
    with misbehaving({"*": [bad.bomb(2000)]}) as told:
        with requests.get(told.url, stream=True, timeout=30) as answer:
            unpacked = 0
            while unpacked < 2**27:
                unpacked += len(answer.raw.read(2**20, decode_content=True))
        assert told.sent_bytes < 20e6, "whoever asked has had enough: what is in the network's buffers is the last"


def test_values_that_are_no_numbers_and_labels_that_come_twice_are_sent_as_prometheus_would() -> None:
    odd = bad.matrix(({"a": "1"}, [(0, "NaN"), (15, "+Inf")]), ({"a": "1"}, [(0, 7)]), warnings=["half of it"])
    with misbehaving({"*": [bad.packed(odd)]}) as told:
        document = httpx.get(told.url).json()
    assert document["warnings"] == ["half of it"]
    assert [series["metric"] for series in document["data"]["result"]] == [{"a": "1"}] * 2
    assert document["data"]["result"][0]["values"] == [[0, "NaN"], [15, "+Inf"]]


def test_many_series_are_many() -> None:
    assert len(re.findall(rb"pod-\d+", bad.many().body)) == 50_000
