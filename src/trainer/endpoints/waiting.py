"""Waiting for a service until it is done, with lines of progress, bounded, and ended by a stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from trainer.config import UserError
from trainer.runtime import StopRequest

logger = logging.getLogger(__name__)

# Seconds between looks, and between lines where nothing changes.
LOOK, PROGRESS = 5.0, 30.0


class EndedError(UserError):
    """A wait that ended before its time, by SIGTERM or Ctrl-C."""


def wait_until(
    look: Callable[[], str | None],
    what: str,
    *,
    stop: StopRequest,
    timeout: float,
    every: float = LOOK,
    progress: float = PROGRESS,
) -> None:
    """Look at a resource again and again until it is ready.

    Args:
        look: Returns its state in a word, or None once it is ready.
        what: The resource, for people.
        stop: Set to end the wait.
        timeout: Seconds until the wait has failed.
        every: Seconds between looks; the first ones come sooner.
        progress: Seconds between lines of progress of one state.

    Raises:
        EndedError: `stop` was set.
        UserError: It was not ready in time; `look` may raise others.
    """
    begun = reported = time.monotonic()
    before, pause = None, min(0.2, every)
    while (state := look()) is not None:
        now = time.monotonic()
        if now - begun > timeout:
            raise UserError(
                subject=what,
                problem=f"still {state} after {timeout:g} s",
                remedy="look at its log, or give it a longer --timeout",
            )
        if state != before or now - reported >= progress:
            logger.info("%s: %s seconds=%.0f", what, state, now - begun)
            before, reported = state, now
        if stop.wait(pause):
            raise EndedError(subject=what, problem=f"stopped while it was {state}")
        pause = min(every, pause * 2)
