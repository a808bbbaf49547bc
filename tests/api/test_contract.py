"""The API keeps what its OpenAPI document promises, whatever it is asked: no 5xx, and answers of the stated shape."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from api.routes import create_api
from desk import Desk
from settings import Settings
from tests.ingesting import Quick

if TYPE_CHECKING:
    from schemathesis import Case

pytestmark = [pytest.mark.slow, pytest.mark.contract]

ROUTES = [
    f"{method} {path}"
    for path, item in create_api(lambda: pytest.fail("no desk")).openapi()["paths"].items()
    for method in map(str.upper, item)
]


@pytest.fixture(scope="module")
def operations(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    import schemathesis  # noqa: PLC0415  # takes a second, which the fast tests do not have
    from schemathesis.core.result import Err  # noqa: PLC0415

    home = tmp_path_factory.mktemp("contract") / "store"
    shutil.copytree(demo_home, home)
    desk = Desk(Settings(home=home))
    desk._ingestor = Quick(desk._store)
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_api(lambda: desk))
    found = [one.ok() for one in schema.get_all_operations() if not isinstance(one, Err)]
    yield {operation.label: operation for operation in found}
    desk.close()


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_answers_as_it_is_described(operations: dict[str, Any], route: str) -> None:
    from schemathesis.checks import not_a_server_error  # noqa: PLC0415
    from schemathesis.specs.openapi import checks  # noqa: PLC0415

    promised = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]

    @settings(
        max_examples=40,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(operations[route].as_strategy())
    def ask(case: Case[Any]) -> None:
        case.call_and_validate(checks=promised)

    ask()
