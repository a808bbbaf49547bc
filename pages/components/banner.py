"""The answer of a page: glyph, word, one sentence, why, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import streamlit as st

from data.model import Waiver
from pages.components import escape, tokens
from reports import layout
from slo import numbers
from slo.model import Finding, Measurement, Verdict

_VERDICTS = {
    "pass": "meets",
    "warn": "meets, with a warning,",
    "fail": "does not meet",
    "inconclusive": "cannot be judged for",
}


def show(state: str | None, sentence: str, details: Sequence[str] = (), next_steps: Sequence[str] = ()) -> None:
    """A framed answer with its reasons and the way on. Every text may come from outside: it is escaped here."""
    with framed(state, sentence):
        if details:
            st.markdown("\n".join(f"- {escape.markdown(line)}" for line in details))
        if next_steps:
            st.markdown("**Next:** " + "; ".join(escape.markdown(step) for step in next_steps))


@contextmanager
def framed(state: str | None, sentence: str) -> Iterator[None]:
    """A frame that begins with the answer; what is drawn within stands under it."""
    with st.container(border=True):
        st.markdown(f"#### {tokens.badge(state)} {escape.markdown(sentence)}")
        yield


def verdict(answer: Verdict, subject: str) -> None:
    """Whether the run of ``subject`` meets its phase."""
    sentence = f"{subject} {_VERDICTS[answer.verdict]} phase {answer.phase}"
    show(answer.verdict, sentence, answer.reasons, answer.next_steps)


def measurement(found: Measurement, requests: int) -> None:
    """Whether the run can be believed, and each finding with its evidence and what would settle it."""
    count = numbers.things(len(found.findings), "finding")
    st.markdown(f"{tokens.badge(found.state)} {numbers.things(requests, 'request')}, {count}")
    findings(found.findings)


def findings(found: Sequence[Finding], most: int | None = None) -> None:
    """Each finding with its evidence and what would settle it; those beyond ``most`` are folded away."""
    for finding in found[:most]:
        with st.container(border=True):
            _finding(finding)
    if rest := found[len(found) if most is None else most :]:
        with st.expander(f"and {numbers.things(len(rest), 'more finding')}"):
            findings(rest)


def waivers(found: Sequence[Waiver]) -> None:
    """What gates overlook of this run, one line each; the verdict above is not changed by it."""
    for one in found:
        st.markdown(f":{tokens.WARN.badge}-badge[{tokens.WARN.glyph} WAIVED] {escape.markdown(layout.waived(one))}")


def not_judged() -> None:
    """Stands above figures of a run that cannot be believed."""
    st.markdown(f"{tokens.badge('invalid')} **Numbers below are not judged.**")


def _finding(finding: Finding) -> None:
    service = f" · {escape.markdown(finding.service)}" if finding.service else ""
    st.markdown(
        f"{tokens.badge(finding.severity)} **{escape.markdown(finding.message)}**  \n"
        f":small[{escape.markdown(finding.code)}{service}{_evidence(finding.evidence)}]"
    )
    if finding.remedy:
        st.markdown(f"**Next:** {escape.markdown(finding.remedy)}")


def _evidence(evidence: Mapping[str, object]) -> str:
    pairs = (f" · {escape.markdown(f'{name} = {_plain(value)}')}" for name, value in evidence.items())
    return "".join(pairs)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return numbers.MISSING if value is None else str(value)
