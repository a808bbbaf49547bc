"""What Prometheus is asked about a run: every promql objective, and what there is to know of every service."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from data.sources import Query, Span
from slo import promql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from data.model import Run
    from data.sources import Connection
    from slo.plan import Config, MetricsSource, Objective

UP, DOWN, AGE, SCRAPES, STARTED, MEMORY, CPU, P95 = "up", "down", "age", "scrapes", "started", "memory", "cpu", "p95"
SATURATION, GENERATOR, COLLECTED = "saturation: ", "generator: ", "collected: "
"""How what is configured is named: saturation of a service, of the load generator, and what else is kept."""

_OF_SCRAPES = {UP: "up{$select}", DOWN: "up{$select} == 0", AGE: "time() - timestamp(up{$select})"}
_OVER_TIME = {
    STARTED: "process_start_time_seconds{$select}",
    MEMORY: "process_resident_memory_bytes{$select}",
}
_SCRAPES = "count_over_time(up{$select}[$window])"
_AT_ITS_END = {CPU: "rate(process_cpu_seconds_total{$select}[$window])"}


class Unsaid(Exception):  # it says what is missing; nothing has gone wrong
    """A run does not say what an expression asks of it."""


@dataclass(frozen=True)
class Window:
    """The time of a run in whole seconds, which Prometheus is asked at."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> int:
        """How long it is."""
        return round((self.end - self.start).total_seconds())


@dataclass(frozen=True)
class Questions:
    """Everything that is asked about a run, of whom, and about which time (none: the run does not say when it was)."""

    run: Run
    queries: tuple[Query, ...]
    connections: Mapping[str, Connection]
    spans: Mapping[str, Span]


def questions_of(run: Run, config: Config) -> Questions:
    """What is asked about a run by a slo.yaml."""
    window, sources = window_of(run), config.prometheus
    spans = {name: Span(window.start, window.end, one.margin_s) for name, one in sources.items()} if window else {}
    connections = {name: one.connection for name, one in sources.items()}
    return Questions(run, tuple(queries_of(run, config)), connections, spans)


def window_of(run: Run) -> Window | None:
    """When a run was; ``None`` where it does not say, as a summary alone does not."""
    if run.started_at is None or run.ended_at is None:
        return None
    start = run.started_at.replace(microsecond=0)
    return Window(start, start + timedelta(seconds=max(1, math.ceil((run.ended_at - start).total_seconds()))))


def queries_of(run: Run, config: Config) -> list[Query]:
    """Everything that is asked about a run, each once. What the run does not say enough for is not asked."""
    found: dict[str, Query] = {}
    if window_of(run) is None:
        return []
    objectives = [objective for phase in config.phases for objective in phase.objectives]
    for name, source in config.prometheus.items():  # first: without it no objective is believed
        asked = {objective.service for objective in objectives if objective.source == name and objective.service}
        services = (run.meta.service,) if run.meta.service else sorted({*run.services, *asked})
        for query in _about_services(run, name, source, services):
            found.setdefault(query.id, query)
    for objective in objectives:
        with suppress(Unsaid):
            queries = (query_of(objective, run, config), counter_of(objective, run, config))
            found |= {query.id: query for query in queries if query is not None and query.id not in found}
    return list(found.values())


def query_of(objective: Objective, run: Run, config: Config) -> Query | None:
    """What is sent for a promql objective; ``None`` for one of k6, or where no source is configured.

    Raises:
        Unsaid: the run does not say what the expression asks of it.
    """
    name = objective.source
    if objective.promql is None or name is None:
        return None
    source = config.prometheus[name]
    if (window := window_of(run)) is None:
        raise Unsaid("the run does not say when it was: upload its samples, not only a summary")
    text = _filled(objective.promql, run, source, objective.service, window)
    if objective.target.stat == "increase":
        return Query(name, promql.increase(text, f"{window.seconds}s"), None)
    return Query(name, text, source.step_s)


def counter_of(objective: Objective, run: Run, config: Config) -> Query | None:
    """The counter that an objective asks the increase of, over time: was it there from the beginning on?"""
    window, name = window_of(run), objective.source
    if objective.promql is None or name is None or window is None or objective.target.stat != "increase":
        return None
    source = config.prometheus[name]
    text = _filled(objective.promql, run, source, objective.service, window)
    return Query(name, promql.counter_in(text)[1], source.step_s)


def watch_of(run: Run, name: str, source: MetricsSource, service: str) -> list[Query]:
    """How it is known whether a service was looked at; nothing is where it pushes its metrics."""
    if not source.scraped or (window := window_of(run)) is None:
        return []
    texts = {**{key: (text, source.step_s) for key, text in _OF_SCRAPES.items()}, SCRAPES: (_SCRAPES, None)}
    return [Query(name, _filled(text, run, source, service, window), step, service, key)
            for key, (text, step) in texts.items()]  # fmt: skip


def _about_services(run: Run, name: str, source: MetricsSource, services: Iterable[str]) -> Iterator[Query]:
    window = window_of(run)
    if window is None:
        return

    def ask(texts: Mapping[str, str], service: str | None, step_s: float | None) -> Iterator[Query]:
        for key, text in texts.items():
            with suppress(Unsaid):  # a label that this run does not have: others do
                at = levels.get(key)
                yield Query(name, _filled(text, run, source, service, window), step_s, service, key, at)

    used = {(GENERATOR if one.generator else SATURATION) + one.name: one for one in source.saturation}
    levels = {key: one.at for key, one in used.items()}
    shares = {key: f"({promql.uncommented(one.used)}) / ({promql.uncommented(one.limit)})" for key, one in used.items()}
    over_time = _OVER_TIME | {f"{COLLECTED}{key}": text for key, text in source.collect.items()}
    over_time |= {key: text for key, text in shares.items() if key.startswith(SATURATION)}
    at_its_end = _AT_ITS_END | _latency(source)
    for service in services:
        with suppress(Unsaid):
            yield from watch_of(run, name, source, service)
        yield from ask(over_time, service, source.step_s)
        yield from ask(at_its_end, service, None)
    yield from ask({key: text for key, text in shares.items() if key.startswith(GENERATOR)}, None, source.step_s)


def _latency(source: MetricsSource) -> dict[str, str]:
    """The p95 of a service by its own histogram, over the whole run."""
    if not source.latency:
        return {}
    buckets = f"increase({source.latency}_bucket{{$select}}[$window])"
    return {P95: f"histogram_quantile(0.95, sum by (le) ({buckets}))"}


def _filled(text: str, run: Run, source: MetricsSource, service: str | None, window: Window) -> str:
    said = {name: getattr(run.meta, name) for name in ("environment", "branch", "version", "commit", "test", "phase")}
    said |= {"service": service, **source.labels}

    def value_of(name: str) -> str:
        value = said.get(name) if name in said else run.meta.labels.get(name.removeprefix("label_"))
        if not value:  # an empty matcher would find whatever has no such label
            raise Unsaid(f"the run does not say its {name.removeprefix('label_')}, which the expression asks for")
        return value

    durations = {"window": f"{window.seconds}s", "step": _step(source)}
    return promql.filled(promql.expanded(text, source.select), value_of, durations)


def _step(source: MetricsSource) -> str:
    return f"{round(source.step_s)}s"
