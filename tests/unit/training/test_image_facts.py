from types import SimpleNamespace

import numpy as np
import pytest

from trainer.config.errors import DataError
from trainer.data.formats.table import ImageSpec
from trainer.distribution import SINGLE_PROCESS
from trainer.training.image_facts import check_same_shape, count_classes


def split(largest, shape=(28, 28, 1), name="x"):
    stream = SimpleNamespace(
        largest_label=lambda: largest,
        spec=ImageSpec(shape),
        tables=[SimpleNamespace(name=name)],
    )
    return SimpleNamespace(stream=stream)


def test_classes_are_those_of_all_splits():
    assert count_classes(SINGLE_PROCESS, split(3), None, split(25)) == 26


def test_classes_are_those_of_all_processes():
    # Another process has found a label that this one has not.
    other = SimpleNamespace(processes=2, rank=0, sum=lambda own: np.add(own, [0, 12]))
    assert count_classes(other, split(3)) == 12


def test_a_modules_own_data_need_not_tell():
    assert count_classes(SINGLE_PROCESS, SimpleNamespace(stream=None)) is None


def test_a_single_class_is_an_error():
    with pytest.raises(DataError, match="--train: all examples have label 0, expected two classes"):
        count_classes(SINGLE_PROCESS, split(0), split(0))


def test_a_process_whose_labels_cannot_be_read_meets_the_others_before_it_fails():
    met = []

    def damaged():
        raise DataError(subject="x", problem="record 3 is damaged")

    strategy = SimpleNamespace(
        processes=2, rank=0, sum=lambda own: met.append(1) or np.asarray(own)
    )
    broken = SimpleNamespace(stream=SimpleNamespace(largest_label=damaged))
    with pytest.raises(DataError, match="record 3 is damaged"):
        count_classes(strategy, broken)
    assert met == [1]


def test_splits_of_other_shapes_are_refused_with_both_names():
    train, test = split(3, (32, 32, 3), "a"), split(3, (28, 28, 3), "b")
    check_same_shape(train, train)
    check_same_shape(train, None)
    with pytest.raises(DataError, match=r"^b: images are 28×28×3, those of .* a, 32×32×3; --image"):
        check_same_shape(train, test)
    with pytest.raises(DataError, match=r"b: images are grey \(32×32×1\), those .* a, in colour"):
        check_same_shape(train, split(3, (32, 32, 1), "b"))
