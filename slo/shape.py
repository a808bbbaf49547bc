"""What a run was made of, whatever it measured: its parts, its load and its promises, to hold against another run."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING

from data.model import SAMPLE_KINDS
from slo.rules.traffic import CALLS, FEWEST, load_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from data.model import RunRecord, Series
    from data.samples import SampleEngine

_OF_K6 = frozenset({
    "check", "error", "error_code", "expected_response", "group", "ip", "iter", "method", "name", "ocsp_status",
    "proto", "rpc_type", "scenario", "service", "status", "subproto", "tls_version", "url", "vu",
})  # fmt: skip
"""Tags that k6 sets itself, or that have a place of their own in a shape."""

_OF_A_RUN = frozenset({
    "branch", "build", "build_id", "commit", "git_sha", "instance_id", "job_name", "release", "run", "run_id", "sha",
    "test_run_id", "testid", "version",
})  # fmt: skip
"""Tags that say which run it is: they differ from run to run by design."""

_FEATURE = "k6_feature_"
_WAITS = frozenset({"http_req_duration", "http_req_blocked", "grpc_req_duration"})
_UNSEEN_WAITS = ("ws_", "browser_", "webrtc_", "grpc_streams")
_OFF_BEAT = """
    WITH step AS (SELECT epoch_us(t) - lag(epoch_us(t)) OVER (ORDER BY t) AS us FROM samples WHERE series_id = $id)
    SELECT median(abs(us - round(us / 1e6) * 1e6)) FROM step
"""
_FEWEST_BEATS = 5

Endpoint = tuple[str | None, str, str]
"""Service, method and name."""
Part = tuple[str, ...]
"""What a test is made of: ``endpoint`` with service, method, name; ``group``, ``check``, ``scenario``, ``tag``."""


@dataclass(frozen=True)
class Flow:
    """The load of one scenario: its iterations and requests, and the time from its first sample to its last.

    ``busy_s`` is what all its iterations lasted, one after the other.
    """

    scenario: str
    iterations: int
    requests: int
    span_s: float
    busy_s: float

    @property
    def per_s(self) -> float:
        """Iterations per second."""
        return self.iterations / self.span_s if self.span_s else 0.0

    @property
    def users(self) -> float:
        """How many iterations ran at once, on average (Little's law)."""
        return self.busy_s / self.span_s if self.span_s else 0.0

    @property
    def per_iteration(self) -> float:
        """Requests per iteration."""
        return self.requests / self.iterations if self.iterations else 0.0


@dataclass(frozen=True)
class Shape:
    """One run without its measured values.

    ``seldom`` are parts that came up too rarely to be missed when they do not. ``run_tags`` are on all of the run.
    ``load_s`` is the span of the load in seconds. ``thresholds`` are k6's, as metric and source; all of them only a
    summary tells (``tells_thresholds``), the samples' file those of the whole metrics that it has (``defined``).
    ``work_ms`` is what an iteration lasts beyond its requests, on average: the script's own time and its sleeps;
    ``receiving_ms`` what reading an answer took; ``off_beat_ms`` how far k6's own clock mostly was off its beat.
    ``calls`` are the endpoints with how often each was called.
    """

    run_id: str
    parts: frozenset[Part]
    seldom: frozenset[Part]
    run_tags: frozenset[str]
    thresholds: frozenset[tuple[str, str]]
    tells_thresholds: bool
    defined: frozenset[str]
    has_teardown: bool
    script_hash: str | None
    k6_version: str | None
    load_s: float
    flows: tuple[Flow, ...]
    work_ms: float | None = None
    receiving_ms: float | None = None
    off_beat_ms: float | None = None
    calls: tuple[tuple[Endpoint, int], ...] = ()

    @property
    def iterations(self) -> int:
        """Those of the load."""
        return sum(flow.iterations for flow in self.flows)

    @property
    def requests(self) -> int:
        """Those of the load."""
        return sum(flow.requests for flow in self.flows)

    @cached_property
    def endpoints(self) -> frozenset[Endpoint]:
        """The endpoints that were called, however seldom."""
        return frozenset((part[1] or None, part[2], part[3]) for part in self.parts if part[0] == "endpoint")

    @cached_property
    def by_service(self) -> dict[str | None, dict[Endpoint, int]]:
        """Of every service (``None``: of requests without one) its endpoints, with how often each was called."""
        found: defaultdict[str | None, dict[Endpoint, int]] = defaultdict(dict)
        for endpoint, n in self.calls:
            found[endpoint[0]][endpoint] = n
        return dict(found)

    @property
    def services(self) -> frozenset[str]:
        """The services that were called."""
        return frozenset(service for service, _, _ in self.endpoints if service)

    def of(self, flow: Flow) -> str:
        """Name a scenario where there are several, as the end of a phrase."""
        return f" of scenario {flow.scenario}" if len(self.flows) > 1 else ""

    @property
    def steady(self) -> frozenset[Part]:
        """The parts that every such run has to have."""
        return self.parts - self.seldom


def lost(run: Shape, before: Sequence[Shape]) -> frozenset[Part]:
    """What the newest two runs before had, and not only now and then, and this one has not.

    Two, because what only errors bring about (a check in an error's branch) may come up in one of them.
    """
    if not before:
        return frozenset()
    # A run too short for a count of virtual users does not tell which tags were of the whole run.
    has = run.parts | {("tag", tag) for tag in run.run_tags}
    return frozenset.intersection(*(one.steady for one in before[:2])) - has


def gained(run: Shape, before: Sequence[Shape]) -> frozenset[Part]:
    """What this run has, and not only now and then, and none before had."""
    return run.steady - frozenset.union(*(one.parts for one in before)) if before else frozenset()


def beside(run: Shape, before: Sequence[Shape]) -> Iterator[tuple[Flow, list[Flow]]]:
    """Each scenario with the same one in the runs before, where it ran often enough to be compared."""
    for flow in run.flows:
        past = [one for shape in before for one in shape.flows if one.scenario == flow.scenario]
        if past and median(one.iterations for one in past) >= FEWEST:
            yield flow, past


def shape_of(record: RunRecord, samples: SampleEngine | None = None) -> Shape:
    """The shape of a run that has samples; of a summary alone nearly nothing is known.

    Only with ``samples`` is there anything to say of k6's beat.
    """
    load = load_of(record)
    flows = _flows(load)
    seen = _seen(record, load)
    kinds = {artefact.kind for artefact in record.artefacts}
    return Shape(
        run_id=record.run.id,
        parts=frozenset(seen),
        seldom=frozenset(part for part, counts in seen.items() if _is_seldom(counts, flows)),
        run_tags=frozenset(f"{key}={value}" for key, value in _run_tags(record).items() if key not in _OF_A_RUN),
        thresholds=frozenset((t.metric, t.source) for t in record.thresholds),
        tells_thresholds=bool(kinds & {"k6-summary-export", "k6-handle-summary"}),
        defined=frozenset(s.metric for s in record.series) if "k6-json" in kinds else frozenset(),
        has_teardown=any(s.part_of_test == "teardown" for s in record.series),
        script_hash=record.run.script_hash,
        k6_version=record.run.k6_version,
        load_s=_span_s(load),
        flows=flows,
        work_ms=_work_ms(load),
        receiving_ms=_mean([s for s in load if s.metric == "http_req_receiving"]),
        off_beat_ms=_off_beat_ms(record, samples) if samples else None,
        calls=tuple(
            ((part[1] or None, part[2], part[3]), counts.total())
            for part, counts in sorted(seen.items())
            if part[0] == "endpoint"
        ),
    )


def _run_tags(record: RunRecord) -> dict[str, str]:
    """The tags of the whole run (``--tag``, ``options.tags``): k6 puts them even on its count of virtual users."""
    beat = next((s for s in record.series if s.metric == "vus"), None)
    return {key: value for key, value in beat.tags.items() if not key.startswith(_FEATURE)} if beat else {}


def _seen(record: RunRecord, load: Sequence[Series]) -> dict[Part, Counter[str]]:
    """Every part with how often it came up, by scenario."""
    by_metric: defaultdict[Part, defaultdict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    ignored = _OF_K6 | _OF_A_RUN | _run_tags(record).keys()
    for one in load:
        for part in _parts_of(one, record.run.meta.service, ignored):
            by_metric[part][one.metric][one.tags.get("scenario", "")] += one.n
    # A part is on samples of several metrics: the one that has most of them counts how often it came up.
    return {part: max(found.values(), key=Counter.total) for part, found in by_metric.items()}


def _parts_of(one: Series, run_service: str | None, ignored: frozenset[str]) -> Iterator[Part]:
    tags = one.tags
    if one.metric in CALLS:
        service = tags.get("service", run_service) or ""
        yield "endpoint", service, tags.get("method", ""), tags.get("name", tags.get("url", "?"))
    for kind in ("group", "scenario", "check"):
        if kind in tags:
            yield kind, tags[kind]
    for key, value in tags.items():
        if key not in ignored and not key.startswith(_FEATURE):
            yield "tag", f"{key}={value}"


def _is_seldom(counts: Counter[str], flows: Sequence[Flow]) -> bool:
    """Fewer than six times, and in no scenario once for each iteration: by chance it may not come up at all."""
    each = any(counts[flow.scenario] >= flow.iterations > 0 for flow in flows)
    return counts.total() < FEWEST and not each


def _flows(load: Sequence[Series]) -> tuple[Flow, ...]:
    by_scenario: defaultdict[str, list[Series]] = defaultdict(list)
    for one in load:
        by_scenario[one.tags.get("scenario", "")].append(one)
    return tuple(
        Flow(
            scenario=scenario,
            iterations=round(sum(s.sum for s in series if s.metric == "iterations")),
            requests=sum(s.n for s in series if s.metric in CALLS),
            span_s=_span_s(series),
            busy_s=sum(s.sum for s in series if s.metric == "iteration_duration") / 1000,
        )
        for scenario, series in sorted(by_scenario.items())
    )


def _span_s(series: Sequence[Series]) -> float:
    if not series:
        return 0.0
    return (max(s.last_at for s in series) - min(s.first_at for s in series)).total_seconds()


def _mean(series: Sequence[Series]) -> float | None:
    n = sum(s.n for s in series)
    return sum(s.sum for s in series) / n if n else None


def _work_ms(load: Sequence[Series]) -> float | None:
    """Not known where an iteration waits for what k6 does not time, or for several requests at once."""
    lasted = [s for s in load if s.metric == "iteration_duration"]
    waited = [s for s in load if s.metric in _WAITS]
    n = sum(s.n for s in lasted)
    if not n or not waited or any(s.metric.startswith(_UNSEEN_WAITS) for s in load):
        return None
    work_ms = (sum(s.sum for s in lasted) - sum(s.sum for s in waited)) / n
    return work_ms if work_ms >= 0 else None


def _off_beat_ms(record: RunRecord, samples: SampleEngine) -> float | None:
    """How far off its beat k6 mostly counted its virtual users, which it does once a second.

    The median over the steps between beats, so that a single stumble, a paused machine and a clock that is slowly set
    right say nothing. ``None`` for a few beats, for several parts (each k6 has a beat of its own), and where times are
    whole seconds, as in a CSV.
    """
    kinds = [artefact.kind for artefact in record.artefacts if artefact.kind in SAMPLE_KINDS]
    beat = next((s for s in record.series if s.metric == "vus"), None)
    if beat is None or beat.n < _FEWEST_BEATS or kinds != ["k6-json"]:
        return None
    ((off,),) = samples.query(record.run.id, _OFF_BEAT, {"id": beat.id})
    return None if off is None else float(off) / 1000
