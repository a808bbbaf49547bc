"""k6's summaries in all their shapes say the same, and nothing that is secret."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from data.errors import ArtefactTooLarge, UnreadableArtefact
from data.model import Metric, SummaryValue, Threshold
from ingest.summary import Summary, parse_summary
from tests.k6_output import FILES

CANARY = "canary-4f1c"
SCRIPT = f"import http from 'k6/http'; const token = '{CANARY}'"


def parsed(document: object, folder: Path) -> Summary:
    path = folder / "s.json"
    path.write_bytes(orjson.dumps(document))
    return parse_summary(path, "s.json", 1 << 20)


def values(summary: Summary) -> dict[tuple[str, str], float]:
    return {(v.metric, v.stat): v.value for v in summary.values}


def machine_readable(*, camel: bool) -> dict[str, Any]:
    """The summary that k6 1.5 and later write, as k6 does and as its schema has it."""
    trend = {"avg": 4.5, "max": 9, "med": 4, "min": 1}
    percentiles = {"p(90)": 8, "p(95)": 8.5} if camel else {"p90": 8, "p95": 8.5}
    metadata = (
        {"generatedAt": "2026-08-21T09:43:41.123Z", "k6Version": "2.2.0"}
        if camel
        else {"generated_at": "2026-08-21T09:43:41.123Z", "k6_version": "2.2.0"}
    )
    return {
        "version": "1.0.0",
        "metadata": metadata,
        "config": {"duration": 12.34, "execution": "local", "script": SCRIPT},
        "results": {
            "checks": {
                "metrics": [
                    {"name": "checks_total", "type": "counter", "contains": "default", "values": {"count": 30}}
                ],
                "results": [{"name": "status is 200", "passes": 25, "fails": 5}],
            },
            "metrics": [
                {"name": "http_req_duration", "type": "trend", "contains": "time", "values": trend | percentiles},
                {"name": "http_req_duration{name:/a}", "type": "trend", "contains": "time", "values": trend},
                {"name": "http_req_failed", "type": "rate", "contains": "default",
                 "values": {"matches": 2, "rate": 0.5, "total": 4}},
                {"name": "data_sent", "type": "counter", "contains": "data", "values": {"count": 100}},
                {"name": "vus", "type": "gauge", "contains": "default", "values": {"value": 3, "min": 1, "max": 5}},
                {"name": "odd", "type": "histogram", "contains": "weather", "values": {"count": 1}},
            ],
        },
        "setup_data": {"token": CANARY},
    }  # fmt: skip


def test_the_export_and_the_data_of_handle_summary_say_the_same() -> None:
    export = parse_summary(FILES / "event.summary-export.json", "e", 1 << 20)
    handled = parse_summary(FILES / "event.handle-summary.json", "h", 1 << 20)
    assert (export.kind, handled.kind) == ("k6-summary-export", "k6-handle-summary")
    assert values(export) == values(handled)
    assert set(export.thresholds) == set(handled.thresholds)
    assert {m.name: m.type for m in export.metrics} == {m.name: m.type for m in handled.metrics}
    assert export.duration_s == pytest.approx(handled.duration_s)


def test_a_threshold_is_ok_unless_it_was_crossed(tmp_path: Path) -> None:
    export = {"metrics": {"m": {"avg": 1, "thresholds": {"avg<2": False, "avg<1": True, "odd": "x"}}}}
    handled = {"metrics": {"m": {"values": {"avg": 1}, "thresholds": {"avg<2": {"ok": True}, "avg<1": {"ok": False}}}}}
    expected = (Threshold("m", "avg<2", ok=True), Threshold("m", "avg<1", ok=False))
    assert parsed(export, tmp_path).thresholds == parsed(handled, tmp_path).thresholds == expected


@pytest.mark.parametrize("camel", [False, True], ids=["snake_case", "camelCase"])
def test_the_machine_readable_summary_is_read_in_both_spellings(tmp_path: Path, *, camel: bool) -> None:
    summary = parsed(machine_readable(camel=camel), tmp_path)
    assert summary.kind == "k6-machine-summary"
    assert (summary.k6_version, summary.duration_s, summary.thresholds) == ("2.2.0", 12.34, ())
    found = values(summary)
    assert found["http_req_duration", "p(90)"] == 8
    assert found["http_req_duration", "p(95)"] == 8.5
    assert found["http_req_duration{name:/a}", "avg"] == 4.5
    assert (found["http_req_failed", "rate"], found["http_req_failed", "passes"]) == (0.5, 2)
    assert summary.metrics == (
        Metric("http_req_duration", "trend", "time"),
        Metric("http_req_failed", "rate"),
        Metric("data_sent", "counter", "data"),
        Metric("vus", "gauge"),
        Metric("odd", "unknown"),
    )


def test_of_the_script_only_its_hash_is_kept_and_of_setup_data_nothing(tmp_path: Path) -> None:
    document = machine_readable(camel=False)
    summary = parsed(document, tmp_path)
    assert summary.script_hash == sha256(SCRIPT.encode()).hexdigest()
    assert CANARY not in repr(summary)


def test_the_kind_of_a_metric_follows_from_its_name_or_its_numbers(tmp_path: Path) -> None:
    metrics = {
        "http_req_duration": {"avg": 1},
        "own_trend": {"med": 1},
        "own_rate": {"passes": 1, "fails": 1, "value": 0.5},
        "own_counter": {"count": 5, "rate": 2.5},
        "own_gauge": {"value": 1, "min": 1, "max": 1},
        "own_nothing": {"thresholds": {}},
    }
    summary = parsed({"metrics": metrics}, tmp_path)
    kinds = {m.name: m.type for m in summary.metrics}
    assert kinds == {
        "http_req_duration": "trend", "own_trend": "trend", "own_rate": "rate", "own_counter": "counter",
        "own_gauge": "gauge", "own_nothing": "unknown",
    }  # fmt: skip
    assert summary.duration_s == 2
    assert SummaryValue("own_rate", "rate", 0.5) in summary.values


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    body = {"avg": None, "min": "1", "med": True, "max": [1], "p(95)": 2, "p(99.9)": 3, "p(x)": 4, "other": 5}
    found = values(parsed({"metrics": {"m": body, "n": 5, "o": None}}, tmp_path))
    assert found == {("m", "p(95)"): 2, ("m", "p(99.9)"): 3}


REFUSED = {
    "not JSON": (b"{'metrics': {}}", "s.json is not valid JSON"),
    "cut short": ((FILES / "event.summary-export.json").read_bytes()[:2000], "s.json is not valid JSON"),
    "nested without end": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "s.json is not valid JSON"),
    "not UTF-8": (b'{"metrics":{"m":{"avg":1,"x":"\xff"}}}', "s.json is not valid JSON"),
    "NaN": (b'{"metrics":{"m":{"avg":NaN}}}', "s.json is not valid JSON"),
    "another document": (b'{"name":"package","version":"1.0.0"}', "s.json is JSON, but not a summary of k6"),
    "no metrics": (b'{"metrics":{}}', "s.json is JSON, but not a summary of k6"),
    "metrics without numbers": (b'{"metrics":{"m":5,"n":{}}}', "s.json is JSON, but not a summary of k6"),
    "a list": (b"[1]", "s.json is JSON, but not a summary of k6"),
    "metrics of another shape": (b'{"metrics":[1]}', "s.json is JSON, but not a summary of k6"),
}


@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(UnreadableArtefact, match=said) as refused:
        parse_summary(path, "s.json", 1 << 20)
    assert refused.value.help


def test_a_document_too_large_for_a_summary_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: reading it would take a terabyte
    with pytest.raises(ArtefactTooLarge, match=r"s\.json is a JSON document of 1,099,511,627,776 bytes"):
        parse_summary(path, "s.json", 1 << 20)
