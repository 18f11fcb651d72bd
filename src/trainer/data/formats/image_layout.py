"""The layout of stored images: rows of values, channels first or last, by the shape alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainer.config import DataError

# Channels of grey, of colour, and of colour with alpha.
CHANNELS = (1, 3, 4)
# Rows of fewer values are measurements, not pixels: 8×8 is the smallest image in use.
FEWEST_VALUES = 64
# An image of more is a mistake: blocks of 64 are read at a time.
MOST_VALUES = 1 << 26


@dataclass(frozen=True)
class ImageLayout:
    """The place of the pixels among the values of one stored example.

    Attributes:
        stored: The shape of an example in its file.
        shape: Height, width and channels of the image.
        channels_first: True if the values of one channel stand together.
        has_alpha: True if a fourth channel is stored, which is left out.
        note: What was inferred from the shape, for the log; empty if nothing was.
    """

    stored: tuple[int, ...]
    shape: tuple[int, int, int]
    channels_first: bool = False
    has_alpha: bool = False
    note: str = ""

    def arrange(self, rows: np.ndarray) -> np.ndarray:
        """Return stored examples [n, *stored], or with their values flat, as images [n, *shape]."""
        height, width, channels = self.shape
        channels += self.has_alpha
        if self.channels_first:
            images = rows.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        else:
            images = rows.reshape(-1, height, width, channels)
        return images[..., : self.shape[2]]


def image_layout(
    stored: tuple[int, ...], *, where: str, image_size: tuple[int, int] | None = None
) -> ImageLayout:
    """Infer the layout of images from the shape of one.

    Args:
        stored: The shape of an example in its file.
        where: The file, for errors.
        image_size: The size that the images are wanted in, which rows of values may have.

    Raises:
        DataError: No image has this shape.
    """
    if math.prod(stored) > MOST_VALUES:
        raise _refused(stored, where, f"more than {MOST_VALUES:,} values", "cut it into tiles")
    plain = tuple(size for size in stored if size != 1) if len(stored) == 2 else stored
    if 0 in stored or not plain:
        raise _refused(stored, where, "expected height, width and channels, none of them 0")
    if len(plain) == 1:
        return _of_rows(stored, plain[0], where=where, image_size=image_size)
    if len(plain) == 2:
        return ImageLayout(stored, (plain[0], plain[1], 1))
    if len(plain) == 3 and plain[2] in CHANNELS:
        return _with_channels(stored, plain[:2], plain[2], channels_first=False)
    if len(plain) == 3 and plain[0] in CHANNELS:
        return _with_channels(stored, plain[1:], plain[0], channels_first=True)
    raise _refused(stored, where, "expected H×W, H×W×C or C×H×W with 1, 3 or 4 channels C")


def shown_shape(shape: tuple[int, ...]) -> str:
    """Return a shape as people write it: `28×28×1`."""
    return "×".join(map(str, shape)) or "single values"


def _of_rows(
    stored: tuple[int, ...], size: int, *, where: str, image_size: tuple[int, int] | None
) -> ImageLayout:
    """Infer the layout of images that are stored as rows of `size` values."""
    if image_size and size in (math.prod(image_size) * c for c in CHANNELS):
        height, width = image_size
    else:
        side = math.isqrt(size)
        if side * side != size:
            side = math.isqrt(size // 3)
        height = width = side
        if size not in (side * side, 3 * side * side) or size < FEWEST_VALUES:
            raise _refused(
                stored, where, "no square image of 1 or 3 channels", "give --image-size H,W"
            )
    channels = size // (height * width)
    if channels == 1:
        note = f"rows of {size} values are read as {height}×{width}"
        return ImageLayout(stored, (height, width, 1), note=note)
    note = (
        f"rows of {size} values are read as {channels} channels of {height}×{width}, "
        "one after the other as in CIFAR's batches"
    )
    return ImageLayout(stored, (height, width, 3), True, channels == 4, note)


def _with_channels(
    stored: tuple[int, ...], size: tuple[int, ...], channels: int, *, channels_first: bool
) -> ImageLayout:
    notes = []
    if channels_first and channels > 1:
        notes.append(f"images of {shown_shape(stored)} have their channels first")
    if channels == 4:
        notes.append("the fourth channel (alpha) is left out")
    return ImageLayout(
        stored,
        (size[0], size[1], min(channels, 3)),
        channels_first,
        channels == 4,
        "; ".join(notes),
    )


def _refused(
    stored: tuple[int, ...], where: str, problem: str, remedy: str = "reshape the array"
) -> DataError:
    values = f" {stored[0]} values" if len(stored) == 1 else f" {shown_shape(stored)}"
    return DataError(subject=where, problem=f"an image has{values}: {problem}", remedy=remedy)
