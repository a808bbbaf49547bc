"""The recorded cases are all there, small, and what the index says of them."""

import gzip
import json
import zlib
from typing import Any

import pytest

from tests.broken.cases import CASES, Case
from tests.broken.record import INDEX, RUNS, TORN_OFF, entry, machine_readable, packed

ENTRIES: dict[str, dict[str, Any]] = {told["name"]: told for told in json.loads(INDEX.read_text())["runs"]}
BY_NAME = {case.name: case for case in CASES}
EXIT_CODES = {
    "setup-hangs": 100, "setup-throws": 107, "stopped-by-api": 103, "sigint": 105, "test-abort": 108, "test-fail": 110,
    "aborting-threshold": 99, "threshold-crossed": 99, "killed-gz": 137, "throws-first": 0, "throws-after-first": 0,
    "branch-never-taken": 0, "threshold-mistyped": 0, "service-vanished": 0,
}  # fmt: skip


def test_every_case_is_recorded() -> None:
    assert list(ENTRIES) == [case.name for case in CASES]


def test_every_file_belongs_to_a_case() -> None:
    named = {name for told in ENTRIES.values() for name in (told["file"], told["summary"]) if name}
    assert named == {path.name for path in RUNS.iterdir()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_index_says_what_the_case_says(case: Case) -> None:
    told = ENTRIES[case.name]
    again = entry(case, told["exit_code"], has_summary=told["summary"] is not None)
    assert told == json.loads(json.dumps(again))


def test_the_recorded_files_are_small_enough_to_clone() -> None:
    sizes = {path.name: path.stat().st_size for path in RUNS.iterdir()}
    assert sum(sizes.values()) <= 1_500_000
    assert [name for name, size in sizes.items() if name.endswith(".gz") and size > 40_000] == []


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
def test_k6_ended_as_the_case_needs_it(name: str, code: int) -> None:
    assert ENTRIES[name]["exit_code"] == code


def test_a_past_is_healthy_recorded_before_and_of_the_same_test() -> None:
    names = list(ENTRIES)
    for told in ENTRIES.values():
        for past in told["baseline"]:
            assert names.index(past) < names.index(told["name"])
            assert ENTRIES[past]["expect"]["code"] is None
            assert ENTRIES[past]["metadata"] == told["metadata"]


def test_only_killed_runs_have_no_summary() -> None:
    without = {name for name, told in ENTRIES.items() if told["summary"] is None}
    assert without == {name for name in ENTRIES if name.startswith("killed")}


def test_a_killed_stream_ends_early_and_a_killed_plain_file_does_not_show_it() -> None:
    stream = zlib.decompressobj(wbits=31)
    stream.decompress((RUNS / ENTRIES["killed-gz"]["file"]).read_bytes())
    assert not stream.eof
    assert (RUNS / ENTRIES["killed-after-a-line"]["file"]).read_bytes().endswith(b"}\n")
    assert not (RUNS / ENTRIES["killed-in-a-line"]["file"]).read_bytes().endswith(b"}\n")


def test_packing_keeps_every_byte_and_tearing_takes_some() -> None:
    lines = b'{"type":"Metric"}\n' * 9
    assert gzip.decompress(packed(BY_NAME["sigint"], gzip.compress(lines))) == lines
    assert packed(BY_NAME["killed-in-a-line"], lines) == lines[:-TORN_OFF]


def test_the_machine_readable_summary_has_the_numbers_of_k6s_own() -> None:
    exported = {
        "http_reqs": {"count": 30, "rate": 10.0},
        "checks": {"passes": 3, "fails": 1, "value": 0.75, "thresholds": {"rate>0.95": True}},
        "http_req_duration": {"avg": 2.0, "med": 1.5, "p(95)": 4.0},
        "vus": {"value": 2, "min": 1, "max": 2},
    }
    written = machine_readable(BY_NAME["k6-version-differs"], {"metrics": exported}, "export default () => {}")
    assert written["metadata"]["k6_version"] == "1.0.0"
    assert written["config"]["duration"] == pytest.approx(3.0)
    values = {metric["name"]: (metric["type"], metric["values"]) for metric in written["results"]["metrics"]}
    assert values["checks"] == ("rate", {"matches": 3, "rate": 0.75, "total": 4})
    assert values["http_req_duration"] == ("trend", {"avg": 2.0, "med": 1.5, "p95": 4.0})
    assert values["http_reqs"] == ("counter", {"count": 30})
    assert values["vus"][0] == "gauge"
