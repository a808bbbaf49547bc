"""One comment of each gate on a pull request, found again and changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reports import markdown
from reports.answer import of_gate
from slo.model import VerdictState
from tests.answers import HOSTILE, MISSED, decision
from tests.examples.forges import ME, MOST, TOKEN, Forge, forge
from tests.project import ROOT

COMMENT = ROOT / "examples" / "ci" / "comment.py"


@pytest.fixture(params=["github", "gitlab"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["knows itself", "a job's token"])
def api(request: pytest.FixtureRequest) -> Iterator[Forge]:
    with forge() as known:
        known.knows_me = request.param
        yield known


def write(api: Forge, kind: str, file: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"], "GITHUB_API_URL": api.url, "GITHUB_REPOSITORY": "me/shop", "PULL_REQUEST": "12",
        "GITHUB_TOKEN": TOKEN, "CI_API_V4_URL": api.url, "CI_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "12",
        "GITLAB_TOKEN": TOKEN,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, COMMENT, kind, file], env=environment | more, capture_output=True, text=True, check=False
    )
    assert TOKEN not in done.stdout + done.stderr
    return done


def comment(tmp_path: Path, state: VerdictState, environment: str = "ci", n: int = 1, reason: str = "as it is") -> Path:
    found = decision(state, *[replace(MISSED, reason=reason)] * n)
    file = tmp_path / "gate.md"
    file.write_text(
        markdown.comment(of_gate(replace(found, question=replace(found.question, environment=environment))))
    )
    return file


def test_the_first_call_writes_it_and_the_next_one_changes_it(api: Forge, kind: str, tmp_path: Path) -> None:
    for i in range(230):
        api.said(f"I say {i}")
    first = write(api, kind, comment(tmp_path, "fail"))
    assert (first.returncode, len(api.comments)) == (0, 231), first.stderr
    assert "is new" in first.stdout
    other = write(api, kind, comment(tmp_path, "fail", environment="prod"))
    assert (other.returncode, len(api.comments)) == (0, 232)
    again = write(api, kind, comment(tmp_path, "pass"))
    assert (again.returncode, len(api.comments)) == (0, 232)
    assert "is up to date" in again.stdout
    assert [api.body(1230 + i).splitlines()[1].split()[2] for i in (0, 1)] == ["PASS:", "FAIL:"]
    assert [one["body"] for one in api.comments[:230]] == [f"I say {i}" for i in range(230)]


def test_what_others_wrote_is_left_alone_whatever_it_begins_with(api: Forge, kind: str, tmp_path: Path) -> None:
    mark = "<!-- phasegate gate 7A ci -->"
    theirs = api.said(f"{mark}\n### PASS")
    quoted = api.said(f"See:\n{mark}", **ME)
    assert write(api, kind, comment(tmp_path, "fail")).returncode == 0
    assert (api.body(theirs), api.body(quoted)) == (f"{mark}\n### PASS", f"See:\n{mark}")
    assert len(api.comments) == 3


def test_it_arrives_as_it_is_however_long_the_run(api: Forge, kind: str, tmp_path: Path) -> None:
    file = comment(tmp_path, "fail", n=5000, reason=f"{HOSTILE} \"quoted\" \\n 'é' & `検索` ")
    assert write(api, kind, file).returncode == 0
    assert api.comments[0]["body"] == file.read_text()
    assert len(api.comments[0]["body"]) < 65_000 < MOST


def test_what_goes_wrong_exits_2_and_says_what(api: Forge, kind: str, tmp_path: Path) -> None:
    file = comment(tmp_path, "fail")
    token = {"github": "GITHUB_TOKEN", "gitlab": "GITLAB_TOKEN"}[kind]
    refused = write(api, kind, file, **{token: "another"})
    assert (refused.returncode, "HTTP 401" in refused.stderr) == (2, True)
    api.refuses = True
    assert "Validation Failed" in write(api, kind, file).stderr
    unreachable = write(api, kind, file, GITHUB_API_URL="http://127.0.0.1:9", CI_API_V4_URL="http://127.0.0.1:9")
    assert (unreachable.returncode, "was not written" in unreachable.stderr) == (2, True)
    no_number = write(api, kind, file, PULL_REQUEST="", CI_MERGE_REQUEST_IID="")
    assert (no_number.returncode, "Traceback" in no_number.stderr) == (2, False)
    empty = tmp_path / "empty.md"
    empty.write_text("")
    assert "it is no comment of a gate" in write(api, kind, empty).stderr
    assert not api.comments
