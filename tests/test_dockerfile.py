"""The Dockerfile holds what it says. Its steps are read, and the slow test follows them without Docker."""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath

import pytest

from tests.project import PACKAGES, ROOT, read

DOCKERFILE = read("Dockerfile")


def _steps(text: str) -> list[tuple[str, str]]:
    """``(instruction, arguments)`` in order; comments gone, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(name, arguments.strip()) for name, _, arguments in (line.partition(" ") for line in joined.splitlines())]


STEPS = _steps(DOCKERFILE)
FIRST_OF_IMAGE = [name for name, _ in STEPS].index("FROM", 1)
BUILD, IMAGE = STEPS[:FIRST_OF_IMAGE], STEPS[FIRST_OF_IMAGE:]


def _last(instruction: str) -> str:
    return next(arguments for name, arguments in reversed(IMAGE) if name == instruction)


COPIED = [source for name, arguments in BUILD if name == "COPY" for source in shlex.split(arguments)[:-1]]
ALLOWED = [line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")]


@pytest.mark.parametrize("source", COPIED)
def test_what_is_copied_exists_and_is_let_through(source: str) -> None:
    assert list(ROOT.glob(source))
    assert any(PurePosixPath(entry).is_relative_to(source) for entry in ALLOWED)


def test_all_code_of_the_service_is_in_the_image() -> None:
    assert {"*.py", *PACKAGES} <= set(COPIED)


def test_no_development_tool_is_in_the_image() -> None:
    assert "requirements-dev" not in DOCKERFILE


def test_it_runs_as_a_numbered_user_who_is_not_root() -> None:
    user, group = _last("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_the_healthcheck_asks_the_port_that_is_exposed() -> None:
    program = _healthcheck()[2]
    compile(program, "HEALTHCHECK", "exec")
    assert f"127.0.0.1:{_last('EXPOSE')}/api/v1/healthz" in program


def _healthcheck() -> list[str]:
    command: list[str] = json.loads(_last("HEALTHCHECK").partition("CMD ")[2])
    return command


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_image_serves_and_writes_nothing_but_its_store(tmp_path: Path) -> None:
    app = tmp_path / "app"
    _build(app)
    before = _files(app)
    port = _free_port()
    environment = _environment(app) | {"PHASEGATE_HOME": str(tmp_path / "store"), "HOME": str(tmp_path)}
    command = [*json.loads(_last("ENTRYPOINT")), *json.loads(_last("CMD")), "--port", str(port)]
    with subprocess.Popen(command, cwd=app, env=environment) as server:
        try:
            _wait_until_healthy(server, port, environment)
        finally:
            server.terminate()
    assert _files(app) == before


def _build(app: Path) -> None:
    """Follow the first stage with ``app`` in the place of /app."""
    app.mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for name, arguments in BUILD:
        if name == "COPY":
            *sources, destination = shlex.split(arguments)
            for source in sources:
                for found in ROOT.glob(source):
                    _copy(found, app / destination)
        elif name == "RUN":
            subprocess.run(arguments, shell=True, cwd=app, env=os.environ | {"PATH": path}, check=True)  # noqa: S602 - as Docker does


def _copy(source: Path, destination: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, destination, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, destination)


def _environment(app: Path) -> dict[str, str]:
    """The image's ENV on top of a PATH, with ``app`` in the place of /app."""
    settings = {"PATH": os.environ["PATH"]}
    for word in shlex.split(_last("ENV")):
        name, _, value = word.partition("=")
        settings[name] = value.replace("/app/", f"{app}/").replace("$PATH", settings["PATH"])
    return settings


def _files(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: subprocess.Popen[bytes], port: int, environment: dict[str, str]) -> None:
    probe = [word.replace(f":{_last('EXPOSE')}/", f":{port}/") for word in _healthcheck()]
    deadline = time.monotonic() + 60
    while subprocess.run(probe, env=environment, check=False, stderr=subprocess.DEVNULL).returncode:
        assert server.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "not healthy within a minute"
        time.sleep(0.5)
