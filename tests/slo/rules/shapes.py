"""Shapes that rules beside earlier runs are tried on."""

from dataclasses import replace
from typing import Any

from slo.rules.against import find_against
from slo.shape import Flow, Part, Shape

EVENT: Part = ("endpoint", "event", "GET", "/event")
CHAT: Part = ("endpoint", "chat", "POST", "/chat")
FLOW = Flow("default", iterations=1000, requests=2000, span_s=100.0, busy_s=1000.0)
USUAL = Shape(
    run_id="0123456789ab",
    parts=frozenset({
        EVENT, CHAT, ("group", "::browse"), ("check", "status is 200"), ("scenario", "default"), ("tag", "load=peak"),
    }),
    seldom=frozenset(), run_tags=frozenset({"region=eu"}),
    thresholds=frozenset({("http_req_duration", "p(95)<250"), ("checks", "rate>0.9")}), tells_thresholds=True,
    defined=frozenset({"http_req_duration", "checks"}), has_teardown=True, script_hash="a1", k6_version="1.1.0",
    load_s=100.0, flows=(FLOW,), work_ms=10.0, receiving_ms=0.1, off_beat_ms=0.3,
)  # fmt: skip
BEFORE = (USUAL, USUAL, USUAL)

Told = list[tuple[str, str]]
Case = tuple[Shape, tuple[Shape, ...], Told]
"""A run, those before it, and the codes and severities of all that is found in it."""


def told(run: Shape, *before: Shape) -> Told:
    return [(f.code, f.severity) for f in find_against(run, before or BEFORE)]


def flowing(**more: Any) -> Shape:  # noqa: ANN401  # any field of a flow
    """The usual run with another flow."""
    return replace(USUAL, flows=(replace(FLOW, **more),))


def without(*parts: Part) -> Shape:
    return replace(USUAL, parts=USUAL.parts - {*parts})


def having(*parts: Part, seldom: bool = False) -> Shape:
    return replace(USUAL, parts=USUAL.parts | {*parts}, seldom=frozenset(parts) if seldom else frozenset())


def asking(*thresholds: tuple[str, str], **more: Any) -> Shape:  # noqa: ANN401  # any field of a shape
    return replace(USUAL, thresholds=frozenset(thresholds), **more)
