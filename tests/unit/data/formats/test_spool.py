"""Rows of bytes on disk: any of them, from spools that share one file."""

import gc
from pathlib import Path

import numpy as np
import pytest

from trainer.data.formats.kept_groups import KeptGroups
from trainer.data.formats.spool import Spool


def rows(count, width, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, width), np.uint8)


@pytest.mark.parametrize("width", [5, 0])
def test_rows_are_read_from_any_place_however_they_were_appended(width):
    spools, written = [Spool(width), Spool(width)], [[], []]
    for seed in range(6):
        # By turns, so that neither stands in one piece; then twice the same one.
        own = seed % 2 if seed < 4 else 1
        part = rows(3 + seed, 5, seed)
        given = part if width else [row.tobytes()[: i + 1] for i, row in enumerate(part)]
        spools[own].append(given)
        written[own] += list(given)
    for spool, expected in zip(spools, written, strict=True):
        assert len(spool) == len(expected)
        for start in range(len(expected)):
            for stop in range(start + 1, len(expected) + 1):
                found = spool.read(start, stop)
                assert list(map(bytes, found)) == [bytes(row) for row in expected[start:stop]]


def test_a_thousand_spools_take_one_open_file_and_leave_none():
    def open_files():
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    gc.collect()
    before = open_files()
    spools = [Spool(4) for _ in range(1000)]
    for number, spool in enumerate(spools):
        spool.append(rows(2, 4, number))
    assert open_files() <= before + 1
    np.testing.assert_array_equal(spools[500].read(0, 2), rows(2, 4, 500))
    del spools, spool
    gc.collect()
    assert open_files() <= before


def test_groups_make_room_for_those_that_were_wanted_last():
    kept = KeptGroups(30)
    for number in range(3):
        kept.put((1, number), rows(1, 10, number))
    assert kept.get((1, 0)) is not None
    kept.put((2, 0), [b"x" * 10])
    assert [key for key in ((1, 0), (1, 1), (1, 2), (2, 0)) if kept.get(key) is not None] == [
        (1, 0), (1, 2), (2, 0),
    ]  # fmt: skip
    kept.put((2, 1), rows(1, 99, 0))
    assert kept.get((2, 1)) is not None
    kept.drop(2)
    assert kept.get((2, 1)) is None
