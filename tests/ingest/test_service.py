"""The whole way: files become a stored run, read by a worker process that may die of them alone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from data.errors import BadInput, Busy, PhasegateError, UnreadableArtefact
from data.model import RunMeta
from data.store import Store
from ingest.limits import MIB, Limits
from ingest.service import QUEUE, Ingested, Ingestor, Upload
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


def test_the_same_bytes_are_the_same_run_and_its_notes_tell_what_was_not_taken_over(store: Store) -> None:
    first = Ingestor(store).ingest([EVENT], RunMeta(branch="main", exit_code=0))
    again = Ingestor(store).ingest([EVENT, SUMMARY], RunMeta(branch="main", commit="abc", exit_code=99))
    assert again.run == first.run
    assert not again.created
    assert again.notes == (
        "summary.json was not added: the run is stored already",
        "commit stays None; this upload said 'abc'",
        "exit_code stays 0; this upload said 99",
    )
    assert store.count_runs() == 1


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
