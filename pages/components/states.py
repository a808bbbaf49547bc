"""What a page says when it has nothing to show: what it looked at, and the way on."""

from __future__ import annotations

import shlex
from typing import Final
from urllib.parse import urlencode

import streamlit as st

from data.errors import NotFound
from desk import Desk
from pages.components import banner, escape, frame
from slo import numbers
from slo.model import ConfigReport

EXAMPLE_SERVICE: Final = "checkout"
EXAMPLE_PHASE: Final = "beta"
EXAMPLE_CONFIG: Final = f"""\
version: 1
phases:
  - id: {EXAMPLE_PHASE}
    title: Open beta
    objectives:
      - service: {EXAMPLE_SERVICE}
        sli: http_req_duration
        target: "p(95) < 300ms"
      - service: {EXAMPLE_SERVICE}
        sli: http_req_failed
        target: "rate < 1%"
"""


def empty_store(desk: Desk) -> None:
    """The first page that anyone sees: the demo, or the way to a first run of one's own."""
    st.title("No runs yet")
    st.markdown("This store holds no runs. Load the recorded ones of the demo, or send your own.")
    report, guarded = desk.service.config_report(), desk.settings.token is not None
    if guarded:
        st.markdown("Uploads to this server need its token, so the demo is loaded from a terminal:")
        _command(f"PHASEGATE_TOKEN=... ./phasegate demo --server {frame.server_url()}")
        if report is None:
            st.markdown("To judge it, start this server with `PHASEGATE_SLO=examples/nightbff/slo.yaml`.")
    elif st.button("Load the demo", type="primary"):
        _load(desk)
    st.subheader("Your first run", anchor=False)
    _first_run(report, guarded=guarded)


def no_such_page() -> None:
    """An address that leads nowhere, with the ways back."""
    st.title("No such page", anchor=False)
    st.markdown(escape.markdown(f"There is nothing at /{frame.page_name()}. These pages are here:"))
    st.page_link(frame.OVERVIEW_PAGE, label="Overview: which services are ready for a phase")
    st.page_link(frame.RUN_PAGE, label="Run: what one run showed, and the latest to choose from")
    st.page_link(frame.COMPARE_PAGE, label="Compare: what changed in a run")


def no_config() -> None:
    """Runs are there, but nothing says what is asked of them."""
    banner.show(None, "There is no slo.yaml, so runs are shown and nothing is judged.")
    with st.expander("Write a slo.yaml"):
        st.markdown("Put this into the folder where this server was started, or name your file in `PHASEGATE_SLO`.")
        st.code(EXAMPLE_CONFIG, language="yaml", wrap_lines=True)


def nothing_matches(scope: frame.Scope, stored: int) -> None:
    """The filters leave no run."""
    asked = [("environment", scope.environment), ("branch", scope.branch)]
    named = " and ".join(f"{name} {value}" for name, value in asked if value)
    looked_at = f"Looked at {numbers.things(stored, 'run')}: all that this store holds."
    banner.show("no_data", f"No run matches {named}.", [looked_at])
    st.button("Clear filters", on_click=frame.clear_filters)


def not_found(error: NotFound) -> None:
    """A link to what is not here."""
    banner.show("no_data", error.message, next_steps=[error.help] if error.help else [])


def _first_run(report: ConfigReport | None, *, guarded: bool) -> None:
    """Four steps; the names in them are those of the slo.yaml in force, or else of the example."""
    phase = report.phases[0].id if report and report.phases else EXAMPLE_PHASE
    service = report.services[0] if report and report.services else EXAMPLE_SERVICE
    url = frame.server_url()
    if report:
        named = ", ".join(known.id for known in report.phases)
        st.markdown(f"1. Choose a phase. The slo.yaml in force has these: {escape.markdown(named)}.")
    else:
        st.markdown("1. Say what is asked of your service: a `slo.yaml` in the folder where this server was started.")
        st.code(EXAMPLE_CONFIG, language="yaml", wrap_lines=True)
    st.markdown("2. Run k6; keep its samples, its summary and its exit code:")
    _command("k6 run --out json=results.json.gz --summary-export=summary.json script.js; code=$?")
    st.markdown("3. Send all that" + (", with the token of this server in `PHASEGATE_TOKEN`:" if guarded else ":"))
    _command(
        "./phasegate ingest results.json.gz --summary summary.json --exit-code $code "
        f"--service {shlex.quote(service)} --phase {shlex.quote(phase)} --server {url}"
    )
    st.markdown("or, without the summary, with curl:")
    query = urlencode({"service": service, "phase": phase}) + "&exit_code=$code"
    header = '-H "Authorization: Bearer $PHASEGATE_TOKEN" ' if guarded else ""
    _command(f'curl {header}--data-binary @results.json.gz "{url}/api/v1/runs?{query}"')
    st.markdown("4. Load this page again: every service of the run has its row.")


def _command(text: str) -> None:
    st.code(text, language="bash", wrap_lines=True)


def _load(desk: Desk) -> None:
    bar = st.progress(0.0, "Reading the recorded runs")

    def show(text: str, share: float) -> None:
        bar.progress(min(max(share, 0.0), 1.0), escape.markdown(text))

    desk.load_demo(show)
    st.rerun()
