"""Arrays read in place, some rows at a time: those of npy, npz and IDX files."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from trainer.data.formats.file_reader import FileReader
from trainer.data.formats.unpacked_file import UnpackedFile


@dataclass(frozen=True)
class StoredArray:
    """An array as it lies in a file, whose length has been compared with its shape.

    Attributes:
        name: The file, with the array's name if it holds several, for messages.
        file: The opened file.
        offset: Where the values begin, in bytes.
        shape: Rows first.
        dtype: Of the values, with their byte order.
        is_fortran: True if the first dimension varies fastest.
    """

    name: str
    file: FileReader | UnpackedFile
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype
    is_fortran: bool = False

    @property
    def row_bytes(self) -> int:
        """The number of bytes of a row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop`, not writable if they stand as they are in the file.

        Raises:
            DataError: The file has become shorter.
        """
        count, size = stop - start, self.dtype.itemsize
        shape = (count, *self.shape[1:])
        if not self.is_fortran or count == self.shape[0]:
            raw = self.file.read(self.offset + start * self.row_bytes, count * self.row_bytes)
            values = np.frombuffer(raw, self.dtype)
            return values.reshape(shape, order="F" if self.is_fortran else "C")
        # The values at one place of all rows stand together: a read for each place.
        places = np.empty((math.prod(self.shape[1:]), count), self.dtype)
        for place, run in enumerate(places):
            at = self.offset + (place * self.shape[0] + start) * size
            run[:] = np.frombuffer(self.file.read(at, count * size), self.dtype)
        return places.T.reshape(shape, order="F")
