"""Being told to stop: once, and the run ends well; twice, and it ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Whether this process has been told to stop."""

    def __init__(self) -> None:
        self._told = threading.Event()

    def __call__(self) -> bool:
        """Whether a signal has come."""
        return self._told.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait for a signal, `timeout` seconds at most; return whether it came."""
        return self._told.wait(timeout)

    def set(self) -> None:
        """Ask for a stop as a signal does."""
        self._told.set()


def reinstall_stop_handlers() -> None:
    """Take the signals back from a library that has put handlers of its own below Python's.

    TensorFlow's coordination service does so for SIGTERM. To be called from the main thread.
    """
    for number in SIGNALS:
        signal.signal(number, signal.getsignal(number))


@contextlib.contextmanager
def handling_stop_signals(tell: Callable[[str], None]) -> Iterator[StopRequest]:
    """Listen for SIGTERM and SIGINT while a block runs.

    Python runs a signal's handler between two of its own instructions, but training spends its
    time inside TensorFlow: there, a second signal could wait for minutes. Python's C handler,
    however, writes the signal's number to a file descriptor at once; a thread reads it from there.
    That works as process 1 of a container too, where the kernel ignores default actions.

    Args:
        tell: Called with one line when the first signal comes.

    Yields:
        What is true from the first signal on. A second one ends the process with 128 + its number.
    """
    request = StopRequest()
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = {number: signal.signal(number, _ignore) for number in SIGNALS}
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        while number := reader.recv(1):
            if number[0] not in SIGNALS:
                continue
            name = signal.Signals(number[0]).name
            if request():
                os._exit(128 + number[0])
            request.set()
            tell(f"{name}: finishing this step, then saving; send it again to stop at once")

    thread = threading.Thread(target=watch, name="stop", daemon=True)
    thread.start()
    try:
        yield request
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()
        thread.join(timeout=5)
        reader.close()


def _ignore(number: int, frame: object) -> None:
    """A handler must be set for Python to catch the signal; the thread does the rest."""
