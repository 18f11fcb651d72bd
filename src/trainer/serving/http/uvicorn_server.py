"""uvicorn's server with the shutdown that platforms expect."""

from __future__ import annotations

import logging
import signal
import time
from types import FrameType

import uvicorn

from trainer.serving.http.endpoint import ServerState

logger = logging.getLogger(__name__)


class GracefulServer(uvicorn.Server):
    """A server that lets load balancers know before it ends.

    Args:
        config: uvicorn's.
        state: Marked as draining when the server is about to end.
        linger: Seconds at SIGTERM in which requests are still taken.
    """

    def __init__(self, config: uvicorn.Config, state: ServerState, linger: float) -> None:
        super().__init__(config)
        self._state, self._linger = state, linger
        self._until: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """At the first signal, let balancers see that `/ping` fails; at the second, end at once."""
        if self._until is not None:
            self.should_exit = self.force_exit = True
            return
        self._state.draining = True
        linger = self._linger if sig == signal.SIGTERM else 0.0
        self._until = time.monotonic() + linger
        name = signal.Signals(sig).name
        logger.info("%s: answering what is under way, then ending", name)

    async def on_tick(self, counter: int) -> bool:
        """End the server when the linger is over; uvicorn calls this ten times a second."""
        if self._until is not None and time.monotonic() >= self._until:
            self.should_exit = True
        return await super().on_tick(counter)
