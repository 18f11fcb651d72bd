"""Shape and type of images that are stored as bare values: bytes, or lists of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from trainer.data.formats.image_layout import CHANNELS, FEWEST_VALUES

# Types of several bytes, which other pixels hardly ever make sense as. Doubles that are exact make
# sense as floats too, but for their number.
WIDE = ("<f4", "<f8", "<i4", "<i8")
# Pixels other than 0 lie between these.
SMALLEST, LARGEST = 1e-6, 65_535.0

Sizes = tuple[int | None, int | None, int | None]


def shape_of(
    values: int, known: Sizes, *, image_size: tuple[int, int] | None = None
) -> tuple[int, int, int] | None:
    """Return height, width and channels of an image of so many values; None if there are none.

    Args:
        values: The number of values.
        known: What is known of the three.
        image_size: The height and the width to assume if neither is known; else it is square.
    """
    height, width, channels = known
    if height is None and width is None:
        if image_size and values % math.prod(image_size) == 0:
            height, width = image_size
        elif values < FEWEST_VALUES:
            return None
    for depth in CHANNELS if channels is None else (channels,):
        rows, columns = _filled(values, height, width, depth)
        if min(rows, columns, depth) > 0 and rows * columns * depth == values:
            return rows, columns, depth
    return None


def type_and_shape(
    samples: Sequence[bytes], known: Sizes, *, image_size: tuple[int, int] | None = None
) -> tuple[np.dtype, tuple[int, int, int]] | None:
    """Return type and shape of images that are stored as bytes; None if there are none.

    Args:
        samples: The bytes of one image or more, all of one length.
        known: What is known of height, width and channels.
        image_size: As for `shape_of`.
    """
    wide = [name for name in WIDE if _makes_sense(samples, np.dtype(name))]
    for dtype in map(np.dtype, (*wide, "<u1", "<u2")):
        values, rest = divmod(len(samples[0]), dtype.itemsize)
        shape = None if rest else shape_of(values, known, image_size=image_size)
        if shape:
            return dtype, shape
    return None


def _filled(values: int, height: int | None, width: int | None, channels: int) -> tuple[int, int]:
    """Return height and width, those that are not known by the number of values."""
    pixels = values // max(1, channels)
    if height is not None and width is not None:
        return height, width
    if height is not None:
        return height, pixels // max(1, height)
    if width is not None:
        return pixels // max(1, width), width
    side = math.isqrt(pixels)
    return side, side


def _makes_sense(samples: Sequence[bytes], dtype: np.dtype) -> bool:
    """Return whether bytes taken as wide numbers are pixels: 0 or of their size, and not all 0."""
    if len(samples[0]) % dtype.itemsize:
        return False
    values = np.frombuffer(b"".join(samples), dtype)
    if dtype.kind == "i":
        return bool(values.any() and values.min() >= 0 and values.max() <= LARGEST)
    with np.errstate(invalid="ignore"):
        sizes = np.abs(values)
        sound = (sizes == 0) | ((sizes >= SMALLEST) & (sizes <= LARGEST))
    return bool(sound.all() and values.any())
