"""The layout of stored images, by shape alone."""

import numpy as np
import pytest

from trainer.config.errors import DataError
from trainer.data.formats.image_layout import image_layout


@pytest.mark.parametrize(
    ("stored", "shape", "channels_first"),
    [
        ((28, 28), (28, 28, 1), False),
        ((28, 28, 1), (28, 28, 1), False),
        ((1, 28, 28), (28, 28, 1), True),
        ((32, 32, 3), (32, 32, 3), False),
        ((3, 32, 32), (32, 32, 3), True),
        ((3, 48, 64), (48, 64, 3), True),
        ((3, 32, 3), (3, 32, 3), False),
        ((784,), (28, 28, 1), False),
        ((1, 784), (28, 28, 1), False),
        ((784, 1), (28, 28, 1), False),
        ((3072,), (32, 32, 3), True),
        ((64,), (8, 8, 1), False),
    ],
)
def test_the_layout_follows_from_the_shape(stored, shape, channels_first):
    found = image_layout(stored, where="x.npy")
    assert (found.shape, found.channels_first) == (shape, channels_first)


@pytest.mark.parametrize("stored", [(3, 8, 12), (4, 8, 12), (8, 12, 3), (8, 12, 4), (8, 12)])
def test_pixels_end_where_they_belong(stored):
    first = len(stored) == 3 and stored[0] in (3, 4)
    rows = np.random.default_rng(0).integers(0, 256, (5, *stored), np.uint8)
    wanted = np.moveaxis(rows, 1, -1) if first else rows.reshape(5, 8, 12, -1)
    layout = image_layout(stored, where="x.npy")
    np.testing.assert_array_equal(layout.arrange(rows), wanted[..., :3])
    np.testing.assert_array_equal(layout.arrange(rows.reshape(5, -1)), wanted[..., :3])


def test_rows_of_cifar_are_three_planes():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    rows = pixels.transpose(0, 3, 1, 2).reshape(5, 3072)
    layout = image_layout((3072,), where="x.npy")
    np.testing.assert_array_equal(layout.arrange(rows), pixels)
    assert layout.note == (
        "rows of 3072 values are read as 3 channels of 32×32, one after the other as in "
        "CIFAR's batches"
    )


def test_rows_that_are_not_square_have_the_size_that_is_given():
    assert image_layout((600,), where="x", image_size=(20, 30)).shape == (20, 30, 1)
    assert image_layout((1800,), where="x", image_size=(20, 30)).shape == (20, 30, 3)
    # Square rows are resized to what is given.
    assert image_layout((784,), where="x", image_size=(20, 30)).shape == (28, 28, 1)


def test_what_was_inferred_is_said():
    assert image_layout((784,), where="x").note == "rows of 784 values are read as 28×28"
    assert image_layout((3, 4, 5), where="x").note == "images of 3×4×5 have their channels first"
    assert image_layout((5, 5, 4), where="x").note == "the fourth channel (alpha) is left out"
    assert image_layout((5, 5, 3), where="x").note == image_layout((5, 5), where="x").note == ""


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ((), "an image has single values: expected height, width and channels, none of them 0"),
        ((0, 28), "an image has 0×28: expected height, width and channels, none of them 0"),
        ((4,), "an image has 4 values: no square image of 1 or 3 channels; give --image-size H,W"),
        ((600,), "an image has 600 values: no square image of 1 or 3 channels; give --image-size"),
        ((10, 28, 28), "an image has 10×28×28: expected H×W, H×W×C or C×H×W with 1, 3 or 4"),
        ((28, 28, 2), "an image has 28×28×2: expected H×W, H×W×C or C×H×W with 1, 3 or 4"),
        ((10**5, 10**5), "an image has 100000×100000: more than 67,108,864 values; cut it into"),
        ((2, 3, 28, 28), "an image has 2×3×28×28: expected H×W, H×W×C or C×H×W with 1, 3 or 4"),
    ],
)
def test_what_is_no_image_is_refused_with_its_shape(stored, message):
    with pytest.raises(DataError) as caught:
        image_layout(stored, where="x.npy")
    assert str(caught.value).startswith(f"x.npy: {message}")
