"""IDX files, the format of the original MNIST: plain or gzipped.

Two zero bytes, a byte for the type (8: uint8), a byte for the number of dimensions, a big-endian
uint32 for each dimension, then the values (http://yann.lecun.com/exdb/mnist/, "the IDX file
format").
"""

from __future__ import annotations

import gzip
import math
import shutil
import struct
import tempfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from trainer.data.table import IMAGE_BYTES, IMAGE_SHAPE, check_image_shape, check_labels
from trainer.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
UINT8 = 8

# A gzipped file cannot be read from the middle: it is unpacked into memory, beyond this to disk.
SPOOL_BYTES = 256 << 20


def dimensions(head: bytes) -> tuple[int, ...] | None:
    """The dimensions that the header announces, or None if `head` begins no uint8 IDX file."""
    if len(head) < 8 or head[:3] != b"\0\0\x08" or head[3] not in (1, 3):
        return None
    rank = head[3]
    if len(head) < 4 + 4 * rank:
        return None
    return struct.unpack_from(f">{rank}I", head, 4)


def pack(array: np.ndarray) -> bytes:
    """The IDX file that holds `array`, uint8."""
    header = bytes((0, 0, UINT8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


class IdxTable:
    """The images of one IDX file with the labels of another.

    Raises:
        DataError: A body is shorter or longer than its header says, the counts differ, or the
            images are not 28×28.
    """

    kind = "idx"

    def __init__(self, images: Path, labels: Path) -> None:
        self.name = f"{images} with {labels.name}"
        self.damage: list[str] = []
        self._path = images
        self._images, shape = _open(images)
        check_image_shape(shape[1:], where=str(images))
        file, (count,) = _open(labels)
        if count != shape[0]:
            raise DataError(f"{images} has {shape[0]} images, but {labels} has {count} labels")
        values = np.frombuffer(file.read(), np.uint8)
        self._labels = check_labels(values, where=str(labels), numbers=np.arange(count))

    def __len__(self) -> int:
        return self._labels.size

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`."""
        self._images.seek(4 + 4 * 3 + start * IMAGE_BYTES)
        raw = self._images.read((stop - start) * IMAGE_BYTES)
        images = np.frombuffer(raw, np.uint8)
        if images.size != (stop - start) * IMAGE_BYTES:
            raise DataError(f"{self._path}: became shorter while it was read")
        return images.reshape(-1, *IMAGE_SHAPE), self._labels[start:stop]


def _open(path: Path) -> tuple[IO[bytes], tuple[int, ...]]:
    """Open an IDX file behind its header, having checked the length of its body."""
    file = plain(path)
    shape = dimensions(file.read(16))
    if shape is None:
        raise DataError(f"{path}: not an IDX file of images or labels")
    header = 4 + 4 * len(shape)
    body, expected = file.seek(0, 2) - header, math.prod(shape)
    if body != expected:
        size = "×".join(map(str, shape))
        raise DataError(
            f"{path}: the body has {body} bytes, but the header ({size}) calls for {expected}; "
            "fetch the file again"
        )
    file.seek(header)
    return file, shape


def plain(path: Path) -> IO[bytes]:
    """Open a file for reading at any place, unpacked first if it is gzipped.

    Raises:
        DataError: The gzip stream is damaged or cut short.
    """
    file = path.open("rb")
    if file.read(2) != GZIP_MAGIC:
        file.seek(0)
        return file
    file.seek(0)
    unpacked = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115
    try:
        with file, gzip.open(file) as packed:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); fetch the file again") from None
    unpacked.seek(0)
    return unpacked
