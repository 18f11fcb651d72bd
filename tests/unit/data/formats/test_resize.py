"""Images in another size: compared with Pillow's."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from trainer.data.formats.resize import mean_of_four, resize_images


@pytest.mark.parametrize("size", [(28, 28), (14, 14), (56, 40), (31, 17), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_resized_as_pillow_resizes_them(size, channels):
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, channels), np.uint8)
    found = resize_images(images, size)
    assert (found.dtype, found.shape) == (np.uint8, (3, *size, channels))
    for image, made in zip(images, found, strict=True):
        picture = Image.fromarray(image[..., 0] if channels == 1 else image)
        wanted = picture.resize(size[::-1], Image.Resampling.BILINEAR)
        wanted = np.asarray(wanted, np.int16).reshape(made.shape)
        assert np.abs(wanted - made).max() <= 1


def test_floats_and_wide_integers_keep_type_and_range():
    images = np.random.default_rng(0).uniform(-1, 1, (2, 9, 7, 3)).astype(np.float32)
    found = resize_images(images, (12, 12))
    assert (found.dtype, found.shape) == (np.float32, (2, 12, 12, 3))
    assert found.min() >= -1
    assert found.max() <= 1
    wide = np.full((1, 9, 9, 1), 65535, np.uint16)
    assert (resize_images(wide, (20, 3)) == 65535).all()


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 300), st.integers(1, 300), st.floats(1, 3), st.sampled_from([1, 3]))
def test_the_mean_of_four_is_what_pillow_makes_of_it(height, width, factor, channels):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, channels), np.uint8)
    size = (max(1, int(height / factor)), max(1, int(width / factor)))
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    doubled = picture.resize((2 * size[1], 2 * size[0]), Image.Resampling.NEAREST)
    wanted = np.asarray(doubled.reduce(2)).reshape(*size, channels)
    np.testing.assert_array_equal(mean_of_four(pixels, size), wanted)
    out = np.zeros_like(wanted)
    assert mean_of_four(pixels, size, out=out) is out
    np.testing.assert_array_equal(out, wanted)
