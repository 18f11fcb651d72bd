"""The descendants of this process, and how it adopts those whose parent has ended."""

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
    """One process, as /proc shows it.

    Attributes:
        pid: Its id.
        parent: The id of its parent.
        session: The id of its session, which is the id of the process that created the session.
        ended: Whether it has ended and waits to be reaped.
    """

    pid: int
    parent: int
    session: int
    ended: bool


def descendants(*, without: Collection[int] = ()) -> list[ProcessInfo]:
    """Return the children of this process, their children and so on.

    Reads `/proc/PID/stat` rather than `children`, which some kernels and sandboxes lack.

    Args:
        without: Ids of processes to leave out, with their descendants.
    """
    # If /proc is that of another PID namespace, its numbers name other processes.
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
    """Send a signal to a process, if it still exists and we may signal it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


class Orphans:
    """The descendants that have outlived the managed process that started them.

    Children that this process had before, and their descendants, are not counted.

    Attributes:
        warned: Ids of sessions and processes that got SIGTERM. They get it only once, as many
            programs take a second one as the order to exit at once.
    """

    def __init__(self) -> None:
        self.warned: set[int] = set()
        self._earlier = {p.pid for p in descendants() if p.parent == os.getpid()}
        self._found: list[ProcessInfo] = []

    def __len__(self) -> int:
        return len(self._found)

    def look(self, *, living: Collection[int]) -> None:
        """Find the orphans, and reap those that have ended.

        Args:
            living: Ids of the managed processes that have not been reaped.
        """
        found = descendants(without=self._earlier.union(living))
        for process in found:
            if process.ended and process.parent == os.getpid():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
        self._found = [process for process in found if not process.ended]

    def terminate(self) -> None:
        """Send SIGTERM to each orphan that has not got it, by itself or with its session."""
        for process in self._found:
            if not self.warned & {process.pid, process.session}:
                self.warned.add(process.pid)
                send(process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to all orphans."""
        for process in self._found:
            send(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def adopting_orphans() -> Iterator[None]:
    """Become the parent of every descendant whose own parent ends.

    Process 1 is that already. If the kernel refuses, orphans go to process 1.
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

    In a container all processes end with process 1 anyway; elsewhere a launcher may be killed
    alone, and would leave its processes behind.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)


def _every_process() -> Iterator[ProcessInfo]:
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            # The process may end at any time.
            with contextlib.suppress(OSError):
                stat = (folder / "stat").read_bytes()
                # The second field is a name of any characters, in parentheses.
                state, parent, _, session = stat[stat.rindex(b")") + 1 :].split(None, 4)[:4]
                yield ProcessInfo(int(folder.name), int(parent), int(session), state in b"ZX")
