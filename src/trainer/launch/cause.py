"""Why a job ended: told by the process or host where it began to all others."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

# What a process says when another one has gone: true, but not the cause.
_ECHO = re.compile(
    r"connection (was )?(reset|closed|refused|aborted)|closed by peer|broken pipe|socket closed|"
    r"HorovodInternalError|Horovod has been shut down|failed to connect to all addresses|"
    r"UnavailableError|AbortedError|Collective ops is aborted|heartbeat|GOAWAY|gloo/transport",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Cause:
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
        return f"host {self.host}, {self.process}"

    @property
    def line(self) -> str:
        """All in one line."""
        return f"{self.where}: {'; '.join(self.reason.splitlines())}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Cause:
        """The inverse of `to_dict`.

        Raises:
            TypeError, ValueError, KeyError: It is not such a thing.
        """
        return cls(
            host=str(told["host"]),
            process=str(told["process"]),
            code=int(told["code"]),
            reason=str(told["reason"])[:4000],
            echo=bool(told["echo"]),
        )


def is_echo(reason: str) -> bool:
    """Whether a reason speaks of a connection that broke rather than of what broke it."""
    return bool(_ECHO.search(reason))
