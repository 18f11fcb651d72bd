"""Threads that do the steps of many transfers, those of a transfer under way first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from trainer.storage.sync.entries import SyncFileError
from trainer.storage.sync.place import Step

# Seconds for transfers to end that are given up.
ENDING = 2.0


class Crew:
    """Threads that share steps out among them.

    Args:
        steps: The first step of each transfer.
        workers: How many run at a time.
        stop: Set when the rest is to be given up.
    """

    def __init__(self, steps: Iterable[Step], *, workers: int, stop: threading.Event) -> None:
        self._steps = list(steps)
        self._steps.reverse()
        self._stop = stop
        self._running = 0
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self.problems: list[SyncFileError] = []
        self._threads = [
            threading.Thread(target=self._work, name="sync", daemon=True)
            for _ in range(max(1, workers))
        ]

    def run(self, watch: Callable[[], None], *, every: float) -> list[SyncFileError]:
        """Do all steps, and return what was wrong with single files.

        Args:
            watch: Called again and again from this thread; what it raises ends all.
            every: Seconds between two calls.

        Raises:
            Exception: What a step raised that ends all.
        """
        for thread in self._threads:
            thread.start()
        try:
            while not self._is_over():
                with self._changed:
                    self._changed.wait_for(self._is_over, timeout=every)
                watch()
        except BaseException:
            self._end()
            raise
        if self._error is not None:
            self._end()
            raise self._error
        return self.problems

    def _is_over(self) -> bool:
        return self._error is not None or not (self._steps or self._running)

    def _end(self) -> None:
        self._stop.set()
        with self._changed:
            self._steps.clear()
            self._changed.notify_all()
        until = time.monotonic() + ENDING
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while (step := self._next()) is not None:
            more: Sequence[Step] = ()
            try:
                more = step()
            except SyncFileError as problem:
                self.problems.append(problem)
            except BaseException as error:
                self._error = self._error or error
                self._stop.set()
            with self._changed:
                if self._error is None:
                    self._steps.extend(reversed(more))
                self._running -= 1
                self._changed.notify_all()

    def _next(self) -> Step | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._steps) or self._is_over())
            if not self._steps or self._error is not None:
                return None
            self._running += 1
            return self._steps.pop()


def run_steps(
    steps: Iterable[Step],
    *,
    workers: int,
    stop: threading.Event,
    watch: Callable[[], None] = lambda: None,
    every: float = 0.1,
) -> list[SyncFileError]:
    """Do steps side by side; return the problems of single files."""
    return Crew(steps, workers=workers, stop=stop).run(watch, every=every)
