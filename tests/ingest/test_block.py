"""From samples to series: numbered, described, in parts, and bounded in number."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import BadInput
from data.model import RunRecord
from tests.ingesting import Bench
from tests.k6_output import FILES, definition, ndjson, plain, point


def numbers(record: RunRecord) -> list[object]:
    """All that is measured of a run: its series and metrics."""
    return [record.series, record.metrics, record.run.started_at, record.run.ended_at, record.run.requests]


def samples(bench: Bench, record: RunRecord) -> list[tuple[str, datetime, float]]:
    """Metric, time and value of every sample in the block, as it is stored."""
    names = {one.id: one.metric for one in record.series}
    found = duckdb.sql(
        f"SELECT series_id, epoch_us(t), v FROM read_parquet('{bench.store.home}/blocks/{record.run.id}/*.parquet')"
    ).fetchall()
    return [(names[id_], datetime.fromtimestamp(us / 1e6, UTC), value) for id_, us, value in found]


def test_a_block_holds_every_sample_sorted_by_series_and_time(bench: Bench) -> None:
    record = bench.record((FILES / "event.json.gz").read_bytes())
    stored = samples(bench, record)
    assert len(stored) == record.run.points == record.artefacts[0].points == 3583
    found = duckdb.sql(
        f"SELECT series_id, t FROM read_parquet('{bench.store.home}/blocks/{record.run.id}/part-0.parquet')"
    ).fetchall()
    assert found == sorted(found)
    assert sum(one.n for one in record.series) == 3583


def test_the_order_of_lines_does_not_matter(bench: Bench) -> None:
    lines = plain("event.json.gz").splitlines()
    sorted_run = bench.record(b"\n".join(lines) + b"\n")
    backwards = bench.record(b"\n".join(lines[::-1]) + b"\n")
    random.Random(4).shuffle(lines)
    shuffled = bench.record(b"\n".join(lines) + b"\n")
    for other in (backwards, shuffled):
        assert [replace(s, sum=0) for s in other.series] == [replace(s, sum=0) for s in sorted_run.series]
        for ours, theirs in zip(other.metrics, sorted_run.metrics, strict=True):
            assert ours.stats
            assert theirs.stats
            assert vars(ours.stats) == pytest.approx(vars(theirs.stats), rel=1e-12)


def test_parts_of_one_run_are_one_run(bench: Bench) -> None:
    files = [(FILES / f"part{i}.json.gz").read_bytes() for i in (1, 2)]
    together = bench.record(*files)
    alone = [bench.record(file) for file in files]
    assert together.run.points == sum(one.run.points for one in alone)
    assert together.run.requests == sum(one.run.requests for one in alone)
    assert together.run.started_at == min(one.run.started_at for one in alone if one.run.started_at)
    assert {one.tags.get("instance") for one in together.series if one.metric == "http_reqs"} == {"1", "2"}
    folder = bench.store.home / "blocks" / together.run.id
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "part-0.parquet", "part-1.parquet"]
    assert bench.record(*files[::-1]).run.id == together.run.id, "in any order"


def test_the_summaries_of_parts_do_not_contradict_their_union(bench: Bench) -> None:
    files = [(FILES / f"part{i}.json.gz").read_bytes() + b"\0" for i in (1, 2)]
    summaries = [(FILES / f"part{i}.summary-export.json").read_bytes() for i in (1, 2)]
    record = bench.record(*files, *summaries)
    assert record.summary == ()
    assert {t.source: t.ok for t in record.thresholds}["count>50"] is False, "k6 found it crossed in both parts"
    assert record.run.duration_source == "samples"


@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50, unique=True))
def test_statistics_are_those_of_the_samples(bench: Bench, values: list[float]) -> None:
    times = [f"2026-11-21T07:39:52.{i:06}Z" for i in range(len(values))]
    record = bench.record(ndjson(*(point(v, time=t) for v, t in zip(values, times, strict=True))))
    (metric,) = record.metrics
    assert metric.stats
    assert (metric.stats.n, metric.stats.min, metric.stats.max) == (len(values), min(values), max(values))
    assert metric.stats.nonzero == sum(v != 0 for v in values)
    assert metric.stats.last == values[-1]
    assert metric.stats.sum == pytest.approx(sum(values), abs=1e-3)
    assert metric.stats.avg == pytest.approx(metric.stats.sum / metric.stats.n)


def test_a_hundred_thousand_urls_are_put_together_and_the_metric_stays_exact(bench: Bench) -> None:
    lines = [point(float(i), tags={"name": f"http://h/{i}", "method": "GET"}) for i in range(100_000)]
    record = bench.record(ndjson(*lines))
    (one,) = record.series
    assert one.tags == {"method": "GET", "name": "(many)"}
    assert record.artefacts[0].collapsed_tags == {"name": 100_000}
    (metric,) = record.metrics
    assert metric.stats
    assert (metric.stats.n, metric.stats.sum, metric.stats.max) == (100_000, sum(range(100_000)), 99_999)
    assert metric.stats.med == 49_999.5
    assert metric.stats.p95 == pytest.approx(94_999.05)


def test_thousands_of_series_are_kept_apart(bench: Bench) -> None:
    record = bench.record(ndjson(*(point(1.0, tags={"name": f"/{i}"}) for i in range(3000))))
    assert len(record.series) == 3000
    assert record.artefacts[0].collapsed_tags == {}


def test_more_metrics_than_any_script_has_are_refused(bench: Bench) -> None:
    before = bench.holdings()
    with pytest.raises(BadInput, match="the run has 5,000 different metrics; at most 2,000 are kept") as refused:
        bench.ingest(ndjson(*(point(metric=f"m{i}") for i in range(5000))))
    assert "put what varies into tags" in (refused.value.help or "")
    assert bench.holdings() == before
    assert bench.ingest(ndjson(*(point(metric=f"m{i}") for i in range(2000)))).created


def test_a_metric_without_samples_is_kept_with_its_thresholds(bench: Bench) -> None:
    other = definition("orders", "counter", thresholds='["count>5"]')
    record = bench.record(ndjson(other, point()))
    assert [(m.name, m.stats is None) for m in record.metrics] == [("http_req_duration", False), ("orders", True)]
    assert [t.metric for t in record.thresholds] == ["orders"]
