"""`prometheus` of slo.yaml: who is asked, how it is reached, what it is asked; secrets are named, never written."""

from __future__ import annotations

import pytest

from data.sources import Connection
from slo.config import Config, parse_config
from slo.plan import MetricsSource, Saturation
from slo.refs import left_open
from tests.slo.test_config import FINE, _marked, _phase, _problems

URL = "http://prometheus.example:9090"
WHOLE = """\
prometheus:
  main:
    url: https://prometheus.example/tenant/
    auth: {bearer_env: PROMETHEUS_TOKEN}
    tls: {ca_file: ca.pem, cert_file: me.pem, key_file: me.key, verify: true}
    timeout: 30s
    headers: {X-Scope-OrgID: discovery}
    params: {partial_response: "false", 1: "2"}
    step: 15s
    margin: 1m
    labels: {cluster: eu-1}
    select: app="$service", cluster=~"$cluster", team="$label_team"
    latency: http_request_duration_seconds_bucket
    saturation:
      - {name: pool, used: "db_used{$select}", limit: "db_max{$select}", at: 80%}
      - {name: memory, used: "process_resident_memory_bytes{$select}", limit: 512MiB}
      - {name: cpu, used: "rate(cpu[$window])", limit: 4 * scalar(cores), generator: true}
    collect: {threads: "threads{$select}"}
  other:
    url: http://[::1]:9090
    auth: {username_env: USER_NAME, password_env: PASSWORD}
"""


def slo(source: str, *objectives: str) -> str:
    return _phase(*(objectives or [FINE]), top=f"version: 1\nprometheus: {source}")


def config(source: str, *objectives: str) -> Config:
    return parse_config(slo(source, *objectives))


def main(source: str) -> MetricsSource:
    return config(f"{{main: {source}}}").prometheus["main"]


def test_all_that_can_be_said_of_a_source_becomes_values() -> None:
    sources = parse_config(_phase(FINE) + WHOLE).prometheus
    assert list(sources) == ["main", "other"]
    assert sources["main"] == MetricsSource(
        Connection(
            "https://prometheus.example/tenant", bearer_env="PROMETHEUS_TOKEN", ca_file="ca.pem", cert_file="me.pem",
            key_file="me.key", timeout_s=30, headers={"X-Scope-OrgID": "discovery"},
            params={"partial_response": "false", "1": "2"},
        ),
        step_s=15, margin_s=60, labels={"cluster": "eu-1"}, latency="http_request_duration_seconds",
        select='app="$service", cluster=~"$cluster", team="$label_team"',
        saturation=(
            Saturation("pool", "db_used{$select}", "db_max{$select}", 0.8),
            Saturation("memory", "process_resident_memory_bytes{$select}", repr(512.0 * 2**20)),
            Saturation("cpu", "rate(cpu[$window])", "4 * scalar(cores)", generator=True),
        ),
        collect={"threads": "threads{$select}"},
    )  # fmt: skip
    assert sources["other"].connection == Connection(
        "http://[::1]:9090", username_env="USER_NAME", password_env="PASSWORD"
    )


def test_what_is_not_said_of_a_source_has_defaults() -> None:
    source = main(f"{{url: '{URL}'}}")
    assert source == MetricsSource(Connection(URL))
    assert (source.step_s, source.margin_s, source.select, source.connection.timeout_s) == (
        5, 30, 'service="$service"', 10,
    )  # fmt: skip


def test_a_source_need_not_be_believed() -> None:
    assert main(f"{{url: '{URL}', tls: {{verify: false}}}}").connection.verify is False


@pytest.mark.parametrize(
    ("said", "code", "marked"),
    [
        ("step: 5s", "missing-key", "{main: {step: 5s}}"),
        ("url: prometheus:9090", "bad-url", "prometheus:9090"),
        ("url: 'ftp://a'", "bad-url", "ftp://a"),
        ("url: 'http://'", "bad-url", "http://"),
        ("url: 'http://[a'", "bad-url", "http://[a"),
        ("url: 'http://a:99999'", "bad-url", "http://a:99999"),
        ("url: 'http://a:0'", "bad-url", "http://a:0"),
        ("url: 'http://a b'", "bad-url", "http://a b"),
        ("url: 'http://a..b'", "bad-url", "http://a..b"),
        (f"url: 'http://{'a' * 64}.b'", "bad-url", f"http://{'a' * 64}.b"),
        ("url: 'http://me:secret@a'", "secret-in-url", "http://me:secret@a"),
        ("url: 'http://me@a'", "secret-in-url", "http://me@a"),
        ("url: 'http://a/?token=secret'", "secret-in-url", "http://a/?token=secret"),
        ("url: 'http://a/#secret'", "secret-in-url", "http://a/#secret"),
        ("url: 7", "bad-url", "7"),
        ("url: [a]", "wrong-type", "[a]"),
        ("url: http://a, path: /b", "unknown-key", "path"),
        ("url: http://a, auth: {bearer: secret}", "unknown-key", "bearer"),
        ("url: http://a, auth: {username_env: A}", "bad-auth", "{username_env: A}"),
        ("url: http://a, auth: {password_env: A}", "bad-auth", "{password_env: A}"),
        (
            "url: http://a, auth: {bearer_env: A, username_env: B, password_env: C}",
            "bad-auth",
            "{bearer_env: A, username_env: B, password_env: C}",
        ),
        ("url: http://a, auth: {bearer_env: s.ecret}", "bad-variable", "s.ecret"),
        ("url: http://a, auth: {username_env: me, password_env: 1a}", "bad-variable", "1a"),
        ("url: http://a, tls: {key_file: a}", "no-certificate", "a"),
        ("url: http://a, tls: {ca: a}", "unknown-key", "ca"),
        ("url: http://a, tls: {verify: no}", "wrong-type", "no"),
        ("url: http://a, timeout: 3m", "bad-value", "3m"),
        ("url: http://a, timeout: soon", "bad-duration", "soon"),
        ("url: http://a, timeout: 0s", "bad-duration", "0s"),
        ("url: http://a, step: 0.5s", "bad-value", "0.5s"),
        ("url: http://a, step: 0s", "bad-duration", "0s"),
        ("url: http://a, headers: {Authorization: Bearer secret}", "secret-header", "{Authorization: Bearer secret}"),
        ("url: http://a, headers: {x-api-key: secret}", "secret-header", "{x-api-key: secret}"),
        ("url: http://a, headers: {Cookie: secret}", "secret-header", "{Cookie: secret}"),
        ("url: http://a, headers: {'a b': c}", "bad-header", "{'a b': c}"),
        ('url: http://a, headers: {"a\\r\\nb": c}', "control-character", '"a\\r\\nb"'),
        ('url: http://a, headers: {a: "b\\r\\nc: d"}', "control-character", '"b\\r\\nc: d"'),
        ("url: http://a, headers: {X-Scope-OrgID: 東京}", "bad-header", "{X-Scope-OrgID: 東京}"),
        ("url: http://a, headers: [a]", "wrong-type", "[a]"),
        ("url: http://a, params: {query: up}", "bad-param", "{query: up}"),
        ("url: http://a, params: {time: 0}", "bad-param", "{time: 0}"),
        ("url: http://a, params: {access_token: secret}", "secret-param", "{access_token: secret}"),
        ("url: http://a, labels: {service: a}", "bad-label", "{service: a}"),
        ("url: http://a, labels: {window: a}", "bad-label", "{window: a}"),
        ("url: http://a, labels: {select: a}", "bad-label", "{select: a}"),
        ("url: http://a, labels: {a-b: a}", "bad-label", "{a-b: a}"),
        ("url: http://a, select: 'a=\"$nobody\"'", "unknown-name", '"$nobody"'),
        ("url: http://a, select: 'a=\"b'", "open-string", '"'),
        ("url: http://a, select: 'a=$service'", "bare-name", "$service"),
        ("url: http://a, select: '$select'", "unknown-name", "$select"),
        ("url: http://a, latency: 'a b'", "bad-metric", "a b"),
        ("url: http://a, latency: 'a{b=\"c\"}'", "bad-metric", 'a{b="c"}'),
        ("url: http://a, collect: {a: 'up{b=\"$nobody\"}'}", "unknown-name", '"$nobody"'),
        ("url: http://a, collect: [up]", "wrong-type", "[up]"),
        ("url: http://a, saturation: {name: a}", "wrong-type", "{name: a}"),
        ("url: http://a, saturation: [{name: a, used: b}]", "missing-key", "{name: a, used: b}"),
        ("url: http://a, saturation: [{name: a, used: 'b{c=`$service`}', limit: c}]", "raw-name", "`$service`"),
        ("url: http://a, saturation: [{name: a, used: b, limit: 512MB}]", "bad-target", "MB"),
        ("url: http://a, saturation: [{name: a, used: b, limit: 5s}]", "bad-target", "5s"),
        ("url: http://a, saturation: [{name: a, used: b, limit: c, at: 5s}]", "bad-target", "5s"),
        (
            "url: http://a, saturation: [{name: a, used: b, limit: c}, {name: a, used: d, limit: e}]",
            "duplicate-name",
            "a",
        ),
    ],
)
def test_what_is_wrong_with_a_source_is_marked(said: str, code: str, marked: str) -> None:
    text = slo(f"{{main: {{{said}}}}}")
    (problem,) = _problems(text)
    assert (problem.code, problem.line) == (code, 2)
    assert _marked(text, problem) == marked or code == "missing-key"
    assert "secret" not in problem.message.replace("holds a secret", "").replace("secrets travel", "")


def test_a_source_is_named_so_that_an_expression_can_name_it() -> None:
    text = slo("{a-b: {url: http://a}}")
    (problem,) = _problems(text)
    assert (problem.code, _marked(text, problem)) == ("bad-source", "a-b")


ONE, TWO = "{main: {url: http://a, labels: {cluster: eu}}}", "{main: {url: http://a}, other: {url: http://b}}"


@pytest.mark.parametrize(
    ("source", "objective", "asked"),
    [
        (ONE, "{promql: up, target: min > 0}", "main"),
        (ONE, "{promql: up, source: main, target: min > 0}", "main"),
        (TWO, "{promql: up, source: other, target: min > 0}", "other"),
        (
            ONE,
            "{service: event, promql: 'up{$select, a=\"$service$cluster$label_a$version\"}', target: min > 0}",
            "main",
        ),
        ("{}", "{promql: up, target: min > 0}", None),
    ],
)
def test_an_objective_asks_the_source_that_it_names_or_the_only_one(
    source: str, objective: str, asked: str | None
) -> None:
    assert config(source, objective).phases[0].objectives[0].source == asked


@pytest.mark.parametrize(
    ("source", "objective", "code", "marked"),
    [
        (TWO, "{promql: up, target: min > 0}", "which-source", "up"),
        (TWO, "{promql: up, source: mian, target: min > 0}", "unknown-source", "mian"),
        ("{}", "{promql: up, source: main, target: min > 0}", "unknown-source", "main"),
        (ONE, "{sli: m, source: main, target: min > 0}", "source-without-promql", "main"),
        (ONE, "{promql: 'up{a=\"$service\"}', target: min > 0}", "unknown-name", '"$service"'),
        (ONE, "{promql: 'up{$select}', target: min > 0}", "unknown-name", "$select"),
        (ONE, "{service: event, promql: 'up{a=\"$region\"}', target: min > 0}", "unknown-name", '"$region"'),
        (ONE, "{service: event, promql: 'up{a=$cluster}', target: min > 0}", "bare-name", "$cluster"),
    ],
)
def test_what_is_wrong_with_a_promql_objective_is_marked(source: str, objective: str, code: str, marked: str) -> None:
    text = slo(source, objective)
    (problem,) = _problems(text)
    assert (problem.code, problem.line, _marked(text, problem)) == (code, 7, marked)


def test_two_objectives_may_ask_two_sources_the_same() -> None:
    asked = ("{promql: up, source: main, target: min > 0}", "{promql: up, source: other, target: min > 0}")
    assert [one.source for one in config(TWO, *asked).phases[0].objectives] == ["main", "other"]


def test_the_digest_of_a_file_without_a_source_is_the_one_it_always_had() -> None:
    asks = "version: 1\nphases: [{id: a, objectives: [{promql: up, target: min > 0}]}]\n"
    assert parse_config(asks).digest == DIGEST
    assert parse_config(f"{asks}prometheus: {{}}\n").digest == DIGEST


DIGEST = "f0b84761681d9308"
BEFORE = "url: http://a"


@pytest.mark.parametrize(
    "said",
    [
        "url: https://b/c",
        "url: http://a, auth: {bearer_env: A}",
        "url: http://a, tls: {verify: false}",
        "url: http://a, timeout: 20s",
        "url: http://a, headers: {a: b}",
        "url: http://a, params: {a: b}",
    ],
)
def test_how_a_source_is_reached_is_not_part_of_the_digest(said: str) -> None:
    assert config(f"{{main: {{{said}}}}}").digest == config(f"{{main: {{{BEFORE}}}}}").digest


@pytest.mark.parametrize(
    "said",
    [
        "select: 'a=\"$service\"'",
        "collect: {a: up}",
        "saturation: [{name: a, used: b, limit: c}]",
        "latency: a",
        "labels: {a: b}",
        "step: 10s",
        "margin: 10s",
    ],
)
def test_what_a_source_is_asked_is_part_of_the_digest(said: str) -> None:
    asked = [config(f"{{main: {{{BEFORE}, {said}}}}}"), config(f"{{main: {{{BEFORE}}}}}"), config("{}")]
    assert len({one.digest for one in asked}) == 3


def test_the_name_of_the_source_is_part_of_the_digest() -> None:
    asked = "{promql: up, target: min > 0}"
    assert config("{a: {url: http://a}}", asked).digest != config("{b: {url: http://a}}", asked).digest


@pytest.mark.parametrize(
    ("promql", "target", "told"),
    [
        ("histogram_quantile(0.95, sum by (le) (rate(x_seconds_bucket[1m])))", "p(95) < 250", True),
        ("histogram_quantile(0.95, x_seconds_bucket)", "p(95) < 250ms", False),
        ("1000 * histogram_quantile(0.95, x_seconds_bucket)", "p(95) < 250", False),
        ("rate(x_seconds_count[1m])", "avg < 250", False),
        ("histogram_quantile(0.95, x_bytes_bucket)", "p(95) < 250", False),
    ],
)
def test_milliseconds_beside_seconds_are_pointed_out(promql: str, target: str, *, told: bool) -> None:
    slo = parse_config(
        "version: 1\nprometheus: {main: {url: 'http://p'}}\n"
        f"phases: [{{id: a, objectives: [{{promql: '{promql}', target: '{target}'}}]}}]"
    )
    assert any("gives seconds" in note for note in left_open(slo.phases, slo.prometheus)) == told
