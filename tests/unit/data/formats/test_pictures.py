"""Pictures: every form of pixels that people's files have, and each kind of damage."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from picture_files import chunk, drawn, saved
from PIL import Image

from trainer.config.errors import DataError
from trainer.data.formats.picture_header import PictureError, read_header, sniff
from trainer.data.formats.pictures import decode, decode_all

KINDS = ["PNG", "JPEG", "WebP", "BMP"]


def png_of_size(width, height):
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def error_of(data, **options):
    with pytest.raises(PictureError) as caught:
        decode(data, channels=3, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_recognised_measured_and_decoded(kind):
    data = saved(drawn(), kind)
    assert sniff(data[:32]) == kind
    header = read_header(io.BytesIO(data))
    assert (header.kind, header.height, header.width, header.channels) == (kind, 20, 30, 3)
    found = decode(data, channels=3)
    assert (found.shape, found.dtype) == ((20, 30, 3), np.uint8)
    most = 6 if kind == "JPEG" else 0
    assert np.abs(found.astype(int) - np.asarray(drawn())).mean() <= most


def test_a_text_that_begins_like_a_bmp_is_no_picture():
    assert sniff(b"BMW,Audi,Volvo,Saab,Lancia,Skoda") is None


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_form_of_pixels_becomes_grey_or_rgb(mode, channels):
    grey = np.tile(np.linspace(0, 255, 16).astype(np.uint8), (8, 1))
    if mode == "1":
        grey = np.where(grey > 127, 255, 0).astype(np.uint8)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey).convert("L").convert(mode)
    data = saved(image, "PNG") if mode != "PA" else saved(image.convert("P"), "PNG")
    found = decode(data, channels=channels)
    assert found.shape == (8, 16, channels)
    for channel in range(channels):
        np.testing.assert_array_equal(found[..., channel], grey)


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("LA", 1), ("I;16", 1), ("RGB", 3), ("RGBA", 3), ("P", 3)],
)
def test_the_header_tells_grey_from_colour(mode, channels):
    image = Image.new("I;16", (4, 4)) if mode == "I;16" else drawn(4, 4, mode)
    assert read_header(saved(image)).channels == channels


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_a_palette_of_greys_is_grey(kind):
    assert read_header(saved(drawn(mode="L").convert("P"), kind)).channels == 1
    assert read_header(saved(drawn().convert("P"), kind)).channels == 3


def test_transparency_is_left_aside():
    image = drawn()
    image.putalpha(7)
    np.testing.assert_array_equal(decode(saved(image), channels=3), np.asarray(drawn()))


def test_a_palette_with_transparent_colours_keeps_its_colours():
    image = Image.new("P", (4, 4))
    image.putpalette([200, 10, 30] * 256)
    found = decode(saved(image, transparency=0), channels=3)
    np.testing.assert_array_equal(found, np.full((4, 4, 3), (200, 10, 30)))


def test_a_jpeg_of_printing_inks_becomes_rgb():
    image = Image.new("RGB", (16, 16), (250, 20, 20))
    found = decode(saved(image.convert("CMYK"), "JPEG", quality=95), channels=3)
    assert np.abs(found.astype(int) - (250, 20, 20)).max() < 12
    assert read_header(saved(image.convert("CMYK"), "JPEG")).channels == 3


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP"])
@pytest.mark.parametrize("size", [None, (10, 15)])
def test_photographs_are_turned_as_their_exif_data_says(kind, turn, size):
    upright = drawn(64, 96, "L")
    # What a camera that was held in that way has saved: the opposite of what undoes it.
    saved_as = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    turned = upright if saved_as is None else upright.transpose(saved_as)
    data = saved(turned, kind, exif=exif)
    header = read_header(data)
    assert (header.height, header.width) == (64, 96)
    found = decode(data, channels=1, size=size)
    wanted = np.asarray(upright if size is None else upright.resize(size[::-1], 2))
    assert found.shape == (*wanted.shape, 1)
    assert np.abs(found[..., 0].astype(int) - wanted).mean() < 4


def test_an_orientation_that_makes_no_sense_is_left_aside():
    exif = Image.Exif()
    exif[0x0112] = 77
    assert read_header(saved(drawn(), "JPEG", exif=exif)).size == "20×30"
    assert read_header(saved(drawn(), "JPEG", exif=b"Exif\0\0not tiff")).size == "20×30"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(7, 11), (40, 90), (90, 200), (224, 224)])
def test_pictures_are_resized_by_means_of_their_pixels(kind, size):
    found = decode(
        saved(drawn(160, 330), kind, **({"quality": 95} if kind == "JPEG" else {})),
        channels=3,
        size=size,
    )
    assert found.shape == (*size, 3)
    wanted = np.asarray(drawn(160, 330).resize(size[::-1], Image.Resampling.BILINEAR))
    assert np.abs(found.astype(int) - wanted).mean() < 4


@pytest.mark.parametrize("size", [(90, 95), (70, 60), (30, 40), (128, 150)])
def test_shrinking_keeps_the_brightness_and_no_pattern_finer_than_a_pixel(size):
    rng = np.random.default_rng(0)
    found = decode(
        saved(Image.fromarray(rng.integers(0, 256, (160, 170), np.uint8))), channels=1, size=size
    )
    assert abs(found.mean() - 127.5) < 3
    # The noise of 74 is that of one pixel: a mean of four has half of it.
    assert found.std() < 45 if size != (128, 150) else found.std() < 74


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_cut_short_anywhere_is_damaged(kind):
    rng = np.random.default_rng(0)
    data = saved(Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)), kind)
    for end in [0, 1, 8, 20, len(data) // 4, len(data) // 2, len(data) - 20]:
        message = error_of(data[:end])
        assert "damaged" in message or "is no PNG" in message or "is empty" in message


def test_any_changed_byte_of_a_png_is_noticed():
    data = saved(drawn(6, 6))
    for at in range(len(data)):
        error_of(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])


@pytest.mark.parametrize("sides", [(2**31, 28), (2**31 - 1, 2**31 - 1), (70_000, 70_000)])
def test_a_header_that_claims_too_many_pixels_is_refused_before_it_costs_memory(sides):
    width, height = sides
    message = error_of(png_of_size(width, height))
    assert f"{height}×{width} pixels, more than 67,108,864" in message
    assert "its header" in message


def test_a_picture_without_pixels_is_damaged():
    assert "damaged PNG" in error_of(png_of_size(0, 28))


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_damage_ends_otherwise_than_in_one_line(kind, data):
    modes = ["RGB", "L", "P"] if kind in ("PNG", "BMP") else ["RGB"]
    raw = bytearray(saved(drawn(12, 12, data.draw(st.sampled_from(modes))), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        assert read_header(raw).channels in (1, 3)
        found = decode(raw, channels=3, size=(8, 8))
    except PictureError as error:
        assert "\n" not in str(error)
    else:
        assert found.shape == (8, 8, 3)


def names(number):
    return f"picture {number}"


@pytest.mark.parametrize("side", [8, 80])
def test_many_pictures_are_decoded_in_their_order(side):
    pictures = [saved(Image.new("L", (side, side), grey)) for grey in range(100)]
    found = decode_all(
        pictures.__getitem__, (side, side, 1), len(pictures), resize=False, name=names
    )
    np.testing.assert_array_equal(
        found, np.full((100, side, side, 1), 0) + np.arange(100)[:, None, None, None]
    )


@pytest.mark.parametrize("side", [8, 80])
def test_of_several_damaged_pictures_the_first_is_named(side):
    good = saved(drawn(side, side))
    pictures = [good] * 40 + [good[:30]] + [good] * 40 + [b"", good]
    with pytest.raises(DataError, match=r"^picture 40: damaged PNG"):
        decode_all(pictures.__getitem__, (side, side, 3), len(pictures), resize=True, name=names)


def test_a_picture_of_another_size_is_refused_unless_all_are_resized():
    pictures = [saved(drawn(8, 8)), saved(drawn(8, 9))]
    with pytest.raises(DataError, match=r"picture 1: is 8×9, the others are 8×8.*--image-size"):
        decode_all(pictures.__getitem__, (8, 8, 3), 2, resize=False, name=names)
    assert decode_all(pictures.__getitem__, (8, 8, 3), 2, resize=True, name=names).shape[1:] == (
        8,
        8,
        3,
    )


def test_a_process_ends_while_pictures_are_decoded(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import threading\n"
        "from trainer.data.formats.parallel import in_threads\n"
        "begun = threading.Barrier(3)\n"
        "def call(number):\n"
        "    begun.wait()\n"
        "    threading.Event().wait()\n"
        "threading.Thread(target=in_threads, args=(call, 64), kwargs={'threads': 2}, "
        "daemon=True).start()\n"
        "begun.wait()\n"
    )
    subprocess.run([sys.executable, script], check=True, timeout=60, env=os.environ)
