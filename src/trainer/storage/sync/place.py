"""A place that is synchronised, a folder on disk or of a store, and what one transfer shares."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from trainer.runtime import StoppedError
from trainer.storage.errors import SizeError
from trainer.storage.store_options import NO_OPTIONS, StorageLimits
from trainer.storage.sync.checksums import Checksums, are_equal
from trainer.storage.sync.entries import Entry, SyncFileError

T = TypeVar("T")

# A step of a transfer: returns the steps that follow it, which are done before all others.
Step = Callable[[], Sequence["Step"]]
WRONG = "what arrived has another checksum than SRC; nothing was written"
CHANGED = "changed while it was read"


@dataclass
class Meter:
    """Counts what is done, from many threads.

    Attributes:
        stop: Once set, transfers end at the next piece.
        moved: Bytes that have arrived.
        resumed: Bytes that an earlier try had brought already.
        files: Files that are whole at their place.
        unchecked: Names of files that no checksum could vouch for.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    moved: int = 0
    resumed: int = 0
    files: int = 0
    unchecked: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, size: int) -> None:
        """Count bytes that have arrived; raise a StoppedError once all is to end."""
        with self._lock:
            self.moved += size
        if self.stop.is_set():
            raise StoppedError("stopped")

    def skip(self, size: int) -> None:
        """Count bytes that had arrived before."""
        with self._lock:
            self.resumed += size

    def end_file(self, name: str, *, checked: bool) -> None:
        """Count a file that is at its place."""
        with self._lock:
            self.files += 1
            if not checked:
                self.unchecked.append(name)


@dataclass(frozen=True, kw_only=True)
class SyncSettings:
    """Settings and counts that all transfers of one run share.

    Attributes:
        meter: Counts.
        notes: The folder in which uploads leave where they were, so that they can be resumed.
        limits: How often to try, and how long to wait.
        workers: Transfers at a time.
        gs_endpoint: The address of a server that speaks Google's protocol; None for Google's own.
        at_end: Called when all transfers have ended, or are given up.
    """

    meter: Meter
    notes: Path
    limits: StorageLimits = NO_OPTIONS.limits
    workers: int = 16
    gs_endpoint: str | None = None
    at_end: list[Callable[[], None]] = field(default_factory=list)


class Place(Protocol):
    """SRC or DST.

    Attributes:
        url: As it was given.
        subject: The same for errors: `SRC s3://bucket/path`.
        is_local: True for disk.
    """

    url: str
    subject: str
    is_local: bool

    def entries(self) -> dict[str, Entry]:
        """Return all that lies here, to any depth, by name.

        Raises:
            UserError: There is no such bucket, or it may not be listed.
        """

    def checksums(self, entry: Entry, like: Checksums) -> Checksums:
        """Return checksums that are sure: a store's own, or of a file on disk that of `like`."""

    def read(self, entry: Entry, start: int, stop: int) -> Iterator[bytes]:
        """Yield a range of a file, once; the caller tries again through `retry`.

        Raises:
            SyncFileError: It has changed since it was listed, or cannot be read.
        """

    def retry(self, call: Callable[[], T], name: str) -> T:
        """Call until it succeeds or no further try will help.

        Raises:
            UserError: A mistake, which no further try mends.
            StorageError: The store or the network failed each time.
        """

    def delete(self, name: str) -> None:
        """Delete a file; that it has gone already is no error."""

    def receive(self, entry: Entry, source: Place) -> Sequence[Step]:
        """Copy a file of another place to here; return the steps that are left."""


def read_all(source: Place, entry: Entry, start: int, stop: int) -> bytes:
    """Return a range of a file, with retries."""

    def once() -> bytes:
        data = b"".join(source.read(entry, start, stop))
        if len(data) != stop - start:
            raise SizeError(f"{len(data)} of {stop - start} bytes")
        return data

    return source.retry(once, entry.name) if stop > start else b""


def check(
    source: Place, entry: Entry, computed: Callable[[Checksums], Checksums], *, name: str = ""
) -> bool:
    """Compare what arrived with what the source knows of its bytes.

    Args:
        source: The place that the bytes came from.
        entry: The file there.
        computed: Returns of what arrived the strongest checksum that its argument has.
        name: The file's name in errors.

    Returns:
        True if a checksum has vouched for it, False if the source knows none that can be computed.

    Raises:
        SyncFileError: The checksums differ.
    """
    listed = entry.checksums.quickest
    if listed.best and are_equal(listed, computed(listed)):
        return True
    # A list does not say whether an ETag is an MD5, nor how large the parts were.
    known = source.checksums(entry, entry.checksums).quickest
    equal = are_equal(known, computed(known)) if known.best else None
    if equal is False:
        raise SyncFileError(subject=name or entry.name, problem=WRONG, remedy="run it again")
    return bool(equal)


def problem_of(error: OSError, name: str, what: str) -> SyncFileError:
    """Return the problem with one file on disk."""
    return SyncFileError(subject=name, problem=f"{what}: {error.strerror or error}")


def step(call: Callable[..., Any], *args: Any) -> Step:
    """Return a step that calls a function, whose value are further steps or None."""

    def run() -> Sequence[Step]:
        return call(*args) or ()

    return run
