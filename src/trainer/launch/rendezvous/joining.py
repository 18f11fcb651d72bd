"""Decisions of a launcher that joins: what it does after each attempt."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.launch.rendezvous.responses import Joined, JoinRefused, JoinResponse
from trainer.launch.rendezvous.signing import RefusedError
from trainer.launch.timeouts import Timeouts


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Ask again.

    Attributes:
        pause: Seconds before that.
        note: A line about what the launcher is waiting for, now and then.
    """

    pause: float
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class GiveUp:
    """Do not ask again.

    Attributes:
        reason: Why, for people.
        refused: Whether the coordinator does not take this host, rather than not being there.
    """

    reason: str
    refused: bool


class WaitProgress:
    """A line that is printed now and then while something is being waited for.

    Args:
        every: Seconds between two lines.
        now: The time at which the wait began, in seconds.
    """

    def __init__(self, *, every: float, now: float) -> None:
        self._every = every
        self._began = self._printed_at = now

    def seconds(self, now: float) -> float:
        """Return for how long the wait has lasted."""
        return now - self._began

    def is_due(self, now: float) -> bool:
        """Return whether to print a line, and count it as printed."""
        if now - self._printed_at < self._every:
            return False
        self._printed_at = now
        return True


class Joining:
    """Decides after each attempt to join.

    Args:
        chief: The name of the chief's host.
        port: The coordinator's port there.
        start_timeout: Seconds for the coordinator to take this host.
        timeouts: How often to ask, and to print a line.
        now: The time at which it begins, in seconds.
    """

    def __init__(
        self, *, chief: str, port: int, start_timeout: float, timeouts: Timeouts, now: float
    ) -> None:
        self._chief = chief
        self._port = port
        self._start_timeout = start_timeout
        self._timeouts = timeouts
        self._progress = WaitProgress(every=timeouts.progress, now=now)
        # The time from which the coordinator has known another run of this member to be alive.
        self._alive_since: float | None = None

    def on_response(self, response: JoinResponse, now: float) -> Joined | Retry | GiveUp:
        """Decide after a response of the coordinator."""
        if isinstance(response, Joined):
            return response
        if isinstance(response, JoinRefused):
            return GiveUp(reason=response.refused, refused=True)
        since = self._alive_since = (self._alive_since or now) if response.alive else None
        if since is not None and now - since >= self._timeouts.takeover:
            return GiveUp(reason=response.occupied, refused=True)
        return self._wait(response.occupied, now, occupied=True)

    def on_error(self, error: Exception, now: float) -> Retry | GiveUp:
        """Decide after an attempt that was not answered as by a coordinator."""
        if isinstance(error, RefusedError):
            return GiveUp(reason=str(error), refused=True)
        self._alive_since = None
        problem = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return self._wait(problem, now, occupied=False)

    def _wait(self, problem: str, now: float, *, occupied: bool) -> Retry | GiveUp:
        waited = self._progress.seconds(now)
        if waited >= self._start_timeout:
            if occupied:
                return GiveUp(reason=problem, refused=True)
            within = f"within {self._start_timeout:g} s (--start-timeout)"
            reason = f"cannot be reached at port {self._port} {within}: {problem}"
            return GiveUp(reason=reason, refused=False)
        note = None
        if self._progress.is_due(now):
            where = f"{self._chief}:{self._port}"
            note = f"waiting for the chief at {where}: {waited:.0f} s, {problem}"
        return Retry(pause=min(self._timeouts.retry_pause, self._start_timeout - waited), note=note)
