"""Tables in the form that a run asks for: image size, pixel range, order of classes."""

import numpy as np
import pytest

from trainer.config.errors import DataError
from trainer.data.adapted import adapted
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.table import ImageSpec, Table


class Drawn(Table):
    """A table in memory."""

    kind = "drawn"

    def __init__(self, labels, names=(), *, shape=(4, 6, 3), name="drawn"):
        self.name, self.damage, self.class_names = name, [], names
        self.spec = ImageSpec(shape)
        self._labels = np.array(labels, np.int32)
        rng = np.random.default_rng(0)
        self._images = rng.integers(0, 256, (len(labels), *shape), np.uint8)

    def __len__(self):
        return len(self._labels)

    def read(self, start, stop):
        return self._images[start:stop], self._labels[start:stop]


def test_what_is_as_wanted_is_left_as_it_is():
    tables = [Drawn([0, 1]), Drawn([1, 1])]
    assert adapted(tables, ReadOptions()) == tables


def test_images_are_resized_and_their_labels_kept():
    [table] = adapted([Drawn([2, 0, 1])], ReadOptions(image_size=(8, 3)))
    images, labels = table.read(0, 3)
    assert table.spec.shape == images.shape[1:] == (8, 3, 3)
    assert images.dtype == np.uint8
    assert labels.tolist() == [2, 0, 1]
    assert table.label_counts().tolist() == [1, 1, 1]


def test_a_range_that_is_given_comes_before_the_one_inferred():
    [table] = adapted([Drawn([0, 1])], ReadOptions(pixel_range=(10, 20)))
    assert (table.spec.low, table.spec.high) == (10, 20)


def test_tables_with_other_classes_get_the_labels_of_all():
    first, second = Drawn([0, 1, 1], ("ant", "dog")), Drawn([0, 1], ("cat", "dog"))
    found = adapted([first, second], ReadOptions())
    assert {table.class_names for table in found} == {("ant", "cat", "dog")}
    assert [table.read(0, len(table))[1].tolist() for table in found] == [[0, 2, 2], [1, 2]]
    assert [table.label_counts().tolist() for table in found] == [[1, 0, 2], [0, 1, 1]]
    assert found[0].read(0, 3)[1].dtype == np.int32


def test_names_that_are_given_decide_on_the_labels():
    table = Drawn([0, 1, 1], ("cat", "dog"))
    [found] = adapted([table], ReadOptions(class_names=("dog", "fox", "cat")))
    assert found.read(0, 3)[1].tolist() == [2, 0, 0]
    assert found.class_names == ("dog", "fox", "cat")


def test_a_table_without_names_keeps_its_labels_and_gets_the_names():
    [found] = adapted([Drawn([0, 1])], ReadOptions(class_names=("dog", "fox")))
    assert found.read(0, 2)[1].tolist() == [0, 1]
    assert found.class_names == ("dog", "fox")


def test_a_class_that_training_did_not_have_is_named():
    table = Drawn([0, 1], ("cat", "emu"), name="test/x")
    with pytest.raises(DataError, match=r"^test/x: has the class emu, which is not among .*: cat$"):
        adapted([table], ReadOptions(class_names=("cat",)))
