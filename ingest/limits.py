"""How much one upload may cost. Hostile input meets these before it meets anything else."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """Bounds of one ingest.

    k6's JSON compresses 24 to 33 times and gzip at most 1028 times; ``gzip_ratio`` applies to what came out after the
    first ``gzip_free_bytes``. ``tag_texts`` is how many different tags are brought into memory at most, about.
    ``junit_bytes`` and ``junit_depth`` bound one report of tests, ``junit_files`` and ``junit_cases`` those of a run
    together. A run keeps ``attachments`` of ``attachment_bytes`` each; of reports what fits into the same room.
    ``memory_bytes`` bounds DuckDB; ``address_space_bytes`` the whole worker process.
    """

    artefact_bytes: int = 4 * GIB
    plain_bytes: int = 16 * GIB
    gzip_ratio: int = 200
    gzip_free_bytes: int = 64 * MIB
    summary_bytes: int = 32 * MIB
    line_bytes: int = 16 * MIB
    parts: int = 64
    tag_texts: int = 100_000
    series: int = 20_000
    metrics: int = 2_000
    tag_characters: int = 512
    junit_files: int = 256
    junit_bytes: int = 64 * MIB
    junit_cases: int = 500_000
    junit_characters: int = 64 * 1024
    junit_depth: int = 100
    attachments: int = 20
    attachment_bytes: int = 5 * MIB
    memory_bytes: int = 640 * MIB
    address_space_bytes: int = 4 * GIB
    wall_s: int = 900
