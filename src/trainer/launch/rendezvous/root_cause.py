"""Why a job failed, as far as is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from trainer.config import RETRY
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.state import MemberState

# For the real cause to come in, when what came first may only be an echo of it.
SETTLE = 2.0
# Who is silent for so long then is what the echo is of: the others beat within `roster.HOLD`.
SILENT = 1.6
SILENCE = "no sign of life any more; the host or its container has gone"
# While its connection is not known to be broken, which takes seconds.
DOUBTFUL = (
    "no sign of life any more when the job failed; the host or its container has gone, or its "
    "launcher gets no processor"
)
STUCK = "no sign of life of its launcher any more, though the host is there"


class RootCause:
    """The first cause that is told, or a better one that comes soon after its echo.

    Args:
        clock: Seconds, never going back.

    Attributes:
        cause: None while nothing has failed.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.cause: Failure | None = None
        self._clock = clock
        self._since = 0.0

    def take(self, cause: Failure) -> bool:
        """Hear a cause; return whether it counts from now on."""
        if self.cause is None:
            self._since = self._clock()
        elif cause.echo or not self.unsettled > 0:
            return False
        self.cause = cause
        return True

    @property
    def unsettled(self) -> float:
        """Seconds for which another cause may take the place of this one, if that is an echo."""
        if self.cause is None or not self.cause.echo:
            return 0.0
        return self._since + SETTLE - self._clock()

    def blame_the_silent(self, hosts: Iterable[MemberState]) -> None:
        """Where there is but an echo, see whether a host has fallen silent meanwhile."""
        now = self._clock()
        silent = [host for host in hosts if now - host.seen > SILENT]
        if self.cause and self.cause.echo and silent:
            first = min(silent, key=lambda host: host.seen)
            reason = DOUBTFUL if first.lines else SILENCE
            self.cause = dataclasses.replace(lost(first, reason), code=self.cause.code)


def lost(host: MemberState, reason: str) -> Failure:
    """The cause when a host does not answer."""
    return Failure(host=host.name, process=host.task, code=RETRY, reason=reason)
