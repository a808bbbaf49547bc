"""The store: one folder with the catalog, the blocks and the spool, opened by one process at a time.

::

    var/catalog.duckdb   the catalog
        blocks/          sample blocks (``data.blocks``)
        spool/           uploads and work in progress; emptied when the store opens
        server.json      address of the server that holds the store, while it runs
"""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from data import blocks, catalog
from data.errors import BadRequest, NotFound, StoreError, StoreLocked
from data.migrate import migrate
from data.samples import DuckDBSamples, SampleEngine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from data.catalog import RunFilter, StoredConfig, StoredMeasurement, StoredVerdict
    from data.model import Run, RunRecord

SHORTEST_PREFIX = 4
_ADDRESS = "server.json"
_log = structlog.get_logger()


class Store:
    """Reading from many threads, writing one at a time. ``samples`` answers questions to the blocks."""

    def __init__(self, home: Path) -> None:
        """Open (or create) the store in ``home``.

        Raises:
            StoreLocked: another process holds it.
            StoreError: it is damaged, newer than this version, or no place to write to.
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
        self._writing = threading.Lock()
        self._engine = sa.create_engine(
            f"duckdb:///{self.home / 'catalog.duckdb'}",
            connect_args={"config": {"memory_limit": "512MB", "threads": 1}},
        )
        # Times come back in UTC wherever the process runs.
        sa.event.listen(self._engine, "connect", lambda connection, _: connection.execute("SET TimeZone = 'UTC'"))
        try:
            migrate(self._engine, self._checkpoint)
        except sa.exc.DBAPIError as error:
            self._engine.dispose()
            raise self._explained(error) from error
        except StoreError:
            self._engine.dispose()
            raise
        self._recover()
        self._samples = DuckDBSamples(self._blocks)
        self.samples: SampleEngine = self._samples

    def close(self) -> None:
        """Release the store for other processes."""
        (self.home / _ADDRESS).unlink(missing_ok=True)
        self._samples.close()
        self._checkpoint()
        self._engine.dispose()

    # -- runs ---------------------------------------------------------------------------------------------------

    def add_run(self, record: RunRecord, block: Path) -> None:
        """Publish a finished block and commit its run. Afterwards the run is there whole; before, not at all."""
        with self._write() as connection:
            blocks.publish(block, self._blocks / record.run.id)
            catalog.add_run(connection, record)

    def has_run(self, run_id: str) -> bool:
        """Is a run with exactly this id stored?"""
        with self._engine.connect() as connection:
            return run_id in catalog.run_ids(connection, run_id)

    def find_run(self, prefix: str) -> Run:
        """The one run whose id starts with ``prefix``.

        Raises:
            NotFound: there is none.
            BadRequest: there are several, or the prefix is too short to mean one.
        """
        with self._engine.connect() as connection:
            ids = catalog.run_ids(connection, prefix)
            if not ids:
                raise NotFound(f"no run {prefix!r} in this store", help="list the runs with `phasegate runs`")
            if prefix not in ids and (len(prefix) < SHORTEST_PREFIX or len(ids) > 1):
                raise BadRequest(f"{prefix!r} could mean {len(ids)} runs: {', '.join(ids)}", help="give more of the id")
            return catalog.read_run(connection, prefix if prefix in ids else ids[0])

    def runs(self, where: RunFilter, limit: int | None = None) -> list[Run]:
        """Runs, newest first."""
        with self._engine.connect() as connection:
            return catalog.list_runs(connection, where, limit)

    def count_runs(self) -> int:
        """How many runs are stored."""
        with self._engine.connect() as connection:
            return catalog.count_runs(connection)

    def record(self, run_id: str) -> RunRecord:
        """Everything the catalog keeps of a run."""
        with self._engine.connect() as connection:
            return catalog.read_record(connection, run_id)

    # -- what was said of them ----------------------------------------------------------------------------------

    def measurements(self, run_ids: Sequence[str], rule_version: int) -> list[StoredMeasurement]:
        """All measurements kept of some runs under one version of the rules."""
        with self._engine.connect() as connection:
            return catalog.read_measurements(connection, run_ids, rule_version)

    def verdicts(
        self, run_ids: Sequence[str], phase: str, config_digest: str, rule_version: int
    ) -> dict[str, StoredVerdict]:
        """Stored verdicts by run id."""
        with self._engine.connect() as connection:
            return catalog.read_verdicts(connection, run_ids, phase, config_digest, rule_version)

    def add_judgement(
        self, config: StoredConfig, measured: Sequence[StoredMeasurement], verdicts: Sequence[StoredVerdict]
    ) -> None:
        """Keep new measurements and verdicts, and the slo.yaml they rest on, in one transaction."""
        with self._write() as connection:
            catalog.remember_config(connection, config)
            catalog.add_rows(connection, catalog.measurements, [asdict(m) for m in measured])
            catalog.add_rows(connection, catalog.verdicts, [asdict(v) for v in verdicts])

    # -- inside -------------------------------------------------------------------------------------------------

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with self._writing:
            with self._engine.begin() as connection:
                yield connection
            self._checkpoint()

    def _checkpoint(self) -> None:
        # After every commit: an empty log cannot be replayed wrongly. Open readers do not hold it up.
        if self._engine.dialect.name == "duckdb":
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("CHECKPOINT")

    def _recover(self) -> None:
        """Empty the spool, take in whole blocks that the catalog does not know, remove those that were never finished.

        So a crash between a block's rename and the catalog's commit loses nothing, and a lost catalog is rebuilt.
        A finished block is never removed: what cannot be read here may be from a newer version, or a disk's bad day.
        """
        shutil.rmtree(self.spool, ignore_errors=True)
        self.spool.mkdir(exist_ok=True)
        with self._engine.connect() as connection:
            known = set(catalog.run_ids(connection, limit=None))
        for folder in sorted(self._blocks.iterdir()):
            if folder.name in known or not folder.is_dir():
                continue
            if not blocks.is_finished(folder):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            try:
                record = blocks.read_whole(folder).record
            except StoreError as error:
                _log.warning("block left alone", block=folder.name, reason=error.message)
                continue
            with self._write() as connection:
                catalog.add_run(connection, record)

    def _explained(self, error: sa.exc.DBAPIError) -> StoreError | StoreLocked:
        text = str(error.orig)
        if "Could not set lock" not in text:
            return StoreError(
                f"the catalog in {self.home} cannot be opened: {text.splitlines()[0]}",
                help="move catalog.duckdb away and start again: runs are taken in again from their blocks",
            )
        url = server_url(self.home)
        where = f"a server at {url}" if url else "another process"
        return StoreLocked(
            f"the store {self.home} is in use by {where}",
            help=f"talk to that server: add `--server {url or 'http://127.0.0.1:8501'}` (or set PHASEGATE_URL), "
            "or stop it first",
        )


def announce_server(home: Path, url: str) -> None:
    """Leave word in the store of the server that holds it, for the command line's error message."""
    (home / _ADDRESS).write_text(json.dumps({"url": url}), encoding="utf-8")


def server_url(home: Path) -> str | None:
    """The address that was announced last, if any."""
    try:
        found = json.loads((home / _ADDRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(found["url"]) if isinstance(found, dict) and "url" in found else None
