"""What is kept of a run tells its distribution, and how sure the run is of it."""

import json
import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.model import RunMeta
from data.samples import Distribution
from data.store import Store
from slo.measure import measure
from slo.profile import LEVELS, PRIOR_SPREAD, Profile, body, from_text, of_others, shape, spread, to_text
from slo.selector import Selector
from slo.sli import Sli
from tests.builders import START
from tests.ingesting import Bench

TIMES = Selector("http_req_duration")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    store = Store(tmp_path / "var")
    yield Bench(store, tmp_path)
    store.close()


def ndjson(values: list[float], failed: frozenset[int] | set[int] = frozenset()) -> bytes:
    """k6's lines of requests to one service, ten each second."""
    lines = []
    for i, value in enumerate(values):
        at = (START + timedelta(milliseconds=100 * i)).isoformat()
        tags = {"service": "event", "expected_response": str(i not in failed).lower(), "scenario": "s"}
        for metric, one in (("http_req_duration", value), ("http_req_failed", float(i in failed)), ("http_reqs", 1.0)):
            point = {"metric": metric, "type": "Point", "data": {"time": at, "value": one, "tags": tags}}
            lines.append(json.dumps(point))
    kinds = {
        "http_req_duration": ("trend", "time"),
        "http_req_failed": ("rate", "default"),
        "http_reqs": ("counter", "default"),
    }
    head = [
        json.dumps({"type": "Metric", "metric": name, "data": {"name": name, "type": kind, "contains": what}})
        for name, (kind, what) in kinds.items()
    ]
    return "\n".join(head + lines).encode() + b"\n"


def kept(bench: Bench, content: bytes, *slis: Sli) -> list[Profile | None]:
    record = bench.record(content, meta=RunMeta(test="t"))
    return [from_text(one.profile) if one.profile else None for one in measure(record, slis, bench.store.samples)]


def test_percentiles_and_doubts_of_every_sli_are_kept(bench: Bench) -> None:
    values = np.random.default_rng(1).lognormal(4, 0.4, 600)
    p95, mean, rate, load = kept(
        bench,
        ndjson(list(map(float, values)), {5, 300}),
        Sli("event", TIMES, "p(95)", 0.95),
        Sli("event", TIMES, "avg"),
        Sli("event", Selector("http_req_failed"), "rate"),
        Sli("event", Selector("http_reqs"), "rate", per_second=True),
    )
    assert p95
    assert p95.kind == "trend"
    assert p95.numbers[: len(LEVELS)] == pytest.approx(np.quantile(values, LEVELS))
    near = [np.log(p95.numbers[i]) for i in body(0.95)]
    assert p95.numbers[-3] == pytest.approx(np.mean(near))
    assert mean
    assert mean.value == pytest.approx(values.mean())
    assert math.sqrt(mean.numbers[-2]) == pytest.approx(values.std() / values.mean() / math.sqrt(600), rel=0.4)
    assert rate == Profile("share", 2 / 600, 600, (2.0, rate.numbers[1] if rate else 0.0))
    assert rate.numbers[1] >= 1
    assert load
    assert (load.kind, load.numbers) == ("number", ())


def test_a_profile_survives_json(bench: Bench) -> None:
    (one,) = kept(bench, ndjson([float(v) for v in range(1, 200)]), Sli("event", TIMES, "p(90)", 0.9))
    assert one
    assert from_text(to_text(one) or "") == one
    assert len(one.numbers) <= 60


def test_an_sli_without_a_value_has_no_profile(bench: Bench) -> None:
    assert kept(bench, ndjson([1.0] * 50), Sli("nobody", TIMES, "p(95)", 0.95)) == [None]


@pytest.mark.parametrize("values", [[0.0] * 100, [5.0] * 10], ids=["zeros", "few"])
def test_a_distribution_without_shape_keeps_only_its_value(bench: Bench, values: list[float]) -> None:
    (one,) = kept(bench, ndjson(values), Sli("event", TIMES, "med", 0.5))
    assert one
    assert one.numbers == ()


def test_failures_in_a_burst_have_a_larger_design_effect(bench: Bench) -> None:
    rate = Sli("event", Selector("http_req_failed"), "rate")
    (spaced,) = kept(bench, ndjson([1.0] * 600, set(range(0, 600, 40))), rate)
    (burst,) = kept(bench, ndjson([2.0] * 600, set(range(300, 315))), rate)
    assert spaced
    assert burst
    assert burst.numbers[1] > 5 * spaced.numbers[1]


def test_the_doubt_of_a_percentile_is_that_of_many_runs() -> None:
    random, levels, found, doubts = np.random.default_rng(3), sorted({*LEVELS, 0.95}), [], []
    for _ in range(200):
        values = random.lognormal(3, 0.4, 1500)
        quantiles = np.quantile(values, levels)
        cut = values.reshape(30, 50)
        below = np.stack([(cut <= q).sum(axis=1) for q in quantiles], axis=1).astype(float)
        seen = Distribution(tuple(levels), quantiles, np.full(30, 50.0), cut.sum(axis=1), np.full(30, 50.0), below)
        numbers = shape(0.95, seen.quantile(0.95), seen)
        found.append((np.log(quantiles[levels.index(0.95)]), numbers[-3]))
        doubts.append(numbers[-2:])
    assert np.sqrt(np.mean(doubts, axis=0)) == pytest.approx(np.std(found, axis=0), rel=0.25)


def test_a_percentile_moves_with_the_levels_below_it() -> None:
    assert [LEVELS[i] for i in body(0.95)] == [0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
    assert [LEVELS[i] for i in body(0.99)] == [0.9, 0.95, 0.975, 0.99]
    assert [LEVELS[i] for i in body(0.5)] == [0.1, 0.25, 0.4, 0.5]
    assert [LEVELS[i] for i in body(None)] == [level for level in LEVELS if level <= 0.95]


@pytest.mark.parametrize("percentile", [0.01, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, None])
def test_every_percentile_has_a_body(percentile: float | None) -> None:
    assert body(percentile)


# -- the spread of runs -------------------------------------------------------------------------------------------


def test_without_runs_the_spread_is_the_prior() -> None:
    variance, freedom = spread(np.zeros(3), np.zeros(3), np.array([0.0, 0.01, 0.0]))
    assert variance == pytest.approx([PRIOR_SPREAD**2, PRIOR_SPREAD**2 + 0.01, PRIOR_SPREAD**2])
    assert list(freedom) == [4, 4, 4]


def test_services_that_agree_share_their_spread() -> None:
    squares = np.full(8, 9 * 0.03**2)
    variance, freedom = spread(squares, np.full(8, 9.0), np.zeros(8))
    assert np.sqrt(variance) == pytest.approx(np.full(8, 0.031), rel=0.03)
    assert freedom[0] == 8 * 9 + 4


def test_services_that_differ_keep_more_of_their_own() -> None:
    squares = 9 * np.array([0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.15]) ** 2
    variance, freedom = spread(squares, np.full(8, 9.0), np.zeros(8))
    assert math.sqrt(variance[-1]) > 0.1
    assert math.sqrt(variance[0]) < 0.05
    assert freedom[0] < 8 * 9


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(1, 20))
def test_a_spread_is_never_zero_and_never_beyond_what_was_seen(squares: list[float], freedom: int) -> None:
    seen = np.array(squares)
    variance, worth = spread(seen, np.full(len(seen), float(freedom)), np.zeros(len(seen)))
    assert (variance > 0).all()
    assert (variance <= max(PRIOR_SPREAD**2, seen.max() / freedom) + 1e-12).all()
    assert (worth >= 4).all()


def test_the_others_are_the_median_without_oneself() -> None:
    moves = np.array([[1.0], [2.0], [3.0], [100.0]])
    assert list(of_others(moves)[:, 0]) == [3, 3, 2, 2]
    assert not of_others(moves[:3]).any()


def test_a_run_in_which_few_services_are_known_tells_nothing_of_the_others() -> None:
    moves = np.array([[1.0, 1.0], [2.0, np.nan], [3.0, np.nan], [4.0, 2.0]])
    assert list(of_others(moves)[:, 1]) == [0, 0, 0, 0]
