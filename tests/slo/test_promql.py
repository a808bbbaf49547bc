"""What a run says of itself ends up inside strings of an expression, and nowhere else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from slo import promql
from slo.source import ExpressionError
from tests import prom
from tests.prom import prometheus

LENGTHS = {"window": "60s", "step": "5s"}
KNOWN = ("service", "version")
ODD = (
    "a", "", "'", '"', "\\", "\\\\", '\\"', "\n", "\r", "\t", "\0", "`", "{", "}", ")", "[5m]", "#", "$window",
    "$service", "$select", "$1", "${1}", '"} or vector(1) #', "'} or vector(1) #", "\\'} or vector(1) #", ".*",
    "a|b", "(?i)a", "[^a]", "^a$", "a{2}", "a-b", "Zürich", "東京", "\N{GRINNING FACE}", "\u2028", "\ufeff", "\x85",
    'a,b=~"c"',
)  # fmt: skip
EXPRESSIONS = (
    'up{service="$service"}',
    "up{service='$service'}",
    'up{service=~"$service"}',
    "up{service!~ '$service'}",
    'up{service=~ # $service is who\n "$service"}',
    'up{service="a$service.b\\\\$service"}',
    'label_replace(up{service="$service"}, "whose", "$1", "service", "(.*)")',
    "up{service=~\"a|$service|b\", version!='$service'}[5m:$step] offset $window",
)
LITERAL = re.compile(r'"((?:\\.|[^"\\\n])*)"|\'((?:\\.|[^\'\\\n])*)\'', re.DOTALL)
values = some.text(some.one_of(some.characters(codec="utf-8"), some.sampled_from("\"'\\`{}[]()#$\n|.*")), max_size=20)


def filled(text: str, value: str) -> str:
    return promql.filled(text, lambda _: value, LENGTHS)


def skeleton(text: str) -> str:
    """An expression without what is inside of its strings."""
    return LITERAL.sub("''", text)


def unquoted(inside: str) -> str:
    """What PromQL takes a string for."""
    named = {"\\": "\\", "n": "\n", '"': '"', "'": "'"}
    return re.sub(
        r"\\(?:x(..)|U(.{8})|(.))", lambda m: chr(int(m[1] or m[2], 16)) if m[1] or m[2] else named[m[3]], inside
    )


def parsed(expressions: Iterable[str], folder: Path) -> str:
    """What Prometheus's own parser has against expressions."""
    rules = [{"record": f"r{number}", "expr": text} for number, text in enumerate(expressions)]
    file = folder / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}, ensure_ascii=False))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, check=False, timeout=60)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('up{service="$service"}', 'up{service="event"}'),
        ("up{service='$service'}", "up{service='event'}"),
        ('up{service="$service.$service"}', 'up{service="event.event"}'),
        ("rate(x[$window])", "rate(x[60s])"),
        ("max_over_time(x[$window:$step])", "max_over_time(x[60s:5s])"),
        ('up{within="$window"}', 'up{within="60s"}'),
        ("up{service=`event`} # $service", "up{service=`event`} # $service"),
        ('label_replace(up, "a", "$1-${2}", "b", "(.)(.)")', 'label_replace(up, "a", "$1-${2}", "b", "(.)(.)")'),
        ('up{price="5$"}', 'up{price="5$"}'),
    ],
)
def test_names_are_filled_inside_strings_and_lengths_anywhere(text: str, expected: str) -> None:
    assert filled(promql.check(text, KNOWN), "event") == expected


@pytest.mark.parametrize(
    "text", ['up{a=~"$service"}', "up{a!~'$service'}", 'up{a=~\n"$service"}', 'up{a=~#$\n"$service"}']
)
def test_a_value_is_taken_literally_by_a_matcher_of_regular_expressions(text: str) -> None:
    assert filled(text, "a.b|c").endswith(r"a\\.b\\|c" + text[-2:])


def test_what_a_value_says_is_not_filled_again() -> None:
    assert filled('up{a="$service"}', "$window $version") == 'up{a="$window $version"}'


def test_the_macro_becomes_what_slo_yaml_says_and_its_names_are_filled() -> None:
    text = promql.expanded('up{$select, a="$select"} # $select', 'service=~"$service"')
    assert text == 'up{service=~"$service", a="$select"} # $select'
    assert filled(promql.expanded("up{$select}", "a='$service'"), "b'") == r"up{a='b\x27'}"


@pytest.mark.parametrize("text", EXPRESSIONS)
@pytest.mark.prometheus
def test_odd_values_leave_an_expression_as_it_was(text: str, tmp_path: Path) -> None:
    found = [filled(promql.check(text, KNOWN), value) for value in ODD]
    assert {skeleton(one) for one in found} == {skeleton(filled(text, "event"))}
    of_range = text.endswith("$window")  # a rule comes to a vector: a range is counted
    assert parsed([f"count_over_time({one})" if of_range else one for one in found], tmp_path) == ""


@given(some.lists(values, min_size=1, max_size=40))
@example(list(ODD))
@settings(max_examples=40)
@pytest.mark.prometheus
def test_any_value_leaves_an_expression_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, given_values: list[str]
) -> None:
    found = [filled(text, value) for text in EXPRESSIONS[:-1] for value in given_values]
    expected = [skeleton(filled(text, "event")) for text in EXPRESSIONS[:-1] for _ in given_values]
    assert [skeleton(one) for one in found] == expected
    assert parsed(found, tmp_path_factory.mktemp("rules")) == ""


@given(values)
def test_prometheus_reads_the_value_that_was_said(value: str) -> None:
    exact = LITERAL.search(filled('{a="$service"}', value))
    literal = LITERAL.search(filled("{a=~'$service'}", value))
    assert exact
    assert literal
    assert unquoted(exact[1]) == value
    assert re.fullmatch(unquoted(literal[2]), value)


@pytest.mark.prometheus
def test_a_series_is_found_by_its_odd_label_and_no_other_is(tmp_path: Path) -> None:
    """Back-filled text cannot have every character in a label: what it can is enough to see both matchers at work."""
    at = 1_700_000_000.0
    written = [value for value in ODD if value and "\0" not in value]
    series = {f'odd{{of="{_openmetrics(value)}",n="{n}"}}': [(at, n)] for n, value in enumerate(written)}
    with prometheus(tmp_path, history=prom.openmetrics(series)) as running:

        def found(text: str, value: str) -> list[int]:
            return [int(one["value"][1]) for one in running.query(filled(text, value), time=at)]

        for n, value in enumerate(written):
            assert found('odd{of="$service"}', value) == [n], value
            assert found("odd{of='$service'}", value) == [n], value
            assert found('odd{of=~"$service"}', value) == [n], value
            assert found("odd{of=~'x|$service'}", value) == [n], value
            assert len(found('odd{of!~"$service"}', value)) == len(written) - 1, value


def _openmetrics(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


@pytest.mark.parametrize(
    ("text", "code", "marked"),
    [
        ('up{a="$nobody"}', "unknown-name", '"$nobody"'),
        ('up{a="$serviced"}', "unknown-name", '"$serviced"'),
        ('up{a="$select"}', "unknown-name", '"$select"'),
        ("rate(up[$long])", "unknown-name", "$long"),
        ("up{a=$service}", "bare-name", "$service"),
        ("$service", "bare-name", "$service"),
        ("up{a=`$service`}", "raw-name", "`$service`"),
        ("up{a=`$nobody`}", "raw-name", "`$nobody`"),
        (r'up{a="\$service"}', "escaped-name", r'"\$service"'),
        (r'up{a="\\\$service"}', "escaped-name", r'"\\\$service"'),
        ('up{a="b}', "open-string", '"'),
        ("up{a='b}", "open-string", "'"),
        ("up{a=`b}", "open-string", "`"),
        ('up{a="b\n"}', "open-string", '"'),
        ('up{a="b\\"}', "open-string", '"'),
    ],
)
def test_what_cannot_be_filled_is_told_with_its_place(text: str, code: str, marked: str) -> None:
    with pytest.raises(ExpressionError) as told:
        promql.check(text, KNOWN)
    error = told.value
    assert (error.code, text[error.offset : error.offset + error.length]) == (code, marked)
    assert error.help


def test_the_macro_stands_where_it_may() -> None:
    assert promql.check("up{$select}", KNOWN) == "up{$select}"
    with pytest.raises(ExpressionError, match="unknown"):
        promql.check("up{$select}", KNOWN, macro=False)


@pytest.mark.parametrize(
    "text", ['up # "', "up # $nobody", 'up{a=`"`}', "up{a='\"'}", r'up{a="\\"}', r'up{a="\\$service"}']
)
def test_quotes_and_names_that_are_none_are_let_be(text: str) -> None:
    assert promql.check(text, KNOWN) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x_total", "increase(x_total[60s])"),
        (' x_total{a="b"} ', 'increase(x_total{a="b"}[60s])'),
        ('{__name__="x_total"}', 'increase({__name__="x_total"}[60s])'),
        ('x_total{a="}",b=~"[{]",c=`{`}', 'increase(x_total{a="}",b=~"[{]",c=`{`}[60s])'),
        ("job:x:sum", "increase(job:x:sum[60s])"),
        ("x_total # of all", "increase(x_total[60s])"),
        ("# of all\nx_total", "increase(x_total[60s])"),
        ("sum(x_total)", "sum (increase(x_total[60s]))"),
        ('sum by (a, b) (x_total{c=~"(5..)"}) # all', 'sum by (a, b) (increase(x_total{c=~"(5..)"}[60s]))'),
        ("sum without(a)(x_total)", "sum without(a) (increase(x_total[60s]))"),
    ],
)
@pytest.mark.prometheus
def test_what_a_counter_grew_by_is_asked_before_it_is_summed(text: str, expected: str, tmp_path: Path) -> None:
    assert promql.increase(text, "60s") == expected
    assert parsed([expected], tmp_path) == ""


@pytest.mark.parametrize(
    "text",
    ["x_total + y_total", "x_total offset 5m", "x_total or y_total", "max(x)", "rate(x[5m])", "sum(rate(x[5m]))"],
)
def test_what_is_no_counter_has_no_increase(text: str) -> None:
    with pytest.raises(ExpressionError, match="no counter"):
        promql.counter_in(text)


def test_names_are_found_wherever_they_count() -> None:
    assert promql.names_in("rate(up{a=\"$b\", c='$d'}[$e]) # $f") == {"b", "d", "e"}
    assert promql.names_in("up{a=`$b`}") == set()
