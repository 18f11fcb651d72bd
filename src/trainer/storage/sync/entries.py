"""Entries of a place that is synchronised: one a file, by its name below the place."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import UserError
from trainer.storage.sync.checksums import UNKNOWN, Checksums


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file or object.

    Attributes:
        name: With slashes, below the place.
        size: In bytes.
        mtime: Seconds since 1970 of its last change.
        checksums: What the list said of its bytes.
        version: Changes with its bytes: an ETag, a generation, a time.
    """

    name: str
    size: int
    mtime: float
    checksums: Checksums = UNKNOWN
    version: str = ""


class SyncFileError(UserError):
    """One file cannot be copied; the others can."""
