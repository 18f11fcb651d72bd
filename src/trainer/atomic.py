"""Files and folders that are there whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from trainer.errors import UserError


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name, and rename it when it is on disk."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with naming_full_disk(path), part.open("w", encoding="utf-8") as file:
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
        with naming_full_disk(path):
            yield part
            for file in sorted(part.rglob("*")):
                _sync(file)
            _sync(part)
        part.rename(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Tell a full disk as such, whoever found it full.

    TensorFlow raises an error of its own there, with the operations that led to it.

    Args:
        path: What is being written.

    Raises:
        OSError: There is no space left, or none of the quota; anything else is raised as it is.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        for number in (errno.ENOSPC, errno.EDQUOT):
            text = os.strerror(number)
            if getattr(error, "errno", None) == number or text in str(error):
                raise OSError(number, text, str(path)) from error
        raise


def remove_folder(path: Path) -> None:
    """Remove a folder, or what has its name, so that it is never seen with some files gone."""
    gone = path.with_name(f".{path.name}.{os.getpid()}.part")
    path.rename(gone)
    _remove(gone)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left half-written in `folder`."""
    for part in folder.glob(".*.part"):
        _remove(part)


def _remove(path: Path) -> None:
    # A link to a folder goes, not what it points to.
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
