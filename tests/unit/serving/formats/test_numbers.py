import json
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given

from trainer.serving.formats import numbers
from trainer.serving.models.signature import Tensor

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-99, 99)


def tensor(*row: int | None, dtype: str = "float32") -> Tensor:
    return Tensor(name="x", dtype=np.dtype(dtype), type_name=dtype, shape=(None, *row))


@st.composite
def rows(draw) -> tuple[list, tuple[int, ...]]:
    """Nested lists of one shape."""
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))
    values = draw(st.lists(FLOATS, min_size=math.prod(shape), max_size=math.prod(shape)))
    return np.array(values, object).reshape(shape).tolist(), shape


@given(rows(), st.sampled_from([None, 0, 1, 3]))
def test_numbers_are_read_as_a_json_parser_reads_them(drawn, indent):
    values, shape = drawn
    found = numbers.read(json.dumps(values, indent=indent).encode(), tensor(*shape[1:]))
    assert found is not None
    np.testing.assert_array_equal(found, np.array(values, np.float32))
    assert found.dtype == np.float32


@given(rows(), st.data())
@example(([[1]], (1, 1)), None)
def test_what_is_read_is_what_a_json_parser_reads_however_it_is_damaged(drawn, data):
    values, shape = drawn
    text = json.dumps(values)
    for _ in range(data.draw(st.integers(1, 3)) if data else 0):
        at = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(at, min(len(text), at + 3)))
        text = text[:at] + data.draw(st.text('[]{},.-+eE0123 \n\tntx"', max_size=3)) + text[end:]
    found = numbers.read(text.encode(), tensor(*shape[1:]))
    if found is None:
        return
    # Raises where the text is no JSON.
    expected = np.array(json.loads(text), np.float64)
    assert found.shape == expected.shape
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found, expected.astype(np.float32))


@pytest.mark.parametrize(
    "text",
    [
        "[[1, 2], [3]]",
        "[[1], [2, 3]]",
        "[[1, 2], 3, [4]]",
        "[[1, 2[]]]",
        "[1[, 2]]",
        "[[, 1], 2]",
        "[[1, 2]",
        "[[1, 2]]]",
        "[[1 2, 3]]",
        "[[1, NaN]]",
        "[[true, 2]]",
        "[[1, null]]",
        '[["1", 2]]',
        "[[1, [2]]]",
        "[]",
        "[[]]",
        "",
        "[[1,,2]]",
        "[[1, 2],]",
        "[[0x1, 2]]",
        "[[01, 2]]",
    ],
)
def test_what_is_unusual_is_left_to_the_parser(text):
    assert numbers.read(text.encode(), tensor(2)) is None


def test_rows_of_unknown_shape_and_whole_numbers_are_left_to_the_parser():
    assert numbers.read(b"[[1, 2]]", tensor(None)) is None
    assert numbers.read(b"[[1, 2]]", tensor(2, dtype="int32")) is None


def test_single_values_are_rows_too():
    np.testing.assert_array_equal(numbers.read(b"[1, 2.5, -3e2]", tensor()), [1, 2.5, -300])


def test_too_large_numbers_become_infinite_to_be_refused_later():
    assert np.isinf(numbers.read(b"[[1e39, 2]]", tensor(2))).any()


def test_the_array_of_a_document_is_cut_out():
    assert numbers.split(b'{"instances": [[1]], "a": 2}') == (b'{"instances": 0, "a": 2}', b"[[1]]")
    assert numbers.split(b'{"instances": 1}') is None
