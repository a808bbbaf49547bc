"""Files kept beside a block: all or none of them, under safe names, for as long as the run is there."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import blake3
import pytest
from structlog.testing import capture_logs

import demo
from data import attachments, blocks
from data.errors import NoSpace, NotFound, StoreError
from data.model import Attachment, RunMeta
from data.store import Store
from ingest.service import Upload
from tests.ingesting import Quick
from tests.project import ROOT

RUN = next((demo.FOLDER / "runs").glob("*-auth.json.gz"))
DIED = 9


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("attached") / "var"
    store = Store(home)
    run = Quick(store).ingest([Upload(RUN, RUN.name)], RunMeta(service="auth")).run.id
    store.close()
    return home, run


@pytest.fixture
def home(base: tuple[Path, str], tmp_path: Path) -> Path:
    shutil.copytree(base[0], tmp_path / "var")
    return tmp_path / "var"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    opened = Store(home)
    yield opened
    opened.close()


@pytest.fixture
def run(base: tuple[Path, str]) -> str:
    return base[1]


def given(folder: Path, *contents: bytes, name: str = "a.log") -> list[tuple[Attachment, Path]]:
    found = []
    for content in contents:
        digest = blake3.blake3(content).hexdigest()
        path = folder / digest
        path.write_bytes(content)
        found.append((Attachment(name, "file", digest, len(content)), path))
    return found


def names(store: Store, run: str) -> list[str]:
    return [one.name for one in store.attachments(run)]


def test_what_is_attached_comes_back_as_it_was(store: Store, run: str, tmp_path: Path) -> None:
    assert store.attachments(run) == []
    added = store.attach(run, given(tmp_path, b"\x00<script>\xff", b""))
    assert [one.name for one in added] == ["a.log", "a-2.log"]
    assert store.attachments(run) == added
    assert [store.attachment(run, name) for name in ("a.log", "a-2.log")] == [b"\x00<script>\xff", b""]


def test_the_same_file_again_is_there_already(store: Store, run: str, tmp_path: Path) -> None:
    files = given(tmp_path, b"one", b"two")
    store.attach(run, files)
    assert store.attach(run, files) == []
    assert [one.name for one in store.attach(run, given(tmp_path, b"three"))] == ["a-3.log"]
    assert [one.name for one in store.attach(run, given(tmp_path, b"one", name="b"))] == ["b"], "by another name, too"


NAMES = {
    "report.xml": "report.xml",
    "../../etc/passwd": "passwd",
    "C:\\logs\\k6.log": "k6.log",
    ".bashrc": "bashrc",
    "...": "attachment",
    "": "attachment",
    "a b/ü\n\x1b[31m.txt": "_31m.txt",
    'x"; filename="y.html': "x_filename_y.html",
    "no-suffix": "no-suffix",
    "x" * 300 + ".log": "x" * 96 + ".log",
    "y" * 99 + ".." + "z" * 98: "z" * 98,
}


@pytest.mark.parametrize(("name", "kept"), NAMES.items())
def test_a_name_is_only_a_name(store: Store, run: str, tmp_path: Path, name: str, kept: str) -> None:
    store.attach(run, given(tmp_path, b"one", name=name))
    assert names(store, run) == [kept]
    assert attachments.safe_name(kept) == kept
    assert store.attachment(run, kept) == b"one"


@pytest.mark.parametrize("name", ["b.log", "../catalog.duckdb", "manifest.json", "", "a.log/"])
def test_what_is_not_attached_is_not_found(store: Store, run: str, tmp_path: Path, name: str) -> None:
    store.attach(run, given(tmp_path, b"one"))
    with pytest.raises(NotFound, match="no attachment") as missing:
        store.attachment(run, name)
    assert missing.value.help == "attached is a.log"


def test_what_was_too_large_to_keep_is_listed(store: Store, run: str) -> None:
    store.attach(run, [(Attachment("all.xml", "junit", "0" * 64, 1 << 30, kept=False), Path("/nowhere"))])
    assert names(store, run) == ["all.xml"]
    with pytest.raises(NotFound, match="too large to keep"):
        store.attachment(run, "all.xml")


def test_attachments_outlive_the_catalog_and_end_with_the_run(home: Path, run: str, tmp_path: Path) -> None:
    store = Store(home)
    store.attach(run, given(tmp_path, b"one"))
    store.close()
    (home / "catalog.duckdb").unlink()
    again = Store(home)
    assert again.attachment(run, "a.log") == b"one"
    again.delete_run(run, "a test")
    assert again.attachments(run) == []
    assert not list((home / "blocks").iterdir())
    with pytest.raises(StoreError, match="is missing"):
        again.attach(run, given(tmp_path, b"one"))
    again.close()


def test_damage_is_told(store: Store, run: str, tmp_path: Path) -> None:
    store.attach(run, given(tmp_path, b"one"))
    folder = store.home / "blocks" / run
    (kept,) = folder.glob(attachments.FILES)
    kept.write_bytes(b"two")
    with pytest.raises(StoreError, match="is not what was attached"):
        store.attachment(run, "a.log")
    kept.unlink()
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        store.attachment(run, "a.log")
    (folder / attachments.ATTACHMENTS).write_text("[")
    with pytest.raises(StoreError, match=r"attachments\.json of block .* cannot be read"):
        store.attachments(run)


def test_a_list_that_cannot_be_read_keeps_no_run_from_being_taken_in(home: Path, run: str) -> None:
    (home / "blocks" / run / attachments.ATTACHMENTS).write_text("[")
    (home / "catalog.duckdb").unlink()
    with capture_logs() as logs:
        store = Store(home)
    assert store.has_run(run)
    assert logs[0]["event"] == "block left alone"
    store.close()


def test_a_full_disk_attaches_nothing(store: Store, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.attach(run, given(tmp_path, b"one"))
    original = blocks.keep

    def full(folder: Path, name: str, content: bytes) -> None:
        if name == attachments.ATTACHMENTS:
            with blocks.at_disk("attach"):
                raise OSError(errno.ENOSPC, "")
        original(folder, name, content)

    monkeypatch.setattr(blocks, "keep", full)
    with pytest.raises(NoSpace):
        store.attach(run, given(tmp_path, b"two", b"three"))
    assert names(store, run) == ["a.log"]
    monkeypatch.undo()
    Store.close(store)
    again = Store(store.home)
    assert len(list((store.home / "blocks" / run).glob(attachments.FILES))) == 1, "what was never listed is swept"
    again.close()


DYING = """
import os, sys
from pathlib import Path
from data import blocks
from data.model import RunMeta
from data.store import Store
from ingest.service import Ingestor, Upload

home, file, call, when, *attached = sys.argv[1:]
left, original = int(call), blocks.keep

def dying(*given):
    global left
    left -= 1
    if when == "after" or left:
        original(*given)
    if not left:
        os._exit(9)

blocks.keep = dying
uploads = [Upload(Path(name), Path(name).name) for name in attached]
Ingestor(Store(Path(home))).ingest([Upload(Path(file), "r.json.gz"), uploads.pop()], RunMeta(), None, uploads)
"""
REPORT = b'<testsuite name="s"><testcase name="t"><failure/></testcase></testsuite>'


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("known", "call"), [(False, n) for n in range(1, 5)] + [(True, n) for n in range(1, 6)])
def test_killed_at_any_step_all_is_attached_or_nothing_and_a_retry_completes_it(
    home: Path, tmp_path: Path, call: int, when: str, *, known: bool
) -> None:
    """A report, two files and the list are kept beside a block; with a known run then its facts."""
    file = RUN if known else next((demo.FOLDER / "runs").glob("*-chat-slow.json.gz"))
    files = [tmp_path / name for name in ("a.log", "b.log", "r.xml")]
    for path in files:
        path.write_bytes(REPORT if path.suffix == ".xml" else path.name.encode())
    words = [sys.executable, "-c", DYING, home, file, str(call), when, *files]
    died = subprocess.run(list(map(str, words)), cwd=ROOT, check=False).returncode
    assert died == DIED, "it came to this step"
    store = Store(home)
    wanted = blake3.blake3(file.read_bytes()).hexdigest()[:12]
    assert store.has_run(wanted) == known, "a new run is there once its block is, which comes after"
    assert names(store, wanted) in ([], ["r.xml", "a.log", "b.log"])
    listed = {one.digest for one in store.attachments(wanted)}
    for folder in (home / "blocks").iterdir():
        assert {path.name.removeprefix("attachment-") for path in folder.glob(attachments.FILES)} == listed
    *attached, report = [Upload(path, path.name) for path in files]
    again = Quick(store).ingest([Upload(file, "r.json.gz"), report], RunMeta(), None, attached)
    assert (again.run.id, again.created) == (wanted, not known)
    assert names(store, wanted) == ["r.xml", "a.log", "b.log"]
    assert again.run.meta.facts["tests.failed"] == 1
    assert json.loads((home / "blocks" / wanted / attachments.ATTACHMENTS).read_bytes())[0]["kind"] == "junit"
    store.close()
