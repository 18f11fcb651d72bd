"""Modules in an object store: `--module s3://bucket/code/net.py`, brought here once a machine."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from trainer.config import UserError
from trainer.storage import RemotePath, local

logger = logging.getLogger(__name__)

PACKAGE = "__init__.py"
FLAG = "--module"


@functools.cache
def fetch_module(url: str) -> str:
    """Bring a module's file, and the Python files beside it, to this machine's disk.

    A folder above that is a package comes whole, so that relative imports work. All processes of
    this machine find the same copy.

    Args:
        url: The `s3://` or `gs://` url of a Python file, a package's folder or a `.keras` file.

    Returns:
        The path of the local copy.

    Raises:
        UserError: Nothing is there, or access is denied.
        StorageError: The store failed again and again.
    """
    top, name = _top(url.rstrip("/"))
    digest = hashlib.sha256(f"{top} {_identity(top, name)}".encode()).hexdigest()[:16]
    # Of this user alone: another's could hold another code.
    folder = Path(tempfile.gettempdir(), f"trainer-modules-{os.getuid()}", digest)
    if not folder.is_dir():
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        if folder.parent.stat().st_uid != os.getuid():
            raise UserError(subject=f"{FLAG} {url}", problem=f"{folder.parent} is another user's")
        try:
            with local.new_folder(folder) as new:
                _download(top, _wanted(top, name), new)
            logger.info("module: fetched %s to %s", url, folder)
        except OSError:
            # Another process of this machine was there first.
            if not folder.is_dir():
                raise
    return str(folder / name)


def _top(url: str) -> tuple[str, str]:
    """Return the folder in which a module's first name lies, and the module's path below it."""
    folder, _, name = url.rpartition("/")
    while _has_parent(folder) and RemotePath(folder, flag=FLAG).read_small(PACKAGE) is not None:
        folder, _, package = folder.rpartition("/")
        name = f"{package}/{name}"
    return folder, name


def _download(top: str, names: Iterable[str], folder: Path) -> None:
    place = RemotePath(top, flag=FLAG)
    for name in names:
        key = f"{place.key}/{name}" if place.key else name
        size = place.bucket.size(key)
        if size is None:
            raise UserError(subject=f"{FLAG} {top}/{name}", problem="nothing is there")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        place.bucket.download(key, size, folder / name)


def _has_parent(folder: str) -> bool:
    """Return whether a url names more than a bucket."""
    return "/" in folder.partition("://")[2]


@functools.cache
def _contents(folder: str) -> dict[str, int]:
    return RemotePath(folder, flag=FLAG).contents()


def _wanted(top: str, name: str) -> list[str]:
    """Return the objects of a module: its own, and Python files that it may import."""
    if not _has_parent(top):
        # A whole bucket may hold anything, and take long to list.
        return [name]
    found = _contents(top)
    own = [key for key in found if key == name or key.startswith(f"{name}/")]
    if not own:
        raise UserError(subject=f"{FLAG} {top}/{name}", problem="nothing is there")
    python = [] if name.endswith(".keras") else [key for key in found if key.endswith(".py")]
    return sorted({*own, *python})


def _identity(top: str, name: str) -> str:
    """Return a text that changes with the module's files."""
    wanted = _wanted(top, name)
    own = RemotePath(f"{top}/{name}", flag=FLAG).identity()
    sizes = _contents(top) if len(wanted) > 1 else {}
    return repr((own, [(key, sizes[key]) for key in wanted if key in sizes]))
