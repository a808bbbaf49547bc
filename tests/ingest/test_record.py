"""What the files of one upload say together."""

from datetime import UTC, datetime, timedelta

import pytest

from data.errors import BadInput
from data.model import Artefact, Metric, RunMeta, RunRecord, SummaryValue, Threshold
from ingest.record import Identity, Window, assemble, check_parts
from ingest.summary import Summary
from tests.builders import series

NOW = datetime(2026, 11, 21, tzinfo=UTC)
WHO = Identity("0123456789ab", "0" * 64, RunMeta(service="given"), NOW)
PART = Artefact("r.json", "k6-json", "1" * 64, 10)
DEFINED = [(Metric("http_reqs", "counter"), [Threshold("http_reqs", "rate>1", abort_on_fail=True)])]


def summary(duration_s: float | None = None, *, ok: bool = True, count: float = 5) -> Summary:
    return Summary(
        kind="k6-summary-export",
        values=(SummaryValue("http_reqs", "count", count),),
        thresholds=(Threshold("http_reqs", "rate>1", ok), Threshold("http_reqs{a:b}", "count>1", ok)),
        metrics=(Metric("http_reqs", "unknown"), Metric("own", "gauge")),
        duration_s=duration_s,
    )


def assembled(*summaries: Summary, parts: int = 1, found: int = 3) -> RunRecord:
    reqs = [series("http_reqs", found, service="event"), series("plain", 2)]
    return assemble(WHO, [PART] * parts, reqs, DEFINED, {}, summaries)


def test_samples_win_and_a_summary_adds_what_only_it_knows() -> None:
    record = assembled(summary(12.5))
    assert [(m.name, m.type) for m in record.metrics] == [
        ("http_reqs", "counter"), ("own", "gauge"), ("plain", "unknown"),
    ]  # fmt: skip
    assert record.thresholds == (
        Threshold("http_reqs", "rate>1", ok=True, abort_on_fail=True),
        Threshold("http_reqs{a:b}", "count>1", ok=True),
    )
    assert (record.run.duration_s, record.run.duration_source) == (12.5, "summary")
    assert record.run.services == ("event", "given")
    assert record.summary == (SummaryValue("http_reqs", "count", 5),)


def test_without_a_summary_the_samples_tell_the_duration() -> None:
    record = assembled()
    assert (record.run.duration_s, record.run.duration_source) == (20, "samples")
    assert record.thresholds[0].ok is None


def test_the_summaries_of_parts_count_their_own_part_only() -> None:
    record = assembled(summary(12.5, ok=False), summary(13, ok=True), parts=2)
    assert record.summary == ()
    assert (record.run.duration_s, record.run.duration_source) == (20, "samples")
    assert [t.ok for t in record.thresholds] == [False, False], "crossed in one part is crossed"


def test_two_summaries_of_one_run_time_the_same() -> None:
    assert assembled(summary(12.5), summary(12.5 * (1 + 1e-12))).run.duration_s == 12.5


def test_of_a_summary_alone_all_requests_are_counted() -> None:
    record = assemble(WHO, [], [], [], {}, [summary(count=7)])
    assert (record.run.requests, record.run.started_at, record.run.points) == (7, None, 0)


def test_requests_of_setup_and_teardown_are_not_the_loads() -> None:
    groups = ["", "::setup", "::setup::seed", "::teardown", "::setup_of_users", "::a::setup"]
    found = [series("http_reqs", 1, group=group) for group in groups]
    assert assemble(WHO, [PART], found, [], {}, []).run.requests == 3


def window(name: str, start_s: int, end_s: int, *test_ids: str) -> Window:
    return Window(name, NOW + timedelta(seconds=start_s), NOW + timedelta(seconds=end_s), frozenset(test_ids))


@pytest.mark.parametrize(
    "windows",
    [
        [window("a", 0, 10), window("b", 5, 15)],
        [window("a", 0, 10, "t"), window("b", 10, 15, "t")],
        [window("a", 0, 10, "t"), window("b", 2, 3)],
    ],
    ids=["overlapping", "one test id", "a test id in one only"],
)
def test_parts_of_one_run_go_together(windows: list[Window]) -> None:
    check_parts(windows)


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        ([window("a", 0, 10), window("b", 70, 80)], "a and b are two different runs: the first ended 60 s before"),
        ([window("b", 70, 80), window("a", 0, 10)], "a and b are two different runs: the first ended 60 s before"),
        ([window("a", 0, 10, "t"), window("b", 0, 10, "u")], "a and b are two different runs: their testid tags"),
    ],
    ids=["one after the other", "in any order", "two test ids"],
)
def test_two_runs_do_not(windows: list[Window], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        check_parts(windows)
