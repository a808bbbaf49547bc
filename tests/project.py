"""The project's own sources, for tests about the project."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("api", "data", "ingest", "pages", "reports", "slo")
SOURCES = sorted(
    path.relative_to(ROOT)
    for path in [*ROOT.glob("*.py"), *(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))]
)
"""What the service is made of, relative to ``ROOT``: not the tests, the examples and the benchmark."""


def read(source: Path | str) -> str:
    """The text of a file of the project."""
    path = ROOT / source
    assert path.is_file(), f"{source} is missing"
    return path.read_text(encoding="utf-8")


def layer(source: Path) -> str:
    """The package, or the module at the root, that a source belongs to."""
    return source.parts[0].removesuffix(".py")


def imports(source: Path) -> set[str]:
    """Every name that a source imports, dotted: ``from data import errors`` is ``data.errors``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(read(source))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):  # never relative: ruff's TID252
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found
