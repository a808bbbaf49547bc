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
from slo.profile import LEVELS, profile_of, to_text
from slo.selector import Selector, SelectorError
from slo.sli import select

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from data.model import Metric, RunRecord, Series
    from data.samples import Distribution, SampleEngine
    from slo.sli import Sli

_UNITS = {"time": "ms", "data": "B", "default": ""}
_SHORTEST_LOAD_S = 1.0
_WRITTEN_WHEN_IT_HAPPENS = {"dropped_iterations"}


@dataclass(frozen=True)
class _Selected:
    """An SLI with the series it is computed from, and how their samples are distributed where that is asked."""

    sli: Sli
    metric: Metric | None
    series: list[Series]
    seen: Distribution | None = None

    @property
    def group(self) -> str:
        """The same for SLIs over the same series, which share all questions to the engine."""
        return ",".join(str(one.id) for one in self.series)

    @property
    def ok(self) -> list[Series]:
        """The series of requests that did not fail."""
        return [one for one in self.series if not one.failed]

    @property
    def n(self) -> int:
        return sum(one.n for one in self.series)

    @property
    def percentile(self) -> float | None:
        """The percentile that is asked of a trend."""
        return self.sli.percentile if _kind(self) == "trend" else None

    @property
    def size(self) -> float:
        """How many independent samples it is worth; 0 where that is not known."""
        if self.seen is None or not self.series:
            return 0.0
        level = self.percentile
        return effective_size(self.seen.n, self.seen.nonzero if level is None else self.seen.below_quantile(level))


def measure(record: RunRecord, slis: Sequence[Sli], samples: SampleEngine) -> list[StoredMeasurement]:
    """Measure each SLI of a run, with its profile; one without samples has no value and says why in ``problem``.

    Four statements, however many SLIs.
    """
    if not record.series:
        found = [_from_summary(record, sli) for sli in slis]
        return [replace(one, profile=to_text(profile_of(sli, one, None))) for sli, one in zip(slis, found, strict=True)]
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
    """All SLIs of one run at once, so that the engine is not asked for each."""

    def __init__(self, record: RunRecord, chosen: Sequence[_Selected], samples: SampleEngine) -> None:
        self._record = record
        seen = _distributions(record, chosen, samples)
        self._chosen = [replace(one, seen=seen.get(one.group)) for one in chosen]
        self._ok = self._quantiles_of_ok(samples)
        self._intervals = self._percentile_intervals(samples)

    def all(self) -> list[StoredMeasurement]:
        found = [self._one(number, one) for number, one in enumerate(self._chosen)]
        return [
            replace(measured, profile=to_text(profile_of(one.sli, measured, one.seen)))
            for measured, one in zip(found, self._chosen, strict=True)
        ]

    def _quantiles_of_ok(self, samples: SampleEngine) -> dict[int, float]:
        """Percentiles of requests that did not fail, where some did."""
        asked = {
            str(number): (one.ok, [one.percentile])
            for number, one in enumerate(self._chosen)
            if one.percentile is not None and 0 < len(one.ok) < len(one.series)
        }
        found = _quantiles(self._record, asked, samples)
        return {int(number): value for number, (value,) in found.items()}

    def _percentile_intervals(self, samples: SampleEngine) -> dict[int, tuple[float, float]]:
        asked = {
            str(number): (one.series, percentile_levels(one.percentile, one.size, one.n))
            for number, one in enumerate(self._chosen)
            if one.percentile is not None and one.n >= minimum_samples(one.percentile) and one.size
        }
        found = _quantiles(self._record, asked, samples)
        return {int(number): (low, high) for number, (low, high) in found.items()}

    def _one(self, number: int, one: _Selected) -> StoredMeasurement:
        blank = _blank(self._record, one.sli)
        if not one.series:
            return _absent(self._record, one, blank)
        if one.seen is not None:
            match _kind(one), one.sli.stat:
                case "rate", "rate":
                    return _rate(one, blank)
                case "trend", _ if one.percentile is not None:
                    return self._percentile(number, one, one.seen.quantile(one.percentile), blank)
                case "trend", "avg":
                    return _mean(one, one.seen, blank)
        value, unit = _plain(one, _duration_s(self._record, one.sli))
        if value is None:
            return replace(blank, problem=f"a {_kind(one)} such as {one.sli.selector.metric} has no {one.sli.stat}")
        return replace(blank, n=one.n, value=value, unit=unit)

    def _percentile(self, number: int, one: _Selected, value: float, blank: StoredMeasurement) -> StoredMeasurement:
        n, least = one.n, minimum_samples(one.percentile or 0)
        n_ok = sum(s.n for s in one.ok)
        kept = replace(blank, n=n, value=value, unit=_unit(one), value_ok=self._ok.get(number), n_ok=n_ok)
        if n < least:
            return replace(kept, problem=_too_few(n, one.sli.stat, least))
        if number not in self._intervals:
            return kept
        low, high = self._intervals[number]
        return replace(kept, ci_low=low, ci_high=high, ci_method=_method("Woodruff", one))


def _distributions(record: RunRecord, chosen: Sequence[_Selected], samples: SampleEngine) -> dict[str, Distribution]:
    """Of every group of series that trends and rates are over; of trends with all quantiles that are asked or kept."""
    levels = sorted({*LEVELS, *(one.percentile for one in chosen if one.percentile is not None)})
    groups = {one.group: one.series for one in chosen if one.series and _kind(one) in {"trend", "rate"}}
    at = {one.group: levels for one in chosen if one.percentile is not None or one.sli.stat == "avg"}
    return samples.distributions(record.run.id, groups, at)


def _quantiles(
    record: RunRecord, asked: Mapping[str, tuple[Sequence[Series], Sequence[float]]], samples: SampleEngine
) -> dict[str, tuple[float, ...]]:
    groups = {name: [one.id for one in series] for name, (series, _) in asked.items()}
    return samples.quantiles(record.run.id, groups, {name: levels for name, (_, levels) in asked.items()})


def _rate(one: _Selected, blank: StoredMeasurement) -> StoredMeasurement:
    hits, n = sum(s.nonzero for s in one.series), one.n
    kept = replace(blank, n=n, count=hits, value=hits / n, unit="ratio")
    if not one.size:
        return kept
    low, high = share_interval(hits / n * one.size, one.size)
    return replace(kept, ci_low=low, ci_high=high, ci_method=_method("Jeffreys", one))


def _mean(one: _Selected, seen: Distribution, blank: StoredMeasurement) -> StoredMeasurement:
    kept = replace(blank, n=one.n, value=sum(s.sum for s in one.series) / one.n, unit=_unit(one))
    interval = mean_interval(seen.n, seen.sums)
    if interval is None:
        return kept
    low, high = interval
    return replace(kept, ci_low=low, ci_high=high, ci_method=f"Student's t over {len(seen.n)} spans of time")


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


def _too_few(n: int, stat: str, least: int) -> str:
    return f"{n:,} samples are too few for {stat}: it takes {least:,}"


def _method(name: str, one: _Selected) -> str:
    spans = len(one.seen.n) if one.seen else 0
    return f"{name} on {round(one.size):,} effective samples of {one.n:,} (spread over {spans} spans of time)"


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
        return replace(filled, problem=_too_few(n, sli.stat, minimum_samples(sli.percentile)))
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
