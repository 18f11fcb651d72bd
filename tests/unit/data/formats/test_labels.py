"""Labels of any form become integers; those that cannot are named with their record."""

import numpy as np
import pytest

from trainer.config.errors import DataError
from trainer.data.formats.labels import labels_of

WANTED = np.array([3, 0, 9, 1, 1, 7])


@pytest.mark.parametrize(
    "kind", ["u1", "i1", "<i2", ">i2", ">i4", "<i8", ">u8", "f2", "f4", ">f8", "U2", "S1"]
)
@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_numbers_of_any_type_are_labels(kind, shape):
    labels, names = labels_of(WANTED.astype(kind).reshape(shape), where="y")
    np.testing.assert_array_equal(labels, WANTED)
    assert labels.dtype.kind in "iu"
    assert names == ()


@pytest.mark.parametrize("kind", ["?", "u1", "i8", "f2", ">f8"])
def test_rows_that_are_one_hot_are_labels(kind):
    labels, names = labels_of(np.eye(10)[WANTED].astype(kind), where="y")
    np.testing.assert_array_equal(labels, WANTED)
    assert names == ()


def test_booleans_are_two_classes():
    assert labels_of(np.array([True, False, True]), where="y")[0].tolist() == [1, 0, 1]


@pytest.mark.parametrize("kind", ["U5", "S5"])
def test_names_are_classes_in_the_order_of_the_alphabet(kind):
    labels, names = labels_of(np.array(["dog", "cat", "dog", "ant"]).astype(kind), where="y")
    assert labels.tolist() == [2, 1, 2, 0]
    assert names == ("ant", "cat", "dog")


def test_no_labels_are_no_labels():
    assert labels_of(np.zeros(0), where="y")[0].size == 0
    assert labels_of(np.zeros((0, 10)), where="y")[0].size == 0


def test_records_are_counted_from_the_first_one_given():
    for values in (np.full(3, 0.5), np.full((3, 2), 0.5), np.full(3, -1)):
        with pytest.raises(DataError, match=r"^y: record 640: "):
            labels_of(values, where="y", first=640)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e300])
def test_a_label_that_is_not_whole_is_named_with_its_record(value):
    values = WANTED.astype(float)
    values[4] = value
    with pytest.raises(DataError) as caught:
        labels_of(values, where="y.npy")
    assert str(caught.value) == (
        f"y.npy: record 4: label {value:g} is not a whole number; give integers from 0 on"
    )


@pytest.mark.parametrize("value", [-1, 2**63 + 1])
def test_a_label_out_of_range_is_named_with_its_record(value):
    values = WANTED.astype("u8" if value > 0 else "i8")
    values[4] = value
    with pytest.raises(DataError, match=rf"^y\.npy: record 4: label {value} is out of range"):
        labels_of(values, where="y.npy")


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ([0, 1, 1], "[0, 1, 1]"),
        ([0, 0, 0], "[0, 0, 0]"),
        ([0.5, 0.5, 0], "[0.5, 0.5, 0]"),
        ([0, np.nan, 1], "[0, nan, 1]"),
        ([1, 2, 3, 4, 5, 6, 7], "[1, 2, 3, 4, 5, 6, …]"),
    ],
)
def test_a_row_that_is_not_one_hot_is_named_with_its_record(row, shown):
    rows = np.eye(len(row))[[0, 1, 2]]
    rows[1] = row
    with pytest.raises(DataError) as caught:
        labels_of(rows, where="y.npy")
    assert str(caught.value) == (
        f"y.npy: record 1: the row of labels is {shown}, expected a single 1 among zeros; "
        "give one class an example"
    )


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((), "i4"),
        np.zeros((2, 3, 4)),
        np.zeros(3, "O"),
        np.zeros(3, "c8"),
        np.zeros((3, 0)),
        np.full((3, 2), "a"),
        np.zeros(3, "i4,i4"),
    ],
    ids=["a scalar", "rank 3", "objects", "complex", "no classes", "rows of names", "structures"],
)
def test_what_is_no_form_of_labels_is_refused(values):
    with pytest.raises(DataError, match=r"^y: labels are .*, expected integers \[n\] or \[n, 1\]"):
        labels_of(values, where="y")


def test_names_that_are_no_text_are_refused():
    with pytest.raises(DataError, match="not Unicode"):
        labels_of(np.array([b"\xff\xfe", b"a"]), where="y")
    with pytest.raises(DataError, match="not Unicode"):
        labels_of(np.frombuffer(b"\xff\xff\xff\xff" * 2, "<U1"), where="y")
