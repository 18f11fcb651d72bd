"""One file on its way to disk: small ones at once, large ones in parts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from trainer.storage import unfinished
from trainer.storage.errors import SizeError
from trainer.storage.sync.checksums import MIB, Checksums, checksum_of, pieces_of
from trainer.storage.sync.entries import Entry, SyncFileError
from trainer.storage.sync.part_file import PartFile, disk_problem, finish
from trainer.storage.sync.place import WRONG, Place, Step, SyncSettings, check, read_all, step

PART = 8 * MIB
# Bytes of one request, at most.
MOST = 64 * MIB


class DiskCopy:
    """A copy of one file to disk.

    Args:
        entry: The file.
        source: Where it comes from.
        path: Its name on disk; its folder is there.
        settings: What all transfers share.
        span: Bytes of one request, at most; those of a part at least.
    """

    def __init__(
        self, entry: Entry, source: Place, path: Path, settings: SyncSettings, span: int
    ) -> None:
        self._entry, self._source, self._path, self._span = entry, source, path, span
        self._settings, self._meter = settings, settings.meter
        self._lock = threading.Lock()
        self._left = 0

    def begin(self) -> Sequence[Step]:
        """Copy a small file, or return the steps of a large one."""
        try:
            if self._entry.size <= PART:
                self._copy_small()
                return ()
            self._file = PartFile(self._path, self._entry, PART)
        except OSError as error:
            raise disk_problem(error, self._path) from None
        self._settings.at_end.append(self._file.close)
        missing = self._file.missing
        need = sum(stop - start for start, stop in map(self._file.range_of, missing))
        self._meter.skip(self._entry.size - need)
        self._left = len(missing)
        if not missing:
            return self._end()
        return [step(self._copy_run, run) for run in _runs(missing, max(1, self._span // PART))]

    def _copy_small(self) -> None:
        data = read_all(self._source, self._entry, 0, self._entry.size)
        hidden = unfinished.short_name_in(self._path.parent)
        try:
            hidden.write_bytes(data)
            checked = self._checked(hidden, data)
            finish(hidden, self._path, self._entry.mtime, self._mode())
        finally:
            with contextlib.suppress(OSError):
                hidden.unlink(missing_ok=True)
        self._meter.count(len(data))
        self._meter.end_file(self._entry.name, checked=checked)

    def _copy_run(self, numbers: range) -> Sequence[Step]:
        """Copy parts that follow each other, by one request."""
        at, stop = self._file.range_of(numbers[0])[0], self._file.range_of(numbers[-1])[1]

        def go_on() -> None:
            nonlocal at
            for piece in self._source.read(self._entry, at, stop):
                try:
                    self._file.write(piece, at)
                except OSError as error:
                    raise disk_problem(error, self._path) from None
                before, at = at, at + len(piece)
                for number in range(before // PART, at // PART):
                    self._file.end_part(number)
                self._meter.count(len(piece))
            if at != stop:
                raise SizeError(f"{at} of {stop} bytes")

        try:
            self._source.retry(go_on, self._entry.name)
        except SyncFileError:
            # The other parts are of a file that is no more.
            self._file.remove()
            raise
        self._file.end_part(numbers[-1])
        with self._lock:
            self._left -= len(numbers)
            is_last = not self._left
        return self._end() if is_last else ()

    def _end(self) -> Sequence[Step]:
        self._file.trim()
        try:
            checked = self._checked(self._file.hidden, None)
        except SyncFileError:
            self._file.remove()
            raise
        try:
            self._file.finish(self._entry.mtime, self._mode())
        except OSError as error:
            raise disk_problem(error, self._path) from None
        self._meter.end_file(self._entry.name, checked=checked)
        return ()

    def _checked(self, hidden: Path, data: bytes | None) -> bool:
        """Return whether a checksum vouches for a file, by reading it again if it is large."""
        if self._source.is_local:
            any_value = Checksums(crc32c="?")
            ours = checksum_of(pieces_of(hidden), any_value)
            theirs = (
                self._source.checksums(self._entry, any_value)
                if data is None
                else checksum_of([data], any_value)
            )
            if ours != theirs:
                raise SyncFileError(subject=self._path, problem=WRONG, remedy="run it again")
            return True

        def computed(like: Checksums) -> Checksums:
            return checksum_of(pieces_of(hidden) if data is None else [data], like)

        return check(self._source, self._entry, computed, name=str(self._path))

    def _mode(self) -> int | None:
        """Return the permissions of a source on disk."""
        if not self._source.is_local:
            return None
        path: Path = self._source.path_of(self._entry.name)  # type: ignore[attr-defined]
        return path.stat().st_mode & 0o777


def span_for(copies: Iterable[Entry], workers: int) -> int:
    """Return the bytes of one request, so that large files keep all workers busy and no more."""
    total = sum(entry.size for entry in copies if entry.size > PART)
    return min(max(PART, total // workers), MOST)


def _runs(numbers: Sequence[int], most: int) -> list[range]:
    """Return numbers that follow each other as ranges of some length at most."""
    runs: list[range] = []
    for number in numbers:
        last = runs[-1] if runs else range(0)
        if number == last.stop and 0 < len(last) < most:
            runs[-1] = range(last.start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return runs
