"""Questions to the sample blocks: k6's arithmetic, and nothing but answers."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.blocks import part_name, write_manifest
from data.errors import BadRequest, Busy, StoreError
from data.model import Series
from data.samples import BLOCKS_OF_TIME, DuckDBSamples
from tests import builders

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
RUN = "0123456789ab"
Sample = tuple[int, datetime, float]


def write_block(blocks: Path, *parts: Sequence[Sample]) -> None:
    """A block whose parts hold these samples: series, time, value."""
    folder = blocks / RUN
    folder.mkdir(exist_ok=True)
    for number, samples in enumerate(parts):
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; CREATE TABLE s (series_id BIGINT, t TIMESTAMPTZ, v DOUBLE)")
            columns = [list(column) for column in zip(*samples, strict=True)] or [[], [], []]
            connection.execute("INSERT INTO s SELECT unnest(?), unnest(?), unnest(?)", columns)
            connection.execute(f"COPY s TO '{folder / part_name(number)}' (FORMAT parquet)")
    write_manifest(folder, builders.record())


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def engine(blocks: Path) -> Iterator[DuckDBSamples]:
    engine = DuckDBSamples(blocks)
    yield engine
    engine.close()


def series(values: Sequence[float], number: int = 1, *, every_s: float = 1) -> list[Sample]:
    return [(number, START + timedelta(seconds=i * every_s), value) for i, value in enumerate(values)]


def kept(number: int, lasts_s: float = 0, after_s: float = 0) -> Series:
    """What the catalog keeps of a series, as far as it is asked."""
    first = START + timedelta(seconds=after_s)
    last = first + timedelta(seconds=lasts_s)
    return Series(number, "m", {}, 1, 0.0, 0.0, 0.0, 0, first, last, 0.0)


def k6_percentile(values: Sequence[float], p: float) -> float:
    """k6's ``TrendSink.P``: linear between the order statistics around ``p * (n - 1)``."""
    ordered = sorted(values)
    i = p * (len(ordered) - 1)
    low, high = ordered[math.floor(i)], ordered[math.ceil(i)]
    return low + (high - low) * (i - math.floor(i))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=20),
    levels=st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_quantiles_are_k6s(
    blocks: Path, engine: DuckDBSamples, values: Sequence[float], levels: Sequence[float]
) -> None:
    write_block(blocks, series(values))
    found = engine.quantiles(RUN, {"all": [1]}, {"all": levels})["all"]
    assert found == pytest.approx([k6_percentile(values, level) for level in levels], rel=1e-12, abs=1e-12)


def test_each_group_has_its_own_quantiles_over_its_series_and_all_parts(blocks: Path, engine: DuckDBSamples) -> None:
    write_block(blocks, series([1, 2, 3], 1) + series([10], 2), series([4, 5], 1) + series([20], 3))
    groups = {"one": [1], "both": [1, 2], "another": [3], "none": [9], "empty": list[int]()}
    at: dict[str, list[float]] = {
        "one": [0.5], "both": [0, 1], "another": [0.9, 0.1, 0.9], "none": [0.5], "empty": [0.5],
    }  # fmt: skip
    assert engine.quantiles(RUN, groups, at) == {"one": (3,), "both": (1, 10), "another": (20, 20, 20)}


def test_nothing_asked_is_nothing_answered(blocks: Path, engine: DuckDBSamples) -> None:
    write_block(blocks, series([1]))
    assert engine.quantiles(RUN, {}, {}) == {}
    assert engine.distributions(RUN, {}, {}) == {}


@pytest.mark.parametrize("name", ["it's", 'a "b"', "%", "größe", ""])
def test_a_group_may_have_any_name(blocks: Path, engine: DuckDBSamples, name: str) -> None:
    write_block(blocks, series([1, 2]))
    assert engine.quantiles(RUN, {name: [1]}, {name: [0.5]}) == {name: (1.5,)}
    assert engine.distributions(RUN, {name: [kept(1)]}, {}).keys() == {name}


def test_spans_cut_the_run_into_equal_times_and_lose_nothing(blocks: Path, engine: DuckDBSamples) -> None:
    noise = random.Random(5)
    values = [noise.uniform(0, 100) for _ in range(500)]
    write_block(blocks, series(values, every_s=0.1))
    levels = (0.1, 0.5, 0.95)
    seen = engine.distributions(RUN, {"all": [kept(1, 49.9)]}, {"all": levels})["all"]
    assert seen.levels == levels
    assert seen.quantiles == pytest.approx([k6_percentile(values, level) for level in levels])
    assert len(seen.n) == BLOCKS_OF_TIME
    assert set(seen.n) <= {16, 17}
    assert seen.n.sum() == seen.nonzero.sum() == len(values)
    assert seen.sums.sum() == pytest.approx(sum(values))
    assert list(seen.below.sum(axis=0)) == [sum(value <= q for value in values) for q in seen.quantiles]
    assert seen.below_quantile(0.5).sum() == sum(value <= seen.quantile(0.5) for value in values)


def test_a_sample_is_below_each_quantile_that_it_does_not_exceed(blocks: Path, engine: DuckDBSamples) -> None:
    write_block(blocks, series([0, 1, 1, 5]))
    seen = engine.distributions(RUN, {"all": [kept(1, 3)], "rate": [kept(1, 3)]}, {"all": [0.5, 0.0, 1.0]})
    assert list(seen["all"].quantiles) == [0, 1, 5]
    assert seen["all"].below.tolist() == [[1, 1, 1], [0, 1, 1], [0, 1, 1], [0, 0, 1]]
    assert seen["rate"].nonzero.tolist() == [0, 1, 1, 1]
    assert seen["rate"].below.shape == (4, 0)


def test_each_group_has_its_own_levels_and_spans_of_its_own_time(blocks: Path, engine: DuckDBSamples) -> None:
    late = [(2, START + timedelta(seconds=100 + i), 7.0 + i) for i in range(60)]
    write_block(blocks, series([1, 1], 1, every_s=1) + late)
    groups = {"early": [kept(1, 1)], "late": [kept(2, 59, after_s=100)], "none": [kept(9)], "empty": []}
    seen = engine.distributions(RUN, groups, {"early": [0.5], "late": [0.9, 0.1]})
    assert seen.keys() == {"early", "late"}
    assert (seen["early"].n.tolist(), seen["early"].below.tolist()) == ([1, 1], [[1], [1]])
    assert len(seen["late"].n) == BLOCKS_OF_TIME
    assert seen["late"].levels == (0.1, 0.9)


def test_a_single_instant_is_one_span(blocks: Path, engine: DuckDBSamples) -> None:
    write_block(blocks, series([1, 2, 3], every_s=0))
    seen = engine.distributions(RUN, {"all": [kept(1)]}, {})["all"]
    assert (seen.n.tolist(), seen.nonzero.tolist(), seen.sums.tolist()) == ([3], [3], [6])


def test_a_block_that_is_gone_says_so(engine: DuckDBSamples) -> None:
    with pytest.raises(StoreError, match=f"the sample block of run {RUN} is missing"):
        engine.quantiles(RUN, {"all": [1]}, {"all": [0.5]})


def test_a_run_without_samples_has_no_rows(blocks: Path, engine: DuckDBSamples) -> None:
    write_block(blocks)
    assert engine.query(RUN, "SELECT * FROM samples", {}) == []


def test_times_are_utc(blocks: Path, engine: DuckDBSamples) -> None:
    write_block(blocks, series([1]))
    assert engine.query(RUN, "SELECT t::VARCHAR FROM samples", {}) == [("2026-11-21 08:00:00+00",)]


ELSEWHERE = [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_text('{blocks}/../secret')",
    "SELECT * FROM read_parquet('https://example.com/x.parquet')",
    "SELECT getenv('PATH')",
    "FROM sqlite_scan('/tmp/x', 'y')",
]


@pytest.mark.parametrize("sql", ELSEWHERE)
def test_no_other_file_can_be_read(blocks: Path, engine: DuckDBSamples, sql: str) -> None:
    write_block(blocks, series([1]))
    with pytest.raises(duckdb.Error):
        engine.query(RUN, sql.format(blocks=blocks), {})


WRITING = [
    "COPY samples TO '{blocks}/out.parquet'",
    "COPY (SELECT 1) TO '/tmp/out.csv'",
    "ATTACH '{blocks}/x.duckdb' AS x",
    "EXPORT DATABASE '{blocks}/x'",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET memory_limit = '100GB'",
    "RESET memory_limit",
    "PRAGMA memory_limit='100GB'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE OR REPLACE TEMP VIEW samples AS SELECT 1",
    "DROP VIEW samples",
    "INSERT INTO samples VALUES (1, now(), 1)",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CHECKPOINT",
    "CALL pragma_version()",
    "SELECT 1; DROP VIEW samples",
    "",
]


@pytest.mark.parametrize("sql", WRITING)
def test_only_one_select_is_answered(blocks: Path, engine: DuckDBSamples, sql: str) -> None:
    write_block(blocks, series([1]))
    with pytest.raises(BadRequest, match="samples are only read"):
        engine.query(RUN, sql.format(blocks=blocks), {})
    assert [path.name for path in blocks.iterdir()] == [RUN]
    assert engine.query(RUN, "SELECT count(*) FROM samples", {}) == [(1,)]


def test_a_question_that_takes_too_much_memory_is_to_be_asked_later(blocks: Path) -> None:
    write_block(blocks, series([1, 2, 3]))
    small = DuckDBSamples(blocks, memory_limit="10MB")
    with pytest.raises(Busy, match=f"the samples of run {RUN} take more memory") as busy:
        small.query(RUN, "SELECT list(i) FROM range(10_000_000) AS t(i), samples", {})
    assert busy.value.help
    assert small.query(RUN, "SELECT count(*) FROM samples", {}) == [(3,)], "it answers the next one"
    small.close()
