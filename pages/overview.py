"""Overview: which services are ready for the phase, and can today's numbers be trusted?"""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

import desk
from pages.components import banner, escape, frame, services, states
from slo import numbers
from slo.model import Overview


def main() -> None:
    """The answer in one sentence, then every service, worst first."""
    service, scope = desk.current().service, frame.scope()
    overview = service.overview(scope.phase, scope.environment, scope.branch)
    if scope.is_filtered and not overview.runs:
        states.nothing_matches(scope, service.count())
        return
    _answer(overview)
    services.show(overview.services, overview.phase.id if overview.phase else None)


def _answer(overview: Overview) -> None:
    phase = overview.phase
    named = ": ".join(filter(None, (f"Phase {phase.id}", phase.title))) if phase else "Services"
    st.title(escape.markdown(named), anchor=False)
    newest = numbers.ago(overview.newest_run_at, datetime.now(UTC))
    stands = [f"Newest run {newest}", numbers.things(overview.runs, "run"), *services.mixed(overview.services)]
    st.caption(escape.markdown(" · ".join(stands)))
    if phase is None:
        states.no_config()
        return
    with banner.framed(overview.state, overview.sentence):
        blocking = next((row for row in overview.services if row.state in {"fail", "inconclusive"}), None)
        if blocking and blocking.run:
            frame.run_link(blocking.run, f"**Next:** the latest run of {escape.markdown(blocking.service)}")


main()
