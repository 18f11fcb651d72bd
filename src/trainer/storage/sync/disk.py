"""A folder on disk as SRC or DST of a synchronisation."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from trainer.config import UserError
from trainer.storage import unfinished
from trainer.storage.sync.checksums import (
    PIECE,
    UNKNOWN,
    Checksums,
    checksum_of,
    pieces_of,
)
from trainer.storage.sync.disk_copy import PART, DiskCopy
from trainer.storage.sync.entries import Entry, SyncFileError
from trainer.storage.sync.part_file import part_name_for
from trainer.storage.sync.place import CHANGED, Place, Step, SyncSettings, problem_of

T = TypeVar("T")


class DiskPlace:
    """A folder on disk, or one file as SRC.

    Args:
        url: The path as it was given.
        path: The folder, or the file.
        flag: SRC or DST, for errors.
        settings: What all transfers share.
        follow: Follow links to folders, as SRC does.

    Attributes:
        path: What the url names.
        root: The folder below which names are.
        problems: Files and folders that could not be listed.
        span: Bytes of one request for what is copied to here.
    """

    is_local = True

    def __init__(
        self, url: str, path: Path, *, flag: str, settings: SyncSettings, follow: bool
    ) -> None:
        self.url, self.subject = url, f"{flag} {url}"
        self.path, self.root = path, path.parent if path.is_file() and follow else path
        self.problems: list[SyncFileError] = []
        self.span = PART
        self.settings = settings
        self._only = path.name if path.is_file() and follow else None
        self._follow = follow

    def entries(self) -> dict[str, Entry]:
        """See `Place.entries`."""
        self.problems.clear()
        if self._only is not None:
            entry = self._entry(self.root / self._only, self._only)
            return {self._only: entry} if entry else {}
        found: dict[str, Entry] = {}
        if self.root.is_dir():
            self._list(str(self.root), "", (), found)
        elif os.path.lexists(self.root):
            raise UserError(subject=self.subject, problem="is neither a file nor a folder")
        return dict(sorted(found.items()))

    def path_of(self, name: str) -> Path:
        """Return where a file is, or will be."""
        return self.root / name

    def bytes_needed(self, copies: Collection[Entry]) -> int:
        """Return the room that copies to here still need, beside what lies here unfinished."""
        parts = (part_name_for(self.path_of(e.name)) for e in copies if e.size > PART)
        there = sum(path.stat().st_blocks * 512 for path in parts if path.exists())
        return max(0, sum(entry.size for entry in copies) - there)

    def checksums(self, entry: Entry, like: Checksums) -> Checksums:
        """See `Place.checksums`."""
        try:
            return checksum_of(self._counted(entry), like) if like.best else UNKNOWN
        except OSError as error:
            raise problem_of(error, str(self.path_of(entry.name)), "cannot be read") from None

    def read(self, entry: Entry, start: int, stop: int) -> Iterator[bytes]:
        """See `Place.read`."""
        path = self.path_of(entry.name)
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(start)
                while start < stop and (data := file.read(min(PIECE, stop - start))):
                    start += len(data)
                    yield data
                now = os.fstat(file.fileno())
        except OSError as error:
            raise problem_of(error, str(path), "cannot be read") from None
        if start < stop or (now.st_size, str(now.st_mtime_ns)) != (entry.size, entry.version):
            raise SyncFileError(subject=path, problem=CHANGED, remedy="run it again")

    def retry(self, call: Callable[[], T], name: str) -> T:
        """Call once: a disk gives the same answer again."""
        return call()

    def delete(self, name: str) -> None:
        """Delete a file, and the folders that it leaves empty."""
        path = self.path_of(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise problem_of(error, str(path), "cannot be deleted") from None
        with contextlib.suppress(OSError):
            for folder in path.parents:
                if folder == self.root:
                    return
                folder.rmdir()

    def receive(self, entry: Entry, source: Place) -> Sequence[Step]:
        """See `Place.receive`."""
        path = self.path_of(entry.name)
        self._make_folder(path.parent)
        return DiskCopy(entry, source, path, self.settings, self.span).begin()

    def _counted(self, entry: Entry) -> Iterator[bytes]:
        for piece in pieces_of(self.path_of(entry.name)):
            yield piece
            self.settings.meter.count(0)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder below this place, unless a link leads out of it.

        Raises:
            SyncFileError: A link does, or the folder cannot be made.
        """
        for up in (folder, *folder.parents):
            if up == self.root:
                break
            if up.is_symlink():
                raise SyncFileError(
                    subject=folder,
                    problem=f"nothing is written through the link {up}",
                    remedy="remove the link, or leave it out: --exclude",
                )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise problem_of(error, str(folder), "cannot be made") from None

    def _list(
        self, folder: str, prefix: str, above: tuple[tuple[int, int], ...], found: dict[str, Entry]
    ) -> None:
        """Put the entries of a folder, to any depth, among those that are found."""
        try:
            here = Path(folder).stat()
            # A link may lead back to a folder that it lies in.
            if (here.st_dev, here.st_ino) in above:
                return
            above = (*above, (here.st_dev, here.st_ino))
            with os.scandir(folder) as entries:
                children = list(entries)
        except OSError as error:
            self.problems.append(problem_of(error, folder, "cannot be listed"))
            return
        for child in children:
            name = f"{prefix}{child.name}"
            try:
                is_folder = child.is_dir(follow_symlinks=self._follow)
            except OSError as error:
                self.problems.append(problem_of(error, child.path, "cannot be looked at"))
                continue
            if unfinished.is_within(child.name):
                continue
            if is_folder:
                self._list(child.path, f"{name}/", above, found)
            elif (entry := self._entry(Path(child.path), name)) is not None:
                found[name] = entry

    def _entry(self, path: Path, name: str) -> Entry | None:
        """Return a file's entry; None for what cannot be copied, which is noted."""
        try:
            info = path.stat() if self._follow or not path.is_symlink() else path.lstat()
        except OSError as error:
            self.problems.append(problem_of(error, str(path), "cannot be looked at"))
            return None
        if not stat.S_ISREG(info.st_mode) and not stat.S_ISLNK(info.st_mode):
            if self._follow:
                problem = "is neither a file nor a folder; left out"
                self.problems.append(SyncFileError(subject=path, problem=problem))
            return None
        version = str(info.st_mtime_ns)
        return Entry(name=name, size=info.st_size, mtime=info.st_mtime_ns / 1e9, version=version)
