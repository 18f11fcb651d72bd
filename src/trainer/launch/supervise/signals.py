"""Hearing signals in a loop that waits for other things too."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

# The first of these asks for an end, the second demands it.
STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
# Their meaning is the script's own.
FORWARDED = frozenset({signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2})
_HEARD = STOPPING | FORWARDED | {signal.SIGCHLD}


class SignalReader:
    """Signals that came, in their order.

    Args:
        fd: Becomes readable when there is one.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self) -> bytes:
        """The numbers of the signals that came since the last call, a byte each."""
        try:
            return os.read(self.fd, 65536)
        except BlockingIOError:
            return b""


@contextlib.contextmanager
def reading_signals() -> Iterator[SignalReader]:
    """Hear signals instead of being ended by them; everything is as before when the block ends.

    A process with the number 1 needs handlers all the more: where it has none, the kernel throws
    signals away. SIGHUP and SIGINT stay ignored where they are, as under nohup.

    Raises:
        ValueError: This is not the main thread.
    """
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    handlers = {}
    before = -1
    try:
        # Before the handlers, so that none comes unheard.
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in _HEARD:
            ignored = signal.getsignal(number) is signal.SIG_IGN
            if ignored and number in (signal.SIGHUP, signal.SIGINT):
                continue
            handlers[number] = signal.signal(number, lambda *_: None)
        yield SignalReader(reading)
    finally:
        for number, handler in handlers.items():
            # One that was not set from Python cannot be put back.
            if handler is not None:
                signal.signal(number, handler)
        if handlers:
            signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


@contextlib.contextmanager
def exiting_on_sigterm() -> Iterator[None]:
    """End this process at SIGTERM while nothing runs that would have to be told.

    For a process with the number 1, from which the kernel keeps signals without a handler. To be
    used around all that comes before and between calls of `supervise`, which hears for itself.

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
