"""The root cause of a failed job, as far as the coordinator knows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from trainer.config import RETRY_CODE
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.state import MemberState
from trainer.launch.timeouts import DEFAULTS, Timeouts

SILENCE = "no sign of life any more; the host or its container has gone"
# The reason while the kernel may still find the keepalive connection broken, which takes seconds.
DOUBTFUL = (
    "no sign of life any more when the job failed; the host or its container has gone, or its "
    "launcher gets no processor"
)
STUCK = "no sign of life of its launcher any more, though the host is there"


class RootCause:
    """The first failure that is reported, or a better one that follows a secondary failure soon.

    Args:
        clock: Returns seconds, never going back.
        timeouts: How long to wait for a better one.

    Attributes:
        failure: None while nothing has failed.
    """

    def __init__(self, clock: Callable[[], float], timeouts: Timeouts = DEFAULTS) -> None:
        self.failure: Failure | None = None
        self._clock = clock
        self._timeouts = timeouts
        self._since = 0.0

    def offer(self, failure: Failure) -> bool:
        """Consider a failure, and return whether it counts as the root cause from now on."""
        if self.failure is None:
            self._since = self._clock()
        elif failure.secondary or not self.unsettled > 0:
            return False
        self.failure = failure
        return True

    @property
    def unsettled(self) -> float:
        """Seconds for which another failure may still replace this one, if it is secondary."""
        if self.failure is None or not self.failure.secondary:
            return 0.0
        return self._since + self._timeouts.settle - self._clock()

    def blame_silent(self, members: Iterable[MemberState]) -> None:
        """Replace a secondary failure by the loss of the host that has been silent for longest."""
        now, limit = self._clock(), self._timeouts.silent_after
        silent = [member for member in members if now - member.last_heartbeat > limit]
        if self.failure and self.failure.secondary and silent:
            first = min(silent, key=lambda member: member.last_heartbeat)
            reason = DOUBTFUL if first.connections else SILENCE
            self.failure = dataclasses.replace(lost(first, reason), code=self.failure.code)


def lost(member: MemberState, reason: str) -> Failure:
    """Return the failure of a job whose member does not answer."""
    return Failure(host=member.name, process=member.task, code=RETRY_CODE, reason=reason)
