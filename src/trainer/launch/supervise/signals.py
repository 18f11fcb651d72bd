"""Read signals in a loop that waits for other things too."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

# The first of these asks this process to stop, the second has it kill its processes.
STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
# Passed on to the processes: what they mean is the script's decision.
FORWARDED = frozenset({signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2})
_HANDLED = STOPPING | FORWARDED | {signal.SIGCHLD}


class SignalReader:
    """Reads the signals that came, in their order.

    Args:
        fd: Readable when a signal has come.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self) -> bytes:
        """Return the numbers of the signals that came since the last call, a byte each."""
        try:
            return os.read(self.fd, 65536)
        except BlockingIOError:
            return b""


@contextlib.contextmanager
def reading_signals() -> Iterator[SignalReader]:
    """Read signals instead of being ended by them; the handlers are restored after the block.

    Process 1 of a container needs handlers all the more: the kernel drops a signal for which it
    has none. SIGHUP and SIGINT stay ignored if they are ignored before, as under nohup.

    Raises:
        ValueError: This is not the main thread.
    """
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    handlers = {}
    before = -1
    try:
        # Set before the handlers, so that no signal is missed between.
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in _HANDLED:
            ignored = signal.getsignal(number) is signal.SIG_IGN
            if ignored and number in (signal.SIGHUP, signal.SIGINT):
                continue
            handlers[number] = signal.signal(number, lambda *_: None)
        yield SignalReader(reading)
    finally:
        for number, handler in handlers.items():
            # A handler that was not set from Python cannot be restored.
            if handler is not None:
                signal.signal(number, handler)
        if handlers:
            signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


@contextlib.contextmanager
def exiting_on_sigterm() -> Iterator[None]:
    """Exit at SIGTERM while this process runs no others that it would have to stop.

    Process 1 of a container needs this, as the kernel drops a signal for which it has no handler.
    To be used around all that comes before and between calls of `run_supervised`, which reads
    signals itself.

    Raises:
        SystemExit: SIGTERM came; the code is 128 and its number, 143.
    """

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
