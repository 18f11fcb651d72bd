"""Locks of folders on mounted and remote stores, where kernel locks do not reach other hosts.

The owner writes a heartbeat into a file. A file that does not change while it is watched belongs to
a killed run. Clocks are not compared.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from trainer.config import RetryableError, UserError
from trainer.runtime import StoppedError
from trainer.storage.locking import owner
from trainer.storage.remote_path import RemotePath

logger = logging.getLogger(__name__)

LOCK = ".trainer-lock"
# Seconds between heartbeats, and seconds of watching in which a living owner writes one.
BEAT, WATCH = 10.0, 25.0
# Seconds after which a job that started at the same time has written its name too.
SETTLE = 1.0


class LockFile(Protocol):
    """A small file that other hosts can read."""

    def read(self) -> bytes | None:
        """Return its content, or None if it is not there."""

    def write(self, data: bytes) -> None:
        """Write it anew."""

    def remove(self) -> None:
        """Remove it, if it is there."""


class LocalLockFile:
    """A file on a disk or a mounted store."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes | None:
        return self._path.read_bytes() if self._path.exists() else None

    def write(self, data: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_bytes(data)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


class RemoteLockFile:
    """An object of a store."""

    def __init__(self, place: RemotePath) -> None:
        self._place = place

    def read(self) -> bytes | None:
        return self._place.read_small(LOCK)

    def write(self, data: bytes) -> None:
        self._place.write_small(LOCK, data)

    def remove(self) -> None:
        self._place.delete(LOCK)


class HeartbeatLock:
    """A lock that its owner holds by writing to a file again and again.

    Args:
        store: The file.
        name: Of the folder, for messages.
        beat: Seconds between two writes.

    Attributes:
        taken: True if the file could be written.
    """

    def __init__(self, store: LockFile, *, name: str, beat: float = BEAT) -> None:
        self._store, self.name, self._beat = store, name, beat
        # If it cannot be written, the check of the folder (`preflight`) says why.
        self.taken = False
        self._token, self._count = uuid.uuid4().hex, 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="folder lock", daemon=True)

    def look(self) -> bytes | None:
        """Return the owner's last heartbeat, or None if nobody owns it or the owner has ended."""
        content = self._read()
        if not content or owner.ended(owner.parse(content)):
            return None
        return content

    def check(self, before: bytes) -> None:
        """Raise a UserError if the owner has written since."""
        now = self._read()
        if now and now != before:
            raise owner.in_use(self.name, owner.parse(now))

    def write(self) -> None:
        """Write a heartbeat of this process."""
        self._count += 1
        try:
            self._store.write(owner.written(token=self._token, beat=self._count))
            self.taken = True
        except (OSError, UserError):
            self.taken = False

    def confirm(self) -> None:
        """Raise a UserError if another process has written to the file."""
        now = owner.parse(self._read())
        if now.get("token", self._token) != self._token:
            raise owner.in_use(self.name, now)

    def start(self) -> None:
        """Keep writing."""
        self._thread.start()

    def stop(self) -> None:
        """Write no more, and remove the file if it is still this process's."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=SETTLE)
        with contextlib.suppress(OSError, UserError, RetryableError, StoppedError):
            if owner.parse(self._read()).get("token") == self._token:
                self._store.remove()

    def _work(self) -> None:
        while not self._end.wait(self._beat):
            try:
                self.confirm()
                self.write()
            except UserError as error:
                logger.warning("%s", error)
                return
            except RetryableError:
                # A store that does not answer now does next time, or ends the run elsewhere.
                continue

    def _read(self) -> bytes | None:
        try:
            return self._store.read()
        except (OSError, UserError):
            return None


def take_locks(
    locks: Sequence[HeartbeatLock],
    *,
    stopped: Callable[[], bool],
    watch: float = WATCH,
    settle: float = SETTLE,
) -> None:
    """Take locks, and hold them until each is stopped.

    Args:
        locks: The locks of all of the job's folders.
        stopped: Returns True to give up.
        watch: Seconds to watch a file that another job has written, for a heartbeat.
        settle: Seconds after which a job that started at the same time has written too.

    Raises:
        UserError: Another job holds one of them.
        StoppedError: `stopped` said so.
    """
    found = {lock: heartbeat for lock in locks if (heartbeat := lock.look())}
    if found:
        names = ", ".join(lock.name for lock in found)
        text = "%s: another job has written there; waiting %g s for a sign of life"
        logger.info(text, names, watch)
    until = time.monotonic() + watch
    while found and time.monotonic() < until:
        if stopped():
            raise StoppedError("stopped before the first step")
        time.sleep(min(0.5, watch / 5))
        for lock, heartbeat in found.items():
            lock.check(heartbeat)
    for lock in locks:
        lock.write()
    if any(lock.taken for lock in locks):
        time.sleep(settle)
    for lock in locks:
        if lock.taken:
            lock.confirm()
            lock.start()
