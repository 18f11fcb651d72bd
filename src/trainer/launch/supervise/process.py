"""One process: how it is started, terminated, killed and reaped."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
from collections import deque

from trainer.config import UserError
from trainer.launch.supervise import orphans
from trainer.launch.supervise.command import Command
from trainer.launch.supervise.line_reader import LineReader
from trainer.runtime import OutputWriter, host_limits, masked_argv, output

logger = logging.getLogger(__name__)

# Lines of standard error that are kept: a traceback, and what led to it. mpirun's standard error
# is that of all ranks, of which the first that failed is not the last to write.
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
        terminating: Whether this launcher has sent it SIGTERM or SIGKILL.
        killed: Whether this launcher has sent it SIGKILL.

    Raises:
        UserError: The process cannot be started.
    """

    def __init__(
        self, command: Command, *, out: OutputWriter, err: OutputWriter, prefix: bool
    ) -> None:
        self.name = command.name
        self.code: int | None = None
        self.signal: int | None = None
        self.terminating = False
        self.killed = False
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._process = _start(command)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        name = command.name if prefix else ""
        self.readers = (
            LineReader(self._process.stdout, writer=out, name=name, keep=lambda _: None),
            LineReader(self._process.stderr, writer=err, name=name, keep=self._tail.append),
        )
        argv = shlex.join(masked_argv(command.argv))
        logger.debug("%s: started as process %d: %s", self.name, self.pid, argv)

    @property
    def pid(self) -> int:
        """Its id, which is also that of its session and group."""
        return self._process.pid

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines that it wrote to standard error."""
        return tuple(self._tail)

    def forward(self, number: int) -> None:
        """Send a signal to the process itself, and not to its group."""
        orphans.send(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM to its group."""
        self.terminating = True
        self._send_group(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to its group."""
        self.terminating = self.killed = True
        self._send_group(signal.SIGKILL)

    def reap(self) -> None:
        """Set `code` and `signal` if the process has ended."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            # Other code in this process has reaped it. Its status is lost, so count it as failed.
            pid, status = self.pid, 255 << 8
        if pid:
            code = os.waitstatus_to_exitcode(status)
            self._process.returncode = code
            self.signal = -code if code < 0 else None
            self.code = code if code >= 0 else 128 - code
            logger.debug("%s: ended with exit code %d", self.name, self.code)

    def read(self) -> None:
        """Read what it has printed up to now."""
        for reader in self.readers:
            # Limited, as a descendant that holds the pipe too may print without end.
            for _ in range(32):
                if not (reader.is_open and reader.read()):
                    break

    def _send_group(self, number: int) -> None:
        # All of its members may have ended, or belong to another user.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def _start(command: Command) -> subprocess.Popen[bytes]:
    # The error's text may quote the environment or the arguments.
    output.protect(command.env)
    try:
        return subprocess.Popen(
            command.argv,
            env=command.env,
            cwd=command.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        if mistake := host_limits.denied_by_limit(error):
            raise UserError(subject=command.name, problem=mistake) from None
        # The error itself names a working folder that does not exist.
        path = getattr(error, "filename", None) or command.argv[0]
        why = getattr(error, "strerror", None) or error
        raise UserError(subject=command.name, problem=f"cannot start {path}: {why}") from None
