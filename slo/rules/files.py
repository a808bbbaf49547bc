"""Are the files whole, and of one run? Rules over what reading them showed."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from data.model import SAMPLE_KINDS
from slo.model import Finding
from slo.rules.traffic import CALLS, count, load_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from data.model import RunRecord, Series

MALFORMED_SHARE = 0.001
"""More unreadable lines than this are not a stray line but a damaged file."""
MANY_NAMES = 20
NAMES_SHARE = 1 / 3
"""More names than this for each request are names with ids in them; a script with few requests has few endpoints."""
SUMMARY_TOLERANCE = 1e-6
"""Relative difference at which a summary's number is another number: k6 prints all digits, so rounding is below it."""

_CSV_TOLERANCE = 1e-3
_LOST_WEIGHT = 50
_SHOWN = 5
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}|\d+", re.IGNORECASE)
"""A UUID, a long hexadecimal number, or digits."""


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
    """Lines that are not k6's: a few are odd, many mean a damaged file. The torn last line of a cut file is neither.

    Many are more than one in a thousand (``MALFORMED_SHARE``), samples without a finite value or a time among them.
    """
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

    A number differs from one part in a million on (``SUMMARY_TOLERANCE``), in a CSV, which has six decimals, from one
    in a thousand on; lost lines widen both. Not compared where a file is cut: of that they may well differ.
    """
    samples = [a for a in record.artefacts if a.kind in SAMPLE_KINDS]
    if not samples or any(a.truncated for a in samples):
        return
    lost = sum(a.malformed_lines + a.dropped_points for a in samples) / max(1, sum(a.lines for a in samples))
    csv = any(a.kind == "k6-csv" for a in samples)
    # k6's CSV keeps six decimals; a lost line shifts a number by a little more than its share.
    tolerance = max(_CSV_TOLERANCE if csv else SUMMARY_TOLERANCE, _LOST_WEIGHT * lost)
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

    Signs: the tag was put together when it was stored, or, of names that differ only in their digits and of all names,
    more than one for three requests and 20 at least (``NAMES_SHARE``, ``MANY_NAMES``): a short test of a few endpoints
    has few requests for each, too.
    """
    collapsed: dict[str, int] = {}
    for artefact in record.artefacts:
        collapsed |= artefact.collapsed_tags
    told = [
        f"the tag {tag} had {values:,} different values; they were put together" for tag, values in collapsed.items()
    ]
    told += _too_many_names([s for s in load_of(record) if s.metric in CALLS])
    for one in told:
        yield Finding(
            "cardinality", "info", one, {"tags": sorted(collapsed)},
            remedy="give requests a name without ids: http.get(url, {tags: {name: '/event/:id'}})",
        )  # fmt: skip


def _too_many_names(sent: Sequence[Series]) -> list[str]:
    by_pattern: defaultdict[str, list[Series]] = defaultdict(list)
    for one in sent:
        by_pattern[_ID.sub("#", one.tags.get("name", "?"))].append(one)
    groups = [series for _, series in sorted(by_pattern.items()) if _names_each(series)]
    many: Sequence[Sequence[Series]] = groups or ([sent] if _names_each(sent) else [])
    named = [min(s.tags.get("name", "?") for s in series) for series in many]
    return [
        f"nearly each request has a name of its own, such as {name}: none has enough requests to be judged"
        for name in named[:_SHOWN]
    ]


def _names_each(series: Sequence[Series]) -> bool:
    names = {s.tags.get("name", "?") for s in series}
    return len(names) >= MANY_NAMES and len(names) > NAMES_SHARE * count(series)


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
