"""Imports point one way: ingest -> data <- slo <- (reports, desk) <- (api, pages, cli) <- app."""

from pathlib import Path

import pytest

from tests.project import PACKAGES, ROOT, SOURCES, imports, layer

VALUES = {"data.errors", "data.facts", "data.model", "data.catalog.RunFilter", "ingest.service.Upload"}
"""What questions and answers are made of: every face may hold these, and nothing else of data and ingest."""

MAY_IMPORT: dict[str, set[str]] = {
    "data": set(),
    "ingest": {"data"},
    "slo": {"data"},
    "reports": {"slo", "data.errors", "data.model"},
    "settings": set(),
    "logs": set(),
    "demo": {"settings", *VALUES},
    # Sends what waits in the outbox, to outside: it needs the rows, what they say, and no question.
    "notify": {"data", "settings", "slo"},
    # Says what is counted and stored as metrics: it needs the values, and asks nothing by itself.
    "telemetry": {"data", "settings", "slo"},
    # Has the sources asked about what is stored, and judged again what has an answer now.
    "puller": {"data", "ingest.pull", "slo"},
    "counter": {"data", "ingest.budgets", "ingest.prometheus", "slo"},
    "desk": {"counter", "data", "demo", "ingest", "notify", "puller", "settings", "slo", "telemetry"},
    "api": {"demo", "desk", "logs", "reports", "settings", "slo", "telemetry", *VALUES},
    "pages": {"desk", "reports", "settings", "slo", *VALUES},
    "cli_options": {"api.client", "desk", "reports", "settings", "slo", *VALUES},
    "cli_runs": {"cli_options", "reports", "slo", *VALUES},
    "cli_notify": {"cli_options", "desk", "notify", "reports", "settings", "slo", *VALUES},
    "cli_gate": {"cli_notify", "cli_options", "reports", "slo", *VALUES},
    "cli_budget": {"cli_options", "reports", "slo", *VALUES},
    "cli_prometheus": {"cli_options", "reports", "slo", *VALUES},
    "cli_slo": {"cli_options", "notify", "reports", "settings", "slo", *VALUES},
    # `serve` leaves the server's address in the store, for whoever meets it locked.
    "cli": {
        "api.client",
        "cli_budget",
        "cli_gate",
        "cli_notify",
        "cli_options",
        "cli_prometheus",
        "cli_runs",
        "cli_slo",
        "data.store.announce_server",
        "desk",
        "logs",
        "reports",
        "settings",
        "slo",
        *VALUES,
    },
    "app": {"api", "desk", "logs", "settings"},
}
"""Our own packages and modules, and what of the others each may import (itself always)."""

ONLY_IN: dict[str, set[str]] = {
    "streamlit": {"pages", "app"},
    "sqlalchemy": {"data"},
    "duckdb_sqlalchemy": {"data"},
    # ingest reads k6 files with an in-memory DuckDB of its worker's own; the store's database is opened by data alone.
    "duckdb": {"data", "ingest"},
    "apprise": {"notify"},
    "prometheus_client": {"telemetry"},
    "prometheus_api_client": {"ingest"},
}
"""Libraries that belong to one layer."""

FREE = {"bench", "examples", "scripts", "tests"}
"""Folders that may import everything, and that nothing here may import."""


def _within(name: str, allowed: set[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed)


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_a_layer_imports_only_what_lies_under_it(source: Path) -> None:
    own = layer(source)
    assert own in MAY_IMPORT, f"{own} has no place in the map: give it one here and in docs/architecture.md"
    ours = {name for name in imports(source) if name.split(".")[0] in MAY_IMPORT.keys() | FREE}
    wrong = {name for name in ours if not _within(name, {own, *MAY_IMPORT[own]})}
    assert not wrong, f"{source} imports {sorted(wrong)}; {own} may import {sorted(MAY_IMPORT[own])}"


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_a_library_stays_in_its_layer(source: Path) -> None:
    foreign = {library for library, layers in ONLY_IN.items() if layer(source) not in layers}
    wrong = {name for name in imports(source) if _within(name, foreign)}
    assert not wrong, f"{source} imports {sorted(wrong)}, which belongs to another layer"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_a_package_has_an_init(package: str) -> None:
    # A folder `data` without one loses to an installed package of that name.
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}
    assert folders, f"{package}/ holds no code"
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_no_database_lies_among_the_sources() -> None:
    databases = {".db", ".duckdb", ".parquet", ".wal"}
    assert [path.name for path in (ROOT / "data").rglob("*") if path.suffix in databases] == []
