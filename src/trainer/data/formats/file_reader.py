"""Files that any thread may read at any place, more of them than a process may hold open."""

from __future__ import annotations

import collections
import io
import os
import tempfile
import threading
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from trainer.config import DataError
from trainer.data.formats.compressed import Packing, packed_share, packing_of, unpack
from trainer.data.formats.format import HEAD_BYTES

# A data set may have more files than a process may open (often 1024): the last used stay open.
OPEN_FILES = 128

# A packed file cannot be read from the middle: it is unpacked into memory, beyond so many bytes of
# all such files to disk.
SPOOL_BYTES = 256 << 20

STREAM_BUFFER = 1 << 20


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

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _bytes_in_memory: ClassVar[int] = 0

    def __init__(
        self, path: Path, packing: Packing = "gzip", *, in_memory: int = SPOOL_BYTES
    ) -> None:
        self.path, self.packing = path, packing
        self._keep(unpack(path, packing), in_memory)

    def _keep(self, pieces: Iterable[bytes], in_memory: int) -> None:
        """Put the content where it can be read at any place."""
        self._spool: _Spool | None = None
        self._start = 0
        held = bytearray()
        with self._lock:
            for piece in pieces:
                if self._spool is not None:
                    self._spool.append(piece, self.path)
                    continue
                held += piece
                if len(held) + UnpackedFile._bytes_in_memory > in_memory:
                    self._spool = _Spool.current()
                    self._start = self._spool.size
                    self._spool.append(bytes(held), self.path)
                    held.clear()
            if self._spool is None:
                self._held, self.size = bytes(held), len(held)
                UnpackedFile._bytes_in_memory += self.size
                weakref.finalize(self, self._let_go, self.size)
            else:
                self.size = self._spool.size - self._start

    def read(self, offset: int, size: int) -> bytes:
        """Return the `size` bytes at `offset`, fewer at the end."""
        size = max(0, min(size, self.size - offset))
        if self._spool is None:
            return self._held[offset : offset + size]
        return os.pread(self._spool.file.fileno(), size, self._start + offset)

    def stream(self) -> BinaryIO:
        """Return the content as a file, to be read from the beginning."""
        return io.BufferedReader(_Content(self), STREAM_BUFFER)

    @classmethod
    def _let_go(cls, size: int) -> None:
        cls._bytes_in_memory -= size


class _Spool:
    """A file without a name, in which unpacked files stand one behind the other.

    All of a process share one, as there may be more of them than it may hold open.
    """

    _current: ClassVar[weakref.ref[_Spool] | None] = None

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115
        self.size = 0

    @classmethod
    def current(cls) -> _Spool:
        """Return that of the process, a new one when nothing reads the last any more."""
        spool = cls._current() if cls._current else None
        if spool is None:
            spool = _Spool()
            cls._current = weakref.ref(spool)
        return spool

    def append(self, piece: bytes, path: Path) -> None:
        """Write bytes of the content of `path` at the end."""
        try:
            self.size += os.pwrite(self.file.fileno(), piece, self.size)
        except OSError as error:
            raise DataError(
                subject=path,
                problem=f"cannot be unpacked to {tempfile.gettempdir()}: {error.strerror}",
                remedy="set TMPDIR to a folder with more room",
            ) from None


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
