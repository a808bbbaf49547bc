"""From samples to measurements: every SLI's value exactly as k6 computes it, with its interval.

Counts, sums and extremes come from the statistics kept per series; percentiles and the spread over time are asked of
the sample engine, all SLIs in one query each. Where a run has only a summary, its numbers are taken as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from data.catalog import StoredMeasurement
from slo.intervals import effective_size, mean_interval, minimum_samples, percentile_levels, share_interval
from slo.model import RULE_VERSION
from slo.selector import Selector, SelectorError
from slo.sli import select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.model import Metric, RunRecord, Series
    from data.samples import SampleEngine, Span
    from slo.sli import Sli

_UNITS = {"time": "ms", "data": "B", "default": ""}
_SHORTEST_LOAD_S = 1.0
_WRITTEN_WHEN_IT_HAPPENS = {"dropped_iterations"}
_BY_SPANS = "{name} on {n:,} effective samples of {of:,} (spread over {spans} spans of time)"


@dataclass(frozen=True)
class _Selected:
    """An SLI with the series it is computed from; ``ok`` are those of requests that did not fail."""

    sli: Sli
    metric: Metric | None
    series: list[Series]

    @property
    def ids(self) -> list[int]:
        return [one.id for one in self.series]

    @property
    def ok_ids(self) -> list[int]:
        return [one.id for one in self.series if not one.failed]

    @property
    def n(self) -> int:
        return sum(one.n for one in self.series)


def measure(record: RunRecord, slis: Sequence[Sli], samples: SampleEngine) -> list[StoredMeasurement]:
    """Measure each SLI of a run; one without samples has no value and says why in ``problem``."""
    if not record.series:
        return [_from_summary(record, sli) for sli in slis]
    metrics = {metric.name: metric for metric in record.metrics}
    by_metric: dict[str, list[Series]] = {}
    for one in record.series:
        by_metric.setdefault(one.metric, []).append(one)
    chosen = [
        _Selected(sli, metrics.get(name), select(by_metric.get(name, ()), sli, record.run.meta.service))
        for sli in slis
        for name in [sli.selector.metric]
    ]
    return _Measuring(record, chosen, samples).all()


class _Measuring:
    """All SLIs of one run at once, so that the engine is asked three times and not three times per SLI."""

    def __init__(self, record: RunRecord, chosen: Sequence[_Selected], samples: SampleEngine) -> None:
        self._record = record
        self._chosen = {str(number): one for number, one in enumerate(chosen)}
        self._samples = samples
        run_id = record.run.id
        self._percentiles = self._quantiles({name: [p] for name, p in self._asked().items()})
        ok = {name: self._chosen[name].ok_ids for name in self._asked()}
        self._ok = samples.quantiles(
            run_id,
            {name: ids for name, ids in ok.items() if ids and len(ids) < len(self._chosen[name].ids)},
            {name: [p] for name, p in self._asked().items()},
        )
        self._spans = samples.spans(
            run_id,
            {name: one.ids for name, one in self._chosen.items() if _kind(one) in {"trend", "rate"}},
            {name: self._percentiles[name][0] if name in self._percentiles else None for name in self._chosen},
        )
        self._intervals = self._percentile_intervals()

    def all(self) -> list[StoredMeasurement]:
        return [self._one(name, one) for name, one in self._chosen.items()]

    def _asked(self) -> dict[str, float]:
        return {
            name: one.sli.percentile
            for name, one in self._chosen.items()
            if one.sli.percentile is not None and one.series and _kind(one) == "trend"
        }

    def _quantiles(self, at: dict[str, list[float]]) -> dict[str, tuple[float, ...]]:
        return self._samples.quantiles(self._record.run.id, {name: self._chosen[name].ids for name in at}, at)

    def _percentile_intervals(self) -> dict[str, tuple[float, ...]]:
        ends = {}
        for name, p in self._asked().items():
            if self._chosen[name].n >= minimum_samples(p):
                size = effective_size(self._spans.get(name, ()))
                if size:
                    ends[name] = list(percentile_levels(p, size, self._chosen[name].n))
        return self._quantiles(ends)

    def _one(self, name: str, one: _Selected) -> StoredMeasurement:
        blank = _blank(self._record, one.sli)
        if not one.series:
            return _absent(self._record, one, blank)
        match _kind(one), one.sli.stat:
            case "rate", "rate":
                return self._rate(name, one, blank)
            case "trend", _ if one.sli.percentile is not None:
                return self._percentile(name, one, blank)
            case "trend", "avg":
                return self._mean(name, one, blank)
        value, unit = _plain(one, _duration_s(self._record, one.sli))
        if value is None:
            return replace(blank, problem=f"a {_kind(one)} such as {one.sli.selector.metric} has no {one.sli.stat}")
        return replace(blank, n=one.n, value=value, unit=unit)

    def _rate(self, name: str, one: _Selected, blank: StoredMeasurement) -> StoredMeasurement:
        hits, n = sum(s.nonzero for s in one.series), one.n
        kept = replace(blank, n=n, count=hits, value=hits / n, unit="ratio")
        size = effective_size(self._spans.get(name, ()))
        if not size:
            return kept
        low, high = share_interval(hits / n * size, size)
        return replace(kept, ci_low=low, ci_high=high, ci_method=_method("Jeffreys", size, n, self._spans[name]))

    def _percentile(self, name: str, one: _Selected, blank: StoredMeasurement) -> StoredMeasurement:
        p, n = self._asked()[name], one.n
        ok = self._ok.get(name)
        kept = replace(
            blank,
            n=n,
            value=self._percentiles[name][0],
            unit=_unit(one),
            value_ok=ok[0] if ok else None,
            n_ok=sum(s.n for s in one.series if not s.failed),
        )
        if n < minimum_samples(p):
            return replace(kept, problem=_too_few(n, one.sli.stat, p))
        if name not in self._intervals:
            return kept
        low, high = self._intervals[name]
        method = _method("Woodruff", effective_size(self._spans[name]), n, self._spans[name])
        return replace(kept, ci_low=low, ci_high=high, ci_method=method)

    def _mean(self, name: str, one: _Selected, blank: StoredMeasurement) -> StoredMeasurement:
        value = sum(s.sum for s in one.series) / one.n
        low, high = mean_interval(self._spans.get(name, ())) or (None, None)
        method = f"Student's t over {len(self._spans.get(name, ()))} spans of time"
        kept = replace(blank, n=one.n, value=value, unit=_unit(one))
        return kept if low is None else replace(kept, ci_low=low, ci_high=high, ci_method=method)


def _blank(record: RunRecord, sli: Sli) -> StoredMeasurement:
    service, selector, stat, include = sli.key
    return StoredMeasurement(
        run_id=record.run.id, service=service, sli=selector, stat=stat, include=include, n=0, count=None, value=None,
        rule_version=RULE_VERSION, unit="", ci_low=None, ci_high=None, ci_method=None, value_ok=None, n_ok=None,
        problem=None,
    )  # fmt: skip


def _kind(one: _Selected) -> str:
    """The metric's type; what CSV leaves unsaid follows from the statistic that is asked for."""
    if one.metric and one.metric.type != "unknown":
        return one.metric.type
    stat = one.sli.stat
    if stat == "rate":
        return "counter" if one.sli.per_second else "rate"
    return {"count": "counter", "value": "gauge"}.get(stat, "trend")


def _unit(one: _Selected) -> str:
    return _UNITS[one.metric.contains] if one.metric else ""


def _plain(one: _Selected, duration_s: float | None) -> tuple[float | None, str]:
    """Statistics that need no samples: k6's arithmetic over the series' own statistics."""
    latest = max(one.series, key=lambda s: s.last_at)
    values: dict[tuple[str, str], float | None] = {
        ("trend", "min"): min(s.min for s in one.series),
        ("trend", "max"): max(s.max for s in one.series),
        ("gauge", "value"): latest.last,
        ("gauge", "min"): min(s.min for s in one.series),
        ("gauge", "max"): max(s.max for s in one.series),
        ("counter", "count"): sum(s.sum for s in one.series),
        ("counter", "rate"): sum(s.sum for s in one.series) / duration_s if duration_s else None,
    }
    unit = "/s" if one.sli.stat == "rate" else _unit(one)
    return values.get((_kind(one), one.sli.stat)), unit


def _duration_s(record: RunRecord, sli: Sli) -> float | None:
    """What a count per second is over: k6's whole test run where setup and teardown count, else the load alone.

    ``None`` for a load too short to have a rate.
    """
    if {"setup", "teardown"} <= set(sli.include):
        return record.run.duration_s
    load = [one for one in record.series if one.part_of_test is None]
    span_s = (max(s.last_at for s in load) - min(s.first_at for s in load)).total_seconds() if load else 0.0
    return span_s if span_s >= _SHORTEST_LOAD_S else None


def _absent(record: RunRecord, one: _Selected, blank: StoredMeasurement) -> StoredMeasurement:
    """No samples: no data, but for events that k6 only writes when they happen."""
    whole = not any(artefact.truncated for artefact in record.artefacts)
    if one.sli.selector.metric in _WRITTEN_WHEN_IT_HAPPENS and one.sli.stat in {"count", "rate"} and whole:
        return replace(blank, value=0.0, unit="/s" if one.sli.stat == "rate" else "")
    return replace(blank, problem=_nothing_found(record, one))


def _too_few(n: int, stat: str, percentile: float) -> str:
    return f"{n:,} samples are too few for {stat}: it takes {minimum_samples(percentile):,}"


def _method(name: str, size: float, n: int, spans: Sequence[Span]) -> str:
    return _BY_SPANS.format(name=name, n=round(size), of=n, spans=len(spans))


def _nothing_found(record: RunRecord, one: _Selected) -> str:
    what = str(one.sli.selector)
    if one.metric is None:
        return f"the run has no metric {one.sli.selector.metric}"
    if one.sli.service and one.sli.service not in record.run.services:
        return f"the run has no samples of service {one.sli.service}"
    return f"no samples match {what}" + (f" of service {one.sli.service}" if one.sli.service else "")


def _from_summary(record: RunRecord, sli: Sli) -> StoredMeasurement:
    """What k6's own summary says; it counts setup and teardown in, and knows only the numbers it was asked for."""
    blank = _blank(record, sli)
    values = _summary_values(record, sli)
    if values is None:
        return replace(blank, problem=f"k6's summary has no {sli.selector}; the samples (--out json) would have it")
    metric = next((m for m in record.metrics if m.name == sli.selector.metric), None)
    stat = {"p(50)": "med"}.get(sli.stat, sli.stat)
    if stat not in values:
        return replace(
            blank,
            problem=f"k6's summary has no {sli.stat} of {sli.selector}; add it to summaryTrendStats, "
            "or upload the samples (--out json)",
        )
    n = _summary_count(record, sli, values)
    filled = replace(blank, n=n, value=values[stat], unit=_summary_unit(metric, sli.stat))
    kind = metric.type if metric else "unknown"
    if kind in {"rate", "trend"} and not n:
        # k6 writes zeros for a threshold that no sample matched.
        return replace(filled, problem=f"k6's summary does not say that there was any sample of {sli.selector}")
    if kind == "rate":
        hits = round(values.get("passes", values[stat] * n))
        low, high = share_interval(hits, n)
        return replace(filled, count=hits, ci_low=low, ci_high=high, ci_method="Jeffreys on all samples (summary only)")
    if sli.percentile is not None and n < minimum_samples(sli.percentile):
        return replace(filled, problem=_too_few(n, sli.stat, sli.percentile))
    return filled


def _summary_values(record: RunRecord, sli: Sli) -> dict[str, float] | None:
    """The numbers of the (sub-)metric that is this SLI: same metric, same tags, same service."""
    wanted = [sli.selector]
    if sli.service is not None:
        tagged = Selector(sli.selector.metric, tuple(sorted((*sli.selector.tags, ("service", sli.service)))))
        wanted = [tagged, *(wanted if record.run.meta.service == sli.service else ())]
    names = {_selector(v.metric): v.metric for v in record.summary}
    found = next((names[selector] for selector in wanted if selector in names), None)
    return None if found is None else {v.stat: v.value for v in record.summary if v.metric == found}


def _summary_count(record: RunRecord, sli: Sli, values: dict[str, float]) -> int:
    if "passes" in values and "fails" in values:
        return round(values["passes"] + values["fails"])
    if "count" in values:
        return round(values["count"])
    if sli.selector.metric.startswith("http_req_"):
        counted = replace(sli, selector=replace(sli.selector, metric="http_reqs"))
        return round((_summary_values(record, counted) or {}).get("count", 0))
    if sli.selector.metric == "iteration_duration" and not sli.selector.tags:
        return round(next((v.value for v in record.summary if (v.metric, v.stat) == ("iterations", "count")), 0))
    return 0


def _summary_unit(metric: Metric | None, stat: str) -> str:
    if metric is None:
        return ""
    if metric.type == "rate":
        return "ratio"
    return "/s" if metric.type == "counter" and stat == "rate" else _UNITS[metric.contains]


def _selector(name: str) -> Selector | None:
    try:
        return Selector.parse(name)
    except SelectorError:
        return None
