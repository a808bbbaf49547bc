"""Gzip under limits: everything that can be read, and not a byte more than allowed."""

import gzip
import random
import resource
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import ArtefactTooLarge, UnreadableArtefact
from ingest.inflate import head, inflate
from ingest.limits import MIB, Limits

LIMITS = Limits()
LINES = b'{"metric":"http_reqs","value":1}\n' * 40_000


def inflated(packed: bytes, limits: Limits = LIMITS) -> tuple[bytes, str | None]:
    """What ``packed`` inflates to, and how it is damaged."""
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "source"), Path(folder, "target")
        source.write_bytes(packed)
        problem = inflate(source, target, "r.json.gz", limits, lambda _share: None)
        return target.read_bytes(), problem


@given(st.lists(st.binary(max_size=5000), min_size=1, max_size=6), st.integers(0, 9))
def test_any_number_of_members_inflate_to_what_was_packed(members: Sequence[bytes], level: int) -> None:
    packed = b"".join(gzip.compress(member, level) for member in members)
    if any(members):
        assert inflated(packed) == (b"".join(members), None)


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 70_000])
@pytest.mark.parametrize("content", [b"\0", b'{"a":1}\n', random.Random(1).randbytes(1000)], ids=["0", "text", "noise"])
def test_nothing_is_lost_where_pieces_meet(content: bytes, size: int) -> None:
    plain = (content * (size // len(content) + 1))[:size]
    assert inflated(gzip.compress(plain), replace(LIMITS, gzip_ratio=2000)) == (plain, None)


@given(cut=st.integers(100, 200_000))
def test_a_stream_cut_anywhere_gives_what_came_before(cut: int) -> None:
    noise = random.Random(2).randbytes(200_000)
    plain, problem = inflated(gzip.compress(noise, 0)[:cut])
    assert problem == "the gzip stream ends early"
    assert noise.startswith(plain)
    assert len(plain) > cut - 100


def test_damage_in_the_middle_keeps_what_came_before() -> None:
    noise = random.Random(2).randbytes(100_000)
    packed = bytearray(gzip.compress(noise, 0))
    packed[65_550:65_560] = b"\xff" * 10  # the second block's header
    plain, problem = inflated(bytes(packed))
    assert problem == "the gzip stream is damaged"
    assert noise.startswith(plain)
    assert len(plain) > 60_000


def test_a_wrong_checksum_is_damage() -> None:
    packed = bytearray(gzip.compress(LINES))
    packed[-8:-4] = zlib.crc32(b"something else").to_bytes(4, "little")
    assert inflated(bytes(packed))[1] == "the gzip stream is damaged"


def test_what_follows_the_stream_is_damage_and_the_stream_is_kept() -> None:
    assert inflated(gzip.compress(LINES) + b"garbage") == (LINES, "what follows the gzip stream is not gzip")


@pytest.mark.parametrize("packed", [b"\x1f\x8b", b"\x1f\x8b\x08" + b"\xff" * 50, gzip.compress(LINES, mtime=0)[:15]])
def test_a_stream_of_which_nothing_can_be_read_is_refused(packed: bytes) -> None:
    with pytest.raises(UnreadableArtefact, match=r"could not read r\.json\.gz: the gzip stream"):
        inflated(packed)


def test_a_bomb_is_refused_by_its_ratio_once_the_free_bytes_are_used() -> None:
    limits = replace(LIMITS, gzip_ratio=100, gzip_free_bytes=MIB)
    with pytest.raises(ArtefactTooLarge, match="inflates more than 100 times, as no k6 output does"):
        inflated(gzip.compress(b"\n" * 3 * MIB), limits)
    assert inflated(gzip.compress(b"\n" * (MIB - 1)), limits)[1] is None


def test_what_inflates_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ArtefactTooLarge, match="inflates to more than 1,000,000 bytes"):
        inflated(gzip.compress(LINES), replace(LIMITS, plain_bytes=1_000_000))


def test_a_gibibyte_of_zeros_is_refused_early_and_in_little_memory() -> None:
    bomb = gzip.compress(b"\0" * (32 * MIB)) * 32
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArtefactTooLarge, match="more than 200 times"):
        inflated(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 64 * 1024


def test_progress_comes_in_order_and_ends_with_the_whole(tmp_path: Path) -> None:
    packed = tmp_path / "p"
    packed.write_bytes(gzip.compress(random.Random(3).randbytes(3 * MIB)))
    shares: list[float] = []
    inflate(packed, tmp_path / "t", "p", LIMITS, shares.append)
    assert shares == sorted(shares)
    assert len(shares) == 4
    assert shares[-1] == 1


@pytest.mark.parametrize("members", [[LINES], [LINES[:50], LINES[50:]]])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_head_of_a_file_is_that_of_its_content(
    tmp_path: Path, members: list[bytes], pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"".join(map(pack, members)))
    assert head(path, 1000) == LINES[:1000]
