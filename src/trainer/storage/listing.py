"""Lists of objects by their keys and sizes: what a glob matches, and which of them are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

from trainer.storage import globs

# Chooses some of the names in a folder.
NameFilter = Callable[[Iterable[str]], set[str]]


def prefix_of(key: str) -> str:
    """Return the part of a key before its first wildcard."""
    wild = globs.WILD.search(key)
    return key[: wild.start()] if wild else key


def folder_of(key: str) -> str:
    """Return the folder that a key names, or that a glob looks through."""
    return prefix_of(key).rpartition("/")[0] if globs.WILD.search(key) else key


def matching(sizes: Mapping[str, int], glob: str) -> dict[str, int]:
    """Return the objects that match a glob, or lie in a folder that does.

    Args:
        sizes: All objects whose keys begin with `prefix_of(glob)`.
        glob: The key with wildcards.
    """
    names = {str(up) for key in sizes for up in (key, *PurePosixPath(key).parents)}
    top, pattern = globs.split(glob, names.__contains__)
    start = len(top) + 1 if top else 0
    return {
        key: size
        for key, size in sizes.items()
        if key.startswith(top + "/" if top else "")
        and globs.matches(key[start:].split("/"), pattern)
    }


def without_folder_marks(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return objects without the empty ones that only mark a folder."""
    folders = {str(up) for key in sizes for up in PurePosixPath(key).parents}
    return {key: size for key, size in sizes.items() if size or key not in folders}


def without_local_name(keys: Iterable[str]) -> str | None:
    """Return the first of some keys that cannot be the name of a local file, if there is one."""
    keys = list(keys)
    files = set(keys)
    for key in keys:
        parents = map(str, PurePosixPath(key).parents)
        if not {"", ".", ".."}.isdisjoint(key.split("/")) or any(up in files for up in parents):
            return key
    return None
