"""Reports of tests as their runners write them become facts, and what cannot be read becomes no good news."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import ArtefactTooLarge, BadInput, UnreadableArtefact
from data.facts import Facts, facts_of, pairs_of
from ingest import junit, junit_facts
from ingest.limits import Limits
from slo.criterion import Criterion

FILES = Path(__file__).parent / "junit"
LIMITS = Limits()
OK = '<testcase classname="c" name="t" time="1"/>'
FAIL = '<testcase classname="c" name="t" time="1"><failure/></testcase>'
SKIP = '<testcase classname="c" name="t"><skipped/></testcase>'


def read(content: bytes | str, name: str = "r.xml", limits: Limits = LIMITS) -> junit.TestReport:
    return junit.read_report(content.encode() if isinstance(content, str) else content, name, limits)


def suite(*cases: str, name: str = "s") -> str:
    return f'<testsuite name="{name}">{"".join(cases)}</testsuite>'


def facts(*reports: str) -> Facts:
    return junit_facts.facts_of_tests([read(content, f"r{i}.xml") for i, content in enumerate(reports)])


def counts(found: Facts) -> dict[str, object]:
    names = ("total", "passed", "failed", "errors", "skipped", "flaky", "inconsistent", "duration_s")
    return {name: found[f"tests.{name}"] for name in names if f"tests.{name}" in found}


RUNNERS = {
    "pytest.xml": (9, 3, 4, 2, 2, 0),
    "surefire-flaky.xml": (5, 2, 2, 1, 1, 1),
    "gradle-reruns.xml": (4, 1, 3, 0, 0, 0),
    "jest.xml": (3, 1, 1, 0, 1, 0),
    "gotestsum.xml": (4, 2, 1, 0, 1, 0),
    "k6-thresholds.xml": (2, 1, 1, 0, 0, 0),
    "googletest.xml": (2, 1, 0, 0, 1, 0),
    "ctest.xml": (4, 1, 1, 0, 2, 0),
    "pytest-subtests.xml": (3, 2, 1, 1, 0, 0),
    "phpunit-nested.xml": (3, 2, 1, 0, 0, 0),
}
"""Total, passed, failed, errors, skipped, flaky."""


@pytest.mark.parametrize(("name", "expected"), RUNNERS.items(), ids=RUNNERS)
def test_what_runners_write_is_counted(name: str, expected: tuple[int, ...]) -> None:
    found = junit_facts.facts_of_tests([read((FILES / name).read_bytes(), name)])
    kinds = ("total", "passed", "failed", "errors", "skipped", "flaky")
    assert tuple(found[f"tests.{kind}"] for kind in kinds) == expected
    assert found["tests.total"] == sum(expected[i] for i in (1, 2, 4))
    assert found["tests.inconsistent"] == 0


TESTS = """
import pytest

@pytest.mark.parametrize("n", [1, 2, "a b/ü<"])
def test_numbers(n):
    assert n != 2

@pytest.mark.skip
def test_left_out(): pass

@pytest.fixture
def broken(): raise ValueError

def test_setup(broken): pass
"""


def test_what_pytest_writes_here_is_read(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--junitxml", "r.xml", "test_it.py"]
    subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, check=False)
    found = junit_facts.facts_of_tests([read((tmp_path / "r.xml").read_bytes())])
    assert counts(found) | {"duration_s": 0} == {
        "total": 5, "passed": 2, "failed": 2, "errors": 1, "skipped": 1, "flaky": 0, "inconsistent": 0, "duration_s": 0,
    }  # fmt: skip
    assert found["tests.failed_names"] == "test_it::test_numbers[2], test_it::test_setup"


TRIES = {
    "failed, then passed": ((FAIL, OK), (2, 1, 1, 0)),
    "failed twice, then passed": ((FAIL, FAIL, OK), (3, 1, 2, 0)),
    "passed, then failed": ((OK, FAIL), (2, 1, 1, 0)),
    "data rows of one name": ((FAIL, OK, OK), (3, 2, 1, 0)),
    "failed each time": ((FAIL, FAIL), (2, 0, 2, 0)),
    "failed, then skipped": ((FAIL, SKIP), (2, 0, 1, 0)),
    "tests without a name": (
        ('<testcase classname="c"><failure/></testcase>', '<testcase classname="c"/>'),
        (2, 1, 1, 0),
    ),
    "a rerun that failed, in one case": (("<testcase name='t'><failure/><flakyFailure/></testcase>",), (1, 0, 1, 0)),
    "a rerun that passed, in one case": (("<testcase name='t'><rerunError/></testcase>",), (1, 1, 0, 1)),
    "skipped and failed": (("<testcase name='t'><skipped/><error/></testcase>",), (1, 0, 1, 0)),
    "failed by its status": (('<testcase name="t" status="failed"/>',), (1, 0, 1, 0)),
}
"""Total, passed, failed, flaky."""


@pytest.mark.parametrize(("cases", "expected"), TRIES.values(), ids=TRIES)
def test_cases_of_one_name_count_for_themselves(cases: tuple[str, ...], expected: tuple[int, ...]) -> None:
    found = facts(suite(*cases))
    assert tuple(found[f"tests.{kind}"] for kind in ("total", "passed", "failed", "flaky")) == expected


OTHER = FAIL.replace('"t"', '"u"')
SOFT = '<testcase name="v"><failure/><failure/></testcase>'
COUNTED = {
    "tries that are not counted": ('failures="0" errors="0"', (FAIL, FAIL, OK), (1, 1, 0, 1)),
    "beside what failed": ('failures="1" errors="0"', (FAIL, OTHER, OK), (2, 1, 1, 1)),
    "tries or data rows, counted": ('failures="1" errors="0"', (FAIL, OK), (2, 1, 1, 0)),
    "some counted": ('failures="2" errors="0"', (FAIL, FAIL, OTHER, OK), (4, 1, 3, 0)),
    "errors not counted at all": ('failures="0"', (FAIL, OK), (2, 1, 1, 0)),
    "a failure in place of a try": ('failures="0" errors="1"', (FAIL, OK), (2, 1, 1, 0)),
    "soft assertions": ('failures="2" errors="0"', (FAIL, SOFT, OK), (3, 1, 2, 0)),
    "more cases after the pass": ('failures="0" errors="0"', (FAIL, OK, OK), (3, 2, 1, 0)),
    "a pass first": ('failures="0" errors="0"', (OK, FAIL), (2, 1, 1, 0)),
    "what failed inside": ('failures="1" errors="0"', (FAIL, OK, suite(OTHER)), (3, 1, 2, 0)),
}
"""Total, passed, failed, flaky."""


@pytest.mark.parametrize(("counted", "cases", "expected"), COUNTED.values(), ids=COUNTED)
def test_what_failed_and_then_passed_was_run_again_where_the_suite_counts_it_so(
    counted: str, cases: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    found = facts(f'<testsuite name="s" {counted}>{"".join(cases)}</testsuite>')
    assert tuple(found[f"tests.{kind}"] for kind in ("total", "passed", "failed", "flaky")) == expected


STATUSES = {
    "passed": ("passed", "PASS", "Success", "ok", "run", "completed", ""),
    "skipped": ("notrun", "Disabled", "suppressed", "SKIPPED", "ignored", "pending", "xfail"),
    "failed": ("failed", "FAILURE", "fail"),
    "errors": ("error", "timeout", "aborted", "broken", "Inconclusive", "flaky", "undefined", "no", "0", " "),
}


@pytest.mark.parametrize("attribute", ["status", "result"])
@pytest.mark.parametrize(("outcome", "status"), [(kind, said) for kind in STATUSES for said in STATUSES[kind]])
def test_a_status_that_is_not_known_is_an_error(outcome: str, status: str, attribute: str) -> None:
    for count in ("", ' failures="1"' if outcome in {"failed", "errors"} else ' failures="0"'):
        found = facts(f'<testsuite name="s"{count}>{OK}<testcase name="u" {attribute}="{status}"/></testsuite>')
        assert found["tests.total"] == 2
        assert found["tests.passed"] == 1 + (outcome == "passed")
        assert found["tests.skipped"] == (outcome == "skipped")
        assert found["tests.failed"] == (outcome in {"failed", "errors"})
        assert found["tests.errors"] == (outcome == "errors")


@pytest.mark.parametrize(
    ("child", "failed", "errors"),
    [
        ("<failed/>", 1, 1), ("<Failure/>", 1, 0), ("<ERROR/>", 1, 1), ("<timeout/>", 1, 1), ("<warning/>", 1, 1),
        ("<results><failure/></results>", 1, 1), ('<testsuite failures="1"/>', 1, 1), ("<x:failure/>", 1, 0),
        ("<properties><failed/></properties>", 0, 0), ("<System-Out>failure</System-Out>", 0, 0), ("<output/>", 0, 0),
    ],
)  # fmt: skip
def test_an_element_that_is_not_known_is_an_error(child: str, failed: int, errors: int) -> None:
    found = facts(f'<testsuite name="s" xmlns:x="urn:x">{OK}<testcase name="u">{child}</testcase></testsuite>')
    assert counts(found) == {
        "total": 2, "passed": 2 - failed, "failed": failed, "errors": errors, "skipped": 0, "flaky": 0,
        "inconsistent": 0,
    }  # fmt: skip


@pytest.mark.parametrize("child", ["<failed/>", "<Error/>", "<rerunFailure/>", "<testsuites/>"])
def test_nor_may_a_suite_have_one(child: str) -> None:
    for content in (suite(OK, child), f"<testsuites>{suite(OK)}{child}</testsuites>"):
        assert counts(facts(content))["failed"] == 1


@pytest.mark.parametrize("root", ["testsuite", "testsuites"])
@pytest.mark.parametrize("what", ["failures", "errors", "tests"])
@pytest.mark.parametrize("count", ["many", "10000000000", "1e308", "-1", "0.4", "nan", "1 of 2"])
def test_a_count_that_is_none_is_an_error(root: str, what: str, count: str) -> None:
    content = f'<{root} {what}="{count}">{OK if root == "testsuite" else suite(OK)}</{root}>'
    with pytest.raises(UnreadableArtefact, match=rf"r\.xml has a <{root}> with {what}='{count}'") as refused:
        read(content)
    assert refused.value.help


@pytest.mark.parametrize(
    ("content", "total", "failed"),
    [
        (f'<testsuite tests="50">{OK}</testsuite>', 50, 49),
        (f'<testsuites tests="50">{suite(OK)}</testsuites>', 50, 49),
        (f'<testsuites tests="4"><testsuite tests="3">{OK}</testsuite></testsuites>', 4, 3),
        (f'<testsuite tests="3"><testsuite tests="3">{OK}</testsuite></testsuite>', 3, 2),
        (f'<testsuite tests="4" failures="1">{OK}{SKIP}</testsuite>', 4, 2),
        ('<testsuite tests="2"/>', 2, 2),
        (f'<testsuite tests="1">{OK}{SKIP}</testsuite>', 2, 0),
        (f'<testsuite tests="1,000" failures="" errors=" ">{OK * 1000}</testsuite>', 1000, 0),
    ],
)
def test_a_test_that_is_counted_and_not_shown_has_failed(content: str, total: int, failed: int) -> None:
    found = facts(content)
    assert (found["tests.total"], found["tests.failed"]) == (total, failed)
    assert found["tests.total"] == sum(float(found[f"tests.{kind}"]) for kind in ("passed", "failed", "skipped"))


@pytest.mark.parametrize("order", [1, -1])
def test_a_test_that_passes_alone_and_fails_together_has_failed_in_any_order(order: int) -> None:
    found = facts(*[suite(OK, name="alone"), suite(FAIL, name="together")][::order])
    assert (found["tests.failed"], found["tests.flaky"], found["tests.inconsistent"]) == (1, 0, 1)
    alone, together = ("r0.xml", "r1.xml")[::order]
    assert found["tests.inconsistent_names"] == f"c::t (fails in {together}, passes in {alone})"
    assert Criterion.parse("tests.failed == 0").judge(found).state == "missed"
    assert Criterion.parse("tests.failed == tests.inconsistent").judge(found).state == "met"


def test_suites_of_one_report_are_places_too() -> None:
    found = facts(f"<testsuites>{suite(OK, name='alone')}{suite(FAIL, name='together')}</testsuites>")
    assert found["tests.inconsistent_names"] == "c::t (fails in r0.xml together, passes in r0.xml alone)"


@pytest.mark.parametrize("content", ["<testsuites/>", suite(), f"<testsuites>{suite()}{suite()}</testsuites>"])
def test_without_a_case_nothing_is_said_of_failures(content: str) -> None:
    found = facts(content)
    assert counts(found) == {"total": 0}
    assert Criterion.parse("tests.failed == 0").judge(found).state == "no_data"
    assert Criterion.parse("tests.total > 0").judge(found).state == "missed"


def test_nor_where_every_test_was_skipped() -> None:
    found = facts(suite(SKIP, SKIP))
    assert counts(found) == {"total": 2, "skipped": 2}
    assert "tests.suite.s.failed" not in found


@pytest.mark.parametrize(
    ("content", "failed"),
    [
        ('<testsuite name="s" tests="3" failures="2">' + OK + "</testsuite>", 2),
        ('<testsuites failures="1"><testsuite>' + OK + "</testsuite></testsuites>", 1),
        ('<testsuite name="s"><error message="its fixture"/>' + OK + "</testsuite>", 1),
        ("<testsuites><error/>" + suite(OK) + "</testsuites>", 1),
        ('<testsuite failures="1"><testsuite failures="1">' + FAIL + "</testsuite></testsuite>", 1),
        ('<testsuite failures="3"><testcase name="t"><failure/><failure/><failure/></testcase></testsuite>', 1),
    ],
)
def test_a_failure_that_is_counted_and_not_shown_has_failed(content: str, failed: int) -> None:
    found = facts(content)
    assert found["tests.failed"] == failed
    assert found["tests.total"] == sum(float(found[f"tests.{kind}"]) for kind in ("passed", "failed", "skipped"))


def test_the_time_is_told_only_where_every_test_that_ran_tells_it() -> None:
    timed = ('<testcase name="a" time="1,203.5"/>', '<testcase name="b" time="0.5"/>', SKIP)
    assert facts(suite(*timed))["tests.duration_s"] == 1204
    for time in ("", "soon", "-1", "nan", "inf", "1e300"):
        assert "tests.duration_s" not in facts(suite(*timed, f'<testcase name="c" time="{time}"/>'))


def test_a_suite_has_facts_by_a_name_that_a_criterion_can_write() -> None:
    names = ["com.acme.FooTest", "venue search", "class", "7A", "größe", "", "x" * 300]
    found = facts(*(suite(FAIL, name=name) for name in names))
    wanted = ["com_acme_FooTest", "venue_search", "_class", "_7A", "gr__e"]
    assert all(found[f"tests.suite.{name}.failed"] == 1 for name in wanted)
    assert found["tests.suites"] == 6, "what has no name has no facts of its own"
    for name in found:
        if isinstance(found[name], float):
            assert Criterion.parse(f"{name} >= 0").judge(found).state == "met"


def test_suites_that_would_share_a_name_are_told_apart_whatever_their_order() -> None:
    one, other = (
        facts(suite(OK, name="a b"), suite(FAIL, name="a-b")),
        facts(suite(FAIL, name="a-b"), suite(OK, name="a b")),
    )
    assert "tests.suite.a_b.failed" not in one
    mine = {name: fact for name, fact in one.items() if name.startswith("tests.suite.")}
    assert len(mine) == 8
    assert mine == {name: fact for name, fact in other.items() if name.startswith("tests.suite.")}


def test_a_suite_of_the_same_name_in_several_reports_is_one() -> None:
    found = facts(suite(OK, name="pytest"), suite(FAIL.replace('"t"', '"u"'), name="pytest"))
    assert (found["tests.suite.pytest.total"], found["tests.suite.pytest.failed"]) == (2, 1)


def test_what_fails_inside_fails_the_suites_around_it() -> None:
    found = junit_facts.facts_of_tests([read((FILES / "phpunit-nested.xml").read_bytes())])
    assert {found[f"tests.suite.{name}.failed"] for name in ("phpunit_xml", "unit", "App_PlanTest")} == {1}
    assert found["tests.suite.unit.total"] == 3


def test_more_suites_than_facts_have_room_for_have_none() -> None:
    most = junit_facts.MOST_SUITES
    for many in (most, most + 1):
        found = facts(*(suite(OK, name=f"s{i}") for i in range(many)))
        assert found["tests.suites"] == found["tests.total"] == many
        assert ("tests.suite.s0.failed" in found) == (many == most)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=12))
def test_facts_can_be_said_and_read_whatever_tests_are_called(names: list[str]) -> None:
    cases = tuple(junit.Case(name, name[::-1], "failed") for name in names)
    found = junit_facts.facts_of_tests([junit.TestReport("r", tuple(junit.Suite(name, cases) for name in names))])
    numbers: Facts = {name: fact for name, fact in found.items() if isinstance(fact, float)}
    assert facts_of(pairs_of(numbers)) == numbers
    assert all(len(fact) <= 500 and fact.isprintable() for fact in found.values() if isinstance(fact, str))


@pytest.mark.parametrize("names", [["x" * 900], ["x" * 900, "y"], ["x" * 40] * 30, [f"t{i}" for i in range(100_000)]])
def test_a_list_of_names_has_room_in_a_fact(names: list[str]) -> None:
    told = junit_facts.listed(names)
    assert 10 < len(told) <= 500
    assert ("more" in told) == (len(names) > 1)


TEXTS = {
    "UTF-16": suite(OK).encode("utf-16"),
    "UTF-16 without a mark": b"<\0" + suite(OK).encode("utf-16-le")[2:],
    "UTF-8 with a mark": b"\xef\xbb\xbf" + suite(OK).encode(),
    "Latin-1": f'<?xml version="1.0" encoding="ISO-8859-1"?>{suite(OK, name="größe")}'.encode("latin-1"),
    "a comment first": b"\n<!-- <html> -->\n<?style x?>" + suite(OK).encode(),
    "a namespace": suite(OK).encode().replace(b"<testsuite", b'<testsuite xmlns="urn:x"'),
    "a prefix": b'<j:testsuite xmlns:j="urn:x"><j:testcase name="t"/></j:testsuite>',
    "a long message": f'<testsuite><testcase name="t"/><system-out>{"x" * 200_000}</system-out></testsuite>'.encode(),
    "a long attribute that is not read": f'<testsuite hostname="{"x" * 200_000}">{OK}</testsuite>'.encode(),
}


@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS)
def test_legal_xml_is_read(content: bytes) -> None:
    assert junit.root_of(content[:1000]) == "testsuite"
    assert counts(junit_facts.facts_of_tests([read(content)]))["passed"] == 1


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
SMALL = Limits(junit_bytes=1000, junit_cases=3, junit_characters=20, junit_depth=5)
HOSTILE: dict[str, tuple[bytes, type[BadInput], str]] = {
    "billion laughs": (
        f'<!DOCTYPE t [<!ENTITY l0 "ha">{LAUGHS}]><testsuites>&l9;</testsuites>'.encode(), UnreadableArtefact, "a DTD",
    ),
    "quadratic blow-up": (
        f'<!DOCTYPE t [<!ENTITY a "{"x" * 300}">]><testsuites>{"&a;" * 100}</testsuites>'.encode(),
        UnreadableArtefact, "declares a DTD or entities",
    ),
    "an external entity": (
        b'<!DOCTYPE testsuites [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuites>&a;</testsuites>',
        UnreadableArtefact, "declares a DTD or entities",
    ),
    "an external DTD": (
        b'<!DOCTYPE testsuites SYSTEM "http://192.0.2.1/x.dtd"><testsuites/>', UnreadableArtefact, "declares a DTD",
    ),
    "an entity that nobody declared": (b"<testsuites>&a;</testsuites>", UnreadableArtefact, "undefined entity"),
    "another root": (b"<coverage/>", UnreadableArtefact, "its root is <coverage>, not <testsuites>"),
    "cut short": (suite(OK)[:-5].encode(), UnreadableArtefact, "it ends early .unclosed token., at line 1, column 64"),
    "cut after a case": (f"<testsuite>{OK}".encode(), UnreadableArtefact, "ends early .no element found"),
    "nothing": (b"", UnreadableArtefact, "it ends early"),
    "two roots": (b"<testsuites/><testsuites/>", UnreadableArtefact, "junk after document element"),
    "not UTF-8": (b'<testsuite name="\xff"/>', UnreadableArtefact, "not in the encoding that it says"),
    "an unknown encoding": (b'<?xml version="1.0" encoding="x-y"?><testsuite/>', UnreadableArtefact, "in an encoding"),
    "an encoding of several bytes": (
        b'<?xml version="1.0" encoding="euc-jp"?><testsuite/>', UnreadableArtefact, "multi-byte encodings",
    ),
    "cases outside of suites": (
        f"<testsuites>{OK}{suite(FAIL)}</testsuites>".encode(), UnreadableArtefact, "1 of 2 test cases in r.xml belong",
    ),
    "a case inside a case": (
        b"<testsuite><testcase><testcase/></testcase></testsuite>", UnreadableArtefact, "1 of 2 test cases",
    ),
    "nested deep": (b"<testsuite>" + b"<a>" * 6, ArtefactTooLarge, "nested more than 5 deep"),
    "too many cases": (suite(OK, OK, OK, OK).encode(), ArtefactTooLarge, "more than 3 of <testcase>"),
    "too many suites": (f"<testsuites>{suite() * 4}</testsuites>".encode(), ArtefactTooLarge, "3 of <testsuite>"),
    "too many elements": (f"<testsuites>{'<a/>' * 40}</testsuites>".encode(), ArtefactTooLarge, "than 30 elements"),
    "too long a name": (suite(name="x" * 21).encode(), ArtefactTooLarge, "a name of more than 20 characters"),
    "too many bytes": (suite(name="x" * 1000).encode(), ArtefactTooLarge, "has 1,031 bytes; at most 1,000"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "error", "said"), HOSTILE.values(), ids=HOSTILE)
def test_what_cannot_be_read_is_one_clear_error(content: bytes, error: type[BadInput], said: str) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        read(content, limits=SMALL if error is ArtefactTooLarge else LIMITS)
    assert type(refused.value) is error
    assert "r.xml" in refused.value.message
    assert refused.value.help


@given(st.binary(max_size=300) | st.text("<>/testsuicase =\"'&;!-?", max_size=300).map(str.encode))
def test_whatever_is_read_or_refused_breaks_nothing(content: bytes) -> None:
    junit.root_of(content)
    with suppress(BadInput):
        junit_facts.facts_of_tests([read(content)])


@given(st.binary(max_size=300) | st.sampled_from([b"<!--", b"<?x", b"<!DOCTYPE ", b"<", b"{", b"\xff\xfe<"]))
def test_what_has_no_root_element_has_none(content: bytes) -> None:
    assert junit.root_of(content) is None or b"<" in content
