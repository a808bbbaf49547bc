"""k6's output, line by line as k6 writes it, and the real files in ``tests/data/k6``."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

FILES = Path(__file__).parent / "data" / "k6"

CSV_HEADER = (
    "metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,method,name,proto,scenario,"
    "service,status,subproto,tls_version,url,extra_tags,metadata"
)
TIME = "2026-11-21T07:39:52.647518672Z"
Tags = dict[str, object] | list[object] | str | None


def plain(name: str) -> bytes:
    """A real file, without compression."""
    return gzip.decompress((FILES / name).read_bytes())


def point(value: object = 1.5, *, metric: object = "http_req_duration", time: object = TIME, tags: Tags = None) -> str:
    """A sample."""
    return json.dumps({"metric": metric, "type": "Point", "data": {"time": time, "value": value, "tags": tags or {}}})


def raw_point(value: str = "1.5", tags: str = "{}") -> str:
    """A sample whose value and tags are these bytes of JSON, or of what is not JSON."""
    return f'{{"metric":"http_req_duration","type":"Point","data":{{"time":"{TIME}","value":{value},"tags":{tags}}}}}'


def definition(metric: str = "http_req_duration", kind: object = "trend", contains: str = "time", **more: str) -> str:
    """A metric's definition; ``more`` are further fields as JSON text."""
    fields = {"thresholds": "[]", "submetrics": "null"} | more
    rest = "".join(f',"{key}":{value}' for key, value in fields.items())
    named = f'"name":"{metric}","type":{json.dumps(kind)},"contains":"{contains}"'
    return f'{{"type":"Metric","data":{{{named}{rest}}},"metric":"{metric}"}}'


def ndjson(*lines: str, end: str = "\n") -> bytes:
    """A file of ``--out json`` with one definition and these lines."""
    return ("\n".join([definition(), *lines]) + end).encode()


def row(value: str = "1.500000", *, time: str = "1763710792", name: str = "/a", extra: str = "a=1") -> str:
    """A sample in CSV."""
    return f"http_req_duration,{time},{value},,,,true,,GET,{name},HTTP/1.1,buy,event,200,,,http://h/a,{extra},"


def csv(*rows: str, header: str = CSV_HEADER, end: str = "\n") -> bytes:
    """A file of ``--out csv`` with these rows."""
    return ("\n".join([header, *rows]) + end).encode()
