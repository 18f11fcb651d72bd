"""Pairs of npy files: images and labels, read in place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from trainer.config import DataError
from trainer.data.formats.file_reader import FileReader
from trainer.data.formats.format import Estimate, Format, Role
from trainer.data.formats.table import ImageSpec, Table, check_labels, image_shape

if TYPE_CHECKING:
    from trainer.data.formats.read_options import ReadOptions
    from trainer.data.graph.records import GraphRecords, TableConstants

MAGIC = b"\x93NUMPY"
# Bytes of a header; NumPy evaluates what stands in it.
LONGEST_HEADER = 10_000
_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class NpyHeaderError(Exception):
    """The header of an npy file cannot be read; the reason on one line."""


@dataclass(frozen=True)
class NpyHeader:
    """The header of an npy file.

    Attributes:
        shape: Of the array, as the file has it: nobody has checked that it makes sense.
        dtype: Of its values.
        is_fortran: True if they stand in Fortran order.
        offset: Where they begin, in bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    is_fortran: bool
    offset: int

    @property
    def size(self) -> int:
        """The number of bytes that the values take."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy_header(file: IO[bytes]) -> NpyHeader:
    """Read the header of an npy file, which anybody may have written.

    Args:
        file: At its beginning; afterwards at the values.

    Raises:
        NpyHeaderError: There is none, it is damaged, or it is of an unknown version.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version not in _READERS:
            raise ValueError(f"version {version[0]}.{version[1]}, expected 1.0 or 2.0")
        shape, is_fortran, dtype = _READERS[version](file, max_header_size=LONGEST_HEADER)
    except Exception as error:
        # NumPy's parser lets through whatever its own steps raise, some of it in many lines.
        raise NpyHeaderError(" ".join(str(error).split()) or type(error).__name__) from None
    return NpyHeader(shape, dtype, is_fortran, file.tell())


def header(path: Path) -> NpyHeader:
    """Return the header of an npy file of plain values, whose length has been checked.

    Raises:
        DataError: The header cannot be read, the array holds objects or is in Fortran order, or
            the body is shorter or longer than the header says.
    """
    try:
        with path.open("rb") as file:
            found = read_npy_header(file)
            body = file.seek(0, 2) - found.offset
    except (NpyHeaderError, OSError) as error:
        raise DataError(
            subject=path,
            problem=f"npy header cannot be read ({str(error)[:80]})",
        ) from None
    if found.is_fortran or found.dtype.hasobject:
        raise DataError(
            subject=path,
            problem=f"npy of {found.dtype} in Fortran order or of objects",
            remedy="save plain uint8",
        )
    if body != found.size:
        raise DataError(
            subject=path,
            problem=f"the body has {body} bytes, but the header calls for {found.size}",
            remedy="write the file again",
        )
    return found


class NpyTable(Table):
    """The uint8 images of one npy file with the integer labels of another.

    Attributes:
        images: The file of images.
        offset: The place of the first one, in bytes.
        labels: int32 [n].

    Raises:
        DataError: Sizes, counts or types are not those of labelled images.
    """

    kind = "npy"

    def __init__(self, images: Path, labels: Path) -> None:
        self.name = f"{images} with {labels.name}"
        self.damage: list[str] = []
        pixels = header(images)
        shape, self.offset = pixels.shape, pixels.offset
        if pixels.dtype != np.uint8:
            raise DataError(
                subject=images,
                problem=f"images are {pixels.dtype}, expected uint8 of 0 to 255",
            )
        self.spec = ImageSpec(image_shape(shape[1:], where=str(images)))
        classes = header(labels)
        counts, dtype = classes.shape, classes.dtype
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
        self.images = FileReader(images)

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


class NpyFormat(Format):
    """NumPy's own files: images and labels apart."""

    name = "npy"
    title = "npy"

    def matches(self, head: bytes) -> bool:
        return head.startswith(MAGIC)

    def role(self, path: Path, head: bytes) -> Role:
        return "images" if len(header(path).shape) > 1 else "labels"

    def open(self, path: Path, labels: Path | None, options: ReadOptions) -> Table:
        assert labels is not None
        return NpyTable(path, labels)

    def estimate(self, files: Sequence[Path], *, sample_bytes: int) -> Estimate:
        return Estimate(sum(header(file).shape[0] for file in files), exact=True)

    def graph_records(self, tables: Sequence[Table], constants: TableConstants) -> GraphRecords:
        from trainer.data.graph import fixed_length

        return fixed_length.records(tables, constants)


FORMAT = NpyFormat()
