"""Pairs of npy files: images and labels, read in place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainer.config import DataError
from trainer.data.formats.format import Estimate, Format, Role
from trainer.data.formats.reader import Reader
from trainer.data.formats.table import (
    IMAGE_BYTES,
    IMAGE_SHAPE,
    Table,
    check_image_shape,
    check_labels,
)

if TYPE_CHECKING:
    from trainer.data.graph.records import GraphRecords, TableConstants

MAGIC = b"\x93NUMPY"
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def header(path: Path) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape, type and the offset of the values of an npy file.

    Raises:
        DataError: The header cannot be read, the array holds objects or is in Fortran order, or
            the body is shorter or longer than the header says.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version not in HEADERS:
                raise ValueError(f"version {version[0]}.{version[1]}, expected 1.0 or 2.0")
            shape, fortran, dtype = HEADERS[version](file)
            offset = file.tell()
            body = file.seek(0, 2) - offset
    except Exception as error:
        # Numpy's parser lets through whatever its own steps raise, some of it in many lines.
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise DataError(
            subject=path,
            problem=f"npy header cannot be read ({reason})",
        ) from None
    if fortran or dtype.hasobject:
        raise DataError(
            subject=path,
            problem=f"npy of {dtype} in Fortran order or of objects",
            remedy="save plain uint8",
        )
    expected = math.prod(shape) * dtype.itemsize
    if body != expected:
        raise DataError(
            subject=path,
            problem=f"the body has {body} bytes, but the header calls for {expected}",
            remedy="write the file again",
        )
    return shape, dtype, offset


class NpyTable:
    """The uint8 images of one npy file with the integer labels of another.

    Attributes:
        images: The file of images.
        offset: Where the first one begins.
        labels: uint8 [n].

    Raises:
        DataError: Sizes, counts or types are not those of labelled 28×28 images.
    """

    kind = "npy"

    def __init__(self, images: Path, labels: Path) -> None:
        self.name = f"{images} with {labels.name}"
        self.damage: list[str] = []
        shape, dtype, self.offset = header(images)
        if dtype != np.uint8:
            raise DataError(
                subject=images,
                problem=f"images are {dtype}, expected uint8 of 0 to 255",
            )
        check_image_shape(shape[1:], where=str(images))
        counts, dtype, _ = header(labels)
        if len(counts) != 1 or dtype.kind not in "iu":
            raise DataError(
                subject=labels,
                problem=f"labels are {dtype} {list(counts)}, expected integers [n]",
            )
        if counts != shape[:1]:
            raise DataError(
                subject="",
                problem=f"{images} has {shape[0]} images, but {labels} has {counts[0]} labels",
            )
        values = np.load(labels, allow_pickle=False)
        self.labels = check_labels(values, where=str(labels), numbers=np.arange(shape[0]))
        self.images = Reader(images)

    def __len__(self) -> int:
        return self.labels.size

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`."""
        raw = self.images.read(self.offset + start * IMAGE_BYTES, (stop - start) * IMAGE_BYTES)
        return np.frombuffer(raw, np.uint8).reshape(-1, *IMAGE_SHAPE), self.labels[start:stop]


class NpyFormat(Format):
    """Files of NumPy's own: images and labels apart."""

    name = "npy"
    title = "npy"

    def matches(self, head: bytes) -> bool:
        return head.startswith(MAGIC)

    def role(self, path: Path, head: bytes) -> Role:
        return "images" if len(header(path)[0]) > 1 else "labels"

    def open(self, path: Path, labels: Path | None, *, skip_corrupt: bool) -> Table:
        assert labels is not None
        return NpyTable(path, labels)

    def estimate(self, files: Sequence[Path], *, sample_bytes: int) -> Estimate:
        return Estimate(sum(header(file)[0][0] for file in files), exact=True)

    def graph_records(self, tables: Sequence[Table], constants: TableConstants) -> GraphRecords:
        from trainer.data.graph import fixed_length

        return fixed_length.records(tables, constants)


FORMAT = NpyFormat()
