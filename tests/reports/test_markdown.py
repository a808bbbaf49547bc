"""An answer as a comment of a pull request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.model import Override
from reports import markdown
from reports.answer import of_gate, of_verdict
from slo.gate_model import GateDecision, GateQuestion
from tests.answers import ENTRY, HOSTILE, MISSED, RUN, decision, verdict
from tests.builders import START, result


def comment(found: GateDecision) -> str:
    return markdown.comment(of_gate(found))


def test_a_comment_begins_with_its_mark_and_the_answer() -> None:
    lines = comment(decision("fail", MISSED, ENTRY)).splitlines()
    assert lines[0] == "<!-- phasegate gate 7A ci -->"
    assert lines[1] == "### ✕ FAIL: version 1\\.4\\.0 may not enter phase 7A \\(Core services\\)"
    row = "event http\\_req\\_duration p\\(95\\) &lt; 250ms \\(key\\) | p\\(95\\) = 399 ms, target &lt; 250 ms |"
    assert f"| ✕ MISSED | {row}" in lines
    assert any(line.startswith("**Rollback:** Redeploy") for line in lines)


def test_the_mark_of_a_verdict_is_that_of_the_next_run_of_the_same_test() -> None:
    one = verdict("pass", result("met", service="shop"))
    other = replace(one, run=replace(RUN, id="another", version="1.5.0", commit=None))
    assert markdown.comment(of_verdict(one)).startswith(
        "<!-- phasegate verdict 7A shop smoke ci -->\n### ✓ PASS: shop "
    )
    assert markdown.mark(of_verdict(one)) == markdown.mark(of_verdict(other))
    assert markdown.mark(of_verdict(one)) != markdown.mark(of_verdict(replace(one, run=replace(RUN, environment=None))))


def test_what_came_from_outside_is_only_text() -> None:
    check = replace(MISSED, reason=HOSTILE, service=HOSTILE, about=HOSTILE, name=HOSTILE)
    told = comment(
        decision("fail", check, reasons=(HOSTILE,), next_steps=(HOSTILE,), question=GateQuestion("--><b>\n", HOSTILE))
    )
    assert "<script" not in told
    assert "@everyone" not in told
    assert "](http" not in told
    assert told.count("<!--") == told.count("-->") == 1
    assert told.splitlines()[0].endswith("-->")
    assert not set(told) & set("\x00\x1b\u202e\ud800\ufffe\u2028")
    (row,) = [line for line in told.splitlines() if line.startswith("| ✕ MISSED")]
    assert row.replace("\\|", "").count("|") == 4


@pytest.mark.parametrize("n", [1, 5000])
@pytest.mark.parametrize("words", ["a | reason ", "&&&", "<@>"])
def test_a_comment_fits_whatever_the_run(n: int, words: str) -> None:
    checks = [replace(MISSED, reason=words * 300)] * n
    more = {"reasons": (words * 400,) * n, "next_steps": (words * 400,) * n, "verification": (words * 400,) * n}
    told = comment(decision("fail", *checks, **more, rollback=words * 2000))
    assert len(told) <= markdown.MOST_CHARACTERS
    assert ("more checks are not shown" in told) == (n > 1)
    assert told.rstrip().endswith("</sub>")


def test_an_override_is_told_first() -> None:
    through = decision("fail", MISSED, override=Override("24acc2ad4aec", "kim", "the launch is today", START))
    assert comment(through).splitlines()[1].startswith("### ! OVERRIDDEN: kim let version")
