"""Rows of bytes on disk, in a file without a name, for data that cannot be read at any place."""

from __future__ import annotations

import bisect
import shutil
import tempfile
import threading
from collections.abc import Sequence

import numpy as np

from trainer.data.formats.temporary_file import TemporaryStore

# Bytes of a disk that are left to others.
LEFT_FREE = 1 << 30


class Spool:
    """Rows of bytes that are appended once and read at any place.

    What was read or written lately is in the system's page cache, which gives its memory back to
    whoever needs it.

    Args:
        width: The bytes of each row; 0 if they differ.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._file = TemporaryStore.current()
        # Of rows of one width, the first of each run that stands in one piece, and its place; of
        # others, the place and the length of each.
        self._firsts: list[int] = []
        self._places: list[int] = []
        self._lengths: list[np.ndarray] = [np.empty((0, 2), np.int64)]
        self._count = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def append(self, rows: np.ndarray | Sequence[bytes]) -> None:
        """Append rows: uint8 [n, width], or n strings of bytes.

        Raises:
            OSError: The disk is full.
        """
        if isinstance(rows, np.ndarray):
            place = self._file.append(np.ascontiguousarray(rows).data)
            run = self._count - self._firsts[-1] if self._firsts else 0
            if not self._firsts or place != self._places[-1] + run * self._width:
                self._firsts.append(self._count)
                self._places.append(place)
        else:
            lengths = np.array([len(row) for row in rows], np.int64)
            places = self._file.append(b"".join(rows)) + np.cumsum(lengths) - lengths
            self._lengths.append(np.stack([places, lengths], axis=1))
        self._count += len(rows)

    def read(self, start: int, stop: int) -> np.ndarray | list[bytes]:
        """Return rows `start` to `stop` in the form in which they were appended."""
        if not self._width:
            return [self._file.read(*row) for row in self._joined()[start:stop].tolist()]
        parts = []
        run = bisect.bisect_right(self._firsts, start) - 1
        while start < stop:
            end = min([stop, *self._firsts[run + 1 : run + 2]])
            place = self._places[run] + (start - self._firsts[run]) * self._width
            parts.append(self._file.read(place, (end - start) * self._width))
            start, run = end, run + 1
        raw = parts[0] if len(parts) == 1 else b"".join(parts)
        return np.frombuffer(raw, np.uint8).reshape(-1, self._width)

    def has_room(self, size: int) -> bool:
        """Return whether the disk has room for so many bytes more, and for others' data."""
        return shutil.disk_usage(tempfile.gettempdir()).free - size > LEFT_FREE

    def _joined(self) -> np.ndarray:
        """Return place and length of each row: int64 [n, 2]."""
        with self._lock:
            if len(self._lengths) > 1:
                self._lengths = [np.concatenate(self._lengths)]
            return self._lengths[0]
