"""Access log: one line of JSON for each request, on standard output."""

from __future__ import annotations

import sys
import threading
from typing import Any, BinaryIO

import orjson


class AccessLog:
    """Writes lines from a thread of its own, so that a reader who stops reading delays no request.

    Args:
        stream: Gets the lines; standard output by default.
        every: Seconds between writes.
        most: Lines that are kept for a reader who has stopped reading. Later ones are counted, and
            their number is written in their place.
    """

    def __init__(
        self, stream: BinaryIO | None = None, *, every: float = 0.2, most: int = 20_000
    ) -> None:
        self._stream = stream or sys.stdout.buffer
        self._every, self._most = every, most
        self._lines: list[dict[str, Any]] = []
        self._lost = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, name="access-log", daemon=True)
        self._thread.start()

    def add(self, line: dict[str, Any]) -> None:
        """Have a line written soon; called from the event loop alone."""
        if len(self._lines) < self._most:
            self._lines.append(line)
        else:
            self._lost += 1

    def close(self) -> None:
        """Write what is left, for a second at most."""
        self._end.set()
        self._thread.join(timeout=1)

    def _write(self) -> None:
        ended = False
        while not ended:
            ended = self._end.wait(self._every)
            lines, self._lines = self._lines, []
            lost, self._lost = self._lost, 0
            if lost:
                lines.append({"lost_lines": lost})
            if lines:
                try:
                    self._stream.write(b"".join(orjson.dumps(line) + b"\n" for line in lines))
                    self._stream.flush()
                except (OSError, ValueError):
                    # The reader of standard output has closed its end; requests are served on.
                    return
