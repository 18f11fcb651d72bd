"""All processes that were started here, and the orphans that they leave behind."""

from __future__ import annotations

import logging
from collections.abc import Collection

from trainer.launch.supervise.command import Command
from trainer.launch.supervise.line_reader import LineReader
from trainer.launch.supervise.orphans import Orphans
from trainer.launch.supervise.output_relay import OutputRelay
from trainer.launch.supervise.process import ManagedProcess

logger = logging.getLogger(__name__)


class ManagedProcesses:
    """The managed processes of this host, with all that descends from them.

    Args:
        relay: Passes on what they print.

    Attributes:
        orphans: Descendants that have outlived the managed process that started them.
    """

    def __init__(self, relay: OutputRelay) -> None:
        self.orphans = Orphans()
        self._relay = relay
        self._all: list[ManagedProcess] = []

    def __bool__(self) -> bool:
        """Return whether a process or an orphan is left."""
        return bool(self.running or self.orphans)

    @property
    def running(self) -> list[ManagedProcess]:
        """The processes that have not ended."""
        return [process for process in self._all if process.code is None]

    @property
    def readers(self) -> list[LineReader]:
        """The outputs that have not ended."""
        return [reader for process in self._all for reader in process.readers if reader.is_open]

    def names(self) -> str:
        """Return the names of those that are left, for people."""
        names = [process.name for process in self.running]
        if self.orphans:
            names.append(f"{len(self.orphans)} left behind")
        return ", ".join(names) or "nothing"

    def start(self, command: Command, *, prefix: bool) -> None:
        """Start one more process.

        Raises:
            UserError: It cannot be started.
        """
        out, err = self._relay.out, self._relay.err
        self._all.append(ManagedProcess(command, out=out, err=err, prefix=prefix))

    def terminate(self, only: Collection[ManagedProcess] | None = None) -> None:
        """Send SIGTERM to those that did not get it yet.

        Args:
            only: The processes that get it; by default all, and the orphans.
        """
        chosen = [
            process
            for process in self.running
            if not process.terminating and (only is None or process in only)
        ]
        if chosen:
            logger.debug("SIGTERM to %s", ", ".join(process.name for process in chosen))
        for process in chosen:
            self.orphans.warned.add(process.pid)
            process.terminate()
        if only is None:
            self.orphans.terminate()

    def kill(self) -> None:
        """Send SIGKILL to all processes and their orphans."""
        logger.debug("SIGKILL to %s", self.names())
        for process in self.running:
            process.kill()
        self.find_orphans()
        self.orphans.kill()

    def forward(self, number: int) -> None:
        """Send a signal to all processes, but not to their groups."""
        for process in self.running:
            process.forward(number)

    def find_orphans(self) -> None:
        """Find the orphans, and reap those that have ended."""
        self.orphans.look(living={process.pid for process in self.running})

    def close_readers(self) -> None:
        """Read what has been printed up to now, and close the pipes."""
        for process in self._all:
            process.read()
            for reader in process.readers:
                reader.close()

    def clear(self) -> None:
        """Forget the processes that have ended."""
        self.close_readers()
        self._all.clear()
