"""Policies: what is done when a process ends, a signal comes, a message arrives or time is up.

The supervisor watches and acts, a policy decides. It sees the supervisor as a `ProcessControl`, so
that its decisions can be tested without any process.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Protocol

from trainer.launch.supervise.command import Command
from trainer.launch.supervise.process import ManagedProcess


class ProcessControl(Protocol):
    """The processes of this host, and what a policy may do to them.

    Attributes:
        grace: Seconds from SIGTERM to SIGKILL when this process is asked to stop.
    """

    grace: float

    @property
    def running(self) -> list[ManagedProcess]:
        """The processes that have not ended."""

    def start(self, command: Command, *, prefix: bool) -> None:
        """Start one more process."""

    def fail(self, process: ManagedProcess) -> None:
        """End all processes because this one has failed."""

    def terminate(
        self, within: float, *, only: Collection[ManagedProcess] | None = None, sooner: bool = False
    ) -> None:
        """Send SIGTERM now, and SIGKILL to all after `within` seconds."""

    def kill(self) -> None:
        """Send SIGKILL to all processes."""

    def reset(self) -> None:
        """Forget the processes that have ended."""

    def log(self, text: str) -> None:
        """Print a line of the launcher's own."""


class Policy:
    """The default: a process that fails ends all, and a signal to stop goes to all.

    Attributes:
        fd: Readable when `on_message` is to be called; -1 if no messages come.
        deadline: When `on_deadline` is to be called, in seconds of the monotonic clock.
    """

    fd = -1
    deadline = math.inf

    def on_exit(self, control: ProcessControl, process: ManagedProcess) -> None:
        """React to the end of a process."""
        if process.code:
            control.fail(process)

    def on_message(self, control: ProcessControl) -> None:
        """Read from `fd`, and react."""

    def on_deadline(self, control: ProcessControl) -> None:
        """React to `deadline` having come."""

    def on_signal(self, control: ProcessControl, number: int) -> None:
        """React to the first signal that asks this process to stop."""
        control.terminate(control.grace)

    def is_over(self, control: ProcessControl) -> bool:
        """Return whether the run is over, now that no process is left."""
        return True
