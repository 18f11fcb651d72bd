"""Rows of bytes on disk, in files without a name, for data that cannot be read at any place."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence

import numpy as np

# Bytes of a disk that are left to others.
LEFT_FREE = 1 << 30


class Spool:
    """Rows of bytes that are appended once and read at any place.

    The file has no name, so that it is gone with the process. What was read or written lately is in
    the system's page cache, which gives its memory back to whoever needs it.

    Args:
        width: The bytes of each row; 0 if they differ.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._end = 0
        self._ends: list[np.ndarray] = [np.zeros(1, np.int64)]
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
            self._file.write(np.ascontiguousarray(rows).data)
            self._end += rows.nbytes
        else:
            self._file.write(b"".join(rows))
            ends = self._end + np.cumsum([len(row) for row in rows], dtype=np.int64)
            self._ends.append(ends)
            self._end = int(ends[-1]) if len(rows) else self._end
        self._count += len(rows)

    def read(self, start: int, stop: int) -> np.ndarray | list[bytes]:
        """Return rows `start` to `stop` in the form in which they were appended."""
        if self._width:
            raw = self._pread(start * self._width, (stop - start) * self._width)
            return np.frombuffer(raw, np.uint8).reshape(stop - start, self._width)
        ends = self._joined()[start : stop + 1]
        raw = self._pread(int(ends[0]), int(ends[-1] - ends[0]))
        places = (ends - ends[0]).tolist()
        return [raw[a:b] for a, b in itertools.pairwise(places)]

    def has_room(self, size: int) -> bool:
        """Return whether the disk has room for so many bytes more, and for others' data."""
        return shutil.disk_usage(tempfile.gettempdir()).free - size > LEFT_FREE

    def _joined(self) -> np.ndarray:
        """Return where each row ends, beginning with the end of the one before the first."""
        with self._lock:
            if len(self._ends) > 1:
                self._ends = [np.concatenate(self._ends)]
            return self._ends[0]

    def _pread(self, offset: int, size: int) -> bytes:
        self._file.flush()
        parts = []
        # One call reads 2 GiB at most.
        while size:
            part = os.pread(self._file.fileno(), size, offset)
            if not part:
                raise OSError("a temporary file became shorter while it was read")
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
