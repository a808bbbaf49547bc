"""What is written about the project stays true."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from cli import app
from tests.project import ROOT, SOURCES, read

DOCUMENTS = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def _commands(command: object, path: str = "phasegate") -> Iterator[tuple[str, list[str]]]:
    """Every command a user can type, with its long options."""
    if children := getattr(command, "commands", None):
        for name, child in children.items():
            yield from _commands(child, f"{path} {name}")
    elif not getattr(command, "hidden", False):
        options = [option for param in getattr(command, "params", []) for option in param.opts]
        yield path, [option for option in options if option.startswith("--")]


def test_every_command_and_option_is_in_the_manual() -> None:
    manual = read("docs/cli.md")
    wanted = [word for path, options in _commands(typer.main.get_command(app)) for word in (path, *options)]
    missing = sorted({word for word in wanted if not re.search(rf"{re.escape(word)}\b", manual)})
    assert not missing, f"docs/cli.md does not mention {missing}"


def test_every_make_target_is_explained() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", read("Makefile"), flags=re.MULTILINE)
    explained = read("README.md") + read("CONTRIBUTING.md")
    missing = [target for target in targets if not re.search(rf"make {target}\b", explained)]
    assert not missing, f"neither README.md nor CONTRIBUTING.md mentions make {missing}"


def test_every_setting_is_documented() -> None:
    settings = {name for source in SOURCES for name in re.findall(r"\bPHASEGATE_[A-Z_]+\b", read(source))}
    documented = "".join(read(document) for document in DOCUMENTS)
    assert sorted(name for name in settings if name not in documented) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", read(document))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (ROOT / document.parent / link).exists()] == []
