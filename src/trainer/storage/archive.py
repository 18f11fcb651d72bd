"""Tar archives of unknown origin, unpacked safely: members stay inside, sizes are bounded."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from trainer.config import UserError
from trainer.runtime import shortened

# The first bytes of compressed files, and what opens them.
OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
# Bytes of the headers before a member, with long names and attributes.
HEADERS = 2**14
LONGEST_NAME = 4096
PIECE = 2**20
# Errors that Python's reader raises on damaged or malicious archives.
DAMAGED = (
    tarfile.TarError,
    EOFError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    ValueError,
    OverflowError,
    RecursionError,
)


@dataclass(frozen=True, kw_only=True)
class ArchiveLimits:
    """Limits of an archive that is accepted.

    Attributes:
        members: The most files, folders and links.
        size: The most bytes unpacked, headers included.
        links: True if links are allowed that stay inside the folder.
    """

    members: int = 100_000
    size: int = 64 * 2**30
    links: bool = True


def unpack_archive(
    archive: Path, to: Path, *, name: str, limits: ArchiveLimits = ArchiveLimits()
) -> None:
    """Unpack a tar file, compressed or not, if every member stays inside the folder.

    Python's `data` filter alone is not enough: Debian's 3.11.2 has none, before 3.11.13 and 3.12.11
    a chain of links leads it outside (CVE-2025-4517), and it renames members with absolute names.
    An archive with one bad member is not unpacked at all.

    Args:
        archive: The tar file.
        to: A new, empty folder.
        name: The archive's name in errors.
        limits: How much it may hold.

    Raises:
        UserError: It is damaged, no tar file, too large, or has a member that may not be unpacked.
    """
    with open_archive(archive, name=name, limits=limits) as tar:
        members = check_members(tar, name=name, limits=limits)
        _file(tar).let_data()
        to.mkdir(parents=True, exist_ok=True)
        need, free = sum(member.size for member in members), shutil.disk_usage(to).free
        if need > free:
            raise UserError(
                subject=name,
                problem=f"takes {need / 1e6:.0f} MB unpacked, "
                f"but {to} has {free / 1e6:.0f} MB left",
            )
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        tar.extractall(to, members)


@contextlib.contextmanager
def open_archive(archive: Path, *, name: str, limits: ArchiveLimits) -> Iterator[tarfile.TarFile]:
    """Open a tar file, compressed or not, to read its headers; `open_member` reads one.

    Raises:
        UserError: It is damaged or no tar file, here or where the block reads it.
    """
    try:
        with contextlib.ExitStack() as stack:
            raw = stack.enter_context(archive.open("rb"))
            begins = raw.read(6)
            raw.seek(0)
            opener = next((o for magic, o in OPENERS.items() if begins.startswith(magic)), None)
            file = stack.enter_context(opener(raw)) if opener else raw
            bounded: Any = _Bounded(file, limits.size)
            yield stack.enter_context(tarfile.open(fileobj=bounded, mode="r:"))
    except DAMAGED as error:
        why = str(error).partition("\n")[0].rstrip(":") or type(error).__name__
        raise UserError(
            subject=name,
            problem=f"not a whole tar file: {why}",
        ) from None
    except OSError as error:
        if error.errno is None:
            # bz2's, for damaged data.
            raise UserError(
                subject=name,
                problem=f"not a whole tar file: {error}",
            ) from None
        raise UserError(
            subject=name,
            problem=f"cannot be unpacked: {error.strerror or error}",
        ) from None


def check_members(
    tar: tarfile.TarFile, *, name: str, limits: ArchiveLimits
) -> list[tarfile.TarInfo]:
    """Return the members of an archive, each checked.

    All of the file is read, because compressed files have their checksum and length at the end.

    Raises:
        UserError: One of them may not be unpacked, there are too many, or the archive is cut short.
    """
    earlier: dict[PurePosixPath, tarfile.TarInfo] = {}
    members = []
    for member in tar:
        members.append(member)
        path = PurePosixPath(member.name)
        problem = _problem(path, member, earlier, limits)
        if problem:
            raise UserError(
                subject=name,
                problem=f"not unpacked: its member {_shown(member.name)} is {problem}",
            )
        if len(members) > limits.members:
            raise UserError(
                subject=name,
                problem=f"not unpacked: it has more than {limits.members} members",
            )
        earlier[path] = member
        _make_ours(member)
        # The archive keeps its members, whose extra attributes would fill memory.
        member.pax_headers, tar.pax_headers = {}, {}
        _file(tar).let_headers()
    _file(tar).read_to_end()
    return members


def open_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """Open a member that `check_members` returned, of this archive or of the same opened anew."""
    _file(tar).let_data()
    file = tar.extractfile(member)
    assert file is not None
    return file


def _problem(
    path: PurePosixPath,
    member: tarfile.TarInfo,
    earlier: dict[PurePosixPath, tarfile.TarInfo],
    limits: ArchiveLimits,
) -> str | None:
    """Return what is wrong with a member, or None; `earlier` are the members before it."""
    # Checked first, because the other checks take long on very long names.
    if max(len(member.name), len(member.linkname)) > LONGEST_NAME:
        return f"named, or a link to a name, of more than {LONGEST_NAME} characters"
    before = earlier.get(path)
    if path.is_absolute() or ".." in path.parts or "\0" in member.name:
        return "outside the folder"
    if any(at in earlier and earlier[at].issym() for at in (path, *path.parents)):
        return "behind a link"
    if member.size < 0:
        return f"of {member.size} bytes"
    if member.sparse is not None:
        return "a sparse file; pack it without -S"
    if not limits.links and (member.issym() or member.islnk()):
        return "a link"
    if not limits.links and before and not (before.isdir() and member.isdir()):
        return "there twice"
    if member.issym() and not _stays_inside(path, PurePosixPath(member.linkname)):
        return f"a link to {member.linkname}, outside the folder"
    if member.islnk():
        target = earlier.get(PurePosixPath(member.linkname))
        if target is None or target.issym():
            return f"a link to {member.linkname}, not a file before it"
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        return "neither a file nor a folder"
    return None


def _make_ours(member: tarfile.TarInfo) -> None:
    """Give a member to the user who unpacks it, readable by them and writable by no other."""
    member.uid, member.gid, member.uname, member.gname = os.geteuid(), os.getegid(), "", ""
    member.mode = member.mode & 0o755 | (0o700 if member.isdir() else 0o600)


def _stays_inside(link: PurePosixPath, target: PurePosixPath) -> bool:
    """Return whether a link leads into the folder.

    `..` may stand only at its beginning, because a name before it may itself be a link.
    """
    up = next((i for i, part in enumerate(target.parts) if part != ".."), len(target.parts))
    down = target.parts[up:]
    return not target.is_absolute() and up <= len(link.parts) - 1 and ".." not in down


def _shown(name: str) -> str:
    return repr(shortened(name, 200))


def _file(tar: tarfile.TarFile) -> _Bounded:
    file: Any = tar.fileobj
    return file


class _Bounded:
    """A file that cannot be read beyond a size, nor beyond a few bytes of each member's headers.

    A header may claim that a name is 8 GiB long, or that a list of a billion holes follows. tarfile
    would read it into memory, which a few megabytes of zipped zeros are enough to fill.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size = file, size
        self._headers: int | None = HEADERS
        self._last = b""

    def let_headers(self) -> None:
        """Allow the headers of one member to be read."""
        self._headers = HEADERS

    def let_data(self) -> None:
        """Allow anything to be read."""
        self._headers = None

    def read(self, count: int = -1) -> bytes:
        if count < 0:
            raise tarfile.ReadError(f"a header of {count} bytes")
        if self._headers is not None:
            if count > self._headers:
                raise tarfile.ReadError(f"a member with headers of more than {HEADERS} bytes")
            self._headers -= count
        self._within(self._file.tell() + count)
        self._last = self._file.read(count)
        return self._last

    def read_to_end(self) -> None:
        """Read to the end of the file; the last header that was read must be the mark of the end.

        tarfile takes a damaged or missing header for the end too, unless it is the first.
        """
        if self._last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it is cut short, or a header in it is damaged")
        self.let_data()
        while self.read(PIECE):
            pass

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or position < 0:
            raise tarfile.ReadError(f"a seek to {position}")
        self._within(position)
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def _within(self, position: int) -> None:
        # tarfile reads up to one record of zeros beyond the last member.
        if position > self._size + tarfile.RECORDSIZE:
            raise tarfile.ReadError(f"more than {self._size} bytes unpacked")
