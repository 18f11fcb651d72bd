"""Copy a user's sources over what the image has already."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from trainer.config import UserError


@dataclass(frozen=True, kw_only=True)
class CopyResult:
    """The result of copying a folder over another.

    Attributes:
        files: The number of files copied.
        over: The number of files that were there before.
        replaced: How many of these were replaced or removed.
    """

    files: int
    over: int
    replaced: int


def copy_over(source: Path, over: Path) -> CopyResult:
    """Copy all that a folder holds into another, in place of what has the same name there.

    A link in the other folder is replaced rather than followed, as its target is not part of the
    folder.

    Raises:
        UserError: The source holds what is neither a file nor a folder (nothing was copied), or
            would replace itself.
        OSError: The disk refuses.
    """
    new = _entries(source)
    for path, mode in new.items():
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            raise UserError(
                subject=f"{source / path}",
                problem="neither a file nor a folder",
                remedy="leave it out",
            )
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
                raise UserError(
                    subject=f"{source / path}", problem="would replace the folder that it is in"
                )
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        shutil.copy2(source / path, target, follow_symlinks=False)
    copied = _files(new)
    gone = before - _files(_entries(over))
    return CopyResult(
        files=len(copied), over=len(before), replaced=len(before & copied) + len(gone)
    )


def _entries(folder: Path) -> dict[Path, int]:
    """Return the mode of all in a folder by relative path, folders before their content."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in sorted([*folders, *files]):
            path = Path(place, name)
            found[path.relative_to(folder)] = path.lstat().st_mode
    return found


def _files(entries: dict[Path, int]) -> set[Path]:
    return {path for path, mode in entries.items() if not stat.S_ISDIR(mode)}
