"""SIGTERM and SIGINT of a sweep, which ends its trials before itself."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class SignalCount:
    """The signals so far: with the first, trials are asked to end; with the second, killed.

    Attributes:
        count: How many came.
        number: That of the last.
    """

    count: int = 0
    number: int = 0


@contextlib.contextmanager
def counting_signals() -> Iterator[SignalCount]:
    """Count SIGTERM and SIGINT while a block runs; trials are polled, so no lock is needed."""
    found = SignalCount()

    def handle(number: int, frame: object) -> None:
        found.count += 1
        found.number = number

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
