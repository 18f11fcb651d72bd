"""Closing connections whose clients do not read their responses."""

from __future__ import annotations

import asyncio


class StalledReader:
    """Aborts a connection unless its client reads something in each period.

    Args:
        transport: The connection's.
        loop: The event loop.
        seconds: Length of a period.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float
    ) -> None:
        self._transport, self._loop, self._seconds = transport, loop, seconds
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch from now on, until all that waits to be sent has been sent."""
        self.stop()
        unsent = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self._seconds, self._check, unsent)

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _check(self, unsent_before: int) -> None:
        unsent = self._transport.get_write_buffer_size()
        if unsent >= unsent_before:
            self._transport.abort()
        elif unsent:
            self.start()
