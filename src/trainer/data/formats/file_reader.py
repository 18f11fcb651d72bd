"""Files that any thread may read at any place, more of them than a process may hold open."""

from __future__ import annotations

import collections
import gzip
import os
import shutil
import tempfile
import threading
import weakref
import zlib
from pathlib import Path
from typing import ClassVar

from trainer.config import DataError

GZIP_MAGIC = b"\x1f\x8b"

# A data set may have more files than a process may open (often 1024): the last used stay open.
OPEN_FILES = 128

# A gzipped file cannot be read from the middle: it is unpacked into memory, beyond so many bytes to
# disk.
SPOOL_BYTES = 256 << 20


class FileReader:
    """One file, opened when it is read.

    Attributes:
        path: The file.
        size: Its length in bytes when it was first opened.

    Raises:
        OSError: It is not there or cannot be read.
    """

    _opened: ClassVar[collections.deque[weakref.ref[FileReader]]] = collections.deque()
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: _Handle | None = None
        self.size = os.fstat(self._open().number).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Return the `size` bytes at `offset`.

        Raises:
            DataError: The file has fewer.
        """
        # Keep a reference: another thread may evict this handle while we read.
        handle = self._handle or self._open()
        raw = os.pread(handle.number, size, offset)
        if len(raw) < size:
            raise DataError(
                subject=self.path,
                problem="became shorter while it was read",
                remedy="start again",
            )
        return raw

    def _open(self) -> _Handle:
        with self._lock:
            if self._handle is None:
                self._handle = handle = _Handle(self.path)
                self._opened.append(weakref.ref(self))
                if len(self._opened) > OPEN_FILES and (oldest := self._opened.popleft()()):
                    oldest._handle = None
                return handle
            return self._handle


class UnpackedFile:
    """A gzipped file, unpacked on opening and read like a `FileReader`.

    Args:
        path: The file.
        in_memory: The most bytes to keep in memory; of more, all are kept on disk.

    Raises:
        DataError: The gzip stream is damaged or cut short.
    """

    def __init__(self, path: Path, *, in_memory: int = SPOOL_BYTES) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._file = tempfile.SpooledTemporaryFile(max_size=in_memory)  # noqa: SIM115
        try:
            with gzip.open(path) as packed:
                shutil.copyfileobj(packed, self._file, 1 << 20)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                subject=path,
                problem=f"damaged gzip file ({error})",
                remedy="fetch the file again",
            ) from None
        self.size = self._file.tell()

    def read(self, offset: int, size: int) -> bytes:
        """Return the `size` bytes at `offset`."""
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)


def open_unpacked(path: Path, *, in_memory: int = SPOOL_BYTES) -> FileReader | UnpackedFile:
    """Open a file for reading at any place, unpacked first if it is gzipped.

    Raises:
        DataError: The gzip stream is damaged or cut short.
    """
    with path.open("rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    return UnpackedFile(path, in_memory=in_memory) if packed else FileReader(path)


def read_head(path: Path, size: int) -> bytes:
    """Return the first bytes of a file, unpacked if it is gzipped.

    Args:
        path: The file.
        size: The most bytes to return.
    """
    with path.open("rb") as file:
        head = file.read(size)
    if head.startswith(GZIP_MAGIC):
        with gzip.open(path) as unpacked:
            return unpacked.read(size)
    return head


class _Handle:
    """A file descriptor, closed when nothing refers to it any more."""

    def __init__(self, path: Path) -> None:
        self.number = -1
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)
