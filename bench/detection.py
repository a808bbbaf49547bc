"""``python -m bench.detection [FOLDER ...] [--json FILE]``: what is found, beside the rules of other tools.

FOLDER holds recorded k6 runs with a known truth (``bench/labelled.py``). Each is judged against the ten unchanged runs
before it. Simulated runs then show the same with more figures, whether intervals hold the truth, and whether what is
called detectable is detected.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from rich.console import Console
from rich.table import Table

from bench.labelled import CORE, FAILED, LOAD, P95, P99, RECORDED, Seen, load
from bench.peers import PEERS, Case, Outcome, at_equal_alarms, by_size
from bench.simulate import SCENARIOS, SIZES, calibrate, latencies, profile, scaled
from slo.change import Change, compare
from slo.pairs import Pair
from slo.plan import Regression
from slo.profile import Profile

BASELINE = 10
TRIALS = 40
OURS = "Phasegate"
AT_FALSE_ALARMS = (0.02, 0.05)


@dataclass(frozen=True)
class Judged:
    """One comparison of ours: what it is about, what is true of it, and what was said."""

    run: str
    service: str
    what: str
    size: float | None
    change: Change


def pairs(
    now: Sequence[Seen],
    before: Sequence[Seen],
    keys: Sequence[tuple[str, str]],
    factors: Mapping[str, float] | None = None,
) -> list[Pair]:
    """What is compared; ``factors`` multiply the current times of services."""
    units = {FAILED: "ratio", LOAD: "/s"}
    return [
        Pair(
            service,
            "endpoint" if what.startswith("/") else what,
            units.get(what, "ms"),
            what != LOAD,
            tuple(_times(run.profiles.get((service, what)), (factors or {}).get(service, 1.0)) for run in now),
            tuple(run.profiles.get((service, what)) for run in before),
        )
        for service, what in keys
    ]


def _times(one: Profile | None, factor: float) -> Profile | None:
    return scaled(one, factor) if one and one.kind == "trend" and factor != 1 else one


def judge(runs: Sequence[Seen], rule: Regression, *, core: bool) -> list[Judged]:
    """Every run with ten unchanged runs before it, of which the last ten are its baseline."""
    found = []
    for now, before in _windows(runs):
        keys = [key for key in now.profiles if key[1] in CORE or not core]
        changes = compare(pairs([now], before, keys), rule).changes
        found += [Judged(now.truth.id, *key, now.truth.size(*key), c) for key, c in zip(keys, changes, strict=True)]
    return found


def judge_repeats(runs: Sequence[Seen], rule: Regression) -> list[Judged]:
    """Three recorded runs of one version count together; versions of unchanged runs are threes of them in a row."""
    found = []
    for group, before in _repeats(runs):
        keys = [key for key in group[0].profiles if key[1] in CORE]
        changes = compare(pairs(group, before, keys), rule).changes
        truth = group[0].truth
        found += [Judged(truth.version, *key, truth.size(*key), c) for key, c in zip(keys, changes, strict=True)]
    return found


def _windows(runs: Sequence[Seen]) -> Iterator[tuple[Seen, list[Seen]]]:
    before: list[Seen] = []
    for run in runs:
        if len(before) >= BASELINE:
            yield run, before[-BASELINE:]
        if run.truth.unchanged:
            before.append(run)


def _repeats(runs: Sequence[Seen]) -> Iterator[tuple[list[Seen], list[Seen]]]:
    groups: dict[str, list[Seen]] = defaultdict(list)
    before: list[Seen] = []
    for run in runs:
        if run.truth.unchanged:
            before.append(run)
        elif run.truth.version and len(before) >= BASELINE:
            groups[run.truth.version].append(run)
            if len(groups[run.truth.version]) == 3:  # noqa: PLR2004
                yield groups[run.truth.version], before[-BASELINE:]


def inject(runs: Sequence[Seen], rule: Regression, repeats: int) -> list[Outcome]:
    """Unchanged recorded runs with the times of three services multiplied, in turn, against ten others."""
    calm = [run for run in runs if run.truth.unchanged]
    found: list[Outcome] = []
    for first in range(len(calm)):
        turned = [*calm[first:], *calm[:first]]
        now, before = turned[:repeats], turned[repeats : repeats + BASELINE]
        services = now[0].services
        keys = [(service, what) for what in CORE for service in services]
        for turn in range(len(services)):
            factors = dict(zip([*services[turn:], *services[:turn]], SIZES, strict=False))
            changes = compare(pairs(now, before, keys, factors), rule).changes[: len(services)]
            sizes = [factors.get(service, 1.0) for service in services]
            found += [_outcome(size, change) for size, change in zip(sizes, changes, strict=True)]
    return found


def peers(runs: Sequence[Seen]) -> dict[str, list[Outcome]]:
    """What the other rules say of every p95: the truth, the alarm, the score."""
    found: dict[str, list[Outcome]] = defaultdict(list)
    for now, before in _windows(runs):
        for service in now.services:
            size = now.truth.size(service, P95)
            if size is None:
                continue
            history = tuple(one.value for run in before if (one := run.profiles[service, P95]))
            current = now.profiles[service, P95]
            if current is None:
                continue
            case = Case(history, current.value, before[-1].requests[service], now.requests[service])
            for name, rule in PEERS.items():
                found[name].append((size, *rule(case)))
    return found


def simulate(trials: int, rule: Regression, seed: int = 3) -> dict[str, list[Outcome]]:
    """Ours and the others on made-up runs in which three services of eight changed."""
    random, scenario = np.random.default_rng(seed), SCENARIOS[0]
    found: dict[str, list[Outcome]] = defaultdict(list)
    for _ in range(trials):
        at, values = latencies(scenario, scenario.services, BASELINE + 1, random)
        sizes = random.permutation([*SIZES, *[1.0] * (scenario.services - len(SIZES))])
        values[-1] *= sizes[:, None]
        rows = [[profile(run, at, 0.95) for run in runs] for runs in values.swapaxes(0, 1)]
        asked = [
            Pair(str(n), P95, "ms", higher_is_worse=True, current=(now,), baseline=tuple(before))
            for n, (*before, now) in enumerate(rows)
        ]
        for n, (change, size) in enumerate(zip(compare(asked, rule).changes, map(float, sizes), strict=True)):
            *before, now = (one.value for one in rows[n])
            case = Case(tuple(before), now, values[-2, n], values[-1, n])
            found[OURS].append(_outcome(size, change))
            for name, other in PEERS.items():
                found[name].append((size, *other(case)))
    return found


def outcomes(judged: Sequence[Judged], what: str) -> list[Outcome]:
    """Ours in the form of the others."""
    return [_outcome(one.size, one.change) for one in judged if one.what == what and one.size is not None]


def _outcome(size: float, change: Change) -> Outcome:
    """The score is the evidence for a worsening."""
    score = -1.0 if change.p is None or (change.change or 0.0) <= 0 else -change.p
    return size, change.state == "regressed", score


def covered(judged: Sequence[Judged]) -> tuple[int, int]:
    """How many stated intervals of p95's change hold the true change."""
    held = [
        one.change.ci[0] <= one.size - 1 <= one.change.ci[1]
        for one in judged
        if one.what == P95 and one.size is not None and one.change.ci
    ]
    return sum(held), len(held)


def timed(runs: Sequence[Seen], rule: Regression) -> float:
    """Milliseconds to compare 50 objectives with ten baseline runs, the best of five; 0 where there are not so many."""
    now, before = next(_windows(runs), (None, []))
    if now is None:
        return 0.0
    keys = [key for key in now.profiles if not key[1].startswith("/")]
    fifty = (keys * 2)[:50]
    asked, took = pairs([now], before, fifty), []
    for _ in range(5):
        start = time.perf_counter()
        compare(asked, rule)
        took.append(time.perf_counter() - start)
    return 1000 * min(took)


def measure_folders(folders: Sequence[Path] = (RECORDED,), trials: int = TRIALS) -> dict[str, Any]:
    """Everything, as plain values; runs of one folder are never compared with those of another."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as home:
        return _measure([load(folder, Path(home, str(n))) for n, folder in enumerate(folders)], trials)


def _measure(sets: Sequence[Sequence[Seen]], trials: int) -> dict[str, Any]:
    rule, plain = Regression(), Regression(min_change_abs_ms=0)
    core = [one for runs in sets for one in judge(runs, rule, core=True)]
    whole = [one for runs in sets for one in judge(runs, rule, core=False)]
    repeats = [one for runs in sets for one in judge_repeats(runs, rule)]
    rules = {OURS: outcomes(core, P95)}
    rules[f"{OURS}, any ms"] = outcomes([one for runs in sets for one in judge(runs, plain, core=True)], P95)
    for runs in sets:
        for name, found in peers(runs).items():
            rules.setdefault(name, []).extend(found)
    endpoints = {one.what for one in whole if one.what.startswith("/")}
    return {
        "runs": sum(map(len, sets)),
        "p95": {name: by_size(found) for name, found in rules.items()},
        "equal": {n: {f"{a:g}": at_equal_alarms(found, a) for a in AT_FALSE_ALARMS} for n, found in rules.items()},
        "others": {
            "failures": by_size(outcomes(core, FAILED)),
            "p99": by_size(outcomes(whole, P99)),
            "endpoint p95": by_size([one for what in endpoints for one in outcomes(whole, what)]),
            "throughput": by_size(outcomes(whole, LOAD)),
            "p95, three runs": by_size(outcomes(repeats, P95)),
        },
        "injected": {str(n): by_size([one for runs in sets for one in inject(runs, rule, n)]) for n in (1, 3)},
        "covered": covered(core),
        "compare_ms": timed(sets[0], rule),
        "beside": {n: at_equal_alarms(found, 0.02) for n, found in simulate(trials, rule).items()},
        "simulated": [asdict(calibrate(scenario, trials)) for scenario in SCENARIOS] if trials else [],
    }


def show(found: Mapping[str, Any], console: Console) -> None:
    sizes = list(found["p95"][OURS])
    _table(console, f"p95 of {found['runs']} runs: alarms by true size (1: false)", ["rule", *sizes], [
        [name, *(_of(row.get(size)) for size in sizes)] for name, row in found["p95"].items()
    ])  # fmt: skip
    for allowed in map("{:g}".format, AT_FALSE_ALARMS):
        _table(console, f"found at {float(allowed):.0%} false alarms", ["rule", *sizes[1:]], [
            [name, *(f"{row[allowed].get(size, 0):.0%}" for size in sizes[1:])] for name, row in found["equal"].items()
        ])  # fmt: skip
    _table(console, "found at 2% false alarms, simulated", ["rule", *map(str, SIZES)], [
        [name, *(f"{share:.0%}" for share in row.values())] for name, row in found["beside"].items()
    ])  # fmt: skip
    rows = [[what, _sizes(row)] for what, row in found["others"].items()]
    rows += [[f"p95, put into {n} recorded", _sizes(row)] for n, row in found["injected"].items()]
    rows += [["95 % intervals of p95's change that hold the truth", _of(found["covered"])]]
    rows += [["50 objectives against ten runs", f"{found['compare_ms']:.0f} ms"]]
    _table(console, f"{OURS} beyond p95: found by true size (1: false)", ["what", "found"], rows)
    head = ["simulated", "spread", "false", "beside", *(f"+{size - 1:.0%}" for size in SIZES)]
    head += ["failing: false, 1 %, 3 %", "held", "detectable", "found"]
    rows = [_simulated(one) for one in found["simulated"]]
    _table(console, "simulated: as it is (false), with three services changed and one failing (beside ...)", head, rows)


def _sizes(row: Mapping[str, tuple[int, int]]) -> str:
    return ", ".join(f"{size}: {_of(counts)}" for size, counts in row.items())


def _simulated(one: Mapping[str, Any]) -> list[str]:
    first = [one["spread"], one["false_alarms"], one["beside"], *one["found"].values()]
    last = [one["covered"], one["detectable"], one["found_detectable"]]
    return [
        one["scenario"],
        *map(_percent, first),
        " ".join(map(_percent, one["failures"].values())),
        *map(_percent, last),
    ]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _of(counts: tuple[int, int] | None) -> str:
    return f"{counts[0]}/{counts[1]} ({counts[0] / counts[1]:.1%})" if counts and counts[1] else ""


def _table(console: Console, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(*head, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.detection", description="What is found, and what is not.")
    parser.add_argument("folders", nargs="*", type=Path, default=[RECORDED], help="labelled runs (default: ours)")
    parser.add_argument("--trials", type=int, default=TRIALS, help="simulated versions per scenario (0: none)")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    found = measure_folders(options.folders, options.trials)
    show(found, Console(width=None if sys.stdout.isatty() else 150))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
