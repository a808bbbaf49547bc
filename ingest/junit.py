"""JUnit XML as test runners write it, into a value; bounded while it is read, for whoever wrote it may mean harm.

There is no standard, only what Ant began and pytest, Surefire, Gradle, Jest, gotestsum and k6's own jslib write. What
cannot be read is an error and never a smaller number of failures.
"""

from __future__ import annotations

import codecs
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.parsers.expat import errors as expat

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser
from junitparser import Attr, Error, Failure, Skipped, xunit2
from junitparser import Element as JUnitElement

from data.errors import ArtefactTooLarge, UnreadableArtefact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest.limits import Limits

Outcome = Literal["passed", "failed", "errored", "skipped"]

E = TypeVar("E", bound=JUnitElement)

ROOTS = frozenset({"testsuites", "testsuite"})
"""The root elements by which a JUnit report is known."""

_UNREAD = frozenset(
    {"properties", "system-out", "system-err", "stacktrace", "output", "attachments", "traits", "tags", "description"}
)
"""Elements that say nothing of whether a test passed, and may be large."""
_OF_A_SUITE = {name: name for name in ("testsuite", "testcase", "failure", "error", "skipped")}
_OF_A_CASE = {
    name.lower(): name
    for name in ("testcase", "failure", "error", "skipped", "rerunFailure", "rerunError", "flakyFailure", "flakyError")
}
_INSIDE = {"testsuites": _OF_A_SUITE, "testsuite": _OF_A_SUITE, "testcase": _OF_A_CASE}
"""Elements that are understood, by those that they are in; any other may be a result, and is taken for an error."""
_COUNTS = ("tests", "failures", "errors")
_READ = frozenset({"name", "classname", "time", "status", "result", *_COUNTS})
"""Attributes that are kept; messages and texts are not: the file itself is."""
_STATUSES: dict[str, Outcome] = {
    **dict.fromkeys(("passed", "pass", "success", "successful", "succeeded", "ok"), "passed"),
    **dict.fromkeys(("run", "completed", "fixed"), "passed"),  # CTest and GoogleTest, where no element says otherwise
    **dict.fromkeys(("notrun", "disabled", "suppressed", "skipped", "skip", "ignored"), "skipped"),
    **dict.fromkeys(("pending", "todo", "untested", "excluded", "xfail"), "skipped"),
    **dict.fromkeys(("failed", "failure", "fail"), "failed"),
}
"""What ``status`` and ``result`` of a case mean; any other is an error."""
_PYTEST = frozenset({"pytest", "pytest tests"})
"""What pytest calls its suite, and since version 8.3 its report."""
_ELEMENTS_OF_A_CASE = 10
_LARGEST = 1e9  # seconds or failures: more is no measurement
_BEFORE_ROOT = re.compile(rb"\s*(<\?|<!--)")
_ROOT = re.compile(rb"\s*<(?:!DOCTYPE\s+)?(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)")
_AGAIN = "let the test runner write it again, and give the file that it wrote"


@dataclass(frozen=True, slots=True)
class Case:
    """One ``<testcase>``. ``flaky``: it passed after failing, as its own reruns say; ``duration_s`` if it is told."""

    classname: str
    name: str
    outcome: Outcome
    flaky: bool = False
    duration_s: float | None = None


@dataclass(frozen=True)
class Suite:
    """One ``<testsuite>`` without those inside it; ``within`` are the names of those around it, the outermost first.

    ``unshown`` failures are counted by it, but belong to no case. ``counted`` are the failures and errors that it says
    it has, those inside it included; ``None`` where it does not say both.
    """

    name: str
    cases: tuple[Case, ...]
    unshown: int = 0
    within: tuple[str, ...] = ()
    counted: int | None = None


@dataclass(frozen=True)
class TestReport:
    """What one file says; ``name`` is what its user calls it."""

    __test__ = False  # pytest takes every class of this name for a test

    name: str
    suites: tuple[Suite, ...]


class _Case(xunit2.TestCase):
    time = Attr()  # text: junitparser raises where it is no number
    status = Attr()  # GoogleTest and CTest have no element for what did not run
    result = Attr()


class _Suite(xunit2.TestSuite):
    testcase = _Case
    tests = Attr()  # text: junitparser would count what it does not find
    failures = Attr()
    errors = Attr()


class _Report(xunit2.JUnitXml):
    testsuite = _Suite
    tests = Attr()
    failures = Attr()
    errors = Attr()


def root_of(start: bytes) -> str | None:
    """The name of the root element of XML that starts so, without its namespace; ``None`` where there is none.

    A DOCTYPE names the root, too.
    """
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in start[:2]:
        big = start.startswith(codecs.BOM_UTF16_BE) or start[:1] == b"\0"
        text = start.decode("utf-16-be" if big else "utf-16-le", "ignore").encode().replace("\ufeff".encode(), b"")
    else:
        text = start.removeprefix(codecs.BOM_UTF8)
    at = 0
    while passed := _BEFORE_ROOT.match(text, at):
        end = b"?>" if passed[1] == b"<?" else b"-->"
        if (found := text.find(end, passed.end())) < 0:
            return None
        at = found + len(end)
    root = _ROOT.match(text, at)
    return root[1].decode() if root else None


def check_junit_size(name: str, size: int, limits: Limits) -> None:
    """Refuse a report before it is in memory.

    Raises:
        ArtefactTooLarge: it has more bytes than ``limits`` allow.
    """
    if size > limits.junit_bytes:
        raise ArtefactTooLarge(
            f"{name} has {size:,} bytes; at most {limits.junit_bytes:,} of JUnit XML are read",
            help="leave out what tests print (system-out), or split the report",
        )


def read_report(content: bytes, name: str, limits: Limits) -> TestReport:
    """Read a report.

    Raises:
        ArtefactTooLarge: it has more bytes, cases, elements or longer names than ``limits`` allow.
        UnreadableArtefact: it is no well-formed JUnit XML, declares a DTD, or counts in something else than numbers.
    """
    check_junit_size(name, len(content), limits)
    builder = _Bounded(name, limits)
    with _explained(content, name):
        # All at once: expat reads a long token again with each piece. Never a path: junitparser would open URLs.
        parser = XMLParser(target=builder, forbid_dtd=True)
        parser.feed(content)
        root: Element = parser.close()
    if root.tag not in ROOTS:
        raise UnreadableArtefact(
            f"{name} is XML, but no JUnit report: its root is <{root.tag[:60]}>, not <testsuites> or <testsuite>",
            help="give the file that the test runner writes as JUnit XML (pytest --junitxml, Surefire, jest-junit)",
        )
    report = _Report.fromroot(root)  # type: ignore[arg-type]  # it says its own Element, and means ElementTree's
    by_pytest = report.name in _PYTEST
    read = [_suites(suite, by_pytest=by_pytest) for suite in _children(report, _Suite)]
    suites = [one for found, *_ in read for one in found]
    if (shown := sum(len(suite.cases) for suite in suites)) != builder.seen["testcase"]:
        raise UnreadableArtefact(
            f"{builder.seen['testcase'] - shown:,} of {builder.seen['testcase']:,} test cases in {name} belong to no "
            "<testsuite>",
            help=_AGAIN,
        )
    own = len([*_children(report, Failure), *_children(report, Error)])
    beyond = max(own, _said(report.failures, report.errors) - sum(told for _, told, _ in read))
    beyond += max(0, _said(report.tests) - beyond - sum(ran for *_, ran in read))
    if beyond > 0:
        suites.append(Suite("", (), beyond))
    return TestReport(name, tuple(suites))


class _Bounded(TreeBuilder):
    """Builds of a document what is read of it, and no more than may be."""

    def __init__(self, name: str, limits: Limits) -> None:
        super().__init__()
        self.seen = {"testcase": 0, "testsuite": 0}
        self._name = name
        self._limits = limits
        self._depth = self._elements = 0
        self._open: list[str] = []  # the elements that are read and have not ended
        self._unread_at = 0  # the depth of an element that is passed over with all that is in it

    def start(self, tag: str, attributes: dict[str, str], /) -> Element | None:  # type: ignore[override]
        """An element begins."""
        self._depth += 1
        self._elements += 1
        limits = self._limits
        if self._depth > limits.junit_depth:
            raise self._too_large(f"is nested more than {limits.junit_depth} deep")
        if self._elements > limits.junit_cases * _ELEMENTS_OF_A_CASE:
            raise self._too_large(f"has more than {limits.junit_cases * _ELEMENTS_OF_A_CASE:,} elements")
        local = tag.rpartition("}")[2]
        if self._unread_at or (local.lower() in _UNREAD and self._depth > 1):
            self._unread_at = self._unread_at or self._depth
            return None
        if known := _INSIDE.get(self._open[-1]) if self._open else None:
            local = known.get(local.lower(), "error")
        self._open.append(local)
        if local in self.seen:
            self.seen[local] += 1
            if self.seen[local] > limits.junit_cases:
                raise self._too_large(f"has more than {limits.junit_cases:,} of <{local}>")
        kept = {key: value for key, value in attributes.items() if key in _READ}
        if any(len(value) > limits.junit_characters for value in kept.values()):
            raise self._too_large(f"has a name of more than {limits.junit_characters:,} characters")
        for what in _COUNTS if local in ROOTS else ():
            text = kept.get(what, "")
            if text.strip() and ((number := _number(text)) is None or not number.is_integer()):
                raise UnreadableArtefact(
                    f"{self._name} has a <{local}> with {what}={text[:40]!r}, which is no number of tests", help=_AGAIN
                )
        return super().start(local, kept)

    def end(self, _tag: str, /) -> Element | None:  # type: ignore[override]
        """An element ends."""
        unread = self._unread_at
        if unread == self._depth:
            self._unread_at = 0
        self._depth -= 1
        return None if unread else super().end(self._open.pop())

    def data(self, _text: str, /) -> None:
        """Text is not kept."""

    def _too_large(self, how: str) -> ArtefactTooLarge:
        return ArtefactTooLarge(f"{self._name} {how}", help="split the report, and name its tests as people would")


@contextmanager
def _explained(content: bytes, name: str) -> Iterator[None]:
    """What the parser raises, as an error of ours."""
    try:
        yield
    except DefusedXmlException as error:
        raise UnreadableArtefact(
            f"{name} declares a DTD or entities, which no test report needs", help=_AGAIN
        ) from error
    except ParseError as error:
        line, column = error.position
        what = expat.messages.get(error.code, "not well-formed")
        if what == expat.XML_ERROR_INVALID_TOKEN and not _is_utf8(content):
            what = "the text is not in the encoding that it says, which is UTF-8 where nothing is said"
        elif what in {expat.XML_ERROR_NO_ELEMENTS, expat.XML_ERROR_UNCLOSED_TOKEN}:
            what = f"it ends early ({what})"
        raise UnreadableArtefact(
            f"{name} is not well-formed XML: {what}, at line {line}, column {column + 1}",
            help="is it complete? A runner that was killed leaves half a report; run the tests again",
        ) from error
    except (ValueError, LookupError) as error:  # of encodings that expat leaves to Python
        raise UnreadableArtefact(
            f"{name} is in an encoding that cannot be read: {error}", help="write UTF-8"
        ) from error


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _suites(suite: _Suite, within: tuple[str, ...] = (), *, by_pytest: bool = False) -> tuple[list[Suite], int, int]:
    """A suite and those inside it, and how many failures and how many tests they account for."""
    name = suite.name or ""
    inner = [_suites(child, (*within, name), by_pytest=by_pytest) for child in _children(suite, _Suite)]
    cases = [_case(case) for case in _children(suite, _Case)]
    # What is no case's own, as where a fixture of all its tests fails.
    unshown = len([*_children(suite, Failure), *_children(suite, Error)])
    told = unshown + sum(results for _, results in cases) + sum(results for _, results, _ in inner)
    # What it counts and nothing shows failed all the same. Reruns and soft assertions may show more than is counted.
    failures = _said(suite.failures, suite.errors)
    beyond = max(0, failures - told)
    # So did a test that it counts and does not show. Only pytest counts subtests, and what its teardown broke twice.
    ran = unshown + beyond + len(cases) + sum(tests for *_, tests in inner)
    missing = 0 if by_pytest or name in _PYTEST else max(0, _said(suite.tests) - ran)
    found = [one for suites, *_ in inner for one in suites]
    if cases or unshown + beyond + missing or not inner:
        counted = failures if suite.failures and suite.errors else None
        found.insert(0, Suite(name, tuple(case for case, _ in cases), unshown + beyond + missing, within, counted))
    return found, told + beyond, max(ran, _said(suite.tests))


def _children(parent: JUnitElement, kind: type[E]) -> Iterator[E]:
    found: Iterator[E] = parent.iterchildren(kind)
    return found


def _said(*counts: str | None) -> int:
    """How many a suite says that it has, those inside it included; 0 where it does not say."""
    return sum(round(_number(text) or 0) for text in counts)


def _case(case: _Case) -> tuple[Case, int]:
    """A case, and how many of its results may have been counted as a failure."""
    # Read once: each of junitparser's own questions goes through the element again.
    results = [type(entry) for entry in case if isinstance(entry, Error | Failure | Skipped | xunit2.InterimResult)]
    found = set(results)
    said = {_STATUSES.get(text.strip().lower(), "errored") for text in (case.status, case.result) if text}
    outcome: Outcome = "passed"
    if Error in found or "errored" in said:
        outcome = "errored"
    elif Failure in found or "failed" in said:
        outcome = "failed"
    elif Skipped in found or "skipped" in said:
        outcome = "skipped"
    rerun = any(issubclass(kind, xunit2.InterimResult) for kind in found)
    flaky = rerun and outcome == "passed"
    read = Case(case.classname or "", case.name or "", outcome, flaky, _number(case.time))
    return read, max(sum(kind is not Skipped for kind in results), outcome in {"failed", "errored"})


def _number(text: str | None) -> float | None:
    """A number as runners write it, some with commas between thousands; ``None`` where it is none that can be."""
    try:
        number = float((text or "").replace(",", ""))
    except ValueError:
        return None
    return number if 0 <= number <= _LARGEST else None  # not a number is neither
