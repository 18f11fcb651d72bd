"""A user's sources, laid over what an image has already."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from trainer.config import UserError


@dataclass(frozen=True, kw_only=True)
class CopyResult:
    """What was laid over a folder.

    Attributes:
        files: How many files were laid.
        over: How many were there before.
        replaced: How many of these are gone.
    """

    files: int
    over: int
    replaced: int


def copy_over(source: Path, over: Path) -> CopyResult:
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
                    subject=f"{source / path}",
                    problem="would replace the folder that it is in",
                )
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        shutil.copy2(source / path, target, follow_symlinks=False)
    laid = _files(new)
    gone = before - _files(_entries(over))
    return CopyResult(files=len(laid), over=len(before), replaced=len(before & laid) + len(gone))


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
