"""What is installed is what is imported, at versions that are written down."""

import re
import sys
from importlib.metadata import packages_distributions

from tests.project import SOURCES, imports, layer, read


def _canonical(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _pins(name: str) -> dict[str, str]:
    """Package to version, from ``package[extra]==version`` lines; names as pip compares them."""
    found = re.findall(r"^([\w.-]+)(?:\[.*\])?==([^\s#]+)", read(name), flags=re.MULTILINE)
    return {_canonical(package): version for package, version in found}


def test_the_constraints_hold_every_pinned_requirement() -> None:
    pins = _pins("requirements.txt") | _pins("requirements-dev.txt")
    locked = _pins("constraints.txt")
    assert {package: locked.get(package) for package in pins} == pins, "run `make lock`"


def test_what_the_service_imports_is_a_requirement_of_its_own() -> None:
    ours = {layer(source) for source in SOURCES}
    imported = {name.split(".")[0] for source in SOURCES for name in imports(source)} - ours - sys.stdlib_module_names
    required = _pins("requirements.txt").keys()
    sold_by = packages_distributions()
    missing = [name for name in imported if required.isdisjoint(map(_canonical, sold_by.get(name, [name])))]
    assert not missing, f"requirements.txt lacks what brings {sorted(missing)}"
