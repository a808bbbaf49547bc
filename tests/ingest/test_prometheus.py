"""Prometheus answers within bounds, or is said to have not, whatever it is that answers."""

from __future__ import annotations

import base64
import gzip
import math
import re
import resource
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import QueryRefused, SourceDown, SourceError
from data.sources import Connection
from ingest import prometheus as client
from ingest.prometheus import Prometheus
from tests import misbehaving as bad
from tests import prom
from tests.misbehaving import Answer, Misbehaving, misbehaving

INSTANT, RANGE = "/api/v1/query", "/api/v1/query_range"
START = datetime(2026, 11, 20, 8, tzinfo=UTC)
END = START + timedelta(seconds=60)
TOKEN = "opensesame"  # noqa: S105  # opens nothing


@contextmanager
def asking(*answers: Answer | Callable[[bad.Asked], Answer], **more: Any) -> Iterator[tuple[Prometheus, Misbehaving]]:  # noqa: ANN401  # any field
    """The client, and the server that answers so."""
    environment = more.pop("environment", {})
    with misbehaving({"*": answers}) as told, Prometheus("main", Connection(told.url, **more), environment) as asked:
        yield asked, told


def ask(asked: Prometheus, promql: str = "up") -> client.Answer:
    return asked.range(promql, START, END, 15)


def refused_with(kind: type[SourceError], *answers: Answer, **more: Any) -> SourceError:  # noqa: ANN401  # any field
    """How a range that is answered so fails."""
    with asking(*answers, **more) as (asked, _), pytest.raises(SourceError) as told:
        ask(asked)
    assert type(told.value) is kind, repr(told.value)
    assert told.value.help
    return told.value


def samples(*values: object) -> list[tuple[float, float | str]]:
    return [(START.timestamp() + 15 * n, str(value)) for n, value in enumerate(values)]


# -- what is answered ---------------------------------------------------------------------------------------------


def test_series_are_labels_microseconds_and_values() -> None:
    with asking(bad.matrix(({"a": "1", "b": ""}, samples(1, 2.5)), ({"a": "2"}, samples(3)))) as (asked, told):
        first, second = ask(asked).series
    assert (first.labels, first.t.tolist(), first.v.tolist()) == (
        {"a": "1"}, [START.timestamp() * 1e6, (START.timestamp() + 15) * 1e6], [1, 2.5],
    )  # fmt: skip
    assert (second.labels, second.v.tolist()) == ({"a": "2"}, [3])
    (request,) = told.asked(RANGE)
    assert request.query == {
        "query": "up", "start": f"{START.timestamp():.0f}", "end": f"{END.timestamp():.0f}", "step": "15",
    }  # fmt: skip


def test_nothing_is_no_series() -> None:
    with asking(bad.matrix()) as (asked, _):
        assert ask(asked) == client.Answer(())
    with asking(bad.vector()) as (asked, _):
        assert asked.instant("up", END) == client.Answer(())


def test_what_is_no_number_is_kept_as_it_is() -> None:
    with asking(bad.matrix(({}, samples("NaN", "+Inf", "-Inf", "1e308", "5e-324")))) as (asked, _):
        (series,) = ask(asked).series
    assert np.array_equal(series.v, [math.nan, math.inf, -math.inf, 1e308, 5e-324], equal_nan=True)


def test_a_vector_and_a_scalar_are_one_value_each() -> None:
    with asking(bad.vector(({"a": "1"}, 7), at=END.timestamp()), bad.answered("scalar", [END.timestamp(), "8"])) as (
        asked,
        told,
    ):
        ((seven,), (eight,)) = (asked.instant("up", END).series for _ in range(2))
    assert (seven.labels, seven.v.tolist(), eight.labels, eight.v.tolist()) == ({"a": "1"}, [7], {}, [8])
    assert told.asked(INSTANT)[0].query["time"] == str(END.timestamp())


def test_warnings_are_of_the_answer_that_they_came_with() -> None:
    with asking(bad.matrix(warnings=["half of it"]), bad.matrix()) as (asked, _):
        assert ask(asked).warnings == ("half of it",)
        assert ask(asked).warnings == ()


def test_an_answer_may_be_packed() -> None:
    with asking(bad.packed(bad.matrix(({}, samples(*range(1000)))))) as (asked, _):
        assert ask(asked).series[0].v.tolist() == [*range(1000)]


def test_headers_and_parameters_are_sent_with_every_question() -> None:
    more: Mapping[str, Any] = {"headers": {"X-Scope-OrgID": "discovery"}, "params": {"partial_response": "false"}}
    with asking(bad.clock(0), bad.matrix(), bad.vector(), **more) as (asked, told):
        asked.clock(), ask(asked), asked.instant("up", END)
    assert [(one.headers["x-scope-orgid"], one.query["partial_response"]) for one in told.requests] == [
        ("discovery", "false")
    ] * 3


def test_a_long_question_is_posted() -> None:
    promql = " or ".join(f'up{{service="s-{n}"}}' for n in range(1000))
    with asking(bad.matrix(), bad.vector()) as (asked, told):
        ask(asked, promql), asked.instant(promql, END)
    assert [request.query["query"] for request in told.requests] == [promql] * 2
    assert [(request.path, request.headers["content-type"]) for request in told.requests] == [
        (path, "application/x-www-form-urlencoded") for path in (RANGE, INSTANT)
    ]


@pytest.mark.parametrize(("points", "requests"), [(10_000, 1), (10_001, 2), (20_000, 2), (25_000, 3)])
def test_a_long_time_is_asked_in_pieces_without_a_gap_or_a_double(points: int, requests: int) -> None:
    def every_step(asked: bad.Asked) -> Answer:
        start, end, step = (float(asked.query[name]) for name in ("start", "end", "step"))
        count = int((end - start) // step) + 1
        assert count <= 10_000
        return bad.matrix(({"a": "1"}, [(start + n * step, start + n * step) for n in range(count)]))

    with asking(every_step) as (asked, told):
        (series,) = asked.range("up", START, START + timedelta(seconds=5 * (points - 1)), 5).series
    assert len(told.requests) == requests
    assert series.v.tolist() == [START.timestamp() + 5 * n for n in range(points)]
    assert series.t.tolist() == (series.v * 1e6).tolist()


def test_series_that_come_and_go_between_pieces_are_joined_with_their_warnings() -> None:
    later = START.timestamp() + 150_000
    answers = (
        bad.matrix(({"a": "1"}, samples(1)), ({"a": "2"}, samples(2)), warnings=["x", "y"]),
        bad.matrix(({"a": "1"}, [(later, 3)]), ({"a": "3"}, [(later, 4)]), warnings=["y"]),
    )
    with asking(*answers) as (asked, _):
        found = asked.range("up", START, START + timedelta(seconds=15 * 10_000), 15)
    assert [(one.labels["a"], one.v.tolist()) for one in found.series] == [("1", [1, 3]), ("2", [2]), ("3", [4])]
    assert found.warnings == ("x", "y")


# -- what is not --------------------------------------------------------------------------------------------------


def test_who_is_down_is_asked_again_and_then_no_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    begun = time.monotonic()
    with Prometheus("main", Connection(url), {}) as asked, pytest.raises(SourceDown, match="does not answer") as told:
        ask(asked)
    assert url in told.value.message
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("waits", ["nothing", "bytes", "packed", "half"])
def test_who_is_slow_is_waited_for_as_long_as_was_said(waits: str) -> None:
    slow = {
        "nothing": Answer(after_s=30),
        "bytes": replace(bad.matrix(({}, samples(*range(3000)))), every_s=0.01),
        "packed": replace(bad.packed(bad.matrix(({}, samples(*range(3000))))), every_s=0.05),
        "half": Answer(body=b" " * 10, every_s=0.5, length=20),
    }[waits]
    begun = time.monotonic()
    with asking(slow, timeout_s=1) as (asked, told), pytest.raises(SourceDown, match="not answered within 1 s"):
        ask(asked)
    assert 1 <= time.monotonic() - begun < 2.5
    assert len(told.requests) == 1


def test_who_is_slow_to_say_no_is_not_asked_beyond_the_time() -> None:
    begun = time.monotonic()
    slow = replace(bad.OVERLOADED, after_s=0.8)
    with asking(slow, timeout_s=1) as (asked, told), pytest.raises(SourceDown, match="503"):
        ask(asked)
    assert time.monotonic() - begun < 2.5
    assert len(told.requests) == 1


def test_half_an_answer_is_none() -> None:
    assert "does not answer" in refused_with(SourceDown, bad.half(bad.matrix(({}, samples(*range(99)))))).message
    assert "does not answer" in refused_with(SourceDown, bad.half(bad.packed(bad.many(99)))).message


def test_an_overload_is_waited_out() -> None:
    with asking(bad.OVERLOADED, bad.refused(429, "a", "b"), bad.matrix(({}, samples(1)))) as (asked, told):
        assert ask(asked).series
    assert len(told.requests) == 3


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_overload_that_stays_is_told(status: int) -> None:
    with asking(bad.refused(status, "unavailable", "come back", retry_after="60")) as (asked, told):
        with pytest.raises(SourceDown, match=rf"cannot answer now \({status}\): come back"):
            ask(asked)
        assert len(told.requests) == 3


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_question_is_told_with_the_place_that_is_wrong(status: int) -> None:
    said = bad.refused(status, "bad_data", '1:4: parse error: unexpected "{"')
    with asking(said) as (asked, told):
        with pytest.raises(QueryRefused) as refused:
            ask(asked, "up {{")
        assert len(told.requests) == 1
    assert refused.value.message == 'prometheus `main` refuses `up {{`: 1:4: parse error: unexpected "{"'


@pytest.mark.parametrize("status", [401, 403])
def test_who_does_not_let_us_in_is_told_with_what_to_check(status: int) -> None:
    no = replace(bad.UNAUTHORIZED, status=status)
    assert "name a token" in (refused_with(SourceError, no).help or "")
    told = refused_with(SourceError, no, bearer_env="A", environment={"A": TOKEN})
    assert (told.message, told.help) == (f"prometheus `main` does not let us in ({status})", "check A")
    assert refused_with(SourceError, no, username_env="U", password_env="P", environment={"U": "u", "P": "p"}).help == (
        "check U"
    )


@pytest.mark.parametrize(
    ("status", "kind"), [(204, SourceError), (404, SourceError), (405, SourceError), (500, SourceDown)]
)
def test_any_other_status_is_told(status: int, kind: type[SourceError]) -> None:
    assert str(status) in refused_with(kind, Answer(status)).message


def test_nobody_is_followed_elsewhere_and_nothing_is_said_there() -> None:
    more: Mapping[str, Any] = {"bearer_env": "A", "environment": {"A": TOKEN}}
    with misbehaving({"*": [bad.matrix()]}) as other:
        told = refused_with(SourceError, bad.redirect(other.url), **more)
        assert other.requests == []
    assert "sends us elsewhere" in told.message


@pytest.mark.parametrize("endless", [bad.bomb(), replace(bad.bomb(), status=503)], ids=[200, 503])
def test_a_bomb_is_put_down_before_it_has_taken_much(endless: Answer) -> None:
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with asking(endless, timeout_s=60) as (asked, _), pytest.raises(QueryRefused, match="more than 64 MiB"):
        ask(asked)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 400 << 10


def test_packed_twice_it_takes_no_more() -> None:
    twice = bad.bomb(100)
    packed = replace(twice, body=gzip.compress(twice.body), headers={**twice.headers, "Content-Encoding": "gzip, gzip"})
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused_with(QueryRefused, packed, timeout_s=60)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 400 << 10


def test_too_many_series_are_refused() -> None:
    assert "gives 50,000 series" in refused_with(QueryRefused, bad.many()).message
    with asking(bad.many(1000)) as (asked, _):
        assert len(ask(asked).series) == 1000


def test_a_series_is_there_once() -> None:
    twice = bad.matrix(({"a": "1", "b": "2"}, samples(1)), ({"b": "2", "a": "1", "c": ""}, samples(1)))
    assert "the same series twice" in refused_with_any(twice).message


def refused_with_any(answer: Answer) -> SourceError:
    with asking(answer) as (asked, _), pytest.raises(SourceError) as told:
        ask(asked)
    return told.value


@pytest.mark.parametrize("kind", ["range", "instant"])
def test_native_histograms_are_refused(kind: str) -> None:
    one = {"metric": {}, "histograms": [[1, {}]], "histogram": [1, {}]}
    with asking(bad.answered("any", [one])) as (asked, _), pytest.raises(QueryRefused, match="native histograms"):
        ask(asked) if kind == "range" else asked.instant("up", END)


def points(*found: object) -> Answer:
    return bad.answered("matrix", [{"metric": {}, "values": [*found]}])


WRONG = (
    *bad.WRONG_SHAPES,
    bad.NOT_JSON,
    Answer(body=b""),
    Answer(body=b"null"),
    Answer(body=b'"warnings"'),
    Answer(body=b'["warnings"]'),
    Answer(body=b'{"warnings": 7}'),
    Answer(body=b"\xff\xfe"),
    Answer(body=b'{"data": {"result": "\xff"}}'),
    Answer(body=b"[" * 1_000_000),
    Answer(body=b'{"data":{"result":' + b"7" * 5000 + b"}}"),
    bad.document({"data": [1]}),
    bad.document({"data": {"result": {}}}),
    bad.answered("matrix", [1]),
    bad.answered("matrix", [{"values": [[1, "1"]]}]),
    bad.answered("matrix", [{"metric": {}, "values": 1}]),
    bad.answered("matrix", [{"metric": {}, "values": {"1": "1"}}]),
    points([1, None]), points([1, 1.5]), points([1, True]), points([1, ["1"]]), points([1, ""]), points([None, "1"]),
    points([-1, "1"]), points([1e300, "1"]), points([math.nan, "1"]), points([math.inf, "1"]),
    points([2, "1"], [1, "1"]), points([1, "1"], [1, "1"]), points([1, "1"], 5), points([1, "1", "1"]),
)  # fmt: skip


@pytest.mark.parametrize("answer", WRONG, ids=range(len(WRONG)))
def test_what_is_no_answer_of_prometheus_is_an_error_and_nothing_else(answer: Answer) -> None:
    with asking(answer) as (asked, _):
        for question in (ask, lambda one: one.instant("up", END), Prometheus.clock):
            with pytest.raises(SourceError, match="rometheus"):
                question(asked)


@pytest.mark.parametrize(
    "answer",
    [bad.vector(), bad.vector(({"a": "1"}, 1), ({"a": "2"}, 1)), *(
        bad.answered("scalar", [1, said]) for said in ("NaN", "+Inf", "-1", "1e300"))],
    ids=range(6),
)  # fmt: skip
def test_what_is_no_time_is_none(answer: Answer) -> None:
    with asking(answer) as (asked, _), pytest.raises(SourceError, match="no time"):
        asked.clock()


@pytest.mark.parametrize("off_s", [-3600, 0, 3600])
def test_a_clock_is_told_as_it_is(off_s: float) -> None:
    with asking(bad.clock(off_s)) as (asked, _):
        assert (asked.clock() - datetime.now(UTC)).total_seconds() == pytest.approx(off_s, abs=20)


# -- who we are ---------------------------------------------------------------------------------------------------

BEARER: Mapping[str, Any] = {"bearer_env": "A", "environment": {"A": TOKEN}}
BASIC: Mapping[str, Any] = {"username_env": "U", "password_env": "P", "environment": {"U": "zürich", "P": TOKEN}}


def test_we_say_who_we_are_with_every_question() -> None:
    for more, sent in (
        (BEARER, f"Bearer {TOKEN}"),
        (BASIC, f"Basic {base64.b64encode(f'zürich:{TOKEN}'.encode()).decode()}"),
    ):
        with asking(bad.clock(0), bad.OVERLOADED, bad.matrix(), **dict(more)) as (asked, told):
            asked.clock(), ask(asked), ask(asked, "up" * 2000)
        assert [request.headers["authorization"] for request in told.requests] == [sent] * 4


@pytest.mark.parametrize("more", [BEARER, BASIC], ids=["bearer", "basic"])
@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 422, 429, 500])
def test_who_we_are_is_in_no_error_even_if_the_server_says_it(more: Mapping[str, Any], status: int) -> None:
    def echo(asked: bad.Asked) -> Answer:
        said = asked.headers["authorization"]
        return bad.refused(status, "bad_data", f"{said} {TOKEN} is unknown")

    with asking(echo, **dict(more)) as (asked, _), pytest.raises(SourceError) as told:
        ask(asked)
    encoded = base64.b64encode(f"zürich:{TOKEN}".encode()).decode()
    assert not re.search(f"{TOKEN}|{re.escape(encoded)}", str(told.value))


@pytest.mark.parametrize("value", ["", None, "two\nlines", "東京", "\udcff", "\0"])
def test_a_token_that_cannot_be_sent_is_named_and_not_told(value: str | None) -> None:
    environment = {} if value is None else {"A": value}
    with pytest.raises(SourceError, match=r"^A") as told:
        Prometheus("main", Connection("http://127.0.0.1:1", bearer_env="A"), environment)
    assert not value or value not in str(told.value)


def test_the_environment_of_the_process_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password {TOKEN}\n")
    netrc.chmod(0o600)
    with misbehaving({"*": [bad.matrix()]}) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with asking(bad.matrix()) as (asked, told):
            ask(asked)
        assert proxy.requests == []
    assert "authorization" not in told.requests[0].headers


# -- over TLS -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[prom.Prometheus]:
    with prom.prometheus(tmp_path_factory.mktemp("tls"), tls=True, password=True) as running:
        yield running


ENTRY: Mapping[str, Any] = {"username_env": "U", "password_env": "P"}
WHO = {"U": prom.USER, "P": prom.PASSWORD}


@pytest.mark.prometheus
def test_an_authority_of_ones_own_is_trusted_if_it_is_named(over_tls: prom.Prometheus) -> None:
    trusting = Connection(over_tls.url, ca_file=str(over_tls.certificate), **ENTRY)
    with Prometheus("main", trusting, WHO) as asked:
        assert asked.instant("vector(7)", END).series[0].v.tolist() == [7]
    with Prometheus("main", replace(trusting, verify=False), WHO) as asked:
        assert asked.instant("vector(7)", END).series
    with Prometheus("main", Connection(over_tls.url, verify=False, **ENTRY), WHO) as asked:
        assert asked.instant("vector(7)", END).series


@pytest.mark.prometheus
def test_an_authority_that_is_not_named_is_not_trusted(
    over_tls: prom.Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(over_tls.certificate))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(over_tls.certificate))
    with Prometheus("main", Connection(over_tls.url, **ENTRY), WHO) as asked:
        with pytest.raises(SourceError, match="no certificate that is trusted") as told:
            ask(asked)
        assert "ca_file" in (told.value.help or "")


@pytest.mark.prometheus
def test_a_wrong_password_is_told_as_such(over_tls: prom.Prometheus) -> None:
    with (
        Prometheus("main", Connection(over_tls.url, verify=False, **ENTRY), WHO | {"P": TOKEN}) as asked,
        pytest.raises(SourceError, match=r"does not let us in \(401\)"),
    ):
        ask(asked)


@pytest.mark.prometheus
def test_what_is_refused_by_the_real_one_has_the_place_that_is_wrong(over_tls: prom.Prometheus) -> None:
    with Prometheus("main", Connection(over_tls.url, verify=False, **ENTRY), WHO) as asked:
        with pytest.raises(QueryRefused, match=r"refuses `sum\(up`: .*1:7: parse error: unclosed left parenthesis"):
            ask(asked, "sum(up")
        with pytest.raises(QueryRefused, match="many-to-many"):
            ask(
                asked,
                'label_replace(vector(1),"a","1","","") + on() (vector(1) or label_replace(vector(1),"a","2","",""))',
            )


@pytest.mark.parametrize("field", ["ca_file", "cert_file", "key_file"])
def test_a_file_that_is_not_there_is_named(field: str, tmp_path: Path) -> None:
    files: Mapping[str, Any] = {"cert_file": str(tmp_path), field: str(tmp_path / "nowhere.pem")}
    with pytest.raises(SourceError, match=r"nowhere\.pem"):
        Prometheus("main", Connection("https://127.0.0.1:1", **files), {})


@pytest.mark.prometheus
def test_a_file_that_is_no_certificate_is_an_error_of_ours(over_tls: prom.Prometheus, tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("not a certificate")
    for field in ("ca_file", "cert_file"):
        connection = Connection(over_tls.url, **{field: str(tmp_path / "a.pem")})  # type: ignore[arg-type]  # a file
        with Prometheus("main", connection, {}) as asked, pytest.raises(SourceError):
            ask(asked)


@pytest.mark.prometheus
def test_a_server_that_asks_who_we_are_by_certificate_is_told(tmp_path: Path) -> None:
    with prom.prometheus(tmp_path, tls=True, mutual=True) as server:
        own = str(server.certificate)
        known = Connection(server.url, ca_file=own, cert_file=own, key_file=own)
        with Prometheus("main", known, {}) as asked:
            assert asked.instant("vector(7)", END).series
        nobody = replace(known, cert_file=None, key_file=None)
        with Prometheus("main", nobody, {}) as asked, pytest.raises(SourceError, match="agree to TLS") as told:
            ask(asked)
        assert "cert_file" in (told.value.help or "")
