"""The loop that watches processes, passes on signals and output, and sees all processes end."""

from __future__ import annotations

import logging
import math
import select
import signal
import time
from collections.abc import Collection

from trainer.launch.supervise.command import Command, Outcome
from trainer.launch.supervise.managed_processes import ManagedProcesses
from trainer.launch.supervise.output_relay import OutputRelay
from trainer.launch.supervise.policy import Policy
from trainer.launch.supervise.process import ManagedProcess
from trainer.launch.supervise.signals import FORWARDED, STOPPING, SignalReader
from trainer.launch.timeouts import DEFAULTS, Timeouts
from trainer.runtime import OutputWriter

logger = logging.getLogger(__name__)

TIMED_OUT = 124
_KILLED = 128 + signal.SIGKILL
# poll(2) cannot wait for much more than three weeks.
_DAY = 86400.0


class Supervisor:
    """Runs processes to their end, with all that descends from them.

    Args:
        signals: The signals that this process gets.
        to: Where standard output and standard error go.
        grace: Seconds from SIGTERM to SIGKILL when this process is asked to stop.
        timeout: Seconds after which the processes are terminated; None for no limit.
        policy: Decides what to do when a process ends, or a signal or message comes.
        timeouts: How long processes have to end when another one has failed, and so on.
    """

    def __init__(
        self,
        signals: SignalReader,
        to: tuple[OutputWriter, OutputWriter],
        *,
        grace: float,
        timeout: float | None = None,
        policy: Policy | None = None,
        timeouts: Timeouts = DEFAULTS,
    ) -> None:
        self._signals = signals
        self._relay = OutputRelay(*to)
        self._policy = policy or Policy()
        self._timeouts = timeouts
        self.grace = grace
        self._sibling_grace = min(grace, timeouts.sibling_grace)
        self._times_out_at = math.inf if timeout is None else time.monotonic() + timeout
        self._kills_at = math.inf
        self._gives_up_at = math.inf
        self._processes = ManagedProcesses(self._relay)
        self._first_failed: ManagedProcess | None = None
        self._stop_signal: int | None = None
        self._timed_out = False

    # ---- what a policy may do

    @property
    def running(self) -> list[ManagedProcess]:
        """The processes that have not ended."""
        return self._processes.running

    def start(self, command: Command, *, prefix: bool) -> None:
        """Start one more process.

        Raises:
            UserError: It cannot be started.
        """
        self._processes.start(command, prefix=prefix)

    def fail(self, process: ManagedProcess) -> None:
        """End all processes because one has failed; only the first failure counts."""
        if self._first_failed is None:
            self._first_failed = process
            if self.running and self._stop_signal is None:
                self.log(
                    f"{process.name} ended with {process.code}; ending {self._processes.names()}"
                )
            self.terminate(self._sibling_grace)

    def terminate(
        self, within: float, *, only: Collection[ManagedProcess] | None = None, sooner: bool = False
    ) -> None:
        """Send SIGTERM to the processes that did not get it yet, and SIGKILL to all after a time.

        Args:
            within: Seconds from now to SIGKILL; an earlier call's time stays.
            only: The processes that get SIGTERM; by default all, and their orphans.
            sooner: Whether an earlier call's time is shortened to `within`.
        """
        if self._kills_at == math.inf or sooner:
            self._kills_at = min(self._kills_at, time.monotonic() + within)
            logger.debug("SIGKILL within %g s", within)
        self._processes.terminate(only)

    def kill(self) -> None:
        """Send SIGKILL to all processes and their orphans."""
        self._kills_at = self._times_out_at = math.inf
        self._gives_up_at = min(self._gives_up_at, time.monotonic() + self._timeouts.kill)
        self._processes.kill()

    def reset(self) -> None:
        """Forget the processes that have ended, and how: others are started in their place."""
        self._processes.clear()
        self._first_failed = None
        self._kills_at = self._gives_up_at = math.inf

    def log(self, text: str) -> None:
        """Print a line of the launcher's own, without waiting for its reader."""
        self._relay.log(text)

    # ---- the loop

    def finish(self) -> Outcome:
        """Wait until all have ended and what they printed is passed on."""
        while True:
            if not self._processes:
                # Look again: a process may get another parent while /proc is being read.
                self._reap()
                if not self._processes.orphans and self._policy.is_over(self):
                    break
            now = time.monotonic()
            if now >= self._gives_up_at:
                self.log(f"cannot be killed, left alone: {self._processes.names()}")
                break
            if now >= self._kills_at:
                self.log(f"not ended in time, killed: {self._processes.names()}")
                self.kill()
            elif now >= self._times_out_at:
                self._time_out()
            elif now >= self._policy.deadline:
                self._policy.on_deadline(self)
            self._wait(
                until=min(
                    self._times_out_at, self._kills_at, self._gives_up_at, self._policy.deadline
                )
            )
        self._drain()
        return self._outcome()

    def _wait(self, *, until: float) -> bool:
        """Wait for the next event, and handle it.

        Returns:
            Whether anything happened.
        """
        readers = {reader.fd: reader for reader in self._processes.readers}
        poll = select.poll()
        poll.register(self._signals.fd, select.POLLIN)
        if self._policy.fd >= 0:
            poll.register(self._policy.fd, select.POLLIN)
        self._relay.register(poll, readers.values())
        left = min(max(until - time.monotonic(), 0), _DAY)
        ready = [fd for fd, _ in poll.poll(math.ceil(left * 1000))]
        for fd in ready:
            if fd in readers:
                # An event before this one may have closed it, as its process has ended.
                if readers[fd].is_open:
                    readers[fd].read()
            elif fd == self._signals.fd:
                self._handle_signals()
            elif fd == self._policy.fd:
                self._policy.on_message(self)
            else:
                self._relay.write(fd)
        return bool(ready)

    def _handle_signals(self) -> None:
        numbers = self._signals.read()
        for number in numbers:
            if number in STOPPING:
                self._stop(number)
            elif number in FORWARDED:
                logger.debug("%s is passed on", signal.Signals(number).name)
                self._processes.forward(number)
        if signal.SIGCHLD in numbers:
            self._reap()

    def _stop(self, number: int) -> None:
        name = signal.Signals(number).name
        if self._stop_signal is None:
            self._stop_signal = number
            if self._processes:
                self.log(f"{name}: {self._processes.names()} may take {self.grace:g} s to end")
            self._policy.on_signal(self, number)
        else:
            self.log(f"{name} again: killed: {self._processes.names()}")
            self.kill()

    def _reap(self) -> None:
        running = list(self.running)
        # Twice: one that ended before another may have been asked about before it did.
        for process in (*running, *running):
            if process.code is None:
                process.reap()
        ended = [process for process in running if process.code is not None]
        # What fails once the chief has ended well is no failure, so those that did come first.
        for process in sorted(ended, key=lambda process: process.code != 0):
            self._policy.on_exit(self, process)
        self._processes.find_orphans()
        if self._processes.orphans and not self.running:
            if self._gives_up_at < math.inf:
                self.kill()
            else:
                self.terminate(self._sibling_grace)

    def _time_out(self) -> None:
        self._timed_out = True
        self._times_out_at = math.inf
        self._first_failed = self._first_failed or next(iter(self.running), None)
        self.log(f"out of time: {self._processes.names()}")
        self.terminate(self._sibling_grace)

    # ---- the end

    def _drain(self) -> None:
        """Pass on what is left, as long as somebody reads it."""
        self._processes.close_readers()
        stall = self._timeouts.output_stall
        until = time.monotonic() + stall
        while self._relay.waiting and time.monotonic() < until:
            if self._wait(until=until) and self._stop_signal is None:
                until = time.monotonic() + stall
        for writer in (self._relay.out, self._relay.err):
            if self._relay.give_up(writer):
                self._wait(until=time.monotonic())

    def _outcome(self) -> Outcome:
        for number in self._signals.read():
            if number in STOPPING and self._stop_signal is None:
                self._stop_signal = number
        failed = self._first_failed or next(iter(self.running), None)
        if failed is None:
            return Outcome(code=0, stop_signal=self._stop_signal)
        code = _KILLED if failed.code is None else failed.code
        return Outcome(
            code=TIMED_OUT if self._timed_out else code,
            failed=failed.name,
            signal=signal.SIGKILL if failed.code is None else failed.signal,
            tail=failed.tail,
            stop_signal=self._stop_signal,
            timed_out=self._timed_out,
            killed=failed.killed,
        )
