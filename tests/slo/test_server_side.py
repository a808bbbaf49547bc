"""k6's latency beside the service's own: which of the two got slower, and what that means."""

import pytest

from slo.model import Comparison
from slo.server_side import Seen, server_side

WORSE = Comparison(
    "event", "http_req_duration", "p(95)", "ms", "regressed", "", value=130, baseline=100, change=0.3
)  # fmt: skip


@pytest.mark.parametrize(
    ("server_ms", "where", "words"),
    [
        (117.0, "service", "as k6's did: it is the service"),
        (103.6, "service", "as k6's did: it is the service"),
        (98.0, "both", "less than k6's"),
        (91.0, "way", "only k6's rose: it is the network or the load generator"),
        (80.0, "way", "only k6's rose"),
    ],
)
def test_of_a_regression_the_service_says_whether_it_is_its_own(server_ms: float, where: str, words: str) -> None:
    before = [Seen(100.0, ms) for ms in (88.0, 90.0, 95.0)]
    found = server_side("event", Seen(130.0, server_ms), before, WORSE, least=0.05)
    assert found is not None
    assert (found.where, found.server_before_ms, found.client_before_ms) == (where, 90.0, 100)
    assert words in found.sentence


@pytest.mark.parametrize(
    ("client_ms", "server_ms", "where"), [(100.0, 95.0, "service"), (100.0, 45.0, "way"), (9.0, 2.0, "service")]
)
def test_without_a_regression_it_says_where_the_time_goes(client_ms: float, server_ms: float, where: str) -> None:
    found = server_side("event", Seen(client_ms, server_ms), [], None, least=0.05)
    assert found is not None
    assert (found.where, found.server_before_ms) == (where, None)


def test_without_the_services_own_number_nothing_is_said() -> None:
    assert server_side("event", Seen(100.0, None), [Seen(100.0, 90.0)], WORSE, least=0.05) is None
    assert server_side("event", Seen(None, 90.0), [], None, least=0.05) is None


def test_a_regression_without_an_earlier_number_of_the_service_blames_nobody() -> None:
    found = server_side("event", Seen(130.0, 120.0), [Seen(100.0, None)], WORSE, least=0.05)
    assert found is not None
    assert "rose" not in found.sentence
