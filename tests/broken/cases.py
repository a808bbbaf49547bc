"""Every way in which a measurement breaks, as a story for k6: what to run, what goes wrong, what must be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Ending = Literal["sigint", "sigkill", "stopped by API"]
Packing = Literal["gz", "gz as killed", "plain cut in a line", "plain cut after a line", "gz cut after a line"]
Summary = Literal["own", "machine-readable", "none"]


@dataclass(frozen=True)
class Expect:
    """The finding that a run must get, if any, and its verdict by ``slo.yaml`` beside this file."""

    code: str | None
    severity: Literal["invalid", "suspect", "info"] | None
    verdict: Literal["inconclusive", "fail", "pass", "warn"] = "inconclusive"
    service: str | None = None
    also: tuple[str, ...] = ()  # further codes that are right

    def entry(self) -> dict[str, Any]:
        said: dict[str, Any] = {"code": self.code, "severity": self.severity, "verdict": self.verdict}
        return said | ({"service": self.service} if self.service else {}) | ({"also": self.also} if self.also else {})


@dataclass(frozen=True)
class Case:
    """One run of k6.

    ``env`` goes to the script; in its values ``{url}``, ``{port}``, ``{closed}`` and ``{resetting}`` are addresses.
    ``summary_of`` is a run whose summary is handed in instead of the own one.
    """

    name: str
    expect: Expect
    note: str
    env: Mapping[str, str] = field(default_factory=dict)
    backend: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    baseline: tuple[str, ...] = ()
    script: str = "evening"
    test: str = "evening"
    service: str | None = None
    phase: str = "1"
    after_s: float | None = None
    ending: Ending | None = None
    packing: Packing = "gz"
    summary: Summary = "own"
    summary_of: str | None = None
    script_edit: str | None = None  # a line put before the script, so that its source differs
    k6_version: str = "1.1.0"  # what the machine-readable summary says
    tells_exit_code: bool = True
    starved: Literal["busy core", "quota"] | None = None
    seed: int = 100


HEALTHY = Expect(None, None, "pass")
EVENINGS = ("healthy-1", "healthy-2", "healthy-3")
PEOPLE = ("people-1", "people-2", "people-3")
VERSIONED = ("versioned-1", "versioned-2", "versioned-3")


def odd(name: str, expect: Expect, note: str, **more: Any) -> Case:  # noqa: ANN401  # any field
    """A case that the script makes itself, by the oddity of the same name, with the healthy evenings as its past."""
    return Case(name, expect, note, env={"ODDITY": name, **more.pop("env", {})}, **({"baseline": EVENINGS} | more))


def broken(name: str, expect: Expect, note: str, **more: Any) -> Case:  # noqa: ANN401  # any field
    """A case that something outside of the script makes, with the healthy evenings as its past."""
    return Case(name, expect, note, **({"baseline": EVENINGS} | more))


def _three(names: tuple[str, ...], note: str, first_seed: int, **more: Any) -> tuple[Case, ...]:  # noqa: ANN401
    return tuple(Case(name, HEALTHY, note, seed=first_seed + n, **more) for n, name in enumerate(names))


_SETUP = Expect("setup_failed", "invalid", also=("error_storm", "no_requests"))
_UNREACHABLE = Expect("unreachable", "invalid")
_SHUT_OUT = Expect("error_storm", "invalid")
_STORM = Expect("error_storm", "suspect", "fail")
_NOTHING = Expect("no_requests", "invalid", also=("script_error",))
_LESS = Expect("load_not_delivered", "suspect")
_ABORTED = Expect("aborted", "suspect")
_CUT = Expect("truncated", "suspect", also=("aborted",))
_CHANGED = Expect("definition_changed", "suspect")
_WEAKENED = Expect("thresholds_weakened", "suspect")
_UNIMPORTANT = Expect("definition_changed", "info", "pass")

PARTNERS = (
    *_three(EVENINGS, "Healthy: the past of most cases.", 1),
    *_three(PEOPLE,
        "Healthy: two people at once instead of a fixed rate.", 11, env={"EXECUTOR": "people"}, test="people"),
    *_three(
        VERSIONED,
        "Healthy, with the summary that k6 1.5 and later write, which alone names k6's version and holds the script. "
        "k6 1.1.0 cannot write it: the recorder made it from k6's own.",
        21, summary="machine-readable", test="versioned",
    ),
    Case("healthy-again", HEALTHY, "Healthy like its past: no finding above info.", baseline=EVENINGS, seed=4),
    Case("people-again", HEALTHY, "Healthy like its past: no finding above info.", baseline=PEOPLE, seed=14,
         env={"EXECUTOR": "people"}, test="people"),
    Case("versioned-again", HEALTHY, "Healthy like its past: no finding above info.", baseline=VERSIONED, seed=24,
         summary="machine-readable", test="versioned"),
    Case(
        "messages", HEALTHY, "Healthy, WebSocket only: no HTTP request in all of the run is not `no_requests`.",
        script="messages", test="messages", service="chat", phase="2",
    ),
)  # fmt: skip

SETUP = (
    broken("setup-check-fails", _SETUP, "No users are seeded, and HTTP is fine: only the check in setup() says so.",
           env={"USERS": "0"}),
    broken("setup-http-fails", _SETUP, "POST /seed answers 500: no users and no token, so all the load gets 401.",
           backend=("--story=seeding-broken",)),
    odd("setup-throws", _SETUP,
        "A TypeError in setup(): exit 107, no load, and a summary in which every threshold holds."),
    odd("setup-hangs", _SETUP, "setup() is slower than its setupTimeout: exit 100, and no load."),
)  # fmt: skip

REACH = (
    broken("closed-port", _UNREACHABLE, "Connections are refused; setup() has an address of its own and works.",
           env={"BASE_URL": "http://127.0.0.1:{closed}", "SEED_URL": "{url}"}),
    broken("closed-port-setup-too", replace(_UNREACHABLE, also=("setup_failed",)),
           "Nothing is up: setup() is refused as well, and the load runs all the same.",
           env={"BASE_URL": "http://127.0.0.1:{closed}"}),
    broken("closed-port-venue", replace(_UNREACHABLE, service="venue"), "One service of three is not exposed.",
           env={"VENUE_URL": "http://127.0.0.1:{closed}"}),
    broken("unknown-host", replace(_UNREACHABLE, also=("load_not_delivered",)),
           "The name does not resolve (1101). Lookups took long where this was recorded, so VUs ran out and "
           "iterations were dropped, too; with a time-out of 500 ms some of these errors came as 1050.",
           env={"BASE_URL": "http://nightbff.invalid", "SEED_URL": "{url}", "TIMEOUT": "5s", "MAX_VUS": "40"}),
    broken("tls-on-plain-port", _UNREACHABLE, "https:// to a port that speaks plain HTTP.",
           env={"BASE_URL": "https://127.0.0.1:{port}", "SEED_URL": "{url}"}),
    broken("connection-reset", _UNREACHABLE, "Whoever listens resets every connection: status 0.",
           env={"BASE_URL": "http://127.0.0.1:{resetting}", "SEED_URL": "{url}"}),
    broken("time-outs", replace(_STORM, service="venue"),
           "venue takes seconds, the script waits 500 ms: slow, and NOT unreachable (k6's error 1050, status 0).",
           backend=("--latency=venue=200x",)),
)  # fmt: skip

STORMS = (
    broken("storm-one-endpoint", replace(_STORM, service="venue"),
           "From the middle on, /venue/search answers 500 at once; all else is well.",
           backend=("--storm=/venue/search", "--storm-after=2.5")),
    broken("storm-everywhere", _STORM, "From 2 s on, every endpoint answers 500 at once: p(95) looks better than ever.",
           backend=("--storm=/", "--storm-after=2")),
    odd("wrong-token", _SHUT_OUT,
        "The script's token is wrong: 401 for all from the first request on. The test is broken, not the service."),
    odd("checks-fail", Expect("checks_failed", "suspect"),
        "Every answer is 200 or 201, and every check of it fails."),
)  # fmt: skip

SCRIPTS = (
    odd("throws-first", _NOTHING, "Every iteration throws before its first request; k6 exits 0."),
    odd("branch-never-taken", _NOTHING, "No iteration throws, and none takes the branch with the requests."),
    odd("throws-after-first", Expect("script_error", "suspect", also=("endpoint_missing", "definition_changed")),
        "Every iteration throws after its first request; k6 exits 0 and counts the iterations as complete. One "
        "request an iteration instead of six, a check and five endpoints gone: that is all that its files show."),
)  # fmt: skip

LOAD = (
    broken("dropped-iterations", _LESS, "Two VUs are all there may be, and the service got slower.",
           env={"MAX_VUS": "2"}, backend=("--latency=event=4x",)),
    broken("rate-below-baseline", _LESS,
           "A fixed number of people against a slower service: nothing dropped, less sent.",
           env={"EXECUTOR": "people"}, backend=("--latency=event=2.5x",), baseline=PEOPLE, test="people"),
)  # fmt: skip

ENDINGS = (
    odd("aborting-threshold", replace(_ABORTED, verdict="fail", also=("error_storm",)),
        "abortOnFail of http_req_failed stops the test: exit 99. teardown() ran. The failures themselves are proven.",
        backend=("--fail=venue=0.6",)),
    odd("aborting-threshold-tagged", replace(_ABORTED, verdict="fail", also=("error_storm",)),
        "As before, but the threshold is a sub-metric's, and k6 writes abortOnFail of those nowhere: there is exit "
        "99, a crossed threshold, and a third of the duration. teardown() ran.",
        backend=("--fail=venue=0.6",)),
    broken("threshold-crossed", HEALTHY, "A threshold without abortOnFail is crossed: exit 99, and the run is whole.",
           backend=("--latency=event=2.6x",), baseline=()),
    broken("stopped-by-api", _ABORTED,
           "Stopped over k6's REST API: exit 103, with teardown() and a summary.",
           after_s=3.5, ending="stopped by API"),
    broken("sigint", _ABORTED, "SIGINT: exit 105, with teardown() and a summary.", after_s=3.5, ending="sigint"),
    broken("sigint-untold", _ABORTED,
           "SIGINT, and nobody handed in the exit code: only the past says that the run is too short.",
           after_s=3.5, ending="sigint", tells_exit_code=False),
    odd("test-abort", _ABORTED, "The script calls test.abort(): exit 108, with teardown() and a summary."),
    odd("test-fail", _ABORTED,
        "The script calls test.fail(), which k6 1.1.0 has: exit 110, and the run goes on to its end."),
    broken("killed-in-a-line", _CUT,
           "SIGKILL; the recorder took 40 bytes off, so that the file ends inside a line whatever k6 left.",
           after_s=0.8, ending="sigkill", packing="plain cut in a line"),
    broken("killed-after-a-line", _ABORTED,
           "SIGKILL; the plain file ends after a line, so only exit code, teardown and length tell. No summary.",
           after_s=0.8, ending="sigkill", packing="plain cut after a line"),
    broken("killed-after-a-line-untold", _ABORTED,
           "As before without the exit code (packed afterwards): no teardown, no summary, and shorter than its past.",
           after_s=2.5, ending="sigkill", packing="gz cut after a line", tells_exit_code=False),
    broken("killed-gz", _CUT, "SIGKILL; the gzip stream ends early, and so does the last line in it.",
           after_s=5, ending="sigkill", packing="gz as killed"),
    broken("no-teardown", _ABORTED, "k6 --no-teardown: everything but teardown() is there, and k6 exits 0.",
           options=("--no-teardown",)),
)  # fmt: skip

FEW = (
    broken("few-samples", Expect("too_few_samples", "suspect", also=("aborted",)),
           "One iteration: two requests to each service.", env={"EXECUTOR": "once"}),
)  # fmt: skip

DEFINITIONS = (
    odd("threshold-weakened", _WEAKENED, "p(95)<300 of event became p(95)<2000; only the summary shows it."),
    odd("checks-threshold-weakened", _WEAKENED, "rate>0.95 of checks became rate>0.5; the samples' file shows it too."),
    odd("threshold-removed", _WEAKENED, "The threshold of venue is gone."),
    broken("scenario-rate", _LESS,
           "3 iterations per second instead of 7: k6 writes neither, so it looks as if it could do no more.",
           env={"RATE": "3"}),
    broken("scenario-duration", _ABORTED, "3 s instead of 6 s: k6 writes neither, so it looks like a test cut short.",
           env={"DURATION": "3s"}),
    broken("scenario-vus", _CHANGED, "Three people instead of two.", env={"EXECUTOR": "people", "VUS": "3"},
           baseline=PEOPLE, test="people"),
    odd("endpoint-removed", Expect("endpoint_missing", "suspect", service="event", also=("definition_changed",)),
        "POST /event is not called any more."),
    odd("endpoint-added", _UNIMPORTANT, "GET /event/{id} is new; what both runs have can be compared."),
    odd("group-renamed", _CHANGED, "The group `evening` is now called `night out`."),
    odd("check-removed", _CHANGED, "The check `search answered` is gone."),
    odd("tag-changed", _CHANGED, "The scenario's tag journey=evening became journey=night."),
    broken("script-differs", _UNIMPORTANT, "The script's source differs and nothing that it measures.",
           summary="machine-readable", script_edit="// searched later in the night", test="versioned",
           baseline=VERSIONED),
    broken("k6-version-differs", _UNIMPORTANT,
           "Another k6, and nothing else: the version is the recorder's word, k6 1.1.0 ran.",
           summary="machine-readable", k6_version="1.0.0", test="versioned", baseline=VERSIONED),
    odd("service-vanished",
        Expect("endpoint_missing", "suspect", service="venue", also=("definition_changed", "script_error")),
        "No iteration visits venue any more: the run says nothing about that service."),
    odd("threshold-mistyped", Expect("too_few_samples", "suspect", service="venue"),
        "The threshold names service:vennue, which has no samples: k6 takes its p(95) as 0 and calls it passed. What "
        "slo.yaml asks is measured all the same.",
        baseline=()),
)  # fmt: skip

OTHERS = (
    broken("foreign-summary", Expect("summary_mismatch", "suspect"), "The summary is that of healthy-1.",
           summary_of="healthy-1"),
    broken("starved-busy-core", Expect("generator_starved", "suspect", also=("environment_shift",)),
           "k6 shares one core with four busy loops and computes in each iteration; the service has the other core. "
           "What shows: 80 ms instead of 2 ms of an iteration outside of requests, http_req_receiving; not "
           "http_req_blocked.",
           env={"LOOPS": "25000"}, starved="busy core"),
    broken("starved-quota", Expect("generator_starved", "suspect", also=("environment_shift",)),
           "k6 runs 30 ms of every 150 ms, as under a container's CPU quota; the service is as fast as ever. What "
           "shows: the stops are in http_req_waiting (so it does not stay flat), and k6's own clock stumbles: its "
           "vus samples and iterations come up to 60 ms off their beat, 1 ms in healthy runs.",
           starved="quota"),
    broken("environment-shift", Expect("environment_shift", "suspect"), "All services are slower by the same 60 %.",
           backend=("--latency=auth=1.6x", "--latency=event=1.6x", "--latency=venue=1.6x")),
    odd("name-per-request", Expect("cardinality", "info", also=("definition_changed", "endpoint_missing")),
        "Requests have no name, so every URL with an id is an endpoint of its own: the targets of services can still "
        "be judged, but the endpoints that its past has are not there any more."),
)  # fmt: skip

CASES = (*PARTNERS, *SETUP, *REACH, *STORMS, *SCRIPTS, *LOAD, *ENDINGS, *FEW, *DEFINITIONS, *OTHERS)
"""All cases; those that are a baseline of others come first."""
