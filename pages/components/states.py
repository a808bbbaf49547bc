"""What a page says when it has nothing to show: what it looked at, and the way on."""

from __future__ import annotations

import streamlit as st

from data.errors import NotFound
from desk import Desk
from pages.components import banner, escape, frame
from slo import numbers

EXAMPLE_CONFIG = """\
version: 1
services:
  checkout: {owner: payments}
phases:
  - id: "1"
    title: Ready to measure
    objectives:
      - {service: checkout, sli: http_req_duration, target: "p(95) < 300ms", key: true}
      - {service: checkout, sli: http_req_failed, target: "rate < 1%"}
"""


def empty_store(desk: Desk) -> None:
    """The first page that anyone sees: the demo, or the way to a first run of one's own."""
    st.title("No runs yet")
    st.markdown("This store holds no runs. Load the recorded ones of the demo, or send your own.")
    if st.button("Load the demo", type="primary"):
        _load(desk)
    st.subheader("Your first run")
    url = frame.server_url()
    st.markdown("1. Run k6 with its samples in a file:")
    st.code("k6 run --out json=results.json.gz --summary-export=summary.json script.js", language="bash")
    st.markdown("2. Send it with the command line:")
    send = f"./phasegate ingest results.json.gz --summary summary.json --service checkout --server {url}"
    st.code(send, language="bash")
    st.markdown("or with curl:")
    st.code(f"curl --data-binary @results.json.gz '{url}/api/v1/runs?service=checkout'", language="bash")
    st.markdown("3. Open this page again: every service of the run has its row.")


def no_config() -> None:
    """Runs are there, but nothing says what is asked of them."""
    banner.show(None, "There is no slo.yaml, so runs are shown and nothing is judged.")
    with st.expander("Write a slo.yaml"):
        st.markdown("Put this beside `app.py`, or name your file in `PHASEGATE_SLO`; `./phasegate slo check` reads it.")
        st.code(EXAMPLE_CONFIG, language="yaml")


def nothing_matches(scope: frame.Scope, stored: int) -> None:
    """The filters leave no run."""
    asked = [("environment", scope.environment), ("branch", scope.branch)]
    named = " and ".join(f"{name} {value}" for name, value in asked if value)
    looked_at = numbers.things(stored, "run")
    banner.show("no_data", f"No run matches {named}.", [f"Looked at the latest {looked_at} of this store."])
    st.button("Clear filters", on_click=frame.clear_filters)


def not_found(error: NotFound) -> None:
    """A link to what is not here."""
    banner.show("no_data", error.message, next_steps=[error.help] if error.help else [])


def _load(desk: Desk) -> None:
    bar = st.progress(0.0, "Reading the recorded runs")

    def show(text: str, share: float) -> None:
        bar.progress(min(max(share, 0.0), 1.0), escape.markdown(text))

    desk.load_demo(show)
    st.rerun()
