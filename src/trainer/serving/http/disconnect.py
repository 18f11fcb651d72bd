"""Giving up a request whose client has hung up: nobody waits for its answer.

Clients that give up after a while ask again. A queue full of what they no longer wait for would
keep the model from ever answering in time again.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from starlette.requests import Request

# Most requests have been answered by then, and never pay for being watched.
PATIENCE = 0.1  # seconds
# Between looks whether a body that arrives slowly has been read: there may be thousands of those.
LONGEST = 2.0


class ReadProgress(Protocol):
    """What is to be known of a request."""

    request: Request
    body_read: bool


class Disconnect:
    """Cancels the task that it is made in when the client hangs up.

    Args:
        context: The request; until its body has been read, whoever reads it finds out.

    Attributes:
        happened: Whether the client has hung up.
    """

    def __init__(self, context: ReadProgress) -> None:
        self.happened = False
        self._context = context
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._pause = PATIENCE
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._look)

    def close(self) -> None:
        """Watch no longer; nothing is cancelled after that."""
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        if self._context.body_read:
            self._watcher = loop.create_task(self._watch())
        else:
            self._pause = min(2 * self._pause, LONGEST)
            self._timer = loop.call_later(self._pause, self._look)

    async def _watch(self) -> None:
        while (await self._context.request.receive())["type"] != "http.disconnect":
            pass
        self.happened = True
        if self._task is not None:
            self._task.cancel()
