"""Names of folders that TensorFlow does not take for patterns, by links where necessary."""

from __future__ import annotations

import functools
import itertools
import re
import tempfile
from pathlib import Path

# Characters with a meaning in TensorFlow's patterns.
SPECIAL = re.compile(r"[*?[\\]")
_numbers = itertools.count()


def without_wildcards(folder: Path) -> Path:
    """Return a name of a folder that has no wildcards in it: its own, or that of a link to it.

    TensorFlow looks for the files of a checkpoint and of a SavedModel's variables by a glob that
    cannot be escaped, so that it does not find what lies below `run[1]`.
    """
    path = folder.absolute()
    return _link(path) if SPECIAL.search(str(path)) else folder


@functools.cache
def _link(path: Path) -> Path:
    """Link to a folder, for as long as this process runs."""
    link = Path(_links().name, str(next(_numbers)))
    link.symlink_to(path)
    return link


@functools.cache
def _links() -> tempfile.TemporaryDirectory[str]:
    # The folder for temporary files may itself have a name with wildcards.
    plain_parents = (
        p for p in (tempfile.gettempdir(), "/tmp", "/dev/shm") if not SPECIAL.search(p)
    )
    return tempfile.TemporaryDirectory(
        prefix="trainer-links-", dir=next(plain_parents), ignore_cleanup_errors=True
    )
