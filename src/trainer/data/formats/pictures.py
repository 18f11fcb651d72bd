"""Pictures as arrays: PNG, JPEG, WebP and BMP, checked before they are decoded by Pillow."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from trainer.config import DataError
from trainer.data.formats.jpeg import turbo_pixels
from trainer.data.formats.parallel import in_threads
from trainer.data.formats.picture_header import (
    PNG_MAGIC,
    PictureError,
    open_picture,
    orientation,
    pillow,
    reason_of,
)
from trainer.data.formats.png import PNGSheet
from trainer.data.formats.resize import mean_of_four

if TYPE_CHECKING:
    from PIL import Image

# Below so many pixels, most of the time goes to Python code, which gains nothing by threads.
THREADED_PIXELS = 64 * 64
# Factors by which a picture shrinks where the mean of four of its pixels is close to that of all:
# closer than bilinear interpolation without antialiasing, which TensorFlow's pipelines use.
SAMPLED_FROM, SAMPLED_TO = 1.5, 2.5


def decode(
    data: bytes,
    *,
    channels: int,
    size: tuple[int, int] | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Decode a picture, turned as its Exif data says.

    Transparency is left aside; 16 bits a pixel become 8. To resize, each new pixel is a mean of
    those that it covers (see `_resized`); a JPEG is decoded at a half, a fourth or an eighth of its
    size where that is still large enough.

    Args:
        data: The whole file.
        channels: 1 for grey, 3 for red, green and blue.
        size: Height and width to resize to, without regard to proportions; None to keep them.
        out: Memory that may be used for what is returned: uint8 [height, width, channels].

    Returns:
        uint8 [height, width, channels].

    Raises:
        PictureError: It is no picture, damaged, cut short or too large.
    """
    kind, image = open_picture(data)
    if kind == "PNG":
        _check_png(data)
    turn = orientation(image)
    full = wanted = image.size
    if size is not None:
        wanted = size[::-1] if turn < 5 else size
    try:
        array = None
        if kind == "JPEG":
            # Colour and detail that are not wanted are not decoded.
            image.draft("L" if channels == 1 else "RGB", wanted)
            array = turbo_pixels(data, image, full=full, channels=channels)
        if array is not None and turn == 1:
            if image.size == wanted:
                return array.copy()
            if _whole_factor(image.size, wanted) == 1:
                return mean_of_four(array, wanted[::-1], out=out)
        pixels = _with_channels(image, channels) if array is None else _as_image(array)
        if pixels.size != wanted:
            pixels = _resized(pixels, wanted)
        if turn > 1:
            pixels = pixels.transpose(pillow().transpositions[turn])
        array = np.asarray(pixels)
    except MemoryError:
        raise
    except Exception as error:  # As in `open_picture`.
        raise PictureError(f"damaged {kind} ({reason_of(error)})") from None
    return array[..., None] if array.ndim == 2 else array


def decode_all(
    fetch: Callable[[int], bytes],
    shape: tuple[int, int, int],
    count: int,
    *,
    resize: bool,
    name: Callable[[int], str],
    images: np.ndarray | None = None,
) -> np.ndarray:
    """Fetch and decode pictures, in threads where they are large enough to gain by it.

    Args:
        fetch: Returns the bytes of a picture by its number; it may be called in any thread.
        shape: Height, width and channels of each.
        count: The number of pictures.
        resize: True to resize those of another size, False to refuse them.
        name: Returns what a picture is called in errors by its number.
        images: Where they go, uint8 [count, *shape]; None to allocate it.

    Returns:
        uint8 [count, *shape].

    Raises:
        DataError: A picture cannot be used, or is of another size.
        Exception: As from `fetch`.
    """
    images = np.empty((count, *shape), np.uint8) if images is None else images
    is_small = shape[0] * shape[1] < THREADED_PIXELS
    sheet = PNGSheet(images) if is_small else None
    size = shape[:2] if resize else None

    def one(number: int) -> None:
        data = fetch(number)
        if sheet and sheet.add(number, data):
            return
        try:
            image = decode(data, channels=shape[2], size=size, out=images[number])
        except PictureError as error:
            raise DataError(subject=name(number), problem=str(error)) from None
        if image.shape != shape:
            raise DataError(
                subject=name(number),
                problem=f"is {image.shape[0]}×{image.shape[1]}, the others are "
                f"{shape[0]}×{shape[1]}",
                remedy="resize them all: --image-size H,W",
            )
        images[number] = image

    in_threads(one, count, threads=1 if is_small else None)
    if sheet:
        sheet.finish()
    return images


def _check_png(data: bytes) -> None:
    """Compare the checksum of each chunk, which Pillow leaves out for those of the pixels."""
    at = len(PNG_MAGIC)
    view = memoryview(data)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
            raise PictureError(f"damaged PNG (the checksum of its chunk at byte {at} is wrong)")
        if data[at + 4 : at + 8] == b"IEND":
            return
        at = end + 4
    raise PictureError(f"damaged PNG (it is cut short: {len(data)} bytes are there)")


def _resized(image: Image.Image, wanted: tuple[int, int]) -> Image.Image:
    """Return a picture in another size, without the artefacts of leaving pixels out.

    A triangle as wide as what a new pixel covers (bilinear with antialiasing) weights the old ones.
    That takes as long as decoding a JPEG: beyond half as large again in both directions, whole
    blocks are averaged first, and of what is left the four nearest the quarters of a new pixel.

    Args:
        image: The picture, of mode L or RGB.
        wanted: Width and height.
    """
    whole = _whole_factor(image.size, wanted)
    if whole:
        if whole > 1:
            image = image.reduce(whole)
        return image.resize((2 * wanted[0], 2 * wanted[1]), pillow().nearest).reduce(2)
    return image.resize(wanted, pillow().bilinear)


def _whole_factor(size: tuple[int, int], wanted: tuple[int, int]) -> int:
    """Return how many pixels are averaged before four are; 0 where the mean of four is too coarse.

    Args:
        size: Width and height.
        wanted: Those that are wanted.
    """
    factors = [old / new for old, new in zip(size, wanted, strict=True)]
    whole = max(1, int(min(factors)))
    return whole if all(SAMPLED_FROM <= each / whole <= SAMPLED_TO for each in factors) else 0


def _as_image(array: np.ndarray) -> Image.Image:
    """Return pixels, uint8 [height, width, channels], as a picture of Pillow's."""
    from PIL import Image as PillowImage

    return PillowImage.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def _with_channels(image: Image.Image, channels: int) -> Image.Image:
    """Decode a picture into grey or RGB."""
    mode = "L" if channels == 1 else "RGB"
    if image.mode.startswith("I"):
        from PIL import Image as PillowImage

        # Pillow cuts off what is larger than 255 where it converts 16 bits.
        deep = np.asarray(image).astype(np.int64)
        image = PillowImage.fromarray((deep.clip(0, 65535) >> 8).astype(np.uint8))
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == mode:
        image.load()
        return image
    return image.convert(mode)
