"""Runs whose truth is known, made up: latencies that hang together in time, in services that share a machine.

A request's latency is lognormal with a heavy tail, times a level that wanders within the run (an Ornstein-Uhlenbeck
process), times what this run of this service and this run as a whole drew; now and then a pause slows what is in
flight. The defaults were set by hand to what runs of a minute do on an ordinary CI machine (p95 5 to 6 % apart), and
the rule's constants were chosen on such runs, of other draws. Each scenario changes one thing. In every trial the
current runs are judged as they are; with three services 1.1, 1.2 and 1.4 times slower and a fourth failing; and with
one service slower by just what is stated as detectable.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.samples import BLOCKS_OF_TIME, Distribution, Floats
from slo.change import Change, compare
from slo.pairs import Pair
from slo.plan import Regression
from slo.profile import LEVELS, Profile, shape

RUN_S = 60.0
USUAL = 0.001  # share of the requests of every service that fails
RATES = (0.01, 0.03)
SIZES = (1.1, 1.2, 1.4)
_MEDIAN_MS = (6.0, 40.0)  # of the fastest and the slowest service


@dataclass(frozen=True)
class Scenario:
    """How noisy runs are. ``service`` and ``common`` are standard deviations of logarithms from run to run."""

    name: str
    service: float = 0.03
    common: float = 0.02
    wander: float = 0.07
    wander_s: float = 8.0
    tail: float = 0.03
    pauses: float = 8.0
    requests: int = 1500
    services: int = 8
    baseline: int = 10
    repeats: int = 1
    uneven: float = 0.0
    percentile: float = 0.95
    min_change_ms: float = Regression.min_change_abs_ms


def latencies(scenario: Scenario, services: int, runs: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Times in seconds, (requests,), and latencies in ms, (runs, services, requests)."""
    n = scenario.requests
    at = np.linspace(0, RUN_S, n, endpoint=False)
    noisier = np.exp(scenario.uneven * random.standard_normal((1, services, 1)))
    level = scenario.service * noisier * random.standard_normal((runs, services, 1))
    level = level + scenario.common * random.standard_normal((runs, 1, 1))
    logs = level + scenario.wander * _wandering(scenario, (runs, services, n), random)
    logs += 0.4 * random.standard_normal((runs, services, n))
    logs += (random.random((runs, services, n)) < scenario.tail) * random.exponential(0.8, (runs, services, n))
    for run in range(runs):
        for _ in range(random.poisson(scenario.pauses)):
            start, length = random.uniform(0, RUN_S), random.uniform(0.1, 0.5)
            logs[run, random.integers(services), (at >= start) & (at < start + length)] += 0.7
    return at, np.geomspace(*_MEDIAN_MS, services)[:, None] * np.exp(logs)


def _wandering(scenario: Scenario, shape_: tuple[int, int, int], random: np.random.Generator) -> Floats:
    """A stationary process of variance 1 that forgets within ``wander_s``."""
    runs, services, n = shape_
    steps = 120
    keep = np.exp(-RUN_S / steps / scenario.wander_s)
    walk = np.empty((runs, services, steps))
    walk[..., 0] = random.standard_normal((runs, services))
    for step in range(1, steps):
        walk[..., step] = keep * walk[..., step - 1] + np.sqrt(1 - keep**2) * random.standard_normal((runs, services))
    return walk[..., np.arange(n) * steps // n]


def profile(values: Floats, at: Floats, percentile: float | None) -> Profile:
    """What is kept of one run's latencies, (requests,), as :func:`slo.measure.measure` does from its samples."""
    levels = sorted({*LEVELS, percentile or LEVELS[0]})
    quantiles = np.quantile(values, levels)
    value = float(values.mean() if percentile is None else quantiles[levels.index(percentile)])
    span = (at * BLOCKS_OF_TIME // RUN_S).astype(int)
    below = values[:, None] <= quantiles
    seen = Distribution(
        tuple(levels),
        quantiles,
        n=np.bincount(span).astype(float),
        sums=np.bincount(span, values).astype(float),
        nonzero=np.bincount(span, values != 0).astype(float),
        below=np.stack([np.bincount(span, column) for column in below.T], axis=1),
    )
    return Profile("trend", value, len(values), shape(percentile, value, seen))


def scaled(kept: Profile, factor: float) -> Profile:
    """The profile of the same run with every time multiplied."""
    if kept.kind == "share":
        return kept
    if not kept.numbers:
        return Profile(kept.kind, kept.value * factor, kept.n)
    *quantiles, body, own, wide = kept.numbers
    moved = (*(q * factor for q in quantiles), body + float(np.log(factor)), own, wide)
    return Profile(kept.kind, kept.value * factor, kept.n, moved)


@dataclass(frozen=True)
class Trial:
    """One version's runs and its baseline's: profiles by service, current runs first. ``failing`` replaces failures."""

    times: Sequence[Sequence[Profile]]
    failures: Sequence[Sequence[Profile]]
    failing: Sequence[Profile]
    repeats: int

    def judge(
        self, rule: Regression, shifts: Mapping[int, float] | None = None, failing: int | None = None
    ) -> list[tuple[Change, Change]]:
        """What is said of each service's latency and failures; ``shifts`` multiply the times of the current runs."""
        now, known = self.repeats, shifts or {}
        pairs = [
            Pair(
                f"s{i}", "time", "ms", higher_is_worse=True,
                current=tuple(scaled(one, known.get(i, 1.0)) for one in row[:now]), baseline=tuple(row[now:]),
            )
            for i, row in enumerate(self.times)
        ]  # fmt: skip
        for i, row in enumerate(self.failures):
            current = tuple(self.failing if i == failing else row[:now])
            pairs.append(
                Pair(f"s{i}", "failed", "ratio", higher_is_worse=True, current=current, baseline=tuple(row[now:]))
            )
        changes = compare(pairs, rule).changes
        return list(zip(changes[: len(self.times)], changes[len(self.times) :], strict=True))


def trial(scenario: Scenario, random: np.random.Generator, rate: float = RATES[0]) -> Trial:
    """Made-up runs; ``rate`` is that of the failures that are put in."""
    runs = scenario.baseline + scenario.repeats
    at, values = latencies(scenario, scenario.services, runs, random)
    times = [[profile(values[r, s], at, scenario.percentile) for r in range(runs)] for s in range(scenario.services)]
    failures = [_shares(scenario, USUAL, runs, random) for _ in times]
    return Trial(times, failures, _shares(scenario, rate, scenario.repeats, random), scenario.repeats)


def _shares(scenario: Scenario, rate: float, runs: int, random: np.random.Generator) -> list[Profile]:
    """Failures, independent of each other, of a service's runs."""
    n = scenario.requests
    return [Profile("share", int(h) / n, n, (float(h), 1.0)) for h in random.binomial(n, rate, runs)]


@dataclass(frozen=True)
class Calibration:
    """What the rule does in a scenario, as shares of what was judged.

    ``beside`` are false alarms about services that did not change in runs in which others did. ``found`` is by size of
    the change, ``failures`` by rate (the usual rate: false alarms); ``None`` where there were none. ``detectable`` is
    the median of what is stated, ``found_detectable`` how often a change of just that size was found.
    """

    scenario: str
    spread: float
    false_alarms: float
    beside: float | None
    found: Mapping[str, float | None]
    failures: Mapping[str, float | None]
    covered: float
    detectable: float
    found_detectable: float


def calibrate(scenario: Scenario, trials: int, seed: int = 1) -> Calibration:
    """Judge ``trials`` versions as they are, with changes, and with what is said to be detectable."""
    random = np.random.default_rng(seed)
    rule = Regression(min_change_abs_ms=scenario.min_change_ms)
    alarms: dict[tuple[str, float], list[bool]] = defaultdict(list)
    covered, spreads, stated = [], [], []
    for number in range(trials):
        rate = RATES[number % len(RATES)]
        one = trial(scenario, random, rate)
        *order, last = map(int, random.permutation(scenario.services))
        shifts = dict(zip(order, SIZES, strict=False)) or {last: SIZES[number % len(SIZES)]}
        calm, mixed = one.judge(rule), one.judge(rule, shifts, failing=last)
        for place, ((time, _), (changed, failed)) in enumerate(zip(calm, mixed, strict=True)):
            size = shifts.get(place, 1.0)
            alarms["calm", 1.0].append(_found(time))
            alarms["mixed", size].append(_found(changed))
            alarms["failures", rate if place == last else USUAL].append(_found(failed))
            covered += [_holds(time, 1.0), _holds(changed, size)]
            spreads += [abs(math.log1p(time.change or 0.0)) / time.noise] if time.noise else []
        stated.append(calm[last][0].detectable or 0.0)
        alarms["stated", 1.0].append(_found(one.judge(rule, {last: 1 + stated[-1]})[last][0]))
    share = {of: float(np.mean(found)) for of, found in alarms.items()}
    return Calibration(
        scenario.name, float(np.mean(spreads)), share["calm", 1.0], share.get(("mixed", 1.0)),
        {f"{size:g}": share.get(("mixed", size)) for size in SIZES},
        {f"{rate:g}": share.get(("failures", rate)) for rate in (USUAL, *RATES)},
        float(np.mean(covered)), float(np.median(stated)), share["stated", 1.0],
    )  # fmt: skip


def _found(change: Change) -> bool:
    return change.state == "regressed"


def _holds(change: Change, size: float) -> bool:
    """Whether the stated interval holds the true change."""
    return change.ci is not None and change.ci[0] <= size - 1 <= change.ci[1]


SCENARIOS = (
    Scenario("runs of a minute, ten in the baseline"),
    Scenario("same, changes under 1 ms count, too", min_change_ms=0.0),
    Scenario("same, 3 runs of the version", repeats=3),
    Scenario("same, 3 runs, under 1 ms, too", repeats=3, min_change_ms=0.0),
    Scenario("3 baseline runs", baseline=3),
    Scenario("1 baseline run", baseline=1),
    Scenario("quiet machine", service=0.012, common=0.008, wander=0.02),
    Scenario("noisy machine", service=0.08, common=0.04, wander=0.1),
    Scenario("services share more", service=0.02, common=0.05),
    Scenario("services unevenly noisy", uneven=0.5),
    Scenario("slow wander within a run", wander_s=60.0),
    Scenario("heavy tail, many pauses", tail=0.1, pauses=40.0),
    Scenario("300 requests", requests=300),
    Scenario("p(99)", percentile=0.99),
    Scenario("one service", services=1),
)
