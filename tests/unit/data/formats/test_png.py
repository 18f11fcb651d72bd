"""Plain PNGs: the pixels that Pillow gives, and all that is not plain left to it."""

import itertools
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from picture_files import chunk, drawn, saved
from PIL import Image

from trainer.config.errors import DataError
from trainer.data.formats.pictures import decode, decode_all
from trainer.data.formats.png import PNGSheet, plain_png

MAGIC = b"\x89PNG\r\n\x1a\n"


def png(rows, channels, *, width=None, depth=8, colour=None, interlaced=0, extra=(), cuts=()):
    """A PNG of rows as they are packed: a byte for the filter, and the filtered pixels."""
    colour = {1: 0, 3: 2}[channels] if colour is None else colour
    width = (rows.shape[1] - 1) // channels if width is None else width
    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, interlaced)
    packed = zlib.compress(rows.tobytes())
    edges = [0, *cuts, len(packed)]
    parts = [packed[a:b] for a, b in itertools.pairwise(edges)]
    chunks = [(b"IHDR", head), *extra, *((b"IDAT", part) for part in parts), (b"IEND", b"")]
    return MAGIC + b"".join(chunk(kind, data) for kind, data in chunks)


def filtered(rng, height, width, channels):
    """Random rows, each with a filter of its own."""
    rows = rng.integers(0, 256, (height, 1 + width * channels), np.uint8)
    rows[:, 0] = rng.integers(0, 5, height)
    return rows


def sheet_of(data, shape):
    """Decode one picture alone; None if it is left to Pillow."""
    images = np.zeros((1, *shape), np.uint8)
    sheet = PNGSheet(images)
    taken = sheet.add(0, data)
    sheet.finish()
    return images[0] if taken else None


@settings(deadline=None, max_examples=200)
@given(
    seed=st.integers(0, 1 << 32),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([1, 3]),
    cuts=st.lists(st.integers(1, 8), max_size=3, unique=True),
    extra=st.lists(
        st.sampled_from(
            [(b"sRGB", b"\0"), (b"gAMA", b"\0\0\xb1\x8f"), (b"pHYs", bytes(9)), (b"tIME", bytes(7))]
        ),
        max_size=3,
    ),
)
def test_every_filter_gives_the_pixels_that_pillow_gives(
    seed, height, width, channels, cuts, extra
):
    rows = filtered(np.random.default_rng(seed), height, width, channels)
    data = png(rows, channels, cuts=sorted(cuts), extra=extra)
    plain = plain_png(data)
    assert plain[:3] == (height, width, channels)
    found = sheet_of(data, (height, width, channels))
    np.testing.assert_array_equal(found, decode(data, channels=channels))


@pytest.mark.parametrize("channels", [1, 3])
def test_more_pictures_than_a_sheet_holds_keep_their_places(channels):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (700, 50, 60, channels), np.uint8)
    files = [saved(Image.fromarray(p[..., 0] if channels == 1 else p)) for p in pictures]
    # Some that are not plain lie between them.
    for i in 3, 349, 350, 699:
        files[i] = saved(Image.fromarray(pictures[i].squeeze()), "BMP")
    found = decode_all(files.__getitem__, (50, 60, channels), 700, resize=False, name=str)
    np.testing.assert_array_equal(found, pictures)


def exif(turn):
    data = Image.Exif()
    data[0x0112] = turn
    return data


@pytest.mark.parametrize(
    "data",
    [
        saved(drawn(8, 8, "RGB").convert("P")),
        saved(drawn(8, 8, "1")),
        saved(drawn(8, 8, "LA")),
        saved(drawn(8, 8, "RGBA")),
        saved(Image.new("I;16", (8, 8), 40_000)),
        saved(drawn(8, 8, "RGB"), exif=exif(3)),
        saved(drawn(8, 8, "RGB"), transparency=(0, 0, 0)),
        saved(drawn(8, 8, "RGB"), "JPEG"),
        png(filtered(np.random.default_rng(0), 8, 8, 3), 3, extra=[(b"gAMA", b"\0")]),
        png(filtered(np.random.default_rng(0), 8, 8, 3), 3, extra=[(b"teXt", b"a\0b")]),
        b"",
        MAGIC,
    ],
)
def test_what_is_not_plain_is_left_to_pillow(data):
    assert plain_png(data) is None
    assert sheet_of(data, (8, 8, 3)) is None


def test_a_plain_picture_of_another_form_is_left_to_pillow():
    data = saved(drawn(8, 8, "RGB"))
    for shape in (8, 9, 3), (9, 8, 3), (8, 8, 1):
        assert sheet_of(data, shape) is None
    np.testing.assert_array_equal(sheet_of(data, (8, 8, 3)), np.asarray(drawn(8, 8)))


def test_rows_that_are_missing_show_nothing_of_another_picture():
    rng = np.random.default_rng(0)
    white = png(np.full((12, 13), 255, np.uint8) * (np.arange(13) > 0).astype(np.uint8), 1)
    rows = filtered(rng, 12, 12, 1)
    head = struct.pack(">IIBBBBB", 12, 12, 8, 0, 0, 0, 0)
    short = zlib.compress(rows[:5].tobytes())
    chunks = [(b"IHDR", head), (b"IDAT", short), (b"IEND", b"")]
    data = MAGIC + b"".join(chunk(*each) for each in chunks)
    files = [white, data, white] * 20
    wanted = decode(data, channels=1)
    assert not wanted[5:].any()
    found = decode_all(files.__getitem__, (12, 12, 1), len(files), resize=False, name=str)
    for number, image in enumerate(found):
        np.testing.assert_array_equal(image, wanted if number % 3 == 1 else 255)


@pytest.mark.parametrize("side", [6, 70])
def test_any_changed_byte_is_noticed_among_many_as_well(side):
    data = saved(drawn(side, side))
    step = 1 if side == 6 else 97
    for at in range(0, len(data), step):
        bad = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
        files = [data, bad, data]
        with pytest.raises(DataError, match=r"^1: "):
            decode_all(files.__getitem__, (side, side, 3), 3, resize=False, name=str)


def test_a_plain_header_that_claims_too_many_pixels_is_left_to_pillow_which_refuses_it():
    rows = np.zeros((1, 2), np.uint8)
    assert plain_png(png(rows, 1, width=1 << 27)) is None
    assert plain_png(png(rows, 1, width=0)) is None
