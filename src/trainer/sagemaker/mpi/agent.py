"""What follows from what on one host, in a job that mpirun starts."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from trainer.distribution import PlannedProcess
from trainer.launch import (
    PATIENCE,
    CoordinatorClient,
    Failure,
    HostAgent,
    LocalHost,
    ManagedProcess,
    Outcome,
    Supervisor,
    failure_file,
    is_secondary,
    mpi_output,
    orphans,
)

# In the environment of what mpirun starts, and not in its own; mpirun itself goes by many names.
_MARK = b"\0OMPI_COMM_WORLD_RANK="


class MpiAgent(HostAgent):
    """The rules of this host: signals go to the script's processes, mpirun sees them end.

    A signal to mpirun itself would leave them a second.

    Args:
        host: This one.
        peers: The line to the others.
        host_of: On which host a rank runs.
    """

    def __init__(
        self, host: LocalHost, peers: CoordinatorClient, host_of: Callable[[int], str]
    ) -> None:
        super().__init__(
            host.job,
            member=host.member,
            name=host.name,
            peers=peers,
            commands=host.commands,
        )
        self._host_of = host_of
        self._signalled = False

    def told(self, run: Supervisor, number: int) -> None:
        """This host was told to end."""
        self._told = True
        self._peers.report("told")
        self._signal(run)

    def _stop(self, run: Supervisor, host: str) -> None:
        self._stopping = True
        if not self._signalled:
            run.say(f"host {host} was told to end; so are the processes here")
            self._signal(run)

    def _signal(self, run: Supervisor) -> None:
        if self._signalled:
            return
        self._signalled = True
        started = ranks()
        for pid in started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                # mpirun gives each a group, in which its own children are too.
                os.killpg(pid, signal.SIGTERM)
        if started or self._member.role == "worker":
            run.end(run.grace, only=())
        else:
            run.end(PATIENCE)

    def _cause(self, child: ManagedProcess, process: PlannedProcess, *, code: int) -> Failure:
        rank, lines = mpi_output.blame(child.tail)
        name = process.name if rank is None else f"rank {rank}"
        number = mpi_output.signal_of(child.tail)
        ended = Outcome(code=child.code or 0, failed=name, signal=number, tail=lines)
        reason = failure_file.reason_from(ended)
        echo = (
            child.signal is None
            and number is None
            and (is_secondary(reason) or (rank is None and mpi_output.lost(child.tail)))
        )
        host = self._name if rank is None else self._host_of(rank)
        return Failure(host=host, process=name, code=code, reason=reason, echo=echo)


def ranks() -> list[int]:
    """Ids of the script's processes on this host, as mpirun or its daemon has started them."""
    found = {process.pid: process for process in orphans.descendants() if not process.ended}
    marked = {pid for pid in found if _is_marked(pid)}
    # What they start themselves has the mark too.
    return [pid for pid in marked if found[pid].parent not in marked]


def _is_marked(pid: int) -> bool:
    try:
        return _MARK in b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
