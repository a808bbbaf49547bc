"""Can the run be believed? The rules of ``slo.rules`` over a run's record, and what their findings add up to.

``invalid`` means that the numbers say nothing about the service; ``suspect`` that a target that looks met is not
proven; ``info`` is worth knowing. A finding with a service limits the doubt to that service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slo.model import Measurement
from slo.rules import course, files, requests, scraped, script

if TYPE_CHECKING:
    from collections.abc import Iterable

    from data.model import RunRecord
    from slo.model import Finding, MeasurementState

RULES = (
    scraped.target_down,
    requests.unreachable,
    course.setup_failed,
    script.no_requests,
    requests.too_few_samples,
    requests.error_storm,
    script.checks_failed,
    scraped.restarted,
    scraped.generator_used_up,
    course.load_not_delivered,
    course.aborted,
    files.truncated,
    files.malformed_lines,
    files.summary_mismatch,
    course.end_unknown,
    course.thresholds_crossed,
    script.thresholds_on_nothing,
    files.cardinality,
    scraped.scrape_gap,
    scraped.saturated,
)
"""Every rule that one run alone can show, in the order in which their causes come."""


def find(record: RunRecord) -> Measurement:
    """Every rule's findings, worst first, and what they add up to."""
    return measurement(f for rule in RULES for f in rule(record))


def measurement(findings: Iterable[Finding]) -> Measurement:
    """What findings add up to, with the worst first."""
    order = {"invalid": 0, "suspect": 1, "info": 2}
    found = sorted(findings, key=lambda f: order[f.severity])
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
