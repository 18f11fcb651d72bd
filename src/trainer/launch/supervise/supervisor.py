"""The loop that watches processes, and the rules by which they are ended."""

from __future__ import annotations

import errno
import math
import select
import signal
import time
from collections.abc import Collection

from trainer.config import UserError
from trainer.launch.printable import printable
from trainer.launch.supervise import orphans
from trainer.launch.supervise.command import Command, Outcome
from trainer.launch.supervise.policy import Policy
from trainer.launch.supervise.process import ManagedProcess
from trainer.launch.supervise.signals import FORWARDED, STOPPING, SignalReader
from trainer.runtime import OutputWriter, host_limits, not_read, output

TIMED_OUT = 124
_KILLED = 128 + signal.SIGKILL
# For processes that end because another one failed, or that were left behind.
_PATIENCE = 10.0
# For SIGKILL to work: it does not on a process that waits for a network disk that is gone.
_KILLING = 5.0
# For whoever reads our output to read on, when all else is done.
_STALLED = 5.0
# poll(2) cannot wait for much more than three weeks.
_DAY = 86400.0


class Supervisor:
    """Processes under way, with all that descends from them.

    Args:
        ear: Where the signals to this process are heard.
        to: Where standard output and standard error go.
        grace: Seconds from SIGTERM to SIGKILL when this process is told to end.
        timeout: Seconds after which the processes are ended; None for no limit.
        rules: What follows when one of them ends.
    """

    def __init__(
        self,
        ear: SignalReader,
        to: tuple[OutputWriter, OutputWriter],
        *,
        grace: float,
        timeout: float | None = None,
        rules: Policy | None = None,
    ) -> None:
        self._ear = ear
        self._out, self._err = to
        self._rules = rules or Policy()
        self.grace = grace
        self._patience = min(grace, _PATIENCE)
        self._ends_at = math.inf if timeout is None else time.monotonic() + timeout
        self._kills_at = math.inf
        self._gives_up_at = math.inf
        self._children: list[ManagedProcess] = []
        self._orphans = orphans.Orphans()
        self._first: ManagedProcess | None = None
        self._told: int | None = None
        self._timed_out = False

    def start(self, command: Command, *, prefix: bool) -> None:
        """Start one more.

        Raises:
            UserError: It cannot be started.
        """
        # What it fails of may speak of what it was given.
        output.protect(command.env)
        try:
            self._children.append(
                ManagedProcess(command, out=self._out, err=self._err, prefix=prefix)
            )
        except (OSError, ValueError) as error:
            if mistake := host_limits.mistake_of(error):
                raise UserError(
                    subject=command.name,
                    problem=mistake,
                ) from None
            # A folder that is not there is named by the error itself.
            what = getattr(error, "filename", None) or command.argv[0]
            why = getattr(error, "strerror", None) or error
            raise UserError(
                subject=command.name,
                problem=f"cannot start {what}: {why}",
            ) from None

    def finish(self) -> Outcome:
        """Wait until all have ended and what they printed is passed on."""
        while True:
            if not (self.living or self._orphans):
                # Once more: a process may get another parent while /proc is being read.
                self._reap()
                if not self._orphans and self._rules.over(self):
                    break
            now = time.monotonic()
            if now >= self._gives_up_at:
                self.say(f"cannot be killed, left alone: {self._names()}")
                break
            if now >= self._kills_at:
                self.say(f"not ended in time, killed: {self._names()}")
                self.kill()
            elif now >= self._ends_at:
                self._time_out()
            elif now >= self._rules.until:
                self._rules.tick(self)
            self._turn(
                until=min(self._ends_at, self._kills_at, self._gives_up_at, self._rules.until)
            )
        self._drain()
        return self._outcome()

    def fail(self, child: ManagedProcess) -> None:
        """End everything because a process has failed; the first one counts."""
        if self._first is None:
            self._first = child
            if self.living and self._told is None:
                self.say(f"{child.name} ended with {child.code}; ending {self._names()}")
            self.end(self._patience)

    def end(
        self, within: float, *, only: Collection[ManagedProcess] | None = None, sooner: bool = False
    ) -> None:
        """Send SIGTERM to those who did not get it yet, and SIGKILL to all after a time.

        Args:
            within: Seconds until then.
            only: The processes that get SIGTERM; by default all, and what they left behind.
            sooner: Whether those who were given more time lose it.
        """
        if self._kills_at == math.inf or sooner:
            self._kills_at = min(self._kills_at, time.monotonic() + within)
        for child in self.living:
            if not child.told and (only is None or child in only):
                self._orphans.warned.add(child.pid)
                child.terminate()
        if only is None:
            self._orphans.terminate()

    def kill(self) -> None:
        """End everything at once."""
        self._kills_at = self._ends_at = math.inf
        self._gives_up_at = min(self._gives_up_at, time.monotonic() + _KILLING)
        for child in self.living:
            child.kill()
        self._look()
        self._orphans.kill()

    def clear(self) -> None:
        """Forget the processes that have ended, and how: others are started in their place."""
        self._drain_sources()
        self._children.clear()
        self._first = None
        self._kills_at = self._gives_up_at = math.inf

    @property
    def living(self) -> list[ManagedProcess]:
        """The processes that have not ended."""
        return [child for child in self._children if child.code is None]

    def _turn(self, *, until: float) -> bool:
        """Wait for the next thing to happen, and see to it.

        Returns:
            Whether anything happened.
        """
        sources = {s.fd: s for child in self._children for s in child.sources if s.open}
        poll = select.poll()
        poll.register(self._ear.fd, select.POLLIN)
        if self._rules.fd >= 0:
            poll.register(self._rules.fd, select.POLLIN)
        for source in sources.values():
            if not source.sink.full:
                poll.register(source.fd, select.POLLIN)
        for sink in {self._out, self._err}:
            if sink.waiting:
                poll.register(sink.fd, select.POLLOUT)
        left = min(max(until - time.monotonic(), 0), _DAY)
        ready = [fd for fd, _ in poll.poll(math.ceil(left * 1000))]
        for fd in ready:
            if fd in sources:
                # One that was read out meanwhile, as its process has ended, is closed.
                if sources[fd].open:
                    sources[fd].read()
            elif fd == self._ear.fd:
                self._heed()
            elif fd == self._rules.fd:
                self._rules.news(self)
            else:
                self._write(self._out if fd == self._out.fd else self._err)
        return bool(ready)

    def _write(self, sink: OutputWriter) -> None:
        sink.write()
        # Where the reader has simply gone, nobody wants to know.
        if sink.problem is not None and sink.problem.errno != errno.EPIPE:
            other = self._err if sink is self._out else self._out
            other.put(f"trainer: output is lost: {sink.problem.strerror}\n".encode())

    def _heed(self) -> None:
        numbers = self._ear.read()
        for number in numbers:
            if number in STOPPING:
                self._stop(number)
            elif number in FORWARDED:
                for child in self.living:
                    child.forward(number)
        if signal.SIGCHLD in numbers:
            self._reap()

    def _stop(self, number: int) -> None:
        name = signal.Signals(number).name
        if self._told is None:
            self._told = number
            if self.living or self._orphans:
                self.say(f"{name}: {self._names()} may take {self.grace:g} s to end")
            self._rules.told(self, number)
        else:
            self.say(f"{name} again: killed: {self._names()}")
            self.kill()

    def _reap(self) -> None:
        for child in self.living:
            child.reap()
            if child.code is not None:
                self._rules.ended(self, child)
        self._look()
        if self._orphans and not self.living:
            if self._gives_up_at < math.inf:
                self.kill()
            else:
                self.end(self._patience)

    def _look(self) -> None:
        self._orphans.look(living={child.pid for child in self.living})

    def _time_out(self) -> None:
        self._timed_out = True
        self._ends_at = math.inf
        self._first = self._first or next(iter(self.living), None)
        self.say(f"out of time: {self._names()}")
        self.end(self._patience)

    def _drain(self) -> None:
        """Pass on what is left, as long as somebody reads it."""
        self._drain_sources()
        until = time.monotonic() + _STALLED
        while (self._out.waiting or self._err.waiting) and time.monotonic() < until:
            if self._turn(until=until) and self._told is None:
                until = time.monotonic() + _STALLED
        self._mention_lost(self._out, "standard output", to=self._err)
        self._mention_lost(self._err, "standard error", to=self._out)

    def _mention_lost(self, sink: OutputWriter, name: str, *, to: OutputWriter) -> None:
        lost = sink.give_up()
        if lost and to is not sink and not to.waiting:
            to.put(not_read(lost, name=name))
            self._turn(until=time.monotonic())

    def _drain_sources(self) -> None:
        for child in self._children:
            child.read()
            for source in child.sources:
                source.close()

    def _outcome(self) -> Outcome:
        for number in self._ear.read():
            if number in STOPPING and self._told is None:
                self._told = number
        first = self._first or next(iter(self.living), None)
        if first is None:
            return Outcome(code=0, told=self._told)
        code = _KILLED if first.code is None else first.code
        return Outcome(
            code=TIMED_OUT if self._timed_out else code,
            failed=first.name,
            signal=signal.SIGKILL if first.code is None else first.signal,
            tail=first.tail,
            told=self._told,
            timed_out=self._timed_out,
            killed=first.killed,
        )

    def _names(self) -> str:
        names = [child.name for child in self.living]
        if self._orphans:
            names.append(f"{len(self._orphans)} left behind")
        return ", ".join(names) or "nothing"

    def say(self, text: str) -> None:
        """Print a line of this process's own."""
        self._err.put(f"trainer: {printable(output.clean(text))}\n".encode())
