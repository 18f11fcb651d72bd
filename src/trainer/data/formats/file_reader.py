"""Files that any thread may read at any place, more of them than a process may hold open."""

from __future__ import annotations

import collections
import os
import threading
import weakref
from pathlib import Path
from typing import BinaryIO, ClassVar

from trainer.config import DataError
from trainer.data.formats.compressed import Packing, packed_share, packing_of, unpack
from trainer.data.formats.format import HEAD_BYTES
from trainer.data.formats.unpacked_file import SPOOL_BYTES, STREAM_BUFFER, UnpackedFile

# A data set may have more files than a process may open (often 1024): the last used stay open.
OPEN_FILES = 128


class FileReader:
    """One file, opened when it is read.

    Attributes:
        path: The file.
        packing: An empty text, as it is read as it is.
        size: Its length in bytes when it was first opened.

    Raises:
        OSError: It is not there or cannot be read.
    """

    packing: ClassVar[Packing] = ""

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

    def stream(self) -> BinaryIO:
        """Open the file a second time, to be read from the beginning."""
        return self.path.open("rb", buffering=STREAM_BUFFER)

    def _open(self) -> _Handle:
        with self._lock:
            if self._handle is None:
                self._handle = handle = _Handle(self.path)
                self._opened.append(weakref.ref(self))
                if len(self._opened) > OPEN_FILES and (oldest := self._opened.popleft()()):
                    oldest._handle = None
                return handle
            return self._handle


def open_unpacked(path: Path, *, in_memory: int = SPOOL_BYTES) -> FileReader | UnpackedFile:
    """Open a file for reading at any place, unpacked first if it is packed.

    Raises:
        DataError: The stream is damaged or cut short, or its content does not fit.
    """
    with path.open("rb") as file:
        packing = packing_of(file.read(HEAD_BYTES))
    return UnpackedFile(path, packing, in_memory=in_memory) if packing else FileReader(path)


def read_head(path: Path, size: int) -> bytes:
    """Return the first bytes of a file, unpacked if it is packed.

    Args:
        path: The file.
        size: The most bytes to return.

    Raises:
        DataError: The stream is damaged or cut short.
    """
    with path.open("rb") as file:
        head = file.read(max(size, HEAD_BYTES))
    if not (packing := packing_of(head)):
        return head[:size]
    head = b""
    for piece in unpack(path, packing):
        head += piece
        if len(head) >= size:
            break
    return head[:size]


def read_sample(path: Path, size: int) -> tuple[bytes, float]:
    """Return the first bytes of a file, and how many bytes of the file hold one of these.

    Args:
        path: The file.
        size: The most bytes of the content to return.

    Raises:
        DataError: As from `read_head`.
    """
    head = read_head(path, size)
    with path.open("rb") as file:
        raw = file.read(max(size, HEAD_BYTES))
    packing = packing_of(raw)
    return (head, packed_share(raw, packing, size)) if packing and head else (head, 1.0)


class _Handle:
    """A file descriptor, closed when nothing refers to it any more."""

    def __init__(self, path: Path) -> None:
        self.number = -1
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)
