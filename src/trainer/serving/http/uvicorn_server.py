"""uvicorn's server, ending as platforms want it."""

from __future__ import annotations

import signal
import time
from types import FrameType

import uvicorn

from trainer.runtime import output
from trainer.serving.http.endpoint import ServerState


class GracefulServer(uvicorn.Server):
    """A server that first says that it is about to end.

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
        tell(f"{signal.Signals(sig).name}: answering what is under way, then ending")

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if self._until is not None and time.monotonic() >= self._until:
            self.should_exit = True
        return await super().on_tick(counter)


def tell(line: str) -> None:
    """Print what happens to the server itself; standard output is for the access log alone."""
    output.err(f"trainer: {line}")
