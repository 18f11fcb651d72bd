"""IDX files, the format of the original MNIST: plain or gzipped.

Two zero bytes, a byte for the type (8: uint8), a byte for the number of dimensions, a big-endian
uint32 for each dimension, then the values (http://yann.lecun.com/exdb/mnist/, "the IDX file
format").
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainer.config import DataError
from trainer.data.formats.file_reader import (
    SPOOL_BYTES,
    FileReader,
    UnpackedFile,
    open_unpacked,
    read_head,
)
from trainer.data.formats.format import Estimate, Format, Role
from trainer.data.formats.table import ImageSpec, Table, check_labels, image_shape

if TYPE_CHECKING:
    from trainer.data.formats.read_options import ReadOptions
    from trainer.data.graph.records import GraphRecords, TableConstants

UINT8 = 8
TYPES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}

# Bytes of the longest header: type and rank, then four dimensions.
LONGEST_HEADER = 4 + 4 * 4
# Dimensions of labels, of grey images, and of images with channels.
RANKS = (1, 3, 4)


def dimensions(head: bytes) -> tuple[int, ...] | None:
    """Return the dimensions of a uint8 IDX file that begins with `head`, or None if it is none."""
    if len(head) < 8 or head[:3] != b"\0\0\x08" or head[3] not in RANKS:
        return None
    rank = head[3]
    if len(head) < 4 + 4 * rank:
        return None
    return struct.unpack_from(f">{rank}I", head, 4)


def described(head: bytes) -> str | None:
    """Return type and dimensions of any IDX file that begins with `head`, or None if it is none."""
    kind = TYPES.get(head[2]) if head[:2] == b"\0\0" and len(head) > 4 else None
    if kind is None or not 0 < head[3] <= (len(head) - 4) // 4:
        return None
    return f"{kind} {list(struct.unpack_from(f'>{head[3]}I', head, 4))}"


def pack(array: np.ndarray) -> bytes:
    """Return the IDX file that holds `array`, uint8."""
    header = bytes((0, 0, UINT8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


class IdxTable(Table):
    """The images of one IDX file with the labels of another.

    Args:
        images: The file of images.
        labels: The file of labels.
        in_memory: See `UnpackedFile`.

    Attributes:
        images: The opened file of images.
        offset: The place of the first one, in bytes.
        labels: int32 [n].

    Raises:
        DataError: A body is shorter or longer than its header says, or the counts differ.
    """

    kind = "idx"

    def __init__(self, images: Path, labels: Path, *, in_memory: int = SPOOL_BYTES) -> None:
        self.name = f"{images} with {labels.name}"
        self.damage: list[str] = []
        self.images, shape = _open(images, in_memory)
        self.offset = _header(shape)
        self.spec = ImageSpec(image_shape(shape[1:], where=str(images)))
        file, counts = _open(labels, in_memory)
        if counts != shape[:1]:
            size = "×".join(map(str, counts))
            raise DataError(
                subject="",
                problem=f"{images} has {shape[0]} images, but {labels} has {size} labels",
            )
        values = np.frombuffer(file.read(_header(counts), shape[0]), np.uint8)
        self.labels = check_labels(values, where=str(labels), numbers=np.arange(shape[0]))

    def __len__(self) -> int:
        return self.labels.size

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`."""
        size = self.spec.size
        raw = self.images.read(self.offset + start * size, (stop - start) * size)
        return np.frombuffer(raw, np.uint8).reshape(-1, *self.spec.shape), self.labels[start:stop]

    def label_counts(self) -> np.ndarray:
        """See `Table.label_counts`."""
        return np.bincount(self.labels)


def _open(path: Path, in_memory: int) -> tuple[FileReader | UnpackedFile, tuple[int, ...]]:
    """Open an IDX file and read its dimensions, having checked the length of its body."""
    file = open_unpacked(path, in_memory=in_memory)
    shape = dimensions(file.read(0, min(LONGEST_HEADER, file.size)))
    if shape is None:
        raise DataError(
            subject=path,
            problem="not an IDX file of images or labels",
        )
    body, expected = file.size - _header(shape), math.prod(shape)
    if body != expected:
        size = "×".join(map(str, shape))
        raise DataError(
            subject=path,
            problem=f"the body has {body} bytes, but the header ({size}) calls for {expected}",
            remedy="fetch the file again",
        )
    return file, shape


def _header(shape: tuple[int, ...]) -> int:
    return 4 + 4 * len(shape)


class IdxFormat(Format):
    """IDX files: images and labels apart."""

    name = "idx"
    title = "IDX"
    reads_gzip = True

    def matches(self, head: bytes) -> bool:
        return dimensions(head) is not None

    def role(self, path: Path, head: bytes) -> Role:
        return "images" if len(dimensions(head) or ()) > 1 else "labels"

    def refusal(self, head: bytes) -> str | None:
        other = described(head)
        expected = "expected uint8 [n, height, width] or [n]"
        return f"an IDX file of {other}; {expected}" if other else None

    def open(self, path: Path, labels: Path | None, options: ReadOptions) -> Table:
        assert labels is not None
        return IdxTable(path, labels)

    def estimate(self, files: Sequence[Path], *, sample_bytes: int) -> Estimate:
        heads = (read_head(file, LONGEST_HEADER) for file in files)
        return Estimate(sum((dimensions(head) or (0,))[0] for head in heads), exact=True)

    def graph_records(self, tables: Sequence[Table], constants: TableConstants) -> GraphRecords:
        from trainer.data.graph import fixed_length

        return fixed_length.records(tables, constants)


FORMAT = IdxFormat()
