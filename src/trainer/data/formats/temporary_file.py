"""One file without a name for all of a process, for what does not fit into memory."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from typing import ClassVar


class TemporaryStore:
    """Bytes on disk that are appended once and read at any place.

    All users in a process share one file, as there may be more of them than files may be open. It
    has no name, and is closed, and its disk given back, when none refers to it any more.
    """

    _opening: ClassVar[threading.Lock] = threading.Lock()
    _current: ClassVar[weakref.ref[TemporaryStore] | None] = None

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._end = 0
        self._lock = threading.Lock()

    @classmethod
    def current(cls) -> TemporaryStore:
        """Return that of the process, a new one when nothing refers to the last any more."""
        with cls._opening:
            store = cls._current() if cls._current else None
            if store is None:
                store = cls()
                cls._current = weakref.ref(store)
            return store

    def append(self, raw: memoryview | bytes | bytearray) -> int:
        """Write bytes at the end, and return where they begin.

        Raises:
            OSError: The disk is full.
        """
        with memoryview(raw) as view, view.cast("B") as left:
            with self._lock:
                place = self._end
                self._end += len(left)
            written = 0
            while written < len(left):
                with left[written:] as rest:
                    written += os.pwrite(self._file.fileno(), rest, place + written)
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
