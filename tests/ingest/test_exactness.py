"""Every number that k6's own summary has of a run is ours, too: from the catalog, and as a measurement."""

from __future__ import annotations

import json
import math
import re
from datetime import timedelta
from pathlib import Path

import pytest

import demo
from data.blocks import file_digest
from data.model import MetricStats, RunRecord
from data.store import Store
from desk import Desk
from slo.measure import measure
from slo.selector import Selector
from slo.sli import Sli
from tests.ingesting import Bench
from tests.k6_output import FILES

EXACT = 1e-9
SIX_DECIMALS = 5e-7
"""k6's CSV rounds values to six decimals."""

Numbers = dict[tuple[str, str], float]
RECORDED = sorted(path for path in (demo.FOLDER / "runs").glob("*.summary.json"))
REAL = sorted(path for path in FILES.glob("*summary*.json") if not path.name.startswith("part"))


def k6s_numbers(summary: Path) -> Numbers:
    """(metric or sub-metric, statistic) -> value, read from either shape without our own reader."""
    found = {}
    for name, body in json.loads(summary.read_bytes())["metrics"].items():
        is_rate = "passes" in body.get("values", body)
        for stat, value in body.get("values", body).items():
            if stat != "thresholds":
                found[name, "rate" if is_rate and stat == "value" else stat] = value
    return found


def from_catalog(record: RunRecord) -> Numbers:
    """The statistics that the catalog keeps of whole metrics."""
    assert record.run.duration_s
    found = {}
    for metric in record.metrics:
        if metric.stats:
            for stat, value in of_kind(metric.type, metric.stats, record.run.duration_s).items():
                found[metric.name, stat] = value
    return found


def of_kind(kind: str, s: MetricStats, duration_s: float) -> dict[str, float]:
    match kind:
        case "trend":
            return {"avg": s.avg, "min": s.min, "med": s.med, "max": s.max, "p(90)": s.p90, "p(95)": s.p95,
                    "p(99)": s.p99, "count": s.n}  # fmt: skip
        case "rate":
            return {"rate": s.nonzero / s.n, "passes": s.nonzero, "fails": s.n - s.nonzero}
        case "counter":
            return {"count": s.sum, "rate": s.sum / duration_s}
        case "gauge":
            return {"value": s.last, "min": s.min, "max": s.max}
    raise AssertionError(kind)


def measured(record: RunRecord, store: Store, wanted: Numbers) -> Numbers:
    """The same as measurements, with setup and teardown as k6 counts; passes and fails are a rate's count and rest."""
    slis = {key: sli(*key) for key in wanted}
    found = {}
    results = measure(record, list(slis.values()), store.samples)
    for key, one in zip(slis, results, strict=True):
        if one.value is not None:
            found[key] = {"passes": one.count or 0, "fails": one.n - (one.count or 0)}.get(key[1], one.value)
    return found


def sli(name: str, stat: str) -> Sli:
    asked = {"passes": "rate", "fails": "rate"}.get(stat, stat)
    percentile = re.fullmatch(r"p\((.+)\)", stat)
    share = float(percentile[1]) / 100 if percentile else {"med": 0.5}.get(stat)
    return Sli(None, Selector.parse(name), asked, share, include=("setup", "teardown"))


def assert_same(ours: Numbers, k6s: Numbers) -> None:
    """Equal numbers; what never had a sample is 0 for k6, and no number for us."""
    never = {name for name, stat in k6s if (name, stat) not in ours}
    assert not any(value for (name, _), value in k6s.items() if name in never)
    differing = {
        key: (ours[key], value)
        for key, value in k6s.items()
        if key in ours and not math.isclose(ours[key], value, rel_tol=EXACT, abs_tol=1e-12)
    }
    assert not differing


def assert_all_same(record: RunRecord, store: Store, k6s: Numbers) -> None:
    assert_same(from_catalog(record), {key: value for key, value in k6s.items() if "{" not in key[0]})
    assert_same(measured(record, store, k6s), k6s)


@pytest.mark.parametrize("summary", RECORDED, ids=lambda path: path.name.removesuffix(".summary.json"))
def test_every_number_of_a_recorded_runs_summary_is_ours(demo_desk: Desk, summary: Path) -> None:
    samples = summary.with_name(summary.name.replace(".summary.json", ".json.gz"))
    k6s = k6s_numbers(summary)
    assert len(k6s) > 60
    store = demo_desk._store
    assert_all_same(store.record(file_digest(samples)[:12]), store, k6s)


@pytest.mark.parametrize("summary", REAL, ids=lambda path: path.name)
def test_every_number_of_any_summary_of_k6_is_ours(bench: Bench, summary: Path) -> None:
    name = summary.name.partition(".")[0]
    files = [(FILES / f"{name}.{kind}").read_bytes() for kind in ("json.gz", "summary-export.json")]
    assert_all_same(bench.record(*files), bench.store, k6s_numbers(summary))


@pytest.mark.parametrize("name", ["event", "event-full"])
def test_both_summaries_of_one_run_agree(name: str) -> None:
    export, handled = (FILES / f"{name}.{shape}.json" for shape in ("summary-export", "handle-summary"))
    assert k6s_numbers(export) == k6s_numbers(handled)


TIME_FORMATS = {
    "rfc3339": timedelta(seconds=1),
    "rfc3339_nano": timedelta(microseconds=1),
    "unix": timedelta(seconds=1),
    "unix_milli": timedelta(milliseconds=1),
    "unix_micro": timedelta(microseconds=1),
    "unix_nano": timedelta(microseconds=1),
}


@pytest.mark.parametrize(("time_format", "resolution"), TIME_FORMATS.items(), ids=TIME_FORMATS)
def test_csv_is_the_same_run_in_every_time_format(bench: Bench, time_format: str, resolution: timedelta) -> None:
    json_run = bench.record((FILES / "event.json.gz").read_bytes())
    csv_run = bench.record((FILES / f"event.{time_format}.csv.gz").read_bytes())
    assert_same_series(csv_run, json_run, resolution)
    assert (csv_run.run.requests, csv_run.run.services) == (json_run.run.requests, json_run.run.services)
    csv_stats = {metric.name: metric.stats for metric in csv_run.metrics}
    for metric in json_run.metrics:
        assert metric.stats
        for stat, value in vars(metric.stats).items():
            rounding = SIX_DECIMALS * (metric.stats.n if stat == "sum" else 1)
            if stat != "last" or metric.type == "gauge":  # of samples at the same time none is the last
                assert vars(csv_stats[metric.name])[stat] == pytest.approx(value, abs=rounding), (metric.name, stat)


def test_what_k6_writes_as_metadata_is_no_tag(bench: Bench) -> None:
    json_run, csv_run = (bench.record((FILES / f"metadata.{kind}.gz").read_bytes()) for kind in ("json", "csv"))
    assert not {"vu", "iter"} & {key for one in json_run.series for key in one.tags}
    assert_same_series(csv_run, json_run, timedelta(seconds=1))


def assert_same_series(csv_run: RunRecord, json_run: RunRecord, resolution: timedelta) -> None:
    """The same metrics and tags with the same counts, at the same times as far as the format can say."""
    assert [(s.metric, s.tags, s.n, s.nonzero) for s in csv_run.series] == [
        (s.metric, s.tags, s.n, s.nonzero) for s in json_run.series
    ]
    for ours, theirs in zip(csv_run.series, json_run.series, strict=True):
        assert timedelta(0) <= theirs.first_at - ours.first_at < resolution
        assert timedelta(0) <= theirs.last_at - ours.last_at < resolution
