"""Why a job ended: told by the process or host where it began to all others."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from trainer.launch.printable import LONGEST, LONGEST_HOST, LONGEST_TASK, printable

# What a process says when another one has gone: true, but not the cause.
_ECHO = re.compile(
    r"connection (was )?(reset|closed|refused|aborted)|closed by peer|broken pipe|socket closed|"
    r"HorovodInternalError|Horovod has been shut down|failed to connect to all addresses|"
    r"UnavailableError|AbortedError|Collective ops is aborted|heartbeat|GOAWAY|gloo/transport",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The failure that ends a job.

    Attributes:
        host: Where.
        process: Of what: `rank 3`, or the host's own role.
        code: The exit code of the whole job.
        reason: What happened, for people; secrets are masked.
        echo: Whether it may only be what the failure of another one looks like from here.
    """

    host: str
    process: str
    code: int
    reason: str
    echo: bool = False

    @property
    def where(self) -> str:
        """`host algo-2, rank 3`."""
        host = printable(self.host, longest=LONGEST_HOST)
        return f"host {host}, {printable(self.process, longest=LONGEST_TASK)}"

    @property
    def line(self) -> str:
        """All in one line."""
        return f"{self.where}: {printable('; '.join(self.reason.splitlines()))}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Failure:
        """Return the inverse of `to_dict`, whatever another host put in.

        A failure that says it has no exit code of a failure is one all the same.

        Raises:
            TypeError, ValueError, KeyError: It is not such a thing.
        """
        host, process, code, reason, echo = (
            fields[name] for name in ("host", "process", "code", "reason", "echo")
        )
        texts = host, process, reason
        if not (all(isinstance(t, str) for t in texts) and isinstance(echo, bool)):
            raise TypeError("expected three texts and a boolean")
        if not isinstance(code, int) or isinstance(code, bool):
            raise TypeError("expected a whole number")
        return cls(
            host=printable(host, longest=LONGEST_HOST),
            process=printable(process, longest=LONGEST_TASK),
            code=code if 1 <= code <= 255 else 1,
            reason="\n".join(printable(line) for line in reason[:LONGEST].splitlines()),
            echo=echo,
        )


def is_secondary(reason: str) -> bool:
    """Whether a reason speaks of a connection that broke rather than of what broke it."""
    return bool(_ECHO.search(reason))
