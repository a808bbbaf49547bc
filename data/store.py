"""The store: one folder with the catalog, the blocks and the spool, opened by one process at a time.

::

    var/catalog.duckdb   the catalog
        blocks/          sample blocks (``data.blocks``)
        spool/           uploads and work in progress; emptied when the store opens
        server.json      address of the server that holds the store, while it runs (``data.address``)
"""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from data import attachments, blocks, budgets, catalog, figures, gates, newest, notices, pulled
from data.address import server_url, withdraw_server
from data.errors import BadRequest, NoSpace, NotFound, PhasegateError, StoreError, StoreLocked
from data.migrate import migrate
from data.samples import DuckDBSamples, SampleEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from data.budgets import Buckets
    from data.catalog import (
        RunFilter,
        StoredAssessment,
        StoredConfig,
        StoredMeasurement,
        StoredVerdict,
        Test,
    )
    from data.figures import Figures, Sizes
    from data.gates import StoredGate
    from data.model import Attachment, Decision, Override, Pull, Run, RunMeta, RunRecord, Series, Waiver
    from data.newest import NewestGate, NewestRun
    from data.notices import StoredNotice
    from data.pulled import Points

SHORTEST_PREFIX = 4
_DISK_IS_FULL = ("No space left", "Disk quota exceeded")
"""What DuckDB says then."""
_log = structlog.get_logger()


class Store:
    """Reading from many threads, writing one at a time. ``samples`` answers questions to the blocks."""

    def __init__(self, home: Path) -> None:
        """Open (or create) the store in ``home``.

        Raises:
            StoreLocked: another process holds it.
            StoreError: it is damaged, newer than this version, or no place to write to.
            NoSpace: the disk is full.
        """
        self.home = home.resolve()
        self.spool = self.home / "spool"
        self._blocks = self.home / "blocks"
        try:
            self._blocks.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"no store can be made in {self.home}: {error.strerror}",
                help="point PHASEGATE_HOME at a folder that you may write to",
            ) from error
        self._scales = figures.Scales(self.home)
        self._writing = threading.Lock()
        self._changes = 0
        self._changing = False
        self._engine = sa.create_engine(
            f"duckdb:///{self.home / 'catalog.duckdb'}",
            connect_args={"config": {"memory_limit": "512MB", "threads": 1}},
        )
        # Times come back in UTC wherever the process runs.
        sa.event.listen(self._engine, "connect", lambda connection, _: connection.execute("SET TimeZone = 'UTC'"))
        try:
            with self._explaining(self._not_opened):
                migrate(self._engine, self._checkpoint)
            self._recover()
        except PhasegateError:
            self._engine.dispose()
            raise
        self._samples = DuckDBSamples(self._blocks)
        self.samples: SampleEngine = self._samples

    def close(self) -> None:
        """Release the store for other processes."""
        withdraw_server(self.home)
        self._samples.close()
        self._tidy()
        self._engine.dispose()

    # -- runs ---------------------------------------------------------------------------------------------------

    def add_run(self, record: RunRecord, block: Path) -> None:
        """Publish a finished block and commit its run. Afterwards the run is there whole; before, not at all.

        Raises:
            StoreError: the disk or the catalog fails, or a block that the catalog does not know is in the way.
            NoSpace: the disk is full.
        """
        target = self._blocks / record.run.id
        with self._writing:
            blocks.publish(block, target)
            try:
                with self._transaction() as connection:
                    catalog.add_run(connection, record)
                    self._forget_verdicts(connection, record.run, later=True)
            except PhasegateError:
                blocks.remove(target)
                raise

    def amend_run(self, run: Run, meta: RunMeta) -> Run:
        """Keep what is said of a run by now, and drop what was concluded when it was less; the run as it is then.

        Raises:
            StoreError: the disk or the catalog fails, or the run's block is missing.
            NoSpace: the disk is full.
        """
        amended = blocks.amended(run, meta)
        with self._write() as connection:
            blocks.amend(self._blocks / run.id, meta)  # first: opening the store makes up for what the catalog missed
            self._forget_verdicts(connection, run)
            catalog.amend_run(connection, amended)
            self._forget_verdicts(connection, amended)
        return amended

    def attach(self, run_id: str, given: Sequence[tuple[Attachment, Path]]) -> list[Attachment]:
        """Keep files with a stored run; those that were not there before, by the names that they got.

        Raises:
            StoreError: the disk fails, or the run's block is missing.
            NoSpace: the disk is full.
        """
        with self._writing:
            return attachments.attach(self._blocks / run_id, given)

    def attachments(self, run_id: str) -> list[Attachment]:
        """The files kept with a run."""
        return attachments.attachments(self._blocks / run_id)

    def attachment(self, run_id: str, name: str) -> bytes:
        """The bytes of a file kept with a run.

        Raises:
            NotFound: there is none of this name, or it was too large to keep.
            StoreError: it is damaged.
        """
        return attachments.content(self._blocks / run_id, name)

    def add_pulls(self, run_id: str, answers: Sequence[tuple[Pull, Sequence[Points]]]) -> None:
        """Keep what Prometheus answered about a stored run, and drop what was concluded without it.

        Raises:
            StoreError: the disk or the catalog fails, or the run's block is missing.
            NoSpace: the disk is full.
        """
        with self._write() as connection:
            there = pulled.keep(self._blocks / run_id, answers)  # what the catalog then misses is asked again
            catalog.replace_pulls(connection, run_id, there)
            self._forget_verdicts(connection, catalog.read_run(connection, run_id))

    def delete_run(self, run_id: str, reason: str) -> None:
        """Remove a run with all that was said of it, for good. Interrupted, it may be asked for again.

        Raises:
            StoreError: the disk or the catalog fails.
        """
        with self._write() as connection:
            run = catalog.read_run(connection, run_id)
            blocks.remove(self._blocks / run_id)
            self._forget_verdicts(connection, run)
            catalog.delete_run(connection, run_id)
        _log.warning("run deleted", run=run_id, reason=reason)

    def decide(self, decision: Decision) -> None:
        """Keep a decision about a run, and drop the verdicts that it may turn.

        Raises:
            StoreError: the disk or the catalog fails, or the run's block is missing.
            NoSpace: the disk is full.
        """
        folder = self._blocks / decision.run_id
        with self._write() as connection:
            blocks.decide(folder, decision)  # first: opening the store makes up for what the catalog missed
            catalog.replace_decisions(connection, decision.run_id, blocks.decisions(folder))
            self._forget_verdicts(connection, catalog.read_run(connection, decision.run_id))
        _log.info("decided", run=decision.run_id, kind=decision.kind, reason=decision.reason)

    def has_run(self, run_id: str) -> bool:
        """Is a run with exactly this id stored?"""
        with self._read() as connection:
            return bool(catalog.known(connection, [run_id]))

    def find_run(self, prefix: str) -> Run:
        """The one run whose id starts with ``prefix``.

        Raises:
            NotFound: there is none.
            BadRequest: there are several, or the prefix is too short to mean one.
        """
        with self._read() as connection:
            ids = catalog.run_ids(connection, prefix)
            if not ids:
                raise NotFound(f"no run {prefix!r} in this store", help="list the runs with `phasegate runs`")
            if prefix not in ids and (len(prefix) < SHORTEST_PREFIX or len(ids) > 1):
                raise BadRequest(f"{prefix!r} could mean {', '.join(ids)}", help="give more of the id")
            return catalog.read_run(connection, prefix if prefix in ids else ids[0])

    def runs(self, where: RunFilter, limit: int | None = None) -> list[Run]:
        """Runs, newest first."""
        with self._read() as connection:
            return catalog.list_runs(connection, where, limit)

    def runs_of_tests(self, tests: Iterable[Test]) -> list[Run]:
        """All runs of some tests (service, test, environment), newest first."""
        with self._read() as connection:
            return catalog.runs_of_tests(connection, tests)

    def count_runs(self) -> int:
        """How many runs are stored."""
        with self._read() as connection:
            return catalog.count_runs(connection)

    def record(self, run_id: str) -> RunRecord:
        """Everything the catalog keeps of a run.

        Raises:
            NotFound: it is not stored (any more).
        """
        with self._read() as connection:
            return catalog.read_record(connection, run_id)

    # -- what was said of them ----------------------------------------------------------------------------------

    def measurements(self, run_ids: Sequence[str], rule_version: int) -> list[StoredMeasurement]:
        """All measurements kept of some runs under one version of the rules."""
        with self._read() as connection:
            return catalog.read_measurements(connection, run_ids, rule_version)

    def checks(self, run_ids: Sequence[str]) -> list[tuple[str, Series]]:
        """The series of k6's checks of some runs, each with the id of its run."""
        with self._read() as connection:
            return catalog.read_checks(connection, run_ids)

    def decisions(self, run_id: str | None = None) -> list[Decision]:
        """What was decided about a run, or about all of them, oldest first."""
        with self._read() as connection:
            return catalog.read_decisions(connection, run_id)

    def assessments(self, run_ids: Sequence[str], rule_version: int) -> list[StoredAssessment]:
        """What was found about some runs under one version of the rules."""
        with self._read() as connection:
            return catalog.read_assessments(connection, run_ids, rule_version)

    def verdicts(
        self, run_ids: Sequence[str], phase: str, config_digest: str, rule_version: int
    ) -> dict[str, StoredVerdict]:
        """Stored verdicts by run id."""
        with self._read() as connection:
            return catalog.read_verdicts(connection, run_ids, phase, config_digest, rule_version)

    @property
    def changes(self) -> int:
        """How often what verdicts rest on has changed. What was concluded before such a change is not kept after it."""
        return self._changes

    def add_measurements(
        self, measured: Sequence[StoredMeasurement], assessed: Sequence[StoredAssessment], since: int
    ) -> None:
        """Keep what was measured and found of runs at the time of ``since`` (:attr:`changes`), each once."""
        if measured or assessed:
            with self._write() as connection:
                if self._changes == since:
                    catalog.add_new(connection, catalog.measurements, [asdict(one) for one in measured])
                    catalog.add_new(connection, catalog.assessments, [asdict(one) for one in assessed])

    def add_verdicts(self, config: StoredConfig, verdicts: Sequence[StoredVerdict], since: int) -> None:
        """Keep verdicts that were reached at the time of ``since`` (:attr:`changes`), and the slo.yaml they rest on."""
        with self._write() as connection:
            catalog.remember_config(connection, config)
            if self._changes == since:
                catalog.add_new(connection, catalog.verdicts, [asdict(one) for one in verdicts])

    # -- gates --------------------------------------------------------------------------------------------------

    def add_gate(self, gate: StoredGate, config: StoredConfig) -> None:
        """Keep what a gate decided, once for the same evidence, and the slo.yaml that it rests on."""
        with self._write() as connection:
            catalog.remember_config(connection, config)
            gates.add_gate(connection, gate)

    def gates(self, prefix: str, limit: int) -> list[StoredGate]:
        """Decisions of gates whose id begins so, with their evidence."""
        with self._read() as connection:
            return gates.read_gates(connection, prefix, limit)

    def gate_documents(self, limit: int) -> list[str]:
        """What gates decided, newest first."""
        with self._read() as connection:
            return gates.gate_documents(connection, limit)

    def override(self, override: Override) -> None:
        """Keep who let a version through."""
        with self._write() as connection:
            catalog.add_rows(connection, catalog.gate_overrides, [asdict(override)])
        _log.warning("gate overridden", gate=override.gate_id, by=override.by, reason=override.reason)

    def overrides(self) -> list[Override]:
        """Who let versions through, oldest first."""
        with self._read() as connection:
            return gates.read_overrides(connection)

    def waive(self, waiver: Waiver) -> None:
        """Keep a waiver."""
        with self._write() as connection:
            catalog.add_rows(connection, catalog.waivers, [asdict(waiver)])
        _log.info("waived", waiver=waiver.id, about=waiver.about, owner=waiver.owner, reason=waiver.reason)

    def end_waiver(self, waiver: Waiver) -> None:
        """Keep when a waiver ended."""
        with self._write() as connection:
            gates.end_waiver(connection, waiver)

    def waivers(self) -> list[Waiver]:
        """Every waiver, those that ended, too; oldest first."""
        with self._read() as connection:
            return gates.read_waivers(connection)

    def config(self, digest: str) -> StoredConfig | None:
        """The slo.yaml with this digest, if something was judged by it."""
        with self._read() as connection:
            return catalog.read_config(connection, digest)

    # -- who is told --------------------------------------------------------------------------------------------

    def told(self, subjects: Collection[str]) -> dict[str, str]:
        """The states that were told last, by subject."""
        with self._read() as connection:
            return notices.read_told(connection, subjects)

    def tell(self, states: Mapping[str, str], messages: Sequence[StoredNotice], at: datetime) -> None:
        """Keep states as told, and the messages that tell them, in one transaction: both or neither."""
        with self._write() as connection:
            notices.tell(connection, states, messages, at)

    def due_notices(self, at: datetime) -> list[StoredNotice]:
        """Messages that are to be sent by now, oldest first."""
        with self._read() as connection:
            return notices.due_notices(connection, at)

    def next_notice_at(self) -> datetime | None:
        """When the next message is to be sent; ``None`` where none waits."""
        with self._read() as connection:
            return notices.next_due(connection)

    def settle_notices(self, tried: Sequence[StoredNotice]) -> None:
        """Keep what became of attempts to send."""
        if tried:
            with self._write() as connection:
                for one in tried:
                    notices.settle(connection, one)

    def notices(self, limit: int) -> list[StoredNotice]:
        """Messages, those that wait or failed first."""
        with self._read() as connection:
            return notices.list_notices(connection, limit)

    # -- error budgets ------------------------------------------------------------------------------------------

    def buckets(self, digest: str, after_s: int) -> Buckets:
        """What was counted for a pair of queries, in the buckets that end after a time."""
        with self._read() as connection:
            return budgets.read_buckets(connection, digest, after_s)

    def keep_buckets(self, digest: str, found: Buckets) -> None:
        """Make these all that was counted in their times, all or none of them."""
        with self._write() as connection:
            budgets.replace_buckets(connection, digest, found)

    def drop_buckets(self, digest: str | None, until_s: int) -> int:
        """Remove what was counted until a time, for a pair of queries or for all; how many buckets."""
        with self._write() as connection:
            return budgets.drop_buckets(connection, digest, until_s)

    # -- who watches it -----------------------------------------------------------------------------------------

    def figures(self) -> Figures:
        """What the catalog comes to in figures."""
        with self._read() as connection:
            return figures.read_figures(connection)

    def sizes(self) -> Sizes:
        """What the store takes on disk, as it was at most 10 s ago.

        Raises:
            StoreError: the folder cannot be read.
        """
        return self._scales.sizes()

    def newest_runs(self, branch: str, most: int) -> tuple[list[NewestRun], int]:
        """The newest run of each test, branch and set of services, newest first; and how many more there are.

        Beyond ``most`` those on ``branch`` or none are kept first, then the newest.
        """
        with self._read() as connection:
            return newest.newest_runs(connection, branch, most)

    def verdict_times(
        self, run_ids: Collection[str], config_digest: str, rule_version: int
    ) -> dict[tuple[str, str], datetime]:
        """When some runs were judged, by run id and phase."""
        with self._read() as connection:
            return newest.verdict_times(connection, run_ids, config_digest, rule_version)

    def newest_gates(self, most: int) -> tuple[list[NewestGate], int]:
        """What was decided last of each phase in each environment, newest first; and how many more there are."""
        with self._read() as connection:
            return newest.newest_gates(connection, most)

    # -- inside -------------------------------------------------------------------------------------------------

    def _forget_verdicts(self, connection: sa.Connection, run: Run, *, later: bool = False) -> None:
        self._changes += 1
        self._changing = True
        catalog.forget_verdicts(connection, run, later=later)

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with self._explaining(self._failed), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with self._writing, self._transaction() as connection:
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """For who holds the lock."""
        with self._explaining(self._failed), self._engine.begin() as connection:
            yield connection
        if self._changing:  # once more: who has read meanwhile has read what was before
            self._changing = False
            self._changes += 1
        self._tidy()

    def _tidy(self) -> None:
        """Checkpoint, if it can be done: what was committed is kept either way, in the log that opening replays."""
        try:
            with self._explaining(self._failed):
                self._checkpoint()
        except PhasegateError as error:
            _log.warning("catalog not checkpointed", reason=error.message)

    def _checkpoint(self) -> None:
        # After every commit: an empty log cannot be replayed wrongly. Open readers do not hold it up.
        if self._engine.dialect.name == "duckdb":
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                try:
                    connection.exec_driver_sql("CHECKPOINT")
                except sa.exc.DBAPIError:
                    connection.invalidate()  # a database that gave up cannot even roll back
                    raise

    def _recover(self) -> None:
        """Empty the spool, take in whole blocks that the catalog does not know, remove those that were never finished.

        So a crash between a block's rename and the catalog's commit loses nothing, and a lost catalog is rebuilt.
        A finished block is never removed: what cannot be read here may be from a newer version, or a disk's bad day.
        """
        with blocks.at_disk(f"open the store {self.home}"):
            shutil.rmtree(self.spool, ignore_errors=True)
            self.spool.mkdir(exist_ok=True)
            folders = sorted(path for path in self._blocks.iterdir() if path.is_dir())
        with self._read() as connection:
            known = set(catalog.run_ids(connection, limit=None))
        for folder in folders:
            try:
                if folder.name in known:
                    self._catch_up(folder)
                elif blocks.is_finished(folder):
                    record = replace(blocks.read_whole(folder).record, pulls=self._pulled(folder))
                    with self._write() as connection:
                        catalog.add_run(connection, record)
                        self._forget_verdicts(connection, record.run)
                        catalog.replace_decisions(connection, folder.name, blocks.decisions(folder))
                else:
                    shutil.rmtree(folder, ignore_errors=True)
                attachments.sweep(folder)
            except StoreError as error:
                _log.warning("block left alone", block=folder.name, reason=error.message)

    def _pulled(self, folder: Path) -> tuple[Pull, ...]:
        """What Prometheus said of a run, if it is whole: it is no part of what the run is, and can be asked again."""
        try:
            pulled.check(folder)
            return tuple(pulled.pulls(folder))
        except StoreError as error:
            _log.warning("what was pulled is left out", block=folder.name, reason=error.message)
            return ()

    def _catch_up(self, folder: Path) -> None:
        """Tell the catalog of amendments and decisions that a crash kept from it."""
        if (decided := blocks.decisions(folder)) != self.decisions(folder.name):
            with self._write() as connection:
                catalog.replace_decisions(connection, folder.name, decided)
                self._forget_verdicts(connection, catalog.read_run(connection, folder.name))
        if meta := blocks.amendments(folder):
            run = self.find_run(folder.name)
            if run.meta != meta:
                with self._write() as connection:
                    self._forget_verdicts(connection, run)
                    catalog.amend_run(connection, blocks.amended(run, meta))
                    self._forget_verdicts(connection, blocks.amended(run, meta))

    @contextmanager
    def _explaining(self, explain: Callable[[str], PhasegateError]) -> Iterator[None]:
        """Turn what the database raises into an error of ours."""
        try:
            yield
        except sa.exc.NoResultFound as error:
            raise NotFound("the run was deleted meanwhile", help="list the runs with `phasegate runs`") from error
        except sa.exc.DBAPIError as error:
            self._engine.dispose()  # a database that gave up stays so until it is opened again, by whoever asks next
            told = str(error.orig).partition("\n")[0]
            if any(word in told for word in _DISK_IS_FULL):
                raise NoSpace(
                    f"the disk has no room for the catalog in {self.home}", help="make room, then try again"
                ) from error
            raise explain(told) from error

    def _failed(self, told: str) -> PhasegateError:
        return StoreError(f"the catalog in {self.home} failed: {told}", help="check the disk, then try again")

    def _not_opened(self, told: str) -> PhasegateError:
        if "Could not set lock" not in told:
            return StoreError(
                f"the catalog in {self.home} cannot be opened: {told}",
                help="move catalog.duckdb away and start again: runs are taken in again from their blocks",
            )
        url = server_url(self.home)
        where = f"a server at {url}" if url else "another process"
        return StoreLocked(
            f"the store {self.home} is in use by {where}",
            help=f"talk to that server: add `--server {url or 'http://127.0.0.1:8501'}` (or set PHASEGATE_URL), "
            "or stop it first",
        )
