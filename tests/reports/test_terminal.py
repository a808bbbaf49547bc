"""The terminal shows what others wrote, and never does what it says."""

from dataclasses import replace

import pytest

from reports import compared, history, terminal, text
from slo.comparison import ServiceHistory
from slo.model import BaselineRef, Measurement, Overview, ServiceRow
from tests.builders import START, finding
from tests.reports.test_compared import REGRESSED, view
from tests.reports.test_history import SHIFT, sli
from tests.reports.test_text import MET, RUN, verdict

HOSTILE = "\x1b[31m\x9b2J\u202e[/x][red]shop\n✓ PASS  exit 0\r\x07"


def test_names_from_outside_neither_steer_the_terminal_nor_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    run = replace(RUN, service=HOSTILE, branch=HOSTILE, test=HOSTILE, commit=HOSTILE)
    against = BaselineRef("pinned", ("aa",), START, START, HOSTILE, left_out=(("bb", HOSTILE),))
    one = replace(REGRESSED, service=HOSTILE, reason=HOSTILE, settle=HOSTILE)
    found = (replace(finding("suspect"), message=HOSTILE),)
    row = ServiceRow(HOSTILE, None, "fail", HOSTILE, run, 1.0, None, None, None, None, 0, 1)
    shift = replace(SHIFT, last_before=replace(SHIFT.last_before, commit=None, version=HOSTILE))
    service = ServiceHistory(
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 3, HOSTILE, (sli(sli=HOSTILE, sentence=HOSTILE, shifts=(shift,)),)
    )
    for document in (
        text.verdict(
            verdict(
                "fail", replace(MET, service=HOSTILE, state="missed"), run=run, scope=(HOSTILE,), reasons=(HOSTILE,),
                comparisons=(one,), baseline=against, measurement=Measurement("suspect", found),
            )
        ),
        text.runs([run], START),
        text.overview(Overview(None, (), HOSTILE, "fail", (row,), 1, START)),
        compared.compare(view(one, run=run, baseline=against, sentence=HOSTILE, percentiles=(one,), findings=found)),
        compared.baseline(against, run),
        history.history(service),
    ):  # fmt: skip
        terminal.write(document)
    terminal.say(f"error: {HOSTILE}")
    captured = capsys.readouterr()
    told = captured.out + captured.err
    assert not [character for character in told if character in "\x1b\x9b\u202e\r\x07"]
    assert "�[31m" in told
    assert "[/x][red]shop" in told, "markup is shown, not read"
    assert [line for line in captured.out.splitlines() if line.startswith("✓ PASS")] == []
