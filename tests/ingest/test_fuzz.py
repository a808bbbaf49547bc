"""Whatever the bytes are, they become a run or one clear error: never a foreign one, and never half a run."""

from __future__ import annotations

import gzip
import os
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import BadInput
from tests.ingesting import Bench
from tests.k6_output import FILES, plain

SEEDS = [
    b"\n".join(plain("event.json.gz").splitlines()[:30]) + b"\n",
    b"\n".join(plain("event.rfc3339.csv.gz").splitlines()[:30]) + b"\n",
    gzip.compress(b"\n".join(plain("refused.json.gz").splitlines()[:30]) + b"\n"),
    (FILES / "event.summary-export.json").read_bytes(),
    (FILES / "event.handle-summary.json").read_bytes(),
]
PIECES = [
    b"", b"\0", b"\n", b'"', b",", b"{", b"}", b"[", b"]", b"\\", b"\xff", b"null", b"NaN", b"1e400", b"-1", b"'",
    b"\r", b"Metric", b"Point", b"\\ud800", b"9" * 400, b"[" * 3000, b"\x1f\x8b\x08", b"&", b"=", b"\xef\xbb\xbf",
    b";", b"true",
]  # fmt: skip
Edit = tuple[float, int, bytes]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))


def edited(seed: bytes, edits: list[Edit]) -> bytes:
    """``seed`` with pieces put in: where (a share of its length), over how many bytes, and what."""
    for place, length, piece in edits:
        at = int(place * len(seed))
        seed = seed[:at] + piece + seed[at + length :]
    return seed


@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 60), st.sampled_from(PIECES) | st.binary(max_size=5)),
        min_size=1,
        max_size=6,
    ),
)
def test_any_damage_to_a_file_is_read_or_refused(bench: Bench, seed: bytes, edits: list[Edit]) -> None:
    before = bench.holdings()
    taken = None
    with suppress(BadInput):
        taken = bench.ingest(edited(seed, edits))
    if taken is None:
        assert bench.holdings() == before
        return
    record = bench.store.record(taken.run.id)
    assert record.run.points == sum(one.n for one in record.series) == sum(a.points for a in record.artefacts)
    assert bench.store.count_runs() == before[0] + taken.created
