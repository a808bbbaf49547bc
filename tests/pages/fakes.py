"""A desk made by hand: the documents of one morning, and of the mornings on which something is wrong.

It answers with values alone, so that pages can be tested and looked at without a store.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from data.errors import ConfigError, NotFound
from data.model import Attachment, Waiver
from settings import Settings
from slo.comparison import CompareView
from slo.model import (
    ConfigReport,
    Endpoint,
    ErrorGroup,
    Finding,
    HistoryPoint,
    Measurement,
    ObjectiveResult,
    Overview,
    PhaseRef,
    Pulled,
    PulledSeries,
    RunRef,
    RunView,
    ServiceRow,
    TimeBin,
    Verdict,
    VerdictState,
)
from slo.queries import MEMORY, UP
from tests.answers import WAIVER
from tests.pages import compared

MIB: Final = float(1 << 20)
PHASES: Final = (
    PhaseRef("1", "Operational fixes"),
    PhaseRef("7A", "Core services"),
    PhaseRef("7B", "User and venue"),
    PhaseRef("8", "Production readiness"),
)
HOSTILE: Final = (
    "<script>alert(1)</script>",
    "a|b",
    "@team",
    "$x$ and $y$",
    ":red[x] :tada: :material/home:",
    "**b** _i_",
)
FIRST_RUNS: Final = ("venue",)
"""Services whose run has no baseline."""
VALID: Final = Measurement("valid")
BROKEN: Final = Measurement(
    "invalid",
    (
        Finding(
            "setup_failed",
            "invalid",
            "48 of 48 requests in setup() failed (HTTP 500).",
            {"failed": 48, "requests": 48, "status": ["500"]},
            None,
            "Look at what setup() calls first; its test data is missing from everything after it.",
        ),
        Finding(
            "error_storm",
            "invalid",
            "POST /event: 1,604 of 1,604 requests failed, from the first second on.",
            {"endpoint": "POST /event", "failed": 1604, "first_s": 0.2},
            "event",
            "Seed the database, check seeded_users >= 10000, run the test again.",
        ),
        Finding("malformed_lines", "suspect", "3 lines could not be read and were left out.", {"lines": 3}),
    ),
)


def run_ref(run_id: str, service: str, requests: int = 3396, *, age_min: int = 38, branch: str = "main") -> RunRef:
    """A run of 20 s that ended ``age_min`` minutes ago."""
    started_at = datetime.now(UTC) - timedelta(minutes=age_min)
    return RunRef(
        id=run_id,
        service=service,
        test=f"{service}-crud",
        phase="7A",
        branch=branch,
        commit="abc1234def",
        version="2.4.0",
        environment="ci",
        started_at=started_at,
        duration_s=20.2,
        requests=requests,
        services=(service,),
        labels={"runner": "ci-7"},
        received_at=started_at,
        exit_code=99,
        k6_version="1.1.0",
    )


def history(
    values: list[float], state: VerdictState = "pass", *, broken: int | None = None
) -> tuple[HistoryPoint, ...]:
    """Runs two hours apart; the last has ``state``, the one at ``broken`` cannot be believed."""
    now = datetime.now(UTC)
    last = len(values) - 1
    return tuple(
        HistoryPoint(
            f"{place:08x}",
            now - timedelta(hours=2 * (last - place)),
            value,
            "inconclusive" if place == broken else state if place == last else "pass",
        )
        for place, value in enumerate(values)
    )


def wave(base_ms: float, runs: int = 12) -> list[float]:
    """A quiet p95 around ``base_ms``."""
    return [base_ms * (1 + 0.05 * math.sin(place * 1.7)) for place in range(runs)]


def morning_rows() -> tuple[ServiceRow, ...]:
    """Eight services, worst first, as on the morning after the demo was recorded."""
    event_history = history([*wave(241, 10), 390.0, 399.1], "fail")
    plan_history = history([*wave(88, 11), 4200.0], "inconclusive", broken=11)
    return (
        ServiceRow(
            "event", "discovery", "fail", "http_req_duration p(95) = 399 ms, target < 250 ms",
            run_ref("7f3a91c2", "event"), 399.1, "p(95) < 250ms", 0.04, 136, 3396, 1, 4, event_history,
        ),
        ServiceRow(
            "venue", "places", "fail", "http_req_failed rate = 3.92 %, target < 1 %",
            run_ref("77c2d10e", "venue", 2120), 33.4, "p(95) < 400ms", 0.0392, 83, 2120, 1, 2,
            history(wave(33), "fail"),
        ),
        ServiceRow(
            "plan", "planning", "inconclusive",
            "This run cannot be believed: 48 of 48 requests in setup() failed (HTTP 500)",
            run_ref("81d0c4aa", "plan", 1652), 4200.0, "p(95) < 300ms", 1.0, 1652, 1652, 0, 2, plan_history,
        ),
        ServiceRow(
            "chat", "messaging", "warn", "http_req_duration p(95) = 302 ms, warned from 280 ms on",
            run_ref("4b118f03", "chat", 2810), 302.2, "p(95) < 320ms", 0.0113, 32, 2810, 2, 2,
            history([*wave(280, 8), 302.2], "warn"),
        ),
        ServiceRow(
            "notification", None, "no_data", "No run of notification is stored.",
            None, None, "p(95) < 100ms", None, None, None, 0, 1,
        ),
        ServiceRow(
            "interest", "discovery", "pass",
            "2 of 2 objectives met; tightest p(95) 15.2 ms, target < 20 ms (24 % to spare)",
            run_ref("9be2f610", "interest", 4812), 15.2, "p(95) < 20ms", 0.0, 0, 4812, 2, 2, history(wave(15.2)),
        ),
        ServiceRow(
            "auth", "identity", "pass", "1 of 1 objectives met; tightest p(95) 21.0 ms, target < 30 ms (30 % to spare)",
            run_ref("5c20de71", "auth", 5100), 21.0, "p(95) < 30ms", 0.0, 0, 5100, 1, 1, history(wave(21), broken=4),
        ),
        ServiceRow(
            "user", "identity", None, "Phase 7A asks nothing of user.",
            run_ref("0a1b2c3d", "user", 900), 120.0, None, 0.0, 0, 900, 0, 0, history(wave(120)),
        ),
    )  # fmt: skip


def timeline(bins: int = 20, p95_ms: float = 399.0, failed_share: float = 0.04) -> tuple[TimeBin, ...]:
    """One bin per second; the p95 climbs, one second is idle (and missing), and one stands out."""
    return tuple(
        TimeBin(
            at_s=float(second),
            requests_per_s=168 + 12 * math.sin(second),
            failed_per_s=failed_share * 168 * (1 + math.sin(second)),
            p50_ms=p95_ms * 0.3 + 6 * math.sin(second * 2),
            p95_ms=p95_ms * (5 if second == 12 else 0.6 + second / 40),
        )
        for second in range(bins)
        if second != 7
    )


OBJECTIVES: Final = (
    ObjectiveResult(
        service="event",
        sli="http_req_duration",
        target="p(95) < 250ms",
        state="missed",
        reason="p(95) = 399 ms, target < 250 ms",
        stat="p(95)",
        key=True,
        value=399.1,
        target_value=250.0,
        unit="ms",
        n=3396,
        ci=(381.2, 420.9),
        ci_method="binomial",
        margin=-0.596,
        proven=True,
        value_ok=388.0,
        n_ok=3260,
    ),
    ObjectiveResult(
        service="event",
        sli="http_req_failed",
        target="rate < 1%",
        state="missed",
        reason="rate = 4.00 %, target < 1 %",
        stat="rate",
        value=136 / 3396,
        target_value=0.01,
        unit="ratio",
        n=3396,
        count=136,
        ci=(0.034, 0.047),
        ci_method="wilson",
        margin=-3.0,
        proven=True,
    ),
    ObjectiveResult(
        service="event",
        sli="http_req_duration{name:/event/search}",
        target="p(95) < 200ms",
        state="at_risk",
        reason="p(95) = 199.98 ms meets < 200.00 ms, but its 95 % interval is 188–214 ms",
        stat="p(95)",
        warn="p(95) < 180ms",
        value=199.98,
        target_value=200.0,
        unit="ms",
        n=612,
        ci=(188.0, 214.0),
        ci_method="binomial",
        margin=0.0001,
    ),
    ObjectiveResult(
        service="event",
        sli="http_req_duration{name:/event/:id}",
        target="p(99) < 400ms",
        state="not_evaluable",
        reason="too few samples: 71, p(99) needs 299",
        stat="p(99)",
        target_value=400.0,
        unit="ms",
        n=71,
    ),
    ObjectiveResult(
        service="event",
        sli="cache_hits",
        target="rate > 60%",
        state="no_data",
        reason="the run has no metric cache_hits",
        stat="rate",
        target_value=0.6,
        unit="ratio",
    ),
    ObjectiveResult(
        service="event",
        sli="checks",
        target="rate > 95%",
        state="met",
        reason="rate = 99.20 %, target > 95.00 %",
        stat="rate",
        value=6738 / 6792,
        target_value=0.95,
        unit="ratio",
        n=6792,
        count=6738,
        ci=(0.99, 0.994),
        ci_method="wilson",
        margin=0.044,
        proven=True,
    ),
)

ENDPOINTS: Final = (
    Endpoint("event", "GET", "/event/search", 612, 120, 402.0, 612.4, 590.0, 2210.0),
    Endpoint("event", "POST", "/event", 804, 16, 61.2, 118.0, 117.0, 301.0),
    Endpoint("event", "GET", "/event/:id", 71, 0, 4.2, None, None, 31.0),
)
ERRORS: Final = (
    ErrorGroup(
        "event", "GET", "/event/search", "503", "1503", "upstream timed out after 600 ms", 120, 2.1, in_setup=False
    ),
    ErrorGroup("event", "POST", "/event", "0", "1050", "dial: request timeout", 16, 8.4, in_setup=False),
)


def passed(run: RunRef, phase: str) -> Verdict:
    """The verdict on a run that met both of its objectives."""
    latency = replace(
        OBJECTIVES[0], service=run.service, state="met", target="p(95) < 20ms", value=15.2, target_value=20.0,
        reason="p(95) = 15.2 ms, target < 20.0 ms", ci=(14.1, 16.6), margin=0.24, value_ok=None,
    )  # fmt: skip
    checks = replace(OBJECTIVES[-1], service=run.service)
    return replace(
        verdict_of(run, phase),
        verdict="pass",
        objectives=(latency, checks),
        reasons=("2 of 2 objectives met", f"{run.service} http_req_duration {latency.reason}"),
        next_steps=(),
        notes=("coverage is for the gate",),
        comparisons=(compared.RATE,),
    )


def verdict_of(run: RunRef, phase: str, state: VerdictState = "fail", measurement: Measurement = VALID) -> Verdict:
    """The verdict on ``run``: what it missed, or why it cannot tell."""
    broken = measurement.state == "invalid"
    return Verdict(
        schema=1,
        rule_version=1,
        config_digest="3f9c1d2e",
        phase=phase,
        run=run,
        verdict=state,
        reasons=(measurement.findings[0].message,)
        if broken
        else (
            "event http_req_duration p(95) = 399 ms, target < 250 ms",
            "event http_req_failed rate = 4.00 %, target < 1 %",
        ),
        next_steps=("Seed the database and run the test again.",) if broken else ("Look at GET /event/search first.",),
        measurement=measurement,
        objectives=tuple(_not_judged(result) for result in OBJECTIVES) if broken else OBJECTIVES,
        comparisons=() if broken else compared.COMPARISONS,
        scope=("event",),
        out_of_scope=9,
        judged_at=datetime.now(UTC),
        baseline=compared.NO_BASELINE if broken or run.service in FIRST_RUNS else compared.rolling(),
    )


def run_view(run: RunRef, phase: str | None, measurement: Measurement = VALID) -> RunView:
    """Everything about ``run``, in the state that ``measurement`` leaves it; interest passes."""
    state: VerdictState = "inconclusive" if measurement.state == "invalid" else "fail"
    share = 0.97 if measurement.state == "invalid" else 0.04
    verdict = verdict_of(run, phase, state, measurement) if phase else None
    if phase and run.service == "interest":
        verdict = passed(run, phase)
    return RunView(
        run=run,
        phases=PHASES if phase else (),
        measurement=measurement,
        verdict=verdict,
        bin_s=1.0,
        timeline=timeline(failed_share=share / 2),
        endpoints=ENDPOINTS,
        errors=ERRORS,
        artefacts=("results.json.gz (212 KB)", "summary.json (4 KB)"),
        attachments=(
            Attachment("unit_tests.xml", "junit", "0" * 64, 4096),
            Attachment("all.xml", "junit", "1" * 64, 1 << 26, kept=False),
        ),
        pulled=watched(run.service),
    )


def watched(service: str | None) -> tuple[Pulled, ...]:
    """What Prometheus said: a memory, something that has no answer, and what only findings rest on."""
    memory = PulledSeries({"instance": "a"}, 20, 40 * MIB, 41 * MIB, 42 * MIB, 41 * MIB)
    at = datetime(2026, 11, 20, 8, 5, tzinfo=UTC)
    return (
        Pulled("main", f'heat{{x="{HOSTILE[0]}"}}', service, None, "failed", f"refused: {HOSTILE[0]}", at),
        Pulled("main", "process_resident_memory_bytes", service, MEMORY, "ok", None, at, (memory,)),
        Pulled("main", "up", service, UP, "ok", None, at, (replace(memory, min=1, avg=1, max=1, last=1),)),
    )


@dataclass
class FakeService:
    """Answers like ``slo.service.Service``, from values that are given."""

    rows: tuple[ServiceRow, ...] = field(default_factory=morning_rows)
    views: dict[str, Measurement] = field(default_factory=lambda: {"81d0c4aa": BROKEN})
    waivers: tuple[Waiver, ...] = ()
    phases: tuple[PhaseRef, ...] = PHASES
    config_error: str | None = None

    def config_report(self) -> ConfigReport | None:
        """The phases, or ``None`` without a slo.yaml."""
        if self.config_error:
            raise ConfigError(self.config_error, help="write `p(95) < 250ms` (units: us, ms, s)")
        return ConfigReport("slo.yaml", "3f9c1d2e", self.phases, ("event",), 13) if self.phases else None

    def runs(self, _where: object = None, limit: int = 50) -> tuple[RunRef, ...]:
        """The latest run of every service."""
        return tuple(row.run for row in self.rows if row.run)[:limit]

    def count(self) -> int:
        """How many runs there are."""
        return len(self.runs())

    def run(self, run_id: str) -> RunRef:
        """The run, or ``NotFound``."""
        run = next((run for run in self.runs() if run.id == run_id), None)
        if run is None:
            message = f"run {run_id} is not in this store"
            raise NotFound(message, help="phasegate runs lists what is stored")
        return run

    def overview(self, phase: str | None = None, environment: str | None = None, branch: str | None = None) -> Overview:
        """The rows, each without its run where a filter leaves it out."""
        chosen = self._phase(phase or (self.phases[1].id if self.phases else None))
        rows = tuple(_filtered(row, environment, branch) for row in self.rows)
        if chosen is None:
            rows = tuple(replace(row, state=None, reason="There is no slo.yaml, so nothing is asked.") for row in rows)
        runs = [row.run for row in rows if row.run]
        return Overview(
            phase=chosen,
            phases=self.phases,
            sentence=_sentence(chosen, rows),
            state="no_data" if not runs or chosen is None else "fail",
            services=rows,
            runs=len(runs),
            newest_run_at=max((run.started_at for run in runs if run.started_at), default=None),
        )

    def run_view(self, run_id: str, phase: str | None = None) -> RunView:
        """The run's view, or ``NotFound``."""
        run = self.run(run_id)
        chosen = self._phase(phase or (self.phases[1].id if self.phases else None))
        view = run_view(run, chosen.id if chosen else None, self.views.get(run_id, VALID))
        return replace(view, verdict=view.verdict and replace(view.verdict, waivers=self.waivers))

    def compare(self, run_id: str, before: str | None = None, phase: str | None = None) -> CompareView:
        """What changed against ``before``, or the last run of ``chat``; ``NotFound`` for either run or the phase."""
        self._phase(phase)
        run = self.run(run_id)
        if run.service in FIRST_RUNS and before is None:
            return compared.view(run, None)
        found = compared.view(run, self.run(before or self.runs()[-2].id))
        measurement = self.views.get(run_id, VALID)
        if measurement.state == "invalid":
            return replace(found, findings=measurement.findings, comparisons=(compared.GONE,))
        return found

    def _phase(self, phase: str | None) -> PhaseRef | None:
        if phase is None:
            return None
        known = next((ref for ref in self.phases if ref.id == phase), None)
        if known is None:
            message = f"slo.yaml has no phase {phase!r}"
            raise NotFound(message)
        return known


@dataclass
class FakeDesk:
    """The process's desk; loading the demo gives its service the rows of the morning."""

    service: FakeService
    settings: Settings = field(default_factory=lambda: Settings(Path("var")))

    def load_demo(self, on_progress: Callable[[str, float], None] | None = None) -> int:
        """Pretend to read two files."""
        for done, name in enumerate(("event.json.gz", "chat.json.gz"), start=1):
            if on_progress:
                on_progress(f"reading {name}", done / 2)
        self.service.rows = morning_rows()
        return len(self.service.rows)


def hostile_rows() -> tuple[ServiceRow, ...]:
    """Services whose names try to be markup."""
    event = morning_rows()[0]
    return tuple(
        replace(
            event,
            service=name,
            owner=name,
            reason=f"{name} http_req_duration{{name:/{name}}} p(95) = 399 ms, target < 250 ms",
            run=replace(run_ref(f"run{place}{'&=#' if place == 0 else ''}", name), test=name, labels={name: name}),
        )
        for place, name in enumerate(HOSTILE)
    )


def scattered_rows() -> tuple[ServiceRow, ...]:
    """The morning's rows, some of another branch or of none, and uploaded for other phases or for none."""
    event, venue, plan, chat, *others = morning_rows()
    runs = (
        replace(run_ref("7f3a91c2", "event", branch="rewrite"), phase="8"),
        replace(run_ref("77c2d10e", "venue"), branch=None, phase=None),
        replace(run_ref("81d0c4aa", "plan"), phase="9Z"),
        replace(run_ref("4b118f03", "chat", branch="rewrite"), commit=None),
    )
    rows = zip((event, venue, plan, chat), runs, strict=True)
    return (*(replace(row, run=run) for row, run in rows), *others)


def desk_for(scenario: str) -> FakeDesk:
    """The desk of a named morning."""
    services: dict[str, Callable[[], FakeService]] = {
        "morning": FakeService,
        "scattered": lambda: FakeService(rows=scattered_rows()),
        "empty": lambda: FakeService(rows=()),
        "new": lambda: FakeService(rows=(), phases=()),
        "guarded": lambda: FakeService(rows=(), phases=()),
        "unconfigured": lambda: FakeService(phases=()),
        "hostile": lambda: FakeService(rows=hostile_rows()),
        "waived": lambda: FakeService(waivers=(WAIVER,)),
        "misconfigured": lambda: FakeService(config_error="slo.yaml:14:59: `p(95) < 250` has no unit"),
    }
    token = "s3cret" if scenario == "guarded" else None
    return FakeDesk(services[scenario](), Settings(Path("var"), token=token))


def _filtered(row: ServiceRow, environment: str | None, branch: str | None) -> ServiceRow:
    run = row.run
    if run is None or ((environment or run.environment) == run.environment and (branch or run.branch) == run.branch):
        return row
    return ServiceRow(
        row.service, row.owner, "no_data", f"No run of {row.service} is stored.", None, None, row.p95_target,
        None, None, None, 0, row.asked,
    )  # fmt: skip


def _sentence(phase: PhaseRef | None, rows: tuple[ServiceRow, ...]) -> str:
    if phase is None:
        return "There is no slo.yaml, so nothing is judged."
    if not any(row.run for row in rows):
        return f"Phase {phase.id}: no run matches."
    return f"Phase {phase.id}: not ready. 9 of 13 objectives met (69 %, needs 85 %). Blocking: event p(95)."


def _not_judged(result: ObjectiveResult) -> ObjectiveResult:
    return replace(result, state="not_evaluable", reason="not judged: 48 of 48 requests in setup() failed (HTTP 500)")
