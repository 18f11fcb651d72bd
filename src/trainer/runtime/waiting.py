"""Wait for a store that may not answer: log that the run waits, and give up on SIGTERM."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


@contextlib.contextmanager
def log_waiting(purpose: str, *, first: float = 5.0, every: float = 30.0) -> Iterator[None]:
    """Log that the process still waits, while a block takes long.

    Args:
        purpose: What the block waits for, in words.
        first: Seconds until the first line.
        every: Seconds between further lines.
    """
    ended = threading.Event()

    def run() -> None:
        waited = step = first
        while not ended.wait(step):
            logger.info("%s: waiting for an answer for %.0f s", purpose, waited)
            step = every
            waited += step

    thread = threading.Thread(target=run, name="log_waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class StoppedError(Exception):
    """A stop was requested while the run waited."""


def never_stopped() -> bool:
    """Return False: no stop is requested from a process that takes no signals."""
    return False


@dataclass(frozen=True, kw_only=True)
class Patience:
    """A caller's patience: the seconds it waits for an answer, and what ends its waiting.

    Attributes:
        stopped: Returns True once the run has been asked to stop.
        seconds: After a stop was requested, seconds without an answer until the caller gives up;
            results that are being sent get some.
        first: Seconds until the first line about the waiting.
        every: Seconds between further lines.
        tick: Seconds between looks at `stopped`.
    """

    stopped: Callable[[], bool] = never_stopped
    seconds: float = 0.0
    first: float = 5.0
    every: float = 30.0
    tick: float = 0.2

    def is_over(self, idle: float) -> bool:
        """Return whether to give up what has not moved for `idle` seconds."""
        return idle >= self.seconds and self.stopped()

    def call(self, call: Callable[[], T], purpose: str) -> T:
        """Call a function in a thread of its own, and wait for its result.

        A library that hangs cannot be interrupted. Its thread is left behind and ends with the
        process.

        Args:
            call: A function that may take long.
            purpose: What the caller waits for, in words.

        Returns:
            What the function returned; what it raised is raised here.

        Raises:
            StoppedError: A stop was requested before the function returned.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, name="waiting", daemon=True).start()
        begun = time.monotonic()
        next_line = self.first
        while not wait([future], timeout=self.tick).done:
            idle = time.monotonic() - begun
            if self.is_over(idle):
                raise StoppedError(f"{purpose}: no answer when told to stop")
            if idle >= next_line:
                next_line += self.every
                logger.info("%s: waiting for an answer for %.0f s", purpose, idle)
        return future.result()


# For processes that nobody asks to stop.
ALWAYS_PATIENT = Patience()
