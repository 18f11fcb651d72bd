"""State machine of one host's agent in a job that mpirun starts."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.distribution import PlannedProcess
from trainer.launch import (
    Failure,
    ManagedProcess,
    Outcome,
    ProcessControl,
    ServerAgent,
    Stopping,
    failure_file,
    is_secondary,
    mpi_output,
    orphans,
)

logger = logging.getLogger(__name__)

# Set by mpirun in the environment of ranks, but not in its own. mpirun itself has many names.
_MARK = b"\0OMPI_COMM_WORLD_RANK="


class MpiAgent(ServerAgent):
    """Decides for mpirun or for the ssh server of this host.

    A signal to stop goes to the ranks of this host, and mpirun sees them end: a signal to mpirun
    itself would leave them one second.

    Args:
        host_of: Returns the host that a rank runs on.
        parts: As of `ServerAgent`.
    """

    def __init__(self, *, host_of: Callable[[int], str], **parts: Any) -> None:
        super().__init__(**parts)
        self._host_of = host_of
        self._signalled = False

    def on_signal(self, control: ProcessControl, number: int) -> None:
        """React to a signal that asks this host to stop."""
        self._stop_requested = True
        self._client.report(Stopping(host=self._name))
        self._signal_ranks(control)

    def on_stopping(self, control: ProcessControl, host: str) -> None:
        """React to another host having been asked to stop."""
        self._job_stopping = True
        if not self._signalled:
            control.log(f"host {host} was told to end; so are the processes here")
            self._signal_ranks(control)

    def _signal_ranks(self, control: ProcessControl) -> None:
        if self._signalled:
            return
        self._signalled = True
        started = ranks()
        logger.debug("SIGTERM to the ranks here: %s", started)
        for pid in started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                # mpirun starts each rank in a group of its own, which its children share.
                os.killpg(pid, signal.SIGTERM)
        if started or self._member.role == "worker":
            control.terminate(control.grace, only=())
        else:
            control.terminate(self._timeouts.failure_grace)

    def failure_of(self, process: ManagedProcess, planned: PlannedProcess, code: int) -> Failure:
        """Return the failure of the rank that mpirun or its output blames."""
        rank, lines = mpi_output.blame(process.tail)
        name = planned.name if rank is None else f"rank {rank}"
        number = mpi_output.signal_of(process.tail)
        ended = Outcome(code=process.code or 0, failed=name, signal=number, tail=lines)
        reason = failure_file.reason_from(ended)
        secondary = (
            process.signal is None
            and number is None
            and (is_secondary(reason) or (rank is None and mpi_output.lost(process.tail)))
        )
        host = self._name if rank is None else self._host_of(rank)
        return Failure(host=host, process=name, code=code, reason=reason, secondary=secondary)


def ranks() -> list[int]:
    """Return the ids of the ranks on this host, which mpirun or its daemon has started."""
    found = {process.pid: process for process in orphans.descendants() if not process.ended}
    marked = {pid for pid in found if _is_marked(pid)}
    # Children of a rank inherit the variable.
    return [pid for pid in marked if found[pid].parent not in marked]


def _is_marked(pid: int) -> bool:
    try:
        return _MARK in b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
