"""Giving up a request whose client has hung up.

Clients that time out ask again. A queue full of requests whose clients are gone would keep the
model from ever answering in time again.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from starlette.requests import Request

# Seconds between looks whether a body that arrives slowly has been read, as there may be thousands
# of such bodies; the first looks are closer together.
LONGEST_PAUSE = 2.0


class ReadProgress(Protocol):
    """A request, and whether its body has been read."""

    request: Request
    body_read: bool


class Disconnect:
    """Cancels the task that it is made in when the client hangs up.

    Args:
        context: The request. Until its body has been read, whoever reads it notices a client that
            hangs up.
        patience: Seconds before the client is watched.

    Attributes:
        happened: Whether the client has hung up.
    """

    def __init__(self, context: ReadProgress, *, patience: float) -> None:
        self.happened = False
        self._context = context
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._pause = patience
        self._timer = asyncio.get_running_loop().call_later(patience, self._look)

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
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self._timer = loop.call_later(self._pause, self._look)

    async def _watch(self) -> None:
        while (await self._context.request.receive())["type"] != "http.disconnect":
            pass
        self.happened = True
        if self._task is not None:
            self._task.cancel()
