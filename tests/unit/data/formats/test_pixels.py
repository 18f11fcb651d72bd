"""The form of images: what type and range of stored values are taken for."""

import numpy as np
import pytest

from trainer.config.errors import DataError
from trainer.data.formats.pixels import pixel_form, sampled_blocks
from trainer.data.formats.read_options import ReadOptions


def form_of(rows, **options):
    return pixel_form(
        rows.shape[1:], rows.dtype, rows, where="x.npy", options=ReadOptions(**options)
    )


def digits(count=6, shape=(28, 28)):
    rows = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    rows.ravel()[:2] = 0, 255
    return rows


def as_model_sees(form, rows):
    spec = form.spec
    images = form.images(rows, where="x.npy")
    assert images.dtype == spec.dtype
    return (images.astype(np.float64) - spec.low) / (spec.high - spec.low)


@pytest.mark.parametrize(
    ("cast", "kept"),
    [
        (lambda x: x, "uint8"),
        (lambda x: x.astype("<u2"), "uint8"),
        (lambda x: x.astype(">i4"), "uint8"),
        (lambda x: x.astype("i8"), "uint8"),
        (lambda x: x.astype("u2") * 257, "uint16"),
        (lambda x: x.astype(">u2") * 257, "uint16"),
        (lambda x: x.astype("i4") * 257, "uint16"),
        (lambda x: x.astype("f4"), "float32"),
        (lambda x: x.astype("f8"), "float32"),
        (lambda x: (x / 255).astype("f4"), "float32"),
        (lambda x: (x / 255).astype(">f8"), "float32"),
        (lambda x: (x / 255).astype("f2"), "float32"),
        (lambda x: (x / 127.5 - 1).astype("f4"), "float32"),
    ],
)
def test_the_model_sees_the_same_pixels_whatever_the_type(cast, kept):
    rows = digits()
    form = form_of(cast(rows))
    assert form.spec.dtype == kept
    found = as_model_sees(form, cast(rows))[..., 0]
    np.testing.assert_allclose(found, rows / 255, atol=1e-3 if cast(rows).itemsize == 2 else 1e-6)


def test_booleans_are_black_and_white():
    rows = digits() > 127
    np.testing.assert_array_equal(as_model_sees(form_of(rows), rows)[..., 0], rows)


def test_bytes_are_used_without_a_word():
    assert form_of(digits()).note == ""
    assert form_of(digits()).images(digits(), where="x").base is not None


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ((digits() / 255).astype("f4"), "pixels are float32, taken as from 0 to 1"),
        (digits() / 127.5 - 1, "pixels are float64, taken as from -1 to 1"),
        (digits().astype("f4"), "pixels are float32, taken as from 0 to 255"),
        (digits().astype("i8"), "pixels are int64, taken as from 0 to 255"),
        (digits().astype("u2") * 257, "pixels are uint16, taken as from 0 to 65535"),
    ],
)
def test_what_was_inferred_is_said_with_the_flag_that_says_otherwise(rows, note):
    assert form_of(rows).note == f"{note} (else give --pixel-range LOW,HIGH)"


def test_bytes_of_0_and_1_are_remarked_upon():
    rows = (digits() > 127).astype(np.uint8)
    assert form_of(rows).note.endswith("give --pixel-range 0,1 if 1 is white")
    assert form_of(rows, pixel_range=(0.0, 1.0)).note == ""
    assert as_model_sees(form_of(rows, pixel_range=(0.0, 1.0)), rows).max() == 1


def test_the_range_that_is_given_decides():
    rows = np.random.default_rng(0).normal(0, 1, (5, 28, 28)).astype("f4")
    with pytest.raises(DataError) as caught:
        form_of(rows * 3)
    assert "expected 0 to 1, -1 to 1 or 0 to 255; give --pixel-range -" in str(caught.value)
    form = form_of(rows, pixel_range=(-3.0, 3.0))
    np.testing.assert_allclose(as_model_sees(form, rows)[..., 0], (rows + 3) / 6, atol=1e-6)
    negative = rows.astype("i1")
    with pytest.raises(DataError, match=r"pixels are int8 from -\d to \d, expected 0 to 255 or 0"):
        form_of(negative)
    assert form_of(negative, pixel_range=(-128.0, 127.0)).spec.dtype == "float32"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("given", [None, (0.0, 1.0)])
def test_a_pixel_that_is_no_number_is_named_with_its_record(value, given):
    rows = (digits() / 255).astype("f4")
    rows[3, 5, 5] = value
    form = form_of(rows, pixel_range=given)
    with pytest.raises(DataError) as caught:
        form.images(rows, where="x.npy", first=64)
    assert str(caught.value) == f"x.npy: record 67: a pixel is {value}, expected a number"


@pytest.mark.parametrize(
    ("kind", "value", "span"),
    [("f4", 17, "0 to 1"), ("u2", 256, "0 to 255"), ("i4", -1, "0 to 255")],
)
def test_a_pixel_beyond_what_the_sample_showed_is_named_with_its_record(kind, value, span):
    rows = (digits() / 255).astype(kind) if kind == "f4" else digits().astype(kind)
    form = form_of(rows)
    rows[4, 0, 0] = value
    with pytest.raises(DataError) as caught:
        form.images(rows, where="x.npy")
    assert str(caught.value) == (
        f"x.npy: record 4: a pixel is {value}, expected {span}; give --pixel-range LOW,HIGH"
    )


@pytest.mark.parametrize("kind", ["c8", "S4", "U2", "O", "M8[s]"])
def test_what_is_no_number_is_no_pixel(kind):
    with pytest.raises(DataError, match="expected integers, floats or booleans"):
        pixel_form((28, 28), np.dtype(kind), np.zeros(0), where="x.npy")


def test_images_are_resized_to_the_size_that_is_given():
    form = form_of(digits(), image_size=(14, 20))
    assert form.spec.shape == (14, 20, 1)
    assert form.images(digits(), where="x").shape == (6, 14, 20, 1)


def test_a_sample_comes_from_all_over_a_file():
    assert sampled_blocks(0) == []
    assert sampled_blocks(10) == [(0, 10)]
    assert sampled_blocks(130) == [(0, 64), (64, 128), (128, 130)]
    assert sampled_blocks(64_000) == [(0, 64), (21312, 21376), (42624, 42688), (63936, 64000)]
