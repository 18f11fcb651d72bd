"""The files in a folder, sorted into data and what only lies beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class FolderContents:
    """The files that a path names.

    Attributes:
        files: Those that may be data, in the order of the names.
        empty: Those without a byte, which writers leave for partitions without records.
        beside: The names of files and folders that are no data.
        folders: The folders that were looked through, with the time of the last change of each.
    """

    files: list[Path] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    folders: list[tuple[Path, int]] = field(default_factory=list)

    @property
    def is_current(self) -> bool:
        """True if no name has been added to, or removed from, the folders."""
        try:
            return all(folder.stat().st_mtime_ns == then for folder, then in self.folders)
        except OSError:
            return False
