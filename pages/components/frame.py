"""What every page shares: its scope (phase, environment, branch), where it is served, errors, and the footer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urlsplit

import streamlit as st

from data.errors import NotFound, PhasegateError
from pages.components import escape, phases, tokens
from slo.model import ConfigReport, RunRef
from slo.service import Service

RUN_PAGE = "run.py"
OVERVIEW_PAGE = "overview.py"
COMPARE_PAGE = "compare.py"
_BOX_PX = 170  # two stand side by side on a phone


@dataclass(frozen=True)
class Scope:
    """What the reader chose; ``None`` is no limit, and for the phase the service's default."""

    phase: str | None
    environment: str | None = None
    branch: str | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether runs may be left out."""
        return bool(self.environment or self.branch)


def scope() -> Scope:
    """What the widgets of ``scope_bar`` say now."""
    state = st.session_state
    return Scope(state.get("phase"), state.get("env"), state.get("branch"))


def scope_bar(service: Service, runs: Sequence[RunRef], shown: Sequence[RunRef], *, filters: bool) -> None:
    """The widgets for phase and, with ``filters``, environment and branch; each keeps its value in the URL.

    ``runs`` give the environments and branches to choose from; ``shown``, the runs that the page is about, give the
    phase where none was chosen. The widgets are drawn by the router because a value in the URL belongs to the script
    that draws its widget: drawn by a page, it would be lost on the way to the next one.
    """
    report = service.config_report()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if report is not None:
            _phase_box(report, shown)
        if filters:
            _filter_box("Environment", "env", {run.environment for run in runs})
            _filter_box("Branch", "branch", {run.branch for run in runs})
    if unknown := st.session_state.get("unknown_phase"):
        instead = f": phase {phase} is shown instead" if (phase := scope().phase) else ""
        st.warning(escape.markdown(f"slo.yaml has no phase {unknown}{instead}."))


def choose_phase(phase: str) -> None:
    """Callback: judge by this phase, as if it had been chosen in its box."""
    st.session_state["phase"] = phase
    st.session_state.pop("unknown_phase", None)


def clear_filters() -> None:
    """Callback: show every environment and branch again."""
    st.session_state["env"] = st.session_state["branch"] = None


def theme() -> tokens.ThemeType:
    """The theme that the browser shows, as far as it has told: it does not tell when the reader changes it."""
    return st.context.theme.type or "light"


def run_link(run: RunRef, label: str, page: str = RUN_PAGE) -> None:
    """A link to the run, in this tab: to its own page, or to another one about it."""
    # A phase that is in the URL goes along by itself; given again it would stand there twice.
    query = {"run": run.id} if "phase" in st.query_params else run_query(run.id, scope().phase)
    st.page_link(page, label=label, icon=":material/chevron_right:", icon_position="right", query_params=query)


def run_href(run_id: str, phase: str | None) -> str:
    """The address of a run's page, relative to any page."""
    return "run?" + urlencode(run_query(run_id, phase))


def compare_href(run_id: str, before: str | None, phase: str | None) -> str:
    """The address of a comparison, relative to any page; without ``before``, with the run's baseline."""
    return "compare?" + urlencode({"run": run_id} | ({"with": before} if before else {}) | phase_query(phase))


def verdict_href(run: RunRef, phase: str) -> str:
    """The address of the run's verdict as the API answers it, relative to any page."""
    return f"api/v1/runs/{quote(run.id, safe='')}/verdict?" + urlencode({"phase": phase})


def attachment_href(run_id: str, name: str) -> str:
    """The address of a file kept with a run, to be saved, relative to any page."""
    return f"api/v1/runs/{quote(run_id, safe='')}/attachments/{quote(name, safe='')}"


def run_query(run_id: str, phase: str | None) -> dict[str, str]:
    """What names a run, and the phase it is judged by, in an address."""
    return {"run": run_id} | phase_query(phase)


def phase_query(phase: str | None) -> dict[str, str]:
    """What names a phase in an address; nothing for none."""
    return {"phase": phase} if phase else {}


def named_run(service: Service) -> Sequence[RunRef]:
    """The run that the address names, if it is stored."""
    try:
        return [service.run(run_id)] if (run_id := st.query_params.get("run")) else []
    except NotFound:
        return []  # the page says so


def page_name() -> str:
    """Which page the address names: the last part of its path below where this server is mounted, or nothing."""
    path = unquote(urlsplit(st.context.url or "").path).strip("/")
    return path.removeprefix(_base_path()).rpartition("/")[2]


def server_url() -> str:
    """Where this server answers, as the browser reached it."""
    here = urlsplit(st.context.url or "http://127.0.0.1:8501")
    base_path = _base_path()
    return f"{here.scheme}://{here.netloc}" + (f"/{base_path}" if base_path else "")


@contextmanager
def told_errors() -> Iterator[None]:
    """Tell an error of ours as what failed and what to do; the frame around it stays."""
    try:
        yield
    except PhasegateError as error:
        with st.container(border=True):
            st.markdown(f"#### :{tokens.FAIL.badge}-badge[{tokens.FAIL.glyph} ERROR] This page cannot be shown")
            st.code(error.message, language=None, wrap_lines=True)
            if error.help:
                st.markdown(f"**Next:** {escape.markdown(error.help)}")


def footer() -> None:
    """The last line of every page."""
    st.caption("Phasegate · [API](api/docs)")


def _base_path() -> str:
    return str(st.get_option("server.baseUrlPath")).strip("/")


def _phase_box(report: ConfigReport, shown: Sequence[RunRef]) -> None:
    ids = [phase.id for phase in report.phases]
    # Once the box is there it alone says what is chosen: what is known here of the URL may be older.
    asked = st.session_state.get("phase", st.query_params.get("phase"))
    if st.query_params.get("phase") in ids:
        st.session_state.pop("unknown_phase", None)  # the reader has gone on, by a link with a phase that is known
    if asked and asked not in ids:
        st.session_state["unknown_phase"] = asked  # the box takes it out of the URL, so this run is the last to see it
    phase = asked if asked in ids else phases.usual(shown, report.phases)
    if st.session_state.get("phase") != phase:
        if phase and phase != asked and "phase" not in st.session_state:
            st.query_params["phase"] = phase  # a box that is new takes what is in the URL and writes nothing there
        st.session_state["phase"] = phase
    st.selectbox(
        "Phase",
        ids,
        index=None,
        key="phase",
        bind="query-params",
        on_change=lambda: st.session_state.pop("unknown_phase", None),
        placeholder="each run's own",
        help="  \n".join(f"**{escape.markdown(phase.id)}** {escape.markdown(phase.title)}" for phase in report.phases),
        width=_BOX_PX,
    )


def _filter_box(label: str, key: str, values: set[str | None]) -> None:
    chosen = st.session_state.get(key) or st.query_params.get(key)
    st.selectbox(
        label,
        sorted(value for value in values | {chosen} if value),
        index=None,
        key=key,
        bind="query-params",
        placeholder="all",
        accept_new_options=True,  # a link may name a branch of which no run is stored: the page says so
        width=_BOX_PX,
    )
