"""What is run, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer.launch.rendezvous.failure import Failure


@dataclass(frozen=True, kw_only=True)
class Command:
    """A process to run.

    Attributes:
        argv: The program and its arguments; no shell sees them.
        env: Its whole environment; left out where a command is printed, as it holds secrets.
        cwd: Its working folder; None for that of this process.
        name: What lines and errors call it: `rank 0`, `user script`.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cwd: Path | None = None
    name: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How it ended.

    Attributes:
        code: 0 if all ended well, else that of the first that failed: its exit code, 128 + n if
            signal n ended it, 124 after a timeout.
        failed: The name of the first that failed.
        signal: The signal that ended it; None if it left by itself, with whatever code.
        tail: The last lines that it wrote to standard error.
        told: The signal by which this process was told to end.
        timed_out: Whether the timeout ended it.
        killed: Whether the one that failed had to be killed, as it did not end when told.
        cause: Why a job of several processes failed, wherever that was.
    """

    code: int
    failed: str | None = None
    signal: int | None = None
    tail: tuple[str, ...] = ()
    told: int | None = None
    timed_out: bool = False
    killed: bool = False
    cause: Failure | None = None
