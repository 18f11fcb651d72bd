"""Pictures for the tests of the readers, and the parts of PNGs."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def drawn(height=20, width=30, mode="RGB"):
    """A picture, dark at the left and bright at the right, red only below if it has colours."""
    row = np.linspace(0, 255, width).astype(np.uint8)
    pixels = np.repeat(np.tile(row, (height, 1))[..., None], 3, axis=2)
    pixels[height // 2 :, :, 1:] = 0
    return Image.fromarray(pixels).convert(mode)


def saved(image, kind="PNG", **options):
    file = io.BytesIO()
    if kind == "WebP":
        options = {"lossless": True, **options}
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
