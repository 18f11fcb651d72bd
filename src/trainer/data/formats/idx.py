"""IDX files, the format of the original MNIST: plain or gzipped.

Two zero bytes, a byte for the type (8: uint8), a byte for the number of dimensions, a big-endian
uint32 for each dimension, then the values, big-endian as well (http://yann.lecun.com/exdb/mnist/,
"the IDX file format").
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainer.config import DataError
from trainer.data.formats.array_names import array_role
from trainer.data.formats.array_table import ArrayFormat, ArrayTable
from trainer.data.formats.file_reader import open_unpacked, read_head
from trainer.data.formats.format import Estimate, Role
from trainer.data.formats.read_options import DEFAULTS, ReadOptions
from trainer.data.formats.stored_array import StoredArray
from trainer.data.formats.unpacked_file import SPOOL_BYTES

if TYPE_CHECKING:
    from trainer.data.formats.table import Table

TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
# Labels; images as rows; with height and width; with channels, too.
MOST_DIMENSIONS = 4
LONGEST_HEADER = 4 + 4 * MOST_DIMENSIONS


@dataclass(frozen=True)
class IdxHeader:
    """The header of an IDX file.

    Attributes:
        dtype: Of its values.
        shape: Its dimensions, which nobody has compared with its length.
    """

    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def offset(self) -> int:
        """The place of the first value, in bytes."""
        return 4 + 4 * len(self.shape)

    @property
    def size(self) -> int:
        """The number of bytes that the values take."""
        return math.prod(self.shape) * self.dtype.itemsize


def idx_header(head: bytes) -> IdxHeader | None:
    """Return the header of the IDX file that begins with `head`, or None if it is none."""
    if len(head) < 8 or head[:2] != b"\0\0" or head[2] not in TYPES:
        return None
    rank = head[3]
    if not 1 <= rank <= MOST_DIMENSIONS or len(head) < 4 + 4 * rank:
        return None
    return IdxHeader(np.dtype(TYPES[head[2]]), struct.unpack_from(f">{rank}I", head, 4))


def pack(array: np.ndarray) -> bytes:
    """Return the IDX file that holds `array`, of one of the types that IDX has."""
    kind = next(kind for kind, name in TYPES.items() if np.dtype(name[-2:]) == array.dtype)
    header = bytes((0, 0, kind, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(TYPES[kind]).tobytes()


def open_pair(
    images: Path,
    labels: Path,
    options: ReadOptions = DEFAULTS,
    *,
    in_memory: int = SPOOL_BYTES,
) -> ArrayTable:
    """Open a file of images with one of labels.

    Args:
        images: The file of images.
        labels: The file of labels.
        options: How to read them.
        in_memory: See `UnpackedFile`.

    Raises:
        DataError: A body is shorter or longer than its header says, or they are not labelled
            images.
    """
    return ArrayTable(
        "idx",
        _array(images, in_memory),
        _array(labels, in_memory),
        name=f"{images} with {labels.name}",
        options=options,
    )


def _array(path: Path, in_memory: int) -> StoredArray:
    """Open an IDX file, having compared the length of its body with its dimensions."""
    found = idx_header(read_head(path, LONGEST_HEADER))
    if found is None:
        raise DataError(
            subject=path,
            problem="not an IDX file of images or labels",
        )
    file = open_unpacked(path, in_memory=in_memory)
    body = file.size - found.offset
    if body != found.size:
        size = "×".join(map(str, found.shape))
        raise DataError(
            subject=path,
            problem=f"the body has {body} bytes, but the header ({size}) calls for {found.size}",
            remedy="fetch the file again",
        )
    return StoredArray(str(path), file, found.offset, found.shape, found.dtype)


class IdxFormat(ArrayFormat):
    """IDX files: images and labels apart."""

    name = "idx"
    title = "IDX"
    reads_gzip = True

    def matches(self, head: bytes) -> bool:
        return idx_header(head) is not None

    def role(self, path: Path, head: bytes) -> Role:
        found = idx_header(head)
        return array_role(path.name, found.shape if found else ())

    def refusal(self, head: bytes) -> str | None:
        is_idx = len(head) >= 4 and head[:2] == b"\0\0" and head[2] in TYPES
        if not is_idx or head[3] <= MOST_DIMENSIONS:
            return None
        return f"an IDX file of {head[3]} dimensions; expected 1 to {MOST_DIMENSIONS}"

    def open(self, path: Path, labels: Path | None, options: ReadOptions) -> Table:
        assert labels is not None
        return open_pair(path, labels, options)

    def estimate(self, files: Sequence[Path], *, sample_bytes: int) -> Estimate:
        heads = (idx_header(read_head(file, LONGEST_HEADER)) for file in files)
        return Estimate(sum(head.shape[0] for head in heads if head), exact=True)


FORMAT = IdxFormat()
