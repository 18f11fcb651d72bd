"""A command to run, and the outcome of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer.launch.rendezvous.failure import Failure


@dataclass(frozen=True, kw_only=True)
class Command:
    """A process to run.

    Attributes:
        argv: The program and its arguments; no shell interprets them.
        env: Its whole environment; `repr` leaves it out, as it holds secrets.
        cwd: Its working folder; None for that of this process.
        name: Its name in output and errors: `rank 0`, `user script`.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cwd: Path | None = None
    name: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of one or more processes.

    Attributes:
        code: 0 if all ended well, else that of the first that failed: its exit code, 128 + n if
            signal n ended it, 124 after a timeout.
        failed: The name of the first that failed.
        signal: The signal that ended it; None if it left by itself, with whatever code.
        tail: The last lines that it wrote to standard error.
        stop_signal: The signal that asked this process to stop, if one did.
        timed_out: Whether the timeout ended it.
        killed: Whether the one that failed had to be killed, as it did not end at SIGTERM.
        failure: Why a job of several processes failed, on whichever host.
    """

    code: int
    failed: str | None = None
    signal: int | None = None
    tail: tuple[str, ...] = ()
    stop_signal: int | None = None
    timed_out: bool = False
    killed: bool = False
    failure: Failure | None = None
