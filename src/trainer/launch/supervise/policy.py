"""What follows when a process ends, or a signal comes: the rules of one host by itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trainer.launch.supervise.process import ManagedProcess

if TYPE_CHECKING:
    from trainer.launch.supervise.supervisor import Supervisor


class Policy:
    """One that fails ends all; a signal to end goes to all.

    Attributes:
        fd: Readable when there is news from elsewhere; -1 where none comes.
        until: When `tick` wants to be called, in seconds of the monotonic clock.
    """

    fd = -1
    until = math.inf

    def ended(self, run: Supervisor, child: ManagedProcess) -> None:
        """A process has ended."""
        if child.code:
            run.fail(child)

    def news(self, run: Supervisor) -> None:
        """There is something to read from `fd`."""

    def tick(self, run: Supervisor) -> None:
        """The time `until` has come."""

    def told(self, run: Supervisor, number: int) -> None:
        """This process was told to end by a signal, for the first time."""
        run.end(run.grace)

    def over(self, run: Supervisor) -> bool:
        """Whether the run is over, now that no process is left."""
        return True
