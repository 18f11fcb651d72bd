"""JPEGs decoded by libjpeg-turbo without Pillow's copies, where simplejpeg is installed.

Pillow has the same library, which gives the same pixels; it decodes into four bytes a pixel, which
are allocated for each picture and copied afterwards. Which of the two a host has makes no
difference to what is trained on.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import ImageFile

# Pixels of pictures up to this size are decoded into memory that each thread keeps.
_KEPT_BYTES = 4 << 20
# Below this, several of the sizes that the library decodes to may be one.
_LEAST_SCALED = 64

_kept = threading.local()


def turbo_pixels(
    data: bytes, image: ImageFile.ImageFile, *, full: tuple[int, int], channels: int
) -> np.ndarray | None:
    """Return the pixels of a JPEG, or None if that is left to Pillow, which also names the damage.

    Args:
        data: The whole file.
        image: What Pillow read of its header, drafted in the size that is wanted.
        full: Its width and height before that.
        channels: 1 for grey, 3 for red, green and blue.

    Returns:
        uint8 [height, width, channels], which the next call in this thread overwrites.
    """
    decoder = _decoder()
    width, height = image.size
    if decoder is None or image.mode not in ("L", "RGB"):
        return None
    if image.size != full and min(full) < _LEAST_SCALED:
        return None
    shape = (height, width, channels)
    try:
        pixels = decoder(
            data,
            colorspace="GRAY" if channels == 1 else "RGB",
            min_height=height,
            min_width=width,
            buffer=_buffer(height * width * channels),
        )
    except ValueError:
        return None
    return pixels if pixels.shape == shape else None


@functools.cache
def _decoder() -> Callable[..., np.ndarray] | None:
    try:
        from simplejpeg import decode_jpeg
    except ImportError:
        return None
    return decode_jpeg


def _buffer(size: int) -> np.ndarray | None:
    """Return memory for so many bytes; None if the decoder shall allocate it."""
    if size > _KEPT_BYTES:
        return None
    if not hasattr(_kept, "buffer"):
        _kept.buffer = np.empty(_KEPT_BYTES, np.uint8)
    return _kept.buffer
