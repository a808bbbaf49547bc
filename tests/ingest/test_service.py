"""The whole way: files become a stored run, read by a worker process that may die of them alone."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from data.errors import BadInput, Busy, NoSpace, PhasegateError, StoreError, UnreadableArtefact
from data.model import RunMeta
from data.store import Store
from ingest import service
from ingest.limits import MIB, Limits
from ingest.service import QUEUE, Ingested, Ingestor, Upload, filled
from tests.ingesting import Quick
from tests.k6_output import FILES, ndjson, point

EVENT = Upload(FILES / "event.json.gz", "event.json.gz")
SUMMARY = Upload(FILES / "event.summary-export.json", "summary.json")
LIMITS = Limits()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    yield store
    store.close()


def file(folder: Path, content: bytes) -> Upload:
    path = folder / "upload"
    path.write_bytes(content)
    return Upload(path, "r.json")


def workers() -> list[int]:
    """The ingest workers that this process has started and that still run; a browser may run beside them."""
    tasks = Path("/proc/self/task").iterdir()
    children = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    return [pid for pid in children if b"ingest.worker" in command_line(pid)]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def assert_empty(store: Store) -> None:
    assert store.count_runs() == 0
    assert not list((store.home / "blocks").iterdir())
    assert not list(store.spool.iterdir())


def test_a_run_and_its_summary_are_stored_whole(store: Store) -> None:
    steps: dict[str, list[float]] = {}
    meta = RunMeta("event", "crud", "7A", "main", "abc123", "1.2", "ci", 0, {"a": "b"})
    taken = Ingestor(store).ingest([EVENT, SUMMARY], meta, lambda step, share: steps.setdefault(step, []).append(share))
    assert taken == Ingested(store.find_run(taken.run.id), created=True, notes=())
    assert taken.run.meta == meta
    assert (taken.run.requests, taken.run.points, taken.run.services) == (305, 3583, ("event",))
    record = store.record(taken.run.id)
    assert [(a.name, a.kind) for a in record.artefacts] == [
        ("event.json.gz", "k6-json"), ("summary.json", "k6-summary-export"),
    ]  # fmt: skip
    assert store.samples.query(taken.run.id, "SELECT count(*) FROM samples", {}) == [(3583,)]
    assert list(steps) == ["inflate", "read", "sort", "statistics"]
    for shares in steps.values():
        assert all(0 <= share <= 1 for share in shares)
        assert shares[-1] == 1
    assert not list(store.spool.iterdir())
    assert not workers()


def test_the_same_bytes_are_the_same_run_and_what_is_new_of_it_is_added(store: Store) -> None:
    first = Ingestor(store).ingest([EVENT], RunMeta(branch="main", exit_code=0, labels={"a": "b"}))
    again = Ingestor(store).ingest(
        [EVENT, SUMMARY],
        RunMeta(branch="main", commit="abc", exit_code=99, service="shop", labels={"a": "c", "d": "e"}),
    )
    assert not again.created
    assert again.run.meta == RunMeta(
        branch="main", commit="abc", exit_code=0, service="shop", labels={"a": "b", "d": "e"}
    )
    assert again.run == replace(first.run, meta=again.run.meta, services=("event", "shop"))
    assert again.run == store.find_run(first.run.id)
    said, *notes = again.notes
    assert said.startswith("summary.json was not added: a stored run takes no more files")
    assert f"`phasegate runs delete {first.run.id}`" in said
    assert notes == [
        "service is now 'shop'",
        "commit is now 'abc'",
        "label d is now 'e'",
        "exit_code stays 0; this upload said 99",
        "label a stays 'b'; this upload said 'c'",
    ]
    assert store.count_runs() == 1
    assert Ingestor(store).ingest([EVENT], RunMeta(branch="main")) == Ingested(again.run, created=False), "no news"


SAID = st.builds(
    RunMeta,
    service=st.none() | st.just("a") | st.just("b"),
    exit_code=st.none() | st.just(0) | st.just(99),
    labels=st.dictionaries(st.sampled_from("kl"), st.sampled_from("xy")),
)


@given(known=SAID, given_=SAID)
def test_what_was_said_stays_and_what_was_not_is_filled(known: RunMeta, given_: RunMeta) -> None:
    meta, notes = filled(known, given_)
    assert meta.service == (known.service or given_.service)
    assert meta.exit_code == (given_.exit_code if known.exit_code is None else known.exit_code)
    assert meta.labels == given_.labels | known.labels
    assert filled(meta, known) == (meta, []), "all of it is there already"
    assert (meta != known) == any(" is now " in note for note in notes)
    assert (filled(given_, known)[0] != meta) == any(" stays " in note for note in notes)


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, NoSpace), (errno.EIO, StoreError)])
def test_a_disk_that_refuses_the_work_is_an_error_of_ours(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[PhasegateError]
) -> None:
    def refuse(**_options: object) -> str:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(service, "mkdtemp", refuse)
    with pytest.raises(kind, match="read an upload"):
        Ingestor(store).ingest([EVENT], RunMeta())
    assert_empty(store)


def test_the_same_bytes_at_the_same_time_are_one_run(store: Store) -> None:
    ingestor = Ingestor(store)
    together = threading.Barrier(2)

    def ingest() -> Ingested:
        together.wait()
        return ingestor.ingest([EVENT], RunMeta())

    with ThreadPoolExecutor(2) as threads:
        one, other = (future.result() for future in [threads.submit(ingest), threads.submit(ingest)])
    assert one.run == other.run
    assert {one.created, other.created} == {True, False}
    assert store.count_runs() == 1


def test_more_uploads_than_may_wait_are_asked_to_come_later(store: Store) -> None:
    ingestor = Quick(store)
    with ThreadPoolExecutor(QUEUE) as threads:
        with ingestor._turn:
            waiting = [threads.submit(ingestor.ingest, [EVENT], RunMeta()) for _ in range(QUEUE)]
            while ingestor._waiting._value:
                pass
            with pytest.raises(Busy, match=f"{QUEUE} uploads are waiting") as busy:
                ingestor.ingest([EVENT], RunMeta())
            assert busy.value.help
        assert sum(future.result().created for future in waiting) == 1
    assert not ingestor.ingest([EVENT], RunMeta()).created, "later there is room"


def kill(worker: int) -> None:
    os.kill(worker, signal.SIGKILL)


def stop(worker: int) -> None:
    os.kill(worker, signal.SIGSTOP)


@pytest.mark.parametrize("hit", [kill, stop], ids=["killed", "stuck"])
def test_a_worker_that_dies_is_one_clear_error_and_the_next_upload_is_read(
    store: Store, hit: Callable[[int], None]
) -> None:
    ingestor = Ingestor(store, replace(LIMITS, wall_s=1))

    def on_progress(_step: str, _share: float) -> None:
        for worker in workers():
            hit(worker)

    with capture_logs() as logs, pytest.raises(UnreadableArtefact, match=r"reading event\.json\.gz") as died:
        ingestor.ingest([EVENT], RunMeta(), on_progress)
    assert "used up the limits of one ingest (signal 9); nothing was stored" in died.value.message
    assert [log["event"] for log in logs] == ["ingest worker died"]
    assert_empty(store)
    assert not workers()
    ingestor.limits = LIMITS  # a busy machine may need more than the second that killed the stuck one
    assert ingestor.ingest([EVENT], RunMeta()).created


def test_a_worker_that_needs_too_much_memory_is_one_clear_error(store: Store) -> None:
    with capture_logs(), pytest.raises(PhasegateError, match=r"^reading event\.json\.gz"):
        Ingestor(store, replace(LIMITS, address_space_bytes=MIB)).ingest([EVENT], RunMeta())
    assert_empty(store)
    assert Ingestor(store).ingest([EVENT], RunMeta()).created


def test_a_file_that_takes_too_much_memory_to_read_is_refused(store: Store, tmp_path: Path) -> None:
    lines = [point(i, tags={"name": f"/{i}"}) for i in range(50_000)]
    with pytest.raises(BadInput, match="takes more than the 8 MiB of memory"):
        Ingestor(store, replace(LIMITS, memory_bytes=8 * MIB)).ingest([file(tmp_path, ndjson(*lines))], RunMeta())
    assert_empty(store)


def test_a_worker_has_no_secret_in_its_environment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASEGATE_TOKEN", "s3cret")
    seen: set[bytes] = set()

    def look(_step: str, _share: float) -> None:
        for worker in workers():
            seen.update(Path(f"/proc/{worker}/environ").read_bytes().split(b"\0"))

    Ingestor(store).ingest([EVENT], RunMeta(), look)
    assert {variable.partition(b"=")[0] for variable in seen if variable} == {b"PATH", b"LANG"}


def test_an_error_while_progress_is_shown_ends_the_worker(store: Store) -> None:
    def interrupted(_step: str, _share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Ingestor(store).ingest([EVENT], RunMeta(), interrupted)
    assert_empty(store)
    assert not workers()


def test_a_store_may_have_any_name(tmp_path: Path) -> None:
    name = 'it\'s a [größe] of "any" *? name'
    store = Store(tmp_path / name)
    run = Ingestor(store).ingest([EVENT, SUMMARY], RunMeta()).run
    ids = {one.metric: [one.id] for one in store.record(run.id).series}
    assert store.samples.quantiles(run.id, ids, {metric: [0.5] for metric in ids}).keys() == ids.keys()
    store.close()
    again = Store(tmp_path / name)
    assert again.count_runs() == 1
    again.close()
