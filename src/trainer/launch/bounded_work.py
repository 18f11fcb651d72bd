"""Do work that may hang in the kernel, as on a network disk, without hanging this thread."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from trainer.config import UserError

logger = logging.getLogger(__name__)

T = TypeVar("T")


def run_bounded(work: Callable[[], T], *, text: str, slow: float, within: float) -> T:
    """Call a function in a thread of its own; return what it returns, or raise what it raises.

    Args:
        work: The function. Its thread is left behind if it takes too long.
        text: What is waited for, for people.
        slow: Seconds between log lines while it is waited for.
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
                subject=text, problem=f"no answer within {within:g} s (--start-timeout)"
            )
        try:
            found, error = results.get(timeout=min(slow, within - waited))
        except queue.Empty:
            logger.info("still waiting for %s: %.0f s", text, time.monotonic() - began)
            continue
        if error is not None:
            raise error
        return found  # type: ignore[return-value]
