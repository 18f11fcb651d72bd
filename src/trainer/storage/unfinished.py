"""Names of files and folders that are being written: hidden, and ending in `.part`.

They get their own names by a rename when they are whole. What a killed process left under such a
name is no data, is never sent to a store, and is removed by the next who writes there.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from pathlib import Path
from typing import IO

SUFFIX = ".part"
_COMPONENT = re.compile(r"(^|/)\.[^/]*\.part(/|$)")


def name_for(path: Path) -> Path:
    """Return the name beside a file or folder under which this process writes it."""
    return path.with_name(f".{path.name}.{os.getpid()}{SUFFIX}")


def short_name_in(folder: Path) -> Path:
    """Return a name in a folder for one thread's file, however long the file's own name is."""
    return folder / f".{os.getpid()}-{threading.get_ident()}{SUFFIX}"


def resumable_name_for(path: Path) -> Path:
    """Return the name beside a file under which any process goes on writing it.

    It is not hidden: a person sees how far a download has come.
    """
    return path.with_name(f"{path.name}{SUFFIX}")


def temporary_folder(parent: Path | None) -> tempfile.TemporaryDirectory[str]:
    """Make a folder, in another or where the machine has its temporary files, and remove it."""
    return tempfile.TemporaryDirectory(prefix=".", suffix=SUFFIX, dir=parent)


def temporary_file(folder: Path) -> IO[bytes]:
    """Open a file in a folder that has no name, where the file system knows such files."""
    return tempfile.TemporaryFile(dir=folder, prefix=".trainer-", suffix=SUFFIX)


def is_within(name: str) -> bool:
    """Return whether a file, by its name with slashes, is unfinished or lies in what is."""
    return bool(_COMPONENT.search(name))


def left_in(folder: Path) -> list[Path]:
    """Return what lies in a folder unfinished, of a process that was killed or still writes."""
    return sorted(folder.glob(f".*{SUFFIX}"))
