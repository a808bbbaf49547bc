"""Did the test take its course? Rules over setup, load and end, k6's exit code and the script's thresholds."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from data.model import SAMPLE_KINDS
from slo import numbers
from slo.model import Finding
from slo.rules.traffic import MOST, count, counted, load_of, most_common

if TYPE_CHECKING:
    from collections.abc import Iterator

    from data.model import RunRecord, Series, SummaryValue

DROPPED_SHARE = 0.05
"""More iterations left out than this, and the load was another one than the script describes."""

_EXIT_THRESHOLDS, _EXIT_SETUP_TIMEOUT, _EXIT_TEARDOWN_TIMEOUT, _EXIT_THROWN = 99, 100, 101, 107
_EXIT_WHOLE = {None, 0, _EXIT_THRESHOLDS, _EXIT_SETUP_TIMEOUT, _EXIT_THROWN}
_EXIT_ABORTED = {
    97: "k6 Cloud failed the test",
    103: "the test was stopped through k6's REST API",
    104: "k6 refused the script's options",
    105: "k6 was interrupted (SIGINT or SIGTERM)",
    108: "the script called test.abort()",
    109: "k6 itself crashed",
    110: "the script marked the test as failed",
    137: "k6 was killed (SIGKILL)",
    143: "k6 was terminated (SIGTERM)",
}
_SEED = "repair what setup() needs (seeding, migrations, a healthy database) and run the test again"


def setup_failed(record: RunRecord) -> Iterator[Finding]:
    """setup() did not prepare what the test needs, so every number after it measures the missing preparation.

    Signs: a check in group ``::setup`` that did not hold at last, an endpoint of which every request in setup() failed,
    exit code 100, or 107 without load. Most requests to one (``MOST``) is suspect. A poll that failed before it held
    (is the service up yet?) is only told, as are fewer failures. What was so already is no failure: nothing there to
    remove (DELETE, 404), or already there (409).
    """
    setup = [s for s in record.series if s.part_of_test == "setup"]
    code = record.run.meta.exit_code
    if code == _EXIT_SETUP_TIMEOUT or (code == _EXIT_THROWN and not load_of(record)):
        what = "setup() timed out" if code == _EXIT_SETUP_TIMEOUT else "the script threw before any load was sent"
        yield Finding("setup_failed", "invalid", f"{what} (k6 exit code {code})", {"exit_code": code}, remedy=_SEED)
    by_name: defaultdict[str, list[Series]] = defaultdict(list)
    for one in setup:
        if one.metric == "http_req_failed":
            by_name[one.tags.get("name", "?")].append(one)
    for name, series in by_name.items():
        yield from _setup_requests(name, series)
    checks = sorted({s.tags.get("check", "?") for s in setup if s.metric == "checks" and not s.last})
    checks += sorted({v.metric for v in record.summary if not record.series and _failed_setup_check(v)})
    if checks:
        told = f"checks failed in setup(): {', '.join(checks)}"
        yield Finding("setup_failed", "invalid", told, {"checks": checks}, remedy=_SEED)


def load_not_delivered(record: RunRecord) -> Iterator[Finding]:
    """k6 could not start iterations that were due, so the service felt less load than the script describes.

    k6 counts them as ``dropped_iterations`` where an arrival-rate executor finds no free VU, and exits 0. Latency under
    less load flatters; up to 5 % (``DROPPED_SHARE``), as at the start, before all VUs are there, are only told.
    """
    dropped = counted(record, "dropped_iterations")
    if not dropped:
        return
    due = dropped + counted(record, "iterations")
    yield Finding(
        "load_not_delivered", "suspect" if dropped > DROPPED_SHARE * due else "info",
        f"k6 left out {dropped:,} of {due:,} iterations that were due, because no VU was free",
        {"dropped": dropped, "due": due},
        remedy="raise preAllocatedVUs and maxVUs; if the service then needs ever more of them, it is too slow",
    )  # fmt: skip


def aborted(record: RunRecord) -> Iterator[Finding]:
    """k6 did not end the test by itself, as its exit code or an aborting threshold says.

    0 is success, 99 says that thresholds of the script were crossed; any other code is a run that was not whole. A
    teardown() that failed (101, or 107 after load) came after all that is measured, and is only told.
    """
    code = record.run.meta.exit_code
    remedy = "run the test to its end"
    if code == _EXIT_TEARDOWN_TIMEOUT or (code == _EXIT_THROWN and load_of(record)):
        what = (
            "teardown() timed out"
            if code == _EXIT_TEARDOWN_TIMEOUT
            else "the script threw after its load, in teardown()"
        )
        yield Finding(
            "aborted", "info", f"{what} (k6 exit code {code})", {"exit_code": code}, remedy="repair teardown()"
        )
    elif code not in _EXIT_WHOLE:
        what = _EXIT_ABORTED.get(code or 0, "k6 did not end as it should")
        yield Finding("aborted", "suspect", f"{what} (k6 exit code {code})", {"exit_code": code}, remedy=remedy)
    aborting = [t for t in record.thresholds if t.abort_on_fail]
    crossed = [t for t in aborting if t.ok is False or (t.ok is None and code == _EXIT_THRESHOLDS)]
    if crossed:
        names = [f"{t.metric}: {t.source}" for t in crossed]
        yield Finding(
            "aborted", "suspect", f"a threshold that aborts the test was crossed: {'; '.join(names[:5])}",
            {"thresholds": names[:20]}, remedy=remedy,
        )  # fmt: skip


def end_unknown(record: RunRecord) -> Iterator[Finding]:
    """Nothing says that k6 came to its end: neither its exit code nor a summary, which it writes last.

    A test that was stopped, or a plain file whose writer was killed between two lines, looks just the same.
    """
    names = [a.name for a in record.artefacts if a.kind in SAMPLE_KINDS and not a.truncated]
    if record.run.meta.exit_code is None and names and len(names) == len(record.artefacts):
        yield Finding(
            "end_unknown", "info",
            "nothing says whether k6 came to its end: neither its exit code nor its summary was uploaded",
            {"artefacts": names[:20]}, remedy="say --exit-code $? and give k6's summary (--summary-export)",
        )  # fmt: skip


def thresholds_crossed(record: RunRecord) -> Iterator[Finding]:
    """k6's own thresholds failed (exit 99): not a doubt about the measurement, but nobody should learn it elsewhere.

    Those that abort the test are told as such.
    """
    code = record.run.meta.exit_code
    crossed = [f"{t.metric}: {t.source}" for t in record.thresholds if t.ok is False and not t.abort_on_fail]
    untold = code == _EXIT_THRESHOLDS and not any(t.abort_on_fail and not t.ok for t in record.thresholds)
    if crossed or untold:
        told = f": {'; '.join(crossed[:5])}" if crossed else f" (k6 exit code {_EXIT_THRESHOLDS})"
        yield Finding(
            "thresholds_crossed", "info", f"the script's own thresholds were crossed{told}",
            {"thresholds": crossed[:20], "exit_code": code},
            remedy="compare them with the objectives of slo.yaml, which decide here",
        )  # fmt: skip


def _setup_requests(name: str, series: list[Series]) -> Iterator[Finding]:
    """What failed of the requests to one endpoint in setup()."""
    failed = [s for s in series if s.nonzero and not _was_so_already(s)]
    n, total = sum(s.nonzero for s in failed), count(series)
    if not n:
        return
    held = [s for s in series if s.nonzero < s.n]
    polled = held and max(s.last_at for s in held) > max(s.last_at for s in failed)
    cause = most_common(failed)
    yield Finding(
        "setup_failed", "invalid" if n == total else "info" if polled or n <= MOST * total else "suspect",
        f"{n:,} of {numbers.things(total, 'request')} to {name} in setup() failed ({cause})",
        {"failed": n, "requests": total, "name": name, "cause": cause}, remedy=_SEED,
    )  # fmt: skip


def _was_so_already(series: Series) -> bool:
    """Was there nothing to remove, or is what was to be made there? Scripts that clean up first, or seed again."""
    status = series.tags.get("status")
    return status == "409" or (status == "404" and series.tags.get("method") == "DELETE")


def _failed_setup_check(value: SummaryValue) -> bool:
    return (
        value.metric.startswith("checks{")
        and "group:::setup" in value.metric
        and value.stat == "fails"
        and value.value > 0
    )
