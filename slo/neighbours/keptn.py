"""Keptn v1 quality gates as a phase: objectives, relative criteria, weights, key SLIs and the total score.

Keptn's `pass` is our `warn` and its `warning` our `target`: what passes there is met here, what is a warning there is
at risk here, and both count the same for the score. `pass` alone is the target.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from data.k6_metrics import BUILT_IN
from slo.neighbours.draft import Draft, Imported, written
from slo.neighbours.keptn_slo import read_queries, read_slo
from slo.promql import check, names_in
from slo.source import ExpressionError, quoted
from slo.sources import OF_A_RUN
from slo.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from slo.neighbours.draft import Entry
    from slo.neighbours.keptn_slo import Bound, Criteria, KeptnObjective, KeptnSlo
    from slo.source import Source

Unit = Literal["ms", "s", "%", "ratio", "/s", ""]
"""What an SLI's numbers are taken for."""

_FEWEST = 3
"""Runs from which on a baseline tells how far runs lie apart."""
_ALL_OF_IT = 100  # per cent
_LONGEST_NAME = 128

_STAT = r"(?P<stat>p[0-9]{2,3}|avg|average|mean|med|median|min|max)"
_TIMES = r"(?:http_)?(?:(?:response|resp|request|req)_?(?:time|latency|duration)s?|latency|rt)"
_TIME = re.compile(rf"(?:{_STAT}_)?{_TIMES}(?:_(?P<unit>ms|milliseconds|s|seconds))?")
_TIME_OF = re.compile(rf"{_TIMES}(?:_(?P<unit>ms|milliseconds|s|seconds))?_{_STAT}")
_FAILED = re.compile(
    r"(?:http_)?(?:(?:request|req)s?_)?(?:error|failure|fail|failed)(?:_(?:request|req)s?)?_(?P<of>rate|ratio|percent|percentage)"
)
_THROUGHPUT = re.compile(r"(?:request_|req_)?throughput|(?:http_)?(?:request|req)s?_(?:rate|per_second)|rps|tps")
_COUNT = re.compile(r"(?:total_|number_of_)?(?:http_)?(?:request|req)s?(?:_(?:count|total))|number_of_requests")
_WITH_STAT = re.compile(rf"(?P<base>\w+?)_{_STAT}")
_STATS = {"average": "avg", "mean": "avg", "median": "med"}

_FOREIGN = re.compile(
    r"\s*(?:metricSelector=|builtin:|calc:|ext:|dsfm:|MV2;|USQL;|SLO;|PV2;|SECPV2;|PROBLEM|DQL;|fetch\s|SELECT\s|\w+:[\w.]+\{)"
    r"|:(?:splitBy|merge|percentile|filter|names)\(|\?(?:scope|metricSelector)=",
    re.IGNORECASE,
)
"""Queries of Dynatrace and Datadog, as their SLI providers take them."""
_SAID = {"STAGE": "environment", "DURATION_SECONDS": "window"}
"""What Keptn calls what a run says of itself; anything else is a label of its upload."""
_PLACEHOLDER = re.compile(r"\$\{?[A-Za-z_][\w.]*\}?")


@dataclass(frozen=True)
class Measure:
    """What an SLI becomes: a k6 selector or a query, a statistic, and the unit its numbers are taken for."""

    stat: str
    unit: Unit
    sli: str = ""
    promql: str = ""
    note: str = ""

    def number(self, value: float) -> float:
        """A value of the SLI in the unit of the objective: ms, a share of one, else as it is."""
        by = {"s": Decimal(1000), "%": Decimal("0.01")}.get(self.unit, Decimal(1))
        return float(Decimal(str(value)) * by)

    def target(self, bound: Bound) -> Target:
        """A criterion as a target."""
        unit: str = self.unit
        number = bound.number
        if bound.relative == "share":
            unit = "%"
        elif unit in {"%", "ratio"}:
            number = number if unit == "%" else f"{Decimal(number) * _ALL_OF_IT:f}"
            unit = "points" if bound.relative else "%"
        sign = "+" if bound.is_bare else bound.sign
        return Target.parse(f"{self.stat} {'==' if bound.op == '=' else bound.op} {sign}{number}{unit}")


@dataclass(frozen=True)
class Taken:
    """An objective of Keptn with what it becomes."""

    objective: KeptnObjective
    measure: Measure
    entry: Entry
    notes: tuple[str, ...] = ()


def import_keptn(
    source: Source, phase: str = "1", service: str | None = None, queries: Source | None = None
) -> Imported:
    """A slo.yaml of Keptn as ``phase``; ``queries`` is its sli.yaml, whose PromQL becomes promql objectives.

    Raises:
        InvalidConfig: a file is not Keptn's, or says what cannot be meant; with line and column.
    """
    slo = read_slo(source)
    taken = take_over(slo, service, read_queries(queries) if queries else {})
    score = {"pass": _plain(slo.score.passed)}
    notes = [note for one in taken for note in one.notes]
    if slo.score.warned is not None and slo.score.warned <= slo.score.passed:
        score["warn"] = _plain(slo.score.warned)
    elif slo.score.warned is not None:
        notes.append("total_score: `warning` is above `pass`, so it never comes, and is left out")
    runs = slo.comparison.results if slo.comparison.results >= _FEWEST else None
    draft = Draft(
        phase, [one.entry for one in taken], extra={"score": score}, services=[service] if service else [],
        baseline_runs=runs,
    )  # fmt: skip
    return written(draft, f"Taken over from Keptn in {quoted(source.name)}.", (*notes, *_about(slo, taken)))


def take_over(slo: KeptnSlo, service: str | None, queries: Mapping[str, str]) -> list[Taken]:
    """The objectives that count, in order; no two of them measure the same."""
    filled = {name: _filled(query, slo.filter, service) for name, query in queries.items()}
    used: set[tuple[str, str, str]] = set()
    found = []
    for one in slo.scored:
        measure = _measure(one, filled.get(one.sli))
        if (measure.sli, measure.promql, measure.stat) in used:
            measure = _custom(one.sli, f"`{measure.sli} {measure.stat}` is asked already")
        while (measure.sli, measure.promql, measure.stat) in used:
            measure = replace(measure, sli=f"{measure.sli}_2")
        used.add((measure.sli, measure.promql, measure.stat))
        found.append(_taken(one, measure, service))
    return found


def _measure(one: KeptnObjective, query: str | None) -> Measure:
    if query is not None and not _FOREIGN.search(query):
        try:
            check(query, [*OF_A_RUN, *_labels_in(query)], macro=False)
        except ExpressionError as error:
            why = f"its query is not taken over ({error.message}: {error.help})"
            return replace(_custom(one.sli), note=f"{why}; taken for a metric of that name")
        labels = [f"--label {name.removeprefix('label_')}=..." for name in _labels_in(query)]
        said = f"; runs say {', '.join(labels)} at their upload" if labels else ""
        return Measure("last", "", promql=query, note=f"asked of Prometheus, in the unit of its query{said}")
    known = _known(one.sli)
    if known is None or not _are_shares(one, known.unit):
        known = _custom(one.sli)
    if query is None:
        return known
    return replace(known, note=f"its query is not PromQL and not taken over; {known.note}")


def _are_shares(one: KeptnObjective, unit: Unit) -> bool:
    """May its numbers be shares, where its name says so? Above 100 %, they are counted otherwise."""
    whole = {"%": _ALL_OF_IT, "ratio": 1}.get(unit)
    numbers = [Decimal(bound.number) for bound in _bounds(one) if bound.relative != "share"]
    return whole is None or all(number <= whole for number in numbers)


def _known(name: str) -> Measure | None:
    """What a name says, as SLIs of Keptn are commonly called."""
    plain = name.lower().replace("-", "_").replace(".", "_")
    if found := _TIME.fullmatch(plain) or _TIME_OF.fullmatch(plain):
        stat = _stat(found["stat"] or "avg")
        unit: Unit = "s" if found["unit"] in {"s", "seconds"} else "ms"
        assumed = "" if found["stat"] else ", the average,"
        written_in = "seconds" if unit == "s" else "milliseconds"
        told = f"taken for `http_req_duration` {stat}{assumed} and its numbers for {written_in}"
        return Measure(stat, unit, "http_req_duration", note=told)
    if found := _FAILED.fullmatch(plain):
        told = "per cent" if found["of"] != "ratio" else "shares of one"
        unit = "ratio" if found["of"] == "ratio" else "%"
        return Measure("rate", unit, "http_req_failed", note=f"taken for `http_req_failed`, its numbers for {told}")
    if _THROUGHPUT.fullmatch(plain):
        return Measure("rate", "/s", "http_reqs", note="taken for `http_reqs`, its numbers for requests per second")
    if _COUNT.fullmatch(plain):
        return Measure("count", "", "http_reqs", note="taken for the count of `http_reqs`")
    return _built_in(plain)


def _built_in(name: str) -> Measure | None:
    """A metric of k6's own, with or without a statistic."""
    found = _WITH_STAT.fullmatch(name)
    base, stat = (found["base"], _stat(found["stat"])) if found and found["base"] in BUILT_IN else (name, "")
    if base not in BUILT_IN:
        return None
    kind, contains = BUILT_IN[base]
    stat = stat or {"trend": "avg", "rate": "rate", "counter": "count", "gauge": "value"}[kind]
    unit: Unit = "%" if kind == "rate" else "ms" if contains == "time" else ""
    try:
        Target.parse(f"{stat} < 1{unit}").check_fits(kind, contains)
    except ValueError:
        return None
    told = {"%": ", its numbers for per cent", "ms": ", its numbers for milliseconds"}.get(unit, "")
    return Measure(stat, unit, base, note=f"taken for k6's `{base}` {stat}{told}")


def _custom(name: str, why: str = "") -> Measure:
    metric = re.sub(r"\W", "_", name, flags=re.ASCII)
    metric = (metric if re.match(r"[A-Za-z_]", metric) else f"_{metric}")[: _LONGEST_NAME - 2]
    told = f'k6 has no such metric: record it in the script, `new Gauge("{metric}")`'
    return Measure("value", "", f"{metric}_2" if metric in BUILT_IN else metric, note=f"{why}; {told}" if why else told)


def _stat(word: str) -> str:
    if word[0] == "p" and word[1:].isdigit():
        digits = word[1:]
        return f"p({digits[:2]}.{digits[2:]})" if len(digits) > 2 and digits != "100" else f"p({int(digits)})"  # noqa: PLR2004 - p999 is p(99.9)
    return _STATS.get(word, word)


def _taken(one: KeptnObjective, measure: Measure, service: str | None) -> Taken:
    passes, warns = _targets(one.passes, measure), _targets(one.warns, measure)
    target = _weakest([*warns, *passes]) if warns else passes
    entry: Entry = {"service": service} if service else {}
    entry |= {"sli": measure.sli} if measure.sli else {"promql": measure.promql}
    entry["target"] = _written(target)
    never = bool(warns) and set(target) == set(_weakest(passes))
    if warns and not never:
        entry["warn"] = _written(passes)
    if one.key:
        entry["key"] = True
    if one.weight != 1:
        entry["weight"] = _plain(one.weight)
    notes = [measure.note, *_told(one)]
    if never:
        notes.append("its warning never comes, since whatever meets it passes, and is left out")
    return Taken(one, measure, entry, tuple(f"`{one.sli}`: {note}" for note in notes))


def _told(one: KeptnObjective) -> Iterator[str]:
    if bare := [bound.text for bound in _bounds(one) if bound.is_bare]:
        first = next(bound for bound in _bounds(one) if bound.is_bare)
        written_as = f"{first.op}+{first.number}%"
        yield f"`{bare[0]}` is relative in Keptn, as all percentages are: written as `{written_as}` of what was before"
    if one.title:
        yield f"its name {quoted(one.title)} is not taken over"
    if one.key and one.warns:
        yield "a warning of a key SLI does not fail, as in Keptn"


def _targets(criteria: Criteria, measure: Measure) -> list[tuple[Target, ...]]:
    return [tuple(measure.target(bound) for bound in every) for every in criteria]


def _weakest(alternatives: Sequence[tuple[Target, ...]]) -> list[tuple[Target, ...]]:
    """Alternatives without those that another one holds for anyway; of equals the first stays."""
    kept: list[tuple[Target, ...]] = []
    for place, one in enumerate(alternatives):
        others = (*kept, *(other for other in alternatives[place + 1 :] if not _implies(other, one)))
        if not any(_implies(one, other) for other in others):
            kept.append(one)
    return kept


def _implies(one: Sequence[Target], other: Sequence[Target]) -> bool:
    """Does whatever meets all of ``one`` meet all of ``other``?"""
    return all(any(a == b or a.is_stricter_than(b) for a in one) for b in other)


def _written(alternatives: Sequence[tuple[Target, ...]]) -> object:
    """As slo.yaml has it: a text, a list, or lists of which one holds."""
    told = [[target.text for target in every] for every in alternatives]
    short = [every[0] if len(every) == 1 else every for every in told]
    return short[0] if len(short) == 1 else {"any": short}


def _bounds(one: KeptnObjective) -> list[Bound]:
    return [bound for every in (*one.passes, *one.warns) for bound in every]


def _filled(query: str, filters: Mapping[str, str], service: str | None) -> str:
    """A query with what Keptn fills in, as far as it is known here; the rest by what a run says of itself."""
    known = {**filters, **({"SERVICE": service} if service else {})}

    def put(found: re.Match[str]) -> str:
        name = found[0].strip("${}")
        if name in known:
            return known[name]
        return f"${_SAID.get(name) or 'label_' + name.removeprefix('LABEL.').replace('.', '_').lower()}"

    return _PLACEHOLDER.sub(put, query)


def _labels_in(query: str) -> list[str]:
    return sorted(name for name in names_in(query) if name.startswith("label_"))


def _about(slo: KeptnSlo, taken: Sequence[Taken]) -> Iterator[str]:
    """What holds for the whole file."""
    for one in slo.objectives:
        if not one.passes:
            yield f"`{one.sli}`: it has no `pass`, so Keptn only shows it, and it is not asked here"
    if any(bound.relative for one in slo.scored for bound in _bounds(one)):
        yield from _about_comparison(slo)
    if any(one.measure.promql for one in taken):
        yield "describe the Prometheus to ask under `prometheus`: until then promql objectives have no data"
    if slo.filter:
        names = ", ".join(f"`{name}`" for name in slo.filter)
        yield f"filter: {names} is taken over only where a query names it"
    if slo.unread:
        yield f"not read by Keptn, nor here: {', '.join(f'`{name}`' for name in slo.unread)}"
    yield "an SLI without a value counts 0 in Keptn; here the gate is inconclusive where the result depends on it"


def _about_comparison(slo: KeptnSlo) -> Iterator[str]:
    yield (
        "without a previous result Keptn takes every relative criterion for fulfilled; here the first run of a test is "
        "inconclusive, since there is nothing to hold it against"
    )
    one = slo.comparison
    last = "the last result" if one.results == 1 else f"the last {one.results} results"
    whose = {"all": "", "pass": " that passed", "pass_or_warn": " that did not fail"}[one.include]
    ours = f"the last {one.results}" if one.results >= _FEWEST else "the last ten"
    yield (
        f"comparison: Keptn takes the {one.aggregate} of {last}{whose}; here it is the mean of {ours} runs on the "
        "branch of the baseline that can be believed and did not get worse"
    )


def _plain(number: float) -> int | float:
    return int(number) if float(number).is_integer() else number
