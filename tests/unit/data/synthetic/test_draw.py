"""The digits drawn by the program: the same for the same seed, varied, and worth learning."""

import numpy as np
import pytest

from trainer.data.synthetic import draw as synthetic
from trainer.data.synthetic.draw import BLOCK, TEST_COUNT, draw


@pytest.fixture(scope="module")
def train():
    return draw(4_000, seed=0)


@pytest.fixture(scope="module")
def test():
    return draw(TEST_COUNT, seed=1)


def nearest_mean(train, images):
    """Gives each image the label of the nearest of the ten mean images."""
    flat = train[0].reshape(len(train[0]), -1).astype(np.float32)
    means = np.stack([flat[train[1] == digit].mean(0) for digit in range(10)])
    asked = images.reshape(len(images), -1).astype(np.float32)
    return ((asked[:, None] - means) ** 2).sum(-1).argmin(1)


def test_images_and_labels_have_the_promised_shapes_and_types():
    images, labels = draw(37, seed=3)
    assert images.shape == (37, 28, 28, 1)
    assert images.dtype == np.uint8
    assert labels.shape == (37,)
    assert labels.dtype == np.uint8
    assert images.flags.c_contiguous


def test_a_draw_of_none_is_empty():
    images, labels = draw(0, seed=0)
    assert images.shape == (0, 28, 28, 1)
    assert labels.shape == (0,)


def test_the_same_seed_draws_the_same_digits():
    for first, again in zip(draw(300, seed=5), draw(300, seed=5), strict=True):
        np.testing.assert_array_equal(first, again)


def test_different_seeds_draw_different_digits():
    one, other = draw(200, seed=1)[0], draw(200, seed=2)[0]
    assert (one != other).any(axis=(1, 2, 3)).all()


def test_any_integer_is_a_seed():
    np.testing.assert_array_equal(draw(20, seed=-1)[0], draw(20, seed=2**64 - 1)[0])
    assert (draw(20, seed=-1)[0] != draw(20, seed=-2)[0]).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize(
    ("start", "count"),
    [(0, BLOCK), (BLOCK, BLOCK), (2 * BLOCK, 100), (BLOCK - 3, 7), (5, 3), (700, 2 * BLOCK)],
)
def test_a_part_drawn_alone_equals_the_slice_of_a_longer_draw(start, count):
    whole = draw(3 * BLOCK, seed=9)
    part = draw(count, seed=9, start=start)
    for longer, alone in zip(whole, part, strict=True):
        np.testing.assert_array_equal(longer[start : start + count], alone)


@pytest.mark.parametrize("wrong", [{"count": -1}, {"count": 1, "start": -1}])
def test_negative_counts_and_starts_are_refused(wrong):
    with pytest.raises(ValueError, match="0 or more"):
        draw(**wrong, seed=0)


@pytest.mark.parametrize("count", [50, BLOCK, 4_000, 5 * BLOCK])
def test_labels_are_balanced_in_short_and_long_draws(count):
    counts = np.bincount(draw(count, seed=4)[1], minlength=10)
    assert len(counts) == 10
    assert counts.max() - counts.min() <= 2


def test_labels_come_in_no_fixed_order(train):
    labels = train[1]
    tens = labels[:1020].reshape(-1, 10)
    assert len(np.unique(tens, axis=0)) == len(tens)
    assert (labels[:1000] != draw(1000, seed=1)[1]).mean() > 0.8


def test_every_skeleton_of_every_digit_is_drawn_somewhere():
    glyphs = synthetic.GLYPHS
    assert glyphs.first[0] == 0
    assert glyphs.first[-1] == len(glyphs.controls)
    assert (np.diff(glyphs.first) >= 3).all()
    assert (glyphs.ink.sum(1) > synthetic.POINTS * 0.9).all()
    np.testing.assert_allclose(glyphs.basis.sum(2), 1, atol=1e-6)


def test_training_and_test_digits_share_no_image(train, test):
    images = np.concatenate([train[0], test[0]])
    assert len({image.tobytes() for image in images}) == len(images)


def test_digits_are_white_on_black_and_as_bright_as_mnist(train):
    images = train[0] / 255
    assert images.min() == 0
    assert images.max() == 1
    assert 0.11 < images.mean() < 0.16
    assert 0.27 < images.std() < 0.34
    assert images[:, 0].mean() < 0.01


def test_no_digit_is_blank_or_a_blot(train):
    ink = (train[0] > 127).mean(axis=(1, 2, 3))
    assert ink.min() > 0.01
    assert ink.max() < 0.5
    assert (train[0].max(axis=(1, 2, 3)) > 180).all()


def test_edges_are_antialiased(train):
    grey = (train[0] > 20) & (train[0] < 235)
    assert 0.2 < grey.sum() / (train[0] > 20).sum() < 0.7


def test_digits_are_about_twenty_pixels_long_and_centred(train):
    seen = train[0][..., 0] > 64
    heights, widths = (np.ptp(_ends(seen.any(axis)), axis=1) + 1 for axis in (2, 1))
    longest = np.maximum(heights, widths)
    assert 18 < longest.mean() < 22
    assert longest.max() <= 26
    light = train[0][..., 0].astype(float)
    for axis in (1, 2):
        centre = (light.sum(3 - axis) * np.arange(28)).sum(1) / light.sum((1, 2))
        assert abs(centre.mean() - 13.5) < 0.2
        assert centre.std() < 1


def _ends(seen):
    """Gives the first and last True of each row [n, 28] as [n, 2]."""
    return np.stack([seen.argmax(1), 27 - seen[:, ::-1].argmax(1)], axis=1)


def test_digits_of_one_label_vary(train):
    for digit in range(10):
        images = train[0][train[1] == digit].reshape(-1, 28 * 28) / 255
        apart = np.sqrt(((images[:50, None] - images[None, 50:100]) ** 2).sum(-1))
        assert apart.min() > 0.5
        assert images.std(0).max() > 0.35


def test_the_nearest_mean_knows_most_digits_but_not_all(train, test):
    right = (nearest_mean(train, test[0]) == test[1]).mean()
    assert 0.6 < right < 0.92


def test_every_digit_is_distinguished_from_the_others_more_often_than_not(train, test):
    guessed = nearest_mean(train, test[0])
    for digit in range(10):
        assert (guessed[test[1] == digit] == digit).mean() > 0.5
