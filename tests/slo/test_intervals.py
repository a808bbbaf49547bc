"""Intervals: the tables of textbooks, and coverage where requests hang together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.intervals import effective_size, mean_interval, minimum_samples, percentile_levels, share_interval


@pytest.mark.parametrize(("percentile", "samples"), [(0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2995), (0.5, 5)])
def test_a_percentile_needs_samples_beyond_it(percentile: float, samples: int) -> None:
    assert minimum_samples(percentile) == samples


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Brown, Cai and DasGupta 2001, table 5 (Jeffreys, 95 %, n = 10), and the two ends closed.
    [(0, 10, 0.0, 0.217), (1, 10, 0.011, 0.381), (5, 10, 0.224, 0.776), (10, 10, 0.783, 1.0)],
)
def test_the_share_interval_is_the_published_one(hits: int, n: int, low: float, high: float) -> None:
    assert share_interval(hits, n) == pytest.approx((low, high), abs=6e-4)


def test_independent_requests_count_nearly_in_full() -> None:
    hits = np.array((5, 4, 6, 5, 5, 6, 4, 5, 5, 5) * 3, dtype=float)
    assert effective_size(np.full(30, 100.0), hits) == pytest.approx(3000 * (1.95996 / 2.04523) ** 2, rel=1e-4)


def test_requests_that_fail_together_count_less() -> None:
    one_bad_moment = np.array([100.0] + [0.0] * 9)
    assert effective_size(np.full(10, 100.0), one_bad_moment) == pytest.approx(9.0 * (1.95996 / 2.26216) ** 2, rel=1e-4)


def test_too_few_spans_prove_nothing() -> None:
    assert effective_size(np.full(4, 100.0), np.full(4, 5.0)) == 0


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=40))
def test_the_effective_size_never_exceeds_the_samples(raw: list[tuple[int, int]]) -> None:
    n = np.array([one for one, _ in raw], dtype=float)
    hits = np.minimum(n, [hits for _, hits in raw])
    assert 0 <= effective_size(n, hits) <= n.sum()


def test_the_mean_interval_needs_some_spans() -> None:
    assert mean_interval(np.full(4, 10.0), np.full(4, 100.0)) is None


@pytest.mark.parametrize(("n", "correlation"), [(59, 0.0), (300, 0.0), (3000, 0.0), (3000, 0.6)])
def test_a_95_percent_interval_of_a_percentile_holds_the_truth_about_95_times_in_100(
    n: int, correlation: float
) -> None:
    """Latency that hangs together from request to request, cut into spans as the engine cuts it."""
    random = np.random.default_rng(11)
    inside, trials = 0, 300
    true_p95 = 1.6448536269514722
    for _ in range(trials):
        noise = random.standard_normal(n) * np.sqrt(1 - correlation**2)
        noise[0] = random.standard_normal()
        for i in range(1, n):
            noise[i] += correlation * noise[i - 1]
        estimate = np.quantile(noise, 0.95)
        parts = np.array_split(noise, 30)
        spans = np.array([len(part) for part in parts], dtype=float)
        hits = np.array([(part <= estimate).sum() for part in parts], dtype=float)
        low, high = np.quantile(noise, percentile_levels(0.95, effective_size(spans, hits), n))
        inside += low <= true_p95 <= high
    # With 59 samples the largest is below p95 in 5 % of all runs already.
    assert (0.90 if n < 100 else 0.92) <= inside / trials <= 0.99
