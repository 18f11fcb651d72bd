"""Globs: one set of rules for files on disk and for objects of a store.

A component of a path is a pattern only if nothing is there under just that name: `run[1]` is the
folder of that name where there is one. Wildcards match no name that begins with a dot or an
underscore, unless the pattern begins with it too; `**` stands for any number of folders.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

WILD = re.compile(r"[*?[]")
# First characters of names that are no data: of tools, of writers at work, of unfinished files.
HIDDEN = (".", "_")


def split(path: str, exists: Callable[[str], bool]) -> tuple[str, tuple[str, ...]]:
    """Split a path into the part that names something and the pattern behind it.

    Args:
        path: With slashes between its components.
        exists: Returns whether something is there under a name.

    Returns:
        The part without patterns, and the components of the pattern, the first of which has a
        wildcard; none if the path is no glob.
    """
    parts = path.split("/")
    for i, part in enumerate(parts):
        if WILD.search(part) and not exists("/".join(parts[: i + 1])):
            return "/".join(parts[:i]), tuple(parts[i:])
    return path, ()


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether a path, or a folder that it lies in, matches; both are split at slashes."""
    if not pattern:
        return True
    if pattern[0] == "**" and matches(parts, pattern[1:]):
        return True
    if not parts or not _fits(parts[0], pattern[0]):
        return False
    return matches(parts[1:], pattern if pattern[0] == "**" else pattern[1:])


def root(path: Path) -> Path:
    """Return the part of a local path that comes before its pattern."""
    return Path(_split_local(path)[0])


def find(path: Path) -> list[Path]:
    """Return the files and folders on disk that a path or glob names, in order."""
    top, pattern = _split_local(path)
    if not pattern:
        return [path] if os.path.lexists(path) else []
    return sorted(set(_below(Path(top), pattern, ())))


def links_to_ancestor(path: Path) -> bool:
    """Return whether a path is a link to a folder that it lies in itself."""
    if not path.is_symlink():
        return False
    parent = path.parent.resolve()
    return path.resolve() in (parent, *parent.parents)


def expanded(paths: Sequence[str]) -> tuple[str, ...]:
    """Return paths with each glob replaced by its matches; a glob without a match is kept."""
    each = ([*map(str, find(Path(p)))] if WILD.search(p) else [] for p in paths)
    return tuple(
        dict.fromkeys(f for path, found in zip(paths, each, strict=True) for f in found or [path])
    )


def _split_local(path: Path) -> tuple[str, tuple[str, ...]]:
    text = str(path)
    top, pattern = split(text, os.path.lexists)
    if pattern and not top:
        top = "/" if text.startswith("/") else "."
    return top, pattern


def _fits(name: str, pattern: str) -> bool:
    if name == pattern:
        return True
    if name.startswith(HIDDEN) and name[0] != pattern[0]:
        return False
    return fnmatch.fnmatchcase(name, pattern)


def _below(
    folder: Path, pattern: Sequence[str], above: tuple[tuple[int, int], ...]
) -> Iterator[Path]:
    """Yield the paths that match in a folder.

    Args:
        folder: Where to look.
        pattern: The components of the pattern.
        above: Device and inode of the folders it lies in, as links may lead back to them.
    """
    if not pattern:
        yield folder
        return
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        yield from _below(folder, rest, above)
        here = folder.stat()
        if (here.st_dev, here.st_ino) in above:
            return
        above, rest = (*above, (here.st_dev, here.st_ino)), pattern
    for path in _children(folder, first):
        if not rest or path.is_dir():
            yield from _below(path, rest, above)


def _children(folder: Path, pattern: str) -> Iterator[Path]:
    if not WILD.search(pattern):
        if os.path.lexists(folder / pattern):
            yield folder / pattern
        return
    # As in a shell, a folder that cannot be read has no matches in it.
    unreadable = (PermissionError, FileNotFoundError, NotADirectoryError)
    with contextlib.suppress(*unreadable), os.scandir(folder) as entries:
        for entry in list(entries):
            if _fits(entry.name, pattern):
                yield folder / entry.name
