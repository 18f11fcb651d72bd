"""The number of steps that one call of the compiled function takes, and their cost."""

from __future__ import annotations

import time

# Seconds that a call should take at most, so that Python can report progress and handle SIGTERM.
CALL_SECONDS = 2.0

# A call takes at most this many times the steps of the one before.
GROWTH = 8


class StepsPerCall:
    """Times calls of the compiled function, and chooses the number of steps of the next.

    Args:
        longest: Most steps in one call.

    Attributes:
        seconds: Duration of the last call. Where several processes take the same steps, all of them
            set it to the mean, so that all choose the same number.
        cpu_seconds: Processor time of this process during the last call.
    """

    def __init__(self, longest: int) -> None:
        self._longest, self._steps, self._calls = longest, 1, 0
        self.seconds = self.cpu_seconds = 0.0

    def steps(self, left: int) -> int:
        """Return the steps of the next call, `left` at most: as many as fit in `CALL_SECONDS`.

        Calls begin with one step and grow, so that a run of a slow model stops in time as well.
        """
        self._steps = max(1, min(left, self._longest, self._fitting()))
        return self._steps

    def _fitting(self) -> int:
        if self._calls < 2:
            # The first call also compiles, so that the time of a step is not known before the
            # second.
            return 1
        fitting = int(CALL_SECONDS * self._steps / self.seconds) if self.seconds else self._longest
        return min(fitting, GROWTH * self._steps)

    def __enter__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self._began[0]
        self.cpu_seconds = time.process_time() - self._began[1]
        self._calls += 1
