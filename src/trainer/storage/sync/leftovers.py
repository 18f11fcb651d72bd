"""Hidden files that killed processes left in DST."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
from pathlib import Path

from trainer.storage import unfinished

_OF_PROCESS = re.compile(r"\.(\d+)-\d+\.part")
_LARGE = re.compile(r"\.[0-9a-f]{24}\.part")


def remove_leftovers(root: Path) -> None:
    """Remove the unfinished files below a folder whose processes are gone."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            process = _OF_PROCESS.fullmatch(name)
            gone = process and not Path(f"/proc/{process[1]}").exists()
            if gone or (_LARGE.fullmatch(name) and _is_free(path)):
                with contextlib.suppress(OSError):
                    path.unlink()


def ignores_case(folder: Path) -> bool:
    """Return whether a folder takes upper and lower case for the same."""
    while not folder.is_dir():
        folder = folder.parent
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".trainer-", suffix=unfinished.SUFFIX) as f:
        path = Path(f.name)
        return path.with_name(path.name.upper()).exists()


def _is_free(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:
        return False
