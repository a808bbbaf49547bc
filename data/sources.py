"""A Prometheus that may be asked, and what it is asked about a run: values, as slo.yaml says them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Connection:
    """How a source is reached. Secrets are never here: the names of the environment variables that hold them are.

    ``bearer_env``, or ``username_env`` and ``password_env``: who we are. ``ca_file``, ``cert_file`` and ``key_file``
    are PEM files. ``headers`` are sent with every request (``X-Scope-OrgID``), ``params`` added to its query
    (``partial_response``). ``timeout_s`` is how long one request may take in all.
    """

    url: str
    bearer_env: str | None = None
    username_env: str | None = None
    password_env: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    timeout_s: float = 10.0
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it is asked, and as whom of many: another has other answers."""
        return " ".join(
            [self.url, *(f"{key}={value}" for key, value in sorted({**self.headers, **self.params}.items()))]
        )


SETTLE_S = 5.0
"""How long after a run its last scrapes may still be on their way into a source."""


@dataclass(frozen=True)
class Span:
    """A run's time in whole seconds, and how much before and after it is kept."""

    start: datetime
    end: datetime
    margin_s: float

    @property
    def settled_at(self) -> datetime:
        """When everything that is kept is there."""
        return self.end + timedelta(seconds=max(self.margin_s, SETTLE_S))


@dataclass(frozen=True)
class Query:
    """One PromQL expression as it is sent: over a run's time in steps of ``step_s``, or (``None``) once, at its end.

    ``name`` is what it is called among the things that are asked about every ``service``; an objective's has none.
    ``at`` is the share from which on what is asked about counts as used up.
    """

    source: str
    promql: str
    step_s: float | None
    service: str | None = None
    name: str | None = None
    at: float | None = None

    @property
    def id(self) -> str:
        """The same for the same question to the same source: what was answered is not asked again."""
        asked = "\n".join(
            (self.source, self.promql, str(self.step_s), self.service or "", self.name or "", str(self.at))
        )
        return hashlib.sha256(asked.encode()).hexdigest()[:16]
