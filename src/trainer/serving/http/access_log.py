"""One line of JSON for each request, on standard output."""

from __future__ import annotations

import sys
import threading
from typing import Any, BinaryIO

import orjson

EVERY = 0.2  # seconds
MOST = 20_000  # lines that wait for a reader who has stopped reading


class AccessLog:
    """Writes from a thread of its own: a log that nobody reads holds up no request.

    Args:
        stream: Where to; standard output by default.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream or sys.stdout.buffer
        self._lines: list[dict[str, Any]] = []
        self._lost = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write, name="access-log", daemon=True)
        self._thread.start()

    def add(self, line: dict[str, Any]) -> None:
        """Have a line written soon; called from the event loop alone."""
        if len(self._lines) < MOST:
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
            ended = self._end.wait(EVERY)
            lines, self._lines = self._lines, []
            lost, self._lost = self._lost, 0
            if lost:
                lines.append({"lost_lines": lost})
            if lines:
                try:
                    self._stream.write(b"".join(orjson.dumps(line) + b"\n" for line in lines))
                    self._stream.flush()
                except (OSError, ValueError):
                    # Whoever read our output has gone; the requests go on.
                    return
