"""The demo's story, asked of the service: every recorded run gets the verdict that its story deserves."""

import json
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

import demo
from data.blocks import file_digest
from data.catalog import slo_configs
from data.errors import BadRequest, ConfigError, NotFound
from data.model import RunMeta
from desk import Desk
from ingest.service import Upload
from settings import Settings
from slo.documents import from_json, to_json
from slo.model import Verdict
from slo.service import ConfigSource, Service
from tests.builders import START

RUNS = demo.FOLDER / "runs"
INDEX = json.loads((RUNS / "index.json").read_text())["runs"]
STORIES = {
    "healthy": ("pass", None),
    "auth-cut": ("inconclusive", "truncated"),
    "user-throws": ("inconclusive", "no_requests"),
    "plan-unseeded": ("inconclusive", "setup_failed"),
    "notification-closed-port": ("inconclusive", "unreachable"),
    "interest-cold": ("fail", None),
    "chat-slow": ("fail", None),
    "event-slow": ("fail", None),
}


def slug(file: str) -> str:
    return file.split("-", 1)[1].removesuffix(".json.gz")


@pytest.mark.parametrize("entry", INDEX, ids=lambda entry: entry["file"].removesuffix(".json.gz"))
def test_a_recorded_run_gets_the_verdict_of_its_story(demo_desk: Desk, entry: dict[str, object]) -> None:
    expected = STORIES.get(slug(str(entry["file"])))
    if expected is None:
        expected = ("pass", None) if "failing" not in str(entry["file"]) else ("warn", None)
    run = run_of(entry)
    verdict = demo_desk.service.verdict(run)
    assert verdict.verdict == expected[0], verdict.reasons
    if expected[1]:
        assert expected[1] in {f.code for f in verdict.measurement.findings}
        assert verdict.next_steps
        assert not any(o.state == "met" for o in verdict.objectives) or verdict.measurement.state == "suspect"


def run_of(entry: dict[str, object]) -> str:
    """The run that an entry of the index became, by the digest of its file."""
    return file_digest(RUNS / str(entry["file"]))[:12]


def test_the_healthy_history_has_no_finding_above_info(demo_desk: Desk) -> None:
    for entry in INDEX:
        if "healthy" in entry["file"]:
            assert demo_desk.service.measurement(run_of(entry)).state == "valid"


def test_the_overview_is_worst_first_and_agrees_with_the_verdicts(demo_desk: Desk) -> None:
    found = demo_desk.service.overview("7A")
    states = {row.service: row.state for row in found.services}
    assert states == {
        "chat": "fail", "event": "fail", "interest": "fail", "auth": "pass",
        "notification": None, "plan": None, "user": None, "venue": None, "whole system": "pass",
    }  # fmt: skip
    assert [row.service for row in found.services][:3] == ["chat", "event", "interest"]
    assert "chat, event, interest miss their targets" in found.sentence
    event = next(row for row in found.services if row.service == "event")
    assert event.run is not None
    assert event.reason in " ".join(demo_desk.service.verdict(event.run.id, "7A").reasons)
    assert event.p95_ms == pytest.approx(400, rel=0.1)
    assert event.failed_ratio == pytest.approx(0.04, abs=0.02)
    assert len(event.history) == 19  # twelve nights of all services, six of its own, and the last morning
    assert [point.started_at for point in event.history] == sorted(
        point.started_at for point in event.history if point.started_at
    )


def test_no_latency_is_shown_of_requests_that_never_arrived(demo_desk: Desk) -> None:
    rows = {row.service: row for row in demo_desk.service.overview("1").services}
    assert rows["notification"].state == "inconclusive"
    assert rows["notification"].p95_ms is None


def test_a_verdict_is_stored_and_read_back_as_it_was(demo_desk: Desk) -> None:
    run = demo_desk.service.runs(limit=1)[0].id
    first = demo_desk.service.verdict(run, "8")
    again = demo_desk.service.verdict(run, "8")
    assert first == again, "the time of judging included: it was not judged twice"
    assert from_json(Verdict, to_json(first)) == first


def test_the_run_view_agrees_with_the_record(demo_desk: Desk) -> None:
    run = demo_desk.service.runs(limit=1)[0]
    view = demo_desk.service.run_view(run.id, "7A")
    assert sum(e.requests for e in view.endpoints) == run.requests
    assert sum(b.requests_per_s for b in view.timeline) * view.bin_s == pytest.approx(run.requests)
    assert sum(e.failed for e in view.endpoints) == sum(g.requests for g in view.errors if not g.in_setup)
    assert view.verdict == demo_desk.service.verdict(run.id, "7A")
    assert view.endpoints[0].name == "/event/search"


def test_a_run_for_one_service_is_not_asked_about_the_others(demo_desk: Desk) -> None:
    run = next(r for r in demo_desk.service.runs(limit=None) if r.service == "event")
    verdict = demo_desk.service.verdict(run.id, "7A")
    assert verdict.scope == ("event",)
    assert {o.service for o in verdict.objectives} == {"event"}
    assert verdict.out_of_scope > 0


def test_a_run_without_any_objective_is_inconclusive(demo_desk: Desk) -> None:
    run = next(r for r in demo_desk.service.runs(limit=None) if r.service == "notification")
    verdict = demo_desk.service.verdict(run.id, "7A")
    assert verdict.verdict == "inconclusive"
    assert "nothing was judged" in verdict.reasons[0]


def test_unknown_runs_and_phases_are_named_with_what_is_known(demo_desk: Desk) -> None:
    run = demo_desk.service.runs(limit=1)[0].id
    with pytest.raises(NotFound, match="no run 'ffffffff'"):
        demo_desk.service.verdict("ffffffff", "7A")
    with pytest.raises(NotFound, match="9Z"):
        demo_desk.service.verdict(run, "9Z")
    with pytest.raises(BadRequest, match="could mean"):
        demo_desk.service.verdict("", "7A")
    assert demo_desk.service.verdict(run[:6], "7A").run.id == run


@pytest.fixture
def own_desk(tmp_path: Path) -> Desk:
    """A store of one's own with one run and no slo.yaml."""
    desk = Desk(Settings(tmp_path / "var", slo=tmp_path / "slo.yaml"))
    file = next(RUNS.glob("*event-slow.json.gz"))
    desk.ingest([Upload(file, file.name)], RunMeta(service="event"))
    return desk


def test_without_a_slo_yaml_runs_are_listed_and_nothing_is_judged(own_desk: Desk) -> None:
    run = own_desk.service.runs()[0]
    assert own_desk.service.config_report() is None
    assert own_desk.service.run_view(run.id).verdict is None
    assert own_desk.service.overview().state == "no_data"
    with pytest.raises(NotFound, match=r"there is no .*slo\.yaml"):
        own_desk.service.verdict(run.id, "7A")
    own_desk.close()


def test_a_changed_slo_yaml_judges_anew_and_a_broken_one_says_where(own_desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "slo.yaml"
    run = own_desk.service.runs()[0].id
    objective = '{service: event, sli: http_req_duration, target: "p(95) < %sms"}'
    text = f"version: 1\nphases:\n  - id: P\n    title: T\n    objectives:\n      - {objective}\n"
    path.write_text(text % 250)
    strict = own_desk.service.verdict(run, "P")
    path.write_text(text % 9000)
    lax = own_desk.service.verdict(run, "P")
    assert (strict.verdict, lax.verdict) == ("fail", "pass")
    assert strict.config_digest != lax.config_digest
    path.write_text(text % 250 + "phasen: 1\n")
    with pytest.raises(ConfigError, match=r"slo\.yaml:7:1"):
        own_desk.service.verdict(run, "P")
    own_desk.close()


def test_no_phase_named_anywhere_lists_the_phases(own_desk: Desk, tmp_path: Path) -> None:
    shutil.copyfile(demo.SLO, tmp_path / "slo.yaml")
    with pytest.raises(BadRequest) as refused:
        own_desk.service.verdict(own_desk.service.runs()[0].id)
    assert "7A" in (refused.value.help or "")
    own_desk.close()


def test_the_clock_is_the_callers(demo_desk: Desk) -> None:
    service = Service(demo_desk._store, ConfigSource([demo.SLO]), clock=lambda: START)
    venue = next(r for r in demo_desk.service.runs(limit=None) if r.service == "venue")
    assert service.verdict(venue.id, "8").judged_at == START


def test_the_slo_yaml_that_was_judged_by_is_kept_once(own_desk: Desk, tmp_path: Path) -> None:
    shutil.copyfile(demo.SLO, tmp_path / "slo.yaml")
    run = own_desk.service.runs()[0].id
    verdicts = [own_desk.service.verdict(run, phase) for phase in ("1", "7A", "8")]
    with own_desk._store._engine.connect() as connection:
        kept = connection.execute(sa.select(slo_configs)).mappings().all()
    assert [(row["digest"], row["document"]) for row in kept] == [(verdicts[0].config_digest, demo.SLO.read_text())]
    own_desk.close()
