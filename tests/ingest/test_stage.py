"""Which lines of k6's files become samples, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pytest

from ingest.block import Counts, counts
from ingest.limits import Limits
from ingest.stage import Source, first_not_k6s, stage
from tests.ingesting import Bench
from tests.k6_output import CSV_HEADER, FILES, csv, definition, ndjson, plain, point, raw_point, row

TORN = "the file ends in the middle of a line"
Read = Callable[[bytes], tuple[Counts, int | None]]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Stage a file: what became of its lines, and the number of the first that is not k6's."""
    folder = tmp_path_factory.mktemp("stage")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")

    def read(content: bytes) -> tuple[Counts, int | None]:
        is_csv = content.startswith((b"metric_name", b"\xef\xbb\xbfmetric_name"))
        source = Source(folder / "source", "r.json", "k6-csv" if is_csv else "k6-json")
        source.path.write_bytes(content)
        refused = stage(connection, source, folder / "staged", Limits())
        first = refused.first_line if is_csv else first_not_k6s(connection, source, Limits())
        return counts(connection, folder / "staged", refused), first

    return read


NOT_K6S = {
    "text": "hello",
    "a number": "42",
    "a string": '"x"',
    "a list": "[1]",
    "null": "null",
    "an empty object": "{}",
    "another object": '{"level":"info","msg":"started"}',
    "no type": '{"metric":"x","data":{"value":1}}',
    "a metric that is null": point(metric=None),
    "a metric with a name longer than k6 allows": point(metric="m" * 129),
    "a torn line": point()[:50],
    "two in one line": point() + point(),
    "a lone surrogate": raw_point(tags='{"a":"\\ud800"}'),
    "NUL": raw_point(tags='{"a":"\0"}'),
}


@pytest.mark.parametrize("line", NOT_K6S.values(), ids=NOT_K6S)
def test_a_line_that_is_not_k6s_is_counted_and_its_number_told(read: Read, line: str) -> None:
    assert read(ndjson(point(1), line, point(2))) == (Counts(lines=4, points=2, malformed=1, dropped=0), 3)


def test_invalid_utf_8_is_a_line_that_is_not_k6s(read: Read) -> None:
    content = ndjson(point(1), raw_point(tags='{"a":"X"}')).replace(b"X", b"\xff\xfe")
    assert read(content) == (Counts(lines=3, points=1, malformed=1, dropped=0), 3)


NO_VALUE = {
    "NaN": "NaN", "Infinity": "Infinity", "minus Infinity": "-Infinity", "1e400": "1e400", "1e101": "1e101",
    "the string NaN": '"NaN"', "the string inf": '"inf"', "text": '"x"', "null": "null", "an object": "{}",
    "a list": "[1]",
}  # fmt: skip


@pytest.mark.parametrize("value", NO_VALUE.values(), ids=NO_VALUE)
def test_a_sample_without_a_finite_value_is_dropped_and_counted(read: Read, value: str) -> None:
    found = read(ndjson(point(1), raw_point(value), raw_point(value), "torn"))
    assert found == (Counts(lines=5, points=1, malformed=1, dropped=2), 5), "the dropped ones are well-formed"


NO_TIME: list[object] = [
    None, "", "yesterday", 17, {}, "infinity", "-infinity", "1969-12-31T23:59:59Z", "0044-03-15 (BC)",
    "0001-01-01T00:00:00+05:30", "9999-12-31T23:59:59Z", "99999-01-01T00:00:00Z", "294247-01-10T04:00:54Z",
]  # fmt: skip


@pytest.mark.parametrize("time", NO_TIME, ids=str)
def test_a_sample_without_a_time_on_the_calendar_is_dropped_and_counted(read: Read, time: object) -> None:
    assert read(ndjson(point(1), point(2, time=time))) == (Counts(lines=3, points=1, malformed=0, dropped=1), None)


TAGS: dict[str, tuple[str, dict[str, str]]] = {
    "null": ("null", {}),
    "empty": ("{}", {}),
    "string": ('"x"', {}),
    "list": ("[1]", {}),
    "no_strings": ('{"a":5,"b":null,"c":true}', {"a": "5", "c": "true"}),
    "escaped_nul": ('{"a":"\\u0000"}', {"a": "\0"}),
    "other_scripts": ('{"größe":"\\ud83d\\ude00 日本"}', {"größe": "😀 日本"}),
    "nested_100_000_deep": ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", {}),
    "a_megabyte": ('{"a":"' + "x" * 1_000_000 + '"}', {"a": "x" * 512}),
}
"""Metric -> tags as written, tags as kept."""


def test_whatever_the_tags_are_the_sample_counts(bench: Bench) -> None:
    lines = [raw_point(tags=tags).replace("http_req_duration", metric) for metric, (tags, _) in TAGS.items()]
    found = {one.metric: one for one in bench.record(ndjson(*lines)).series}
    assert {metric: one.tags for metric, one in found.items()} == {metric: kept for metric, (_, kept) in TAGS.items()}
    assert {(one.n, one.sum) for one in found.values()} == {(1, 1.5)}


def test_a_sample_may_have_no_tags_at_all(bench: Bench) -> None:
    (one,) = bench.record(ndjson(raw_point().replace(',"tags":{}', ""))).series
    assert one.tags == {}


def test_lines_of_a_kind_that_is_not_known_yet_are_passed_over(read: Read) -> None:
    found = read(ndjson(point(), '{"type":"Trace","metric":"x","data":{}}'))
    assert found == (Counts(lines=3, points=1, malformed=0, dropped=0), None)


@pytest.mark.parametrize("content", [ndjson(point()).replace(b"\n", b"\r\n"), ndjson(point()) + b"\n\n \n"])
def test_line_ends_and_blank_lines_do_not_matter(read: Read, content: bytes) -> None:
    assert read(content) == (Counts(lines=2, points=1, malformed=0, dropped=0), None)


class TestDefinitions:
    def test_a_metric_type_that_is_not_known_is_accepted_as_unknown(self, bench: Bench) -> None:
        kinds = {"a": "histogram", "b": 7, "c": None, "d": ""}
        lines = [line for m, kind in kinds.items() for line in (definition(m, kind), point(3, metric=m))]
        found = bench.record("\n".join(lines).encode()).metrics
        assert [(m.name, m.type, m.stats and m.stats.max) for m in found] == [(m, "unknown", 3) for m in kinds]

    def test_thresholds_come_as_text_or_as_objects(self, bench: Bench) -> None:
        written = '["p(95)<500",{"threshold":"avg<200","abortOnFail":true,"delayAbortEval":"10s"},{"threshold":5},null]'
        found = bench.record(f"{definition(thresholds=written)}\n{point()}\n".encode()).thresholds
        assert [(t.source, t.abort_on_fail) for t in found] == [("p(95)<500", False), ("avg<200", True)]
        assert {t.ok for t in found} == {None}

    def test_sub_metrics_are_kept_by_name(self, bench: Bench) -> None:
        written = '[{"name":"http_req_duration{a:b}","suffix":"a:b","tags":{"a":"b"}},{"name":5},"x"]'
        (metric,) = bench.record(f"{definition(submetrics=written)}\n{point()}\n".encode()).metrics
        assert metric.submetrics == ("http_req_duration{a:b}",)

    def test_anything_else_there_is_nothing(self, bench: Bench) -> None:
        odd = ['"abc"', "5", '{"a":1}', "null", "[" * 100_000 + "]" * 100_000]
        lines = [definition(f"m{i}", thresholds=text, submetrics=text) for i, text in enumerate(odd)]
        found = bench.record("\n".join([*lines, point()]).encode())
        assert found.thresholds == ()
        assert {metric.submetrics for metric in found.metrics} == {()}


class TestCsv:
    def test_a_row_becomes_a_sample(self, bench: Bench) -> None:
        (one,) = bench.record(csv(row("2.500000", name='"a,b ""q""\nnext line"', extra="b=1&c=x=y"))).series
        assert one.tags == {
            "b": "1", "c": "x=y", "expected_response": "true", "method": "GET", "name": 'a,b "q"\nnext line',
            "proto": "HTTP/1.1", "scenario": "buy", "service": "event", "status": "200",
        }  # fmt: skip
        assert (one.metric, one.n, one.sum) == ("http_req_duration", 1, 2.5)

    @pytest.mark.parametrize(
        ("extra", "kept"),
        [
            ("", {}), ("a=", {}), ("a", {}), ("a=1&&=x&b", {"a": "1", "": "x"}), ("a=1&a=2", {"a": "2"}),
            ('"a=""1"""', {"a": '"1"'}),
        ],
    )  # fmt: skip
    def test_extra_tags_are_read_as_k6_joins_them(self, bench: Bench, extra: str, kept: dict[str, str]) -> None:
        header = "metric_name,timestamp,metric_value,extra_tags,metadata"
        (one,) = bench.record(csv(f"m,1763710792,1,{extra},vu=1", header=header)).series
        assert one.tags == kept

    @pytest.mark.parametrize(
        "line",
        ["a,b", row() + ",x", row().removeprefix("http_req_duration"), row(name="\udcff"), row(name="x" * 100_000)],
        ids=["too short", "too long", "no metric", "not UTF-8", "longer than any row"],
    )
    def test_a_row_that_does_not_fit_is_counted(self, read: Read, line: str) -> None:
        content = ("\n".join([CSV_HEADER, row("1"), line, row("2")]) + "\n").encode("utf-8", "surrogateescape")
        found, first = read(content)
        assert found == Counts(lines=3, points=2, malformed=1, dropped=0)
        assert first == (None if line.startswith(",") else 3)

    @pytest.mark.parametrize("value", ["nan", "inf", "x", "", "1e400"])
    def test_a_row_without_a_finite_value_is_dropped_and_counted(self, read: Read, value: str) -> None:
        assert read(csv(row("1"), row(value))) == (Counts(lines=2, points=1, malformed=0, dropped=1), None)

    @pytest.mark.parametrize("time", ["", "x", "-1", "-9223372036854775808", "9223372036854775808", "infinity"])
    def test_a_row_without_a_time_on_the_calendar_is_dropped_and_counted(self, read: Read, time: str) -> None:
        assert read(csv(row("1"), row("2", time=time))) == (Counts(lines=2, points=1, malformed=0, dropped=1), None)

    def test_a_byte_order_mark_and_other_line_ends_do_not_matter(self, read: Read) -> None:
        content = b"\xef\xbb\xbf" + csv(row("1"), row("2")).replace(b"\n", b"\r\n")
        assert read(content) == (Counts(lines=2, points=2, malformed=0, dropped=0), None)

    def test_a_row_cut_anywhere_is_left_out(self, read: Read) -> None:
        last = row("123.456000")
        for cut in range(1, len(last), 4):
            found, first = read(csv(row("1"), last[:-cut], end=""))
            assert (found, first) == (Counts(lines=2, points=1, malformed=1, dropped=0), 3), last[:-cut]


class TestCut:
    @pytest.mark.parametrize("cut", [1, 40, 80])
    def test_json_cut_in_its_last_line_keeps_the_lines_before(self, bench: Bench, cut: int) -> None:
        content = plain("event.json.gz")
        lines = content.count(b"\n")
        (found,) = bench.record(content[: -1 - cut]).artefacts
        assert (found.lines, found.malformed_lines, found.first_malformed_line) == (lines, 1, lines)
        assert found.truncated == TORN

    def test_csv_cut_in_its_last_row_keeps_the_rows_before(self, bench: Bench) -> None:
        record = bench.record(csv(row("1"), row("2")[:-50], end=""))
        assert [one.max for one in record.series] == [1]
        assert record.artefacts[0].truncated == TORN

    def test_a_last_line_without_its_end_may_be_whole(self, bench: Bench) -> None:
        (found,) = bench.record(ndjson(point(5), end="")).artefacts
        assert (found.points, found.truncated) == (1, None)

    def test_gzip_that_a_killed_k6_left_keeps_what_can_be_read(self, bench: Bench) -> None:
        (found,) = bench.record((FILES / "killed.json.gz").read_bytes()).artefacts
        assert (found.points, found.malformed_lines, found.first_malformed_line) == (1639, 1, found.lines)
        assert found.truncated == "the gzip stream ends early"
