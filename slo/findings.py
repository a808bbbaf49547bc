"""Can the run be believed? Small pure rules over a run's record, each with what it detects and why.

``invalid`` means that the numbers say nothing about the service; ``suspect`` that a target that looks met is not
proven; ``info`` is worth knowing. A finding with a service limits the doubt to that service.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from data.model import SAMPLE_KINDS
from slo.model import Finding, Measurement
from slo.sli import part_of_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from data.model import RunRecord, Series
    from slo.model import MeasurementState

MOST = 0.5
"""A share that decides for the whole: more than half of the requests."""
ONE_CAUSE = 0.8
"""Failures of which this share has one cause have that cause."""
MALFORMED_SHARE = 0.001
"""More unreadable lines than this are not a stray line but a damaged file."""
SUMMARY_TOLERANCE = 1e-6
"""Relative difference at which a summary's number is another number: k6 prints all digits, so rounding is below it."""

_TIMEOUT_CODE = 1050
_NO_CONNECTION = range(1000, 1400)
_EXIT_SETUP = {100: "setup() timed out", 107: "the script threw in its init code or in setup()"}
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
_EXIT_TEARDOWN = 101
_EXIT_THRESHOLDS = 99


def find(record: RunRecord) -> Measurement:
    """Every rule's findings, worst first, and what they add up to."""
    order = {"invalid": 0, "suspect": 1, "info": 2}
    found = sorted((f for rule in RULES for f in rule(record)), key=lambda f: order[f.severity])
    return Measurement(state_of(found), tuple(found))


def state_of(findings: Iterable[Finding]) -> MeasurementState:
    """The worst severity decides; ``info`` does not."""
    severities = {finding.severity for finding in findings}
    if "invalid" in severities:
        return "invalid"
    return "suspect" if "suspect" in severities else "valid"


def concerns(finding: Finding, service: str | None) -> bool:
    """Does a finding bear on a service (``None``: on the system as a whole)?"""
    return finding.service is None or service is None or finding.service == service


def setup_failed(record: RunRecord) -> Iterator[Finding]:
    """setup() did not prepare what the test needs, so every number after it measures the missing preparation.

    Signs: a failed request or check in group ``::setup``, or k6's exit codes 100 and 107.
    """
    remedy = "repair what setup() needs (seeding, migrations, a healthy database) and run the test again"
    if (code := record.run.meta.exit_code) in _EXIT_SETUP:
        yield Finding(
            "setup_failed", "invalid", f"{_EXIT_SETUP[code]} (k6 exit code {code})", {"exit_code": code}, remedy=remedy
        )
    setup = [s for s in record.series if part_of_test(s) == "setup"]
    failed = sum(s.nonzero for s in setup if s.metric == "http_req_failed")
    requests = sum(s.n for s in setup if s.metric == "http_req_failed")
    if failed:
        status = _most_common(s for s in setup if s.metric == "http_req_failed" and s.nonzero)
        yield Finding(
            "setup_failed", "invalid", f"{failed:,} of {requests:,} requests in setup() failed ({status})",
            {"failed": failed, "requests": requests, "cause": status}, remedy=remedy,
        )  # fmt: skip
    checks = {s.tags.get("check", "?"): s for s in setup if s.metric == "checks" and s.nonzero < s.n}
    if checks:
        names = ", ".join(sorted(checks))
        yield Finding(
            "setup_failed", "invalid", f"checks failed in setup(): {names}", {"checks": sorted(checks)}, remedy=remedy
        )


def unreachable(record: RunRecord) -> Iterator[Finding]:
    """The load did not reach the service: no connection, no name, no TLS. That is not slowness.

    Signs: most of a service's requests have status 0 with a k6 error code of 1000 to 1399, a time-out (1050) apart: a
    request that timed out was sent. Their durations are 0 or nearly so and make percentiles look good.
    """
    for service, series in _requests(record).items():
        lost = [s for s in series if _code(s) in _NO_CONNECTION and _code(s) != _TIMEOUT_CODE]
        n, total = sum(s.n for s in lost), sum(s.n for s in series)
        if n > MOST * total:
            cause = _most_common(lost)
            yield Finding(
                "unreachable", "invalid",
                f"{n:,} of {total:,} requests{_to(service)} never reached it: {cause}",
                {"requests": total, "unreached": n, "cause": cause}, service,
                "check that the service is up, that its port is exposed and that BASE_URL points to it",
            )  # fmt: skip


def error_storm(record: RunRecord) -> Iterator[Finding]:
    """Most requests of a service fail, and nearly all for one reason: one broken thing, not a slow service.

    Fast failures also pull percentiles down, so a latency target that looks met is not proven.
    """
    for service, series in _requests(record).items():
        failed = [s for s in series if s.tags.get("expected_response") == "false"]
        reached = [s for s in failed if _code(s) not in _NO_CONNECTION or _code(s) == _TIMEOUT_CODE]
        n, total = sum(s.n for s in failed), sum(s.n for s in series)
        if n <= MOST * total or not reached:
            continue
        causes = Counter[str]()
        for one in reached:
            causes[_cause(one)] += one.n
        cause, most = causes.most_common(1)[0]
        if most >= ONE_CAUSE * n:
            endpoints = sorted({s.tags.get("name", "?") for s in reached if _cause(s) == cause})
            yield Finding(
                "error_storm", "suspect",
                f"{n:,} of {total:,} requests{_to(service)} failed, {most:,} of them with {cause}",
                {"failed": n, "requests": total, "cause": cause, "endpoints": endpoints[:10]}, service,
                "find the one cause first (test data, a dependency, a missing migration); latency was not measured",
            )  # fmt: skip


def no_requests(record: RunRecord) -> Iterator[Finding]:
    """Iterations ran and sent nothing: the script throws before its first request, or its branch is never taken."""
    if not record.series:
        return
    iterations = sum(s.sum for s in record.series if s.metric == "iterations")
    sent = sum(
        s.n
        for s in record.series
        if s.metric in {"http_reqs", "grpc_req_duration", "ws_sessions"} and not part_of_test(s)
    )
    browser = any(s.metric.startswith("browser_") for s in record.series)
    if not sent and not browser:
        yield Finding(
            "no_requests", "invalid",
            f"{iterations:,.0f} iterations sent no request" if iterations else "the run sent no request after setup()",
            {"iterations": round(iterations)},
            remedy="run the script with one VU (k6 run -i 1) and look at its errors on standard error",
        )  # fmt: skip


def aborted(record: RunRecord) -> Iterator[Finding]:
    """k6 was stopped before the test's own end, as its exit code or an aborting threshold says."""
    code = record.run.meta.exit_code
    remedy = "run the test to its end"
    if code in _EXIT_ABORTED:
        yield Finding(
            "aborted", "suspect", f"{_EXIT_ABORTED[code]} (k6 exit code {code})", {"exit_code": code}, remedy=remedy
        )
    if code == _EXIT_TEARDOWN:
        yield Finding("aborted", "info", "teardown() timed out (k6 exit code 101)", {"exit_code": code})
    crossed = [t for t in record.thresholds if t.abort_on_fail and t.ok is False]
    if crossed or (code == _EXIT_THRESHOLDS and any(t.abort_on_fail for t in record.thresholds)):
        names = [f"{t.metric}: {t.source}" for t in crossed or record.thresholds if t.abort_on_fail]
        yield Finding(
            "aborted", "suspect", f"a threshold that aborts the test was crossed: {'; '.join(names[:5])}",
            {"thresholds": names[:20]}, remedy=remedy,
        )  # fmt: skip


def truncated(record: RunRecord) -> Iterator[Finding]:
    """A file ends early: k6 was killed, or the upload was cut. What came after is not known."""
    for artefact in record.artefacts:
        if artefact.truncated:
            yield Finding(
                "truncated", "suspect",
                f"{artefact.name}: {artefact.truncated}; {artefact.points:,} samples before it were kept",
                {"artefact": artefact.name, "points": artefact.points},
                remedy="let k6 finish, and upload its file afterwards",
            )  # fmt: skip


def malformed_lines(record: RunRecord) -> Iterator[Finding]:
    """Lines that are not k6's: a few are odd, many mean a damaged file. The torn last line of a cut file is neither."""
    for artefact in record.artefacts:
        bad = artefact.malformed_lines - (1 if artefact.truncated and artefact.malformed_lines else 0)
        if bad + artefact.dropped_points <= 0:
            continue
        damaged = bad + artefact.dropped_points > MALFORMED_SHARE * artefact.lines
        where = (
            f", the first at line {artefact.first_malformed_line:,}" if bad and artefact.first_malformed_line else ""
        )
        yield Finding(
            "malformed_lines", "suspect" if damaged else "info",
            f"{artefact.name}: {bad:,} of {artefact.lines:,} lines are not k6's{where}; "
            f"{artefact.dropped_points:,} samples had no finite value or no time",
            {"artefact": artefact.name, "lines": artefact.lines, "malformed": bad, "dropped": artefact.dropped_points},
            remedy="upload the file as k6 wrote it",
        )  # fmt: skip


def summary_mismatch(record: RunRecord) -> Iterator[Finding]:
    """The summary is not of these samples: its numbers differ from the same numbers computed from the samples.

    Only compared where the samples are whole: of a cut file they may well differ.
    """
    whole = not any(a.truncated or a.malformed_lines or a.dropped_points for a in record.artefacts)
    if not whole or not any(a.kind in SAMPLE_KINDS for a in record.artefacts):
        return
    csv = any(a.kind == "k6-csv" for a in record.artefacts)
    tolerance = 1e-3 if csv else SUMMARY_TOLERANCE  # k6's CSV keeps six decimals
    differing = sorted(
        (v.metric, v.stat, v.value, own)
        for v in record.summary
        for own in [_own_value(record, v.metric, v.stat)]
        if own is not None and abs(v.value - own) > tolerance * max(abs(own), abs(v.value), 1e-9)
    )
    if differing:
        metric, stat, said, own = next((d for d in differing if d[0] == "http_reqs"), differing[0])
        yield Finding(
            "summary_mismatch", "suspect",
            f"the summary is not of these samples: it has {metric} {stat} = {said:,.6g}, the samples {own:,.6g} "
            f"({len(differing)} numbers differ)",
            {"differing": [f"{m} {s}: {said:.9g} != {own:.9g}" for m, s, said, own in differing[:20]]},
            remedy="upload the summary that the same k6 run wrote",
        )  # fmt: skip


def cardinality(record: RunRecord) -> Iterator[Finding]:
    """A tag has a value of its own for nearly every request, so nothing can be said per value of it."""
    collapsed: dict[str, int] = {}
    for artefact in record.artefacts:
        collapsed |= artefact.collapsed_tags
    for tag, values in collapsed.items():
        yield Finding(
            "cardinality", "info",
            f"the tag {tag} had {values:,} different values; they were put together into one",
            {"tag": tag, "values": values},
            remedy="give requests a name without ids: http.get(url, {tags: {name: '/event/:id'}})",
        )  # fmt: skip


RULES = (
    unreachable, setup_failed, no_requests, error_storm, aborted, truncated, malformed_lines, summary_mismatch,
    cardinality,
)  # fmt: skip
"""Every rule, in the order in which their causes come."""


def _requests(record: RunRecord) -> dict[str | None, list[Series]]:
    """The request counts of the load by service; under ``None`` where no service is known."""
    found: defaultdict[str | None, list[Series]] = defaultdict(list)
    for one in record.series:
        if one.metric == "http_reqs" and part_of_test(one) is None:
            found[one.tags.get("service", record.run.meta.service)].append(one)
    return found


def _own_value(record: RunRecord, metric: str, stat: str) -> float | None:
    """The samples' own number for one of the summary's; ``None`` where they cannot tell (sub-metrics, rates per s)."""
    found = next((m for m in record.metrics if m.name == metric), None)
    if found is None or found.stats is None:
        return None
    stats = found.stats
    values: dict[str, dict[str, float]] = {
        "trend": {
            "avg": stats.avg, "min": stats.min, "med": stats.med, "max": stats.max, "count": stats.n,
            "p(90)": stats.p90, "p(95)": stats.p95, "p(99)": stats.p99,
        },
        "rate": {"rate": stats.nonzero / stats.n, "passes": stats.nonzero, "fails": stats.n - stats.nonzero},
        "counter": {"count": stats.sum},
    }  # fmt: skip
    return values.get(found.type, {}).get(stat)


def _code(series: Series) -> int:
    code = series.tags.get("error_code", "")
    return int(code) if code.isdecimal() else 0


def _cause(series: Series) -> str:
    """Why requests of a series failed, in one phrase."""
    status, code = series.tags.get("status", "0"), series.tags.get("error_code")
    if status not in {"", "0"}:
        return f"HTTP {status}"
    error = series.tags.get("error", "no answer")
    return f"{error} (k6 error {code})" if code else error


def _most_common(series: Iterable[Series]) -> str:
    causes = Counter[str]()
    for one in series:
        causes[_cause(one)] += one.n
    return causes.most_common(1)[0][0] if causes else "no answer"


def _to(service: str | None) -> str:
    return f" to {service}" if service else ""
