"""Work that may hang in the kernel, as on a network disk, beside a thread that can be ended."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from trainer.config import UserError
from trainer.runtime import output

T = TypeVar("T")


def run_bounded(work: Callable[[], T], *, text: str, slow: float, within: float) -> T:
    """Return what some work returns, or raise what it raises.

    Args:
        work: Called in a thread of its own, which is left behind if the wait is given up.
        text: What is waited for.
        slow: Seconds between lines that say so.
        within: Seconds after which it is given up.

    Raises:
        UserError: It took too long.
    """
    results: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((work(), None))
        except BaseException as error:
            results.put((None, error))

    threading.Thread(target=run, name="aside", daemon=True).start()
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        if waited >= within:
            raise UserError(
                subject=text,
                problem=f"no answer within {within:g} s (--start-timeout)",
            )
        try:
            found, error = results.get(timeout=min(slow, within - waited))
        except queue.Empty:
            output.err(f"trainer: still waiting for {text}: {time.monotonic() - began:.0f} s")
            continue
        if error is not None:
            raise error
        return found  # type: ignore[return-value]
