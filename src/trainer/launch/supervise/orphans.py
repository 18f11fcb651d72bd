"""Who descends from this process, and how orphans come back to it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

# prctl(2); Linux only, as are the platforms.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37

_PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessInfo:
    """One process as /proc tells it.

    Attributes:
        pid: Its id.
        parent: The id of its parent.
        session: The id of its session, which is that of the process that began it.
        ended: Whether it has ended and only waits to be reaped.
    """

    pid: int
    parent: int
    session: int
    ended: bool


def descendants(*, without: Collection[int] = ()) -> list[ProcessInfo]:
    """The children of this process, theirs and so on.

    Read from `stat` rather than from `children`, which some kernels and sandboxes leave out.

    Args:
        without: Ids of processes that are left out, with all that descends from them.
    """
    # Where /proc is another namespace's, its numbers would name strangers.
    if not (_PROC / "self").exists() or str((_PROC / "self").readlink()) != str(os.getpid()):
        return []
    children: dict[int, list[ProcessInfo]] = {}
    for process in _every_process():
        children.setdefault(process.parent, []).append(process)
    found = []
    parents = [os.getpid()]
    while parents:
        for process in children.get(parents.pop(), ()):
            if process.pid not in without:
                found.append(process)
                parents.append(process.pid)
    return found


def send(pid: int, number: int) -> None:
    """Send a signal to a process, if it is still there and ours to signal."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


class Orphans:
    """Descendants that outlived the process which was started here and began them.

    The children that this process has at first are none of them, nor is what they start.

    Attributes:
        warned: Sessions and processes that got SIGTERM; to many programs a second one means "at
            once", so that they get only one.
    """

    def __init__(self) -> None:
        self.warned: set[int] = set()
        self._strangers = {p.pid for p in descendants() if p.parent == os.getpid()}
        self._found: list[ProcessInfo] = []

    def __len__(self) -> int:
        return len(self._found)

    def look(self, *, living: Collection[int]) -> None:
        """Find them, and reap those who have ended.

        Args:
            living: The processes that were started here and not yet reaped.
        """
        found = descendants(without=self._strangers.union(living))
        for process in found:
            if process.ended and process.parent == os.getpid():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
        self._found = [process for process in found if not process.ended]

    def terminate(self) -> None:
        """Send SIGTERM to those who did not get it, neither alone nor with their group."""
        for process in self._found:
            if not self.warned & {process.pid, process.session}:
                self.warned.add(process.pid)
                send(process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to all."""
        for process in self._found:
            send(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def adopting_orphans() -> Iterator[None]:
    """Become the parent of every descendant whose own parent ends.

    A process with the number 1 is that anyway. Where the kernel refuses, orphans go to number 1.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = ctypes.c_int(0)
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(before.value), 0, 0, 0)


def end_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends.

    In a container all end with the first anyway; elsewhere a launcher may be killed alone.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)


def _every_process() -> Iterator[ProcessInfo]:
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            # It may end at any time.
            with contextlib.suppress(OSError):
                stat = (folder / "stat").read_bytes()
                # The second field is a name of any characters, in parentheses.
                state, parent, _, session = stat[stat.rindex(b")") + 1 :].split(None, 4)[:4]
                yield ProcessInfo(int(folder.name), int(parent), int(session), state in b"ZX")
