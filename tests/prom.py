"""The real Prometheus for tests: on a free port, with a history if need be, behind a password or TLS."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

import demo
from examples.nightbff.record import free_port
from tests.running import stop

USER, PASSWORD = "phasegate", "secret"
_HASHED = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"  # bcrypt of PASSWORD, as cheap as it can be
_START_S = 60
_FOREVER = "100y"
_LARGE = "--max-block-duration=720h"
"""Blocks of two hours, which take their time to write and to open, are needed only where old ones are thrown away."""

Json = dict[str, Any]
Samples = Iterable[tuple[float, float | str]]
"""Times in seconds since 1970, and values: as a text where JSON has no number, such as NaN."""


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that runs: its address, how to ask it, and the certificate to trust if it has one."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    client: httpx.Client
    certificate: Path | None = None

    def get(self, path: str, **params: str | float) -> Any:  # noqa: ANN401  # any document
        """What the API answers to ``GET /api/v1/{path}``: its ``data``."""
        answer = self.client.get(f"/api/v1/{path}", params=params).raise_for_status().json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, promql: str, **params: str | float) -> list[Json]:
        """The vector that an expression comes to, now or at ``time``."""
        found: list[Json] = self.get("query", query=promql, **params)["result"]
        return found

    def value(self, promql: str, **params: str | float) -> float | None:
        """The one number that an expression comes to; None if there is none."""
        numbers = [float(sample["value"][1]) for sample in self.query(promql, **params)]
        assert len(numbers) <= 1, f"{promql} comes to {len(numbers)} numbers"
        return numbers[0] if numbers else None

    def wait_for(self, promql: str, enough: Callable[[list[Json]], object] = bool, seconds: float = 60) -> list[Json]:
        """The vector that an expression comes to, once it is enough: by default, once it is not empty."""
        deadline = time.monotonic() + seconds
        while not enough(found := self.query(promql)):
            assert time.monotonic() < deadline, f"{promql} still comes to {found}"
            time.sleep(0.1)
        return found

    def ready(self) -> bool:
        """Whether it answers queries."""
        try:
            return self.client.get("/-/ready").is_success
        except httpx.TransportError:
            return False


@contextmanager
def prometheus(
    folder: Path,
    config: Json | str = "",
    *options: str,
    history: str = "",
    retention: str = _FOREVER,
    password: bool = False,
    tls: bool = False,
    mutual: bool = False,
) -> Iterator[Prometheus]:
    """The real Prometheus, once it is ready; its log, configuration and data are in ``folder``.

    ``history`` is OpenMetrics text (:func:`openmetrics`), which it has from the start; what is older than the newest of
    it by more than ``retention`` is thrown away. With ``password`` it asks for USER and PASSWORD, with ``mutual`` for
    its own certificate. It can be reloaded over HTTP.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data, log, port = folder / "data", folder / "prometheus.log", free_port()
    if history:
        backfill(data, history, *([_LARGE] if retention == _FOREVER else []))
    certificate = make_certificate(folder) if tls else None
    command = [
        "prometheus",
        f"--config.file={_written(folder / 'prometheus.yml', config)}",
        f"--web.config.file={_written(folder / 'web.yml', _web(certificate, password=password, mutual=mutual))}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--storage.tsdb.path={data}",
        f"--storage.tsdb.retention.time={retention}",
        "--web.enable-lifecycle",
        *options,
    ]
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    trust = ssl.create_default_context(cafile=certificate)
    if certificate and mutual:
        trust.load_cert_chain(certificate)
    auth = (USER, PASSWORD) if password else None
    with (
        httpx.Client(base_url=url, auth=auth, verify=trust, trust_env=False, timeout=30) as client,
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out) as process,
    ):
        try:
            running = Prometheus(url, process, log, client, certificate)
            _wait_until_ready(running)
            yield running
        finally:
            stop(process)


def _wait_until_ready(running: Prometheus) -> None:
    deadline = time.monotonic() + _START_S
    while not running.ready():
        assert running.process.poll() is None, running.log.read_text()
        assert time.monotonic() < deadline, running.log.read_text()
        time.sleep(0.05)


def _written(file: Path, config: Json | str) -> Path:
    file.write_text(config if isinstance(config, str) else json.dumps(config))  # JSON is YAML, too
    return file


def _web(certificate: Path | None, *, password: bool, mutual: bool) -> Json:
    users = {"basic_auth_users": {USER: _HASHED}} if password else {}
    server = {"cert_file": str(certificate), "key_file": str(certificate)}
    if mutual:
        server |= {"client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": str(certificate)}
    return users | ({"tls_server_config": server} if certificate else {})


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, and its key, in one file."""
    file = folder / "certificate.pem"
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    command: list[str | Path] = ["openssl", "req", "-x509", *kind, *names, "-keyout", file, "-out", file]
    subprocess.run(command, capture_output=True, check=True)
    return file


def backfill(data: Path, history: str, *options: str) -> None:
    """Make blocks of OpenMetrics text in the data folder of a Prometheus that does not run."""
    data.mkdir(parents=True, exist_ok=True)
    file = _written(data.with_suffix(".openmetrics"), history)
    command: list[str | Path] = ["promtool", "tsdb", "create-blocks-from", "openmetrics", *options, file, data]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def openmetrics(series: Mapping[str, Samples]) -> str:
    """OpenMetrics text of series as PromQL writes them: ``{'up{job="a"}': [(1.0, 1)]}``."""
    lines = [f"{name} {value} {at}" for name, samples in series.items() for at, value in samples]
    return "\n".join([*lines, "# EOF\n"])


def demo_config(port: int) -> str:
    """The demo's configuration, for a backend on this port."""
    return (demo.FOLDER / "prometheus.yml").read_text().replace(":8099", f":{port}")
