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
page = st.navigation([overview, run], position="top")

with frame.told_errors():
    service = desk.current().service
    if latest := service.runs(limit=50):
        frame.scope_bar(service, latest, filters=page is overview)
        page.run()
    else:
        states.empty_store(desk.current())
frame.footer()
