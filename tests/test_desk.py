"""What a server needs is tried before it starts."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import demo
from data.address import server_url
from data.errors import BadRequest, Busy, ConfigError, NotFound, PhasegateError
from desk import announce
from examples.nightbff.record import free_port
from settings import Settings

HOST = "127.0.0.1"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a store can be made; there is no slo.yaml where we stand."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "var"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


def refused(settings: Settings, kind: type[PhasegateError], host: str = HOST, port: int = 0) -> PhasegateError:
    """The error that a server does not start with; nobody is sent to it."""
    with pytest.raises(kind) as error:
        announce(settings, host, port)
    assert server_url(settings.home) is None
    assert error.value.help
    return error.value


def test_a_server_that_can_start_is_announced(home: Path) -> None:
    port = free_port()
    opening = announce(Settings(home, slo=Path(os.path.relpath(demo.SLO))), HOST, port)
    assert (opening.url, opening.runs) == (f"http://{HOST}:{port}", 0)
    assert opening.slo
    assert opening.slo.source == str(demo.SLO), "wherever one stands"
    assert server_url(home) == opening.url


@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")],  # noqa: S104  # what a container listens on
)
def test_its_address_is_one_that_can_be_reached(home: Path, host: str, shown: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    port = free_port()
    assert announce(Settings(home), host, port).url == f"http://{shown}:{port}"


def test_a_server_needs_no_slo_yaml(home: Path) -> None:
    assert announce(Settings(home), HOST, free_port()).slo is None


def test_a_slo_yaml_that_was_named_must_be_there(home: Path) -> None:
    assert "there is no nowhere.yaml" in refused(Settings(home, slo=Path("nowhere.yaml")), NotFound).message


@pytest.mark.parametrize("named", [True, False])
def test_a_slo_yaml_that_is_wrong_is_told(home: Path, *, named: bool) -> None:
    Path("slo.yaml").write_text("version: 1\n")
    with pytest.raises(ConfigError, match=r"slo\.yaml:1:1"):
        announce(Settings(home, slo=Path("slo.yaml") if named else None), HOST, 0)
    assert server_url(home) is None


def test_an_address_in_use_is_told(home: Path, taken: int) -> None:
    error = refused(Settings(home), Busy, port=taken)
    assert error.message == f"port {taken} of {HOST} is in use"
    assert "--port" in (error.help or "")


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_told(home: Path, host: str) -> None:
    assert refused(Settings(home), BadRequest, host).message.startswith(f"cannot listen on port 0 of {host}: ")
