"""slo.yaml taken over and handed out, as a shell sees it."""

import gzip
import json
import shutil
from pathlib import Path

import pytest

import demo
from tests.running import Workspace

OPENSLO = Path(__file__).parent / "slo" / "openslo"

pytestmark = pytest.mark.slow  # a process for each command


@pytest.fixture
def here(tmp_path: Path) -> Workspace:
    summary = next((demo.FOLDER / "runs").glob("*-event-slow.summary.json"))
    (tmp_path / "summary.json.gz").write_bytes(gzip.compress(summary.read_bytes()))
    return Workspace(tmp_path)


def test_thresholds_become_a_slo_yaml_that_the_next_command_reads(here: Workspace) -> None:
    done = here("slo", "import", "--k6", "summary.json.gz", "--phase", "7A", "--service", "event", "--out", "slo.yaml")
    assert (done.returncode, done.stdout) == (0, "")
    assert "note: k6 counts setup() and teardown() in" in done.stderr
    assert "is fine" in here("slo", "check").stdout
    asked = here("slo", "export", "--k6")
    assert (asked.returncode, json.loads(asked.stdout)["thresholds"]["checks{service:event}"]) == (0, ["rate>0.95"])
    assert here("slo", "export", "--k6", "--format", "js").stdout.startswith("export const thresholds = {\n")
    (here.folder / "options.json").write_text(asked.stdout)
    assert here("slo", "export", "--k6", "--check", "options.json").returncode == 0
    differs = here("slo", "export", "--k6", "--check", "summary.json.gz")
    assert (differs.returncode, "+ checks rate>0.95\n" in differs.stdout) == (1, True)


def test_what_is_there_is_never_written_over(here: Workspace) -> None:
    (here.folder / "slo.yaml").write_text("mine")
    done = here("slo", "import", "--k6", "summary.json.gz", "--out", "slo.yaml")
    assert (done.returncode, "slo.yaml is there already" in done.stderr) == (2, True)
    assert (here.folder / "slo.yaml").read_text() == "mine"
    done = here("slo", "import", "--k6", "summary.json.gz", "--out", "no/slo.yaml")
    assert (done.returncode, "no/slo.yaml cannot be written: No such file" in done.stderr) == (2, True)


def test_openslo_comes_from_files_or_from_a_folder(here: Workspace) -> None:
    shutil.copytree(OPENSLO, here.folder / "slos")
    folder = here("slo", "import", "--openslo", "slos")
    files = here("slo", "import", "--openslo", "slos/slos.yaml", "--openslo", "slos/indicators.yaml")
    assert (folder.returncode, files.returncode) == (0, 0)
    assert "promql" in files.stdout
    (here.folder / "empty").mkdir()
    done = here("slo", "import", "--openslo", "empty")
    assert (done.returncode, "empty has no .yaml file" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("import",), "one source can be imported at a time"),
        (("import", "--k6", "summary.json.gz", "--openslo", "."), "name one: --k6"),
        (("import", "--k6", "none.json"), "does not exist"),
        (("export",), "add --k6"),
        (("export", "--k6", "--slo", str(demo.SLO)), "add --phase, one of 1, 7A, 7B, 8"),
        (("export", "--k6", "--slo", str(demo.SLO), "--phase", "9"), "has no phase `9`"),
        (("export", "--k6", "--slo", str(demo.SLO), "--phase", "1", "--service", "x"), "phase 1 asks nothing of `x`"),
    ],
)
def test_what_cannot_be_done_is_said(here: Workspace, words: tuple[str, ...], said: str) -> None:
    done = here("slo", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_samples_cannot_check_a_script(here: Workspace) -> None:
    run = next((demo.FOLDER / "runs").glob("*-event-slow.json.gz"))
    done = here("slo", "export", "--k6", "--slo", demo.SLO, "--phase", "7A", "--check", run)
    assert (done.returncode, "do not tell all thresholds" in done.stderr) == (2, True)
