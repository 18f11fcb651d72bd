"""Rows of bytes on disk, in a file without a name, for data that cannot be read at any place."""

from __future__ import annotations

import bisect
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Sequence

import numpy as np

# Bytes of a disk that are left to others.
LEFT_FREE = 1 << 30


class Spool:
    """Rows of bytes that are appended once and read at any place.

    All spools of a process share one file, as there may be more of them than files may be open. It
    has no name, so that it is gone with the last of them or with the process. What was read or
    written lately is in the system's page cache, which gives its memory back to whoever needs it.

    Args:
        width: The bytes of each row; 0 if they differ.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._file = _SharedFile.current()
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


class _SharedFile:
    """The file of all spools; closed, and its disk given back, when none refers to it any more."""

    _current: weakref.ref[_SharedFile] | None = None
    _opening = threading.Lock()

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._end = 0
        self._lock = threading.Lock()

    @classmethod
    def current(cls) -> _SharedFile:
        """Return the file of this process."""
        with cls._opening:
            file = cls._current() if cls._current else None
            if file is None:
                file = cls()
                cls._current = weakref.ref(file)
            return file

    def append(self, raw: memoryview | bytes) -> int:
        """Write bytes at the end, and return where they begin."""
        with self._lock:
            place, left = self._end, memoryview(raw).cast("B")
            self._end += len(left)
            while left:
                left = left[os.pwrite(self._file.fileno(), left, self._end - len(left)) :]
            return place

    def read(self, offset: int, size: int) -> bytes:
        """Return some bytes."""
        parts = []
        # One call reads 2 GiB at most.
        while size:
            part = os.pread(self._file.fileno(), size, offset)
            if not part:
                raise OSError("a temporary file became shorter while it was read")
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
