"""The synthetic digits as a table."""

import numpy as np
import pytest

from trainer.data.formats.table import BLOCK_RECORDS
from trainer.data.synthetic import draw
from trainer.data.synthetic.embedded import SyntheticTable


@pytest.fixture(scope="module")
def held_out():
    table = SyntheticTable("test")
    return table, *table.read(0, len(table))


def test_the_splits_have_their_counts():
    assert len(SyntheticTable("train")) == draw.TRAIN_COUNT
    assert len(SyntheticTable("test")) == draw.TEST_COUNT


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, BLOCK_RECORDS),
        (15 * BLOCK_RECORDS, 17 * BLOCK_RECORDS),
        (3 * BLOCK_RECORDS, 20 * BLOCK_RECORDS),
        (31 * BLOCK_RECORDS, 2000),
    ],
)
def test_any_range_of_blocks_is_the_slice_of_the_whole(held_out, start, stop):
    table, images, labels = held_out
    found, classes = table.read(start, stop)
    np.testing.assert_array_equal(found, images[start:stop])
    np.testing.assert_array_equal(classes, labels[start:stop])


def test_every_table_of_a_split_holds_the_same_digits(held_out):
    _, images, labels = held_out
    found, classes = SyntheticTable("test").read(0, 5 * BLOCK_RECORDS)
    np.testing.assert_array_equal(found, images[: 5 * BLOCK_RECORDS])
    np.testing.assert_array_equal(classes, labels[: 5 * BLOCK_RECORDS])


def test_training_and_test_digits_differ(held_out):
    _, images, _ = held_out
    train = SyntheticTable("train").read(0, 32 * BLOCK_RECORDS)[0]
    known = {image.tobytes() for image in images}
    assert not any(image.tobytes() in known for image in train)


def test_nothing_is_damaged_and_the_name_says_synthetic():
    for split in ("train", "test"):
        table = SyntheticTable(split)
        assert table.damage == []
        assert table.kind == "synthetic"
        assert table.name == f"synthetic {split} digits"
