"""Can the run be believed? Small pure rules over a run's record, each with what it detects and why.

``invalid`` means that the numbers say nothing about the service; ``suspect`` that a target that looks met is not
proven; ``info`` is worth knowing. A finding with a service limits the doubt to that service.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from data.model import SAMPLE_KINDS
from slo import numbers
from slo.model import Finding, Measurement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from data.model import RunRecord, Series, SummaryValue
    from slo.model import MeasurementState

MOST = 0.5
"""A share that decides for the whole: more than half of the requests."""
ONE_CAUSE = 0.8
"""Failures of which this share has one cause have that cause."""
MALFORMED_SHARE = 0.001
"""More unreadable lines than this are not a stray line but a damaged file."""
FEWEST = 6
"""Samples from which on a median has a 95 % interval (2 * 0.5 ** n < 0.05)."""
MANY_NAMES = 20
NAMES_SHARE = 1 / 3
"""More names than this for each request are names with ids in them; a script with few requests has few endpoints."""
DROPPED_SHARE = 0.05
"""More iterations left out than this, and the load was another one than the script describes."""
SUMMARY_TOLERANCE = 1e-6
"""Relative difference at which a summary's number is another number: k6 prints all digits, so rounding is below it."""

_TIMEOUT_CODE = 1050
_NO_CONNECTION = range(1000, 1400)
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
_LOST_WEIGHT = 50
_AT_ONCE_S = 1.0
_SEED = "repair what setup() needs (seeding, migrations, a healthy database) and run the test again"
_WITHOUT_WORK = {
    "iterations", "iteration_duration", "vus", "vus_max", "data_sent", "data_received", "group_duration", "checks",
    "dropped_iterations",
}  # fmt: skip
"""What k6 writes of a run that does nothing."""


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

    Signs: a check in group ``::setup`` that did not hold at last, an endpoint of which every request in setup() failed,
    exit code 100, or 107 without load. A poll that failed before it held (is the service up yet?) is only told.
    """
    setup = [s for s in record.series if s.part_of_test == "setup"]
    code = record.run.meta.exit_code
    if code == _EXIT_SETUP_TIMEOUT or (code == _EXIT_THROWN and not _load(record)):
        what = "setup() timed out" if code == _EXIT_SETUP_TIMEOUT else "the script threw before any load was sent"
        yield Finding("setup_failed", "invalid", f"{what} (k6 exit code {code})", {"exit_code": code}, remedy=_SEED)
    by_name: defaultdict[str, list[Series]] = defaultdict(list)
    for one in setup:
        if one.metric == "http_req_failed":
            by_name[one.tags.get("name", "?")].append(one)
    for name, series in by_name.items():
        failed, n = sum(s.nonzero for s in series), sum(s.n for s in series)
        if failed:
            cause = _most_common(s for s in series if s.nonzero)
            yield Finding(
                "setup_failed", "invalid" if failed == n else "info",
                f"{failed:,} of {n:,} requests to {name} in setup() failed ({cause})",
                {"failed": failed, "requests": n, "name": name, "cause": cause}, remedy=_SEED,
            )  # fmt: skip
    checks = sorted({s.tags.get("check", "?") for s in setup if s.metric == "checks" and not s.last})
    checks += sorted({v.metric for v in record.summary if not record.series and _failed_setup_check(v)})
    if checks:
        told = f"checks failed in setup(): {', '.join(checks)}"
        yield Finding("setup_failed", "invalid", told, {"checks": checks}, remedy=_SEED)


def unreachable(record: RunRecord) -> Iterator[Finding]:
    """The load did not reach the service: no connection, no name, no TLS. That is not slowness.

    Signs: most of a service's requests have a k6 error code of 1000 to 1399, a time-out (1050) apart: a request that
    timed out was sent; without codes, status 0. Their durations are 0 or nearly so and make percentiles look good.
    """
    for service, series, total in _requests(record):
        lost = [s for s in series if _unreached(s)]
        n = sum(s.n for s in lost)
        if n > MOST * total:
            cause = _most_common(lost)
            yield Finding(
                "unreachable", "invalid",
                f"{n:,} of {total:,} requests{_to(service)} never reached it: {cause}",
                {"requests": total, "unreached": n, "cause": cause}, service,
                "check that the service is up, that its port is exposed and that BASE_URL points to it",
            )  # fmt: skip


def error_storm(record: RunRecord) -> Iterator[Finding]:
    """Most requests of a service fail: one broken thing, as a rule, and not a slow service.

    Latency was then mostly not measured, and fast failures pull percentiles down, so a target that looks met is not
    proven. Failures are k6's own (``http_req_failed``), or what status and error code say where k6 did not count them.
    One endpoint that mostly fails is a storm of its own.
    """
    for service, series, total in _requests(record):
        failed = [s for s in series if s.failed]
        n = max(_counted_failures(record, service), sum(s.n for s in failed))
        if sum(s.n for s in series if _unreached(s)) > MOST * total:
            continue
        if n <= MOST * total:
            yield from _endpoint_storms(record, service, series)
            continue
        causes = Counter[str]()
        for one in failed:
            causes[_cause(one)] += one.n
        cause, most = causes.most_common(1)[0] if causes else ("unknown", 0)
        told = f", {most:,} of them with {cause}" if most >= ONE_CAUSE * n else ", for several reasons"
        endpoints = sorted({s.tags.get("name", "?") for s in failed if _cause(s) == cause})
        yield Finding(
            "error_storm", "suspect", f"{n:,} of {total:,} requests{_to(service)} failed{told}{_since(record, failed)}",
            {"failed": n, "requests": total, "cause": cause, "endpoints": endpoints[:10]}, service,
            "find the cause first (test data, a dependency, a missing migration); latency was not measured",
        )  # fmt: skip
    summed = {v.stat: v.value for v in record.summary if v.metric == "http_req_failed"}
    if not record.series and summed.get("rate", 0) > MOST:
        yield Finding(
            "error_storm", "suspect", f"{numbers.ratio(summed['rate'])} of all requests failed, as k6's summary says",
            {"failed_ratio": summed["rate"]},
            remedy="upload the samples (--out json): they tell whether the service was reached and why requests failed",
        )  # fmt: skip


def _endpoint_storms(record: RunRecord, service: str | None, series: list[Series]) -> Iterator[Finding]:
    by_name: defaultdict[str, list[Series]] = defaultdict(list)
    for one in series:
        by_name[f"{one.tags.get('method', '')} {one.tags.get('name', '?')}".strip()].append(one)
    for name, found in sorted(by_name.items()):
        failed = [s for s in found if s.failed]
        n, total = sum(s.n for s in failed), sum(s.n for s in found)
        if n > MOST * total and n >= FEWEST:
            yield Finding(
                "error_storm", "suspect",
                f"{n:,} of {total:,} requests to {name} failed ({_most_common(failed)}){_since(record, failed)}",
                {"failed": n, "requests": total, "cause": _most_common(failed), "endpoints": [name]}, service,
                "find the cause first (test data, a dependency, a missing migration); its latency was not measured",
            )  # fmt: skip


def too_few_samples(record: RunRecord) -> Iterator[Finding]:
    """A service got so few requests that not even its median is known.

    From six samples on, the smallest and the largest enclose the median with 95 % confidence; higher percentiles need
    more, which each objective says for itself.
    """
    for service, _, total in _outcomes(record):
        if total < FEWEST:
            yield Finding(
                "too_few_samples", "suspect", f"only {numbers.things(total, 'request')}{_to(service)}",
                {"requests": total}, service, "let the test run longer",
            )  # fmt: skip


def no_requests(record: RunRecord) -> Iterator[Finding]:
    """Iterations ran and sent nothing: the script throws before its first request, or its branch is never taken.

    Any sample of a protocol's metric or of the script's own is work, so tests of other protocols are left alone.
    """
    if record.series:
        sent = any(s.metric not in _WITHOUT_WORK for s in _load(record))
        iterations = sum(s.sum for s in record.series if s.metric == "iterations")
    else:
        counts = {v.metric: v.value for v in record.summary if v.stat == "count"}
        iterations = counts.get("iterations", 0)
        sent = not iterations or any(name not in _WITHOUT_WORK for name in counts)
    if not sent:
        yield Finding(
            "no_requests", "invalid",
            f"{iterations:,.0f} iterations sent no request" if iterations else "the run sent no request after setup()",
            {"iterations": round(iterations)},
            remedy="run the script with one VU (k6 run -i 1) and look at its errors on standard error",
        )  # fmt: skip


def aborted(record: RunRecord) -> Iterator[Finding]:
    """k6 did not end the test by itself, as its exit code or an aborting threshold says.

    0 is success, 99 says that thresholds of the script were crossed; any other code is a run that was not whole.
    """
    code = record.run.meta.exit_code
    remedy = "run the test to its end"
    if code == _EXIT_TEARDOWN_TIMEOUT or (code == _EXIT_THROWN and _load(record)):
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

    Not compared where a file is cut: of that they may well differ.
    """
    samples = [a for a in record.artefacts if a.kind in SAMPLE_KINDS]
    if not samples or any(a.truncated for a in samples):
        return
    lost = sum(a.malformed_lines + a.dropped_points for a in samples) / max(1, sum(a.lines for a in samples))
    csv = any(a.kind == "k6-csv" for a in samples)
    # k6's CSV keeps six decimals; a lost line shifts a number by a little more than its share.
    tolerance = max(1e-3 if csv else SUMMARY_TOLERANCE, _LOST_WEIGHT * lost)
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
    """A tag has a value of its own for nearly every request, so nothing can be said per value of it.

    Signs: the tag was put together when it was stored, or, of names, more than one for three requests.
    """
    collapsed: dict[str, int] = {}
    for artefact in record.artefacts:
        collapsed |= artefact.collapsed_tags
    sent = [s for s in _load(record) if s.metric == "http_reqs"]
    names, n = {s.tags.get("name", "?") for s in sent}, sum(s.n for s in sent)
    told = [
        f"the tag {tag} had {values:,} different values; they were put together" for tag, values in collapsed.items()
    ]
    if len(names) >= MANY_NAMES and len(names) > NAMES_SHARE * n:
        told.append(f"{n:,} requests have {len(names):,} different names: none has enough to be judged")
    for one in told:
        yield Finding(
            "cardinality", "info", one, {"tags": sorted(collapsed), "names": len(names), "requests": n},
            remedy="give requests a name without ids: http.get(url, {tags: {name: '/event/:id'}})",
        )  # fmt: skip


def load_not_delivered(record: RunRecord) -> Iterator[Finding]:
    """k6 could not start iterations that were due, so the service felt less load than the script describes.

    k6 counts them as ``dropped_iterations`` where an arrival-rate executor finds no free VU, and exits 0. Latency under
    less load flatters; a few at the start, before all VUs are there, are only told.
    """
    dropped = _counted(record, "dropped_iterations")
    if not dropped:
        return
    due = dropped + _counted(record, "iterations")
    yield Finding(
        "load_not_delivered", "suspect" if dropped > DROPPED_SHARE * due else "info",
        f"k6 left out {dropped:,} of {due:,} iterations that were due, because no VU was free",
        {"dropped": dropped, "due": due},
        remedy="raise preAllocatedVUs and maxVUs; if the service then needs ever more of them, it is too slow",
    )  # fmt: skip


def checks_failed(record: RunRecord) -> Iterator[Finding]:
    """Most of the script's own checks do not hold: the answers are not what the test is about.

    k6 exits 0 on failed checks unless a threshold asks for them. Where most fail, latency and status are those of some
    other answer (a login page, an empty list). A check that never held is told by name.
    """
    found: defaultdict[str, list[Series]] = defaultdict(list)
    for one in _load(record):
        if one.metric == "checks":
            found[one.tags.get("check", "?")].append(one)
    never = sorted(name for name, series in found.items() if not any(s.nonzero for s in series))
    if any(failed > MOST * total for _, failed, total in _outcomes(record)):
        return  # the same cause, told by its own finding
    n = sum(s.n for series in found.values() for s in series)
    failed = n - sum(s.nonzero for series in found.values() for s in series)
    if not record.series:
        summed = {v.stat: v.value for v in record.summary if v.metric == "checks"}
        failed, n = round(summed.get("fails", 0)), round(summed.get("fails", 0) + summed.get("passes", 0))
    if never or failed > MOST * n:
        told = f"; never held: {', '.join(never[:5])}" if never else ""
        yield Finding(
            "checks_failed", "suspect" if failed > MOST * n else "info",
            f"{failed:,} of {n:,} checks failed{told}", {"failed": failed, "checks": n, "never_held": never[:20]},
            remedy="see what the service answers, and whether the script still checks for the right thing",
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


def thresholds_on_nothing(record: RunRecord) -> Iterator[Finding]:
    """A threshold of the script names tags that no sample carries: k6 takes its value as 0 and calls it passed.

    A typing error, or a test of something that did not happen (``http_reqs{status:500}``), and so only told. A summary
    alone does not tell it.
    """
    empty = []
    for one in {t.metric for t in record.thresholds if "{" in t.metric} if record.series else ():
        metric, _, rest = one.partition("{")
        wanted = [pair.strip().partition(":") for pair in rest.removesuffix("}").split(",")]
        found = any(
            s.metric == metric and all(s.tags.get(key.strip(), "") == value.strip() for key, _, value in wanted)
            for s in record.series
        )
        if not found:
            empty.append(one)
    if empty:
        yield Finding(
            "too_few_samples", "info", f"no sample matches the script's threshold on {', '.join(sorted(empty)[:5])}",
            {"thresholds": sorted(empty)[:20]}, remedy="compare its tags with those that the script sets",
        )  # fmt: skip


RULES = (
    unreachable, setup_failed, no_requests, too_few_samples, error_storm, checks_failed, load_not_delivered, aborted,
    truncated, malformed_lines, summary_mismatch, end_unknown, thresholds_crossed, thresholds_on_nothing, cardinality,
)  # fmt: skip
"""Every rule, in the order in which their causes come."""


def _load(record: RunRecord) -> list[Series]:
    """The series of the load itself."""
    return [s for s in record.series if s.part_of_test is None and s.metric not in {"vus", "vus_max"}]


def _counted(record: RunRecord, counter: str) -> int:
    """A counter over the load; of a summary alone, over the whole run."""
    if record.series:
        return round(sum(s.sum for s in _load(record) if s.metric == counter))
    return round(sum(v.value for v in record.summary if (v.metric, v.stat) == (counter, "count")))


def _requests(record: RunRecord) -> list[tuple[str | None, list[Series], int]]:
    """The request counts of the load by service, with their number.

    Requests without a service (``None``) are weighed against all of the run: a few calls elsewhere decide nothing.
    """
    found: defaultdict[str | None, list[Series]] = defaultdict(list)
    for one in _load(record):
        if one.metric == "http_reqs":
            found[one.tags.get("service", record.run.meta.service)].append(one)
    everything = sum(s.n for series in found.values() for s in series)
    return [
        (service, series, everything if service is None else sum(s.n for s in series))
        for service, series in found.items()
    ]


def _outcomes(record: RunRecord) -> list[tuple[str | None, int, int]]:
    """Failed requests and all of them, by service."""
    return [
        (service, max(_counted_failures(record, service), sum(s.n for s in series if s.failed)), total)
        for service, series, total in _requests(record)
    ]


def _since(record: RunRecord, failed: Sequence[Series]) -> str:
    """From when on, where it was not so from the start."""
    start = min((s.first_at for s in _load(record)), default=None)
    first = min((s.first_at for s in failed), default=None)
    if start is None or first is None or (first - start).total_seconds() < _AT_ONCE_S:
        return ""
    return f", from {numbers.seconds((first - start).total_seconds())} on"


def _counted_failures(record: RunRecord, service: str | None) -> int:
    return sum(
        s.nonzero
        for s in _load(record)
        if s.metric == "http_req_failed" and s.tags.get("service", record.run.meta.service) == service
    )


def _unreached(series: Series) -> bool:
    if series.error_code is None:
        return series.tags.get("status") == "0"
    return series.error_code in _NO_CONNECTION and series.error_code != _TIMEOUT_CODE


def _failed_setup_check(value: SummaryValue) -> bool:
    return (
        value.metric.startswith("checks{")
        and "group:::setup" in value.metric
        and value.stat == "fails"
        and value.value > 0
    )


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


def _cause(series: Series) -> str:
    """Why requests of a series failed, in one phrase."""
    status, code = series.tags.get("status", ""), series.tags.get("error_code")
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
