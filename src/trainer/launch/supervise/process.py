"""One process: how it is started, told to end, killed and reaped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections import deque

from trainer.launch.supervise import orphans
from trainer.launch.supervise.command import Command
from trainer.launch.supervise.line_reader import LineReader
from trainer.runtime import OutputWriter

# Lines of standard error that are kept: a traceback, and what led to it. Of mpirun's, those of all
# ranks, of which the first that failed is not the last to write.
TAIL = 1000


class ManagedProcess:
    """A process that was started here, in a session and process group of its own.

    Args:
        command: What to start.
        out: Where its standard output goes.
        err: Where its standard error goes.
        prefix: Whether its name is put before each line.

    Attributes:
        code: How it ended, 128 + n if signal n ended it; None while it runs.
        signal: The signal that ended it, or None; a process may also leave with 128 + n itself.
        told: Whether it was told to end from here.
        killed: Whether it was still there when the time to kill came.
    """

    def __init__(
        self, command: Command, *, out: OutputWriter, err: OutputWriter, prefix: bool
    ) -> None:
        self.name = command.name
        self.code: int | None = None
        self.signal: int | None = None
        self.told = False
        self.killed = False
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._process = subprocess.Popen(
            command.argv,
            env=command.env,
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        name = command.name if prefix else ""
        self.sources = (
            LineReader(self._process.stdout, sink=out, name=name, keep=lambda _: None),
            LineReader(self._process.stderr, sink=err, name=name, keep=self._tail.append),
        )

    @property
    def pid(self) -> int:
        """Its id, which is also that of its session and group."""
        return self._process.pid

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines that it wrote to standard error."""
        return tuple(self._tail)

    def forward(self, number: int) -> None:
        """Send a signal to the process itself."""
        orphans.send(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM to its group."""
        self.told = True
        self._send_group(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to its group."""
        self.told = self.killed = True
        self._send_group(signal.SIGKILL)

    def reap(self) -> None:
        """Take note of its end, if it has ended."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            # Somebody else took its exit code; what is not known to be well is not.
            pid, status = self.pid, 255 << 8
        if pid:
            code = os.waitstatus_to_exitcode(status)
            self._process.returncode = code
            self.signal = -code if code < 0 else None
            self.code = code if code >= 0 else 128 - code

    def read(self) -> None:
        """Read what it has printed up to now."""
        for source in self.sources:
            # A stranger that has the pipe too may print for ever.
            for _ in range(32):
                if not (source.open and source.read()):
                    break

    def _send_group(self, number: int) -> None:
        # All of its members may have ended, or be another user's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
