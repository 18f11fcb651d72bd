"""Wait for a store that may not answer: log that the run waits, and give up on SIGTERM."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TypeVar

from trainer.runtime import output

T = TypeVar("T")
Tell = Callable[[str], None]

TICK = 0.2  # seconds between looks at whether to stop
FIRST, EVERY = 5.0, 30.0  # seconds until waiting is told, and between further lines


@contextlib.contextmanager
def log_waiting(what: str, tell: Tell) -> Iterator[None]:
    """Tell that something is waited for while a block takes long."""
    end = threading.Event()

    def run() -> None:
        waited = step = FIRST
        while not end.wait(step):
            tell(f"{what}: waiting for an answer for {waited:.0f} s")
            step = EVERY
            waited += step

    thread = threading.Thread(target=run, name="telling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


class StoppedError(Exception):
    """The run was told to stop while it waited."""


def never_stopped() -> bool:
    """Return False: for those who are not told to stop."""
    return False


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How somebody waits.

    Attributes:
        tell: Gets a line when it takes long.
        stopped: Returns whether the run was told to stop.
        seconds: How long something that does not answer is waited for in spite of that, as when
            results are sent.
    """

    tell: Tell = output.out
    stopped: Callable[[], bool] = never_stopped
    seconds: float = 0.0

    def is_over(self, idle: float) -> bool:
        """Return whether to give up what has not moved for so many seconds."""
        return idle >= self.seconds and self.stopped()

    def call(self, call: Callable[[], T], what: str) -> T:
        """Call a function in a thread of its own, and wait for it.

        A library that hangs cannot be interrupted: its thread is left behind, and goes with the
        process.

        Args:
            call: What may take long.
            what: What is waited for, in words.

        Raises:
            StoppedError: The run was told to stop.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, name="waiting", daemon=True).start()
        begun = time.monotonic()
        told = FIRST
        while not wait([future], timeout=TICK).done:
            idle = time.monotonic() - begun
            if self.is_over(idle):
                raise StoppedError(f"{what}: no answer when told to stop")
            if idle >= told:
                told += EVERY
                self.tell(f"{what}: waiting for an answer for {idle:.0f} s")
        return future.result()


# Of those who are not told to stop.
ALWAYS_PATIENT = Patience()
