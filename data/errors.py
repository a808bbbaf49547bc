"""Every error that Phasegate raises on purpose, in one tree.

::

    PhasegateError                  exit 2, HTTP 500
    |-- BadInput                    exit 2, HTTP 422   what came from outside cannot be used
    |   |-- UnreadableArtefact                         a file that is not what it should be
    |   |   `-- ArtefactTooLarge             HTTP 413   over a size or ratio limit
    |   |-- ConfigError                                slo.yaml, with file:line:column
    |   `-- BadRequest                       HTTP 400   wrong options or parameters
    |-- NotFound                    exit 2, HTTP 404   no such run, phase or artefact
    |-- Busy                        exit 2, HTTP 503   try again later
    |   |-- StoreLocked                                another process holds the store
    |   `-- NoSpace                          HTTP 507   the disk is full
    |-- StoreError                  exit 2, HTTP 500   the store itself is damaged or too new
    |-- SourceError                 exit 2, HTTP 502   Prometheus does not answer what it is asked
    |   |-- SourceDown                                 now: it is away, slow or overloaded
    |   `-- QueryRefused                               ever: the query is wrong, or asks for too much
    `-- ServerUnreachable           exit 2, HTTP 502   the command line cannot talk to --server

A message says what failed, on which thing, and what to do. Errors of libraries are translated to one of
these where the library is called; nothing above catches a foreign error.
"""

from __future__ import annotations

import errno
from typing import ClassVar

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What an ``OSError`` is numbered where a disk, or somebody's share of it, is full."""


class PhasegateError(Exception):
    """Root of the tree. ``code`` is the stable name that machines may test for."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help

    def __str__(self) -> str:
        return self.message if self.help is None else f"{self.message}\n  help: {self.help}"


class BadInput(PhasegateError):
    """What came from outside cannot be used; sending the same again will fail again."""

    code = "bad_input"
    http_status = 422


class UnreadableArtefact(BadInput):
    """A file is not k6 output, or holds nothing that can be kept."""

    code = "unreadable_artefact"


class ArtefactTooLarge(UnreadableArtefact):
    """A file is over the size, ratio or line limit."""

    code = "artefact_too_large"
    http_status = 413


class ConfigError(BadInput):
    """slo.yaml is wrong; the message starts with file:line:column."""

    code = "config_error"


class BadRequest(BadInput):
    """Options or parameters that do not go together."""

    code = "bad_request"
    http_status = 400


class NotFound(PhasegateError):
    """No such run, phase or artefact."""

    code = "not_found"
    http_status = 404


class Busy(PhasegateError):
    """Not now; the same request may succeed later."""

    code = "busy"
    http_status = 503


class StoreLocked(Busy):
    """Another process, mostly a running server, holds the store."""

    code = "store_locked"


class NoSpace(Busy):
    """The disk has no room for it; there may be some later."""

    code = "no_space"
    http_status = 507


class StoreError(PhasegateError):
    """The store is damaged, or was written by a newer version."""

    code = "store_error"


class SourceError(PhasegateError):
    """A Prometheus of slo.yaml cannot be asked: how it is to be asked is wrong, as its address or its token."""

    code = "source_error"
    http_status = 502


class SourceDown(SourceError):
    """It is away, slow or overloaded; the same question may be answered later."""

    code = "source_down"


class QueryRefused(SourceError):
    """It does not understand the query, or the answer is none that can be kept."""

    code = "query_refused"


class ServerUnreachable(PhasegateError):
    """The server named with ``--server`` does not answer."""

    code = "server_unreachable"
    http_status = 502


def error_of(code: str) -> type[PhasegateError]:
    """The class with this code, for errors that arrive from another process; the root for an unknown one."""
    return next((kind for kind in _tree() if kind.code == code), PhasegateError)


def error_codes() -> tuple[str, ...]:
    """Every code of the tree."""
    return tuple(dict.fromkeys(kind.code for kind in _tree()))


def _tree() -> list[type[PhasegateError]]:
    kinds = [PhasegateError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return kinds
