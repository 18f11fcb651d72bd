"""Files and folders that are there whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name, and rename it when it is on disk."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name; it gets its own when the block ends well.

    Args:
        path: The final name, not yet there; its parent is made.

    Yields:
        The temporary folder, beside it and hidden. It is removed if the block raises.

    Raises:
        OSError: `path` is there already, or the disk refuses.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        yield part
        for file in sorted(part.rglob("*")):
            _sync(file)
        _sync(part)
        part.rename(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder so that it is never seen with some of its files gone."""
    gone = path.with_name(f".{path.name}.{os.getpid()}.part")
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left half-written in `folder`."""
    for part in folder.glob(".*.part"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
