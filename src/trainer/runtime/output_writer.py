"""Write lines to a file descriptor without waiting for its reader."""

from __future__ import annotations

import contextlib
import logging
import os
import select
from collections import deque

from trainer.runtime import json_lines, live_bar

# Bytes that may wait to be written before the child processes that wrote them have to wait.
_WAITING = 1024 * 1024


class OutputWriter:
    """Writes lines to a file descriptor, and never waits for its reader.

    A pipe that poll(2) calls writable takes PIPE_BUF bytes without blocking, and in one piece. No
    more is written at a time: so a log driver that hangs does not delay the handling of signals,
    and the descriptor, which other processes may share, stays in blocking mode.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._is_terminal = os.isatty(fd)
        self.problem: OSError | None = None
        # Lines that were dropped, as too much waited; reported when the output flows again.
        self.dropped = 0
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._chunk = memoryview(b"")

    @property
    def waiting(self) -> bool:
        """True if there is anything to write."""
        return bool(self._chunk or self._lines)

    @property
    def full(self) -> bool:
        """True if so much waits that no more should be put in."""
        return self._size > _WAITING

    def put(self, line: bytes) -> None:
        """Take whole lines; they are written later, above the bar if there is one."""
        self._put(live_bar.above(line) if self._is_terminal else line)

    def draw_bar(self) -> None:
        """Take the bar as it is now, unless older output still waits."""
        if self._is_terminal and not self.waiting:
            self._put(live_bar.frame())

    def end_bar(self) -> None:
        """Take the bar away for good."""
        if self._is_terminal:
            self._put(live_bar.rest())

    def _put(self, line: bytes) -> None:
        if line and self.problem is None:
            self._lines.append(line)
            self._size += len(line)

    def write(self) -> None:
        """Write what does not block; call it when the descriptor is writable."""
        if not self._chunk:
            self._chunk = memoryview(self._next())
        try:
            written = os.write(self.fd, self._chunk[: select.PIPE_BUF])
        except BlockingIOError:
            return
        except OSError as error:
            # The reader has gone, or the disk is full; the child processes go on all the same.
            self.problem = error
            self._lines.clear()
            self._chunk = memoryview(b"")
            self._size = 0
            return
        self._chunk = self._chunk[written:]
        self._size -= written
        if self.dropped and not self.waiting:
            self.put(dropped_lines_warning(self.dropped))
            self.dropped = 0

    def give_up(self) -> int:
        """Drop what waits; return how many lines were lost since that was mentioned last."""
        rest = [bytes(self._chunk), *self._lines] if self.problem is None else []
        lost = self.dropped + sum(piece.count(b"\n") for piece in rest)
        self._lines.clear()
        self._chunk = memoryview(b"")
        self._size = self.dropped = 0
        return lost

    def _next(self) -> bytes:
        """Return the next lines that fit into one piece, or a single one that does not."""
        lines = [self._lines.popleft()]
        size = len(lines[0])
        while self._lines and size + len(self._lines[0]) <= select.PIPE_BUF:
            size += len(self._lines[0])
            lines.append(self._lines.popleft())
        return b"".join(lines)


def dropped_lines_warning(count: int, *, name: str = "the output") -> bytes:
    """Return the line that reports how many lines were dropped."""
    lines = "1 line was" if count == 1 else f"{count} lines were"
    return _warning(f"{lines} dropped, as nobody read {name}")


def lost_output_warning(problem: OSError) -> bytes:
    """Return the line that reports why nothing more can be written to the other output."""
    return _warning(f"output is lost: {problem.strerror}")


def _warning(text: str) -> bytes:
    line = json_lines.formatted(f"trainer: warning: {text}", level=logging.WARNING)
    return f"{line}\n".encode()


def output_writers(out: int, err: int) -> tuple[OutputWriter, OutputWriter]:
    """Return writers of standard output and error: one and the same if both go to one place."""
    first = OutputWriter(out)
    with contextlib.suppress(OSError):
        one, other = os.fstat(out), os.fstat(err)
        if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
            return first, first
    return first, OutputWriter(err)
