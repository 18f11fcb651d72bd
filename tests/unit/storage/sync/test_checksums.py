"""Checksums as stores keep them."""

from __future__ import annotations

import hashlib
import zlib

import google_crc32c
import pytest
from hypothesis import given, settings, strategies as st

from trainer.storage.sync.checksums import (
    KINDS,
    MIB,
    Checksums,
    are_equal,
    checksum_of,
    etag_of_parts,
    guessed_part_size,
    hasher_for,
    of_etag,
    part_size_for,
)


def crc64nvme(data: bytes) -> str:
    """Compute it bit by bit, by its definition."""
    state = 2**64 - 1
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x9A6C9329AC4BC9B5 if state & 1 else 0)
    return f"{state ^ (2**64 - 1):016x}"


def test_crc64nvme_of_the_nine_digits_is_the_one_that_is_published():
    assert checksum_of([b"123456789"], Checksums(crc64nvme="?")).crc64nvme == "ae8b14860a799888"


@settings(max_examples=20)
@given(st.integers(0, 9000), st.integers(1, 5000), st.randoms(use_true_random=False))
def test_crc64nvme_of_long_runs(size, piece, draw):
    data = draw.randbytes(size)
    hasher = hasher_for("crc64nvme")
    for at in range(0, size, piece):
        hasher.update(data[at : at + piece])
    assert hasher.hexdigest() == crc64nvme(data)


@given(st.binary(max_size=100), st.integers(1, 40), st.integers(1, 40))
def test_checksums_do_not_depend_on_the_pieces_in_which_bytes_come(data, piece, part):
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    parts = [hashlib.md5(data[at : at + part]).digest() for at in range(0, len(data), part)]
    expected = {
        "md5": hashlib.md5(data).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "parts_md5": etag_of_parts(parts),
        "crc32c": f"{google_crc32c.value(data):08x}",
        "crc32": f"{zlib.crc32(data):08x}",
        "crc64nvme": crc64nvme(data),
    }
    for kind in KINDS:
        hasher = hasher_for(kind, part)
        for each in pieces:
            hasher.update(each)
        assert hasher.hexdigest() == expected[kind]


def test_the_etag_of_parts_is_the_one_that_s3_computes():
    # Of a file of 8 MiB and one byte, sent by the AWS CLI.
    data = bytes(8 * MIB) + b"x"
    parts = [hashlib.md5(data[: 8 * MIB]).digest(), hashlib.md5(b"x").digest()]
    expected = hashlib.md5(b"".join(parts)).hexdigest() + "-2"
    known = of_etag(f'"{expected}"', len(data))
    assert known == Checksums(parts_md5=expected, part_size=8 * MIB)
    assert are_equal(known, checksum_of([data], known)) is True


@pytest.mark.parametrize("etag", ["", '"abc"', '"0123456789abcdef0123456789abcdef-x"', "W/x"])
def test_other_etags_say_nothing(etag):
    assert of_etag(etag, 5) == Checksums()


def test_the_strongest_checksum_that_both_sides_have_counts():
    md5, other = Checksums(md5="a", crc32c="1"), Checksums(md5="b", crc32c="1")
    assert are_equal(md5, other) is False
    assert are_equal(Checksums(crc32c="1"), other) is True
    assert are_equal(Checksums(sha256="1"), other) is None


def test_parts_of_another_size_say_nothing():
    one, other = Checksums(parts_md5="a-2", part_size=5), Checksums(parts_md5="b-3", part_size=4)
    assert are_equal(one, other) is None
    assert are_equal(one, Checksums(parts_md5="b-2", part_size=5)) is False


@pytest.mark.parametrize("size", [1, 8 * MIB, 8 * MIB + 1, 80_000 * MIB + 1, 5 * 2**40])
def test_parts_are_neither_too_many_nor_too_small_for_s3(size):
    part = part_size_for(size)
    assert part >= 5 * MIB
    assert -(-size // part) <= 10_000
    assert guessed_part_size(size, -(-size // part)) == part


def test_the_size_of_parts_is_found_by_their_number():
    assert guessed_part_size(100 * MIB, 20) == 5 * MIB
    assert guessed_part_size(100 * MIB, 7) == 15 * MIB
    assert guessed_part_size(100 * MIB, 99) is None
