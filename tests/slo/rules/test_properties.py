"""What holds of the rules whatever the run: the order of its series, the names of services and the speed of both."""

from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from data.model import RunMeta, RunRecord, Series
from slo.findings import find
from slo.rules.against import find_against
from slo.shape import Flow, Shape, shape_of
from tests.builders import record, requests, series
from tests.slo.rules.shapes import USUAL

SERVICES = ["auth", "event", "venue"]
OTHERS = {"auth": "chat", "event": "plan", "venue": "user"}
Told = list[tuple[str, str, str | None, str]]


@st.composite
def outcomes(draw: st.DrawFn) -> list[Series]:
    """Requests with one outcome to one endpoint, at some time of the run."""
    failed = draw(st.booleans())
    status = draw(st.sampled_from(["0", "401", "500", "503"] if failed else ["200", "201"]))
    code = {"error_code": draw(st.sampled_from(["1050", "1212"]))} if status == "0" else {}
    made = requests(
        draw(st.integers(1, 60)), failed=failed, service=draw(st.sampled_from(SERVICES)), status=status,
        method="GET", name=draw(st.sampled_from(["/a", "/b"])), scenario="default", **code,
    )  # fmt: skip
    first_s, lasted_s = draw(st.integers(0, 10)), draw(st.integers(0, 10))
    return [
        replace(one, first_at=one.first_at + timedelta(seconds=first_s),
                last_at=one.first_at + timedelta(seconds=first_s + lasted_s))
        for one in made
    ]  # fmt: skip


@st.composite
def runs(draw: st.DrawFn) -> RunRecord:
    sent = [one for made in draw(st.lists(outcomes(), min_size=1, max_size=8)) for one in made]
    checks = [
        series("checks", n, nonzero=held * n // 4, check=f"check {i}", service=SERVICES[i], scenario="default")
        for i, (n, held) in enumerate(draw(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 4)), max_size=3)))
    ]
    iterations = series("iterations", draw(st.integers(1, 50)), scenario="default")
    lasted = replace(series("iteration_duration", iterations.n, scenario="default"), sum=1e6)
    code = draw(st.sampled_from([0, 99, 105, None]))
    return record(*sent, *checks, iterations, lasted, meta=RunMeta(exit_code=code))


def told(run: RunRecord) -> Told:
    return sorted((f.code, f.severity, f.service, f.message) for f in find(run).findings)


@given(runs(), st.randoms())
def test_the_order_of_series_changes_nothing(run: RunRecord, order: Random) -> None:
    shuffled = list(run.series)
    order.shuffle(shuffled)
    assert told(replace(run, series=tuple(shuffled))) == told(run)


@given(runs())
def test_the_names_of_services_change_nothing_but_names(run: RunRecord) -> None:
    renamed = tuple(
        replace(one, tags=one.tags | {"service": OTHERS[one.tags["service"]]}) if "service" in one.tags else one
        for one in run.series
    )

    def codes(of: RunRecord) -> list[tuple[str, str, str]]:
        return sorted((f.code, f.severity, OTHERS.get(f.service or "", f.service or "")) for f in find(of).findings)

    assert codes(replace(run, series=renamed)) == codes(run)


@given(runs(), st.floats(0.001, 1000))
def test_how_fast_a_service_is_decides_nothing(run: RunRecord, factor: float) -> None:
    scaled = tuple(
        replace(one, sum=one.sum * factor, min=one.min * factor, max=one.max * factor, last=one.last * factor)
        if one.metric == "http_req_duration"
        else one
        for one in run.series
    )
    assert told(replace(run, series=scaled)) == told(run)


@given(runs(), st.integers(1, 10))
def test_a_run_beside_itself_is_unchanged(run: RunRecord, times: int) -> None:
    shape = shape_of(run)
    assert find_against(shape, [shape] * times) == ()


flows = st.builds(
    Flow,
    scenario=st.sampled_from(["load", "checkout"]),
    iterations=st.integers(0, 500),
    requests=st.integers(0, 2000),
    span_s=st.integers(1, 100).map(float),
    busy_s=st.integers(1, 1000).map(float),
)
shapes = st.lists(flows, min_size=1, max_size=2, unique_by=lambda flow: flow.scenario).map(
    lambda found: replace(USUAL, flows=tuple(found))
)


def times(shape: Shape, factor: int) -> Shape:
    """The same at another speed: so many times as long, with as many iterations."""
    slower = tuple(replace(f, span_s=f.span_s * factor, busy_s=f.busy_s * factor) for f in shape.flows)
    return replace(shape, flows=slower)


@given(shapes, st.lists(shapes, min_size=1, max_size=4), st.sampled_from([2, 4, 8]))
def test_the_speed_of_both_sides_decides_nothing(run: Shape, before: list[Shape], factor: int) -> None:
    slower = find_against(times(run, factor), [times(one, factor) for one in before])
    usual = find_against(run, before)
    assert [(f.code, f.severity) for f in slower] == [(f.code, f.severity) for f in usual]


@given(shapes, st.lists(shapes, min_size=1, max_size=4))
def test_one_more_run_like_this_one_never_makes_it_odder(run: Shape, before: list[Shape]) -> None:
    likelier = find_against(run, [*before, run, run, run, run, run])
    assert {f.code for f in likelier} <= {f.code for f in find_against(run, before)}
