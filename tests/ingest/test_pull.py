"""What the real Prometheus says of a run's time is kept as it is, once, whatever comes in between."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from structlog.testing import capture_logs

from data import pulled
from data.catalog import RunFilter
from data.errors import StoreError
from data.model import Pull, Run, RunMeta
from data.sources import Connection, Query, Span
from data.store import Store
from ingest.pull import BATCH, Asked, pull
from tests import misbehaving as bad
from tests import prom
from tests.ingesting import Bench
from tests.k6_output import ndjson, point
from tests.misbehaving import misbehaving
from tests.project import ROOT

START = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
END = START + timedelta(seconds=120)
STEP_S = 5.0
SPAN = Span(START, END, 30)
SPANS = {"main": SPAN}

Values = Mapping[tuple[tuple[str, str], ...], list[tuple[int, float]]]
"""Microseconds and values, by labels."""

EXPRESSIONS = (
    "heat",
    'heat{zone="a"}',
    "rate(requests_total[1m])",
    "increase(requests_total[90s])",
    "irate(requests_total[30s])",
    "histogram_quantile(0.95, sum by (le) (rate(took_seconds_bucket[1m])))",
    "histogram_quantile(0.95, rate(never_seconds_bucket[1m]))",
    "sum by (zone) (heat)",
    "sum without (zone) (heat)",
    "topk(1, heat)",
    "scalar(sum(heat))",
    "vector(1.5)",
    "time()",
    "42",
    "0 / (heat - heat)",
    "1 / (heat - heat)",
    "-1 / (heat - heat)",
    "max_over_time(rate(requests_total[30s])[1m:10s])",
    "heat offset 1m",
    "heat offset -20s",
    "heat > 50",
    "heat > bool 50",
    "heat == 1e9",
    "nowhere",
    "absent(nowhere)",
    'label_replace(heat, "where", "zone-$1", "zone", "(.)")',
    'label_replace(heat, "text", "\\"quoted\\" \\\\ \\n東京", "", "")',
    "odd",
    "timestamp(heat)",
    "gone",
    "(heat or odd) unless heat{zone='b'}",
    "heat @ 1700000060",
    "count_values('v', heat)",
    "1e308 * (odd > bool -1) * 1.7",
)

pytestmark = pytest.mark.prometheus


def history() -> str:
    at = START.timestamp()
    seconds = range(-600, 800, 15)
    quiet = {60, 75, 90}  # nothing is known of these
    series: dict[str, prom.Samples] = {
        'heat{zone="a"}': [(at + s, 50 + 49 * math.sin(s / 40)) for s in seconds],
        'heat{zone="b"}': [(at + s, s / 7) for s in seconds if s not in quiet],
        'requests_total{zone="a"}': [(at + s, 3 * (s % 450)) for s in seconds],  # begins anew
        'odd{is="odd"}': [(at, "NaN"), (at + 15, "+Inf"), (at + 30, "-Inf"), (at + 45, 1e-300), (at + 60, 1e300)],
        "gone": [(at - 100, 1)],
    }
    for le, share in (("0.1", 0.5), ("0.5", 0.9), ("+Inf", 1.0)):
        series[f'took_seconds_bucket{{le="{le}"}}'] = [(at + s, share * (s + 600)) for s in seconds]
    return prom.openmetrics(series)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[prom.Prometheus]:
    with prom.prometheus(tmp_path_factory.mktemp("prometheus"), history=history()) as running:
        yield running


@dataclass(frozen=True)
class Scene:
    """A stored run, and who is asked about it."""

    bench: Bench
    run: Run
    url: str

    def pull(self, *queries: Query, url: str | None = None, **more: Any) -> Asked:  # noqa: ANN401  # any option
        connections = {"main": Connection(url or self.url, timeout_s=5)}
        return pull(self.bench.store, self.run, queries, connections, SPANS, {}, **more)

    def pulls(self) -> dict[str, Pull]:
        return {one.query.promql: one for one in self.bench.store.record(self.run.id).pulls}

    @property
    def block(self) -> Path:
        return self.bench.store.home / "blocks" / self.run.id

    def stored(self, promql: str) -> Values:
        """What is stored of an answer, by its series."""
        one = self.pulls()[promql]
        found: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = {}
        for series in one.series:
            rows = duckdb.sql(
                f"SELECT epoch_us(t), v FROM '{self.block}/{pulled.FILES}' WHERE series_id = {series.id} ORDER BY t"
            ).fetchall()
            found[tuple(sorted(series.tags.items()))] = [(int(t), float(v)) for t, v in rows]
        return found


def k6_file(service: str = "event") -> bytes:
    times = (START + timedelta(seconds=s) for s in (0, 60, 119.5))
    return ndjson(*(point(time=one.isoformat(), tags={"service": service}) for one in times))


@pytest.fixture
def scene(tmp_path: Path, real: prom.Prometheus) -> Iterator[Scene]:
    store = Store(tmp_path / "store")
    bench = Bench(store, tmp_path)
    yield Scene(bench, bench.ingest(k6_file()).run, real.url)
    store.close()


def over_time(*expressions: str) -> list[Query]:
    return [Query("main", promql, STEP_S) for promql in expressions]


def many(count: int) -> list[Query]:
    return over_time(*(f"heat * {n}" for n in range(count)))


def said_by(url: str, path: str, **params: object) -> Values:
    """What the API answers, asked as plainly as can be."""
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(params)}", timeout=30) as answer:  # noqa: S310  # ours
        data = json.load(answer)["data"]
    key = "values" if data["resultType"] == "matrix" else "value"
    result = [{"metric": {}, "value": data["result"]}] if data["resultType"] == "scalar" else data["result"]
    return {
        tuple(sorted(one["metric"].items())): [
            (round(float(t) * 1000) * 1000, float(v)) for t, v in (one[key] if key == "values" else [one[key]])
        ]
        for one in result
    }


def same(one: Values, other: Values) -> bool:
    """Equal, NaN for NaN."""
    return repr(sorted(one.items())) == repr(sorted(other.items()))


def expected(url: str, promql: str) -> Values:
    margin = timedelta(seconds=SPAN.margin_s)
    start, end = ((at).timestamp() for at in (START - margin, END + margin))
    return said_by(url, "query_range", query=promql, start=start, end=end, step=STEP_S)


def test_samples_are_kept_as_prometheus_has_them(scene: Scene) -> None:
    asked = scene.pull(*over_time(*EXPRESSIONS))
    assert (asked.asked, asked.failed, asked.open, asked.problems) == (len(EXPRESSIONS), 0, 0, ())
    for promql in EXPRESSIONS:
        assert same(scene.stored(promql), expected(scene.url, promql)), promql
    states = {promql: one.state for promql, one in scene.pulls().items()}
    assert {promql for promql, state in states.items() if state == "empty"} == {
        "histogram_quantile(0.95, rate(never_seconds_bucket[1m]))", "heat == 1e9", "nowhere",
    }  # fmt: skip


def test_a_moment_is_kept_as_prometheus_has_it(scene: Scene) -> None:
    asked = [replace(one, step_s=None) for one in over_time(*EXPRESSIONS)]
    assert scene.pull(*asked).failed == 0
    for promql in EXPRESSIONS:
        at_the_end = said_by(scene.url, "query", query=promql, time=END.timestamp())
        assert same(scene.stored(promql), at_the_end), promql


def test_statistics_are_of_the_finite_values_within_the_run(scene: Scene) -> None:
    scene.pull(*over_time('heat{zone="b"}', "odd"))
    low, high = (round(at.timestamp() * 1e6) for at in (START, END))
    for promql, one in scene.pulls().items():
        (series,) = one.series
        (points,) = scene.stored(promql).values()
        within = [v for t, v in points if low <= t <= high and math.isfinite(v)]
        assert (series.n, series.min, series.max, series.last) == (len(within), min(within), max(within), within[-1])
        assert series.sum == pytest.approx(sum(within))
        assert START <= series.first_at <= series.last_at <= END


def test_what_sums_up_to_more_than_a_number_can_be_is_kept_and_read_again(scene: Scene) -> None:
    scene.pull(*over_time("vector(1.7e308)"))
    (series,) = scene.pulls()["vector(1.7e308)"].series
    assert (series.max, series.sum) == (1.7e308, sys.float_info.max)
    assert pulled.pulls(scene.block)[0].series == (series,)


# -- asked again --------------------------------------------------------------------------------------------------


def test_what_was_answered_is_not_asked_again_unless_everything_is(scene: Scene) -> None:
    queries = over_time("heat", "nowhere", "requests_total")
    scene.pull(*queries)
    before = scene.pulls()
    assert scene.pull(*queries) == Asked(3, 0, 0, 0, 0)
    assert scene.pull(*queries, *over_time("odd")).asked == 1
    assert scene.pull(*queries, everything=True).asked == 3
    after = scene.pulls()
    assert after.keys() == {*before, "odd"}
    assert all(after[promql].pulled_at > before[promql].pulled_at for promql in before)
    for promql in after:
        assert same(scene.stored(promql), expected(scene.url, promql))


def test_an_answer_that_was_replaced_lends_its_samples_to_no_other(scene: Scene) -> None:
    heat = over_time("heat")
    scene.pull(*heat)
    with misbehaving({"/api/v1/query": [bad.clock(0)], "/api/v1/query_range": [bad.matrix()]}) as other:
        scene.pull(*heat, url=other.url, everything=True)
    assert scene.stored("heat") == {}
    scene.pull(*heat, everything=True)
    assert same(scene.stored("heat"), expected(scene.url, "heat"))


def test_what_is_asked_by_name_is_there_once_however_it_is_put(scene: Scene) -> None:
    def named(promql: str, service: str = "event") -> Query:
        return replace(over_time(promql)[0], service=service, name="up")

    scene.pull(named("heat"), named("heat", "venue"), *over_time("heat"))
    scene.pull(named("heat > 0"))
    kept = {(one.query.promql, one.query.service) for one in scene.bench.store.record(scene.run.id).pulls}
    assert kept == {("heat", "venue"), ("heat", None), ("heat > 0", "event")}


def test_a_failure_takes_no_answers_place(scene: Scene) -> None:
    scene.pull(*over_time("heat"))
    before = scene.pulls()
    with misbehaving({"/api/v1/query": [bad.clock(0)], "*": [bad.UNPROCESSABLE]}) as other:
        assert scene.pull(*over_time("heat"), url=other.url, everything=True).failed == 1
        assert scene.pulls() == before
        scene.pull(*over_time("odd"), url=other.url)
    assert scene.pulls()["odd"].state == "failed"
    assert scene.pull(*over_time("odd")).asked == 1, "what was refused may have been mended there"
    assert scene.pull(*over_time("odd"), everything=True).failed == 0
    assert same(scene.stored("odd"), expected(scene.url, "odd"))


def test_one_question_that_takes_too_long_is_no_reason_to_ask_no_other(scene: Scene) -> None:
    def answer(asked: bad.Asked) -> bad.Answer:
        return bad.Answer(after_s=30) if asked.query["query"] == "slow" else bad.matrix(({}, [(START.timestamp(), 1)]))

    with misbehaving({"/api/v1/query": [bad.clock(0)], "*": [answer]}) as other:
        asked = pull(
            scene.bench.store, scene.run, over_time("a", "slow", "b"),
            {"main": Connection(other.url, timeout_s=1)}, SPANS, {},
        )  # fmt: skip
    assert (asked.asked, asked.failed, asked.open) == (3, 1, 1)
    assert {promql: one.state for promql, one in scene.pulls().items()} == {"a": "ok", "slow": "failed", "b": "ok"}


def test_who_is_away_is_asked_once_and_the_rest_later(scene: Scene) -> None:
    with misbehaving({"*": [bad.OVERLOADED]}) as away:
        asked = scene.pull(*many(40), url=away.url)
        assert len(away.requests) == 3, "one question, and what may pass is waited for"
    assert (asked.asked, asked.failed, asked.open, asked.answered) == (40, 40, 40, ())
    assert len(asked.problems) == 1
    assert {one.state for one in scene.pulls().values()} == {"failed"}
    later = scene.pull(*many(40))
    assert (later.asked, later.failed, later.open, later.answered) == (40, 0, 0, ("main",))
    assert {one.state for one in scene.pulls().values()} == {"ok"}


@pytest.mark.parametrize("off_s", [-3600, 3600])
def test_who_lives_at_another_time_is_not_believed(scene: Scene, off_s: float) -> None:
    with misbehaving({"*": [bad.clock(off_s)]}) as other:
        asked = scene.pull(*over_time("heat"), url=other.url)
        assert other.asked("/api/v1/query_range") == []
    assert (asked.failed, asked.open) == (1, 1)
    assert "clock" in asked.problems[0]
    assert f"1:00:00 {'ahead' if off_s > 0 else 'behind'}" in asked.problems[0]


def test_who_goes_away_in_the_middle_keeps_what_was_answered(scene: Scene) -> None:
    answers = [bad.matrix(({}, [(START.timestamp(), 1)]))] * 3 + [bad.Answer(401)]
    with misbehaving({"/api/v1/query": [bad.clock(0), bad.Answer(401)], "*": answers}) as leaving:
        asked = scene.pull(*many(10), url=leaving.url)
    assert (asked.asked, asked.failed, asked.open) == (10, 7, 7)
    assert scene.pull(*many(10)).asked == 10, "another place has other answers"


# -- interrupted --------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from data import blocks, catalog
from data.sources import Connection, Query, Span
from data.store import Store
from ingest import pull as pulling

home, run_id, url, where, start, end = sys.argv[1:]
left = {"asking": 40, "samples": 3, "list": 4, "catalog": 2}[where]

def die(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return False

keep, replace_pulls = blocks.keep, catalog.replace_pulls
if where in {"samples", "list"}:
    blocks.keep = lambda *given: (keep(*given), die())
if where == "catalog":
    catalog.replace_pulls = lambda *given: (replace_pulls(*given), die())
store = Store(Path(home))
span = Span(datetime.fromisoformat(start), datetime.fromisoformat(end), 30.0)
queries = [Query("main", f"heat * {n}", 5.0) for n in range(60)]
until = die if where == "asking" else lambda: False
pulling.pull(store, store.find_run(run_id), queries, {"main": Connection(url)}, {"main": span}, {}, until=until)
"""


@pytest.mark.parametrize(("where", "left"), [("asking", 35), ("samples", 35), ("list", 35), ("catalog", 35)])
def test_killed_in_the_middle_it_goes_on_where_it_was(scene: Scene, where: str, left: int) -> None:
    home = scene.bench.store.home
    scene.bench.store.close()
    words = [home, scene.run.id, scene.url, where, START.isoformat(), END.isoformat()]
    child = subprocess.run(
        [sys.executable, "-c", KILLED, *map(str, words)], cwd=ROOT, check=False, capture_output=True, timeout=120
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    store = Store(home)
    again = replace(scene, bench=Bench(store, scene.bench.folder))
    assert len(again.pulls()) == BATCH
    asked = again.pull(*many(60))
    assert (asked.asked, asked.failed, asked.open) == (left, 0, 0)
    for promql in ("heat * 0", "heat * 24", "heat * 25", "heat * 59"):
        assert same(again.stored(promql), expected(scene.url, promql))
    ids = [series.id for one in again.pulls().values() for series in one.series]
    assert len(ids) == len(set(ids)) == 120
    assert all(number < 0 for number in ids)
    pulled.check(again.block)
    store.close()


def test_ended_early_the_rest_stays_open(scene: Scene) -> None:
    turns = iter([False] * 30)
    asked = scene.pull(*many(60), until=lambda: next(turns, True))
    assert 20 < asked.asked < 31
    assert (asked.failed, asked.open) == (0, 60 - asked.asked)
    assert scene.pull(*many(60)).asked == asked.open


# -- damaged ------------------------------------------------------------------------------------------------------


def opened_again(scene: Scene, *, without_catalog: bool = False) -> Store:
    home = scene.bench.store.home
    scene.bench.store.close()
    if without_catalog:
        (home / "catalog.duckdb").unlink()
    return Store(home)


def test_a_lost_catalog_is_rebuilt_with_what_prometheus_said(scene: Scene) -> None:
    scene.pull(*over_time("heat", "nowhere", "odd"))
    scene.pull(*over_time("heat{"), url=scene.url)
    before = scene.bench.store.record(scene.run.id)
    store = opened_again(scene, without_catalog=True)
    after = store.record(scene.run.id)
    assert sorted(after.pulls, key=lambda one: one.query.id) == sorted(before.pulls, key=lambda one: one.query.id)
    assert replace(after, pulls=()) == replace(before, pulls=())
    store.close()


def damage_list(block: Path) -> None:
    (block / pulled.PULLED).write_bytes(b'{"pulls": [{')


def damage_samples(block: Path) -> None:
    (block / "pulled-0.parquet").write_bytes(b"PAR1")


def lose_samples(block: Path) -> None:
    (block / "pulled-0.parquet").unlink()


@pytest.mark.parametrize("damage", [damage_list, damage_samples, lose_samples])
def test_damage_is_one_error_with_a_way_out_and_touches_no_other_run(scene: Scene, damage: Any) -> None:  # noqa: ANN401  # a function
    other = scene.bench.ingest(k6_file("venue")).run
    scene.pull(*over_time("heat"))
    damage(scene.block)
    count = "SELECT count(*) FROM samples"
    with pytest.raises(StoreError) as told:
        scene.bench.store.samples.query(scene.run.id, count, {})
    assert scene.run.id in told.value.message
    assert told.value.help
    assert scene.bench.store.samples.query(other.id, count, {}) == [(3,)]
    with capture_logs() as logs:
        store = opened_again(scene, without_catalog=True)
    assert {run.id for run in store.runs(RunFilter())} == {other.id, scene.run.id}, "k6's samples are whole"
    (left,) = [one for one in logs if one["event"] == "what was pulled is left out"]
    assert left["block"] == scene.run.id
    store.close()
    (scene.block / pulled.PULLED).unlink()  # as the error says
    store = Store(store.home)
    healed = replace(scene, bench=Bench(store, scene.bench.folder))
    healed.pull(*over_time("heat"), everything=True)
    assert same(healed.stored("heat"), expected(scene.url, "heat"))
    store.close()


def test_a_deleted_run_leaves_nothing(scene: Scene) -> None:
    scene.pull(*over_time("heat", "odd"))
    scene.bench.store.delete_run(scene.run.id, "of no use")
    assert not scene.block.exists()
    home = scene.bench.store.home
    scene.bench.store.close()
    with duckdb.connect(str(home / "catalog.duckdb")) as catalog:
        for table in ("pulls", "series", "runs"):
            assert catalog.execute(f"SELECT count(*) FROM {table}").fetchall() == [(0,)]


def test_a_run_that_is_said_more_of_keeps_what_prometheus_said(scene: Scene) -> None:
    scene.pull(*over_time("heat"))
    before = scene.pulls()
    scene.bench.ingest(k6_file(), meta=RunMeta(version="2", branch="main"))
    assert scene.bench.store.find_run(scene.run.id).meta.version == "2"
    assert scene.pulls() == before
