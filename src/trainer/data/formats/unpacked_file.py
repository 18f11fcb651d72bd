"""Packed files, unpacked once, so that any thread may read them at any place."""

from __future__ import annotations

import bisect
import io
import os
import tempfile
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from trainer.config import DataError
from trainer.data.formats.compressed import Packing, unpack
from trainer.data.formats.temporary_file import TemporaryStore

# A packed file cannot be read from the middle: it is unpacked into memory, beyond so many bytes of
# all such files to disk.
SPOOL_BYTES = 256 << 20

STREAM_BUFFER = 1 << 20
# Bytes that stand together on disk, where several files are unpacked at a time.
EXTENT_BYTES = 4 << 20


class UnpackedFile:
    """A gzipped or zlib-packed file, unpacked on opening and read like a `FileReader`.

    Args:
        path: The file.
        packing: How it is packed.
        in_memory: The most bytes to keep in memory, those of all such files together; what does
            not fit is kept on disk.

    Attributes:
        path: The file.
        packing: How it is packed.
        size: The length of its content in bytes.

    Raises:
        DataError: The stream is damaged or cut short, its content is out of all proportion to it,
            or there is no room for it.
    """

    def __init__(
        self, path: Path, packing: Packing = "gzip", *, in_memory: int = SPOOL_BYTES
    ) -> None:
        self.path, self.packing = path, packing
        self._keep(unpack(path, packing), in_memory)

    def _keep(self, pieces: Iterable[bytes], in_memory: int) -> None:
        """Put the content where it can be read at any place."""
        # Where each extent begins in the content, and where in the spool.
        self._starts: list[int] = []
        self._places: list[int] = []
        self._spool: TemporaryStore | None = None
        self.size = 0
        budget = _Memory(in_memory)
        weakref.finalize(self, budget.give_back)
        held = bytearray()
        for piece in pieces:
            held += piece
            if self._spool is None and not budget.takes(len(piece)):
                self._spool = TemporaryStore.current()
                budget.give_back()
            if self._spool is not None and len(held) >= EXTENT_BYTES:
                self._spill(held)
        if self._spool is None:
            self._held, self.size = bytes(held), len(held)
        elif held:
            self._spill(held)

    def _spill(self, held: bytearray) -> None:
        assert self._spool
        self._starts.append(self.size)
        try:
            self._places.append(self._spool.append(held))
        except OSError as error:
            raise DataError(
                subject=self.path,
                problem=f"cannot be unpacked to {tempfile.gettempdir()}: {error.strerror}",
                remedy="set TMPDIR to a folder with more room",
            ) from None
        self.size += len(held)
        held.clear()

    @property
    def is_in_memory(self) -> bool:
        """True if the content is in memory, False if it is on disk."""
        return self._spool is None

    def read(self, offset: int, size: int) -> bytes:
        """Return the `size` bytes at `offset`, fewer at the end."""
        stop = offset + max(0, min(size, self.size - offset))
        if self._spool is None:
            return self._held[offset:stop]
        parts = []
        extent = bisect.bisect_right(self._starts, offset) - 1
        while offset < stop:
            end = min([stop, *self._starts[extent + 1 : extent + 2]])
            place = self._places[extent] + offset - self._starts[extent]
            parts.append(self._spool.read(place, end - offset))
            offset, extent = end, extent + 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def stream(self) -> BinaryIO:
        """Return the content as a file, to be read from the beginning."""
        return io.BufferedReader(_Content(self), STREAM_BUFFER)


class _Memory:
    """One file's part of the memory that all unpacked files share."""

    _lock: ClassVar[threading.RLock] = threading.RLock()
    _taken: ClassVar[int] = 0

    def __init__(self, most: int) -> None:
        self._most, self._own = most, 0

    def takes(self, size: int) -> bool:
        """Take more memory; return whether there was as much."""
        with self._lock:
            if _Memory._taken + size > self._most:
                return False
            _Memory._taken += size
            self._own += size
            return True

    def give_back(self) -> None:
        """Give back all that was taken."""
        # A finalizer may run in a thread that holds the lock already.
        with self._lock:
            _Memory._taken -= self._own
            self._own = 0


class _Content(io.RawIOBase):
    """The content of a packed file, as a file."""

    def __init__(self, file: UnpackedFile) -> None:
        self._file, self._at = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence, self._file.size)
        return self._at

    def readinto(self, buffer: Any) -> int:
        raw = self._file.read(self._at, len(buffer))
        buffer[: len(raw)] = raw
        self._at += len(raw)
        return len(raw)
