"""What the tests of a run came to, as facts: ``tests.failed == 0`` is what entry criteria ask of them.

Two readings of JUnit XML are ours to choose, since no standard does (docs/gates.md says them to users):

* A test that failed and then passed *within one suite of one report* was run again by its own runner, and is flaky, if
  that runner says so: inside the case, as Surefire does, or by leaving such tries out of the suite's count of failures.
  Cases alone do not tell: data rows that share a name look the same. Reruns end with the first pass, so only failures
  followed by one pass are tries of one test.
* Across suites and reports a failure stays a failure, as GitLab counts it. Nobody can say whether the other report is a
  rerun, another environment or the tests alone instead of together. Such tests are told as inconsistent.
"""

from __future__ import annotations

import hashlib
import keyword
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from data.facts import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from data.facts import Facts
    from ingest.junit import Case, Suite, TestReport

MOST_SUITES = 50
"""With more suites than this none has facts of its own: which of them had some would change from run to run."""

_LONGEST_NAME = 60
_FAILED = frozenset({"failed", "errored"})
_STRANGE = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True)
class _Place:
    """One suite of one report, with the tests that ran there. ``label`` tells it from the others.

    They are tests of the suites around it, too.
    """

    label: str
    suites: frozenset[str]
    cases: tuple[Case, ...]
    unshown: int


def facts_of_tests(reports: Sequence[TestReport]) -> Facts:
    """The facts of all reports of a run together.

    Where no test ran, nothing is said of failures: that none failed would be true, and worth nothing.
    """
    places = [
        _Place(_label(report, suite), frozenset({suite.name, *suite.within}) - {""}, _settled(suite), suite.unshown)
        for report in reports
        for suite in report.suites
    ]
    told = _inconsistent(places)
    failed = [_full_name(case) for place in places for case in place.cases if case.outcome in _FAILED]
    flaky = [_full_name(case) for place in places for case in place.cases if case.flaky]
    by_suite: defaultdict[str, list[_Place]] = defaultdict(list)
    for place in places:
        for suite in sorted(place.suites):
            by_suite[suite].append(place)
    facts: Facts = {f"tests.{what}": fact for what, fact in _counts(places).items()}
    if "tests.failed" in facts:
        facts["tests.inconsistent"] = float(len(told))
    for what, names in (("failed", failed), ("flaky", flaky), ("inconsistent", told)):
        if names:
            facts[f"tests.{what}_names"] = listed(list(dict.fromkeys(names)))
    if by_suite:
        facts["tests.suites"] = float(len(by_suite))
    if len(by_suite) <= MOST_SUITES:
        called = fact_names(by_suite)
        for suite, its in by_suite.items():
            kept = ("total", "passed", "failed", "skipped")
            facts |= {f"tests.suite.{called[suite]}.{what}": n for what, n in _counts(its).items() if what in kept}
    return facts


def fact_names(suites: Iterable[str]) -> dict[str, str]:
    """A part of a fact's name for each suite, as an entry criterion can write it: letters, digits and ``_``.

    It depends on the suite's own name, but where two suites would share one both get a digest of theirs, so that a
    criterion never reads one suite for another.
    """
    plain = {suite: _plain(suite) for suite in suites}
    taken = list(plain.values())
    return {
        suite: name
        if taken.count(name) == 1 and len(name) <= _LONGEST_NAME
        else f"{name[:_LONGEST_NAME]}_{_mark(suite)}"
        for suite, name in plain.items()
    }


def listed(names: Sequence[str]) -> str:
    """Names in one text, as many as a fact has room for."""
    printable = ["".join(c if c.isprintable() else " " for c in name) for name in names[:LONGEST]]
    for shown in range(len(printable), 0, -1):
        left = len(names) - shown
        text = ", ".join(printable[:shown]) + (f", and {left:,} more" if left else "")
        if len(text) <= LONGEST:
            return text
    more = f", and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"{printable[0][: LONGEST - len(more) - 3]}...{more}"


def _settled(suite: Suite) -> tuple[Case, ...]:
    """The tests of a suite: tries of one test are one case, if the suite counts them so."""
    tries: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
    for number, case in enumerate(suite.cases):
        tries[case.classname, case.name or f"\0{number}"].append(case)  # what has no name is nothing else's rerun
    settled = tuple(case for same in tries.values() for case in (_once(same) if _are_reruns(same) else same))
    return settled if sum(case.outcome in _FAILED for case in settled) == suite.counted else suite.cases


def _are_reruns(same: Sequence[Case]) -> bool:
    *before, last = same
    return bool(before) and last.outcome == "passed" and all(case.outcome in _FAILED for case in before)


def _once(same: Sequence[Case]) -> tuple[Case]:
    times = [case.duration_s for case in same if case.duration_s is not None]
    return (replace(same[-1], flaky=True, duration_s=sum(times) if len(times) == len(same) else None),)


def _counts(places: Sequence[_Place]) -> dict[str, float]:
    cases = [case for place in places for case in place.cases]
    unshown = sum(place.unshown for place in places)
    passed, skipped = (sum(case.outcome == outcome for case in cases) for outcome in ("passed", "skipped"))
    errors = sum(case.outcome == "errored" for case in cases) + unshown
    failed = sum(case.outcome == "failed" for case in cases) + errors
    counts = {"total": len(cases) + unshown}
    if skipped:
        counts["skipped"] = skipped
    if passed + failed:
        flaky = sum(case.flaky for case in cases)
        counts |= {"skipped": skipped, "passed": passed, "failed": failed, "errors": errors, "flaky": flaky}
    found = {what: float(count) for what, count in counts.items()}
    ran = [case.duration_s for case in cases if case.outcome != "skipped"]
    times = [time for time in ran if time is not None]
    return found | ({"duration_s": sum(times)} if ran and len(times) == len(ran) else {})


def _inconsistent(places: Sequence[_Place]) -> list[str]:
    """Tests that pass in one place and fail in another, each with one of either."""
    failing: dict[tuple[str, str], int] = {}
    for number, place in enumerate(places):
        for case in place.cases:
            if case.outcome in _FAILED and case.name:
                failing.setdefault((case.classname, case.name), number)
    found: dict[tuple[str, str], str] = {}
    for number, place in enumerate(places):
        for case in place.cases:
            there = failing.get((case.classname, case.name))
            if case.outcome == "passed" and there is not None and there != number:
                told = f"{_full_name(case)} (fails in {places[there].label}, passes in {place.label})"
                found.setdefault((case.classname, case.name), told)
    return list(found.values())


def _label(report: TestReport, suite: Suite) -> str:
    return f"{report.name} {suite.name}" if len(report.suites) > 1 and suite.name else report.name


def _full_name(case: Case) -> str:
    return "::".join(part for part in (case.classname, case.name) if part) or "a test without a name"


def _plain(suite: str) -> str:
    name = _STRANGE.sub("_", suite)
    if keyword.iskeyword(name) or name[:1].isdigit():  # Python's own parser reads criteria
        name = f"_{name}"
    return name


def _mark(suite: str) -> str:
    return hashlib.blake2b(suite.encode(), digest_size=4).hexdigest()
