"""Asks a Prometheus, or whatever speaks its HTTP API, within bounds: of time, bytes, series and points.

prometheus-api-client frames the requests; the session that it is given bounds them. Only what slo.yaml names is asked,
and nobody is followed elsewhere: redirects are off, and so are proxies, .netrc and certificates of the environment.
"""

from __future__ import annotations

import base64
import json
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Self

import numpy as np
import requests
from numpy.typing import NDArray
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3 import Retry, Timeout, disable_warnings
from urllib3.exceptions import InsecureRequestWarning

from data.errors import QueryRefused, SourceDown, SourceError
from data.pulled import Points
from data.sources import Connection

MOST_POINTS = 10_000
"""Per series in one request: Prometheus gives at most 11,000."""
MOST_OF_A_QUESTION = 200_000
"""Per series in all: eleven days in steps of 5 s."""
MOST_SERIES = 1_000
"""Per answer. An expression that gives more was meant to be aggregated."""
MOST_BYTES = 64 << 20
_PIECE = 1 << 16
_LONG = 2_000
"""Characters of a query that not every proxy lets pass in a URL: longer ones are posted."""
_WAITS_S = (0.3, 0.6)
"""Before what may pass, as an overload, is asked again: twice, and within the time of the question."""
_PASSES = frozenset({429, 502, 503, 504})
_NO_RETRIES = Retry(0, read=False)  # the library's know nothing of the time that is left
_REFUSED, _UNAUTHORISED, _OVERLOADED = frozenset({400, 422}), frozenset({401, 403}), frozenset({408, 429})
_SERVER_ERROR, _OK = 500, 200
_MOST_TOLD = 300
_LATEST_S = 253_402_300_800.0
"""The end of the year 9999, from 1970 on: no sample is of later."""


@dataclass(frozen=True)
class Answer:
    """What was found; ``warnings`` say that it is not all that there is."""

    series: tuple[Points, ...]
    warnings: tuple[str, ...] = ()


class Prometheus:
    """A source that is asked one question after the other, not from several threads at once."""

    def __init__(self, name: str, connection: Connection, environment: Mapping[str, str]) -> None:
        """``environment`` has the secrets that ``connection`` names.

        Raises:
            SourceError: it does not, or a file that ``connection`` names cannot be read.
        """
        self.name = name
        self._connection = connection
        for file in (connection.ca_file, connection.cert_file, connection.key_file):
            if file and not os.access(file, os.R_OK):
                raise SourceError(
                    f"{file}, a file of prometheus `{name}`, cannot be read",
                    help="check `tls` in slo.yaml; what is not absolute is looked for where Phasegate runs",
                )
        self._session = _Bounded(name, connection, _auth(name, connection, environment))
        self._api = PrometheusConnect(
            connection.url, headers=dict(connection.headers) or None, retry=_NO_RETRIES, session=self._session
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Release its connections."""
        self._api.close()

    def instant(self, promql: str, at: datetime) -> Answer:
        """What an expression comes to at a moment.

        Raises as :meth:`range` does.
        """
        found = self._ask(promql, lambda: self._api.custom_query(promql, {"time": at.timestamp(), **self._params}))
        return Answer(_series(self.name, promql, found, "value"), self._session.told())

    def range(self, promql: str, start: datetime, end: datetime, step_s: float) -> Answer:
        """What an expression comes to at ``start`` and every step from there to ``end``, which are whole seconds.

        Raises:
            SourceDown: the source is away, slow or overloaded.
            QueryRefused: it does not understand the expression, or answers what cannot be kept.
            SourceError: it does not let us in, or what answers is no Prometheus.
        """
        if (points := points_of(start, end, step_s)) > MOST_OF_A_QUESTION:
            raise QueryRefused(
                f"a run of {end - start} has {points:,} points in steps of {step_s:g} s: over {MOST_OF_A_QUESTION:,}",
                help="raise `step` of the source in slo.yaml; or is the time of the run wrong?",
            )
        pieces: list[Answer] = []
        whole = timedelta(seconds=step_s * (MOST_POINTS - 1))
        begin = start
        while begin <= end:
            until = min(begin + whole, end)
            found = self._ask(
                promql,
                lambda: self._api.custom_query_range(promql, begin, until, str(step_s), dict(self._params)),  # noqa: B023  # called at once
            )
            pieces.append(Answer(_series(self.name, promql, found, "values"), self._session.told()))
            begin += whole + timedelta(seconds=step_s)
        return _joined(pieces)

    def clock(self) -> datetime:
        """What time it is there. Raises as :meth:`range` does."""
        found = self._ask("time()", lambda: self._api.custom_query("time()", dict(self._params)))
        series = _series(self.name, "time()", found, "value")
        if len(series) != 1 or not 0 <= series[0].v[0] < _LATEST_S:
            raise SourceError(f"prometheus `{self.name}` answers time() with what is no time")
        return datetime.fromtimestamp(float(series[0].v[0]), UTC)

    def dated(self) -> datetime | None:
        """When the last answer was sent, by whoever sent it; ``None`` where it does not say."""
        return self._session.dated

    @property
    def _params(self) -> Mapping[str, str]:
        return self._connection.params

    def _ask(self, promql: str, ask: Any) -> Any:  # noqa: ANN401  # the library's own types
        try:
            return ask()
        except PrometheusApiClientException as error:  # our session refuses first; should the library ever
            raise SourceError(f"{self.name} refused {promql}: {str(error)[:_MOST_TOLD]}") from error
        except requests.exceptions.SSLError as error:
            untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)  # else it refuses us
            wrong = "has no certificate that is trusted" if untrusted else "does not agree to TLS with us"
            help = "name its authority" if untrusted else "name a certificate of ours that it trusts"
            how = "`tls: {ca_file: ...}`" if untrusted else "`tls: {cert_file: ..., key_file: ...}`"
            raise SourceError(
                f"{self._connection.url} of prometheus `{self.name}` {wrong}", help=f"{help} with {how}"
            ) from error
        except requests.exceptions.Timeout as error:
            raise _slow(self.name, self._connection) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SourceError(
                f"what answers at {self._connection.url} is no Prometheus: its answer to {promql} cannot be read",
                help=f"check `url` of prometheus `{self.name}` in slo.yaml; some serve the API under a path",
            ) from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise SourceDown(
                f"prometheus `{self.name}` does not answer at {self._connection.url}",
                help="see that it is up and can be reached from here; `phasegate prometheus pull RUN` asks again",
            ) from error


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Bounded(requests.Session):
    """Reads no more than ``MOST_BYTES`` of an answer and for no longer than its time; keeps what it warned of."""

    def __init__(self, name: str, connection: Connection, auth: AuthBase | None) -> None:
        super().__init__()
        self.trust_env = False
        self._name, self._connection, self._who = name, connection, auth
        self.verify = connection.ca_file or connection.verify
        if not self.verify:
            disable_warnings(InsecureRequestWarning)  # slo.yaml says so
        if connection.cert_file:
            self.cert = (connection.cert_file, connection.key_file) if connection.key_file else connection.cert_file
        self._warnings: tuple[str, ...] = ()
        self.dated: datetime | None = None

    def told(self) -> tuple[str, ...]:
        """The warnings of the last answer."""
        return self._warnings

    def request(self, method: str, url: str, **given: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401
        """As the library calls it, within bounds.

        Raises:
            SourceError, SourceDown, QueryRefused: the answer is not 200, too long or too slow.
        """
        self._warnings = ()
        until = time.monotonic() + self._connection.timeout_s
        given |= {"auth": self._who, "allow_redirects": False, "stream": True}
        promql = given["params"]["query"]
        if len(promql) > _LONG:
            method, given["data"], given["params"] = "POST", given["params"], None
        response = self._patiently(method, url, until, given)
        self.dated = _date_of(response)
        if response.status_code != _OK:
            raise _refusal(self._name, self._connection, promql, response)
        if b'"warnings"' in response.content:
            self._warnings = tuple(str(one)[:_MOST_TOLD] for one in response.json().get("warnings") or ())
        return response

    def _patiently(self, method: str, url: str, until: float, given: Mapping[str, Any]) -> requests.Response:
        """The answer, after what passes has passed: a server that is overloaded, or begins anew."""
        for wait_s in _WAITS_S:
            with suppress(requests.exceptions.ConnectionError):
                response = self._once(method, url, until, given)
                if response.status_code not in _PASSES or time.monotonic() + wait_s > until:
                    return response
            time.sleep(wait_s)
        return self._once(method, url, until, given)

    def _once(self, method: str, url: str, until: float, given: Mapping[str, Any]) -> requests.Response:
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise _slow(self._name, self._connection)
        try:
            with super().request(method, url, **{**given, "timeout": Timeout(total=left_s)}) as response:
                response._content = self._read(response, until)  # noqa: SLF001  # so that the library finds it read
        except requests.exceptions.RequestException as error:
            if time.monotonic() >= until:
                raise _slow(self._name, self._connection) from error
            raise
        return response

    def _read(self, response: requests.Response, until: float) -> bytes:
        content = bytearray()
        with _hung_up(response, until):
            for piece in response.iter_content(_PIECE):
                content += piece
                if len(content) > MOST_BYTES:
                    raise QueryRefused(
                        f"prometheus `{self._name}` answers with more than {MOST_BYTES >> 20} MiB",
                        help="aggregate in the expression (`sum by`), or ask in longer steps",
                    )
                if time.monotonic() >= until:
                    break
        if time.monotonic() >= until:
            raise _slow(self._name, self._connection)
        return bytes(content)


@contextmanager
def _hung_up(response: requests.Response, until: float) -> Iterator[None]:
    """End an answer when its time is over: a byte now and then would keep any timeout of a socket from it."""

    def hang_up() -> None:
        with suppress(OSError, ValueError, RuntimeError):  # it has ended meanwhile
            response.raw.shutdown()

    timer = threading.Timer(max(0.0, until - time.monotonic()), hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _date_of(response: requests.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None


def _auth(name: str, connection: Connection, environment: Mapping[str, str]) -> AuthBase | None:
    def secret(variable: str) -> str:
        if not (value := environment.get(variable)):
            raise SourceError(
                f"{variable}, by which prometheus `{name}` lets us in, is not set", help="set it where Phasegate runs"
            )
        if not value.isprintable():
            raise _unfit(variable)
        return value

    if connection.bearer_env:
        token = secret(connection.bearer_env)
        if not token.isascii():
            raise _unfit(connection.bearer_env)
        return _Bearer(token)
    if connection.username_env and connection.password_env:
        return HTTPBasicAuth(secret(connection.username_env).encode(), secret(connection.password_env).encode())
    return None


def _unfit(variable: str) -> SourceError:
    return SourceError(
        f"{variable} holds what no header can carry", help="set it without line breaks, a token in ASCII"
    )


def _slow(name: str, connection: Connection) -> SourceDown:
    return SourceDown(
        f"prometheus `{name}` has not answered within {connection.timeout_s:g} s",
        help="raise its `timeout` in slo.yaml, or ask for less: a longer `step`, a recording rule",
    )


def _refusal(name: str, connection: Connection, promql: str, response: requests.Response) -> SourceError:
    status, told = response.status_code, _told(response)
    who = f"prometheus `{name}`"
    if status in _REFUSED:
        return QueryRefused(f"{who} refuses `{promql[:_MOST_TOLD]}`: {told}", help="mend it in slo.yaml")
    if status in _UNAUTHORISED:
        known = connection.bearer_env or connection.username_env
        help = f"check {known}" if known else "name a token: `auth: {bearer_env: VARIABLE}`"
        return SourceError(f"{who} does not let us in ({status})", help=help)
    if status >= _SERVER_ERROR or status in _OVERLOADED:
        return SourceDown(f"{who} cannot answer now ({status}): {told}", help="it is asked again later")
    where = " and sends us elsewhere, where we do not go" if response.is_redirect else ""
    return SourceError(f"{who} answers {status}{where}", help=f"check its `url` in slo.yaml: {connection.url}")


def _told(response: requests.Response) -> str:
    """What an answer says of itself, on one line, no more than a reader wants, and nothing of who we are."""
    try:
        told = str(json.loads(response.content)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        told = response.content[: 10 * _MOST_TOLD].decode(errors="replace")
    for secret in _secrets(response.request.headers.get("Authorization", "")):
        told = told.replace(secret, "***")
    return "".join(c if c.isprintable() else " " for c in told)[:_MOST_TOLD].strip() or "without a reason"


def _secrets(authorization: str | bytes) -> Iterator[str]:
    """What is secret in a header: as it was sent, and, of a password, as it is."""
    sent = authorization.decode() if isinstance(authorization, bytes) else authorization
    kind, _, given = sent.partition(" ")
    if given:
        yield given
    if kind == "Basic":
        yield base64.b64decode(given).decode().partition(":")[2]


def _series(name: str, promql: str, result: Any, key: str) -> tuple[Points, ...]:  # noqa: ANN401  # JSON from outside
    """The series of an answer, checked."""
    if key == "value" and isinstance(result, list) and len(result) == 2 and not isinstance(result[0], dict):  # noqa: PLR2004
        result = [{"metric": {}, "value": result}]  # a scalar is its time and its value
    if not isinstance(result, list) or not all(isinstance(one, dict) for one in result):
        raise SourceError(f"prometheus `{name}` answers {promql} with what is no series of numbers")
    if len(result) > MOST_SERIES:
        raise QueryRefused(
            f"{promql} gives {len(result):,} series; at most {MOST_SERIES:,} are kept",
            help="aggregate in the expression (`sum by`), or narrow it by labels",
        )
    found = [_found(name, promql, one, key) for one in result]
    if len({tuple(sorted(one.labels.items())) for one in found}) < len(found):
        raise SourceError(f"prometheus `{name}` answers {promql} with the same series twice")
    return tuple(found)


def _found(name: str, promql: str, one: Any, key: str) -> Points:  # noqa: ANN401  # JSON from outside
    if key not in one and (f"histogram{'s' * (key == 'values')}") in one:
        raise QueryRefused(
            f"{promql} gives native histograms, not numbers", help="ask for a quantile: histogram_quantile(0.95, ...)"
        )
    try:
        points: Sequence[Any] = one[key] if key == "values" else [one[key]]
        times, values = zip(*points, strict=True) if points else ((), ())
        t, v = _times(times), _values(values)
        labels = {str(key): str(value) for key, value in one["metric"].items() if value}
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise SourceError(f"prometheus `{name}` answers {promql} with what is no series of numbers") from error
    if np.any(np.diff(t) <= 0):
        raise SourceError(f"prometheus `{name}` answers {promql} with points that are not in order")
    return Points(labels, t, v)


def _times(given: Sequence[Any]) -> NDArray[np.int64]:
    """Microseconds since 1970, from seconds with milliseconds."""
    at = np.array(given, dtype=np.float64)
    if not np.all((at >= 0) & (at < _LATEST_S)):
        raise ValueError(given)
    return np.rint(at * 1e3).astype(np.int64) * 1000


def _values(given: Sequence[Any]) -> NDArray[np.float64]:
    """Values, which are texts: JSON has no NaN and no infinity."""
    if not all(isinstance(value, str) for value in given):
        raise TypeError(given)
    return np.array(given, dtype=np.float64)


def _joined(pieces: Sequence[Answer]) -> Answer:
    """One answer from those of consecutive times."""
    if len(pieces) == 1:
        return pieces[0]
    parts: dict[tuple[tuple[str, str], ...], list[Points]] = {}
    for piece in pieces:
        for one in piece.series:
            parts.setdefault(tuple(sorted(one.labels.items())), []).append(one)
    series = tuple(
        Points(of[0].labels, np.concatenate([one.t for one in of]), np.concatenate([one.v for one in of]))
        for of in parts.values()
    )
    return Answer(series, tuple(dict.fromkeys(told for piece in pieces for told in piece.warnings)))


def points_of(start: datetime, end: datetime, step_s: float) -> int:
    """How many points a range has."""
    return math.floor((end - start).total_seconds() / step_s) + 1
