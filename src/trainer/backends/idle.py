"""End a program that sends nothing for too long, as a hanging engine or network would have it."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO

# Seconds without a byte, and between two looks.
IDLE, TICK = 120.0, 1.0


class CountingReader:
    """A stream that counts the bytes that were read from it.

    Attributes:
        count: How many bytes.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        data = self._stream.read(size)
        self.count += len(data)
        return data


@contextlib.contextmanager
def killed_when_idle(
    process: subprocess.Popen[bytes],
    moved: Callable[[], int],
    *,
    seconds: float = IDLE,
    tick: float = TICK,
) -> Iterator[Callable[[], bool]]:
    """Kill a process whose output does not grow for some seconds, and in any case at the end.

    Args:
        process: The process.
        moved: Returns how many bytes it has sent so far.
        seconds: Without a byte.
        tick: Seconds between two looks.

    Yields:
        A function that returns whether the process was killed for it.
    """
    over, was_idle = threading.Event(), threading.Event()

    def watch() -> None:
        before, since = moved(), time.monotonic()
        while not over.wait(tick) and process.poll() is None:
            if (now := moved()) != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since >= seconds:
                was_idle.set()
                process.kill()

    thread = threading.Thread(target=watch, name="idle", daemon=True)
    thread.start()
    try:
        yield was_idle.is_set
    finally:
        over.set()
        process.kill()
        thread.join(10 * tick)
        process.wait(10)
