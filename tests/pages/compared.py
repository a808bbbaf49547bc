"""Comparisons made by hand: event became slower in its tail, its other numbers stayed or cannot tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from slo.comparing import outcome
from slo.comparison import CompareView, Distribution, EndpointChange
from slo.model import BaselineRef, Comparison, ComparisonState, Endpoint, Finding, RunRef

P95: Final = Comparison(
    service="event",
    sli="http_req_duration",
    stat="p(95)",
    unit="ms",
    state="regressed",
    reason="+66 % against 241 ms in 10 runs",
    value=399.1,
    baseline=241.0,
    change=0.656,
    ci=(0.58, 0.74),
    detectable=0.09,
    noise=12.4,
    confidence=0.999,
)
FAILED: Final = Comparison(
    service="event",
    sli="http_req_failed",
    stat="rate",
    unit="ratio",
    state="inconclusive",
    reason="+0.2 points against 0.9 % in 10 runs: not told from noise",
    value=0.011,
    baseline=0.009,
    change=0.002,
    ci=(-0.004, 0.009),
    detectable=0.008,
    noise=0.7,
    settle="2 more of this version would show a change of 5%",
)
RATE: Final = Comparison(
    service="event",
    sli="http_reqs",
    stat="rate",
    unit="/s",
    state="unchanged",
    reason="-0.01 % against 168 /s in 10 runs: no change that matters",
    value=168.0,
    baseline=168.01,
    change=-0.00004,
    ci=(-0.02, 0.02),
    detectable=0.05,
    noise=0.1,
    higher_is_worse=False,
)
GONE: Final = replace(
    RATE, sli="cache_hits", unit="ratio", state="not_comparable", reason="this run has no such measurement",
    value=None, baseline=None, change=None, ci=None, detectable=None, noise=None,
)  # fmt: skip
COMPARISONS: Final = (P95, FAILED, GONE, RATE)

LEVELS: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def percentile(level: float, change: float, state: ComparisonState, service: str | None = "event") -> Comparison:
    """A percentile of 100 ms before, with an interval of 5 % to each side."""
    return replace(
        P95, service=service, stat=f"p({level * 100:g})", state=state, baseline=100.0, value=100 * (1 + change),
        change=change, ci=(change - 0.05, change + 0.05),
    )  # fmt: skip


def tail(service: str | None = "event") -> tuple[Comparison, ...]:
    """Slower from p75 up, worst first."""
    moved = (0.0, 0.01, 0.02, 0.3, 0.5, 0.66, 0.4)
    rows = [
        percentile(level, change, "regressed" if change > 0.1 else "unchanged", service)
        for level, change in zip(LEVELS, moved, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: row.state != "regressed"))


def quiet(service: str | None) -> tuple[Comparison, ...]:
    """Nothing moved."""
    return tuple(percentile(level, 0.0, "unchanged", service) for level in LEVELS)


def distribution(service: str | None = "event") -> Distribution:
    """Two runs that part from p75 up."""
    before = (12.0, 20.0, 61.2, 120.0, 190.0, 241.0, 300.0)
    now = (12.0, 20.0, 62.0, 156.0, 290.0, 399.0, 420.0)
    return Distribution(service, LEVELS, now, before)


SEARCH: Final = EndpointChange(
    service="event",
    method="GET",
    name="/event/search",
    now=Endpoint("event", "GET", "/event/search", 612, 12, 402.0, 612.4, 590.0, 2210.0),
    before=Endpoint("event", "GET", "/event/search", 610, 0, 120.0, 188.0, 188.0, 320.0),
    p95=replace(P95, value=612.4, baseline=188.0, change=2.26, ci=(2.0, 2.5), noise=31.0),
    failed=FAILED,
)
CREATE: Final = EndpointChange(
    service="event",
    method="POST",
    name="/event",
    now=Endpoint("event", "POST", "/event", 804, 0, 61.2, 118.0, 117.0, 301.0),
    before=Endpoint("event", "POST", "/event", 800, 0, 61.0, 118.1, 118.1, 280.0),
    p95=replace(P95, state="unchanged", value=118.0, baseline=118.1, change=-0.0004, ci=(-0.04, 0.04), noise=0.2),
    failed=None,
)
NEW: Final = EndpointChange("event", "GET", "/event/near", SEARCH.now, None, None, None)
ENDPOINTS: Final = (NEW, SEARCH, CREATE)

OTHER_SCRIPT: Final = Finding(
    "definition_changed",
    "info",
    "The script is another one: GET /event/near is new.",
    {"new": ["GET /event/near"]},
    None,
    "If that is meant, accept it: phasegate baseline set RUN --reason TEXT",
)


def rolling(runs: int = 3) -> BaselineRef:
    """The last runs, two hours apart, the newest two hours old."""
    now = datetime.now(UTC)
    return BaselineRef(
        kind="rolling",
        runs=tuple(f"{place:08x}" for place in range(runs)),
        oldest_at=now - timedelta(days=3),
        newest_at=now - timedelta(hours=2),
        left_out=(("0badbad0", "48 of 48 requests in setup() failed"),),
        repeats=("5e5e5e5e",),
    )


NO_BASELINE: Final = BaselineRef("none", reason="no earlier run of this test on branch main can be believed")


def view(run: RunRef, before: RunRef | None, comparisons: tuple[Comparison, ...] = COMPARISONS) -> CompareView:
    """What changed in ``run``, whose service did what event does here; nothing is known without ``before``."""
    own = tuple(replace(one, service=run.service) for one in comparisons)
    if before is None:
        blank = (replace(own[0], state="no_baseline", change=None, ci=None, reason="there is no earlier run"),)
        return CompareView(
            run, None, NO_BASELINE, "There is no run to compare with.", "no_baseline", (), blank, (), (), ()
        )
    return CompareView(
        run=run,
        before=before,
        baseline=rolling(),
        sentence=f"Got worse than in 3 runs: {run.service} http_req_duration p(95) +66 %.",
        outcome=outcome(own),
        findings=(OTHER_SCRIPT,),
        comparisons=own,
        percentiles=(*quiet("auth"), *tail(run.service)),
        endpoints=ENDPOINTS,
        distributions=(distribution("auth"), distribution(run.service)),
    )
