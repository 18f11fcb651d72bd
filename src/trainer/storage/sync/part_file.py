"""A file that is filled in parts, in any order, by this process or the next."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from pathlib import Path

from trainer.config import UserError
from trainer.storage import unfinished
from trainer.storage.local import move_file
from trainer.storage.sync.entries import Entry, SyncFileError

_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


def part_name_for(path: Path) -> Path:
    """Return the hidden name beside a file under which any process goes on writing it."""
    short = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:24]
    return path.with_name(f".{short}{unfinished.SUFFIX}")


class PartFile:
    """The hidden file beside a large one, with room for all of it.

    Behind its bytes stand a byte for each part, 1 if that part has been written, and what
    identifies the source. A process that is killed leaves it; the next goes on with the parts
    that lack. It loses both with its hidden name, when it is whole.

    Args:
        path: The name of the file when it is whole.
        entry: The source.
        part: Bytes of each part but the last.

    Attributes:
        missing: The numbers of the parts that lack.

    Raises:
        OSError: The disk is full, or the file cannot be made.
        SyncFileError: Another process writes it.
    """

    def __init__(self, path: Path, entry: Entry, part: int) -> None:
        self.path, self.hidden, self.size = path, part_name_for(path), entry.size
        self.part = part
        self._parts = -(-entry.size // part)
        source = json.dumps([entry.name, entry.size, entry.version, part]).encode()
        self._file = os.open(self.hidden, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._lock()
            length = self.size + self._parts + len(source)
            whole = os.fstat(self._file).st_size == length
            if not whole or os.pread(self._file, len(source), self.size + self._parts) != source:
                os.ftruncate(self._file, 0)
                self._reserve(length)
                os.pwrite(self._file, bytes(self._parts) + source, self.size)
            done = os.pread(self._file, self._parts, self.size)
        except BaseException:
            os.close(self._file)
            raise
        self.missing = [number for number, byte in enumerate(done) if not byte]

    def range_of(self, number: int) -> tuple[int, int]:
        """Return where a part begins and ends."""
        return number * self.part, min((number + 1) * self.part, self.size)

    def write(self, data: bytes, offset: int) -> None:
        """Write some bytes of a part."""
        view = memoryview(data)
        while view:
            count = os.pwrite(self._file, view, offset)
            view, offset = view[count:], offset + count

    def end_part(self, number: int) -> None:
        """Note that all bytes of a part are written."""
        os.pwrite(self._file, b"\1", self.size + number)

    def trim(self) -> None:
        """Take away what stands behind the bytes."""
        os.ftruncate(self._file, self.size)

    def finish(self, mtime: float, mode: int | None) -> None:
        """Give the file its name."""
        finish(self.hidden, self.path, mtime, mode)
        self.close()

    def remove(self) -> None:
        """Remove what was written: it is not what the source holds."""
        with contextlib.suppress(OSError):
            self.hidden.unlink()
        self.close()

    def close(self) -> None:
        """Close the file, and leave it as it is."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SyncFileError(
                subject=self.path, problem="another process is writing it now"
            ) from None
        except OSError:
            # Some mounts know no locks.
            return

    def _reserve(self, length: int) -> None:
        try:
            os.posix_fallocate(self._file, 0, length)
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise
            os.ftruncate(self._file, length)


def finish(hidden: Path, path: Path, mtime: float, mode: int | None) -> None:
    """Give a whole file its time, its mode and its name.

    It is not synced: after a power cut the next synchronisation compares checksums.
    """
    # Nanoseconds, as far as they are known.
    at = round(mtime * 1e9)
    os.utime(hidden, ns=(at, at))
    if mode is not None:
        hidden.chmod(mode)
    move_file(hidden, path)


def disk_problem(error: OSError, path: Path) -> UserError:
    """Return what is wrong with writing a file: a full disk ends all, other problems that file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            subject=f"DST {path}",
            problem=os.strerror(error.errno),
            remedy="make room and run it again: it goes on from here",
        )
    return SyncFileError(subject=path, problem=f"cannot be written: {error.strerror or error}")
