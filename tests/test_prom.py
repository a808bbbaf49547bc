"""The real Prometheus that other tests lean on starts, remembers and ends."""

import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests import prom
from tests.prom import prometheus

DAY = 1_700_000_000.0
HISTORY = prom.openmetrics(
    {
        'requests_total{service="event"}': [(DAY + second, second) for second in range(0, 601, 15)],
        'heat{service="event"}': [(DAY, "NaN"), (DAY + 15, "+Inf")],
    }
)

pytestmark = pytest.mark.prometheus


def test_it_starts_with_the_history_it_is_given_and_ends(tmp_path: Path) -> None:
    with prometheus(tmp_path, history=HISTORY) as running:
        rate = running.value('sum(rate(requests_total{service="event"}[5m]))', time=DAY + 600)
        assert rate == pytest.approx(1)
        assert running.value("heat", time=DAY + 20) == float("inf")
        assert running.value("nowhere") is None
    assert running.process.returncode == 0
    with closing(socket.socket()) as probe:
        assert probe.connect_ex(("127.0.0.1", urlsplit(running.url).port)) != 0


def test_what_is_older_than_it_keeps_is_gone(tmp_path: Path) -> None:
    history = prom.openmetrics({"steps": [(DAY, 1), (DAY + 16 * 86_400, 2)]})
    with prometheus(tmp_path, history=history, retention="15d") as running:
        assert (running.value("steps", time=DAY), running.value("steps", time=DAY + 16 * 86_400)) == (None, 2)


def test_one_that_cannot_start_fails_with_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="field scrape_config not found"),
        prometheus(tmp_path, {"scrape_config": 1}),
    ):
        pass


def test_it_asks_for_a_password_over_tls(tmp_path: Path) -> None:
    with prometheus(tmp_path, password=True, tls=True) as running:
        assert running.value("vector(7)") == 7
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(running.url, timeout=30)
        assert requests.get(running.url, timeout=30, verify=str(running.certificate)).status_code == 401
