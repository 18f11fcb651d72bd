"""Locks of a job's folders: the kernel's on this machine's disks, a heartbeat elsewhere."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from trainer.config import Job, UserError
from trainer.runtime import Patience
from trainer.storage.locking import heartbeat, owner
from trainer.storage.locking.heartbeat import LOCK, HeartbeatLock, LocalLockFile, RemoteLockFile
from trainer.storage.remote_path import RemotePath
from trainer.storage.urls import is_remote, local_path

# File systems that only processes of this machine can mount.
_LOCAL = {
    *("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs"),
    *("overlay", "aufs", "tmpfs", "ramfs"),
}

# Seconds for a store to answer a run that was asked to stop.
_LAST_SECONDS = 3.0


@contextlib.contextmanager
def locked_folders(job: Job, *, stopped: Callable[[], bool]) -> Iterator[None]:
    """Keep other jobs out of this one's folders while a block runs.

    Of the processes of a job only the chief writes there; the others are let in.

    Args:
        job: As the platform has it, with paths and urls.
        stopped: Returns True to give up.

    Raises:
        UserError: Another job writes to one of them.
        StoppedError: `stopped` said so.
    """
    if not job.cluster.is_chief:
        yield
        return
    folders = {
        "--checkpoint-dir": job.checkpoint_dir,
        "--model-dir": job.model_dir,
        # One that is only beside the model folder may have other models beside it.
        "--output-dir": job.output_dir,
    }
    named = [(flag, folder) for flag, folder in folders.items() if folder]
    locked: set[str] = set()
    beating: list[HeartbeatLock] = []
    places: list[RemotePath] = []
    with contextlib.ExitStack() as stack:
        for flag, folder in named:
            name, path = f"{flag} {folder}", None
            if not is_remote(folder):
                path = Path(os.path.realpath(local_path(folder, flag=flag)))
            where = str(path or folder.rstrip("/"))
            if where in locked:
                continue
            locked.add(where)
            if path and is_local(path):
                stack.enter_context(held(path, name=name))
                continue
            if path:
                file: LocalLockFile | RemoteLockFile = LocalLockFile(path / LOCK)
            else:
                patience = Patience(stopped=stopped)
                places.append(RemotePath(folder, flag=flag, patience=patience))
                file = RemoteLockFile(places[-1])
            beating.append(HeartbeatLock(file, name=name))
        stack.callback(_stop, beating)
        heartbeat.take_locks(beating, stopped=stopped)
        for place in places:
            # Heartbeats go on while the run stops, and the last one removes the file.
            place.bucket.patience = Patience(stopped=stopped, seconds=_LAST_SECONDS)
        yield


def _stop(locks: Sequence[HeartbeatLock]) -> None:
    """Give up locks side by side, so that a store that does not answer is waited for only once."""
    threads = [threading.Thread(target=lock.stop, daemon=True) for lock in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextlib.contextmanager
def held(folder: Path, *, name: str) -> Iterator[None]:
    """Hold the lock of a folder on this machine's disk.

    Args:
        folder: Made if it is not there, and removed after a UserError if it is empty.
        name: Of the folder, for errors.

    Raises:
        UserError: Another process holds it.
    """
    file = folder / LOCK
    made = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _lock(file)
    except BlockingIOError:
        content = b""
        with contextlib.suppress(OSError):
            content = file.read_bytes()
        raise owner.in_use(name, owner.parse(content)) from None
    except OSError:
        # If it cannot be written, the check of the folder (`preflight`) says why.
        yield
        return
    try:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, owner.written(), 0)
        yield
    except UserError:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
            for path in made:
                path.rmdir()
        raise
    finally:
        # Removed while it is still held, so that another job's file is never removed.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(handle), file.stat()):
                file.unlink()
        os.close(handle)


def _lock(path: Path) -> int:
    """Open and lock a file.

    Such a lock belongs to the process alone, so that no child that outlives it keeps it.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The process that held it until now may have removed the file meanwhile.
            if os.path.exists(path) and os.path.samestat(os.fstat(handle), path.stat()):  # noqa: PTH110
                return handle
        except OSError as error:
            os.close(handle)
            if isinstance(error, PermissionError) and os.access(path, os.W_OK):
                # fcntl(2) may return this error in place of EAGAIN.
                raise BlockingIOError(error.errno, error.strerror) from None
            raise
        os.close(handle)


def is_local(folder: Path) -> bool:
    """Return whether only processes of this machine can use a folder, so that its locks suffice."""
    kind, longest = "", -1
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    for line in lines:
        mount, _, rest = line.partition(" - ")
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), mount.split()[4])
        # Of several mounts at one place, the last hides the others.
        if len(point) >= longest and folder.is_relative_to(point):
            kind, longest = rest.split()[0], len(point)
    return kind in _LOCAL
