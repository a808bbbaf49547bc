"""The rules of other tools say what they publish, and the bench scores all alike."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.detection import OURS, simulate
from bench.labelled import RECORDED, Truth
from bench.peers import PEERS, Case, at_equal_alarms, by_size
from bench.simulate import Scenario, calibrate, profile, scaled
from slo.plan import Regression
from tests.project import ROOT

STEADY = (100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 99.8, 100.1, 99.9, 100.0)


def case(now: float, history: tuple[float, ...] = STEADY) -> Case:
    requests = np.random.default_rng(1).lognormal(0, 0.3, 400)
    unit = float(np.quantile(requests, 0.95))
    return Case(
        history, now, requests * history[-1] / unit, np.random.default_rng(2).permutation(requests) * now / unit
    )


@pytest.mark.parametrize("name", PEERS)
def test_no_rule_minds_a_run_like_the_others(name: str) -> None:
    assert not PEERS[name](case(100.3))[0]


@pytest.mark.parametrize("name", [name for name in PEERS if not name.startswith("asv")])
def test_every_rule_but_asv_sees_a_run_twice_as_slow(name: str) -> None:
    assert PEERS[name](case(200.0))[0]


def test_asv_sees_a_step_only_with_its_second_run() -> None:
    assert not PEERS["asv, step detection"](case(200.0))[0]
    assert PEERS["asv, step detection"](case(200.0, (*STEADY, 200.0)))[0]


@pytest.mark.parametrize(("now", "alarm"), [(109.9, False), (110.2, True)])
def test_keptn_draws_the_line_at_ten_per_cent(now: float, alarm: bool) -> None:  # noqa: FBT001
    assert PEERS["Keptn, average of 10, +10 %"](case(now))[0] is alarm


@pytest.mark.parametrize("name", PEERS)
def test_a_score_grows_with_the_change(name: str) -> None:
    scores = [PEERS[name](case(now))[1] for now in (100.0, 110.0, 130.0, 180.0)]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]


def test_outcomes_are_counted_by_size_and_at_equal_alarms() -> None:
    outcomes = [(1.0, score > 0.9, score) for score in np.linspace(0, 1, 101)] + [(1.2, True, 0.985), (1.2, False, 0.5)]
    assert by_size(outcomes) == {"1": (10, 101), "1.2": (1, 2)}
    assert at_equal_alarms(outcomes, 0.02) == {"1.2": 0.5}


def test_the_truth_of_a_run_is_known_by_what_is_measured() -> None:
    truth = Truth("r", shift={"a": 1.2}, err={"b": 0.01}, tail={"c": 1.4}, endpoint={"d": {"/x": 1.4}})
    assert truth.size("a", "p(95)") == 1.2
    assert truth.size("b", "failed") == 0.01
    assert (truth.size("c", "p(99)"), truth.size("c", "p(95)")) == (1.4, None)
    assert (truth.size("d", "p(95)"), truth.size("d", "/x"), truth.size("d", "/y")) == (None, 1.4, 1.0)
    assert not truth.unchanged
    assert Truth("r").unchanged


def test_a_scaled_profile_is_that_of_scaled_times() -> None:
    at = np.linspace(0, 60, 500, endpoint=False)
    values = np.random.default_rng(1).lognormal(3, 0.4, 500)
    direct, after = profile(values * 1.3, at, 0.95), scaled(profile(values, at, 0.95), 1.3)
    assert direct.value == pytest.approx(after.value)
    assert direct.numbers == pytest.approx(after.numbers)


def test_the_same_seed_calibrates_alike() -> None:
    small = Scenario("small", requests=200, services=2, baseline=3)
    assert calibrate(small, 3) == calibrate(small, 3)


def test_all_rules_judge_the_same_made_up_runs() -> None:
    found = simulate(1, Regression())
    assert found.keys() == {OURS, *PEERS}
    assert {tuple(size for size, _, _ in outcomes) for outcomes in found.values()} == {
        tuple(size for size, _, _ in found[OURS])
    }


@pytest.mark.slow
def test_the_bench_runs_on_recorded_runs(tmp_path: Path) -> None:
    folder, answer = tmp_path / "runs", tmp_path / "found.json"
    folder.mkdir()
    truth = json.loads((RECORDED / "truth.json").read_text())[:15]
    (folder / "truth.json").write_text(json.dumps(truth))
    for one in truth:
        (folder / f"{one['id']}.json.gz").symlink_to(RECORDED / f"{one['id']}.json.gz")
    command: list[str | Path] = [sys.executable, "-m", "bench.detection", folder, "--trials=0", f"--json={answer}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(answer.read_text())
    assert found["runs"] == 15
    assert set(PEERS) < set(found["p95"])
    assert "Phasegate" in done.stdout
