"""Threads that run transfers side by side, and that a process does not wait for at its end."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence


class TransferPool:
    """Threads that share calls out among them.

    Args:
        calls: The transfers, in the order in which they begin.
        workers: How many run at a time.
    """

    def __init__(self, calls: Sequence[Callable[[], None]], *, workers: int) -> None:
        self._left, self._ended = list(reversed(calls)), queue.SimpleQueue[BaseException | None]()
        self._open = len(calls)
        self._threads = [
            threading.Thread(target=self._work, name="transfer", daemon=True)
            for _ in range(min(workers, len(calls)))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_done(self) -> bool:
        """True when all calls have ended."""
        return not self._open

    def wait(self, seconds: float) -> int:
        """Wait for a call to end, and return how many have; raise the error of one that failed."""
        count = 0
        try:
            while True:
                error = self._ended.get(timeout=0 if count else seconds)
                self._open -= 1
                count += 1
                if error is not None:
                    raise error
        except queue.Empty:
            return count

    def end(self, seconds: float) -> None:
        """Begin no further call, and wait some seconds for those under way."""
        self._left.clear()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while self._left:
            try:
                call = self._left.pop()
            except IndexError:
                return
            try:
                call()
            except BaseException as error:
                self._ended.put(error)
            else:
                self._ended.put(None)
