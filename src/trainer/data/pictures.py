"""Pictures among the files of a folder: what is data, and which part of the data it is."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from pathlib import Path

from trainer.config import PART_WORDS, Part, part_of
from trainer.data.formats.picture_listing import CLASSES_FILE, LIST_SUFFIXES, is_listing
from trainer.data.formats.registry import FORMATS


def is_picture(name: str) -> bool:
    """Return whether a file is a picture by its name."""
    return name.lower().endswith(_suffixes(tuple(FORMATS)))


def set_apart(files: list[Path], beside: list[str]) -> None:
    """Move what only lies beside the data from `files` to the names in `beside`.

    Plots lie beside data of other formats, and lists of names beside pictures: of the two, that
    is the data which has more bytes.

    Args:
        files: All files of a folder that may be data.
        beside: The names of those that are not.
    """
    found = [file for file in files if is_picture(file.name)]
    if not found or len(found) == len(files):
        return
    others = [file for file in files if not is_picture(file.name)]
    lists = [file for file in others if file.name.lower().endswith(LIST_SUFFIXES)]
    moved = found if _size(found) < _size(others) else lists
    beside += sorted(file.name for file in moved)
    passed = set(moved)
    files[:] = [file for file in files if file not in passed]


def lists_among(names: Collection[str], found: Collection[str]) -> set[str]:
    """Return the names of lists of pictures and of classes, if there are pictures.

    Args:
        names: All files of a folder, to any depth.
        found: Those that may be data.
    """
    if not any(map(is_picture, found)):
        return set()
    last = {name: name.rpartition("/")[2].lower() for name in names}
    return {name for name, end in last.items() if end == CLASSES_FILE or is_listing(end)}


def parts_of_pictures(files: Sequence[Path], top: Path) -> dict[Part | None, list[Path]]:
    """Return pictures by the part of the data that their folders say.

    The folder of a class, and a picture itself, may be called `test` or `valid` without meaning
    it: they are not asked, unless all folders of pictures side by side are called so.

    Args:
        files: The pictures.
        top: The folder that the user named.
    """
    by_name: dict[str, list[Path]] = {}
    for file in files:
        by_name.setdefault(str(file).rpartition("/")[0], []).append(file)
    by_folder = {own[0].parent: own for own in by_name.values()}
    side_by_side: dict[Path, list[str]] = {}
    for folder in by_folder:
        side_by_side.setdefault(folder.parent, []).append(folder.name)
    parts: dict[Part | None, list[Path]] = {}
    for folder, own in by_folder.items():
        names = folder.relative_to(top).parts
        part = _part_above(names[:-1])
        if part is None and names and all(part_of([n]) for n in side_by_side[folder.parent]):
            part = part_of(names[-1:])
        parts.setdefault(part, []).extend(own)
    return parts


def _part_above(names: Sequence[str]) -> Part | None:
    """Return the part that the first of some folders names, best by its whole name."""
    exact = (PART_WORDS[name.lower()] for name in names if name.lower() in PART_WORDS)
    return next(exact, None) or next(filter(None, (part_of([name]) for name in names)), None)


def _size(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


@functools.cache
def _suffixes(formats: tuple[str, ...]) -> tuple[str, ...]:
    found = [FORMATS[name] for name in formats]
    return tuple(suffix for form in found if form.one_a_file for suffix in form.suffixes)
