"""A user's sources: unpacked from an archive, laid over what an image has already."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trainer.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Laid:
    """What was laid over a folder.

    Attributes:
        files: How many files were laid.
        over: How many were there before.
        replaced: How many of these are gone.
    """

    files: int
    over: int
    replaced: int


def unpack(archive: Path, to: Path, *, name: str) -> None:
    """Unpack a tar file, compressed or not, if all of it belongs into the folder.

    Python's `data` filter alone would not do: Debian's 3.11.2 has none, up to 3.11.12 and 3.12.10
    a chain of links leads it outside (CVE-2025-4517), and it renames what has an absolute name.
    Nothing is left out: an archive with one bad member is not unpacked at all.

    Args:
        archive: The tar file.
        to: A new, empty folder.
        name: What errors call it.

    Raises:
        UserError: It is damaged, no tar file, or holds what may not be unpacked.
    """
    try:
        with tarfile.open(archive) as tar:
            members = tar.getmembers()
            _check(members, name=name)
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            tar.extractall(to, members)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        why = str(error).partition("\n")[0].rstrip(":")
        raise UserError(f"{name}: not a whole tar file: {why}") from None
    except OSError as error:
        raise UserError(f"{name}: cannot be unpacked: {error.strerror or error}") from None


def _check(members: list[tarfile.TarInfo], *, name: str) -> None:
    links: set[PurePosixPath] = set()
    files: set[PurePosixPath] = set()
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            problem = "outside the folder"
        elif links.intersection([path, *path.parents]):
            problem = "behind a link"
        elif member.issym() and not _stays_inside(path, PurePosixPath(member.linkname)):
            problem = f"a link to {member.linkname}, outside the folder"
        elif member.islnk() and PurePosixPath(member.linkname) not in files:
            problem = f"a link to {member.linkname}, not a file before it"
        elif not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
            problem = "neither a file nor a folder"
        else:
            (links if member.issym() else files).add(path)
            _make_ours(member)
            continue
        raise UserError(f"{name}: not unpacked: its member {member.name!r} is {problem}")


def _make_ours(member: tarfile.TarInfo) -> None:
    """Let it belong to whoever unpacks it, who can read it, and no other can change it."""
    member.uid, member.gid, member.uname, member.gname = os.geteuid(), os.getegid(), "", ""
    member.mode = member.mode & 0o755 | (0o700 if member.isdir() else 0o600)


def _stays_inside(link: PurePosixPath, target: PurePosixPath) -> bool:
    """Whether a link leads to a place in the folder; `..` only first, as names may be links."""
    up = next((i for i, part in enumerate(target.parts) if part != ".."), len(target.parts))
    down = target.parts[up:]
    return not target.is_absolute() and up <= len(link.parts) - 1 and ".." not in down


def lay(source: Path, over: Path) -> Laid:
    """Copy all that a folder holds into another; where both have a name, the copied one wins.

    A link in the other folder is replaced rather than followed: what it leads to is not part of
    the folder.

    Raises:
        UserError: The source holds what is neither a file nor a folder (nothing was copied), or
            would replace itself.
        OSError: The disk refuses.
    """
    new = _entries(source)
    for path, mode in new.items():
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            raise UserError(f"{source / path}: neither a file nor a folder; leave it out")
    before = _files(_entries(over))
    over.mkdir(parents=True, exist_ok=True)
    for path, mode in new.items():
        target = over / path
        if stat.S_ISDIR(mode):
            if target.is_symlink() or not target.is_dir():
                target.unlink(missing_ok=True)
                target.mkdir()
            continue
        if target.is_dir() and not target.is_symlink():
            if source.resolve().is_relative_to(target.resolve()):
                raise UserError(f"{source / path}: would replace the folder that it is in")
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        shutil.copy2(source / path, target, follow_symlinks=False)
    laid = _files(new)
    gone = before - _files(_entries(over))
    return Laid(files=len(laid), over=len(before), replaced=len(before & laid) + len(gone))


def _entries(folder: Path) -> dict[Path, int]:
    """All that a folder holds, by its place in there, with its mode; folders before their own."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in sorted([*folders, *files]):
            path = Path(place, name)
            found[path.relative_to(folder)] = path.lstat().st_mode
    return found


def _files(entries: dict[Path, int]) -> set[Path]:
    return {path for path, mode in entries.items() if not stat.S_ISDIR(mode)}
