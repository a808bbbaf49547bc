"""Does the script do what it is there for? Rules over its iterations, its checks and its thresholds."""

from __future__ import annotations

import re
from collections import defaultdict
from difflib import get_close_matches
from typing import TYPE_CHECKING

from slo.model import Finding
from slo.rules.traffic import FEWEST, MOST, count, load_of, outcomes
from slo.selector import Selector, SelectorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from data.model import RunRecord, Series

_WITHOUT_WORK = frozenset({
    "iterations", "iteration_duration", "vus", "vus_max", "data_sent", "data_received", "group_duration", "checks",
    "dropped_iterations",
})  # fmt: skip
"""What k6 writes of a run that does nothing."""
_SEE = "see what the service answers, and whether the script still checks for the right thing"
_ALIKE = 0.8
"""From this similarity on (twice the letters in common over all letters), a word is another one mistyped."""


def no_requests(record: RunRecord) -> Iterator[Finding]:
    """Iterations ran and sent nothing: the script throws before its first request, or its branch is never taken.

    Any sample of a protocol's metric or of the script's own is work, and so are bytes received and a check that held:
    tests of other protocols, which k6 does not time, are left alone. One scenario of several that did nothing, six
    times at least (``FEWEST``), is suspect.
    """
    if not record.series:
        yield from _nothing_summed(record)
        return
    load = load_of(record)
    by_scenario: defaultdict[str, list[Series]] = defaultdict(list)
    for one in load:
        by_scenario[one.tags.get("scenario", "")].append(one)
    idle = {name: n for name, series in by_scenario.items() if not _works(series) and (n := _iterations(series))}
    if not _works(load):
        yield _nothing(_iterations(load))
    elif told := [f"scenario {name} ran {n:,} iterations" for name, n in sorted(idle.items()) if n >= FEWEST]:
        yield Finding(
            "no_requests", "suspect", f"{', '.join(told)} and sent no request", dict(idle),
            remedy="run that scenario alone with one VU and look at its errors on standard error",
        )  # fmt: skip


def checks_failed(record: RunRecord) -> Iterator[Finding]:
    """Most of the script's own checks do not hold: the answers are not what the test is about.

    k6 exits 0 on failed checks unless a threshold asks for them. Where most fail, latency and status are those of some
    other answer (a login page, an empty list): most is more than half (``MOST``) of all checks, or of those that are
    tagged with one service. A check that never held is told by name.
    """
    if not record.series:
        yield from _checks_summed(record)
        return
    if any(failed > MOST * total for _, failed, total in outcomes(record)):
        return  # the same cause, told by its own finding
    by_service: defaultdict[str | None, list[Series]] = defaultdict(list)
    checks = [one for one in load_of(record) if one.metric == "checks"]
    for one in checks:
        by_service[one.tags.get("service")].append(one)
    untagged = by_service.pop(None, [])
    bad = {service: series for service, series in by_service.items() if _failed(series) > MOST * count(series)}
    if _failed(checks) > MOST * count(checks) and (untagged or len(bad) == len(by_service)):
        yield _checks(checks, None, suspect=True)
    elif bad:
        yield from (_checks(series, service, suspect=True) for service, series in sorted(bad.items()))
    elif _never_held(checks):
        yield _checks(checks, None, suspect=False)


def thresholds_on_nothing(record: RunRecord) -> Iterator[Finding]:
    """A threshold of the script names tags that no sample carries: k6 takes its value as 0 and calls it passed.

    Where a sample carries nearly the same word (``_ALIKE``), with the same digits, that no other threshold names, it is
    a typing error, and what was to be guarded is not: suspect. Else it may be of something that did not happen
    (``http_reqs{status:500}``) or of a scenario that was not run, and is only told. A summary alone does not tell it.
    """
    asked = [one for t in record.thresholds if "{" in t.metric if (one := _selector(t.metric))] if record.series else []
    empty = {str(one): _meant(record, one, asked) for one in asked if _is_empty(record, one)}
    for text, meant in sorted(empty.items()):
        if meant:
            yield Finding(
                "too_few_samples", "suspect",
                f"no sample matches the script's threshold on {text}, so k6 calls it passed: was {meant} meant?",
                {"threshold": text, "meant": str(meant)}, dict(meant.tags).get("service"),
                "correct the tag in the script's thresholds, and run the test again",
            )  # fmt: skip
    if untold := sorted(text for text, meant in empty.items() if not meant):
        yield Finding(
            "too_few_samples", "info", f"no sample matches the script's threshold on {', '.join(untold[:5])}",
            {"thresholds": untold[:20]}, remedy="compare its tags with those that the script sets",
        )  # fmt: skip


def _works(series: Iterable[Series]) -> bool:
    """Did the script do anything in these samples? What k6 does not time still receives bytes, or is checked."""
    return any(
        s.metric not in _WITHOUT_WORK or (s.metric in {"checks", "data_received"} and s.nonzero > 0) for s in series
    )


def _iterations(series: Iterable[Series]) -> int:
    return round(sum(s.sum for s in series if s.metric == "iterations"))


def _nothing(iterations: int) -> Finding:
    return Finding(
        "no_requests", "invalid",
        f"{iterations:,} iterations sent no request" if iterations else "the run sent no request after setup()",
        {"iterations": iterations},
        remedy="run the script with one VU (k6 run -i 1) and look at its errors on standard error",
    )  # fmt: skip


def _nothing_summed(record: RunRecord) -> Iterator[Finding]:
    summed = {v.metric: v.value for v in record.summary if v.stat == "count"}
    held = any(v.value for v in record.summary if (v.metric, v.stat) == ("checks", "passes"))
    iterations = round(summed.get("iterations", 0))
    if iterations and not held and not any(name not in _WITHOUT_WORK for name in summed):
        yield _nothing(iterations)


def _failed(checks: Iterable[Series]) -> int:
    return sum(s.n - s.nonzero for s in checks)


def _never_held(checks: Iterable[Series]) -> list[str]:
    named = [(s.tags.get("check", "?"), s.nonzero) for s in checks]
    return sorted({name for name, _ in named} - {name for name, held in named if held})


def _checks(checks: Sequence[Series], service: str | None, *, suspect: bool) -> Finding:
    never, of = _never_held(checks), f" of {service}" if service else ""
    told = f"; never held: {', '.join(never[:5])}" if never else ""
    return Finding(
        "checks_failed", "suspect" if suspect else "info",
        f"{_failed(checks):,} of {count(checks):,} checks{of} failed{told}",
        {"failed": _failed(checks), "checks": count(checks), "never_held": never[:20]}, service, _SEE,
    )  # fmt: skip


def _checks_summed(record: RunRecord) -> Iterator[Finding]:
    summed = {v.stat: v.value for v in record.summary if v.metric == "checks"}
    failed, n = round(summed.get("fails", 0)), round(summed.get("fails", 0) + summed.get("passes", 0))
    if failed > MOST * n:
        told = f"{failed:,} of {n:,} checks failed"
        yield Finding("checks_failed", "suspect", told, {"failed": failed, "checks": n}, remedy=_SEE)


def _selector(text: str) -> Selector | None:
    try:
        return Selector.parse(text)
    except SelectorError:
        return None


def _is_empty(record: RunRecord, selector: Selector) -> bool:
    """Does no sample have these tags? Not known of a tag that is not kept as the script wrote it."""
    collapsed = {tag for artefact in record.artefacts for tag in artefact.collapsed_tags}
    if any(key in collapsed or key == "url" or "://" in value for key, value in selector.tags):
        return False
    return not any(s.metric == selector.metric and _matches(s, selector.tags) for s in record.series)


def _matches(series: Series, tags: Iterable[tuple[str, str]]) -> bool:
    return all(series.tags.get(key, "") == value for key, value in tags)


def _meant(record: RunRecord, selector: Selector, asked: Sequence[Selector]) -> Selector | None:
    """What a threshold on nothing was to be on, if it is mistyped in a value or a key of one of its tags."""
    series = [s for s in record.series if s.metric == selector.metric]
    for key, value in selector.tags:
        rest = tuple(pair for pair in selector.tags if pair != (key, value))
        near = [s.tags for s in series if _matches(s, rest)]
        values = _alike(value, {tags[key] for tags in near if key in tags})
        keys = _alike(key, {other for tags in near for other, found in tags.items() if found == value})
        for pair in (*((key, word) for word in values), *((word, value) for word in keys)):
            meant = Selector(selector.metric, tuple(sorted((*rest, pair))))
            if meant not in asked:
                return meant
    return None


def _alike(word: str, words: Iterable[str]) -> list[str]:
    """Words that it may be mistyped for: another number is another thing."""
    return [one for one in get_close_matches(word, words, 1, _ALIKE) if _digits(one) == _digits(word)]


def _digits(word: str) -> str:
    return re.sub(r"\D", "", word)
