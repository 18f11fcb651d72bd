"""Calls shared out among threads, for work that leaves Python's lock: decoders and slow disks."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable

# A thread takes about 0.1 ms to start: it is worth it for some milliseconds of work only.
CALLS_PER_THREAD = 4


def in_threads(
    call: Callable[[int], None],
    count: int,
    *,
    threads: int | None = None,
    calls_per_thread: int = CALLS_PER_THREAD,
) -> None:
    """Call a function with each number below `count`, several calls at a time.

    The threads end with the call, or with the process, and receive no signals: Python runs the
    handlers of signals in the main thread only.

    Args:
        call: The function.
        count: How often it is called.
        threads: The most threads; by default one for each CPU that this process may use.
        calls_per_thread: The calls for which a thread is worth it; 1 where each takes long.

    Raises:
        Exception: The error of the call with the lowest number that failed; no further calls are
            begun after it.
    """
    cpus = len(os.sched_getaffinity(0)) if threads is None else threads
    others = min(cpus, count // calls_per_thread) - 1
    if others < 1:
        for number in range(count):
            call(number)
        return
    errors: dict[int, Exception] = {}
    numbers = itertools.count()
    is_stopped = threading.Event()

    def work() -> None:
        while not is_stopped.is_set() and (number := next(numbers)) < count:
            try:
                call(number)
            except Exception as error:
                # Lower numbers have all been given out: whatever fails among them is kept as well.
                errors[number] = error
                is_stopped.set()

    started = [threading.Thread(target=work, name="decode", daemon=True) for _ in range(others)]
    for thread in started:
        thread.start()
    try:
        work()
        for thread in started:
            thread.join()
    finally:
        is_stopped.set()
    if errors:
        raise errors[min(errors)]
