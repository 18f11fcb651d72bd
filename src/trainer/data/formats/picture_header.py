"""Headers of pictures: kind, size and colours, found without decoding a pixel."""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from PIL import Image, ImageFile

# The most pixels of a picture, 8192 × 8192, which take 256 MiB while they are decoded. A file of a
# few kilobytes can claim to hold millions of times as many.
MOST_PIXELS = 1 << 26

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# Tag of the orientation of a photograph in Exif, and the transposition that undoes each (Exif 2.32,
# 4.6.4 A; names of `PIL.Image.Transpose`). Values from 5 on swap height and width.
_ORIENTATION = 0x0112
_TRANSPOSITIONS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# Lengths of the second header of a BMP, of each version that there is.
_BMP_HEADERS = [struct.pack("<I", n) for n in (12, 16, 40, 52, 56, 64, 108, 124)]
# Modes of Pillow without colour.
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")


class PictureError(Exception):
    """A picture that cannot be used; its text says why, without naming it."""


@dataclass(frozen=True)
class PictureHeader:
    """The facts that stand in the header of a picture.

    Attributes:
        kind: `PNG`, `JPEG`, `WebP` or `BMP`.
        height: Rows of pixels, as the picture is to be shown.
        width: Columns of pixels, likewise.
        channels: 1 for shades of grey, 3 for colours; transparency is left aside.
        is_turned: True if its Exif data says that it is shown turned or mirrored.
    """

    kind: str
    height: int
    width: int
    channels: int
    is_turned: bool = False

    @property
    def size(self) -> str:
        """Height and width, for messages: `480×640`."""
        return f"{self.height}×{self.width}"


def sniff(head: bytes) -> str | None:
    """Return the kind of a picture by its first bytes, or None if it is of no kind that is read."""
    if head.startswith(PNG_MAGIC):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    # "BM" begins many a text too: behind it comes a header of one of a few lengths.
    if head.startswith(b"BM") and head[14:18] in _BMP_HEADERS:
        return "BMP"
    return None


def read_header(source: bytes | BinaryIO) -> PictureHeader:
    """Return what stands in the header of a picture, which is not decoded.

    Args:
        source: The picture, or a file that stands at its beginning.

    Raises:
        PictureError: It is no picture, damaged or too large.
        OSError: The file cannot be read.
    """
    kind, image = open_picture(source)
    turn = orientation(image)
    height, width = image.size[::-1] if turn < 5 else image.size
    return PictureHeader(kind, height, width, 1 if _is_grey(image) else 3, turn > 1)


@dataclass(frozen=True)
class Pillow:
    """The parts of Pillow that are used, imported when a picture is first opened."""

    plugins: dict[str, Callable[[BinaryIO], ImageFile.ImageFile]]
    bilinear: Any
    nearest: Any
    transpositions: dict[int, Any]


@functools.cache
def pillow() -> Pillow:
    """Import the decoders of the four formats."""
    from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    # `Image.open` would try the decoders of dozens of formats, most of them hardly maintained.
    return Pillow(
        plugins={
            "PNG": PngImagePlugin.PngImageFile,
            "JPEG": JpegImagePlugin.JpegImageFile,
            "WebP": WebPImagePlugin.WebPImageFile,
            "BMP": BmpImagePlugin.BmpImageFile,
        },
        bilinear=Image.Resampling.BILINEAR,
        nearest=Image.Resampling.NEAREST,
        transpositions={k: Image.Transpose[name] for k, name in _TRANSPOSITIONS.items()},
    )


def open_picture(source: bytes | BinaryIO) -> tuple[str, ImageFile.ImageFile]:
    """Read the header of a picture, and refuse one of too many pixels.

    Returns:
        Its kind, and Pillow's object, which has decoded nothing.

    Raises:
        PictureError: It is no picture, damaged or too large.
        OSError: The file cannot be read.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    head = file.read(32)
    file.seek(0)
    kind = sniff(head)
    if kind is None:
        begins = f"begins with the bytes {head[:8].hex(' ')}" if head else "is empty"
        raise PictureError(f"is no PNG, JPEG, WebP or BMP: it {begins}")
    try:
        image = pillow().plugins[kind](file)
    except MemoryError:
        raise
    except Exception as error:  # What decoders raise on damaged bytes is nowhere listed.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise PictureError(f"damaged {kind} ({reason_of(error)})") from None
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise PictureError(
            f"its header says {height}×{width} pixels, more than {MOST_PIXELS:,}, "
            "the most that are decoded"
        )
    return kind, image


def reason_of(error: Exception) -> str:
    """Return what Pillow says about a damaged file, in words for those who do not know it."""
    text = " ".join(str(error).split())
    if "not identified" in text:
        return "its header holds no size or no form of pixels that there is"
    return text or type(error).__name__


def orientation(image: Image.Image) -> int:
    """Return the orientation by Exif: 1 to 8, 1 if there is none or if it makes no sense."""
    if "exif" not in image.info:
        return 1
    try:
        turn = image.getexif().get(_ORIENTATION, 1)
        return turn if turn in _TRANSPOSITIONS else 1
    except Exception:  # Damaged Exif data does not spoil the picture.
        return 1


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = image.palette
        if palette is None:
            return False
        order, raw = palette.getdata()
        colours = np.frombuffer(raw, np.uint8, len(raw) // len(order) * len(order))
        colours = colours.reshape(-1, len(order))
        return bool((colours[:, :3] == colours[:, :1]).all())
    return image.mode in _GREY_MODES
