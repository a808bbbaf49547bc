"""A run in few words, and the latest runs to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from pages.components import escape
from slo import numbers
from slo.model import RunRef

_COMMIT_LETTERS = 8  # as many as the terminal shows


def name(run: RunRef) -> str | None:
    """What a run is about: its service, else its test; ``None`` where neither is known."""
    only = run.services[0] if len(run.services) == 1 else None
    return run.service or only or run.test


def place(run: RunRef) -> str | None:
    """Where the code of a run is from: ``main@abc1234d``, ``main``, ``abc1234d``."""
    commit = run.commit[:_COMMIT_LETTERS] if run.commit else None
    return "@".join(part for part in (run.branch, commit) if part) or None


def line(run: RunRef, now: datetime) -> str:
    """Id, branch, commit and age in markdown; the id is text that can be marked and copied, outside of any link."""
    told = [part for part in (place(run), numbers.ago(run.started_at or run.received_at, now)) if part]
    return " · ".join([escape.code(run.id), *map(escape.markdown, told)])


def text(run: RunRef, now: datetime) -> str:
    """A run in a list to choose from, as plain text: ``7f3a91c2 · event · main@abc1234d · 38 min ago``."""
    told = [run.id, name(run), place(run), numbers.ago(run.started_at or run.received_at, now)]
    return " · ".join(part for part in told if part)


def heading(run: RunRef, what: str) -> None:
    """The title of a page about a run, as ``event: {what} 7f3a91c2``, with where and when it ran."""
    about = name(run)
    told = f"{what} {run.id}"
    st.title(escape.markdown(f"{about}: {told}" if about else told[0].upper() + told[1:]), anchor=False)
    many = numbers.things(len(run.services), "service") if len(run.services) != 1 else None
    test = run.test if run.test != about else None
    parts = [run.environment, place(run), test, many, numbers.seconds(run.duration_s)]
    where = " · ".join(escape.markdown(part) for part in parts if part)
    st.caption(f"{where} · {numbers.ago(run.started_at, datetime.now(UTC))}")


def choose(runs: Sequence[RunRef]) -> None:
    """The runs as buttons, newest first; a press puts the run into the address."""
    if not runs:
        st.markdown("There are no runs.")
        return
    latest = "The latest run" if len(runs) == 1 else f"The latest {numbers.things(len(runs), 'run')}"
    st.markdown(f"{latest} of this store:")
    now = datetime.now(UTC)
    with st.container(gap=None):
        for run in runs:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                # Not a link: one that leads to its own page leaves the address as it was.
                label = escape.markdown(name(run) or numbers.things(len(run.services), "service"))
                st.button(
                    label, key=f"open {run.id}", type="tertiary", icon=":material/chevron_right:",
                    icon_position="right", on_click=_open, args=[run.id],
                )  # fmt: skip
                st.markdown(f":small[{line(run, now)}]", width="content")


def _open(run_id: str) -> None:
    st.query_params["run"] = run_id
