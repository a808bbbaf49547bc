"""The demo's backend with the noise of an ordinary CI machine: runs differ although nothing changed.

One run is one process. What it draws at its start (``--seed``): a factor common to all services (2 %) and one for each
(3 %), and how each drifts through the run. What each request draws: its endpoint's lognormal, now and then a heavy
tail, and the rest of a pause (garbage collection, a noisy neighbour) if its service has one just now.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from dataclasses import dataclass, field

import uvicorn

from examples.nightbff.backend import Behaviour, Dice, Endpoint, Share, create_app

COMMON = 0.02
OWN = 0.03  # sigmas of the logarithm of a factor, from run to run
DRIFT = 0.03  # largest drift within a run, as a share
DRIFT_PERIOD_S = (20.0, 80.0)
GATEWAY_MS = 12.0  # in front of every endpoint, so that 10 % of the fastest is more than the clock's grain
TAIL_SHARE = 0.03
TAIL_FACTOR = 2.0  # median of how much slower the slowest are, with sigma TAIL_SPREAD
TAIL_SPREAD = 0.35
PAUSE_EVERY_S = 8.0
PAUSE_S = (0.03, 0.12)


@dataclass(frozen=True)
class Change:
    """What is different in this run, by service, as in ``truth.json``: factors of latency, and a share of errors."""

    shift: dict[str, float] = field(default_factory=dict)
    tail: dict[str, float] = field(default_factory=dict)
    endpoint: dict[str, dict[str, float]] = field(default_factory=dict)
    err: dict[str, float] = field(default_factory=dict)
    base_err: float = 0.0


class Pauses:
    """When a service stands still: at times of a Poisson process, each for a moment."""

    def __init__(self, rng: random.Random, start: float) -> None:
        self._rng = rng
        self._from, self._until = start, start

    def wait_s(self, now: float) -> float:
        """How much longer the pause lasts, if there is one."""
        while self._until < now:
            self._from = self._until + self._rng.expovariate(1 / PAUSE_EVERY_S)
            self._until = self._from + self._rng.uniform(*PAUSE_S)
        return self._until - now if self._from <= now else 0.0


class Chance(Share):
    """Says yes by chance: errors that fall evenly would be easier to count than real ones."""

    def __init__(self, share: float, seed: str) -> None:
        super().__init__(share, 0.0)
        self._rng = random.Random(seed)

    def draw(self) -> bool:
        return self._rng.random() < self.share


class Noisy(Dice):
    """The chances of one endpoint on a noisy machine."""

    change: Change  # of this process
    started: float
    pauses: dict[str, Pauses]

    def __init__(self, endpoint: Endpoint, behaviour: Behaviour, seed: int) -> None:
        super().__init__(endpoint, behaviour, seed)
        service = endpoint.service
        own = random.Random(f"{seed} {service}")
        run = random.Random(f"{seed}").lognormvariate(0, COMMON) * own.lognormvariate(0, OWN)
        change = self.change.shift.get(service, 1.0) * self.change.endpoint.get(service, {}).get(endpoint.path, 1.0)
        self._median_ms = (GATEWAY_MS + endpoint.median_ms) * run * change
        self._tail = self.change.tail.get(service, 1.0)
        self._drift, self._phase = own.uniform(0, DRIFT), own.uniform(0, 2 * math.pi)
        self._period_s = own.uniform(*DRIFT_PERIOD_S)
        self._pauses = self.pauses.setdefault(service, Pauses(own, self.started))
        self.fails = Chance(self.change.err.get(service, self.change.base_err), f"{seed} {endpoint.path}")

    def latency_ms(self) -> float:
        now = time.monotonic()
        wave = math.sin(self._phase + 2 * math.pi * (now - self.started) / self._period_s)
        latency_ms = self._median_ms * (1 + self._drift * wave) * self._rng.lognormvariate(0, self._spread)
        if self._rng.random() < TAIL_SHARE:
            latency_ms *= self._tail * TAIL_FACTOR * self._rng.lognormvariate(0, TAIL_SPREAD)
        return latency_ms + 1000 * self._pauses.wait_s(now)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--change", default="{}", help="JSON: shift, tail, endpoint, err, base_err")
    options = parser.parse_args()
    Noisy.change = Change(**json.loads(options.change))
    Noisy.started, Noisy.pauses = time.monotonic(), {}
    app = create_app(Behaviour(cache=dict.fromkeys(["interest"], 0.0)), options.seed, Noisy)
    uvicorn.run(app, port=options.port, log_level="critical", access_log=False)


if __name__ == "__main__":
    main()
