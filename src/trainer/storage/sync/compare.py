"""Comparison of files of one name and size on both sides: by checksums, else by their times."""

from __future__ import annotations

from trainer.storage.sync.checksums import Checksums, are_equal
from trainer.storage.sync.entries import Entry
from trainer.storage.sync.place import Place

_MD5 = Checksums(md5="?")


def are_same(source: Place, ours: Entry, target: Place, theirs: Entry) -> bool:
    """Return whether DST has a file of SRC already.

    Two files on disk with the same size and time are taken for the same, as a copy gets the time of
    its original. All others are the same if a checksum says so that both sides have, a file on disk
    being read for it. Where there is none, DST is to be no older than SRC.

    Args:
        source: SRC.
        ours: Its entry.
        target: DST.
        theirs: Its entry of the same name.
    """
    if ours.size != theirs.size:
        return False
    if source.is_local and target.is_local:
        if abs(ours.mtime - theirs.mtime) < 1e-6:
            return True
        return source.checksums(ours, _MD5) == target.checksums(theirs, _MD5)
    equal = _compare(source, ours, ours.checksums, target, theirs, theirs.checksums)
    if not equal:
        # A list does not say whether an ETag is an MD5, nor how large the parts were.
        known = [
            entry.checksums if place.is_local else place.checksums(entry, entry.checksums)
            for place, entry in ((source, ours), (target, theirs))
        ]
        equal = _compare(source, ours, known[0], target, theirs, known[1])
    return theirs.mtime >= ours.mtime if equal is None else equal


def _compare(
    source: Place, ours: Entry, known: Checksums, target: Place, theirs: Entry, other: Checksums
) -> bool | None:
    if source.is_local:
        known = source.checksums(ours, other)
    elif target.is_local:
        other = target.checksums(theirs, known)
    return are_equal(known, other)
