"""What a promql objective comes to: a statistic over what Prometheus said of the run's own time.

Its numbers are in the units that Prometheus's conventions ask for: seconds, bytes, shares of one. What is not there
(no series, gaps, values that are no numbers, an answer that is only part of it) is never taken as good.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from data.catalog import StoredMeasurement
from data.sources import SETTLE_S
from slo import numbers
from slo.findings import concerns
from slo.model import RULE_VERSION
from slo.queries import Unsaid, counter_of, query_of, watch_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.model import Pull, RunRecord, Series
    from data.samples import SampleEngine
    from slo.config import Config, Objective
    from slo.model import Finding

MOST_MISSING = 0.2
"""The share of a run's time that a series may have no values for, so that a target can be called met by it.

A rate has none until it has seen two scrapes, and a quantile none until there were requests.
"""
_MS_PER_S = 1000.0
_UNWATCHED = frozenset({"target_down", "scrape_gap"})
_QUANTILE = """
    SELECT quantile_cont(v, $level) FROM samples
    WHERE series_id = $id AND t BETWEEN $start AND $end AND isfinite(v)
"""


def measured(  # noqa: PLR0913  # what it is, of which run, by whose rules, with which doubts
    objective: Objective,
    record: RunRecord,
    config: Config,
    findings: Sequence[Finding],
    samples: SampleEngine,
    *,
    whole: bool = False,
) -> StoredMeasurement:
    """The value of a promql objective in its target's unit, or why there is none.

    A part that misses the target is enough to tell, unless the ``whole`` is wanted, to hold others against.
    """
    main = objective.target
    targets = (*objective.asks, *(objective.warned or ()))
    unit = next((one.unit for one in targets if not one.relative), "")
    blank = StoredMeasurement(
        run_id=record.run.id, service=objective.service, sli=objective.promql or "", stat=main.stat, include="",
        rule_version=RULE_VERSION, n=0, count=None, value=None, unit=unit, ci_low=None,
        ci_high=None, ci_method=None, value_ok=None, n_ok=None, problem=None,
    )  # fmt: skip
    try:
        query = query_of(objective, record.run, config)
    except Unsaid as why:
        return replace(blank, problem=str(why))
    if query is None:
        return replace(blank, problem="no Prometheus is described in slo.yaml, so nothing was measured")
    pull = next((one for one in record.pulls if one.query.id == query.id), None)
    if pull is None or (problem := _unanswered(pull)):
        return replace(blank, problem=problem if pull else f"prometheus `{query.source}` has not been asked yet")
    series = [one for one in pull.series if one.n]
    try:
        value = _statistic(objective, record.run.id, pull, series, samples)
    except Unsaid as why:
        return replace(blank, problem=str(why))
    if blank.unit == "ms":
        value *= _MS_PER_S
    filled = replace(blank, value=value, n=sum(one.n for one in series))
    about = [f for f in findings if f.code in _UNWATCHED and concerns(f, objective.service)]
    doubt = _doubt(objective, pull, series, value) or _unwatched(objective, record, config)
    doubt = doubt or _unknown_growth(objective, record, config) or next((one.message for one in about), None)
    if doubt and (whole or objective.asks.holds(value, None) is not False):
        return replace(filled, problem=doubt)
    return filled


def _unanswered(pull: Pull) -> str | None:
    """Why an answer has no number."""
    source = pull.query.source
    if pull.state == "failed":
        return pull.problem or f"prometheus `{source}` has not answered"
    if not pull.series:
        return f"prometheus `{source}` has nothing for this in the time of the run: no such series, or other labels"
    if not any(one.n for one in pull.series):
        return f"prometheus `{source}` has no numbers for this in the time of the run, only NaN or infinity"
    return None


def _statistic(objective: Objective, run_id: str, pull: Pull, series: Sequence[Series], samples: SampleEngine) -> float:
    """A number in Prometheus's unit.

    Raises:
        Unsaid: there is no one series, or its samples are not there any more.
    """
    stat, one = objective.target.stat, series[0]
    if len(series) > 1 and stat not in {"max", "min"}:
        help = "say which, or aggregate them (sum, max by)"
        raise Unsaid(f"the expression gives {len(series)} series, which have no {stat}: {help}")
    match stat:
        case "max":
            return max(each.max for each in series)
        case "min":
            return min(each.min for each in series)
        case "avg":
            return one.sum / one.n
        case "last" | "increase":
            return one.last
    level = 0.5 if stat == "med" else objective.target.percentile
    asked = {"id": one.id, "start": pull.start, "end": pull.end, "level": level}
    ((found,),) = samples.query(run_id, _QUANTILE, asked)
    if found is None:
        help = f"`phasegate prometheus pull {run_id} --everything`"
        raise Unsaid(f"what prometheus `{pull.query.source}` answered is gone from the store: {help}")
    return float(found)


def _doubt(objective: Objective, pull: Pull, series: Sequence[Series], value: float) -> str | None:
    """Why what was measured is not all of it."""
    source, stat = pull.query.source, objective.target.stat
    if pull.warnings:
        return f"prometheus `{source}` warns that this is not all: {pull.warnings[0]}"
    if pull.pulled_at < pull.end + timedelta(seconds=SETTLE_S):
        return f"prometheus `{source}` was asked before the last scrapes of the run were in"
    if objective.target.unit == "ratio" and objective.target.lower and value > 1:
        return f"{numbers.ratio(value)} is more than all: does the expression give per cent, not a share of 1?"
    if stat == "last":  # what came before it does not matter, but it has to be of the end
        missing = (pull.end - max(one.last_at for one in series)) / (pull.end - pull.start)
    else:
        missing = 1 - max(one.n for one in series) / pull.expected
    if missing > MOST_MISSING:
        return f"Prometheus has no numbers for {numbers.ratio(missing, 0)} of the run's time"
    return None


def _unwatched(objective: Objective, record: RunRecord, config: Config) -> str | None:
    """Why it is not known whether anybody looked: else Prometheus shows the last value for up to five minutes."""
    name = objective.source or ""
    source = config.prometheus[name]
    if not source.scraped:
        return None
    services = (objective.service,) if objective.service else record.run.services
    if not services:
        return "the run names no service, so whether anything was scraped in its time is not known"
    answers = {one.query.id: one for one in record.pulls}
    for service in services:
        for query in watch_of(record.run, name, source, service):
            pull = answers.get(query.id)
            if pull is None or pull.state == "failed":
                why = pull.problem if pull else "it has not been asked yet"
                return f"whether {service} was scraped in the time of the run is not known: {why}"
    return None


def _unknown_growth(objective: Objective, record: RunRecord, config: Config) -> str | None:
    """Why it is not known what a counter grew by: it is seen from its second scrape on."""
    query = counter_of(objective, record.run, config)
    if query is None:
        return None
    pull = next((one for one in record.pulls if one.query.id == query.id), None)
    if pull is None or pull.state == "failed":
        return pull.problem if pull else f"prometheus `{query.source}` has not been asked yet since when its counter is"
    seen = [one for one in pull.series if one.n]
    if not seen or 1 - max(one.n for one in seen) / pull.expected > MOST_MISSING:
        return "Prometheus has seen the counter for a part of the run's time only"
    late = pull.start + timedelta(seconds=2 * (query.step_s or 0))
    born = [one for one in seen if one.first_at > late and one.min > 0]
    if born:
        at = numbers.seconds((born[0].first_at - pull.start).total_seconds())
        return (
            f"a counter began {at} into the run, at {born[0].min:g}: what it had counted by then is not in its increase"
        )
    return None
