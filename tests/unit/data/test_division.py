"""Parts of a data set: the same share of each class, each example in one part."""

import numpy as np
import pytest

from trainer.config.errors import DataError
from trainer.data.create import create_dataset
from trainer.data.division import Division, stratified
from trainer.data.files import open_tables
from trainer.data.formats.table import ImageSpec, Table
from trainer.data.manifest import read_manifest


class NumberedTable(Table):
    """Images whose pixels are their number in the data, and reads that are checked."""

    kind = name = "numbers"
    spec = ImageSpec(shape=(2, 2, 1), dtype="uint16", high=65535)

    def __init__(self, classes, first=0):
        self.damage, self.classes, self.first = [], np.asarray(classes, np.int32), first

    def __len__(self):
        return self.classes.size

    def read(self, start, stop):
        numbers = self.first + np.arange(start, stop, dtype=np.uint16)
        images = np.broadcast_to(numbers[:, None, None, None], (numbers.size, 2, 2, 1))
        return images, self.classes[start:stop]


def numbers_of(tables):
    read = [table.read(0, len(table))[0][:, 0, 0, 0].tolist() for table in tables]
    return [number for part in read for number in part]


def unequal(count, seed=0):
    """Labels of which 0 is ten times as frequent as 3."""
    return np.random.default_rng(seed).choice(4, count, p=(0.5, 0.3, 0.15, 0.05))


@pytest.mark.parametrize("shares", [{"train": 0.9, "test": 0.1}, {"a": 0.5, "b": 0.3, "c": 0.2}])
def test_each_part_has_its_share_of_each_class_and_each_example_is_in_one(shares):
    labels = unequal(5000)
    tables = [NumberedTable(labels[:1000]), NumberedTable(labels[1000:], first=1000)]
    parts = stratified(tables, shares, seed=3)
    found = {name: numbers_of(part) for name, part in parts.items()}
    assert sorted(number for part in found.values() for number in part) == [*range(5000)]
    for name, share in shares.items():
        assert found[name] == sorted(found[name])
        assert abs(len(found[name]) - share * 5000) <= 1
        counts = np.bincount(labels[found[name]], minlength=4)
        np.testing.assert_allclose(counts, share * np.bincount(labels), atol=2)


def test_the_same_seed_gives_the_same_parts_and_another_one_others():
    tables = [NumberedTable(unequal(500))]
    a, b, c = (
        numbers_of(stratified(tables, {"train": 0.8, "test": 0.2}, seed=seed)["test"])
        for seed in (1, 1, 2)
    )
    assert a == b != c


def test_a_part_without_an_example_is_one_line():
    with pytest.raises(DataError, match=r"3 examples are too few for a test part of 0\.1"):
        stratified([NumberedTable([0, 1, 2])], {"train": 0.9, "test": 0.1}, seed=0)


def test_a_divided_data_set_is_written_with_its_parts_as_splits(tmp_path):
    labels = unequal(1000)
    images = np.broadcast_to(labels[:, None, None], (1000, 5, 4)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    division = Division(shares=(("train", 0.7), ("validation", 0.2), ("test", 0.1)))
    out = tmp_path / "out"
    create_dataset(source=str(tmp_path), out=out, division=division, shards=2)
    manifest = read_manifest(out)
    assert {s: m.examples for s, m in manifest.splits.items()} == {
        "train": 700, "validation": 200, "test": 100,
    }  # fmt: skip
    for split in ("train", "validation", "test"):
        tables = open_tables([str(out)], split=split)
        for table in tables:
            found, classes = table.read(0, len(table))
            np.testing.assert_array_equal(found[:, 0, 0, 0], classes)
