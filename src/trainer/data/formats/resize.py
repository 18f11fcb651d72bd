"""Images resized without a library of pictures: arrays of any type, many at a time."""

from __future__ import annotations

import functools

import numpy as np


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
