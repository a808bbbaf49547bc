"""In which form an answer is given: the same choice on the command line and over HTTP."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from reports import github, gitlab, junit, markdown
from slo.documents import to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from reports.answer import Answer


class Output(StrEnum):
    """For people, for machines, for a pull request, for any CI, for GitHub's log, for GitLab's merge request."""

    text = "text"
    json = "json"
    markdown = "markdown"
    junit = "junit"
    github = "github"
    gitlab = "gitlab"


MEDIA_TYPES: Final = {
    Output.text: "text/plain",
    Output.json: "application/json",
    Output.markdown: "text/markdown",
    Output.junit: "application/xml",
    Output.github: "text/plain",
    Output.gitlab: "application/json",
}


def written(answer: Answer, output: Output) -> str:
    """An answer in one of the forms that are neither text for people nor the document itself.

    Raises:
        KeyError: it is one of these two.
    """
    if output is Output.gitlab:
        return to_json(gitlab.issues(answer), indent=2) + "\n"
    write: dict[Output, Callable[[Answer], str]]
    write = {Output.markdown: markdown.comment, Output.junit: junit.report, Output.github: github.commands}
    return write[output](answer)
