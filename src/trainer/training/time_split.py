"""The time of a run by kind of work: a stopwatch with one account for each."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Literal

Phase = Literal[
    "start_up", "input", "compute", "exchange", "evaluation", "checkpoints", "export", "other"
]
PHASES: tuple[Phase, ...] = Phase.__args__  # type: ignore[attr-defined]


class TimeSplit:
    """Seconds of this process by the kind of work, from when it began.

    Args:
        began: The `time.perf_counter()` at which it began; by default now.
    """

    def __init__(self, began: float | None = None) -> None:
        self._began = time.perf_counter() if began is None else began
        self._seconds = dict.fromkeys(PHASES, 0.0)

    def add(self, phase: Phase, seconds: float) -> None:
        """Count some seconds."""
        self._seconds[phase] += seconds

    def begin_steps(self) -> None:
        """Take all the time until now as that of starting up."""
        self._seconds["start_up"] = time.perf_counter() - self._began

    @contextlib.contextmanager
    def measure(self, phase: Phase) -> Iterator[None]:
        """Count the time that a block takes."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(phase, time.perf_counter() - began)

    def as_json(self) -> dict[str, float]:
        """Return the seconds of each phase; what none of them has is in `other`."""
        known = sum(seconds for phase, seconds in self._seconds.items() if phase != "other")
        other = max(0.0, time.perf_counter() - self._began - known)
        return {str(phase): s for phase, s in self._seconds.items()} | {"other": other}
