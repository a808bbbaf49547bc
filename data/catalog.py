"""The catalog: which runs there are, what they measured and what was said of them. Rows in, frozen values out.

SQLAlchemy Core over DuckDB (embedded) or PostgreSQL; the shape is made by ``data/migrations``. Lists and maps inside a
row are JSON text, so that both databases hold the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from data.model import (
    Artefact,
    Decision,
    Metric,
    MetricStats,
    Pull,
    Run,
    RunMeta,
    RunRecord,
    Series,
    SummaryValue,
    Threshold,
)
from data.sources import Query

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

_schema = sa.MetaData()
_time = sa.DateTime(timezone=True)


def _table(name: str, /, **columns: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]]) -> sa.Table:
    return sa.Table(name, _schema, *(sa.Column(key, kind) for key, kind in columns.items()))


runs = _table(
    "runs",
    id=sa.String, digest=sa.String, service=sa.String, test=sa.String, phase=sa.String, branch=sa.String,
    commit=sa.String, version=sa.String, environment=sa.String, exit_code=sa.Integer, labels=sa.String,
    received_at=_time, started_at=_time, ended_at=_time, duration_s=sa.Double, duration_source=sa.String,
    services=sa.String, requests=sa.BigInteger, points=sa.BigInteger, k6_version=sa.String, script_hash=sa.String,
    facts=sa.String,
)  # fmt: skip
artefacts = _table(
    "artefacts",
    run_id=sa.String, name=sa.String, kind=sa.String, digest=sa.String, bytes=sa.BigInteger, lines=sa.BigInteger,
    points=sa.BigInteger, malformed_lines=sa.BigInteger, first_malformed_line=sa.BigInteger,
    dropped_points=sa.BigInteger, truncated=sa.String, collapsed_tags=sa.String,
)  # fmt: skip
metrics = _table(
    "metrics",
    run_id=sa.String, name=sa.String, type=sa.String, contains=sa.String, submetrics=sa.String, stats=sa.String,
)  # fmt: skip
series = _table(
    "series",
    run_id=sa.String, id=sa.BigInteger, metric=sa.String, tags=sa.String, n=sa.BigInteger, sum=sa.Double,
    min=sa.Double, max=sa.Double, nonzero=sa.BigInteger, first_at=_time, last_at=_time, last=sa.Double, pull=sa.String,
)  # fmt: skip
pulls = _table(
    "pulls",
    run_id=sa.String, id=sa.String, source=sa.String, promql=sa.String, step_s=sa.Double, service=sa.String,
    name=sa.String, at=sa.Double, state=sa.String, start_at=_time, end_at=_time, pulled_at=_time, problem=sa.String,
    again=sa.Boolean, warnings=sa.String, place=sa.String,
)  # fmt: skip
thresholds = _table(
    "thresholds", run_id=sa.String, metric=sa.String, source=sa.String, ok=sa.Boolean, abort_on_fail=sa.Boolean
)
summary_values = _table("summary_values", run_id=sa.String, metric=sa.String, stat=sa.String, value=sa.Double)
measurements = _table(
    "measurements",
    run_id=sa.String, service=sa.String, sli=sa.String, stat=sa.String, include=sa.String,
    rule_version=sa.Integer, n=sa.BigInteger, count=sa.BigInteger, value=sa.Double, unit=sa.String,
    ci_low=sa.Double, ci_high=sa.Double, ci_method=sa.String, value_ok=sa.Double, n_ok=sa.BigInteger, problem=sa.String,
    profile=sa.String,
)  # fmt: skip
assessments = _table("assessments", run_id=sa.String, rule_version=sa.Integer, doubt=sa.String, shape=sa.String)
decisions = _table("decisions", run_id=sa.String, kind=sa.String, reason=sa.String, at=_time)
verdicts = _table(
    "verdicts",
    run_id=sa.String, phase=sa.String, config_digest=sa.String, rule_version=sa.Integer, verdict=sa.String,
    judged_at=_time, document=sa.String,
)  # fmt: skip
gate_decisions = _table(
    "gate_decisions",
    id=sa.String, phase=sa.String, version=sa.String, environment=sa.String, decision=sa.String, decided_at=_time,
    document=sa.String, evidence=sa.String,
)  # fmt: skip
waivers = _table(
    "waivers",
    id=sa.String, service=sa.String, about=sa.String, phase=sa.String, version=sa.String, owner=sa.String,
    reason=sa.String, created_at=_time, expires_at=_time, ended_at=_time,
)  # fmt: skip
gate_overrides = _table("gate_overrides", gate_id=sa.String, by=sa.String, reason=sa.String, at=_time)
notifications = _table(
    "notifications",
    id=sa.String, created_at=_time, receiver=sa.String, document=sa.String, state=sa.String, attempts=sa.Integer,
    next_attempt_at=_time, last_error=sa.String,
)  # fmt: skip
told_states = _table("told_states", subject=sa.String, state=sa.String, at=_time)
budget_buckets = _table("budget_buckets", digest=sa.String, until_s=sa.BigInteger, good=sa.Double, total=sa.Double)
slo_configs = _table("slo_configs", digest=sa.String, source=sa.String, seen_at=_time, document=sa.String)

began = sa.func.least(runs.c.started_at, runs.c.received_at)  # passes over what is NULL
_KEYS = {
    "measurements": ("run_id", "rule_version", "service", "sli", "stat", "include"),
    "assessments": ("run_id", "rule_version"),
    "verdicts": ("run_id", "rule_version", "phase", "config_digest"),
}
"""What is concluded once: DuckDB keeps no unique indexes for us."""

TEST = ("service", "test", "environment")
"""What runs have to share to be runs of the same test."""

Test = tuple[str | None, str | None, str | None]
TABLES: tuple[sa.Table, ...] = tuple(_schema.sorted_tables)


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list; ``None`` does not filter. ``service`` also finds runs that carry it as a tag."""

    service: str | None = None
    test: str | None = None
    branch: str | None = None
    environment: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class StoredMeasurement:
    """One row of ``measurements``: an SLI of one run, in ``unit``. ``problem`` says why ``value`` is absent.

    ``profile`` is what later runs are compared with, as JSON text.
    """

    run_id: str
    service: str | None
    sli: str
    stat: str
    include: str
    rule_version: int
    n: int
    count: int | None
    value: float | None
    unit: str
    ci_low: float | None
    ci_high: float | None
    ci_method: str | None
    value_ok: float | None
    n_ok: int | None
    problem: str | None
    profile: str | None = None


@dataclass(frozen=True)
class StoredAssessment:
    """One row of ``assessments``: why a run alone is not believed (``None``: it is), and its shape as JSON text."""

    run_id: str
    rule_version: int
    doubt: str | None
    shape: str


@dataclass(frozen=True)
class StoredVerdict:
    """One row of ``verdicts``; ``document`` is the verdict as JSON text."""

    run_id: str
    phase: str
    config_digest: str
    rule_version: int
    verdict: str
    judged_at: datetime
    document: str


@dataclass(frozen=True)
class StoredConfig:
    """One row of ``slo_configs``: the text of a slo.yaml that something was judged by."""

    digest: str
    source: str
    seen_at: datetime
    document: str


def add_run(connection: sa.Connection, record: RunRecord) -> None:
    """Write all rows of a run; the caller owns the transaction."""
    connection.execute(runs.insert(), [_row(record.run)])
    # vars, not asdict: its deep copies would take most of the time of a run with many series.
    children: dict[sa.Table, Iterable[dict[str, Any]]] = {
        artefacts: (vars(a) | {"collapsed_tags": _dump(a.collapsed_tags)} for a in record.artefacts),
        metrics: (
            vars(m) | {"submetrics": _dump(m.submetrics), "stats": m.stats and _dump(vars(m.stats))}
            for m in record.metrics
        ),
        series: (vars(s) | {"tags": _dump(s.tags)} for s in record.series),
        thresholds: (vars(t) for t in record.thresholds),
        summary_values: (vars(v) for v in record.summary),
    }
    for table, rows in children.items():
        add_rows(connection, table, [{"run_id": record.run.id} | row for row in rows])
    replace_pulls(connection, record.run.id, record.pulls)


def amend_run(connection: sa.Connection, run: Run) -> None:
    """Write what is said of a run by now, and drop what was concluded when it was less."""
    connection.execute(runs.update().where(runs.c.id == run.id).values(_row(run)))
    for table in (measurements, assessments, verdicts):
        connection.execute(table.delete().where(table.c.run_id == run.id))


def replace_pulls(connection: sa.Connection, run_id: str, pulled: Sequence[Pull]) -> None:
    """Make these all that Prometheus was asked about a run, and drop what was concluded without them."""
    connection.execute(pulls.delete().where(pulls.c.run_id == run_id))
    connection.execute(series.delete().where(series.c.run_id == run_id, series.c.pull.is_not(None)))
    for table in (assessments, verdicts):
        connection.execute(table.delete().where(table.c.run_id == run_id))
    of_run = {"run_id": run_id}
    add_rows(connection, pulls, [of_run | _pull_row(one) for one in pulled])
    found = [(one.query.id, each) for one in pulled for each in one.series]
    add_rows(connection, series, [of_run | vars(s) | {"tags": _dump(s.tags), "pull": of} for of, s in found])


def forget_verdicts(connection: sa.Connection, run: Run, *, later: bool = False) -> None:
    """Drop the verdicts of all runs of the same test, which may have been compared with this one.

    ``later``: only of those that did not begin before it.
    """
    same = [runs.c[name].is_not_distinct_from(getattr(run.meta, name)) for name in TEST]
    if later:
        same.append(min(run.started_at or run.received_at, run.received_at) <= began)
    connection.execute(verdicts.delete().where(verdicts.c.run_id.in_(sa.select(runs.c.id).where(*same))))


def delete_run(connection: sa.Connection, run_id: str) -> None:
    """Remove every row of a run."""
    for table in TABLES:
        if "run_id" in table.c:
            connection.execute(table.delete().where(table.c.run_id == run_id))
    connection.execute(runs.delete().where(runs.c.id == run_id))


def add_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert many rows, or none."""
    if rows:
        connection.execute(table.insert(), list(rows))


def add_new(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows about runs that are stored; what is there already stays, each once."""
    there = known(connection, {row["run_id"] for row in rows})
    key = [table.c[name] for name in _KEYS[table.name]]
    kept = {tuple(row) for row in connection.execute(sa.select(*key).where(table.c.run_id.in_(there)))}
    new = {tuple(row[column.name] for column in key): row for row in rows if row["run_id"] in there}
    add_rows(connection, table, [row for place, row in new.items() if place not in kept])


def remember_config(connection: sa.Connection, config: StoredConfig) -> None:
    """Keep a slo.yaml, once for each digest."""
    if connection.scalar(sa.select(slo_configs.c.digest).where(slo_configs.c.digest == config.digest)) is None:
        connection.execute(slo_configs.insert(), [asdict(config)])


def read_config(connection: sa.Connection, digest: str) -> StoredConfig | None:
    """The slo.yaml with this digest, if something was judged by it."""
    row = connection.execute(sa.select(slo_configs).where(slo_configs.c.digest == digest)).mappings().first()
    return None if row is None else StoredConfig(**row)


def run_ids(connection: sa.Connection, prefix: str = "", limit: int | None = 10) -> list[str]:
    """Ids that start with ``prefix``, in order."""
    found = sa.select(runs.c.id).where(runs.c.id.startswith(prefix, autoescape=True))
    return list(connection.scalars(found.order_by(runs.c.id).limit(limit)))


def list_runs(connection: sa.Connection, where: RunFilter, limit: int | None) -> list[Run]:
    """Runs, newest first by start; by receipt where the start is unknown, or comes later: then a clock runs ahead."""
    query = sa.select(runs)
    for name in ("test", "branch", "environment", "version"):
        if (wanted := getattr(where, name)) is not None:
            query = query.where(runs.c[name] == wanted)
    if where.service is not None:
        named = _dump(where.service)
        query = query.where(sa.or_(runs.c.service == where.service, runs.c.services.contains(named, autoescape=True)))
    return [_run(row) for row in connection.execute(query.order_by(began.desc(), runs.c.id).limit(limit)).mappings()]


def read_decisions(connection: sa.Connection, run_id: str | None = None) -> list[Decision]:
    """What was decided about a run, or about all of them, oldest first."""
    query = sa.select(decisions).order_by(decisions.c.at)
    if run_id is not None:
        query = query.where(decisions.c.run_id == run_id)
    return [Decision(**row) for row in connection.execute(query).mappings()]


def replace_decisions(connection: sa.Connection, run_id: str, decided: Sequence[Decision]) -> None:
    """Make these all that was decided about a run."""
    connection.execute(decisions.delete().where(decisions.c.run_id == run_id))
    add_rows(connection, decisions, [asdict(one) for one in decided])


def read_assessments(connection: sa.Connection, run_ids: Sequence[str], rule_version: int) -> list[StoredAssessment]:
    """What was found about some runs under one version of the rules."""
    found = connection.execute(
        sa.select(assessments).where(assessments.c.run_id.in_(run_ids), assessments.c.rule_version == rule_version)
    )
    return [StoredAssessment(**row) for row in found.mappings()]


def runs_of_tests(connection: sa.Connection, tests: Iterable[Test]) -> list[Run]:
    """All runs of some tests, newest first."""
    of = [
        sa.and_(*(runs.c[name].is_not_distinct_from(value) for name, value in zip(TEST, test, strict=True)))
        for test in tests
    ]
    query = sa.select(runs).where(sa.or_(sa.false(), *of)).order_by(began.desc(), runs.c.id)
    return [_run(row) for row in connection.execute(query).mappings()]


def known(connection: sa.Connection, run_ids: Iterable[str]) -> set[str]:
    """Those of some ids that are stored."""
    return set(connection.scalars(sa.select(runs.c.id).where(runs.c.id.in_(list(run_ids)))))


def count_runs(connection: sa.Connection) -> int:
    """How many runs are stored."""
    return connection.scalar(sa.select(sa.func.count()).select_from(runs)) or 0


def read_run(connection: sa.Connection, run_id: str) -> Run:
    """One run by its full id, which must exist."""
    return _run(connection.execute(sa.select(runs).where(runs.c.id == run_id)).mappings().one())


def read_record(connection: sa.Connection, run_id: str) -> RunRecord:
    """A run with its artefacts, metrics, series, thresholds, summary, and what Prometheus was asked about it."""

    def rows(table: sa.Table) -> list[dict[str, Any]]:
        found = connection.execute(sa.select(table).where(table.c.run_id == run_id)).mappings()
        return [{key: value for key, value in row.items() if key != "run_id"} for row in found]

    found: dict[str | None, list[Series]] = {}
    for row in rows(series):
        of = row.pop("pull")
        found.setdefault(of, []).append(Series(**row | {"tags": json.loads(row["tags"])}))
    return RunRecord(
        run=read_run(connection, run_id),
        artefacts=tuple(
            Artefact(**row | {"collapsed_tags": json.loads(row["collapsed_tags"])}) for row in rows(artefacts)
        ),
        metrics=tuple(_metric(row) for row in rows(metrics)),
        series=tuple(found.get(None, ())),
        thresholds=tuple(Threshold(**row) for row in rows(thresholds)),
        summary=tuple(SummaryValue(**row) for row in rows(summary_values)),
        pulls=tuple(_pull(row, found.get(row["id"], ())) for row in rows(pulls)),
    )


def read_checks(connection: sa.Connection, run_ids: Sequence[str]) -> list[tuple[str, Series]]:
    """The series of k6's checks of some runs, each with the id of its run."""
    found = connection.execute(
        sa.select(series).where(series.c.run_id.in_(run_ids), series.c.metric == "checks", series.c.pull.is_(None))
    )
    rows = [{key: value for key, value in row.items() if key != "pull"} for row in found.mappings()]
    return [(row.pop("run_id"), Series(**row | {"tags": json.loads(row["tags"])})) for row in rows]


def read_measurements(connection: sa.Connection, run_ids: Sequence[str], rule_version: int) -> list[StoredMeasurement]:
    """All measurements of some runs under one version of the rules."""
    found = connection.execute(
        sa.select(measurements).where(measurements.c.run_id.in_(run_ids), measurements.c.rule_version == rule_version)
    )
    return [StoredMeasurement(**row) for row in found.mappings()]


def read_verdicts(
    connection: sa.Connection, run_ids: Sequence[str], phase: str, config_digest: str, rule_version: int
) -> dict[str, StoredVerdict]:
    """Verdicts of some runs in one phase under one configuration and rule version, by run id."""
    found = connection.execute(
        sa.select(verdicts).where(
            verdicts.c.run_id.in_(run_ids),
            verdicts.c.phase == phase,
            verdicts.c.config_digest == config_digest,
            verdicts.c.rule_version == rule_version,
        )
    )
    return {row["run_id"]: StoredVerdict(**row) for row in found.mappings()}


def _row(run: Run) -> dict[str, Any]:
    own = {f.name: getattr(run, f.name) for f in fields(run) if f.name != "meta"}
    meta = vars(run.meta) | {"labels": _dump(run.meta.labels), "facts": _dump(run.meta.facts)}
    return own | {"services": _dump(run.services)} | meta


def _run(row: sa.RowMapping) -> Run:
    meta = {f.name: row[f.name] for f in fields(RunMeta)}
    meta |= {"labels": json.loads(row["labels"]), "facts": json.loads(row["facts"] or "{}")}
    own = {f.name: row[f.name] for f in fields(Run) if f.name != "meta"}
    return Run(**own | {"meta": RunMeta(**meta), "services": tuple(json.loads(row["services"]))})


def _pull_row(pull: Pull) -> dict[str, Any]:
    own = {f.name: getattr(pull, f.name) for f in fields(pull) if f.name not in {"query", "series", "start", "end"}}
    times = {"start_at": pull.start, "end_at": pull.end}
    return vars(pull.query) | own | times | {"id": pull.query.id, "warnings": _dump(pull.warnings)}


def _pull(row: dict[str, Any], found: Iterable[Series]) -> Pull:
    own = {f.name: row[f.name] for f in fields(Pull) if f.name not in {"query", "series", "start", "end"}}
    query = Query(**{f.name: row[f.name] for f in fields(Query)})
    return Pull(
        **own | {"query": query, "series": tuple(found), "start": row["start_at"], "end": row["end_at"]}
        | {"warnings": tuple(json.loads(row["warnings"]))}
    )  # fmt: skip


def _metric(row: dict[str, Any]) -> Metric:
    stats = MetricStats(**json.loads(row["stats"])) if row["stats"] else None
    return Metric(**row | {"submetrics": tuple(json.loads(row["submetrics"])), "stats": stats})


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
