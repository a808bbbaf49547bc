"""What the files of one upload say together: one run's record."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from data.errors import BadInput
from data.k6_metrics import metric_named
from data.model import SAMPLE_KINDS, Metric, Run, RunMeta, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from data.model import Artefact, MetricStats, Series, Threshold
    from ingest.summary import Summary


@dataclass(frozen=True)
class Identity:
    """Who the run is, settled before its files are read."""

    id: str
    digest: str
    meta: RunMeta
    received_at: datetime


@dataclass(frozen=True)
class Window:
    """When a part's samples were taken, and which test ids (``testid`` tag) they carry."""

    name: str
    first_at: datetime
    last_at: datetime
    test_ids: frozenset[str]


def check_parts(windows: Sequence[Window]) -> None:
    """Parts of one run overlap in time and agree on their test id.

    Raises:
        BadInput: they do not, so they are different runs.
    """
    for one in windows:
        for other in windows:
            if one.last_at < other.first_at:
                raise BadInput(
                    f"{one.name} and {other.name} are two different runs: the first ended "
                    f"{(other.first_at - one.last_at).total_seconds():,.0f} s before the second began",
                    help="upload each run on its own; the parts of one distributed run overlap in time",
                )
            if one.test_ids and other.test_ids and not one.test_ids & other.test_ids:
                raise BadInput(
                    f"{one.name} and {other.name} are two different runs: their testid tags differ",
                    help="upload each run on its own",
                )


def assemble(  # noqa: PLR0913, PLR0917  # one argument for each source of the record
    identity: Identity,
    artefacts: Sequence[Artefact],
    series: Sequence[Series],
    definitions: Iterable[tuple[Metric, list[Threshold]]],
    stats: dict[str, MetricStats],
    summaries: Sequence[Summary],
) -> RunRecord:
    """One record from the samples and the summaries. Samples win; summaries add what only they know.

    Several parts have a summary each: what it counts is its own part and is left out, what it found crossed stays so.
    """
    metrics: dict[str, Metric] = {}
    thresholds: dict[tuple[str, str], Threshold] = {}
    for metric, limits in definitions:
        metrics.setdefault(metric.name, metric)
        thresholds |= {(t.metric, t.source): t for t in limits}
    for summary in summaries:
        for metric in summary.metrics:
            metrics.setdefault(metric.name, metric)
        for limit in summary.thresholds:
            known = thresholds.get((limit.metric, limit.source), limit)
            thresholds[limit.metric, limit.source] = replace(known, ok=known.ok is not False and limit.ok)
    for name in {s.metric for s in series} - metrics.keys():
        metrics[name] = metric_named(name)
    parts = sum(artefact.kind in SAMPLE_KINDS for artefact in artefacts)
    values = {(v.metric, v.stat): v for summary in summaries for v in summary.values} if parts <= 1 else {}
    return RunRecord(
        run=_run(identity, series, summaries),
        artefacts=tuple(artefacts),
        metrics=tuple(replace(m, stats=stats.get(m.name)) for m in sorted(metrics.values(), key=lambda m: m.name)),
        series=tuple(series),
        thresholds=tuple(thresholds.values()),
        summary=tuple(values.values()),
    )


def _run(identity: Identity, series: Sequence[Series], summaries: Sequence[Summary]) -> Run:
    started = min((s.first_at for s in series), default=None)
    ended = max((s.last_at for s in series), default=None)
    durations = [s.duration_s for s in summaries if s.duration_s]
    same = durations and math.isclose(min(durations), max(durations))  # of several parts each summary times its own
    stated = durations[0] if same else None
    source: Literal["summary", "samples"] | None = "summary" if stated else None
    duration_s = stated
    if stated is None and started and ended:
        duration_s, source = (ended - started).total_seconds(), "samples"
    tagged = {s.tags["service"] for s in series if "service" in s.tags}
    return Run(
        id=identity.id,
        digest=identity.digest,
        meta=identity.meta,
        received_at=identity.received_at,
        started_at=started,
        ended_at=ended,
        duration_s=duration_s,
        duration_source=source,
        services=tuple(sorted(tagged | ({identity.meta.service} if identity.meta.service else set()))),
        requests=_requests(series, summaries),
        points=sum(s.n for s in series),
        k6_version=next((s.k6_version for s in summaries if s.k6_version), None),
        script_hash=next((s.script_hash for s in summaries if s.script_hash), None),
    )


def _requests(series: Sequence[Series], summaries: Sequence[Summary]) -> int:
    """HTTP requests outside setup and teardown; of a summary alone, all of them."""
    if series:
        return round(sum(s.sum for s in series if s.metric == "http_reqs" and not s.part_of_test))
    counts = (v.value for s in summaries for v in s.values if (v.metric, v.stat) == ("http_reqs", "count"))
    return round(next(counts, 0))
