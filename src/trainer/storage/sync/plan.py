"""The plan of a synchronisation: what is copied, deleted and left; no file is touched."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import PurePosixPath

from trainer.config import UserError
from trainer.storage.sync.entries import Entry

# Seconds by which clocks and file systems may differ.
CLOCKS = 2.0


@dataclass(frozen=True, kw_only=True)
class SyncPlan:
    """The work to be done.

    Attributes:
        new: Entries of SRC that DST lacks.
        changed: Entries of SRC whose bytes differ from those of the same name in DST.
        newer: Names among `changed` that are newer in DST than in SRC.
        deleted: Entries of DST that SRC lacks, if they are to be deleted.
        extra: How many DST has beyond SRC and keeps.
        same: How many are the same on both sides.
    """

    new: tuple[Entry, ...] = ()
    changed: tuple[Entry, ...] = ()
    newer: tuple[str, ...] = ()
    deleted: tuple[Entry, ...] = ()
    extra: int = 0
    same: int = 0

    @property
    def copies(self) -> tuple[Entry, ...]:
        """All that is copied."""
        return self.new + self.changed

    @property
    def copied_bytes(self) -> int:
        """The bytes of all that is copied."""
        return sum(entry.size for entry in self.copies)


def to_compare(source: Mapping[str, Entry], target: Mapping[str, Entry]) -> list[str]:
    """Return the names on both sides whose sizes do not say already that they differ."""
    return [n for n, entry in source.items() if n in target and target[n].size == entry.size]


def make_plan(
    source: Mapping[str, Entry],
    target: Mapping[str, Entry],
    *,
    same: Set[str],
    delete: bool,
) -> SyncPlan:
    """Return what makes the target hold what the source holds.

    Args:
        source: The entries of SRC, by name.
        target: Those of DST.
        same: The names on both sides that have the same bytes.
        delete: Delete what SRC lacks.
    """
    new = tuple(entry for name, entry in source.items() if name not in target)
    changed = tuple(e for name, e in source.items() if name in target and name not in same)
    extra = tuple(entry for name, entry in target.items() if name not in source)
    newer = tuple(e.name for e in changed if target[e.name].mtime > e.mtime + CLOCKS)
    return SyncPlan(
        new=new,
        changed=changed,
        newer=newer,
        deleted=extra if delete else (),
        extra=0 if delete else len(extra),
        same=len(source) - len(new) - len(changed),
    )


def check_local_names(source: Mapping[str, Entry], target: Mapping[str, Entry], dst: str) -> None:
    """Raise a UserError if a name of the source cannot be that of a file below a folder on disk.

    Args:
        source: The entries of SRC, by name.
        target: Those of DST, a folder on disk.
        dst: DST, for errors.
    """
    bad = [name for name in source if not _stays_inside(name)]
    if bad:
        raise _refused(bad, "cannot be the name of a file below", dst)
    files = source.keys()
    bad = [name for name in source if any(str(up) in files for up in PurePosixPath(name).parents)]
    if bad:
        up = next(str(up) for up in PurePosixPath(bad[0]).parents if str(up) in files)
        raise _refused(
            [up, *bad[1:]], f"is a file and, of {bad[0]!r}, a folder: not both below", dst
        )
    folders = {str(up) for name in target for up in PurePosixPath(name).parents}
    bad = [
        name
        for name in source
        if name in folders or any(str(up) in target for up in PurePosixPath(name).parents)
    ]
    if bad:
        raise UserError(
            subject=f"DST {dst}",
            problem=f"{bad[0]!r}{_more(bad)} is a file on one side and a folder on the other",
            remedy="remove it from DST, or leave it out: --exclude",
        )


def same_but_for_case(names: Set[str]) -> list[str]:
    """Return the names that other names differ from only by upper and lower case."""
    found: dict[str, str] = {}
    return [name for name in sorted(names) if found.setdefault(name.casefold(), name) != name]


def _stays_inside(name: str) -> bool:
    return "\0" not in name and {"", ".", ".."}.isdisjoint(name.split("/"))


def _refused(bad: list[str], why: str, dst: str) -> UserError:
    return UserError(
        subject="SRC",
        problem=f"{bad[0]!r}{_more(bad)} {why} {dst}",
        remedy="leave it out: --exclude",
    )


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
