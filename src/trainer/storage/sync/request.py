"""A wish to synchronise two places, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainer.storage.store_options import NO_OPTIONS, StorageLimits
from trainer.storage.sync.entries import SyncFileError
from trainer.storage.sync.filters import ALL_FILES, NameGlobs
from trainer.storage.sync.plan import SyncPlan


@dataclass(frozen=True, kw_only=True)
class SyncRequest:
    """A wish to synchronise two places.

    Attributes:
        source: SRC: a path, s3:// or gs://.
        target: DST.
        globs: Which files are looked at, on both sides.
        delete: Delete what DST has and SRC lacks.
        workers: Transfers at a time.
        notes: The folder for notes of unfinished uploads.
        gs_endpoint: The address of an emulator of Google's.
        limits: How often to try, and how long to wait.
    """

    source: str
    target: str
    globs: NameGlobs = ALL_FILES
    delete: bool = False
    workers: int = 16
    notes: Path
    gs_endpoint: str | None = None
    limits: StorageLimits = NO_OPTIONS.limits


@dataclass(frozen=True, kw_only=True)
class SyncOutcome:
    """The work that was done.

    Attributes:
        plan: What was to be done.
        copied: Files that were copied.
        moved: Bytes that were.
        resumed: Bytes that an earlier try had brought.
        deleted: Files that were deleted.
        seconds: Since the request.
        unchecked: Names of files that no checksum vouches for.
        problems: Files that could not be copied, with the reasons.
    """

    plan: SyncPlan
    copied: int
    moved: int
    resumed: int
    deleted: int
    seconds: float
    unchecked: tuple[str, ...]
    problems: tuple[SyncFileError, ...]
