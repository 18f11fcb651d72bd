"""Images resized without a library of pictures: arrays of any type, many at a time."""

from __future__ import annotations

import functools

import numpy as np

# Bytes of a temporary array: larger ones malloc may take from the system anew, at a page fault for
# each page.
BAND_BYTES = 1 << 18


def resize_images(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return images in another size, by linear interpolation that averages where it shrinks.

    Args:
        images: [n, height, width, channels] of any numeric type.
        size: Height and width that are wanted.

    Returns:
        Images of the same type [n, *size, channels], integers rounded.
    """
    count, height, width, channels = images.shape
    if (height, width) == size:
        return images
    rows, columns = weights_of(height, size[0]), weights_of(width, size[1])
    # The axis in question stands next to last, as matrices are multiplied.
    values = rows @ images.astype(np.float32).reshape(count, height, width * channels)
    values = columns @ values.reshape(count * size[0], width, channels)
    values = values.reshape(count, *size, channels)
    if images.dtype.kind in "iu":
        limits = np.iinfo(images.dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(images.dtype)


def mean_of_four(
    pixels: np.ndarray, size: tuple[int, int], *, out: np.ndarray | None = None
) -> np.ndarray:
    """Return a picture shrunk by the mean of the four pixels nearest the quarters of each new one.

    That is Pillow's NEAREST to twice the size and its `reduce(2)`, to the bit, without its copies.

    Args:
        pixels: uint8 [height, width, channels], larger than what is wanted.
        size: Height and width that are wanted.
        out: Where the result goes; None to allocate it.

    Returns:
        uint8 [*size, channels].
    """
    height, width, channels = pixels.shape
    upper, lower = _nearest(height, size[0], 1)
    left, right = _nearest(width, size[1], channels)
    rows = pixels.reshape(height, width * channels)
    found = np.empty((*size, channels), np.uint8) if out is None else out
    # What is allocated anew for each picture is small enough for malloc to use it again.
    band = max(1, BAND_BYTES // (2 * rows.shape[1]))
    for start in range(0, size[0], band):
        some = slice(start, start + band)
        pairs = np.add(rows[upper[some]], rows[lower[some]], dtype=np.uint16)
        fours = pairs.take(left, axis=1)
        fours += pairs.take(right, axis=1)
        fours += 2
        new = found[some].reshape(fours.shape)
        np.right_shift(fours, 2, out=new, casting="unsafe")
    return found


@functools.lru_cache(maxsize=1024)
def _nearest(source: int, target: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the pixels nearest the first and the second half of each new pixel.

    Args:
        source: Pixels that are there.
        target: Pixels that are wanted.
        channels: The values of each pixel.

    Returns:
        Twice int64 [target * channels].
    """
    step = source / (2 * target)
    # As Pillow adds them up, with its errors of rounding.
    at = np.add.accumulate(np.r_[step * 0.5, np.full(2 * target - 1, step)]).astype(np.int64)
    places = at[:, None] * channels + np.arange(channels)
    return places[0::2].ravel(), places[1::2].ravel()


@functools.lru_cache(maxsize=32)
def weights_of(source: int, target: int) -> np.ndarray:
    """Return how much each source pixel counts in each target pixel: float32 [target, source].

    A triangle as wide as a target pixel, centres at half pixels: Pillow's BILINEAR.
    """
    scale = source / target
    support = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale
    distance = np.abs(np.arange(source) + 0.5 - centres[:, None]) / support
    weights = np.maximum(0.0, 1.0 - distance)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
