"""The demo as Prometheus sees it: the real one scrapes the real backend, which is asked for a little of everything."""

import re
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

from examples.nightbff import backend, record
from examples.nightbff.backend import ENDPOINTS, Behaviour
from tests import prom
from tests.examples.test_nightbff import SEED, SERVICES
from tests.prom import Prometheus, prometheus
from tests.running import backend as running_backend

SEARCHES = 30

pytestmark = pytest.mark.prometheus


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has seen events being searched, between one scrape and another."""
    with running_backend("--fail=venue=0.2", "--latency=event:/event/search=0.5x") as url:
        config = prom.demo_config(urlsplit(url).port or 0)
        with prometheus(tmp_path_factory.mktemp("prometheus"), config) as running, httpx.Client(base_url=url) as client:
            running.wait_for('http_requests_total{service="venue"}')
            for _ in range(SEARCHES):
                client.get("/event/search")
                client.get("/venue/search")
            seen = 'sum by (service) (http_requests_total{path=~"/(event|venue)/search"})'
            running.wait_for(f"{seen} == {SEARCHES}", lambda found: len(found) == 2)
            yield running


def test_every_service_is_up(scraped: Prometheus) -> None:
    up = scraped.wait_for("up == 1", lambda found: len(found) == len(SERVICES))
    assert {sample["metric"]["service"] for sample in up} == SERVICES


def test_a_service_says_nothing_of_another(scraped: Prometheus) -> None:
    paths = scraped.query("count by (service, path) (http_requests_total)")
    assert {sample["metric"]["path"].split("/")[1]: sample["metric"]["service"] for sample in paths} == {
        service: service for service in SERVICES
    }


def test_a_percentile_is_told_from_the_buckets(scraped: Prometheus) -> None:
    quantile = "histogram_quantile(0.95, sum by (le) (http_request_duration_seconds_bucket{service='event'}))"
    p95_s = scraped.value(quantile)
    assert p95_s is not None
    assert 0.047 < p95_s < 0.5, "half of 94 ms is the median, and the machine may be busy"


def test_failures_are_seen_from_the_first_on(scraped: Prometheus) -> None:
    failed = scraped.wait_for("sum(increase(http_requests_total{service='venue', code='503'}[1m])) > 0")
    assert float(failed[0]["value"][1]) < SEARCHES * 0.4


def test_the_process_is_the_same_for_all(scraped: Prometheus) -> None:
    assert scraped.value("count(count_values('at', process_start_time_seconds))") == 1
    assert (scraped.value("min(process_resident_memory_bytes)") or 0) > 1e6
    assert scraped.value("max(db_pool_connections_in_use / db_pool_connections_max)") == 0


def test_promtool_accepts_the_configuration_which_names_all_services() -> None:
    file = record.HERE / "prometheus.yml"
    subprocess.run(["promtool", "check", "config", file], capture_output=True, check=True)
    assert set(re.findall(r"service: (\w+), __metrics_path__: /metrics/\1}", file.read_text())) == SERVICES


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_promtool_finds_no_fault_with_a_page(service: str) -> None:
    quick = Behaviour(latency=dict.fromkeys(SERVICES, 0.01))
    opened = TestClient(backend.create_app(quick, SEED))
    for endpoint in ENDPOINTS:
        opened.request(endpoint.method, endpoint.path, json={})
    page = opened.get(f"/metrics/{service}").text
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
