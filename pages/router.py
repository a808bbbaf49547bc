"""The frame around every page: navigation, scope, errors, footer.

It lies inside ``pages/`` so that Streamlit's own discovery of pages stays off: a cold link to /run runs this first.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

import desk
from pages.components import frame, states

ICON = str(Path(__file__).parent / "components" / "favicon.png")

st.set_page_config(page_title="Phasegate", page_icon=ICON, layout="wide")
st.logo(ICON)
overview = st.Page(frame.OVERVIEW_PAGE, title="Overview", default=True, help="Which services are ready for a phase.")
run = st.Page(frame.RUN_PAGE, title="Run", url_path="run", help="What one run showed, and whether to believe it.")
compare = st.Page(
    frame.COMPARE_PAGE, title="Compare", url_path="compare", help="What changed in a run, beyond its usual spread."
)
ours = [overview, run, compare]
pages = [*ours]
if (name := frame.page_name()) not in {"", "overview", "run", "compare"}:
    # A page of this name, or Streamlit would show the overview under a message of its own.
    pages.append(st.Page(states.no_such_page, title="No such page", url_path=name, visibility="hidden"))
page = st.navigation(pages, position="top")

with frame.told_errors():
    service = desk.current().service
    latest = service.runs(limit=50)
    if page not in ours:
        page.run()
    elif latest:
        shown = latest if page is overview else frame.named_run(service)
        frame.scope_bar(service, latest, shown, filters=page is overview)
        page.run()
    else:
        states.empty_store(desk.current())
frame.footer()
