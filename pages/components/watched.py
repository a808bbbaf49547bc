"""What Prometheus saw of a run: what it says beside k6, and the numbers of every service."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.components import escape
from reports import pulled, text
from slo.model import RunView

_COLUMNS = ["Service", "What", "Points", "Lowest", "Mean", "Highest", "Of"]


def show(view: RunView) -> None:
    """Nothing where nobody was asked. Where a question has no answer, its row says why."""
    if not view.pulled:
        return
    st.subheader("What the services felt", anchor=False)
    for one in text.remarkable(view.verdict) if view.verdict else ():
        st.markdown(escape.markdown(one.sentence))
    shown = pulled.told(view.pulled)
    st.dataframe(
        pd.DataFrame(pulled.rows(shown), columns=_COLUMNS),
        column_config={"Service": st.column_config.TextColumn(pinned=True)},
        hide_index=True,
        alt="What Prometheus has of each service in the time of the run",
    )
    when = max(one.pulled_at for one in view.pulled)
    sources = ", ".join(sorted({one.source for one in view.pulled}))
    st.caption(escape.markdown(f"Asked of Prometheus {sources} at {when:%Y-%m-%d %H:%M} UTC, for the time of the run."))
