"""Measurements of recorded runs: k6's own arithmetic, setup apart, and no number where there is no sample."""

import json
from pathlib import Path

import pytest

from data.catalog import StoredMeasurement
from data.model import RunMeta, RunRecord
from data.samples import SampleEngine
from desk import Desk
from ingest.service import Upload
from slo.measure import measure
from slo.selector import Selector
from slo.sli import Sli, select
from slo.target import Target

RUNS = Path("examples/nightbff/runs")


class Recorded:
    """One recorded run in the demo's store, and what k6's own summary says of it."""

    def __init__(self, desk: Desk, name: str) -> None:
        store = desk._store
        entries = {e["file"]: e for e in json.loads((RUNS / "index.json").read_text())["runs"]}
        (entry,) = (e for file, e in entries.items() if name in file)
        meta = entry["metadata"]
        (found,) = (r for r in desk.service.runs(limit=None) if (r.test, r.commit) == (meta["test"], meta["commit"]))
        self.record: RunRecord = store.record(found.id)
        self.samples: SampleEngine = store.samples
        self.summary = json.loads((RUNS / entry["summary"]).read_text())["metrics"]

    def measure(self, selector: str, stat: str, service: str | None = None, *include: str) -> StoredMeasurement:
        target = Target.parse(f"{stat} < 1")
        percentile = 0.5 if stat == "med" else target.percentile
        sli = Sli(service, Selector.parse(selector), target.stat, percentile, include)
        (found,) = measure(self.record, [sli], self.samples)
        return found


@pytest.fixture(scope="module")
def event(demo_desk: Desk) -> Recorded:
    return Recorded(demo_desk, "event-slow")


@pytest.mark.parametrize("stat", ["avg", "min", "med", "max", "p(90)", "p(95)"])
def test_with_setup_a_trend_is_what_k6_says_it_is(event: Recorded, stat: str) -> None:
    whole = event.measure("http_req_duration", stat, None, "setup", "teardown")
    assert whole.value == pytest.approx(event.summary["http_req_duration"][stat], rel=1e-9)
    assert whole.unit == "ms"


def test_with_setup_rates_and_counts_are_what_k6_says_they_are(event: Recorded) -> None:
    failed = event.measure("http_req_failed", "rate", None, "setup", "teardown")
    assert failed.value == pytest.approx(event.summary["http_req_failed"]["value"], rel=1e-9)
    assert failed.count == event.summary["http_req_failed"]["passes"]
    count = event.measure("http_reqs", "count", None, "setup", "teardown")
    assert count.value == event.summary["http_reqs"]["count"]
    per_s = event.measure("http_reqs", "rate", None, "setup", "teardown")
    assert per_s.value == pytest.approx(event.summary["http_reqs"]["rate"], rel=1e-9)
    assert per_s.unit == "/s"
    vus = event.measure("vus", "value", None)
    assert vus.value == event.summary["vus"]["value"]


def test_setup_is_left_out_unless_asked_for(event: Recorded) -> None:
    load = event.measure("http_reqs", "count")
    with_setup = event.measure("http_reqs", "count", None, "setup", "teardown")
    assert load.value is not None
    assert with_setup.value is not None
    assert load.value < with_setup.value
    assert all(
        not s.tags.get("group", "").startswith("::setup")
        for s in select(event.record.series, Sli(None, Selector("http_reqs"), "count"), None)
    )


def test_failed_requests_are_shown_apart(event: Recorded) -> None:
    p95 = event.measure("http_req_duration", "p(95)", "event")
    assert p95.n_ok is not None
    assert 0 < p95.n_ok < p95.n
    assert p95.value_ok is not None
    assert p95.value_ok != p95.value


def test_a_percentile_lies_within_its_interval_and_says_its_method(event: Recorded) -> None:
    p95 = event.measure("http_req_duration", "p(95)", "event")
    assert p95.ci_low is not None
    assert p95.ci_high is not None
    assert p95.value is not None
    assert p95.ci_low <= p95.value <= p95.ci_high
    assert "effective samples" in (p95.ci_method or "")


def test_a_percentile_of_too_few_samples_has_a_value_and_a_problem(event: Recorded) -> None:
    p999 = event.measure("http_req_duration", "p(99.9)", "event")
    assert p999.value is not None
    assert p999.ci_low is None
    assert "it takes 2,995" in (p999.problem or "")


@pytest.mark.parametrize(
    ("selector", "service", "problem"),
    [
        (
            "http_req_duration{name:/nowhere}",
            "event",
            "no samples match http_req_duration{name:/nowhere} of service event",
        ),
        ("http_req_duration", "venue", "the run has no samples of service venue"),
        ("made_up", None, "the run has no metric made_up"),
    ],
)
def test_what_is_not_there_has_no_value_and_says_why(
    event: Recorded, selector: str, service: str | None, problem: str
) -> None:
    nothing = event.measure(selector, "p(95)", service)
    assert (nothing.value, nothing.problem) == (None, problem)


def test_a_metric_without_that_statistic_says_so(event: Recorded) -> None:
    assert "has no value" in (event.measure("http_req_duration", "value").problem or "")


class TestSummaryAlone:
    """A run of which only k6's summary was uploaded."""

    @pytest.fixture
    def alone(self, fresh_desk: Desk) -> Recorded:
        found = Recorded.__new__(Recorded)
        path = next(RUNS.glob("*event-slow.summary.json"))
        answer = fresh_desk.ingest([Upload(path, path.name)], RunMeta(service="event"))
        found.record = fresh_desk._store.record(answer.run.id)
        found.samples = fresh_desk._store.samples
        found.summary = json.loads(path.read_text())["metrics"]
        return found

    def test_its_numbers_are_taken_as_they_are(self, alone: Recorded) -> None:
        p95 = alone.measure("http_req_duration", "p(95)", "event")
        assert p95.value == alone.summary["http_req_duration{service:event}"]["p(95)"], "its own sub-metric comes first"
        assert p95.n == alone.summary["http_reqs"]["count"]
        failed = alone.measure("http_req_failed", "rate", "event")
        assert failed.value == alone.summary["http_req_failed{service:event}"]["value"]
        assert (failed.ci_low, failed.ci_high) != (None, None)

    def test_a_percentile_that_it_does_not_have_is_no_data(self, alone: Recorded) -> None:
        assert "summaryTrendStats" in (alone.measure("http_req_duration", "p(99)", "event").problem or "")

    def test_a_selector_that_it_does_not_have_is_no_data(self, alone: Recorded) -> None:
        assert "--out json" in (alone.measure("http_req_duration{name:/x}", "p(95)", "event").problem or "")
