"""A pipeline's script needs no option for reports of tests: the server knows them by what they hold."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import demo
from tests.project import ROOT
from tests.running import Workspace


@pytest.mark.slow
def test_a_report_of_tests_goes_up_after_the_k6_file_as_any_other(tmp_path: Path) -> None:
    results = next((demo.FOLDER / "runs").glob("*-auth.json.gz"))
    summary = results.with_name(results.name.replace("json.gz", "summary.json"))
    report = ROOT / "tests" / "ingest" / "junit" / "surefire-flaky.xml"
    with Workspace(tmp_path, None).serving() as server:
        done = subprocess.run(
            ["sh", ROOT / "examples/ci/phasegate.sh", "upload", results, summary, report, "--", "service=auth"],
            env={"PATH": os.environ["PATH"], "PHASEGATE_URL": server.url}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        run = json.loads(done.stdout)["run"]
        assert (run["facts"]["tests.failed"], run["facts"]["tests.flaky"]) == (2, 1)
        (kept,) = server.ask(f"runs/{run['id']}/attachments")
        assert (kept["kind"], kept["bytes"]) == ("junit", report.stat().st_size)
