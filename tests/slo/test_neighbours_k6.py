"""k6's thresholds as objectives, and objectives as k6's thresholds."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

import demo
from data.errors import ArtefactTooLarge, BadInput, NotFound, UnreadableArtefact
from data.model import RunMeta
from data.store import Store
from examples.nightbff.record import K6
from ingest.service import Upload
from slo.config import parse_config
from slo.neighbours.draft import Draft, Imported, written
from slo.neighbours.files import lines_of
from slo.neighbours.k6 import MOST_BYTES, import_k6, read_script
from slo.neighbours.k6_export import Thresholds, as_js, as_json, differences, export_k6
from slo.plan import Objective, Phase
from slo.service import ConfigSource, Service
from slo.source import InvalidConfig
from slo.target import Target
from tests.ingesting import Quick
from tests.k6_output import FILES, definition, ndjson, point

OF_THE_DEMO = [
    (None, "checks", "rate > 95%"),
    (None, "group_duration{group:::event::crud}", "p(95) < 1000ms"),
    (None, "http_req_duration{name:/event/search}", "p(95) < 200ms"),
    ("event", "http_req_duration", "avg < 150ms"),
    ("event", "http_req_duration", "p(95) < 250ms"),
    ("event", "http_req_failed", "rate < 5%"),
    (None, "rows_created", "count > 50"),
]
"""What examples/nightbff/k6/event-crud.js asks of itself."""


def options(**thresholds: object) -> bytes:
    return json.dumps({"thresholds": thresholds}).encode()


def imported(content: bytes, service: str | None = None) -> Imported:
    return import_k6(content.splitlines(keepends=True), "options.json", service=service)


def objectives(found: Imported) -> tuple[Objective, ...]:
    return parse_config(found.text).phases[0].objectives


def asked(found: Imported) -> list[tuple[str | None, str, str]]:
    listed = [(one.service, str(one.sli), one.asks.text) for one in objectives(found)]
    return sorted(listed, key=lambda one: (one[1], one[0] or "", one[2]))


def of_one(metric: str, threshold: object) -> tuple[Objective, tuple[str, ...]]:
    found = imported(options(**{metric: [threshold]}))
    return objectives(found)[0], found.notes


def phase(*lines: str) -> Phase:
    listed = "\n".join(f"      - {line}" for line in lines)
    return parse_config(f"version: 1\nphases:\n  - id: a\n    objectives:\n{listed}\n").phases[0]


# Files


@pytest.mark.parametrize(
    "file",
    [
        FILES / "event.summary-export.json",
        FILES / "event.handle-summary.json",
        FILES / "event-full.handle-summary.json",
    ],
    ids=lambda path: path.name,
)
def test_every_summary_of_k6_says_the_same(file: Path) -> None:
    found = import_k6(lines_of(file), file.name)
    assert asked(found) == sorted(OF_THE_DEMO, key=lambda one: (one[1], one[0] or "", one[2]))
    assert list(parse_config(found.text).services) == ["event"]
    assert any("asked of whole runs only" in note for note in found.notes)
    assert any("setup() and teardown()" in note for note in found.notes)


def test_samples_tell_whole_metrics_only_and_say_so() -> None:
    found = import_k6(lines_of(FILES / "event.json.gz"), "event.json.gz")
    assert asked(found) == [(None, "checks", "rate > 95%"), (None, "rows_created", "count > 50")]
    (note,) = [note for note in found.notes if "http_req_duration{service:event}" in note]
    assert "k6 inspect" in note
    assert "expected_response" not in note


def test_what_defines_a_metric_is_found_among_samples_wherever_it_stands() -> None:
    late = definition(
        "cache_hits", "rate", "default", thresholds='["rate>0.6",{"threshold":"rate>0.2","abortOnFail":true}]'
    )
    broken = [definition("a", "trend", "time", submetrics="5"), '{"type":"Metric","metric":"b"', "5"]
    found = imported(ndjson(point(tags={"x": '"Metric"'}), *broken, late))
    assert asked(found) == [(None, "cache_hits", "rate > 60%")]
    assert any("`rate>0.2`: left out" in note for note in found.notes)


# What a threshold becomes


@pytest.mark.parametrize(
    ("metric", "threshold", "sli", "target"),
    [
        ("http_req_duration", "p(95)<500", "http_req_duration", "p(95) < 500ms"),
        ("http_req_duration", "  p(99.90) <= 1.5e3 ", "http_req_duration", "p(99.9) <= 1500ms"),
        ("http_req_duration", "med===.5", "http_req_duration", "med == 0.5ms"),
        ("http_req_failed", "rate<0.001", "http_req_failed", "rate < 0.1%"),
        ("http_req_failed", "rate<=1", "http_req_failed", "rate <= 100%"),
        ("checks{check:plan created}", "rate>.95", "checks{check:plan created}", "rate > 95%"),
        ("http_reqs", "rate>0.5", "http_reqs", "rate > 0.5/s"),
        ("http_reqs", "count!=0", "http_reqs", "count != 0"),
        ("data_received", "count<1000000", "data_received", "count < 1000000B"),
        ("data_sent", "rate<10", "data_sent", "rate < 10/s"),
        ("vus_max", "value>=15", "vus_max", "value >= 15"),
        ("browser_web_vital_cls", "p(75)<0.1", "browser_web_vital_cls", "p(75) < 0.1"),
        ("vus{group:::a::b,scenario:'buy'}", "value<9", "vus{group:::a::b, scenario:buy}", "value < 9"),
    ],
)  # fmt: skip
def test_a_threshold_gets_the_unit_that_k6_takes_for_granted(
    metric: str, threshold: str, sli: str, target: str
) -> None:
    objective, _ = of_one(metric, threshold)
    assert (str(objective.sli), objective.target.text) == (sli, target)


@pytest.mark.parametrize(
    ("threshold", "target", "note"),
    [
        ("p(95)<800", "p(95) < 800", "mine: the script's own"),
        ("value<3", "value < 3", "mine: the script's own"),
        ("rate>0.6", "rate > 60%", "mine: taken for a Rate"),
        ("rate>10", "rate > 10/s", None),
        ("count>50", "count > 50", None),
    ],
)
def test_what_a_metric_of_the_scripts_own_is_was_assumed_and_is_told(
    threshold: str, target: str, note: str | None
) -> None:
    objective, notes = of_one("mine", threshold)
    assert objective.target.text == target
    assert [told.startswith(note or "") for told in notes if told.startswith("mine")] == ([True] if note else [])


def test_a_summary_with_types_leaves_nothing_to_assume() -> None:
    body = {"type": "trend", "contains": "time", "values": {"avg": 1}, "thresholds": {"p(95)<2000": {"ok": True}}}
    found = imported(json.dumps({"metrics": {"media": body, "media{a:b}": body}}).encode())
    assert [target for *_, target in asked(found)] == ["p(95) < 2000ms", "p(95) < 2000ms"]
    assert not any("the script's own" in note for note in found.notes)


def test_the_service_is_that_of_the_tag_or_the_one_that_is_named() -> None:
    content = options(**{"http_req_duration{service:event, name:/x}": ["med<=200"], "http_req_failed": ["rate<0.01"]})
    assert asked(imported(content, "shop")) == [
        ("event", "http_req_duration{name:/x}", "med <= 200ms"),
        ("shop", "http_req_failed", "rate < 1%"),
    ]
    assert not any("whole runs" in note for note in imported(content, "shop").notes)
    assert asked(imported(options(**{'http_reqs{service:""}': ["count>1"]}))) == [
        (None, 'http_reqs{service:""}', "count > 1")
    ]


def test_a_threshold_on_setup_includes_setup() -> None:
    assert of_one("http_req_duration{group:::setup}", "max<9000")[0].include == ("setup",)
    assert of_one("http_req_duration{group:::setup::seed}", "max<9000")[0].include == ("setup",)
    assert of_one("http_req_duration{group:::setup, scenario:a}", "max<9000")[0].include == ()


def test_an_aborting_threshold_is_a_key_objective_and_the_note_says_what_it_is_not() -> None:
    objective, notes = of_one("http_reqs", {"threshold": "count>5", "abortOnFail": True, "delayAbortEval": "10s"})
    assert objective.key
    assert any("`abortOnFail` became `key: true`" in note and "delayAbortEval" in note for note in notes)
    objective, notes = of_one("http_reqs", {"threshold": "count>5", "abortOnFail": False})
    assert not objective.key
    assert not any("abortOnFail" in note for note in notes)


@pytest.mark.parametrize(
    ("thresholds", "kept", "note"),
    [
        (["p(95)<800", "p(95)<500"], "p(95) < 500ms", "`p(95)<800`: left out, because whoever meets"),
        (["p(95)<500", "p(95)<=500"], "p(95) < 500ms", "`p(95)<=500`: left out, because whoever meets"),
        (["avg<5", "avg<5.0"], "avg < 5ms", "`avg<5.0`: left out, because whoever meets"),
        (["p(95)<800", "p(95)<600", "p(95)<500"], "p(95) < 500ms", "`p(95)<600`: left out, because whoever meets"),
    ],
)
def test_of_two_thresholds_on_a_statistic_one_that_the_other_implies_is_left_out(
    thresholds: list[str], kept: str, note: str
) -> None:
    found = imported(options(http_req_duration=thresholds))
    assert [target for *_, target in asked(found)] == [kept]
    assert any(note in told for told in found.notes)


@pytest.mark.parametrize(
    ("metric", "thresholds", "kept"),
    [
        ("http_req_failed", ["rate>0.001", "rate<0.05"], "rate > 0.1% and < 5%"),
        ("vus", ["value>1", "value<5", "value<9"], "value > 1 and < 5"),
        ("http_req_duration", ["min>=1", "min!=3", "min<9"], "min >= 1ms and != 3ms and < 9ms"),
        ("mine", ["rate>0.5", "rate<20"], "rate > 0.5/s and < 20/s"),
    ],
)
def test_of_several_thresholds_on_a_statistic_all_have_to_hold(metric: str, thresholds: list[str], kept: str) -> None:
    found = imported(options(**{metric: thresholds}))
    assert [target for *_, target in asked(found)] == [kept]
    assert [note.split("`")[3] for note in found.notes if ": left out" in note] == ["value<9"] * (metric == "vus")


@pytest.mark.parametrize("aborting", ["p(95)<500", "p(95)<100", "p(95)>1"])
def test_of_several_thresholds_one_that_aborts_makes_the_objective_key(aborting: str) -> None:
    found = imported(options(http_req_duration=["p(95)<300", {"threshold": aborting, "abortOnFail": True}]))
    (one,) = objectives(found)
    assert one.key
    assert any(f"`{aborting}`: `abortOnFail` became `key: true`" in note for note in found.notes)


@pytest.mark.parametrize(
    ("metric", "threshold", "why"),
    [
        ("http_req_duration", "p(95)<500 && avg<200", "k6 reads `statistic operator number`"),
        ("http_req_duration", "p(95)<500ms", "k6 reads `statistic operator number`"),
        ("http_req_duration", "p(95)<1_000", "k6 reads `statistic operator number`"),
        ("http_req_duration", "p(95)<1e300", "is not a number to compare with"),
        ("http_req_duration", "count>5", "a trend has no `count`"),
        ("http_req_failed", "rate<5", "asks for a share that cannot be"),
        ("http_req_duration", "p(101)<5", "a percentile is between 0 and 100"),
        ("http_req_duration", "last<5", "a trend has no `last`"),
        ("own", "last<5", "no k6 metric has `last`"),
        ("http_req_duration{a}", "max<5", "has no value"),
        ("http_req_duration{a:b\u202ec}", "max<5", "control characters"),
        ("", "max<5", "starts with the name of a metric"),
    ],
)
def test_what_slo_yaml_cannot_say_is_a_note(metric: str, threshold: str, why: str) -> None:
    found = imported(options(**{metric: [threshold], "iterations": ["count>0"]}))
    assert len(objectives(found)) == 1
    assert any("left out" in note and why in note for note in found.notes)
    with pytest.raises(UnreadableArtefact, match=r"no threshold that slo\.yaml can say"):
        imported(options(**{metric: [threshold]}))


def test_a_number_below_zero_never_becomes_a_change() -> None:
    found = imported(options(own=["max>-5"], iterations=["count>0"]))
    assert [one.target.threshold for one in objectives(found) if str(one.sli) == "own"] in ([], [-5.0])
    assert "max > -5" not in found.text


# Bad input


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"{", "is not valid JSON"),
        (b"\x1f\x8b", "is not valid JSON"),
        (b"\xff\xfe{", "is not valid JSON"),
        (b'{"thresholds": {"a": ["p(95)<\xff"]}}', "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[]", "neither a summary of k6 nor a script's options"),
        (b"7", "neither a summary of k6 nor a script's options"),
        (b'{"metrics": []}', "neither a summary of k6 nor a script's options"),
        (b'{"thresholds": null}', "has no thresholds"),
        (b'{"thresholds": {}}', "has no thresholds"),
        (b'{"metrics": {"http_reqs": {"count": 1}}}', "has no thresholds"),
        (b'{"thresholds": ["rate<1"]}', "`thresholds` should be like"),
        (b'{"thresholds": {"http_reqs": "count>1"}}', "the thresholds of `http_reqs` should be like"),
        (b'{"thresholds": {"http_reqs": {"threshold": "count>1"}}}', "the thresholds of `http_reqs` should be like"),
        (b'{"thresholds": {"http_reqs": [5]}}', "a threshold of `http_reqs` should be like"),
        (b'{"thresholds": {"http_reqs": [{"threshold": null}]}}', "a threshold of `http_reqs` should be like"),
        (b'{"metrics": {"http_reqs": 5}}', "the thresholds of `http_reqs` should be like"),
        (b'{"metrics": {"http_reqs": {"thresholds": ["count>1"]}}}', "the thresholds of `http_reqs` should be like"),
        (b'{"results": {"metrics": []}, "version": "1.0.0"}', "machine-readable summary, which has no thresholds"),
        (b"metric_name,timestamp,metric_value\nhttp_reqs,1,1\n", "k6's CSV, which has no thresholds"),
        (
            b"// load\nimport http from 'k6/http';\nexport const options = {};\n",
            "is a script, and scripts are not executed",
        ),
        (b"'use strict';\nvar a;\n", "is a script, and scripts are not executed"),
        (ndjson(point()), "has no thresholds"),
        (ndjson(definition(thresholds='"p(95)<5"')), "the thresholds of `http_req_duration` should be like"),
    ],
)
def test_what_is_no_file_with_thresholds_is_one_clear_error(content: bytes, what: str) -> None:
    with pytest.raises(UnreadableArtefact, match=r"options\.json") as caught:
        imported(content)
    assert what in str(caught.value)
    assert "k6 inspect script.js" in str(caught.value)


def test_a_document_without_end_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(ArtefactTooLarge, match="more than 32 MiB"):
        import_k6(repeat(b'{"a": ' + b" " * (MOST_BYTES // 4)), "huge.json")
    with pytest.raises(ArtefactTooLarge, match="more than 32 MiB"):
        import_k6(repeat(b"\n" * 10_000), "blank.json")


def test_a_gzip_stream_that_ends_early_is_an_error(tmp_path: Path) -> None:
    whole = gzip.compress(ndjson(*(point(float(n)) for n in range(5000))))
    for number, content in enumerate([whole[: len(whole) // 2], b"\x1f\x8b", b"\x1f\x8b" + b"x" * 100]):
        path = tmp_path / str(number)
        path.write_bytes(content)
        with pytest.raises(UnreadableArtefact, match="could not read"):
            import_k6(lines_of(path), path.name)
    with pytest.raises(UnreadableArtefact, match="could not read"):
        list(lines_of(tmp_path))


def test_a_phase_that_cannot_be_is_said() -> None:
    with pytest.raises(InvalidConfig, match=r"is not an id"):
        import_k6([options(http_reqs=["count>1"])], "o.json", phase="a b")


some_json = some.recursive(
    some.none() | some.booleans() | some.floats(allow_nan=False) | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
some_thresholds = some.dictionaries(
    some.sampled_from(["http_req_duration", "mine", "http_req_failed{a:b}", "vus"]) | some.text(max_size=12),
    some.lists(
        some.from_regex(r"(p\([0-9.]{1,5}\)|rate|avg|count) ?[<>=]{1,3} ?-?[0-9.e]{1,9}", fullmatch=True) | some_json
    ),
    max_size=3,
)


@given(some_thresholds, some.sampled_from(["thresholds", "metrics", "results"]))
def test_whatever_stands_in_the_file_it_is_imported_or_refused(thresholds: object, key: str) -> None:
    try:
        found = imported(json.dumps({key: thresholds}).encode())
    except BadInput as error:
        assert str(error)  # noqa: PT017  # either outcome is right; no other exception is
    else:
        assert objectives(found)


# Back to k6


@pytest.mark.parametrize(
    ("line", "selector", "threshold"),
    [
        ('{sli: http_req_duration, target: "p(95) < 0.25s"}', "http_req_duration", "p(95)<250"),
        ('{service: a, sli: http_req_waiting, target: "med <= 90us"}', "http_req_waiting{service:a}", "med<=0.09"),
        ('{service: a, sli: "checks{check:b c}", target: "rate > 9.5%"}', "checks{check:b c, service:a}", "rate>0.095"),
        ('{sli: http_reqs, target: "rate > 90/s"}', "http_reqs", "rate>90"),
        ('{sli: data_received, target: "count < 1MiB"}', "data_received", "count<1048576"),
        ('{sli: vus, target: "value === 3"}', "vus", "value==3"),
        ('{sli: "checks{group:::setup}", target: "rate > 0", include: setup}', "checks{group:::setup}", "rate>0"),
        ('{sli: own, target: "p(99.99) < 0.000001"}', "own", "p(99.99)<0.000001"),
    ],
)  # fmt: skip
def test_a_target_goes_back_to_plain_numbers(line: str, selector: str, threshold: str) -> None:
    assert export_k6(phase(line)).thresholds == {selector: [threshold]}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{promql: "up", target: "last > 0"}', "k6 does not ask Prometheus"),
        ('{sli: http_reqs, target: "count > 5", include: [setup, teardown]}', "told to count setup and teardown in"),
        ('{sli: vus, target: "max < 9"}', "k6 has no threshold on the max of a gauge"),
        ('{service: a, sli: "http_reqs{service:b}", target: "count > 5"}', "it names two services"),
        ('{sli: http_reqs, target: "rate >= -5%"}', "k6 knows no run before"),
        ('{sli: http_reqs, target: {any: ["rate > 9/s", "rate >= -5%"]}}', "and no alternatives"),
    ],
)
def test_what_k6_cannot_say_is_a_note(line: str, why: str) -> None:
    found = export_k6(phase(line, '{sli: iterations, target: "count > 0"}'))
    assert list(found.thresholds) == ["iterations"]
    assert any("left out" in note and why in note for note in found.notes)
    with pytest.raises(NotFound, match="no objective that k6 can say"):
        export_k6(phase(line))


def test_a_note_says_what_thresholds_lack_beside_objectives() -> None:
    found = export_k6(phase('{service: a, sli: http_reqs, target: "count > 5", warn: "count > 9"}'))
    assert [word in " ".join(found.notes) for word in ("`warn` of 1 objective", "tag its requests", "setup()")] == [
        True
    ] * 3
    assert export_k6(phase('{sli: "http_reqs{scenario:a}", target: "count > 5"}')).notes == ()


def test_of_several_targets_those_that_k6_can_say_are_exported() -> None:
    found = export_k6(phase('{sli: http_req_duration, target: ["p(95) < 1s", "p(95) > 1ms", "p(95) <= +10%"]}'))
    assert found.thresholds == {"http_req_duration": ["p(95)<1000", "p(95)>1"]}
    assert any("what is relative in 1 objective is left out" in note for note in found.notes)


def test_one_service_or_all_are_exported() -> None:
    both = phase(
        '{service: a, sli: http_reqs, target: "count > 1"}', '{service: b, sli: http_reqs, target: "count > 2"}'
    )
    assert list(export_k6(both).thresholds) == ["http_reqs{service:a}", "http_reqs{service:b}"]
    assert export_k6(both, "b").thresholds == {"http_reqs{service:b}": ["count>2"]}
    with pytest.raises(NotFound, match="asks nothing of `c`") as caught:
        export_k6(both, "c")
    assert "services: a, b" in str(caught.value)


some_tags = some.dictionaries(
    some.sampled_from(["name", "group", "scenario", "check", "method"]),
    some.text(some.characters(codec="ascii", exclude_characters=",\"'", exclude_categories=["C"]), max_size=9).map(
        str.strip
    ),
    max_size=3,
)
some_numbers = some.decimals(0, 10**7, places=4).map(lambda number: f"{number.normalize():f}")
some_targets = some.one_of(
    some.tuples(
        some.just("http_req_duration"), some.sampled_from(["avg", "p(99.9)"]), some.sampled_from(["us", "ms", "s"])
    ),
    some.tuples(some.just("data_sent"), some.just("count"), some.sampled_from(["B", "KiB", "MiB"])),
    some.tuples(some.just("http_reqs"), some.just("rate"), some.just("/s")),
)  # fmt: skip


def asked_again(thresholds: Thresholds) -> list[tuple[str | None, str, str]]:
    return asked(imported(as_json(thresholds).encode()))


some_bounds = some.lists(
    some.tuples(some.sampled_from(["<", "<=", ">", ">=", "==", "!="]), some_numbers), min_size=1, max_size=4
)


@given(some_targets, some_bounds, some_tags, some.booleans())
def test_what_is_exported_and_imported_again_asks_the_same(
    target: tuple[str, str, str],
    bounds: list[tuple[str, str]],
    tags: dict[str, str],
    of_service: bool,  # noqa: FBT001  # drawn
) -> None:
    metric, stat, unit = target
    selector = (
        f"{metric}{{{', '.join(f'{key}:{json.dumps(value)}' for key, value in tags.items())}}}" if tags else metric
    )
    entry: dict[str, Any] = {"service": "shop"} if of_service else {}
    targets = [f"{stat} {op} {number}{unit}" for op, number in bounds]
    text = written(Draft("1", [entry | {"sli": selector, "target": targets}]), "drawn").text
    (before,) = parse_config(text).phases[0].objectives
    thresholds = export_k6(Phase("1", "", (before,))).thresholds
    content = as_json(thresholds).encode()
    (after,) = objectives(imported(content))
    assert (after.service, after.sli, after.target.stat) == (before.service, before.sli, before.target.stat)
    for value in {target.threshold + by for target in before.asks for by in (-1e-6, 0.0, 1e-6)}:
        assert after.asks.holds(value) == before.asks.holds(value)
    assert {target.unit for target in after.asks} == {target.unit for target in before.asks}
    assert differences(thresholds, read_script([content], "again").thresholds) == []
    kept = export_k6(Phase("1", "", (after,))).thresholds
    assert all(set(sources) <= set(thresholds[selector]) for selector, sources in kept.items())
    assert asked_again(kept) == asked_again(thresholds)


# A script beside slo.yaml


ASKED: Thresholds = {"http_req_duration{service:event}": ["p(95)<250"], "http_req_failed": ["rate<0.01"]}


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ({"http_req_duration{ service:'event' }": ["p(95.0) < 2.5e2"], "http_req_failed": ["rate<.01"]}, []),
        ({"http_req_duration{service:event}": ["p(95)<251"], "http_req_failed": ["rate<0.01"]},
         ["- http_req_duration{service:event} p(95)<250", "+ http_req_duration{service:event} p(95)<251"]),
        ({"http_req_failed": ["rate<0.01", "odd"], "a}b": ["x"]},
         ["+ a}b x", "- http_req_duration{service:event} p(95)<250", "+ http_req_failed odd"]),
    ],
    ids=["the same, spelt differently", "another bound", "missing and more"],
)  # fmt: skip
def test_a_script_is_compared_by_what_it_asks(script: dict[str, object], lines: list[str]) -> None:
    assert differences(ASKED, read_script([options(**script)], "o.json").thresholds) == lines


@pytest.mark.k6
def test_the_real_k6_takes_what_is_exported_and_prints_what_is_imported(tmp_path: Path) -> None:
    for one in parse_config(demo.SLO.read_text()).phases:
        exported = export_k6(one).thresholds
        (tmp_path / "thresholds.js").write_text(as_js(exported))
        (tmp_path / "thresholds.json").write_text(as_json(exported))
        scripts = {
            "module.js": "import { thresholds } from './thresholds.js';\nexport const options = { thresholds };\n",
            "opened.js": "export const options = JSON.parse(open('./thresholds.json'));\n",
        }
        for name, text in scripts.items():
            (tmp_path / name).write_text(text + "export default function () {}\n")
            told = subprocess.run([K6, "inspect", tmp_path / name], capture_output=True, check=True, timeout=60).stdout
            assert differences(exported, read_script(told.splitlines(), name).thresholds) == []
            assert asked(imported(told))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with closing(Store(tmp_path_factory.mktemp("k6") / "store")) as store:
        yield store


@pytest.mark.slow
@pytest.mark.parametrize("night", ["22-event-slow", "23-event", "21-chat-slow"])
def test_what_is_imported_is_missed_exactly_where_k6_says_that_it_was_crossed(
    store: Store, tmp_path: Path, night: str
) -> None:
    files = [demo.FOLDER / "runs" / f"{night}.{kind}" for kind in ("json.gz", "summary.json")]
    (tmp_path / "slo.yaml").write_text(import_k6(lines_of(files[1]), night).text)
    run = Quick(store).ingest([Upload(file, file.name) for file in files], RunMeta(test=night)).run.id
    verdict = Service(store, ConfigSource([tmp_path / "slo.yaml"])).verdict(run, "1")
    ours = {
        (one.service, one.sli, one.target): one.state == "missed"
        for one in verdict.objectives
        if one.state != "no_data"
    }
    summary = json.loads(files[1].read_text())["metrics"]
    theirs = {}
    for metric, body in summary.items():
        for source, crossed in body.get("thresholds", {}).items():
            (objective,) = objectives(
                imported(json.dumps({"metrics": {metric: body | {"thresholds": {source: crossed}}}}).encode())
            )
            theirs[objective.service, str(objective.sli), objective.target.text] = crossed
    assert ours == theirs


def test_targets_of_the_demo_have_plain_numbers_that_k6_would_compare_alike() -> None:
    for one in parse_config(demo.SLO.read_text()).phases:
        for sources in export_k6(one).thresholds.values():
            assert all(Target.parse(source) for source in sources)
