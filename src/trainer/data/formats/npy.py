"""npy files: pairs of images and labels, read in place; and the header of any."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from trainer.config import DataError
from trainer.data.formats.array_names import array_role
from trainer.data.formats.array_table import ArrayFormat, ArrayTable
from trainer.data.formats.file_reader import FileReader
from trainer.data.formats.format import Estimate, Role
from trainer.data.formats.read_options import DEFAULTS, ReadOptions
from trainer.data.formats.stored_array import StoredArray

if TYPE_CHECKING:
    from trainer.data.formats.table import Table

MAGIC = b"\x93NUMPY"
# Bytes of a header; NumPy evaluates what stands in it.
LONGEST_HEADER = 10_000
# Those before it: the magic, the version and the header's length.
_PREAMBLE = 12
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
        file: At its beginning.

    Raises:
        NpyHeaderError: There is none, it is damaged, or it is of an unknown version.
    """
    # A header may claim to be 4 GiB long, of which NumPy would read all before it objects.
    begins = io.BytesIO(file.read(_PREAMBLE + LONGEST_HEADER))
    try:
        version = np.lib.format.read_magic(begins)
        if version not in _READERS:
            raise ValueError(f"version {version[0]}.{version[1]}, expected 1.0 or 2.0")
        shape, is_fortran, dtype = _READERS[version](begins, max_header_size=LONGEST_HEADER)
    except Exception as error:
        # NumPy's parser lets through whatever its own steps raise, some of it in many lines.
        raise NpyHeaderError(" ".join(str(error).split()) or type(error).__name__) from None
    return NpyHeader(shape, dtype, is_fortran, begins.tell())


def checked_header(file: IO[bytes], size: int, *, name: str) -> NpyHeader:
    """Return the header of an npy file of plain values, having compared it with the file's length.

    Args:
        file: At its beginning.
        size: Its length in bytes.
        name: Its name, for errors.

    Raises:
        DataError: The header cannot be read, the array holds objects, or the body is shorter or
            longer than the header says.
    """
    try:
        found = read_npy_header(file)
    except NpyHeaderError as error:
        raise DataError(
            subject=name,
            problem=f"npy header cannot be read ({str(error)[:80]})",
        ) from None
    if found.dtype.hasobject or any(length < 0 for length in found.shape):
        raise DataError(
            subject=name,
            problem=f"npy of {found.dtype} {list(found.shape)}, expected numbers",
            remedy="save numbers: objects are never unpickled",
        )
    if size - found.offset != found.size:
        raise DataError(
            subject=name,
            problem=f"the body has {size - found.offset} bytes, but the header calls for "
            f"{found.size}",
            remedy="write the file again",
        )
    return found


def header(path: Path) -> NpyHeader:
    """Return the header of an npy file, see `checked_header`.

    Raises:
        DataError: As there, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return checked_header(file, size, name=str(path))
    except OSError as error:
        raise DataError(
            subject=path,
            problem=f"cannot be read: {error.strerror or error}",
        ) from None


def open_pair(images: Path, labels: Path, options: ReadOptions = DEFAULTS) -> ArrayTable:
    """Open a file of images with one of labels.

    Raises:
        DataError: One is damaged, or they are not labelled images.
    """
    return ArrayTable(
        "npy",
        _array(images),
        _array(labels),
        name=f"{images} with {labels.name}",
        options=options,
    )


def _array(path: Path) -> StoredArray:
    found = header(path)
    return StoredArray(
        str(path), FileReader(path), found.offset, found.shape, found.dtype, found.is_fortran
    )


class NpyFormat(ArrayFormat):
    """NumPy's own files: images and labels apart."""

    name = "npy"
    title = "npy"

    def matches(self, head: bytes) -> bool:
        return head.startswith(MAGIC)

    def role(self, path: Path, head: bytes) -> Role:
        return array_role(path.stem, header(path).shape)

    def open(self, path: Path, labels: Path | None, options: ReadOptions) -> Table:
        assert labels is not None
        return open_pair(path, labels, options)

    def estimate(self, files: Sequence[Path], *, sample_bytes: int) -> Estimate:
        return Estimate(sum(header(file).shape[0] for file in files), exact=True)


FORMAT = NpyFormat()
