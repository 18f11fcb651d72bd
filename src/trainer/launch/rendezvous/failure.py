"""The failure that ends a job, reported by the host where it began to all others."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from trainer.launch.rendezvous.fields import LONGEST_HOST, LONGEST_TASK
from trainer.runtime import printable

# A process prints one of these when another one has ended: true, but not the root cause.
_SECONDARY = re.compile(
    r"connection (was )?(reset|closed|refused|aborted)|closed by peer|broken pipe|socket closed|"
    r"HorovodInternalError|Horovod has been shut down|failed to connect to all addresses|"
    r"UnavailableError|AbortedError|Collective ops is aborted|heartbeat|GOAWAY|gloo/transport",
    re.IGNORECASE,
)

# Characters of a reason, all its lines together.
_LONGEST = 4000


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The failure that ends a job.

    Attributes:
        host: The name of the host where it happened.
        process: The process that failed, `rank 3`, or the host's own role.
        code: The exit code of the whole job.
        reason: What happened, for people; secrets are masked.
        secondary: Whether it may only be the consequence of another failure, as when a connection
            to a process breaks that has ended.
    """

    host: str
    process: str
    code: int
    reason: str
    secondary: bool = False

    @property
    def where(self) -> str:
        """The host and the process, `host algo-2, rank 3`."""
        host = printable(self.host, longest=LONGEST_HOST)
        return f"host {host}, {printable(self.process, longest=LONGEST_TASK)}"

    @property
    def line(self) -> str:
        """The place and the reason in one line."""
        return f"{self.where}: {printable('; '.join(self.reason.splitlines()))}"

    def to_dict(self) -> dict[str, Any]:
        """Return an object for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Failure:
        """Return the inverse of `to_dict`; each text is made printable and short.

        A code that no failed process has becomes 1.

        Raises:
            TypeError, ValueError, KeyError: The object is no failure.
        """
        host, process, code, reason, secondary = (
            fields[name] for name in ("host", "process", "code", "reason", "secondary")
        )
        texts = host, process, reason
        if not (all(isinstance(t, str) for t in texts) and isinstance(secondary, bool)):
            raise TypeError("expected three texts and a boolean")
        if not isinstance(code, int) or isinstance(code, bool):
            raise TypeError("expected a whole number")
        return cls(
            host=printable(host, longest=LONGEST_HOST),
            process=printable(process, longest=LONGEST_TASK),
            code=code if 1 <= code <= 255 else 1,
            reason="\n".join(printable(line) for line in reason[:_LONGEST].splitlines()),
            secondary=secondary,
        )


def is_secondary(reason: str) -> bool:
    """Return whether a reason names a connection that broke rather than what broke it."""
    return bool(_SECONDARY.search(reason))
