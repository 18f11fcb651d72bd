"""The result of one host: how its training processes ended, and what exit code that makes."""

from __future__ import annotations

import dataclasses
import signal
from dataclasses import dataclass, field

from trainer.launch.rendezvous.failure import Failure
from trainer.launch.supervise.command import Outcome
from trainer.launch.supervise.process import ManagedProcess


@dataclass(kw_only=True)
class HostResult:
    """The ends of the training processes of one host.

    Attributes:
        codes: The exit codes of those that ended well, or stopped as they were asked to.
        terminated: The first that a signal from this launcher ended while the job was under way.
        done: The chief's exit code, once it has ended well, on whichever host that was.
    """

    codes: list[int] = field(default_factory=list)
    terminated: ManagedProcess | None = None
    done: int | None = None

    @property
    def is_complete(self) -> bool:
        """True if the job is done, or this host's processes have ended as they should."""
        return self.done is not None or bool(self.codes and self.terminated is None)

    def outcome(self, ran: Outcome, failure: Failure | None) -> Outcome:
        """Return how this host's part of the job ended.

        Args:
            ran: How the supervisor saw its processes end.
            failure: Why the job failed, if it did.
        """
        if failure:
            return dataclasses.replace(
                ran, code=failure.code, failed=failure.process, failure=failure
            )
        if ran.failed:
            # A process that could not be killed.
            return ran
        if self.terminated is not None:
            return dataclasses.replace(
                ran,
                code=self.terminated.code or 1,
                failed=self.terminated.name,
                signal=self.terminated.signal,
                tail=self.terminated.tail,
                killed=self.terminated.killed,
            )
        codes = self.codes or [128 + signal.SIGTERM if self.done is None else self.done]
        return dataclasses.replace(ran, code=max(codes), failed=None, tail=())
