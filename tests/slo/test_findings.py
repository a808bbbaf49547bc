"""What findings add up to, whom they concern, and that each is explained: in its rule and in the manual."""

import ast
import re
from collections import defaultdict
from dataclasses import replace

import pytest

from data.model import Artefact, RunMeta, RunRecord
from slo.findings import RULES, concerns, find
from slo.rules.against import AGAINST
from tests.builders import finding, record, requests, series
from tests.project import ROOT, read
from tests.slo.rules.runs import ARTEFACT, HEALTHY, artefact, refused, told, with_summary

SEVERITIES = {"invalid", "suspect", "info"}


def given(modules: str = "**/*.py") -> dict[str, set[str]]:
    """The severities of every code that is given in some modules, as their source says."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for module in (ROOT / "slo").glob(modules):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                code, severity = node.args[:2]
                found[ast.literal_eval(code)] |= {
                    n.value for n in ast.walk(severity) if isinstance(n, ast.Constant) and n.value in SEVERITIES
                }  # fmt: skip
    return dict(found)


def documented() -> dict[str, set[str]]:
    """The severities of every code, as the tables of the manual say."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for code, severities in re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|", read("docs/findings.md"), flags=re.MULTILINE):
        found[code] |= set(severities.split(", "))
    return dict(found)


def test_the_manual_has_every_code_with_its_severities_and_no_other() -> None:
    assert documented() == given()


def test_the_manual_has_a_row_for_every_rule() -> None:
    rows = re.findall(r"^\| `\w+` \|", read("docs/findings.md"), flags=re.MULTILINE)
    of_the_comparison = given("*.py").keys() - given("rules/*.py").keys()
    assert len(rows) == len(RULES) + len(AGAINST) + len(of_the_comparison)


def test_the_short_list_names_every_code() -> None:
    assert set(given()) <= set(re.findall(r"`(\w+)`", read("docs/verdict.md")))


def test_a_healthy_run_has_no_findings_and_is_valid() -> None:
    assert find(HEALTHY).state == "valid"
    assert told(HEALTHY) == []


@pytest.mark.parametrize(
    "run",
    [
        record(*refused(90), meta=RunMeta(exit_code=105)),
        record(*requests(90, failed=True), *requests(3, failed=True, group="::setup")),
        record(series("iterations"), series("dropped_iterations"), meta=RunMeta(exit_code=99)),
        record(*requests(5), series("checks", nonzero=1, check="x"), meta=RunMeta()),
        replace(with_summary(26.0), artefacts=(replace(ARTEFACT, dropped_points=50, collapsed_tags={"name": 51234}),)),
        artefact(truncated="the gzip stream ends early"),
    ],
    ids=["unreached", "failing", "without requests", "few requests", "of another summary", "cut"],
)
def test_a_finding_says_what_and_what_to_do(run: RunRecord) -> None:
    found = find(run).findings
    assert found
    assert all(one.message and one.evidence and one.remedy for one in found)


def test_one_services_trouble_is_told_of_that_service() -> None:
    run = record(*refused(90), *requests(service="event"))
    (found,) = find(run).findings
    assert found.service == "chat"
    assert concerns(found, "chat")
    assert not concerns(found, "event")
    assert concerns(found, None), "the system as a whole has a broken part"


def test_the_worst_severity_decides() -> None:
    run = record(*refused(90), meta=RunMeta(exit_code=105))
    assert find(run).state == "invalid"
    assert find(replace(HEALTHY, run=replace(HEALTHY.run, meta=RunMeta(exit_code=105)))).state == "suspect"


@pytest.mark.parametrize("rule", [*RULES, *AGAINST], ids=lambda rule: rule.__name__)
def test_a_rule_explains_itself(rule: object) -> None:
    assert len((rule.__doc__ or "").split()) > 10


def test_a_summary_alone_has_nothing_to_doubt() -> None:
    alone = replace(HEALTHY, series=(), artefacts=(Artefact("s.json", "k6-summary-export", "0" * 64, 10),))
    assert told(alone) == []


def test_findings_come_worst_first() -> None:
    order = [f.severity for f in find(record(*refused(90), meta=RunMeta(exit_code=105))).findings]
    assert order == sorted(order, key=["invalid", "suspect", "info"].index)
    assert finding("info").severity == "info"
