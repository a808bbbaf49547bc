"""The metrics that every k6 run may have, with their types: slo.yaml is checked against them, and CSV names none.

From k6's ``metrics/builtin.go`` and the browser and gRPC modules. A metric that is not here is one of the script's own.
"""

from __future__ import annotations

from data.model import Metric, MetricContains, MetricKind

_NAMES: dict[tuple[MetricKind, MetricContains], str] = {
    ("trend", "time"): """
        http_req_duration http_req_blocked http_req_connecting http_req_tls_handshaking http_req_sending
        http_req_waiting http_req_receiving iteration_duration group_duration
        ws_connecting ws_ping ws_session_duration grpc_req_duration
        browser_http_req_duration browser_web_vital_fcp browser_web_vital_fid browser_web_vital_inp
        browser_web_vital_lcp browser_web_vital_ttfb""",
    ("trend", "default"): "browser_web_vital_cls",
    ("rate", "default"): "http_req_failed checks browser_http_req_failed",
    ("counter", "default"): """
        http_reqs iterations dropped_iterations ws_sessions ws_msgs_sent ws_msgs_received
        grpc_streams grpc_streams_msgs_sent grpc_streams_msgs_received""",
    ("counter", "data"): "data_sent data_received browser_data_sent browser_data_received",
    ("gauge", "default"): "vus vus_max",
}

BUILT_IN: dict[str, tuple[MetricKind, MetricContains]] = {
    name: types for types, names in _NAMES.items() for name in names.split()
}
"""Name of a metric -> its type and what its values are."""


def metric_named(name: str) -> Metric:
    """What is known of a metric from its name alone."""
    if name not in BUILT_IN:
        return Metric(name)
    kind, contains = BUILT_IN[name]
    return Metric(name, kind, contains)
