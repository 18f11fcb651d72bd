"""Stop on SIGTERM or SIGINT: at the first signal the run saves and ends, at the second at once."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator

from trainer.runtime import live_bar

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """A flag that the first SIGTERM or SIGINT sets; call it to ask whether it is set."""

    def __init__(self) -> None:
        self._requested = threading.Event()

    def __call__(self) -> bool:
        """Return whether a stop has been requested."""
        return self._requested.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; return whether a stop has been requested."""
        return self._requested.wait(timeout)

    def set(self) -> None:
        """Request a stop, as a signal does."""
        self._requested.set()


def reinstall_stop_handlers() -> None:
    """Install Python's handlers again after a library has replaced them in C.

    TensorFlow's coordination service does so for SIGTERM. Call it from the main thread.
    """
    for number in SIGNALS:
        signal.signal(number, signal.getsignal(number))


@contextlib.contextmanager
def handling_stop_signals(*, announce: bool = True) -> Iterator[StopRequest]:
    """Handle SIGTERM and SIGINT while a block runs.

    Python runs a signal's handler between two of its own instructions, but training spends its
    time inside TensorFlow: there, a second signal could wait for minutes. Python's C handler,
    however, writes the signal's number to a file descriptor at once; a thread reads it from there.
    That works as process 1 of a container too, where the kernel ignores default actions.

    Args:
        announce: Log a warning when the first signal comes; a process that only serves others has
            no step to finish.

    Yields:
        The request, which the first signal sets. A second one ends the process with 128 + its
        number.
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
                live_bar.wipe()
                os._exit(128 + number[0])
            request.set()
            if announce:
                logger.warning(
                    "%s: finishing this step, then saving; send it again to stop at once", name
                )

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
    """Do nothing: Python catches a signal only if it has a handler; the thread does the rest."""
