"""Whole runs are not doubted: the demo's, and the labelled ones in which nothing was changed."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from data.blocks import file_digest
from data.model import RunMeta
from data.store import Store
from demo import FOLDER
from desk import Desk
from ingest.service import Upload
from slo.model import Verdict
from slo.service import ConfigSource, Service
from tests.ingesting import Quick
from tests.project import ROOT

pytestmark = pytest.mark.slow

UNBELIEVABLE = {"13-auth-cut", "15-user-throws", "17-plan-unseeded", "18-notification-closed-port"}
LABELLED = ROOT / "bench" / "data" / "detection"
CONFIG = """
version: 1
phases:
  - id: P
    title: Any
    objectives:
      - {sli: http_req_duration, target: "p(95) < 60s"}
"""


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Verdict]]:
    """The verdicts of all unchanged labelled runs, each beside up to ten of those before it."""
    folder = tmp_path_factory.mktemp("labelled")
    slo = folder / "slo.yaml"
    slo.write_text(CONFIG)
    truth = json.loads((LABELLED / "truth.json").read_text())
    files = [LABELLED / f"{told['id']}.json.gz" for told in truth if told["version"] == "unchanged"]
    with closing(Store(folder / "store")) as store:
        meta = RunMeta(test="labelled", branch="main", exit_code=0)
        runs = [Quick(store).ingest([Upload(file, file.name)], meta).run for file in files]
        service = Service(store, ConfigSource([slo]))
        yield [service.verdict(run.id, "P") for run in runs]


def states(verdicts: Iterable[Verdict]) -> Counter[str]:
    return Counter(verdict.measurement.state for verdict in verdicts)


def test_no_unchanged_run_is_invalid_and_at_most_two_in_a_hundred_are_suspect(unchanged: list[Verdict]) -> None:
    found = states(unchanged)
    assert len(unchanged) > 20
    assert found["invalid"] == 0, found
    assert found["suspect"] <= 0.02 * len(unchanged), found


def test_they_were_held_against_up_to_ten(unchanged: list[Verdict]) -> None:
    sizes = [len(verdict.baseline.runs) for verdict in unchanged if verdict.baseline]
    expected = [min(before, 10) for before in range(len(unchanged))]
    assert sum(sizes) > 0.95 * sum(expected)  # one in a hundred is left out by chance


def test_of_the_demo_only_what_is_broken_is_doubted(demo_desk: Desk) -> None:
    index = json.loads((FOLDER / "runs" / "index.json").read_text())["runs"]
    files = [Path(told["file"]) for told in index]
    verdicts = {
        file.name.partition(".")[0]: demo_desk.service.verdict(file_digest(FOLDER / "runs" / file)[:12])
        for file in files
    }
    assert {name for name, verdict in verdicts.items() if verdict.measurement.state != "valid"} == UNBELIEVABLE
