"""Shape and type of bare pixels, by their number, their values and what is known of the size."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from trainer.data.formats.raw_shape import shape_of, type_and_shape

NOTHING = (None, None, None)


@pytest.mark.parametrize(
    ("values", "known", "image_size", "shape"),
    [
        (784, NOTHING, None, (28, 28, 1)),
        (3072, NOTHING, None, (32, 32, 3)),
        (785, NOTHING, None, None),
        (49, NOTHING, None, None),
        (49, (7, 7, None), None, (7, 7, 1)),
        (784, (28, None, None), None, (28, 28, 1)),
        (784, (None, 14, None), None, (56, 14, 1)),
        (784, (None, None, 1), None, (28, 28, 1)),
        (2352, (28, 28, None), None, (28, 28, 3)),
        (3136, (28, 28, None), None, (28, 28, 4)),
        (600, NOTHING, (20, 10), (20, 10, 3)),
        (784, NOTHING, (20, 10), (28, 28, 1)),
        (784, (0, 28, 1), None, None),
        (784, (-1, 28, 1), None, None),
        (784, (2**62, 28, 1), None, None),
        (3072, (3, 32, 32), None, (3, 32, 32)),
        (0, NOTHING, None, None),
    ],
)
def test_what_is_not_known_follows_from_the_number_of_values(values, known, image_size, shape):
    assert shape_of(values, known, image_size=image_size) == shape


@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from(["u1", "<u2", "<f4", "<f8", "<i4", "<i8"]),
    sized=st.booleans(),
    shape=st.sampled_from([(28, 28, 1), (16, 16, 3), (9, 9, 1)]),
    scale=st.sampled_from([1, 255]),
)
def test_the_type_of_pixels_is_told_by_their_values(seed, name, sized, shape, scale):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (4, *shape)).astype(name)
    if values.dtype.kind == "f":
        values *= scale / 255
    known = (*shape[:2], None) if sized else NOTHING
    found = type_and_shape([one.tobytes() for one in values], known)
    assert found == (np.dtype(name), shape)


def test_black_images_are_bytes():
    assert type_and_shape([bytes(784)] * 3, NOTHING) == (np.dtype("u1"), (28, 28, 1))
    assert type_and_shape([bytes(784 * 4)], (28, 28, 1)) is None


def test_bytes_of_no_image_are_none():
    assert type_and_shape([b"abc"], NOTHING) is None
