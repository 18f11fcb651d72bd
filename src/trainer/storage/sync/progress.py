"""Progress of a synchronisation: a bar on a terminal, lines at a pace elsewhere."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from trainer.runtime import live_bar
from trainer.storage.sync.place import Meter

logger = logging.getLogger(__name__)

# Seconds between two lines, and seconds over which the rate is measured.
PACE, WINDOW = 5.0, 10.0


class SyncProgress:
    """Logs rate and time left.

    Args:
        meter: Counts.
        files: How many files are copied.
        size: Their bytes.
        clock: Returns seconds.
    """

    def __init__(
        self, meter: Meter, files: int, size: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._meter, self._files, self._size, self._clock = meter, files, size, clock
        self._last = clock()
        self._marks: deque[tuple[float, int]] = deque([(self._last, 0)])

    def watch(self) -> None:
        """Log a line if it is time for one."""
        now, moved = self._clock(), self._meter.moved
        if now - self._last < (live_bar.PACE if live_bar.is_on() else PACE):
            return
        self._last = now
        self._marks.append((now, moved))
        while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW:
            self._marks.popleft()
        begun, before = self._marks[0]
        rate = (moved - before) / max(now - begun, 1e-3)
        done = moved + self._meter.resumed
        if done >= self._size and live_bar.is_on():
            # The last bytes are checked; the line with the sums comes next.
            return
        left = max(self._size - done, 0) / rate if rate else float("inf")
        fields = {
            "files": self._meter.files,
            "of_files": self._files,
            "step": done / 1e6,
            "of": self._size / 1e6,
            "mb_per_second": rate / 1e6,
        } | ({"eta": left} if rate else {})
        logger.info(
            "sync files=%d of=%d mb=%.1f of_mb=%.1f mb_per_second=%.1f%s",
            self._meter.files, self._files, done / 1e6, self._size / 1e6, rate / 1e6,
            f" eta={left:.0f}s" if rate else "",
            extra={"fields": fields},
        )  # fmt: skip

    def end(self) -> None:
        """Take the bar away."""
        live_bar.end()
