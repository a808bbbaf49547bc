"""The launcher finds Phasegate from anywhere and leaves the user where they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).parent.parent / "phasegate"
ECHO = "import os, sys; print(os.getcwd(), *sys.argv[1:], sep='\\n'); sys.exit(int(os.environ.get('ANSWER', '0')))"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The launcher in a folder with a space in its name, beside a cli.py that says where it is and what it was told."""
    home = tmp_path / "phase gate"
    (home / ".venv/bin").mkdir(parents=True)
    (home / ".venv/bin/python").symlink_to(sys.executable)
    (home / "cli.py").write_text(ECHO)
    return Path(shutil.copy(LAUNCHER, home))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_it_runs_from_any_folder_and_stays_there(installed: Path, elsewhere: Path) -> None:
    output = subprocess.check_output([installed, "ingest", "my run.json"], cwd=elsewhere, text=True)
    assert output.splitlines() == [str(elsewhere), "ingest", "my run.json"]


def test_it_is_found_through_symbolic_links(installed: Path, elsewhere: Path) -> None:
    (elsewhere / "absolute").symlink_to(installed)
    (elsewhere / "bin").mkdir()
    (elsewhere / "bin/relative").symlink_to("../absolute")
    output = subprocess.check_output([elsewhere / "bin/relative", "runs"], cwd=elsewhere, text=True)
    assert output.splitlines() == [str(elsewhere), "runs"]


def test_its_exit_code_is_the_answer(installed: Path) -> None:
    assert (
        subprocess.run([installed], env=os.environ | {"ANSWER": "3"}, check=False, capture_output=True).returncode == 3
    )


def test_without_its_packages_it_says_what_to_run(installed: Path, tmp_path: Path) -> None:
    shutil.rmtree(installed.parent / ".venv")
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "python3").write_text("#!/bin/sh\nexit 1\n")
    (bare / "python3").chmod(0o755)
    answer = subprocess.run(
        [installed, "runs"], env={"PATH": f"{bare}:/usr/bin:/bin"}, check=False, capture_output=True, text=True
    )
    assert answer.returncode == 2
    assert f"make -C '{installed.parent}' install" in answer.stderr
