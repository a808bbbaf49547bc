#!/usr/bin/env python3
"""Keep one comment of each gate up to date on a pull request of GitHub, or on a merge request of GitLab.

    comment.py github COMMENT.md    # GITHUB_REPOSITORY, PULL_REQUEST, GITHUB_TOKEN (which may write pull requests)
    comment.py gitlab COMMENT.md    # CI_PROJECT_ID, CI_MERGE_REQUEST_IID, GITLAB_TOKEN (with `api`; not a job's own)

The first line of the comment, `<!-- phasegate gate 7A ci -->`, is the mark by which the last one is found: that one is
changed, and a new one is written only where there is none. Comments of other gates, environments and people are left
alone. Needs nothing but Python 3.8. Exits 2 where it could not be written, and says why; tokens are never printed.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 30
MARK = "<!-- phasegate "


class ApiError(Exception):
    """What the API refused, or that it did not answer."""


@dataclass
class Api:
    """GitHub's or GitLab's, with the header that says who asks."""

    url: str
    header: str
    credential: str

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  # any JSON
        """What it answers.

        Raises:
            ApiError: it refuses, or does not answer.
        """
        if not self.url.startswith(("https://", "http://")):
            raise ApiError(f"{self.url!r} is no address of an API")
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", sent, method=method)  # noqa: S310  # checked above
        request.add_header("Content-Type", "application/json")
        request.add_header("Accept", "application/json")
        request.add_unredirected_header(self.header, self.credential)  # wherever it leads, the token stays here
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310  # checked above
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            raise ApiError(f"{method} {path}: HTTP {error.code}: {' '.join(said.split())}") from error
        except (OSError, ValueError) as error:
            raise ApiError(f"{method} {path}: {error}") from error

    def everything(self, path: str) -> Iterator[Any]:
        """All pages of a list, until one is empty."""
        page = 1
        while found := self.ask("GET", f"{path}?per_page=100&page={page}"):
            yield from found
            page += 1

    def me(self) -> int | None:
        """Who asks; ``None`` for the token of a job, which may not ask that."""
        try:
            return int(self.ask("GET", "user")["id"])
        except ApiError:
            return None


def own(api: Api, path: str, mark: str) -> int | None:
    """Our comment with this mark. Somebody else's would stay theirs to change, so it is not ours whatever it says."""
    me = api.me()
    for comment in api.everything(path):
        author = comment.get("user") or comment.get("author") or {}
        is_ours = author.get("id") == me if me else author.get("type") == "Bot"
        if is_ours and comment["body"].partition("\n")[0].strip() == mark:
            return int(comment["id"])
    return None


def github(body: str, mark: str) -> str:
    """Write it to a pull request; what was done."""
    api = Api(
        os.environ.get("GITHUB_API_URL", "https://api.github.com"),
        "Authorization",
        f"Bearer {os.environ['GITHUB_TOKEN']}",
    )
    issues = f"repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    path = f"{issues}/{int(os.environ['PULL_REQUEST'])}/comments"
    if (known := own(api, path, mark)) is not None:
        api.ask("PATCH", f"{issues}/comments/{known}", {"body": body})
        return f"comment {known} is up to date"
    return f"comment {api.ask('POST', path, {'body': body})['id']} is new"


def gitlab(body: str, mark: str) -> str:
    """Write it to a merge request; what was done."""
    api = Api(os.environ.get("CI_API_V4_URL", "https://gitlab.com/api/v4"), "PRIVATE-TOKEN", os.environ["GITLAB_TOKEN"])
    project, request = int(os.environ["CI_PROJECT_ID"]), int(os.environ["CI_MERGE_REQUEST_IID"])
    path = f"projects/{project}/merge_requests/{request}/notes"
    if (known := own(api, path, mark)) is not None:
        api.ask("PUT", f"{path}/{known}", {"body": body})
        return f"note {known} is up to date"
    return f"note {api.ask('POST', path, {'body': body})['id']} is new"


def comment_in(file: Path) -> tuple[str, str]:
    """A comment and its mark.

    Raises:
        ValueError: it has none.
    """
    body = file.read_text(encoding="utf-8")
    mark = body.partition("\n")[0].strip()
    if not mark.startswith(MARK):
        raise ValueError(f"{file} does not begin with {MARK}... -->: it is no comment of a gate")
    return body, mark


def main(words: list[str]) -> int:
    """What to exit with."""
    write = {"github": github, "gitlab": gitlab}.get(words[0] if words else "")
    if write is None or len(words) != 2:  # noqa: PLR2004  # where, and what
        print("usage: comment.py github|gitlab COMMENT.md", file=sys.stderr)
        return 2
    try:
        print(write(*comment_in(Path(words[1]))))
    except KeyError as error:
        print(f"phasegate: {error.args[0]} is not set", file=sys.stderr)
        return 2
    except (ApiError, OSError, ValueError) as error:
        print(f"phasegate: the comment was not written: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
