"""Liveness of the coordinator: how long a launcher waits for its responses to heartbeats."""

from __future__ import annotations

from trainer.launch.rendezvous.root_cause import SILENCE, STUCK
from trainer.launch.timeouts import Timeouts


class Liveness:
    """The coordinator's life, as far as a launcher knows of it.

    Args:
        timeouts: How long it may be silent.
        now: The time at which it was heard of last, in seconds.
    """

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        self._timeouts = timeouts
        self._last_response = now

    def responded(self, now: float) -> None:
        """Count the coordinator as alive at this time."""
        self._last_response = now

    def limit(self, *, connected: bool) -> float:
        """Return for how many seconds the coordinator may be silent.

        Args:
            connected: Whether the keepalive connection stands: then its launcher may be starved of
                CPU, but its host is there.
        """
        return self._timeouts.hung_after if connected else self._timeouts.lost_after

    def request_timeout(self, now: float, *, connected: bool) -> float:
        """Return for how many seconds to wait for the response to the next heartbeat."""
        times = self._timeouts
        left = self._last_response + self.limit(connected=connected) - now
        return min(max(times.retry_pause, left), times.heartbeat_hold + times.heartbeat_slack)

    def loss(self, now: float, *, connected: bool) -> str | None:
        """Return why the coordinator counts as lost, or None while it does not."""
        if now - self._last_response < self.limit(connected=connected):
            return None
        return STUCK if connected else SILENCE
