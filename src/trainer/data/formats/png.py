"""Plain PNGs, of which a folder may hold a million: read without opening each one as a file.

Pillow takes 25 µs to open and decode one of 28×28, most of it in its own Python code. Here the
chunks are checked and handed to the same decoder, which gives the same pixels in a third of the
time. What is not plain, or not whole, is left to Pillow, which knows every form and names damage.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from trainer.data.formats.picture_header import MOST_PIXELS, PNG_MAGIC

# How each begins: the chunk IHDR is the first, and has 13 bytes.
_BEGIN = PNG_MAGIC + b"\0\0\0\rIHDR"
_IHDR, _CHUNK, _CHECKSUM = map(struct.Struct, (">II5B", ">I4s", ">I"))
_PIXELS_AT, _CHUNKS_AT = 16, 33
# Chunks that change neither pixels nor what is up, and the bytes of each (PNG 3, 11.3).
_PASSED = {b"sRGB": 1, b"gAMA": 4, b"pHYs": 9, b"tIME": 7}
# Channels and Pillow's mode by the type of colour; 8 bits each.
_FORMS = {0: (1, "L"), 2: (3, "RGB")}
# Pixels that are decoded into one picture of Pillow's: 4 MiB where they have colours.
_SHEET_PIXELS = 1 << 20


class PlainPNG(NamedTuple):
    """The form of a PNG that needs no more than this to be decoded.

    Attributes:
        height: Rows of pixels.
        width: Columns of pixels.
        channels: 1 for grey, 3 for colours.
        at: The place of the first chunk of pixels.
    """

    height: int
    width: int
    channels: int
    at: int


def plain_png(head: bytes) -> PlainPNG | None:
    """Return the form of a PNG, or None if it is another picture, another form, or damaged.

    Args:
        head: How the file begins, up to the pixels at least.
    """
    form = _form(head[:_CHUNKS_AT])
    if form is None:
        return None
    at, end = _CHUNKS_AT, len(head) - _CHUNK.size
    while at <= end:
        length, kind = _CHUNK.unpack_from(head, at)
        if kind == b"IDAT":
            return PlainPNG(*form, at)
        if _PASSED.get(kind) != length or not _is_whole(head, at, length):
            return None
        at += length + 12
    return None


@functools.lru_cache
def _form(head: bytes) -> tuple[int, int, int] | None:
    """Return height, width and channels by the first chunk; most pictures of a folder share it."""
    if len(head) < _CHUNKS_AT or not head.startswith(_BEGIN):
        return None
    width, height, depth, colour, *others = _IHDR.unpack_from(head, _PIXELS_AT)
    if depth != 8 or colour not in _FORMS or any(others) or not 0 < width * height <= MOST_PIXELS:
        return None
    if not _is_whole(head, len(PNG_MAGIC), _IHDR.size):
        return None
    return height, width, _FORMS[colour][0]


class PNGSheet:
    """Plain PNGs of one form, decoded one below the other.

    Args:
        images: Where they go, by their numbers: uint8 [n, height, width, channels].
    """

    def __init__(self, images: np.ndarray) -> None:
        self._images = images
        height, width, channels = images.shape[1:]
        self._form, self._mode = (height, width, channels), _mode(channels)
        self._most = max(1, _SHEET_PIXELS // (height * width))
        self._numbers: list[int] = []
        self._sheet: Any = None

    def add(self, number: int, data: bytes) -> bool:
        """Decode a picture; return False if that is left to Pillow.

        Args:
            number: Its place among the images.
            data: The whole file.
        """
        plain = plain_png(data)
        packed = _packed(data, plain.at) if plain and plain[:3] == self._form else None
        if packed is None:
            return False
        height, width = self._form[:2]
        if self._sheet is None:
            self._sheet = _pillow().new(self._mode, (width, height * self._most))
        top = height * len(self._numbers)
        decoder = _pillow().decoder(self._mode, "zip", (self._mode,))
        decoder.setimage(self._sheet.im, (0, top, width, top + height))
        if decoder.decode(packed) != (-1, 0):
            # Another sheet: what stands in this one below would show through.
            self.finish()
            return False
        self._numbers.append(number)
        if len(self._numbers) == self._most:
            self.finish()
        return True

    def finish(self) -> None:
        """Put what is decoded into its place."""
        if self._numbers:
            pixels = np.asarray(self._sheet).reshape(self._most, *self._form)
            self._images[self._numbers] = pixels[: len(self._numbers)]
        self._numbers, self._sheet = [], None


def _mode(channels: int) -> str:
    return next(mode for count, mode in _FORMS.values() if count == channels)


def _is_whole(data: bytes, at: int, length: int) -> bool:
    """Return whether a chunk is there, and its checksum right."""
    end = at + 8 + length
    return (
        end + 4 <= len(data)
        and zlib.crc32(data[at + 4 : end]) == _CHECKSUM.unpack_from(data, end)[0]
    )


def _packed(data: bytes, at: int) -> bytes | None:
    """Return the packed pixels, or None if a chunk is damaged or follows that is not known."""
    parts: list[bytes] = []
    while at + 12 <= len(data):
        length, kind = _CHUNK.unpack_from(data, at)
        if not _is_whole(data, at, length):
            return None
        if kind == b"IEND":
            return parts[0] if len(parts) == 1 else b"".join(parts)
        if kind != b"IDAT":
            return None
        parts.append(data[at + 8 : at + 8 + length])
        at += length + 12
    return None


class _Pillow(NamedTuple):
    """The parts of Pillow that are used, imported when a PNG is first decoded."""

    new: Callable[..., Any]
    decoder: Callable[..., Any]


@functools.cache
def _pillow() -> _Pillow:
    from PIL import Image

    return _Pillow(Image.new, Image._getdecoder)
